"""The three-bars widget: its script computes minicl's losses, and in a page sliders, keys and buttons move it."""

import html
import re

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import three_bars
from minicl.viz.three_bars import losses


@pytest.fixture(scope="module")
def javascript():
    return engine_with(three_bars())


def minicl_losses(scores):
    label = np.array([1.0, 0.0, 0.0])
    binary = mc.binary_cross_entropy_with_logits(scores, label, reduction="sum")
    return float(binary), float(mc.cross_entropy(scores[None], np.array([0])))


def close(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return bool(np.abs(found - expected).max() <= 1e-9 * max(1.0, np.abs(expected).max()))


def test_the_script_computes_the_losses_of_minicl(javascript, rng):
    points = [rng.normal(scale=s, size=3) for s in (0.1, 1.0, 5.0) for _ in range(25)]
    points += [np.array(p, float) for p in ([0, 0, 0], [800, 0, -800], [-800, 800, 0], [-5, 5, 5])]
    for scores in points:
        found = javascript.call("minicl.threeBars.losses", scores.tolist())
        expected = minicl_losses(scores)
        assert close([found["binary"], found["ranking"]], expected)
        assert close(losses(scores.tolist()), expected)
        assert close(found["yes"], mc.sigmoid(scores)) and close(found["share"], mc.softmax(scores))


def test_a_shift_leaves_the_ranking_loss_and_changes_the_binary_one(javascript, rng):
    for _ in range(60):
        scores, shift = rng.uniform(-5, 5, 3), rng.uniform(0.1, 6) * rng.choice([-1, 1])
        moved = javascript.call("minicl.threeBars.shifted", scores.tolist(), shift)
        assert close(moved, scores + shift)
        here, there = (javascript.call("minicl.threeBars.losses", list(s)) for s in (scores, moved))
        assert abs(here["ranking"] - there["ranking"]) < 1e-9
        assert abs(here["binary"] - there["binary"]) > 1e-3 or abs(sum(here["yes"]) + sum(there["yes"]) - 2) < 0.5
        assert here["binary"] > here["ranking"] and there["binary"] > there["ranking"]


def test_the_best_shift_is_where_the_sigmoids_sum_to_one(javascript, rng):
    for _ in range(60):
        scores = rng.uniform(-5, 5, 3)
        best = javascript.call("minicl.threeBars.bestShift", scores.tolist())
        assert abs(float(mc.sum(mc.sigmoid(scores + best))) - 1) < 1e-9
        search = minimize_scalar(
            lambda c, s=scores: minicl_losses(s + c)[0], bounds=(-12, 12), method="bounded", options={"xatol": 1e-9}
        )
        at_best = minicl_losses(scores + best)
        assert abs(at_best[0] - search.fun) < 1e-9 and at_best[0] > at_best[1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"scores": (1, 2)}, "give three numbers"),
        ({"scores": (1, 2, 9)}, "from −3 to 3"),
        ({"scores": (1, 2, float("nan"))}, "from −3 to 3"),
        ({"shift": 7}, "the shift is 7"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        three_bars(**arguments)


def test_nothing_is_asked_from_outside():
    piece = three_bars().html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)


def test_without_scripts_the_picture_and_its_numbers_remain():
    rest = re.sub(r"<(style|script)>.*?</\1>", "", three_bars().html(), flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    binary, ranking = minicl_losses(np.array([2.0, 1.0, -1.0]))
    assert f"{binary:.4g} at shift 0" in text and f"Ranking loss: {ranking:.4g} at every shift" in text


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [], keys: 0 };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
document.addEventListener("keydown", () => seen.keys++);
const press = (root, key) => root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const says = (root) => root.querySelector(".says").textContent;
const slide = (input, to) => { input.value = to; input.dispatchEvent(new Event("input")); };
seen.start = says(one);
slide(one.querySelector("input"), 5);
seen.shifted = [says(one), says(two)];
seen.bars = one.querySelector("svg").getAttribute("aria-label");
one.querySelector("button.main").click();
seen.best = says(one);
press(one, "End");
press(one, "ArrowLeft");
seen.arrow = one.querySelector("output").textContent;
slide(one.querySelectorAll("input")[1], -3);
seen.own = says(one);
one.querySelectorAll("button")[1].click();
seen.reset = says(one);
const named = (i) => [i.getAttribute("aria-label"), i.getAttribute("aria-valuetext")];
seen.labels = [...one.querySelectorAll("input")].map(named);
seen.wide = Math.max(...[...document.querySelectorAll(".minicl-widget")].map((w) => w.scrollWidth - w.clientWidth));
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


@pytest.mark.parametrize("width", [380, 1000])
def test_in_a_browser(tmp_path, width):
    """Two of them on one page: sliders, keys and buttons move the one and leave the other alone."""
    widget = three_bars()
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    # Headless Chromium opens no window narrower than 500 pixels; the body is made as narrow as a phone instead.
    page = page.replace("margin:16px", f"margin:16px;width:{width - 32}px")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["keys"] == 0
    scores = np.array([2.0, 1.0, -1.0])
    binary, ranking = minicl_losses(scores)
    assert seen["start"].startswith(f"binary {binary:.3f} ")
    there = minicl_losses(scores + 5)
    assert seen["shifted"][0].startswith(
        f"binary {there[0]:.3f} ({binary:.3f} without shift), ranking {ranking:.3f} ({ranking:.3f} without shift)."
    )
    assert seen["shifted"][1] == seen["start"] == seen["reset"]
    assert seen["bars"].startswith("Bars. positive: score 7.00, sigmoid ")
    assert "No shift is better for binary" in seen["best"]
    assert seen["arrow"] == "+4.9"
    assert f"ranking {minicl_losses(np.array([-3.0, 1.0, -1.0]))[1]:.3f}" in seen["own"]
    assert seen["labels"][0] == ["shift of all", "0.0"] and len(seen["labels"]) == 4
    assert seen["wide"] <= 0
