"""The widget of two margins: its script computes what minicl computes, and it can be used without a mouse."""

import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import margin_plane
from minicl.viz.margin_plane import losses


@pytest.fixture(scope="module")
def javascript():
    return engine_with(margin_plane())


def pairwise(a, p, n, margin):
    """The sum of the two pairs, and minus its gradients, by the engine."""
    a, p, n = (mc.tensor([list(x)]) for x in (a, p, n))
    near = mc.losses.contrastive(a, p, [True], margin)
    loss = near + mc.losses.contrastive(a, n, [False], margin)
    return loss.item(), [-g[0] for g in mc.grad(loss, [a, p, n])]


def triplet(a, p, n, margin):
    a, p, n = (mc.tensor([list(x)]) for x in (a, p, n))
    loss = mc.losses.triplet(a, p, n, margin)
    return loss.item(), [-g[0] for g in mc.grad(loss, [a, p, n])]


def questions(rng, count=80):
    """Random points, and the corners: coinciding points, points on a margin, a margin of 0."""
    for _ in range(count):
        a, p, n = rng.uniform(-4, 4, size=(3, 2)).tolist()
        yield a, p, n, float(rng.uniform(0, 3))
    zero = [0.0, 0.0]
    yield zero, [1.0, 0.0], zero, 1.5
    yield zero, zero, [1.0, 0.0], 1.5
    yield zero, zero, zero, 0.0
    yield zero, [3.0, 4.0], [0.0, 6.0], 1.0
    yield zero, [1.0, 0.0], [0.0, 2.0], 2.0


@pytest.mark.parametrize("name, by_engine", [("pairwise", pairwise), ("triplet", triplet)])
def test_the_script_computes_what_minicl_computes(javascript, rng, name, by_engine):
    for a, p, n, margin in questions(rng):
        found = javascript.call(f"minicl.marginPlane.{name}", a, p, n, margin)
        value, forces = by_engine(a, p, n, margin)
        assert abs(found["value"] - value) <= 1e-9 * max(1, abs(value))
        assert np.abs(np.array(found["forces"]) - np.array(forces)).max() <= 1e-9 * max(1, np.abs(forces).max())


def test_the_still_picture_uses_the_same_numbers(rng):
    for _ in range(20):
        p, n = rng.uniform(-4, 4, size=(2, 2)).tolist()
        margin = float(rng.uniform(0, 3))
        found = losses(p, n, margin)
        for name, by_engine in (("pairwise", pairwise), ("triplet", triplet)):
            value, forces = by_engine([0.0, 0.0], p, n, margin)
            assert abs(found[name][0] - value) < 1e-12 * max(1, value)
            assert np.abs(np.array(found[name][1]) - np.array(forces)).max() < 1e-12 * 10


@pytest.mark.parametrize("name", ["pairwise", "triplet"])
def test_the_disc_is_where_the_negative_feels_a_force(javascript, rng, name):
    for a, p, n, margin in questions(rng, 60):
        found = javascript.call(f"minicl.marginPlane.{name}", a, p, n, margin)
        far = float(np.hypot(*np.subtract(a, n)))
        if far > 1e-9 and abs(far - found["rest"]) > 1e-9:
            assert (np.hypot(*found["forces"][2]) > 0) == (far < found["rest"])


def test_moving_both_away_changes_the_pairwise_loss_alone(javascript):
    a, p, n, margin = [0.0, 0.0], [0.6, 0.8], [-0.9, 1.2], 2.0
    before = {name: javascript.call(f"minicl.marginPlane.{name}", a, p, n, margin) for name in ("pairwise", "triplet")}
    p, n = (javascript.call("minicl.marginPlane.further", x, 0.5) for x in (p, n))
    assert abs(np.hypot(*p) - 1.5) < 1e-12 and abs(np.hypot(*n) - 2.0) < 1e-12
    after = {name: javascript.call(f"minicl.marginPlane.{name}", a, p, n, margin) for name in ("pairwise", "triplet")}
    assert abs(after["triplet"]["value"] - before["triplet"]["value"]) < 1e-12
    assert after["pairwise"]["value"] - before["pairwise"]["value"] > 0.4


@pytest.mark.parametrize(
    "wrong", [{"positive": (5, 0)}, {"negative": (0, float("nan"))}, {"margin": -1}, {"margin": 9}]
)
def test_what_cannot_be_shown_is_refused(wrong):
    with pytest.raises(ValueError, match="margin_plane"):
        margin_plane(**wrong)


def test_nothing_is_asked_from_outside_and_the_picture_stays_without_scripts():
    piece = margin_plane().html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)
    rest = re.sub(r"<(style|script)>.*?</\1>", "", piece, flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    assert "no force on a negative beyond 1.5" in html.unescape(re.sub(r"<[^>]*>", " ", rest))


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
const text = (root, what) => [...root.querySelectorAll(what)].map((p) => p.textContent);
seen.start = [text(one, ".value"), text(one, ".says")];
seen.keys = 0; // that reach the page, where a notebook would move to another cell
document.addEventListener("keydown", () => seen.keys++);
const negative = one.querySelector(".handle.negative");
const press = (key, shiftKey) => negative.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true }));
for (let k = 0; k < 4; k++) press("ArrowLeft", true);
press("ArrowUp", false);
seen.moved = [text(one, ".value"), text(one, ".says"), negative.getAttribute("aria-valuetext")];
seen.other = text(two, ".value");
const slider = one.querySelector("input");
slider.value = "3";
slider.dispatchEvent(new Event("input"));
seen.margin = text(one, ".value");
seen.before = text(two, ".value");
two.querySelectorAll("button")[1].click();
seen.further = text(two, ".value");
seen.aloud = one.querySelector("svg").getAttribute("aria-label");
const svg = two.querySelector("svg");
const box = svg.getBoundingClientRect();
const handle = two.querySelector(".handle.negative");
handle.setPointerCapture = () => {};
handle.hasPointerCapture = () => true;
const at = { pointerId: 1, clientX: box.left + box.width, clientY: box.top + box.height / 2, bubbles: true };
handle.dispatchEvent(new PointerEvent("pointermove", at));
seen.dragged = handle.getAttribute("aria-valuetext");
seen.wide = document.documentElement.scrollWidth;
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    """Two of them on one page: keys, slider, buttons and the pointer move the one and leave the other alone."""
    widget = margin_plane(positive=(1.0, 0.0), negative=(-1.0, 0.0), margin=1.5)
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path, "--window-size=380,900")
    assert seen["errors"] == [] and seen["requests"] == []
    assert seen["start"][0][0].endswith("0.50 + 0.13 = 0.63") and seen["start"][0][1].endswith("= 1.50")
    assert "pushed with force 0.50" in seen["start"][1][0]
    assert seen["keys"] == 0
    assert seen["moved"][2].startswith("at −3.00, 0.10")
    assert seen["moved"][0][1].endswith("= 0") and "rests: d_n is at least d_p + m = 2.50" in seen["moved"][1][1]
    assert "The positive is pulled with force 1.00" in seen["moved"][1][0] and "positive rests" in seen["moved"][1][1]
    assert seen["other"] == seen["start"][0]
    assert seen["margin"][1].endswith("= 1.00")
    assert seen["before"][1].endswith("= 1.50") and seen["further"][1].endswith("= 1.50")
    assert seen["before"][0] != seen["further"][0]
    assert seen["aloud"].startswith("Plane of the pairwise loss. Anchor in the middle; positive at distance 1.00")
    assert seen["dragged"].startswith("at 4.00, 0")
    assert seen["wide"] <= 520  # Chromium makes no window narrower than 500
