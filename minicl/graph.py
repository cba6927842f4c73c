"""The picture of a computation graph: each value is a card, each use of it an arrow, and all of it is SVG text.

The graph is laid out in columns from the inputs on the left to the output on the right, as it was computed. Cards take
the text colour of the page, so the picture fits light and dark pages alike; no element has an id, so that pictures on
one page cannot collide.
"""

import base64
import heapq
import sys
from html import escape
from typing import NamedTuple

import numpy as np

from .arrays import is_array, to_numpy
from .engine import Tensor, grad

VALUE, GRADIENT, ALARM = "#1971c2", "#d9480f", "#c2255c"  # of middle lightness: readable on white and on black

_ELEMENTS = 1_000_000  # above this, looking at the numbers costs more than the picture is worth
_COUNTED = 1000  # hidden values are counted up to here
_LETTER, _LINE = 6.7, 17  # width of a monospace letter at 11px, height of a line
_CELL, _CELLS = 7, 96  # a heat-map cell in pixels, and the largest array that is drawn cell by cell
_GAP = 40  # between columns


def svg(tensor, names=None, max_nodes=30, page=True):
    """The graph that made `tensor`, as the text of an `<svg>` element.

    A card shows the operation, the shape, the value and, where the output is a scalar, the gradient of the output with
    respect to it. An array is shown by its numbers if it has at most four, up to 96 entries by its range and a heat-map
    (orange above zero, blue below), else by mean and range.

    Parameters
    ----------
    tensor : Tensor
        The output.
    names : dict of str to Tensor, optional
        What to call some of the Tensors.
    max_nodes : int
        Of a larger graph the youngest `max_nodes` values are drawn, and a line says how many are hidden. Time depends
        on this number, not on the size of the graph.
    page : bool
        True to stand in a page, in the colour of its text. False for a file or an `<img>`: on light paper of its own.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If `tensor` is no Tensor.
    ValueError
        If `max_nodes` is less than 1.

    Notes
    -----
    Drawing never runs a hook: if a drawn Tensor has one, gradients are left out and a line says so.

    Examples
    --------
    >>> a = Tensor(3.0)
    >>> b = a * a
    >>> picture = svg(b, names={"a": a, "b": b})
    >>> picture[:4], "gradient 6" in picture
    ('<svg', True)
    """
    return _draw(_collect(tensor, names, max_nodes), page)


def html(tensor, names=None, max_nodes=16):
    """Shape, dtype and device of `tensor`, its numbers if they are few, and the picture of its graph, as HTML.

    A notebook shows this for a Tensor. Without `names`, the variables of the notebook give the names.

    Parameters
    ----------
    tensor : Tensor
    names, max_nodes
        See `svg`.

    Returns
    -------
    str

    Examples
    --------
    >>> "shape (2,)" in html(Tensor([1.0, 2.0]))
    True
    """
    # GitHub's notebook viewer removes <style> and inline <svg>, but keeps <img> with a data address. So the picture is
    # there twice, and the style that hides the second one is removed together with the first one.
    if names is None:
        names = _notebook_names()
    graph = _collect(tensor, names, max_nodes)
    facts = f"Tensor · shape {tensor.shape} · {tensor.dtype} · {tensor.device}"
    numbers = np.array2string(to_numpy(tensor), precision=6, separator=", ") if 1 < tensor.size <= 100 else ""
    return (
        "<style>.minicl-static{display:none}</style>"
        f'<div style="font:12px ui-monospace,monospace">{escape(facts)}</div>'
        + (f"<pre>{escape(numbers)}</pre>" if numbers else "")
        + f'<div style="overflow-x:auto">{_draw(graph)}</div>'
        + f'<div class="minicl-static">{image(_draw(graph, page=False), _caption(graph))}</div>'
    )


def image(svg_text, alternative):
    """An `<img>` that carries a whole SVG picture: what survives where inline SVG is removed."""
    data = base64.b64encode(svg_text.encode()).decode()
    return f'<img alt="{escape(alternative)}" src="data:image/svg+xml;base64,{data}">'


