"""The queue widget: its script puts keys where minicl's queue puts them, and its lag is that of the momentum update."""

import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import momentum_queue
from minicl.viz.momentum_queue import MOMENTA, behind, lag, slots


@pytest.fixture(scope="module")
def javascript():
    return engine_with(momentum_queue())


def close(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return found.shape == expected.shape and bool((np.abs(found - expected) <= 1e-9 * np.maximum(1, expected)).all())


def test_the_lag_of_the_script_is_that_of_the_updates(javascript):
    """A key encoder that follows one parameter, by the rule of minicl.train.MoCo."""
    for m in [*MOMENTA, 0.123, 0.6543]:
        slow = 0.0
        for steps in range(60):
            assert close(javascript.call("minicl.momentumQueue.lag", m, steps), steps - slow)
            assert close(lag(m, steps), steps - slow)
            slow = m * slow + (1 - m) * (steps + 1)  # after the step the query encoder is one further


def test_slots_hold_what_the_queue_of_minicl_holds(javascript):
    for size, batch in [(10, 4), (5, 2), (6, 3), (7, 7), (3, 1), (16, 5), (2, 2)]:
        queue = mc.train.Queue(np.full((size, 2), -1.0))
        for steps in range(12):
            found = javascript.call("minicl.momentumQueue.slots", size, batch, steps)
            assert [-1 if s is None else s["key"] for s in found] == queue.rows[:, 0].tolist()
            assert [-1 if s is None else s["step"] for s in found] == queue.rows[:, 1].tolist()
            ours = slots({"size": size, "batch": batch, "steps": steps})
            assert [(-1, -1) if s is None else s for s in ours] == [tuple(row) for row in queue.rows.astype(int)]
            keys = np.arange(batch * steps, batch * (steps + 1.0))
            queue.put(np.stack([keys, np.full(batch, steps + 1.0)], axis=1))


def test_makers_are_behind_by_age_and_lag(javascript, rng):
    for _ in range(60):
        size = int(rng.integers(2, 17))
        batch, steps, m = int(rng.integers(1, size + 1)), int(rng.integers(0, 50)), float(rng.choice(MOMENTA))
        found = javascript.call("minicl.momentumQueue.makers", size, batch, steps, m)
        positions = [0.0]  # of the key encoder after each update
        for t in range(1, steps + 1):
            positions.append(m * positions[-1] + (1 - m) * t)
        assert close([f["behind"] for f in found], [steps - positions[f["step"] - 1] for f in found])
        ours = behind({"size": size, "batch": batch, "steps": steps, "momentum": m})
        assert [f["step"] for f in found] == [s for s, _ in ours]
        assert close([f["behind"] for f in found], [d for _, d in ours])
        held = sorted(s[0] for s in slots({"size": size, "batch": batch, "steps": steps}) if s)
        assert sorted(key for f in found for key in f["keys"]) == held


def test_a_large_momentum_makes_keys_alike_and_old():
    def ends(m):
        found = [d for _, d in behind({"size": 10, "batch": 4, "steps": 200, "momentum": m})]
        return found[-1], found[0] - found[-1]

    lags, spreads = zip(*map(ends, MOMENTA))
    assert list(lags) == sorted(lags) and list(spreads) == sorted(spreads, reverse=True)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 1}, "size from 2 to 16"),
        ({"batch": 11}, "size 10 and batch 11"),
        ({"momentum": 0.7}, "the momentum is 0.7; give one of 0, 0.5"),
        ({"steps": -1}, "from 0 to 1000"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        momentum_queue(**arguments)


def test_nothing_is_asked_from_outside_and_without_scripts_the_numbers_remain():
    piece = momentum_queue().html()
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)
    rest = re.sub(r"<(style|script)>.*?</\1>", "", piece, flags=re.S)
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    assert 'src="data:image/svg+xml;base64,' in rest
    assert "After 7 steps of 4 keys the 10 slots hold keys 20, 21, 22, 23, 24, 25, 26, 27, 18, 19." in text
    assert "m = 0: newest 1, oldest 3 steps behind" in text


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [], keys: 0 };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
document.addEventListener("keydown", () => seen.keys++);
const press = (root, key) => root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const says = (root) => root.querySelector(".says").textContent;
const aloud = (root) => [...root.querySelectorAll("svg")].map((s) => s.getAttribute("aria-label"));
const slider = one.querySelector("input");
const slide = (to) => { slider.value = to; slider.dispatchEvent(new Event("input")); };
seen.start = [says(one), aloud(one)];
one.querySelector("button.main").click();
seen.step = says(one);
press(one, "ArrowRight");
seen.arrow = says(one);
one.querySelectorAll("button")[1].click();
seen.ten = says(one);
slide(8);
seen.frozen = [says(one), slider.getAttribute("aria-valuetext")];
slide(0);
seen.copied = says(one);
press(one, "Home");
seen.home = [says(one), aloud(one)[0]];
seen.other = says(two);
seen.wide = Math.max(...[...document.querySelectorAll(".minicl-widget")].map((w) => w.scrollWidth - w.clientWidth));
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


@pytest.mark.parametrize("width", [380, 1000])
def test_in_a_browser(tmp_path, width):
    """Two of them on one page: buttons, keys and the slider move the one and leave the other alone."""
    widget = momentum_queue()
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    page = page.replace("margin:16px", f"margin:16px;width:{width - 32}px")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["keys"] == 0
    assert seen["start"][0].startswith("After 7 steps with m = 0.9: ")
    assert seen["start"][1][0].startswith("The queue after 7 steps. slot 0: key 20, age 1;")
    assert seen["start"][1][1].startswith(
        "Makers of the keys behind the query encoder, in steps. keys 24–27 of step 7: "
    )
    assert seen["step"].startswith("After 8 steps") and seen["arrow"].startswith("After 9 steps")
    assert seen["ten"].startswith("After 19 steps")
    assert "19 steps behind, the oldest from one 19 behind" in seen["frozen"][0] and seen["frozen"][1] == "m = 1"
    assert "1 steps behind, the oldest from one 3 behind" in seen["copied"]
    assert seen["home"][0] == "The queue holds noise. Make a step." and "slot 9: noise" in seen["home"][1]
    assert seen["other"] == seen["start"][0]
    assert seen["wide"] <= 0
