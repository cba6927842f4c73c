"""The widget circle_forces: its script computes what minicl computes, and views move by hand, key, slider and button."""

import html
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import circle_forces
from minicl.viz.circle_forces import EXAMPLES, forces


@pytest.fixture(scope="module")
def javascript():
    return engine_with(circle_forces())


def views(angles):
    angles = np.asarray(angles)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def close(found, expected, unit):
    return np.abs(np.asarray(found, float) - expected).max() <= 1e-9 * max(unit, np.abs(expected).max())


def test_the_script_computes_what_minicl_computes(javascript, rng):
    for _ in range(80):
        n, t = int(rng.integers(1, 6)), float(np.exp(rng.uniform(np.log(0.05), np.log(5))))
        angles = rng.uniform(-7, 7, 2 * n)
        seen = javascript.call("minicl.circleForces.solve", angles.tolist(), t)
        losses, force = forces(angles, t)
        z = views(angles)
        assert close(seen["losses"], losses, 1) and abs(seen["loss"] - mc.nt_xent(z, temperature=t)) < 1e-9 / t
        assert close(seen["forces"], force, 1 / (2 * n * t))
        _, gradient = mc.value_and_grad(lambda z, t=t: mc.nt_xent(z, temperature=t), z)
        turned = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
        assert close(seen["forces"], -(gradient[0] * turned).sum(1), 1 / (2 * n * t))
        p = np.array(seen["probabilities"])
        assert np.abs(p.sum(1) - 1).max() < 1e-12 and not np.diag(p).any()
        assert close(np.array(seen["asAnchor"]) + seen["asCandidate"], seen["forces"], 1e-300)
        assert close(np.sum(seen["pushes"], axis=1), seen["asAnchor"], 1 / (2 * n * t))


def test_the_half_as_an_anchor_is_the_gradient_of_its_own_loss(javascript, rng):
    angles, t = rng.uniform(0, 6, 6), 0.3
    seen = javascript.call("minicl.circleForces.solve", angles.tolist(), t)
    for i in range(6):
        own = lambda a, i=i: mc.nt_xent(mc.stack([mc.cos(a), mc.sin(a)], axis=1), temperature=t, reduction="none")[i]
        _, (slope,) = mc.value_and_grad(own, angles)
        assert abs(seen["asAnchor"][i] + slope[i] / 6) < 1e-12


@pytest.mark.parametrize("images, t", [(1, 0.5), (2, 0.1), (3, 0.5), (5, 2.0)])
def test_the_floor_is_the_loss_of_the_polygon(javascript, images, t):
    corners = 2 * np.pi * np.arange(images) / images
    floor = javascript.call("minicl.circleForces.floor", images, t)
    assert abs(floor - mc.nt_xent(views([*corners, *corners]), temperature=t)) < 1e-12


def test_steps_lower_the_loss_and_collapse_is_left(javascript):
    for title in EXAMPLES:
        angles = np.radians(np.ravel(EXAMPLES[title])).tolist()
        before = javascript.call("minicl.circleForces.solve", angles, 0.5)["loss"]
        for _ in range(200):
            angles = javascript.call("minicl.circleForces.step", angles, 0.5)
        after = javascript.call("minicl.circleForces.solve", angles, 0.5)["loss"]
        floor = javascript.call("minicl.circleForces.floor", 3, 0.5)
        assert after <= before + 1e-12 and after < floor + 1e-3, title
    stays = javascript.call("minicl.circleForces.step", [1.0] * 6, 0.5)
    assert stays == [1.0] * 6  # exactly at collapse there is no force


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0, 1], None), "both views"),
        (([0, 1], [2]), "equally long"),
        ((range(6), range(6)), "1 to 5"),
        (([], []), "1 to 5"),
        (([np.nan], [0]), "equally long"),
        (([0], [1], 0.01), "temperature"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        circle_forces(*arguments)


def test_nothing_is_asked_from_outside_and_without_scripts_the_numbers_remain():
    piece = circle_forces([10, 200], [30, 170], 0.2).html()
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)
    text = html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<(style|script)>.*?</\1>", "", piece, flags=re.S)))
    losses, _ = forces(np.radians([10, 200, 30, 170]), 0.2)
    assert f"view 2′ at 170°, loss {losses[3]:.2f}" in text and f"Mean loss {losses.mean():.3f}" in text


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [], keys: 0 };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
document.addEventListener("keydown", () => seen.keys++);
const says = (root) => root.querySelector(".says").textContent;
const balls = () => [...one.querySelectorAll(".ball")];
seen.start = says(one);
balls()[4].dispatchEvent(new FocusEvent("focus")); // focus() alone says nothing where the window has none
seen.focused = says(one);
const press = (key) => balls()[4].dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const angle = () => Number(balls()[4].getAttribute("aria-valuenow"));
seen.angles = [angle(), (press("ArrowLeft"), angle()), (press("PageDown"), angle())];
const tau = one.querySelector("input");
tau.value = String(Math.log(0.1));
tau.dispatchEvent(new Event("input"));
seen.tau = one.querySelector("output").textContent;
const button = (text) => [...one.querySelectorAll("button")].find((b) => b.textContent === text);
const loss = () => Number(one.querySelector(".totals").textContent.match(/L = (\\d+\\.\\d+)/)[1]);
seen.losses = [loss(), (button("1 step").click(), loss()), (button("50 steps").click(), loss())];
const select = one.querySelector("select");
select.selectedIndex = 1;
select.dispatchEvent(new Event("change"));
seen.collapse = one.querySelector(".totals").textContent;
const box = one.querySelector("svg").getBoundingClientRect();
const ball = balls()[0];
ball.setPointerCapture = () => {};
ball.hasPointerCapture = () => true;
ball.dispatchEvent(new PointerEvent("pointerdown", { pointerId: 1 }));
ball.dispatchEvent(new PointerEvent("pointermove", { pointerId: 1, clientX: box.left + 5, clientY: box.top + box.height / 2 }));
seen.dragged = Number(ball.getAttribute("aria-valuenow"));
seen.other = says(two);
seen.aloud = balls()[4].getAttribute("aria-label") + " " + balls()[4].getAttribute("aria-valuetext");
document.querySelectorAll(".minicl-widget").forEach((w) => { w.style.width = "380px"; });
seen.wide = Math.max(...[one, ...one.querySelectorAll("*")].map((e) => e.scrollWidth - Math.max(e.clientWidth, 380)));
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    widget = circle_forces()
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == [] and seen["keys"] == 0
    assert seen["start"].startswith("Anchor 1: ") and seen["focused"].startswith("Anchor 2′: it picks its partner 2 ")
    assert seen["angles"] == [165, 168, 138] and seen["tau"] == "0.10"
    assert seen["losses"][0] > seen["losses"][1] > seen["losses"][2]
    assert re.search(r"L = 1\.60\d\. At collapse 1\.609", seen["collapse"])
    assert seen["dragged"] == 180 and seen["other"] == seen["start"]
    assert re.match(r"view 2 of image 2 \d+°, loss \d", seen["aloud"])
    assert seen["wide"] <= 0
