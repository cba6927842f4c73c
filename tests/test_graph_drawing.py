"""The picture of a graph: what it shows is true, it cannot fail, and its cost does not grow with the graph."""

import base64
import re
import sys
import time
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

import minicl as mc
from minicl import graph

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture):
    return ElementTree.fromstring(picture)


def cards(picture):
    """{name: {"shape", "value", "grad"}} as drawn; unnamed cards have their operation as name."""
    found = {}
    for group in parsed(picture).iter(f"{SVG}g"):
        if group.find(f"{SVG}title") is None:
            continue
        head, shape, *rest = [t.text for t in group.iter(f"{SVG}text")]
        found[head.split(" = ")[0]] = {"shape": shape, **dict(zip(rest[::2], rest[1::2]))}
    return found


def arrows(picture):
    return picture.count('fill="none"')


def as_number(text):
    return float(text.replace("−", "-"))


def test_a_diamond_is_drawn_as_a_diamond():
    a = mc.tensor(3.0)
    b = a + a
    c = b + b
    picture = graph.svg(c, names={"a": a, "b": b, "c": c})
    assert cards(picture) == {
        "a": {"shape": "()", "value": "3", "grad": "4"},
        "b": {"shape": "()", "value": "6", "grad": "2"},
        "c": {"shape": "()", "value": "12", "grad": "1"},
    }
    assert arrows(picture) == 4


def test_values_and_gradients_are_those_of_the_engine(xp, rng):
    x, w = mc.tensor(xp.asarray(rng.normal(size=(5, 3)))), mc.tensor(xp.asarray(rng.normal(size=(3, 2))))
    h = mc.tanh(x @ w)
    s = (h * h).mean()
    loss = s * 3.0
    shown = cards(graph.svg(loss, names={"x": x, "w": w, "h": h, "s": s, "loss": loss}))
    for name, t in {"x": x, "w": w, "h": h, "s": s, "loss": loss}.items():
        assert shown[name]["shape"] == str(t.shape)
        for word, exact in (("value", t.numpy()), ("grad", mc.to_numpy(mc.grad(loss, t)))):
            numbers = [as_number(n) for n in re.findall(r"−?[\d.]+(?:e[−+]\d+)?", shown[name][word])]
            ends = [exact.min(), exact.max()] if exact.size > 1 else [exact.item()]
            assert numbers == pytest.approx(ends, rel=5e-3), (name, word)


def test_a_column_is_right_of_its_arguments_and_nothing_overlaps(rng):
    """Random graphs: no two cards touch, each arrow goes to the right, and none crosses a card."""
    for _ in range(30):
        n = int(rng.integers(2, 25))
        edges = []
        for t in range(1, n):
            edges += [(int(rng.integers(max(0, t - 8), t)), t, slot) for slot in range(int(rng.integers(1, 4)))]
        sizes = [(float(rng.uniform(60, 220)), float(rng.uniform(40, 150))) for _ in range(n)]
        plan = graph.layout(sizes, edges)
        for k, (x, y, w, h) in enumerate(plan.cards):
            assert (w, h) == sizes[k]
            assert -0.1 <= x and x + w <= plan.width + 0.1 and -0.1 <= y and y + h <= plan.height + 0.1
            for x2, y2, w2, h2 in plan.cards[:k]:
                assert x + w < x2 + 0.1 or x2 + w2 < x + 0.1 or y + h < y2 + 0.1 or y2 + h2 < y + 0.1
        for (source, target, _), path in zip(edges, plan.paths):
            at = points_on(path)
            assert np.all(np.diff(at[:, 0]) >= -1e-9)
            assert at[0, 0] == pytest.approx(plan.cards[source][0] + plan.cards[source][2], abs=0.1)
            for k, (x, y, w, h) in enumerate(plan.cards):
                if k not in (source, target):
                    inside = (at[:, 0] > x + 1) & (at[:, 0] < x + w - 1) & (at[:, 1] > y + 1) & (at[:, 1] < y + h - 1)
                    assert not inside.any()


