"""The widget false_negatives: its script computes what Python computes, Python what the losses say, and it moves."""

import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import false_negatives
from minicl.viz.false_negatives import CLASSES, IMAGES, angles, chance, losses


@pytest.fixture(scope="module")
def javascript():
    return engine_with(false_negatives())


def close(found, expected):
    return abs(found - expected) <= 1e-9 * max(1.0, abs(expected))


def test_the_script_computes_what_python_computes(javascript, rng):
    for classes in CLASSES:
        for images in IMAGES:
            temperature = float(rng.uniform(0.05, 1))
            assert close(javascript.call("minicl.falseNegatives.chance", classes, images), chance(classes, images))
            seen = javascript.call("minicl.falseNegatives.angles", classes, images)
            assert np.abs(np.array(seen) - angles(classes, images)).max() < 1e-9
            seen = javascript.call("minicl.falseNegatives.losses", classes, images, temperature)
            expected = losses(classes, images, temperature)
            assert set(seen) == set(expected) and all(close(seen[name], expected[name]) for name in expected)


@pytest.mark.parametrize("classes, images, temperature", [(2, 4, 0.5), (4, 16, 0.2), (10, 32, 0.05), (100, 8, 1.0)])
def test_the_losses_are_those_of_the_library(classes, images, temperature):
    angle = angles(classes, images)
    z = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = losses(classes, images, temperature)
    first = lambda loss, **more: loss(z, temperature=temperature, reduction="none", **more)[0]
    assert abs(found["all"] - first(mc.nt_xent)) < 1e-9
    assert abs(found["debiased"] - first(mc.losses.debiased, class_prior=1 / classes)) < 1e-9
    number = np.arange(2 * images) % images
    kept = (number % classes != 0) | (number == 0)  # no image of the anchor's class, but itself
    alone = mc.nt_xent(z[kept], temperature=temperature, reduction="none")[0]
    assert abs(found["removed"] - alone) < 1e-9 and found["count"] == (~kept).sum()
    s = (z @ z[0]) / temperature
    assert abs(found["share"] - np.exp(s[~kept]).sum() / np.exp(s[number != 0]).sum()) < 1e-9


def test_the_chance_is_that_of_random_batches(rng):
    for classes, images in ((2, 2), (4, 3), (10, 8)):
        labels = rng.integers(0, classes, (40_000, images))
        found = (labels[:, 1:] == labels[:, :1]).any(axis=1).mean()
        p = chance(classes, images)
        assert abs(found - p) < 5 * np.sqrt(p * (1 - p) / 40_000)
    assert 1 - chance(10, 128) == pytest.approx(0.9**127, rel=1e-6)


@pytest.mark.parametrize("bad", [{"classes": 7}, {"images": 3}, {"temperature": 0.01}, {"temperature": 2.0}])
def test_what_cannot_be_shown_is_refused(bad):
    with pytest.raises(ValueError, match="false_negatives: "):
        false_negatives(**bad)


def test_nothing_is_asked_from_outside():
    piece = false_negatives().html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)


def test_without_scripts_the_picture_and_its_numbers_remain():
    rest = re.sub(r"<(style|script)>.*?</\1>", "", false_negatives(classes=10, images=32).html(), flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    assert f"loss with all negatives: {losses(10, 32, 0.2)['all']:.3f}" in text


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
const says = (root) => root.querySelector(".says").textContent;
const outputs = (root) => [...root.querySelectorAll("output")].map((o) => o.textContent);
seen.start = says(one);
const move = (k, value) => {
  const slider = one.querySelectorAll("input[type=range]")[k];
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
};
move(0, 6);
move(1, 4);
move(2, 9);
seen.moved = says(one);
seen.outputs = outputs(one);
seen.aloud = [...one.querySelectorAll("svg")].map((s) => s.getAttribute("aria-label"));
seen.false = one.querySelectorAll("svg circle.false").length;
seen.other = says(two);
seen.labels = [...one.querySelectorAll("input[type=range]")].map((i) => i.getAttribute("aria-label"));
move(1, 6);
seen.many = one.querySelectorAll("svg circle").length;
one.querySelector("button").click();
seen.reset = [outputs(one), says(one)];
seen.bad = [...document.querySelectorAll("svg *")].filter((p) => /NaN|undefined/.test(p.outerHTML)).length;
seen.sideways = [one.scrollWidth, one.clientWidth];
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    """On a page as narrow as a phone: the sliders of one widget move it, and leave the other alone."""
    widget = false_negatives()
    page = widget.page().replace("margin:16px", "margin:16px;width:328px")
    page = page.replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["bad"] == 0
    assert seen["start"] == seen["other"] == seen["reset"][1]  # the second did not move
    assert seen["outputs"] == ["10", "32", "0.5"] and seen["reset"][0] == ["10", "64", "0.2"]
    found = losses(10, 32, 0.5)
    assert f"with probability {100 * chance(10, 32):.3g}\u00a0%" in seen["moved"]
    assert f"Loss {found['all']:.3g}; without the false negatives {found['removed']:.3g}; debiased" in seen["moved"]
    assert f"{found['count']} of 62 negatives are of the anchor’s class" in seen["aloud"][0]
    assert seen["false"] == found["count"]
    assert seen["many"] == 1 + 2 * 128 + 1  # the rim, all views, the point on the curve
    assert seen["labels"] == ["classes C", "images N", "temperature τ"]
    assert seen["sideways"][0] <= seen["sideways"][1]
