"""The widget noise_classifier: its script computes what Python computes, and it moves with its sliders."""

import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

from minicl.viz import noise_classifier
from minicl.viz.noise_classifier import DATA, error_share, log_data, log_noise, posterior

MIXTURES = [DATA, ((1.0, 0.0, 1.0),), ((0.2, -2.0, 0.3), (0.3, 0.0, 1.5), (0.5, 2.5, 0.4))]


@pytest.fixture(scope="module")
def javascript():
    return engine_with(noise_classifier())


def close(found, expected):
    return abs(found - expected) <= 1e-9 * max(1.0, abs(expected))


@pytest.mark.parametrize("data", MIXTURES)
def test_the_script_computes_what_python_computes(javascript, data, rng):
    for _ in range(60):
        x, mean = (float(v) for v in rng.uniform([-30, -4], [30, 4]))
        width, nu = float(rng.uniform(0.2, 4)), 2 ** int(rng.integers(7))
        seen = javascript.call("minicl.noiseClassifier.at", data, x, mean, width, nu)
        logit = log_data(x, data) - log_noise(x, mean, width) - np.log(nu)
        assert close(seen["p"], np.exp(log_data(x, data))) and close(seen["q"], np.exp(log_noise(x, mean, width)))
        assert close(seen["logit"], logit) and close(seen["posterior"], posterior(x, mean, width, nu, data))
        assert close(seen["article"], np.exp(log_data(x, data)) / (np.exp(log_data(x, data)) + 1))


def test_the_error_of_the_best_classifier_is_the_same_in_both(javascript, rng):
    for data in MIXTURES:
        for _ in range(20):
            mean, width, nu = float(rng.uniform(-4, 4)), float(rng.uniform(0.2, 4)), 2 ** int(rng.integers(7))
            assert close(
                javascript.call("minicl.noiseClassifier.errorShare", data, mean, width, nu),
                error_share(mean, width, nu, data),
            )


def test_known_answers(javascript):
    """Noise like the data: one in 1 + ν. Equal heights: one half. The sides swapped: the rest to 1."""
    same = [[1.0, 0.5, 0.8]]
    for nu in (1, 4, 64):
        assert close(javascript.call("minicl.noiseClassifier.posterior", same, 1.7, 0.5, 0.8, nu), 1 / (1 + nu))
        assert abs(javascript.call("minicl.noiseClassifier.errorShare", same, 0.5, 0.8, nu) - 1 / (1 + nu)) < 1e-8
    assert close(javascript.call("minicl.noiseClassifier.posterior", [[1.0, -1.0, 1.0]], 0.0, 1.0, 1.0, 1), 0.5)
    for x in (-3.0, 0.2, 2.0):
        one = javascript.call("minicl.noiseClassifier.posterior", [[1.0, 0.0, 1.0]], x, 1.0, 2.0, 1)
        other = javascript.call("minicl.noiseClassifier.posterior", [[1.0, 1.0, 2.0]], x, 0.0, 1.0, 1)
        assert close(one + other, 1.0)
    assert close(javascript.call("minicl.noiseClassifier.posterior", [[1.0, 0.0, 1.0]], 500.0, 0.0, 0.2, 1), 1.0)


def test_the_posterior_is_the_share_of_data_among_all_points():
    """Its mean over all points, data and noise, is 1 / (1 + ν), whatever the densities."""
    x = np.linspace(-20, 20, 8001)
    p, q = np.exp(log_data(x)), np.exp(log_noise(x, 0.7, 1.3))
    for nu in (1, 5, 32):
        mean = np.trapezoid(posterior(x, 0.7, 1.3, nu) * (p + nu * q), x) / (1 + nu)
        assert abs(mean - 1 / (1 + nu)) < 1e-9


@pytest.mark.parametrize(
    "options, message",
    [
        ({"nu": 3}, "power of 2"),
        ({"width": 0.0}, "0.2 to 4"),
        ({"mean": 9.0}, "−4 to 4"),
        ({"x": 6.0}, "−5 to 5"),
        ({"data": [(0.5, 0.0, 1.0)]}, "sum to 0.5"),
        ({"data": [(1.0, 0.0, -1.0)]}, "widths above 0"),
    ],
)
def test_what_cannot_be_shown_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        noise_classifier(**options)


def test_nothing_is_asked_from_outside():
    piece = noise_classifier().html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)


def test_without_scripts_the_picture_and_its_numbers_remain():
    rest = re.sub(r"<(style|script)>.*?</\1>", "", noise_classifier(x=1.0, nu=4).html(), flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    assert f"is data with probability {100 * posterior(1.0, 0.0, 1.5, 4):.1f}\u00a0%" in text


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
const says = (root) => root.querySelector(".says").textContent;
seen.start = says(one);
const move = (k, value) => {
  const slider = one.querySelectorAll("input[type=range]")[k];
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
};
move(0, 0.5);
move(1, 2);
move(2, 3);
move(3, 1);
seen.moved = says(one);
seen.outputs = [...one.querySelectorAll("output")].map((o) => o.textContent);
seen.aloud = one.querySelector("svg").getAttribute("aria-label");
seen.other = says(two);
seen.labels = [...one.querySelectorAll("input[type=range]")].map((i) => i.getAttribute("aria-label"));
const before = one.querySelectorAll("svg path.article").length;
one.querySelector("input[type=checkbox]").click();
seen.article = [before, one.querySelectorAll("svg path.article").length, says(one)];
move(2, 6);
seen.circles = one.querySelectorAll("svg circle").length;
one.querySelector("button").click();
seen.reset = [...one.querySelectorAll("output")].map((o) => o.textContent);
seen.bad = [...document.querySelectorAll("svg [d]")].filter((p) => /NaN|undefined/.test(p.getAttribute("d"))).length;
seen.sideways = [one.scrollWidth, one.clientWidth];
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    """On a page as narrow as a phone: the sliders of one widget move it, and leave the other alone."""
    widget = noise_classifier()
    page = widget.page().replace("margin:16px", "margin:16px;width:328px")
    page = page.replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["bad"] == 0
    assert seen["start"] == seen["other"]  # the second did not move
    assert seen["outputs"] == ["0.5", "2", "8", "1"] and seen["reset"] == ["0", "1.5", "2", "0"]
    right = f"{100 * posterior(1.0, 0.5, 2.0, 8):.3g}\u00a0%"
    assert f"is data with probability {right}." in seen["moved"] and right in seen["aloud"]
    assert f"the best classifier for {100 * error_share(0.5, 2.0, 8):.3g}\u00a0%" in seen["moved"]
    assert seen["labels"] == [
        "mean of the noise",
        "width of the noise",
        "ν, noise points for each data point",
        "the point x",
    ]
    assert seen["article"][:2] == [0, 1] and "it does not know the noise" in seen["article"][2]
    assert seen["circles"] == 2  # 64 times the noise is above the picture
    assert seen["sideways"][0] <= seen["sideways"][1]
