"""The temperature widget: the shipped script computes what minicl computes, and the page needs nothing from outside."""

import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import temperature_bars
from minicl.viz.temperature_bars import shares


@pytest.fixture(scope="module")
def javascript():
    return engine_with(temperature_bars())


def expected(z, anchor, tau):
    """The same numbers with minicl, and with formulas written from the definitions."""
    n = len(z) // 2
    loss, gradients = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, tau), z[:n], z[n:])
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    partner = (anchor + n) % (2 * n)
    rows = [k for k in range(2 * n) if k not in (anchor, partner)]
    s, sp = u[rows] @ u[anchor], u[partner] @ u[anchor]
    rho, p = mc.softmax(s / tau), mc.softmax(np.append(s, sp) / tau)
    entropy = -(rho * np.log(np.maximum(rho, 1e-300))).sum()
    return {
        "rows": rows,
        "s": s,
        "shares": rho,
        "sp": sp,
        "entropy": entropy,
        "effective": np.exp(entropy),
        "slope": (rho * (s - rho @ s) ** 2).sum() / tau**3,
        "repulsion": p[:-1].sum() / tau,
        "loss": loss,
        "norm": np.sqrt(sum((g * g).sum() for g in gradients)),
    }


@pytest.mark.parametrize("which", range(3))
def test_the_script_computes_what_minicl_computes(javascript, which, rng):
    z = np.array(temperature_bars().data[which]["z"])
    for tau in 10 ** np.linspace(-2, 1, 61):
        anchor = int(rng.integers(len(z)))
        z = z * rng.uniform(0.5, 2, size=(len(z), 1))  # lengths change the gradient alone
        found = javascript.call("minicl.temperatureBars.solve", z.tolist(), anchor, float(tau))
        right = expected(z, anchor, tau)
        assert set(found) == set(right)
        for name, value in right.items():
            # The gradient of a batch that is solved is a difference of numbers near 1.
            apart = np.abs(np.asarray(found[name]) - value).max()
            assert apart <= 1e-9 * max(np.abs(value).max(), 1e-3), (name, tau)


def test_the_gradient_of_the_script_is_that_of_minicl_entry_by_entry(javascript, rng):
    z = rng.standard_normal((10, 3))
    for tau in (0.05, 0.5, 3.0):
        found = np.array(javascript.call("minicl.temperatureBars.whole", z.tolist(), tau)["gradient"])
        _, gradients = mc.value_and_grad(lambda a, b, tau=tau: mc.nt_xent(a, b, tau), z[:5], z[5:])
        right = np.concatenate(gradients)
        assert np.abs(found - right).max() <= 1e-12 * np.abs(right).max()


def test_the_examples_show_what_their_notes_say(javascript):
    solve = lambda batch, tau: javascript.call("minicl.temperatureBars.solve", batch["z"], batch["anchor"], tau)
    early, late, alike = temperature_bars().data
    assert solve(early, 0.01)["norm"] > 5 * solve(early, 0.1)["norm"] > 25 * solve(early, 1.0)["norm"]
    assert solve(late, 0.01)["norm"] < 1e-6 < 1e-2 < solve(late, 1.0)["norm"]
    against = lambda tau: sum(
        p for k, p in zip(solve(alike, tau)["rows"], solve(alike, tau)["shares"]) if k in alike["special"]
    )
    assert against(0.1) > 0.95 and against(10.0) < 0.25


def test_the_picture_that_needs_no_script_has_the_same_shares(javascript):
    batch = temperature_bars().data[2]
    found = javascript.call("minicl.temperatureBars.solve", batch["z"], batch["anchor"], 0.5)
    rows, s, parts = shares(batch, 0.5)
    assert sorted(rows) == found["rows"] and (np.diff(s) <= 0).all()
    assert np.abs(parts - np.array(found["shares"])[[found["rows"].index(k) for k in rows]]).max() < 1e-12


def test_a_batch_of_your_own_comes_first(rng):
    z1, z2 = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    data = temperature_bars(z1, mc.tensor(z2), anchor=4).data
    assert len(data) == 4 and data[0]["anchor"] == 4
    assert np.array_equal(data[0]["z"], np.concatenate([z1, z2]))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.ones((2, 3)),), "both z1 and z2"),
        ((np.ones((2, 3)), np.ones((3, 3))), "give two of one shape"),
        ((np.ones((1, 3)), np.ones((1, 3))), "N from 2 to 16"),
        ((np.ones((2, 3)), np.zeros((2, 3))), "a row is zero"),
        ((np.ones((2, 3)), np.full((2, 3), np.nan)), "NaN"),
        ((np.ones((2, 3)), np.ones((2, 3)), 4), "anchor 4 is none of the 4 views"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        temperature_bars(*arguments)


def test_nothing_is_asked_from_outside_and_without_scripts_the_numbers_remain():
    piece = temperature_bars().html()
    assert piece.count("</script>") == 1
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)
    rest = re.sub(r"<(style|script)>.*?</\1>", "", piece, flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest and "at temperature 0.5: image " in rest


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const [one, two] = document.querySelectorAll(".minicl-widget");
seen.keys = 0;
document.addEventListener("keydown", () => seen.keys++);
const says = (root) => root.querySelector(".says").textContent;
const slider = one.querySelector("input");
seen.start = says(one);
slider.value = "1";
slider.dispatchEvent(new Event("input"));
seen.hot = says(one);
one.dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));
seen.cold = [says(one), slider.getAttribute("aria-valuetext")];
const select = one.querySelector("select");
select.selectedIndex = 2;
select.dispatchEvent(new Event("change"));
seen.special = one.querySelectorAll(".special").length;
seen.aloud = [...one.querySelectorAll("svg")].map((picture) => picture.getAttribute("aria-label"));
seen.other = says(two);
seen.wide = Math.max(document.documentElement.scrollWidth, ...[...one.querySelectorAll("*")].map((e) => e.getBoundingClientRect().right));
seen.room = window.innerWidth;
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    """Two of them on one narrow page: slider, keys and choice move the one and leave the other alone."""
    widget = temperature_bars()
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path, "--window-size=380,900")
    assert seen["errors"] == [] and seen["requests"] == [] and seen["keys"] == 0
    assert seen["start"].startswith("At τ = 0.5, ") and seen["other"] == seen["start"]
    assert seen["hot"].startswith("At τ = 10, 10 of 10 negatives take part")
    assert seen["cold"][0].startswith("At τ = 0.01, 1 of 10 negatives take part")
    assert seen["cold"][1] == "temperature 0.01" and seen["special"] == 2
    assert seen["aloud"][0].startswith("Shares of the push at temperature 0.01: image B, view ")
    assert all(seen["aloud"]) and len(seen["aloud"]) == 3
    assert seen["wide"] <= seen["room"] + 0.5
