"""Notebook 01: the backward pass through a graph of numbers: add, wait until all has come, and clear what is inside.

The right answers come from a linear system: with A[k, p] = ∂k/∂p, the derivatives of the last node are the last row
of (I − A)⁻¹, the sum over all ways through the graph.
"""

import numpy as np

from ..exercise import Exercise, Mistake, Test, call, draw


def _of_all_ways(parents, slopes, grads):
    a = np.eye(len(parents))
    for k, (ends, factors) in enumerate(zip(parents, slopes)):
        for p, slope in zip(ends, factors):
            a[k, p] -= slope
    kept = np.array([0.0 if ends else 1.0 for ends in parents[:-1]] + [0.0])
    return np.linalg.inv(a)[-1] + kept * grads


def _graph(*nodes, grads=None, note=""):
    """A case: each node is a list of (parent, slope)."""
    parents = [[p for p, _ in node] for node in nodes]
    slopes = [[float(s) for _, s in node] for node in nodes]
    grads = np.zeros(len(nodes)) if grads is None else grads
    return call(parents, slopes, grads).gives(_of_all_ways).noting(note)


_X = []
_TWICE = (_X, [(0, 1), (0, 1)])
_DOUBLED_TWICE = (_X, [(0, 1), (0, 1)], [(1, 1), (1, 1)])
_PRODUCT = (_X, _X, [(0, 5), (1, 3)])
_SHORT_AND_LONG = (_X, [(0, 2)], [(1, 3)], [(0, 5), (2, 7)], [(3, 2), (1, -1)])
_DIAMONDS = (_X, [(0, 2)], [(0, 3)], [(1, 5), (2, -1)], [(3, 2)], [(3, 7), (0, 1)], [(4, 3), (5, 1)])
_TWO_INPUTS = (_X, _X, [(0, 2), (1, 3)], [(2, 5), (1, 1)], [(2, 1), (3, -2), (2, 4)])


def _reverse(clear="interior", add=True, slope=lambda s: s, pairs=lambda ends, factors: zip(ends, factors)):
    """A loop from the last node to the first."""

    def function(parents, slopes, grads):
        g = np.array(grads)
        for k, ends in enumerate(parents):
            if clear == "all" or (clear == "interior" and ends):
                g[k] = 0
        g[-1] = 1
        for k in reversed(range(len(g))):
            for p, s in pairs(parents[k], slopes[k]):
                g[p] = g[k] * slope(s) + (g[p] if add else 0)
        return g

    return function


def _sent_on_arrival(parents, slopes, grads):
    g = np.array([0.0 if ends else old for ends, old in zip(parents, grads)])
    g[-1] = 0

    def send(k, amount):
        g[k] += amount
        for p, s in zip(parents[k], slopes[k]):
            send(p, s * g[k])

    send(len(g) - 1, 1.0)
    return g


def _depth_first(parents, slopes, grads):
    """Each node once, as soon as it is reached."""
    g = np.array([0.0 if ends else old for ends, old in zip(parents, grads)])
    g[-1], seen = 1, set()

    def visit(k):
        seen.add(k)
        for p, s in zip(parents[k], slopes[k]):
            g[p] += s * g[k]
        for p in parents[k]:
            if p not in seen:
                visit(p)

    visit(len(g) - 1)
    return g


def _in_place(parents, slopes, grads):
    grads[...] = _reverse()(parents, slopes, grads)
    return grads


def _seed_added(parents, slopes, grads):
    g = np.array([0.0 if ends else old for ends, old in zip(parents, grads)])
    g[-1] = grads[-1] + 1
    for k in reversed(range(len(g))):
        for p, s in zip(parents[k], slopes[k]):
            g[p] += s * g[k]
    return g


