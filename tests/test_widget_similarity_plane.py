"""The widget similarity_plane: its script computes what minicl computes, and v moves by hand, key, slider and button."""

import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import similarity_plane
from minicl.viz.similarity_plane import MEASURES, measures


@pytest.fixture(scope="module")
def javascript():
    return engine_with(similarity_plane())


def close(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return np.abs(found - expected).max() <= 1e-9 * max(1e-300, np.abs(expected).max(initial=0))


def agree(javascript, u, v):
    seen = javascript.call("minicl.similarityPlane.measures", list(map(float, u)), list(map(float, v)))
    assert set(seen) == set(MEASURES)
    for name, (value, gradient) in measures(np.asarray(u, float), np.asarray(v, float)).items():
        size = max(1e-300, abs(value), 1e-16 * np.hypot(*u) * np.hypot(*v) * 1e9)  # an inner product may cancel
        assert abs(seen[name]["value"] - value) <= 1e-9 * size, name
        floor = 1e-16 / max(np.hypot(*v), 1e-300) if name == "cosine" else 0  # u and v parallel: 0 but for rounding
        assert np.abs(np.array(seen[name]["gradient"]) - gradient).max() <= 1e-9 * np.abs(gradient).max() + 4 * floor


def test_the_script_computes_what_minicl_computes(javascript, rng):
    for length in (1e-150, 1e-3, 1.0, 1e3, 1e100):
        for _ in range(20):
            agree(javascript, rng.uniform(-3, 3, 2), length * rng.uniform(-3, 3, 2))


def test_also_at_the_places_without_a_gradient(javascript):
    u = (1.5, 0.75)
    for v in ((1.5, 0.75), (0.0, 0.0), (3.0, 1.5), (-1.5, -0.75), (-0.75, 1.5)):
        agree(javascript, u, v)
    same = javascript.call("minicl.similarityPlane.measures", [3, 4], [3, 4])
    assert same["distance"] == {"value": 0, "gradient": [0, 0]} and abs(same["cosine"]["value"] - 1) < 1e-15
    none = javascript.call("minicl.similarityPlane.measures", [3, 4], [0, 0])
    assert none["cosine"] == {"value": 0, "gradient": [0, 0]} and none["inner"]["gradient"] == [3, 4]


def test_the_gradients_are_the_formulas(rng):
    for _ in range(20):
        u, v = rng.uniform(-3, 3, (2, 2))
        found = {name: gradient for name, (_, gradient) in measures(u, v).items()}
        a, b = u / np.hypot(*u), v / np.hypot(*v)
        assert close(found["inner"], u)
        assert close(found["distance"], (v - u) / np.hypot(*(v - u)))
        assert np.abs(found["cosine"] - (a - (a @ b) * b) / np.hypot(*v)).max() < 1e-14 / np.hypot(*v)


def test_turning_is_the_way_back_from_the_angle(javascript, rng):
    for _ in range(60):
        u, v = rng.uniform(-3, 3, (2, 2)).tolist()
        degrees = javascript.call("minicl.similarityPlane.angle", u, v)
        cosine = float(mc.cosine_similarity(np.array(u), np.array(v)))
        assert abs(np.cos(np.radians(degrees)) - cosine) < 1e-9 and -180 <= degrees <= 180
        assert close(javascript.call("minicl.similarityPlane.turned", u, degrees, float(np.hypot(*v))), v)


@pytest.mark.parametrize(
    "v, words",
    [
        ([1.5, 0.75], "The distance has a kink"),
        ([0, 0], "no direction"),
        ([3.0, 1.5], "larger than u with itself"),
        ([0.3, 0.15], "but shorter"),
        ([-3.0, -1.5], "does not know which way to turn"),
        ([3.0, -1.0], "more similar to u than u is"),
        ([0.1, 0.2], "v is short"),
        ([-0.75, 1.5], "right angle: inner product"),
        ([-1.2, 1.2], "leaves its length alone"),
    ],
)
def test_each_place_has_its_remark(javascript, v, words):
    assert words in javascript.call("minicl.similarityPlane.remark", [1.5, 0.75], v)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"u": (0.0, 0.0)}, "zero vector"),
        ({"u": (1.0, 2.0, 3.0)}, "two numbers from −3 to 3"),
        ({"v": (4.0, 0.0)}, "v is"),
        ({"v": (float("nan"), 0.0)}, "v is"),
    ],
)
def test_what_cannot_be_shown_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        similarity_plane(**options)