def test_cards_are_ordered_so_that_arrows_need_not_cross():
    """Four inputs c, a, d, b made in an unlucky order: u = a b and v = c d are the arguments of the output."""
    edges = [(1, 4, 0), (3, 4, 1), (0, 5, 0), (2, 5, 1), (4, 6, 0), (5, 6, 1)]
    plan = graph.layout([(80, 50)] * 7, edges)
    height = [y for _, y, _, _ in plan.cards]
    assert height[1] < height[3] < height[0] < height[2] and height[4] < height[5]
    for k, (x, y, _, h) in enumerate(plan.cards[4:], 4):
        ends = [end for end, (_, target, _) in zip(plan.ends, edges) if target == k]
        assert [end[0] for end in ends] == [x, x] and y < ends[0][1] < ends[1][1] < y + h
        assert sum(end[1] for end in ends) / 2 == pytest.approx(y + h / 2)


def points_on(path):
    """Points along a path of cubic curves."""
    numbers = [float(v) for v in re.findall(r"-?[\d.]+", path)]
    start, t, found = np.array(numbers[:2]), np.linspace(0, 1, 40)[:, None], []
    for k in range(2, len(numbers), 6):
        p, q, end = np.array(numbers[k : k + 6]).reshape(3, 2)
        found.append((1 - t) ** 3 * start + 3 * t * (1 - t) ** 2 * p + 3 * t**2 * (1 - t) * q + t**3 * end)
        start = end
    return np.concatenate(found)


def test_a_long_chain_costs_no_more_than_its_youngest_end():
    calls = []

    @mc.primitive
    def counted(xp, x):
        return x + 1.0

    counted.defvjp(lambda g, y, x: calls.append(1) or g)
    y = mc.tensor(0.0)
    for _ in range(100_000):
        y = counted(y)
    seconds = []
    for _ in range(10):
        calls.clear()
        start = time.perf_counter()
        picture = graph.svg(y)
        seconds.append(time.perf_counter() - start)
        assert len(calls) <= 30
    assert min(seconds) < 0.1
    assert picture.count("<title>") == 31
    assert "more than 1000 older ones are hidden" in picture


def test_a_shared_chain_is_walked_once():
    y = mc.tensor(1e-9)
    for _ in range(60):
        y = y * y + y
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        picture = graph.svg(y, max_nodes=10)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1
    assert "The youngest 10 values are drawn; 111 older ones are hidden." in picture


@pytest.mark.parametrize("n, hidden", [(10, 0), (30, 1), (49, 20)])
def test_the_number_of_hidden_values_is_exact(n, hidden):
    y = mc.tensor(0.0)
    for _ in range(n):
        y = y + 1
    picture = graph.svg(y)
    assert ("hidden" in picture) == (hidden > 0)
    if hidden:
        assert f"The youngest 30 values are drawn; {hidden} older ones are hidden." in picture
        assert 'stroke-dasharray="3 3"' in picture


@pytest.mark.parametrize(
    "x",
    [2.5, -0.0, [], np.zeros((0, 3)), np.zeros((1, 1, 1)), [np.nan, 1, 2], [np.inf] * 6, np.full((3, 3), np.nan)]
    + [[-np.inf, np.nan, 0.0, 1, 2, 3], np.float16([1, 2, 3, 4, 5]), np.arange(5), np.array([True, False] * 3)]
    + [np.array(1 + 2j), np.array([1j] * 7), np.ones((2, 3, 4, 5)), np.ones(5000), 1e300, 1e-300, 10**12],
    ids=str,
)
def test_any_value_can_be_drawn(x, xp):
    t = mc.tensor(xp.asarray(np.asarray(x)))
    parsed(graph.svg(t))
    assert f"shape {t.shape}" in t._repr_html_()
    if t.dtype.kind == "f":
        with np.errstate(all="ignore"):
            parsed(graph.svg((t * t).sum()))


def test_nan_and_infinity_are_named():
    shown = cards(graph.svg(mc.tensor([np.nan, 1.0, 2.0, np.inf, -np.inf, 4.0]), names={}))
    assert shown["input"]["value"] == "1 … 4, 1 NaN, 2 inf"


