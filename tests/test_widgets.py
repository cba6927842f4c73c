"""The widgets: the script that is shipped computes what minicl computes, and the page needs nothing from outside."""

import html
import json
import re

import numpy as np
import pytest
from widgets import engine_with, seen_in_a_browser

import minicl as mc
from minicl.viz import backward_stepper
from minicl.viz.backward_stepper import EXAMPLES, OPERATIONS

# Every operation at least once, constants on both sides, values that are used several times.
EVERYTHING = (
    "p = a * b - 2; q = sqrt(a) / b; r = exp(-q) + log(a) + relu(p); s = sin(r) * cos(r) + sigmoid(q); "
    "t = tanh(s) ** 3 + 2 ** q; L = square(t) + a ** b"
)


@pytest.fixture(scope="module")
def javascript():
    return engine_with(backward_stepper())


def all_programs():
    widget = backward_stepper(EVERYTHING, a=1.3, b=0.7)
    return {p["title"]: p for p in widget.data}


PROGRAMS = all_programs()
RANGES = {EVERYTHING: (0.2, 2.0)}


def tensors(program, leaves):
    """The nodes of a program as Tensors, computed anew."""
    found, leaves = [], iter(leaves)
    for node in program["nodes"]:
        if "op" not in node:
            found.append(mc.tensor(float(next(leaves))))
            continue
        args = [found[a] if isinstance(a, int) else a["constant"] for a in node["args"]]
        found.append(getattr(mc, node["op"])(*args))
    return found


def recursive(program, leaves):
    """Gradients of the engine without an order: send to all arguments, then go down into each of them at once."""
    nodes = tensors(program, leaves)
    place = {x.birth: k for k, x in enumerate(nodes)}
    gradients = np.zeros(len(nodes))
    gradients[-1] = 1

    def visit(x):
        if x.origin is None:
            return
        arguments = [a for a in x.origin.args if isinstance(a, mc.Tensor)]
        copies = [mc.tensor(a.data) for a in arguments]  # so that each place of one value has its own derivative
        rest = iter(copies)
        again = x.origin.op(*[next(rest) if isinstance(a, mc.Tensor) else a for a in x.origin.args], **x.origin.params)
        for a, slope in zip(arguments, mc.grad(again, copies)):
            gradients[place[a.birth]] += gradients[place[x.birth]] * slope
        for a in arguments:
            visit(a)

    visit(nodes[-1])
    return gradients


def close(found, expected, tolerance=1e-9):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("title", PROGRAMS)
def test_the_script_computes_what_minicl_computes(javascript, title, rng):
    program = PROGRAMS[title]
    low, high = RANGES.get(title, (-3.0, 3.0))
    for _ in range(60):
        leaves = rng.uniform(low, high, size=len(program["leaves"])).tolist()
        solved = javascript.call("minicl.backwardStepper.solve", program["nodes"], leaves)
        nodes = tensors(program, leaves)
        exact = mc.grad(nodes[-1], nodes)
        assert close(solved["values"], [x.item() for x in nodes])
        assert close(solved["inOrder"]["gradients"], exact)
        assert close(solved["recursive"]["gradients"], recursive(program, leaves))
        of_leaves = [g for x, g in zip(nodes, exact) if x.origin is None]
        assert close(solved["measured"], of_leaves, 1e-4 if title == EVERYTHING else 1e-7)


def test_every_operation_is_in_the_script_and_in_the_parity_test(javascript):
    known = json.loads(javascript.eval("JSON.stringify(Object.keys(minicl.backwardStepper.OPS))"))
    assert set(known) == set(OPERATIONS)
    used = {node.get("op") for program in PROGRAMS.values() for node in program["nodes"]} - {None}
    assert used == set(OPERATIONS)


def test_the_diamond_gives_four_and_without_an_order_eight(javascript):
    program = backward_stepper().data[0]
    assert program["title"] == EXAMPLES["diamond"].title
    for a in np.linspace(-6, 6, 13).tolist():
        solved = javascript.call("minicl.backwardStepper.solve", program["nodes"], [a])
        assert solved["inOrder"]["gradients"] == [4, 2, 1]
        assert solved["recursive"]["gradients"] == [8, 2, 1]


def test_on_a_tree_both_engines_are_right_and_a_shared_value_tells_them_apart(javascript):
    _, neuron, squared = backward_stepper().data
    tree = javascript.call("minicl.backwardStepper.solve", neuron["nodes"], [0.5, -2.0, 0.5])
    assert tree["inOrder"]["gradients"] == tree["recursive"]["gradients"]
    shared = javascript.call("minicl.backwardStepper.solve", squared["nodes"], [0.5, 2.0, -0.5])
    right, wrong = (np.array(shared[engine]["gradients"]) for engine in ("inOrder", "recursive"))
    leaves = [k for k, node in enumerate(squared["nodes"]) if "op" not in node]
    assert [squared["nodes"][k]["name"] for k in leaves] == ["w", "x", "t"]
    assert np.all(right[leaves] != 0) and np.abs(wrong[leaves] / right[leaves] - [3, 3, 2]).max() < 1e-12


