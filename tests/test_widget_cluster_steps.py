"""The cost widget: its script computes what `minicl.parallel.cost` computes, and in a page its sliders move the step."""

import dataclasses
import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

from minicl.parallel.cost import Costs
from minicl.viz import cluster_steps
from minicl.viz.cluster_steps import seconds

COSTS = Costs(1e-3, 2e-3, 2e-9, 4e-9, 3e-5, 1.1e9, dim=64, parameters=250_000, norms=4)


@pytest.fixture(scope="module")
def javascript():
    return engine_with(cluster_steps(COSTS))


def test_the_script_computes_the_cost_model(javascript, rng):
    for _ in range(80):
        constants = 10 ** rng.uniform([-4, -4, -10, -10, -7, 8], [-1, -1, -8, -8, -3, 11])
        costs = Costs(*constants, dim=int(rng.integers(8, 512)), parameters=int(rng.integers(10**4, 10**8)), norms=3)
        workers, batch = int(rng.integers(1, 1025)), int(rng.integers(8, 10**5))
        given = dataclasses.asdict(costs)
        found = javascript.call("minicl.clusterSteps.seconds", given, workers, batch)
        expected = seconds(costs, workers, batch)
        for part, value in expected.items():
            assert abs(found[part] - value) <= 1e-9 * value
        step = javascript.call("minicl.clusterSteps.total", found)
        assert abs(step - costs.total(workers, batch)) <= 1e-9 * step
        where = javascript.call("minicl.clusterSteps.balance", given, 64)
        assert abs(where - costs.balance(64)) <= 1e-9 * where


def test_what_is_no_place_of_the_slider_is_refused():
    with pytest.raises(ValueError, match="cluster_steps: images is 60; give one of 8, 16"):
        cluster_steps(COSTS, images=60)


def test_nothing_is_asked_from_outside():
    piece = cluster_steps(COSTS).html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)


def test_without_scripts_a_table_remains():
    rest = re.sub(r"<(style|script)>.*?</\1>", "", cluster_steps(COSTS).html(), flags=re.S)
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    assert "at R = 977" in text and re.search(r"1024\s+66\s", text)


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
const says = (root) => root.querySelector(".says").textContent;
const slide = (input, to) => { input.value = to; input.dispatchEvent(new Event("input")); };
const inputs = [...one.querySelectorAll("input[type=range]")];
seen.start = [says(one), says(two)];
slide(inputs[0], 4);
seen.more = says(one);
slide(inputs[1], 9);
seen.slow = says(one);
const box = one.querySelector("input[type=checkbox]");
one.querySelector("button").click();
box.checked = false;
box.dispatchEvent(new Event("change"));
seen.fixed = says(one);
seen.picture = one.querySelector("svg").getAttribute("aria-label");
one.querySelector("button").click();
seen.reset = says(one);
seen.labels = inputs.map((i) => [i.getAttribute("aria-label"), i.getAttribute("aria-valuetext")]);
seen.wide = Math.max(...[...document.querySelectorAll(".minicl-widget")].map((w) => w.scrollWidth - w.clientWidth));
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


@pytest.mark.parametrize("width", [380, 1000])
def test_in_a_browser(tmp_path, width):
    """Two of them on one page: sliders, box and button move the one and leave the other alone."""
    widget = cluster_steps(COSTS)
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    # Headless Chromium opens no window narrower than 500 pixels; the body is made as narrow as a phone instead.
    page = page.replace("margin:16px", f"margin:16px;width:{width - 32}px")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == []
    assert seen["start"][0] == seen["start"][1] == seen["reset"]
    assert "overtakes the encoder at R = 977." in seen["start"][0]
    assert f"at R = {COSTS.balance(128):.0f}." in seen["more"]
    assert "beyond 1024 workers" in seen["slow"]
    steps = {R: COSTS.total(R, 4096) for R in (2**k for k in range(1, 11))}
    best = min(steps, key=steps.get)
    assert f"Fastest with {best} workers: {np.round(1e3 * steps[best]):.0f} ms" in seen["fixed"]
    assert f"1024 workers: {1e3 * steps[1024]:.0f} ms" in seen["picture"]
    assert seen["labels"][1] == ["e, for an image", "1 ms"] and len(seen["labels"]) == 4
    assert seen["wide"] <= 0
