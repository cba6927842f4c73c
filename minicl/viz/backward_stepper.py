"""A widget that steps through a backward pass, one message at a time, beside an engine that keeps no order.

A program of a few scalar operations is run once on Tensors, and the graph that they recorded is what the widget draws.
In the page the numbers are computed by the widget's own script; a test holds that script to `minicl.grad`.
"""

from types import SimpleNamespace

from .. import graph, ops
from ..engine import Tensor, grad
from .widget import Widget

_SIGNS = {"add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "power": "{} ** {}"}
_SIGNS |= {"negative": "-{}"}
_FUNCTIONS = ("square", "sqrt", "exp", "log", "sin", "cos", "tanh", "sigmoid", "relu")
OPERATIONS = (*_SIGNS, *_FUNCTIONS)

EXAMPLES = {
    "diamond": SimpleNamespace(
        title="diamond: b is used twice",
        program="b = a + a; c = b + b",
        leaves={"a": 3.0},
        note="Whatever a is, c = 4a, so the gradient is 4. The recursive engine visits b once for each use, and sends "
        "b's whole gradient each time: 8.",
    ),
    "neuron": SimpleNamespace(
        title="neuron: nothing is used twice",
        program="u = w * x; v = u + b; y = tanh(v)",
        leaves={"w": 0.5, "x": -2.0, "b": 0.5},
        note="On a tree each value has one user, so any order is right. This is why the mistake stays hidden for long.",
    ),
    "squared error": SimpleNamespace(
        title="squared error: e is used twice",
        program="p = w * x; e = p - t; L = e * e",
        leaves={"w": 0.5, "x": 2.0, "t": -0.5},
        note="The loss of a regression multiplies the error by itself. Below e the recursive engine is wrong by a "
        "factor of 2 at t, and of 3 at w and x, so no other step size makes up for it.",
    ),
}

_CARD = 112, 66
_AT_MOST = 200  # messages of the recursive engine, whose number can double with each operation


def backward_stepper(expression="diamond", **leaves):
    """A widget that steps through the backward pass of a small scalar program.

    It needs no kernel and no network. Sliders set the inputs; Next and Previous, or the arrow keys, send one gradient
    message at a time. Two engines run side by side: one takes the youngest value first (a topological order, as minicl
    does), the other goes down recursively and counts shared values more than once.

    Parameters
    ----------
    expression : str
        `"diamond"`, `"neuron"` or `"squared error"`: which of the three is shown first. Or a program of your own:
        Python assignments in the names of `leaves`, the operators `+ - * / **` and the functions square, sqrt, exp,
        log, sin, cos, tanh, sigmoid, relu. The last value is the output.
    **leaves : float
        The inputs of your own program.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If the program uses another operation, leaves an input unused, or is too large to step through.

    Notes
    -----
    A message from y to its argument x is ȳ ∂y/∂x, and x̄ is the sum of its messages. The sum must be complete before x
    sends; the recursive engine sends too early, and again.

    Examples
    --------
    >>> backward_stepper("u = a * b; L = tanh(u + a)", a=0.5, b=2.0).data[0]["title"]
    'u = a * b; L = tanh(u + a)'
    """
    if expression in EXAMPLES:
        if leaves:
            raise ValueError(f"backward_stepper: {expression!r} has its own inputs; {sorted(leaves)} need a program.")
        first = EXAMPLES[expression]
    else:
        own = {name: float(value) for name, value in leaves.items()}
        first = SimpleNamespace(title=expression.strip(), program=expression, leaves=own, note="")
    programs = [first, *(e for e in EXAMPLES.values() if e is not first)]
    return Widget("backward_stepper", "Backward pass, step by step", [_describe(p) for p in programs], _still(first))


def _trace(example):
    """The Tensors of a program in birth order, and their names."""
    scope = {name: Tensor(float(value)) for name, value in example.leaves.items()}
    inputs = dict(scope)
    exec(example.program, {"__builtins__": {}} | {f: getattr(ops, f) for f in _FUNCTIONS}, scope)
    made = {name: x for name, x in scope.items() if isinstance(x, Tensor)}
    output = max(made.values(), key=lambda x: x.birth)
    found, todo = {}, [output]
    while todo:
        x = todo.pop()
        if x.birth not in found:
            found[x.birth] = x
            todo += [a for a in (x.origin.args if x.origin else ()) if isinstance(a, Tensor)]
    unused = [name for name, x in inputs.items() if x.birth not in found]
    if unused:
        raise ValueError(f"backward_stepper: the output does not depend on {', '.join(unused)}; leave them out.")
    unknown = sorted({x.origin.op.__name__ for x in found.values() if x.origin} - set(OPERATIONS))
    if unknown or not output.origin or output.shape:
        wrong = f"it uses {', '.join(unknown)}" if unknown else "its last value is no result of an operation on scalars"
        raise ValueError(f"backward_stepper: cannot show this program: {wrong}. It can show {', '.join(OPERATIONS)}.")
    nodes = [found[birth] for birth in sorted(found)]
    names = {}
    for name, x in made.items():
        names.setdefault(x.birth, name)
    free = (f"v{k}" for k in range(1, len(nodes) + 1) if f"v{k}" not in made)
    return nodes, [names.get(x.birth) or next(free) for x in nodes]


def _describe(example):
    """A program as the script reads it: nodes oldest first, the sliders of its inputs, and where all is drawn."""
    nodes, names = _trace(example)
    place = {x.birth: k for k, x in enumerate(nodes)}
    described, edges = [], []
    for k, x in enumerate(nodes):
        if x.origin is None:
            described.append({"name": names[k]})
            continue
        args = [place[a.birth] if isinstance(a, Tensor) else {"constant": float(a)} for a in x.origin.args]
        words = [names[a] if isinstance(a, int) else graph.number(a["constant"]) for a in args]
        op = x.origin.op.__name__
        formula = _SIGNS.get(op, op + "({})").format(*words)
        described.append({"name": names[k], "op": op, "args": args, "text": f"{names[k]} = {formula}"})
        edges += [(a, k, slot) for slot, a in enumerate(args) if isinstance(a, int)]
    visits = [0] * (len(nodes) - 1) + [1]
    for source, target, _ in sorted(edges, key=lambda e: -e[1]):
        visits[source] += visits[target]
    if sum(visits[target] for _, target, _ in edges) > _AT_MOST:
        raise ValueError(
            f"backward_stepper: the recursive engine would send more than {_AT_MOST} messages. Share fewer values."
        )
    plan = graph.layout([_CARD] * len(nodes), edges, gap=66, port=26)
    return {
        "title": example.title,
        "note": example.note,
        "nodes": described,
        "leaves": [_slider(names[k], x.item()) for k, x in enumerate(nodes) if x.origin is None],
        "plan": {
            "width": plan.width,
            "height": plan.height,
            "cards": plan.cards,
            "edges": [
                {"path": path, "end": end, "from": source, "to": target, "slot": slot}
                for path, end, (source, target, slot) in zip(plan.paths, plan.ends, edges)
            ],
        },
    }


def _slider(name, value):
    reach = max(3.0, 2 * abs(value))
    return {"name": name, "value": value, "low": -reach, "high": reach, "step": reach / 60}


def _still(example):
    """The picture with its final gradients, for where scripts do not run."""
    nodes, names = _trace(example)
    gradients = grad(nodes[-1], nodes)
    words = "; ".join(
        f"{name} = {graph.number(x.item())} with gradient {graph.number(g.item())}"
        for name, x, g in zip(names, nodes, gradients)
    )
    picture = graph.svg(nodes[-1], names=dict(zip(names, nodes)), page=False)
    return (
        f"{graph.image(picture, 'Graph with final gradients: ' + words)}"
        f"<p>Values and final gradients: {words}. {example.note}</p>"
        "<p>To step through it, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
