"""The training movie: its script counts neighbours as Python does, every stored map is reached, and nothing comes from outside."""

import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

from minicl.viz import EarlyPictures, training_movie
from minicl.viz.embedding_maps import agreement
from minicl.viz.training_movie import one_scale


@pytest.fixture(scope="module")
def labels():
    return np.arange(60) % 3


@pytest.fixture(scope="module")
def widget(labels):
    """From noise to three heaps, in six maps."""
    rng = np.random.default_rng(0)
    noise, heaps = rng.standard_normal((60, 2)), np.stack([np.cos(2.1 * labels), np.sin(2.1 * labels)], axis=1)
    panels = [(f"epoch {2**k}", (1 - k / 5) * noise + k * heaps) for k in range(6)]
    return training_movie(panels, labels, about="A made-up run.")


def test_the_script_counts_neighbours_as_python_does(widget, rng):
    javascript = engine_with(widget)
    for trial in range(60):
        n = int(rng.integers(2, 40))
        places = rng.integers(0, 12 if trial % 2 else 1000, (n, 2))  # the small ones have many ties
        labels = rng.integers(0, 4, n)
        found = javascript.call("minicl.trainingMovie.share", places.ravel().tolist(), labels.tolist())
        assert abs(found - agreement(places, labels, k=1)) < 1e-12


def test_all_maps_have_one_scale(rng):
    maps = [rng.standard_normal((30, 2)) * size + 5 for size in (1, 3, 0)]
    small = one_scale(maps)
    together = np.concatenate(small)
    assert together.min() == 0 and together.max() == 1000
    ratio = np.ptp(maps[0], axis=0) / np.ptp(small[0], axis=0), np.ptp(maps[1], axis=0) / np.ptp(small[1], axis=0)
    assert np.abs(ratio[0] / ratio[1] - 1).max() < 0.01
    assert np.ptp(small[2], axis=0).tolist() == [0, 0]  # a collapse is seen


def test_it_takes_what_early_pictures_made(labels):
    pictures = EarlyPictures(np.zeros((60, 4)), labels)
    pictures.panels = [("epoch 1: loss 2.000 (collapse 3.000)", np.eye(60)[:, :2]), ("epoch 2", np.eye(60)[:, 1:3])]
    widget = training_movie(pictures.panels, pictures.labels)
    assert [frame["title"] for frame in widget.data["frames"]] == ["epoch 1: loss 2.000 (collapse 3.000)", "epoch 2"]


SQUARE = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)


@pytest.mark.parametrize(
    ("panels", "labels", "message"),
    [
        ([("a", SQUARE)], [0, 1, 0, 1], "1 maps make no movie"),
        ([("a", SQUARE), ("b", SQUARE[:3])], [0, 1, 0, 1], r"'b' has shape \(3, 2\) with 4 labels"),
        ([("a", SQUARE), ("b", SQUARE * np.nan)], [0, 1, 0, 1], "finite"),
        ([("a", SQUARE), ("b", SQUARE)], [0, 0, 0, 0], "1 different labels"),
        ([("a", SQUARE), ("b", SQUARE)], [[0, 1], [0, 1]], "in one row"),
    ],
)
def test_what_cannot_be_shown_is_refused(panels, labels, message):
    with pytest.raises(ValueError, match=f"training_movie: .*{message}"):
        training_movie(panels, labels)


def test_nothing_is_asked_from_outside_and_without_scripts_the_numbers_remain(widget):
    piece = widget.html()
    assert piece.count("</script>") == 1
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)
    rest = re.sub(r"<(style|script)>.*?</\1>", "", piece, flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    assert "epoch 32: 100 % have a nearest neighbour of their own label (by chance 32 %)." in rest


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
seen.keys = 0;
document.addEventListener("keydown", () => seen.keys++);
const says = (root) => `${root.querySelector("output.title").textContent}: ${root.querySelector(".says").textContent}`;
const press = (key) => one.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const slider = one.querySelector("input"), follow = one.querySelector("select"), play = one.querySelector("button");
seen.start = says(one);
slider.value = 3;
slider.dispatchEvent(new Event("input"));
seen.scrubbed = says(one);
press("ArrowLeft");
seen.left = says(one);
press("End");
press("ArrowRight");
seen.end = says(one);
seen.value = slider.getAttribute("aria-valuetext");
seen.aloud = one.querySelector("svg").getAttribute("aria-label");
follow.selectedIndex = 2;
follow.dispatchEvent(new Event("change"));
seen.faint = one.querySelectorAll(".faint").length;
seen.place = ["x", "y"].map((name) => Number(one.querySelector(".point").getAttribute(name)));
play.click();
seen.playing = [play.textContent, slider.value];
seen.other = says(two);
seen.wide = Math.max(...[...document.querySelectorAll(".minicl-widget")].map((w) => w.scrollWidth - w.clientWidth));
setTimeout(() => {
  seen.played = [play.textContent, slider.value];
  seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
  document.getElementById("seen").textContent = JSON.stringify(seen);
}, 1200);
</script>"""


def test_in_a_browser(widget, labels, tmp_path):
    """Two of them on one narrow page: slider, keys, choice and button move the one and leave the other alone."""
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    # Headless Chromium opens no window narrower than 500 pixels; the body is made as narrow as a phone instead.
    page = page.replace("margin:16px", "margin:16px;width:348px").replace("PAUSE = 450", "PAUSE = 90")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["keys"] == 0

    def at(k):
        places = np.array(widget.data["frames"][k]["places"]).reshape(-1, 2)
        share = f"{100 * agreement(places, labels, k=1):.0f} %"
        return f"epoch {2**k}: {share} of the points have a nearest neighbour of their own label in this map."

    assert [seen[name] for name in ("start", "scrubbed", "left", "end")] == [at(k) for k in (0, 3, 2, 5)]
    assert seen["other"] == at(0) and at(0) != at(5)
    assert seen["value"] == "epoch 32" and seen["aloud"] == f"Map of the embeddings, {at(5).replace(':', '.', 1)}"
    assert seen["faint"] == 40
    x, y = np.array(widget.data["frames"][5]["places"][:2]) * 0.372 + [14, 18]
    assert abs(seen["place"][0] - x) < 0.06 and abs(seen["place"][1] - y) < 0.06
    assert seen["playing"] == ["❚❚ Pause", "0"] and seen["played"] == ["▶ Play", "5"]
    assert seen["wide"] <= 0