backward = Exercise(
    name="backward",
    notebook="01",
    signature="f(parents, slopes, grads) -> new_grads",
    statement="""The backward pass through a graph of numbers.

    The nodes are 0, 1, ..., n − 1, in an order in which they can be computed; the last one is the output. parents[k] is
    the list of the nodes that node k was computed from (empty for an input; a node may stand in it twice), and
    slopes[k] holds the derivatives of node k by them, in the same order. grads, of shape (n,), is what each node kept
    from earlier backward passes.

    Return an array of shape (n,): for the output 1, for every other node with parents the derivative of the output by
    it, and for an input (other than the output) that derivative added to what it had. An input that the output does
    not depend on keeps what it had. The arguments stay as they were.
    """,
    tests=[
        Test("returns a number for each node", "T0", [_graph(_X, [(0, 3)]), _graph(*_PRODUCT)]),
        Test(
            "knows a + a, and b + b of that",
            "T1",
            [
                _graph(*_TWICE, note="b = a + a: a is used twice, so its derivative is 2."),
                _graph(*_DOUBLED_TWICE, note="b = a + a, c = b + b: the derivative by a is 4."),
            ],
        ),
        Test("follows short and long ways", "T1", [_graph(*_SHORT_AND_LONG), _graph(*_DIAMONDS), _graph(*_TWO_INPUTS)]),
        Test(
            "adds up at the inputs, and starts afresh inside",
            "T1",
            [
                _graph(*_TWICE, grads=np.array([2.0, 1.0]), note="The second backward pass: a had 2, and gets 2 more."),
                _graph(_X, [(0, 3)], [(1, 2)], grads=np.array([6.0, 2.0, 1.0])),
            ],
        ),
        Test(
            "is right whatever was kept",
            "T2",
            [
                _graph(*graph, grads=draw(len(graph), scale=1.0))
                for graph in (_PRODUCT, _SHORT_AND_LONG, _DIAMONDS, _TWO_INPUTS)
            ],
        ),
        Test("leaves an unused input alone", "T2", [_graph(_X, _X, [(0, 2)], grads=np.array([1.0, 7.0, 0.0]))]),
    ],
    mistakes=[
        Mistake(
            "overwritten",
            "writes a gradient over the one that came before (= for +=)",
            _reverse(add=False),
            (
                "For b = a + a you return 1, and 2 is right: a is used twice.",
                "What happens when a second gradient arrives at the same node?",
                "It is added to what is there.",
            ),
        ),
        Mistake(
            "sent-too-early",
            "passes a gradient on before all of it has come",
            _sent_on_arrival,
            (
                "For b = a + a, c = b + b the derivative is 4. Yours is another number.",
                "A node that is used twice sends its gradient on. How much of it was there at that moment?",
                "Visit a node after all that were computed from it. The numbers of the nodes give you such an order.",
            ),
            variants=(_depth_first,),
        ),
        Mistake(
            "interior-kept",
            "starts from what the interior nodes kept of an earlier pass",
            _reverse(clear="nothing"),
            (
                "A second backward pass should double the gradients of the inputs. Yours adds more.",
                "What do interior nodes hold at the start?",
                "Inputs add up over passes; everything else starts from zero.",
            ),
        ),
        Mistake(
            "inputs-cleared",
            "forgets what the inputs had",
            _reverse(clear="all"),
            (
                "After a second backward pass the inputs hold the gradient of one pass.",
                "Which nodes do you set to zero?",
                "Only those with parents, and the output.",
            ),
        ),
        Mistake(
            "output-added",
            "adds 1 to what the output had",
            _seed_added,
            (
                "In a second backward pass all your gradients are too large by one factor.",
                "What is the derivative of the output by itself?",
                "It is set, and not added.",
            ),
        ),
        Mistake(
            "slopes-left-out",
            "passes gradients on as they are",
            _reverse(slope=lambda s: 1.0),
            (
                "Your gradients count the ways through the graph.",
                "What does a gradient have to be multiplied by on its way to a parent?",
                "The chain rule: the slope of the node by that parent.",
            ),
        ),
        Mistake(
            "second-use-lost",
            "counts a parent once that stands twice in a list",
            _reverse(pairs=lambda ends, factors: dict(zip(ends, factors)).items()),
            (
                "For b = a + a you return 1.",
                "Are your parents in a set or a dictionary?",
                "Go through the list: each time that a parent stands in it counts.",
            ),
        ),
        Mistake(
            "in-place",
            "writes into the array that it was given",
            _in_place,
            (
                "After the call grads is not what it was.",
                "Which array do you add into?",
                "Copy it first.",
            ),
        ),
    ],
    advice="Take b = a + a and c = b + b, and write down what each node holds after each step.",
)