@pytest.mark.parametrize("title", PROGRAMS)
def test_the_steps_lead_to_the_final_gradients(javascript, title):
    program = PROGRAMS[title]
    leaves = [leaf["value"] for leaf in program["leaves"]]
    solved = javascript.call("minicl.backwardStepper.solve", program["nodes"], leaves)
    count = len(program["nodes"])
    for engine in ("inOrder", "recursive"):
        run = solved[engine]
        last = len(run["messages"]) + 1
        steps = [javascript.call("minicl.backwardStepper.after", run, k, count) for k in range(last + 1)]
        assert steps[0] == [0] * count and steps[1] == [0] * (count - 1) + [1]
        assert close(steps[-1], run["gradients"])
        for before, now, message in zip(steps[1:], steps[2:], run["messages"]):
            assert [k for k in range(count) if now[k] != before[k]] in ([message["to"]], [])
            assert message["amount"] == message["given"] * message["slope"]
    in_order = [m["from"] for m in solved["inOrder"]["messages"]]
    assert in_order == sorted(in_order, reverse=True)


def test_programs_are_read_as_they_are_written():
    program = backward_stepper("u = a * b; L = 1 - tanh(u + a) ** 2", a=0.5, b=2.0).data[0]
    assert [n.get("text", n["name"]) for n in program["nodes"]] == (
        ["a", "b", "u = a * b", "v1 = u + a", "v2 = tanh(v1)", "v3 = v2 ** 2", "L = 1 - v3"]
    )
    assert [(leaf["name"], leaf["value"]) for leaf in program["leaves"]] == [("a", 0.5), ("b", 2.0)]


@pytest.mark.parametrize(
    "program, leaves, message",
    [
        ("b = a.softplus()", {"a": 1.0}, "it uses softplus"),
        ("b = a + a", {"a": 1.0, "z": 2.0}, "does not depend on z"),
        ("b = a", {"a": 1.0}, "no result of an operation"),
        ("diamond", {"a": 1.0}, "has its own inputs"),
        ("; ".join(["a = a + a"] * 8), {"a": 1.0}, "more than 200 messages"),
    ],
)
def test_what_cannot_be_shown_is_refused(program, leaves, message):
    with pytest.raises(ValueError, match=message):
        backward_stepper(program, **leaves)


def test_nothing_is_asked_from_outside_and_no_program_breaks_the_page():
    piece = backward_stepper("b = a + a  # </script><img src=x onerror=alert(1)>", a=1.0).html()
    assert piece.count("</script>") == 1 and piece.count("<img") == 1
    addresses = set(re.findall(r"""(?:https?:)?//[\w.]+[^\s"'`)]*""", re.sub(r"(?m)^\s*//.*| // .*", "", piece)))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'src="([^:"]*:)', piece)) == {"data:"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|@import|url)\s*\(", piece)


def test_without_scripts_the_picture_and_its_numbers_remain():
    rest = re.sub(r"<(style|script)>.*?</\1>", "", backward_stepper().html(), flags=re.S)
    assert 'src="data:image/svg+xml;base64,' in rest
    text = html.unescape(re.sub(r"<[^>]*>", " ", rest))
    assert "a = 3 with gradient 4; b = 6 with gradient 2; c = 12 with gradient 1" in text


def test_it_shows_in_a_notebook_and_saves_a_page(tmp_path):
    widget = backward_stepper("neuron")
    assert widget._repr_html_() == widget.html()
    page = widget.save(tmp_path / "neuron.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and widget.html() in page
    assert backward_stepper("neuron").html() == widget.html() != backward_stepper().html()


DRIVE = """<pre id="seen"></pre><script>
const seen = { errors: [] };
window.onerror = (message) => seen.errors.push(message);
const say = (root) => [...root.querySelectorAll(".says")].map((p) => p.textContent);
const table = (root) => [...root.querySelectorAll("td")].map((cell) => cell.textContent);
const [one, two] = document.querySelectorAll(".minicl-widget");
seen.keys = 0; // that reach the page, where a notebook would move to another cell
document.addEventListener("keydown", () => seen.keys++);
const press = (root, key) => root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
one.querySelector("button.main").click();
one.querySelector("button.main").click();
seen.clicked = [one.querySelector(".counter").textContent, two.querySelector(".counter").textContent];
press(one, "ArrowLeft");
seen.left = one.querySelector(".counter").textContent;
press(one, "End");
seen.end = [table(one), say(one), [...one.querySelectorAll(".verdict")].map((v) => v.textContent)];
const slider = one.querySelector("input");
slider.value = "-2";
slider.dispatchEvent(new Event("input"));
seen.values = [...one.querySelectorAll("svg .value")].map((v) => v.textContent);
const select = one.querySelector("select");
select.selectedIndex = 1;
select.dispatchEvent(new Event("change"));
seen.chosen = [one.querySelectorAll("input").length, one.querySelector(".counter").textContent];
seen.aloud = one.querySelector("svg").getAttribute("aria-label");
seen.requests = performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:"));
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def test_in_a_browser(tmp_path):
    """Two of them on one page: clicks, keys, slider and choice move the one and leave the other alone."""
    widget = backward_stepper()
    page = widget.page().replace("</body>", widget.html() + DRIVE + "</body>")
    seen = seen_in_a_browser(page, tmp_path)
    assert seen["errors"] == [] and seen["requests"] == []
    assert seen["clicked"][0].startswith("step 2 of 7") and seen["clicked"][1].startswith("step 0 of 7")
    assert seen["left"].startswith("step 1 of 7") and seen["keys"] == 0
    cells, says, verdicts = seen["end"]
    assert cells == ["4 ✓", "8 ✗", "4"] and verdicts == ["✓ right", "✗ wrong"]
    assert says[1].endswith("grad a = 6 + 2 = 8.")
    assert seen["values"] == ["−2", "−4", "−8"] * 2
    assert seen["chosen"][0] == 3 and seen["chosen"][1].startswith("step 0 of 6")
    assert seen["aloud"].startswith("Graph. w = 0.5, gradient none yet; ")