# ------------------------------------------------------------------------------------------------- what is to be drawn


class _Graph(NamedTuple):
    nodes: list  # Tensors, oldest first: a topological order
    edges: list  # (source, target, slot): positions in `nodes`, and which argument of the target it is
    names: list
    older: list  # for each node, how many of its arguments are not drawn
    gradients: list  # NumPy arrays or None
    notes: list


def _collect(tensor, names, max_nodes):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: got a {type(tensor).__name__}; only a Tensor has a graph. Wrap inputs in mc.tensor.")
    if max_nodes < 1:
        raise ValueError(f"graph: max_nodes is {max_nodes}; it must be at least 1.")
    nodes, hidden = _youngest(tensor, max_nodes)
    place = {x.birth: k for k, x in enumerate(nodes)}
    edges, older = [], []
    for k, x in enumerate(nodes):
        sources = [place.get(a.birth) for a in _parents(x)]
        edges += [(s, k, slot) for slot, s in enumerate(sources) if s is not None]
        older.append(sources.count(None))
    given = {}
    for name, x in (names or {}).items():
        given.setdefault(x.birth, name)
    gradients, note = _gradients(tensor, nodes)
    notes = [note] if note else []
    if hidden:
        count = f"more than {_COUNTED}" if hidden > _COUNTED else str(hidden)
        notes.insert(0, f"The youngest {len(nodes)} values are drawn; {count} older ones are hidden.")
    return _Graph(nodes, edges, [given.get(x.birth, "") for x in nodes], older, gradients, notes)


def _parents(x):
    return [a for a in x.origin.args if isinstance(a, Tensor)] if x.origin else []


def _youngest(tensor, n):
    """The youngest `n` Tensors of the graph, oldest first, and how many others there are (counted up to a bound)."""
    found, seen, heap = [], {tensor.birth}, [(-tensor.birth, tensor)]
    while heap and len(found) <= n + _COUNTED:
        _, x = heapq.heappop(heap)
        found.append(x)
        for a in _parents(x):
            if a.birth not in seen:
                seen.add(a.birth)
                heapq.heappush(heap, (-a.birth, a))
    return found[:n][::-1], len(found[n:])


def _gradients(tensor, nodes):
    """The gradient for each node, or None; and a sentence where they had to be left out."""
    none = [None] * len(nodes)
    if len(nodes) == 1 and not tensor.origin:
        return none, ""
    if tensor.size != 1:
        return none, "Gradients are drawn for a scalar output only."
    if any(x._hooks for x in nodes):
        return none, "No gradients: computing them would run your hooks."
    if sum(x.size for x in nodes) > _ELEMENTS:
        return none, f"No gradients: more than {_ELEMENTS:,} numbers."
    floats = [x for x in nodes if x.dtype.kind == "f"]
    try:
        with np.errstate(all="ignore"):
            found = grad(tensor, floats)
    except Exception as error:  # a picture must not fail: a graph that cannot be differentiated is drawn without
        return none, f"No gradients: {error}"
    by_birth = {x.birth: to_numpy(g) for x, g in zip(floats, found)}
    return [by_birth.get(x.birth) for x in nodes], ""


def _notebook_names():
    """The Tensors among the variables of the notebook (IPython's `_`, `_12` and the like are no names)."""
    variables = vars(sys.modules["__main__"])
    return {k: x for k, x in list(variables.items()) if isinstance(x, Tensor) and not k.startswith("_")}


# ----------------------------------------------------------------------------------------------------- texts of a card


def number(v, digits=4):
    """A number in few letters, with a true minus sign."""
    return f"{v:.{digits}g}".replace("-", "−")