def test_nothing_is_asked_from_outside():
    piece = similarity_plane().html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)


def test_without_scripts_the_picture_and_its_numbers_remain():
    rest = re.sub(r"<(style|script)>.*?</\1>", "", similarity_plane(u=(1.0, 0.0), v=(0.0, 2.0)).html(), flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    assert "inner product 0.00, gradient in v (1.00, 0.00)" in text
    assert "Euclidean distance 2.24, gradient in v (−0.45, 0.89)" in text
    assert "cosine 0.00, gradient in v (0.50, 0.00)" in text


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
const table = (root) => [...root.querySelectorAll("td")].map((cell) => cell.textContent);
seen.start = [table(one), table(two)];
seen.keys = 0; // that reach the page, where a notebook would move to another cell
document.addEventListener("keydown", () => seen.keys++);
const press = (key) => one.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const aloud = () => one.querySelector("svg").getAttribute("aria-label");
[..."xx"].forEach(() => press("ArrowRight"));
press("ArrowUp");
seen.pressed = aloud();
const picture = one.querySelector("svg"), box = picture.getBoundingClientRect();
const point = (kind, x, y) => picture.dispatchEvent(new PointerEvent(kind, {
  bubbles: true, pointerId: 1, clientX: box.left + box.width * (x + 3) / 6, clientY: box.top + box.height * (3 - y) / 6 }));
point("pointerdown", -1, -1);
point("pointermove", -2, 1);
seen.dragged = aloud();
point("pointerup", -2, 1);
point("pointermove", 1, 1);
seen.released = aloud();
point("pointerdown", 9, 9);
seen.outside = aloud();
const [turns, lengthens] = one.querySelectorAll("input[type=range]");
const slide = (slider, value) => { slider.value = value; slider.dispatchEvent(new Event("input")); };
slide(turns, 90);
slide(lengthens, 2);
seen.slid = [aloud(), ...[...one.querySelectorAll("output")].map((o) => o.textContent)];
slide(lengthens, 0);
seen.none = [...one.querySelectorAll("output")].map((o) => o.textContent);
slide(turns, -60);
seen.again = [...one.querySelectorAll("output")].map((o) => o.textContent);
seen.pushed = [...one.querySelectorAll("button")].map((button) => {
  button.click();
  return [button.textContent, table(one), one.querySelector(".says").textContent];
});
seen.labels = [...one.querySelectorAll("label")].map((l) => l.textContent);
seen.other = table(two);
seen.bad = [...document.querySelectorAll("svg [d]")].filter((p) => /NaN|undefined/.test(p.getAttribute("d"))).length;
seen.sideways = [one.scrollWidth, one.clientWidth];
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    """On a page as narrow as a phone, two of them: every way to move v moves one and leaves the other alone."""
    widget = similarity_plane(v=(-1.0, 1.0))
    page = widget.page().replace("margin:16px", "margin:16px;width:328px")
    page = page.replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["bad"] == 0
    assert seen["start"][0] == seen["start"][1] == seen["other"]
    assert seen["start"][0][:3] == ["−0.75", "(1.50, 0.75)", "1.68"]
    assert "v = (−0.80, 1.10)" in seen["pressed"] and seen["keys"] == 0
    assert "v = (−2.00, 1.00)" in seen["dragged"] == seen["released"]
    assert "v = (3.00, 3.00)" in seen["outside"]
    assert "inner product 0.00" in seen["slid"][0] and seen["slid"][1:] == ["90°", "2.00"]
    assert seen["none"] == ["none", "0.00"] and seen["again"] == ["−60°", "1.00"]
    by_name = {name: (cells, says) for name, cells, says in seen["pushed"]}
    assert by_name["v = u"][0][3:6] == ["0.00", "(0.00, 0.00)", "0.00"] and "kink" in by_name["v = u"][1]
    assert by_name["v = 1.5 u"][0][::3] == ["4.22", "0.84", "1.00"]
    assert by_name["v = −u"][0][6:] == ["−1.00", "(0.00, 0.00)", "0.00"]
    assert by_name["v = 0"][0][6:] == ["0.00", "(0.00, 0.00)", "0.00"]
    assert [label.split(" ")[0] for label in seen["labels"]] == ["angle", "length"]
    assert seen["sideways"][0] <= seen["sideways"][1]
