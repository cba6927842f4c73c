"""The widget noise_shift: its script computes what Python computes, and its sliders move all of it."""

import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

from minicl.train.word2vec import best_scores
from minicl.viz import noise_shift
from minicl.viz.noise_shift import COUNTS, WORDS, shift


@pytest.fixture(scope="module")
def javascript():
    return engine_with(noise_shift())


def symmetric(rng):
    table = rng.gamma(0.7, size=(6, 6)) + 1e-3
    return table + table.T


def test_the_script_computes_what_python_computes(javascript, rng):
    for _ in range(60):
        counts, k, exponent = symmetric(rng), int(rng.integers(1, 21)), float(rng.uniform())
        seen = javascript.call("minicl.noiseShift.scores", counts.tolist(), k, exponent)
        p = counts.sum(axis=0) / counts.sum()
        assert np.abs(np.array(seen["best"]) - best_scores(counts, k, exponent)).max() < 1e-9
        assert np.abs(np.array(seen["pmi"]) - (np.log(counts / counts.sum() / np.outer(p, p)) - np.log(k))).max() < 1e-9
        assert np.abs(np.array(seen["shift"]) - shift(counts, exponent)).max() < 1e-9
        assert np.abs(np.array(seen["p"]) - p).max() < 1e-9
        assert np.abs(np.array(seen["q"]) - p**exponent / (p**exponent).sum()).max() < 1e-9


def test_known_answers(javascript):
    table = [list(row) for row in COUNTS]
    assert max(map(abs, javascript.call("minicl.noiseShift.shift", table, 1))) < 1e-12  # unigram noise
    p = np.array(javascript.call("minicl.noiseShift.shares", table))
    assert np.abs(np.array(javascript.call("minicl.noiseShift.shift", table, 0)) - np.log(6 * p)).max() < 1e-12
    assert np.allclose(javascript.call("minicl.noiseShift.noise", [16 / 17, 1 / 17], 0.75), [8 / 9, 1 / 9], rtol=1e-12, atol=0)
    alone = javascript.call("minicl.noiseShift.scores", np.ones((6, 6)).tolist(), 5, 0.3)  # strangers: PMI is 0
    assert np.abs(np.array(alone["best"]) + np.log(5)).max() < 1e-12


@pytest.mark.parametrize(
    "options, message",
    [
        ({"negatives": 0}, "from 1 to 20"),
        ({"negatives": 2.5}, "whole number"),
        ({"exponent": 1.5}, "from 0 to 1"),
        ({"counts": np.eye(6)}, "above 0"),
        ({"counts": np.ones((3, 3))}, "6 by 6"),
        ({"counts": np.arange(1.0, 37).reshape(6, 6)}, "symmetric"),
        ({"words": ["a"]}, "six"),
    ],
)
def test_what_cannot_be_shown_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        noise_shift(**options)


def test_nothing_is_asked_from_outside():
    piece = noise_shift().html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)


def test_without_scripts_the_picture_and_its_numbers_remain():
    rest = re.sub(r"<(style|script)>.*?</\1>", "", noise_shift().html(), flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    assert "0.21 (the)" in text and "−0.43 (salt)" in text


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
const says = (root) => root.querySelector(".says").textContent;
const places = () => [...one.querySelectorAll("circle")].map((c) => Number(c.getAttribute("cy")));
const move = (k, value) => {
  const slider = one.querySelectorAll("input[type=range]")[k];
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
};
seen.start = says(one);
const before = places();
move(1, 0.5);
seen.moved = says(one);
seen.differ = places().filter((y, i) => Math.abs(y - before[i]) > 0.5).length;
move(1, 1);
seen.diagonal = [...one.querySelectorAll("circle")].map((c) => Number(c.getAttribute("cy")));
seen.unigram = says(one);
move(0, 20);
seen.outputs = [...one.querySelectorAll("output")].map((o) => o.textContent);
seen.aloud = one.querySelector("svg").getAttribute("aria-label");
seen.other = says(two);
seen.labels = [...one.querySelectorAll("input[type=range]")].map((i) => i.getAttribute("aria-label"));
seen.outside = [...one.querySelectorAll("circle")].filter((c) => c.getAttribute("cx") < 30 || c.getAttribute("cx") > 330).length;
one.querySelector("button").click();
seen.reset = [...one.querySelectorAll("output")].map((o) => o.textContent);
seen.circles = one.querySelectorAll("circle").length;
seen.bad = [...document.querySelectorAll("svg *")].filter((e) => [...e.attributes].some((a) => /NaN|undefined/.test(a.value))).length;
seen.sideways = [one.scrollWidth, one.clientWidth];
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    """On a page as narrow as a phone: the sliders of one widget move it, and leave the other alone."""
    widget = noise_shift()
    page = widget.page().replace("margin:16px", "margin:16px;width:328px")
    page = page.replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["bad"] == 0
    assert seen["start"] == seen["other"] and "the 0.21" in seen["start"] and "salt −0.43" in seen["start"]
    off = shift(COUNTS, 0.5)
    said = lambda value: f"{round(float(value), 2):g}".replace("-", "−")
    assert all(f"{word} {said(value)}" in seen["moved"] for word, value in zip(WORDS, off))
    assert seen["differ"] >= 30 and seen["circles"] == 36 and seen["outside"] == 0
    assert "all 36 best scores are PMI − log k" in seen["unigram"]
    assert seen["outputs"] == ["20", "1"] and seen["reset"] == ["5", "0.75"] and "k = 20" in seen["aloud"]
    assert seen["labels"] == ["k, negatives for each pair", "exponent of the noise"]
    assert seen["sideways"][0] <= seen["sideways"][1]