def _brief(array, mean=True):
    """An array in one line: its numbers if they are at most four, else mean and range of those that are finite."""
    if array.size > _ELEMENTS:
        return f"{array.size:,} numbers"
    if array.size == 0:
        return "empty"
    if array.dtype.kind == "c":
        return f"{array.size} complex" if array.size > 1 else f"{array.item():.3g}"
    if array.size == 1:
        return number(array.item())
    if array.size <= 4:
        return "[" + " ".join(map(number, array.ravel().tolist())) + "]"
    finite = array[np.isfinite(array)].astype(float)
    odd = [f"{n} {what}" for what, n in (("NaN", np.isnan(array).sum()), ("inf", np.isinf(array).sum())) if n]
    stats = []
    if finite.size:
        low, high = number(finite.min(), 3), number(finite.max(), 3)
        stats = [f"all {low}"] if low == high else [f"mean {number(finite.mean(), 3)}"] * mean + [f"{low} … {high}"]
    return ", ".join(stats + odd)


def _label(x):
    """The operation, with its constants in their places: `power(·, 2)`."""
    if x.origin is None:
        return "input"
    op, args, params = x.origin.op, x.origin.args, x.origin.params
    name = op.__name__.lstrip("_")
    known = getattr(op, "defaults", {})
    changed = [
        f"{k}={_constant(v)}" for k, v in params.items() if k != "keepdims" and v is not None and known.get(k) is not v
    ]
    if not changed and all(isinstance(a, Tensor) for a in args):
        return name
    return f"{name}({', '.join(['·' if isinstance(a, Tensor) else _constant(a) for a in args] + changed)})"


def _constant(v):
    if isinstance(v, (bool, np.bool_)) or v is None or isinstance(v, str):
        return str(v)
    if isinstance(v, (int, float, np.number)) or (is_array(v) and v.size == 1):
        return number(v if not is_array(v) else v.item())
    if is_array(v):
        return "[" + "×".join(map(str, v.shape)) + "]"
    if isinstance(v, (tuple, list)):
        return "(" + ", ".join(map(_constant, v)) + ")"
    if isinstance(v, slice):
        return ":".join("" if p is None else str(p) for p in (v.start, v.stop, v.step)[: 2 if v.step is None else 3])
    return "…" if v is Ellipsis else str(v)


def _shorten(text, letters=30):
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _caption(graph):
    """The whole picture in words: the text alternative."""
    called = [n or f"value {k + 1}" for k, n in enumerate(graph.names)]
    lines = []
    for k, x in enumerate(graph.nodes):
        sources = [called[s] for s, target, _ in graph.edges if target == k]
        made = f"{_label(x)} of {', '.join(sources)}" if sources else _label(x)
        gradient = "" if graph.gradients[k] is None else f", gradient {_brief(graph.gradients[k])}"
        lines.append(f"{called[k]}: {made}, shape {x.shape}, value {_brief(_looked_at(x))}{gradient}.")
    return " ".join(graph.notes + lines)


def _looked_at(x):
    """The values on the CPU; where they are too many to look at, a stand-in of the same size that holds nothing."""
    return to_numpy(x) if x.size <= _ELEMENTS else np.broadcast_to(0.0, x.shape)


# -------------------------------------------------------------------------------------------------------------- layout


class Layout(NamedTuple):
    """Where all is drawn: `cards` are (x, y, width, height), `paths` one SVG path an edge, in the order given."""

    cards: list
    paths: list
    ends: list  # (x, y) where each arrow arrives
    width: float
    height: float