def test_gradients_are_left_out_with_a_reason():
    x = mc.tensor([1.0, 2.0])
    assert "for a scalar output only" in graph.svg(x * 2)
    y = (x * x).sum()
    x.data = [3.0, 4.0]
    assert "No gradients: stale graph" in graph.svg(y)
    with mc.no_grad():
        z = (x * x).sum()
    parsed(graph.svg(z))
    big = mc.tensor(np.zeros(1_000_001))
    assert "No gradients: more than 1,000,000 numbers" in graph.svg(big.sum())


def test_drawing_runs_no_hook_and_changes_nothing():
    x = mc.tensor(2.0)
    y = x * x
    seen = []
    y.hook(seen.append)
    picture = graph.svg(y * 3)
    assert not seen and "No gradients: computing them would run your hooks." in picture
    y = x * x
    graph.html(y)
    assert x.grad is None and y.grad is None


def test_names_are_escaped():
    a = mc.tensor(1.0)
    picture = graph.svg(a * 2, names={"<b>&\"'": a})
    assert "<b>" not in picture
    assert "<b>&\"'" in cards(picture)
    assert "&lt;b&gt;" in graph.html(a * 2, names={"<b>": a})


def test_constants_stand_in_their_places(rng):
    x = mc.tensor(rng.normal(size=(2, 3)))
    heads = " ".join(cards(graph.svg(((1 - x) ** 2 * np.ones(3))[0, 1:].sum(axis=0))))
    assert "subtract(1, ·)" in heads and "power(·, 2)" in heads and "multiply(·, [3])" in heads and "axis=0" in heads


def test_the_picture_can_be_read_aloud_and_stands_beside_others():
    a = mc.tensor(3.0)
    root = parsed(graph.svg(a * a, names={"a": a}))
    assert root.get("role") == "img" and root.get("aria-label") == root.find(f"{SVG}title").text
    words = root.find(f"{SVG}desc").text
    assert words == "a: input, shape (), value 3, gradient 6. value 2: multiply of a, a, shape (), value 9, gradient 1."
    for e in root.iter():
        assert "id" not in e.attrib and "class" not in e.attrib
        assert e.tag.removeprefix(SVG) in {"svg", "title", "desc", "g", "rect", "path", "text"}


def test_colours_fit_light_and_dark_pages(rng):
    """Text has the page's colour or a middle one, which by itself is 3:1 (large text) on white and on near black."""
    picture = graph.svg((mc.tensor(rng.normal(size=(3, 4))) * np.nan).sum())
    colours = set(re.findall(r'(?:fill|stroke)="([^"]*)"', picture)) - {"none", "currentColor"}
    assert colours <= {graph.VALUE, graph.GRADIENT, graph.ALARM}

    def luminance(colour):
        c = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for colour in (graph.VALUE, graph.GRADIENT, graph.ALARM):
        assert 1.05 / (luminance(colour) + 0.05) > 3 and (luminance(colour) + 0.05) / (luminance("#111111") + 0.05) > 3


def test_a_notebook_shows_the_picture_with_its_own_names(monkeypatch):
    a = mc.tensor(3.0)
    b = a * a
    notebook = SimpleNamespace(weight=a, _=b, other=5)
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    shown = b._repr_html_()
    assert "shape () · float64 · cpu" in shown
    inline = shown[shown.index("<svg") : shown.index("</svg>") + 6]
    assert set(cards(inline)) == {"weight", "multiply"}


def test_where_styles_and_inline_svg_are_removed_an_image_remains():
    shown = (mc.tensor([1.0, 2.0]) * 2).sum()._repr_html_()
    kept = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", shown, flags=re.S)
    source = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', kept)[1]
    image = base64.b64decode(source).decode()
    assert len(cards(image)) == 3 and 'fill="#fff"' in image
    assert "gradient [2 2]" in re.search(r'alt="([^"]*)"', kept)[1]


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="got a ndarray; only a Tensor has a graph"):
        graph.svg(np.ones(3))
    with pytest.raises(ValueError, match="max_nodes is 0"):
        graph.svg(mc.tensor(1.0), max_nodes=0)