def layout(sizes, edges, gap=_GAP, port=14):
    """Columns from left to right; cards in a column are ordered so that few arrows cross.

    Parameters
    ----------
    sizes : list of (width, height)
        One a node, in topological order.
    edges : list of (source, target, slot)
    gap : float
        Between columns.
    port : float
        Distance between arrows that arrive at one card.

    Returns
    -------
    Layout

    Notes
    -----
    The steps of Sugiyama, Tagawa and Toda (1981): columns, bends for long arrows, order by barycentres, positions.
    """
    columns, routes = _columns(len(sizes), edges)
    bends = sum(map(len, columns)) - len(sizes)
    size = [*sizes, *[(0, 12)] * bends]  # an arrow that crosses a column takes 12 pixels of its height
    before, after = [[] for _ in size], [[] for _ in size]
    for route, (_, _, slot) in zip(routes, edges):
        for s, t in zip(route, route[1:]):
            after[s].append((t, slot))
            before[t].append((s, slot))
    for _ in range(4):
        _reorder(columns, before, 0)
        _reorder(columns[::-1], after, 0.1)
    y = _heights(columns, before, after, size)

    left, width, at = [0.0] * len(size), [0.0] * len(size), 0.0
    for column in columns:
        widest = max(size[i][0] for i in column)
        for i in column:
            left[i], width[i] = at, widest
        at += widest + gap
    top = min(v - h / 2 for v, (_, h) in zip(y, size))
    y = [v - top for v in y]
    cards = [(left[i] + (width[i] - w) / 2, y[i] - h / 2, w, h) for i, (w, h) in enumerate(sizes)]

    leave = [[] for _ in sizes]
    for e in sorted(range(len(edges)), key=lambda e: (y[routes[e][1]], edges[e][2])):
        leave[edges[e][0]].append(e)
    paths, ends = [], []
    for e, (route, (source, target, slot)) in enumerate(zip(routes, edges)):
        fan, slots = leave[source], sorted(s for _, s in before[target])
        y0 = y[source] + _offset(fan.index(e), len(fan), min(port, 8), size[source][1])
        y1 = y[target] + _offset(slots.index(slot), len(slots), port, size[target][1])
        # Within a column an arrow stays level, so it touches no card; it bends between columns alone.
        points = [(cards[source][0] + cards[source][2], y0), (left[source] + width[source], y0)]
        points += [(x, y[i]) for i in route[1:-1] for x in (left[i], left[i] + width[i])]
        end = (cards[target][0], y1)
        points += [(left[target] - 5, y1), (end[0] - 5, y1)]
        paths.append(_path(points))
        ends.append(end)
    return Layout(cards, paths, ends, at - gap, max(v + h / 2 for v, (_, h) in zip(y, size)))


def _columns(n, edges):
    """Each node one column right of its arguments, inputs as far right as they can; an item for each column crossed."""
    layer = [0] * n
    users, is_input = [[] for _ in range(n)], [True] * n
    for s, t, _ in sorted(edges, key=lambda e: e[1]):
        layer[t] = max(layer[t], layer[s] + 1)
        users[s].append(t)
        is_input[t] = False
    for k in range(n):
        if is_input[k] and users[k]:
            layer[k] = min(layer[u] for u in users[k]) - 1
    columns = [[] for _ in range(max(layer) + 1)]
    for k in range(n):
        columns[layer[k]].append(k)
    routes, item = [], n
    for s, t, _ in edges:
        route = [s]
        for c in range(layer[s] + 1, layer[t]):
            columns[c].append(item)
            route.append(item)
            item += 1
        routes.append([*route, t])
    return columns, routes


def _reorder(columns, neighbours, slot_weight):
    """Sort each column by the mean place of its neighbours in the column before; arguments of one user by slot."""
    place = {}
    for column in columns:
        wish = {}
        for k, i in enumerate(column):
            near = [place[j] + slot_weight * slot for j, slot in neighbours[i]]
            wish[i] = sum(near) / len(near) if near else k
        column.sort(key=wish.get)
        place = {i: k for k, i in enumerate(column)}


def _heights(columns, before, after, size):
    """The centre of each item: as near to its neighbours as the order and the room between cards allow."""
    y = [0.0] * len(size)
    for column in columns:
        _settle(column, [0.0] * len(column), size, y)
    for neighbours, order in [(before, columns), (after, columns[::-1])] * 3 + [(before, columns)]:
        for column in order:
            wish = []
            for i in column:
                near = [y[j] for j, _ in neighbours[i]]
                wish.append(sum(near) / len(near) if near else y[i])
            _settle(column, wish, size, y)
    return y


def _settle(column, wish, size, y, room=16):
    """The positions nearest to `wish` (least squares) that keep order and distance: pool adjacent violators."""
    offset, at = [], 0.0
    for k, i in enumerate(column):
        at += (size[column[k - 1]][1] + size[i][1]) / 2 + room if k else 0
        offset.append(at)
    blocks = []  # [sum of wishes, count]
    for w, o in zip(wish, offset):
        blocks.append([w - o, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    level = [total / count for total, count in blocks for _ in range(count)]
    for i, v, o in zip(column, level, offset):
        y[i] = v + o


def _offset(rank, count, distance, height):
    return (rank - (count - 1) / 2) * min(distance, height / (count + 1))


def _path(points):
    """A smooth curve from left to right through `points`, level at each of them."""
    (x0, y0), *rest = points
    text = f"M{x0:.1f} {y0:.1f}"
    for x1, y1 in rest:
        if x1 - x0 < 0.1:
            continue
        bend = (x1 - x0) / 2
        text += f"C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        x0, y0 = x1, y1
    return text


# ------------------------------------------------------------------------------------------------------------- drawing


def paint(color):
    """Attributes that fill with `color`, drawn towards the colour of the text where the browser can mix colours."""
    return f'fill="{color}" style="fill:color-mix(in oklab,{color} 72%,currentColor)"'


def text(x, y, content, extra="", muted=False):
    """An SVG text; `muted` for labels."""
    faded = ' fill-opacity=".72"' if muted else ""
    extra = extra or 'fill="currentColor"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}{faded}>{escape(content)}</text>'


def arrow(path, end):
    """An arrow along `path` whose tip is at `end`."""
    x, y = end
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".55" stroke-width="1.3"/>'
        f'<path d="M{x:.1f} {y:.1f}l-7 -3.6v7.2z" fill="currentColor" fill-opacity=".75"/>'
    )


def canvas(width, height, body, title, description, page=True):
    """The `<svg>` around `body`. With `page=False` it brings its own light paper, for use outside of a page."""
    margin = 6
    width, height = width + 2 * margin, height + 2 * margin
    paper = "" if page else f'<rect width="{width:.0f}" height="{height:.0f}" rx="6" fill="#fff"/>'
    color = "" if page else ' color="#1f2328"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}"{color} '
        'font-family="ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="11" style="max-width:none">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{paper}"
        f'<g transform="translate({margin} {margin})">{body}</g></svg>'
    )


def _draw(graph, page=True):
    rows = [_rows(graph, k) for k in range(len(graph.nodes))]
    heads = [_head(graph, k) for k in range(len(graph.nodes))]
    plan = layout([_card_size(h, r) for h, r in zip(heads, rows)], graph.edges)
    parts = [arrow(p, end) for p, end in zip(plan.paths, plan.ends)]
    for k, (x, y, w, h) in enumerate(plan.cards):
        parts.append(_card(graph, k, heads[k], rows[k], x, y, w, h))
    left = min([0] + [plan.cards[k][0] - 26 for k, n in enumerate(graph.older) if n])
    height, width = plan.height, plan.width
    for note in graph.notes:
        height += 20
        note = _shorten(note, 110)
        width = max(width, len(note) * _LETTER)
        parts.append(text(left, height - 4, note, muted=True))
    body = "".join(parts)
    if left < 0:
        body = f'<g transform="translate({-left:.1f} 0)">{body}</g>'
    output = graph.nodes[-1]
    title = f"Graph of {len(graph.nodes)} values that ends in {graph.names[-1] or _label(output)}, shape {output.shape}"
    return canvas(width - left, height, body, title, _caption(graph), page)


def _head(graph, k):
    x, name = graph.nodes[k], graph.names[k]
    label = _shorten(_label(x))
    if name:
        label = _shorten(name, 16) + ("" if x.origin is None else " = " + label)
    return label, str(x.shape)


def _rows(graph, k):
    """(word, text, heat-map, colour) for the value and, if there is one, the gradient."""
    rows = []
    for word, a, color in (("value", _looked_at(graph.nodes[k]), VALUE), ("grad", graph.gradients[k], GRADIENT)):
        if a is not None:
            heat = _heat(a)
            rows.append((word, _brief(a, mean=not heat), heat, color))
    return rows


def _card_size(head, rows):
    letters = max(len(head[0]) + len(head[1]) + 2, *(6 + len(words) for _, words, _, _ in rows))
    heat_width = max((6 * _LETTER + heat[0] for _, _, heat, _ in rows if heat), default=0)
    height = 24 + sum(_LINE + (heat[1] + 5 if heat else 0) for _, _, heat, _ in rows) + 4
    return max(74.0, letters * _LETTER + 18, heat_width + 18), height


def _card(graph, k, head, rows, x, y, w, h):
    is_input = graph.nodes[k].origin is None
    parts = [
        f"<g><title>{escape(head[0])}, shape {escape(head[1])}, {graph.nodes[k].dtype}</title>",
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="6" fill="currentColor" fill-opacity=".05" '
        f'stroke="currentColor" stroke-opacity="{".75" if k == len(graph.nodes) - 1 else ".3"}"/>',
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="21" rx="6" '
        + (f'fill="{VALUE}" fill-opacity=".2"/>' if is_input else 'fill="currentColor" fill-opacity=".1"/>'),
        text(x + 8, y + 15, head[0], 'fill="currentColor" font-weight="bold"'),
        text(x + w - 8, y + 15, head[1], 'fill="currentColor" text-anchor="end"', muted=True),
    ]
    at = y + 24
    for word, words, heat, color in rows:
        odd = "NaN" in words or "nan" in words or "inf" in words
        bold = ' font-weight="bold"' if word == "grad" or odd else ""
        parts.append(text(x + 8, at + 12, word, muted=True))
        parts.append(text(x + 8 + 6 * _LETTER, at + 12, words, paint(ALARM if odd else color) + bold))
        at += _LINE
        if heat:
            parts.append(f'<g transform="translate({x + 8 + 6 * _LETTER:.1f} {at:.1f})">{heat[2]}</g>')
            at += heat[1] + 5
    if graph.older[k]:
        middle = y + h / 2
        parts.append(
            f'<path d="M{x - 24:.1f} {middle:.1f}h19" stroke="currentColor" stroke-opacity=".55" '
            'stroke-dasharray="3 3"/>'
            f'<path d="M{x:.1f} {middle:.1f}l-7 -3.6v7.2z" fill="currentColor" fill-opacity=".75"/>'
        )
    return "".join(parts) + "</g>"


def _heat(array):
    """(width, height, SVG) of an array of 5 to 96 entries as coloured cells, or None; rows run along the last axis."""
    if not 4 < array.size <= _CELLS or array.dtype.kind not in "fiu":
        return None
    grid = array.reshape(-1, array.shape[-1]).astype(float)
    if grid.shape[0] > 12 or grid.shape[1] > 32:
        return None
    largest = np.abs(grid[np.isfinite(grid)]).max(initial=0)
    with np.errstate(invalid="ignore"):
        strength = np.ceil(np.abs(grid) / largest * 5) if largest else np.zeros_like(grid)
    cells = {}
    for (row, column), v in np.ndenumerate(grid):
        if not np.isfinite(v):
            look = f'fill="{ALARM}"'
        elif v == 0:
            look = 'fill="currentColor" fill-opacity=".08"'
        else:
            look = f'fill="{GRADIENT if v > 0 else VALUE}" fill-opacity="{strength[row, column] / 5:.1f}"'
        cells.setdefault(look, []).append(f"M{column * _CELL} {row * _CELL}h{_CELL - 1}v{_CELL - 1}h-{_CELL - 1}z")
    drawn = "".join(f'<path {look} d="{"".join(d)}"/>' for look, d in cells.items())
    return grid.shape[1] * _CELL, grid.shape[0] * _CELL, drawn


Tensor._repr_html_ = html
