"""A widget that fills MoCo's queue step by step: numbered keys in a ring, and how far behind the encoder that made each is.

The query encoder walks one unit a step, so positions are times. In the page the numbers are computed by the widget's own
script; a test holds that script to `minicl.train.Queue` and to the momentum update itself.
"""

from html import escape

from .. import graph
from .widget import Widget

MOMENTA = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1]


def momentum_queue(size=10, batch=4, momentum=0.9, steps=7):
    """A widget with a queue of numbered keys, buttons for the next steps, and a slider for the momentum m.

    It needs no kernel and no network. Buttons, or the right arrow key, make steps; the slider sets m from 0 to 1.

    Parameters
    ----------
    size : int, from 2 to 16
        K, the number of slots.
    batch : int, from 1 to the size
        B, how many keys are put in in a step.
    momentum : float
        m at the start: one of 0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.
    steps : int, from 0 to 1000
        How many steps are made already.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    The query encoder is at position T after T steps. Then the key encoder is at T − m (1 − m^T) / (1 − m), and the keys
    of step s were made by the key encoder as it was before that step's update.

    Examples
    --------
    >>> momentum_queue(momentum=0.99).data["momentum"]
    0.99
    """
    if not (int(size) == size and 2 <= size <= 16 and int(batch) == batch and 1 <= batch <= size):
        raise ValueError(f"momentum_queue: size {size} and batch {batch}; give a size from 2 to 16, a batch up to it.")
    if momentum not in MOMENTA:
        raise ValueError(f"momentum_queue: the momentum is {momentum}; give one of {', '.join(map(str, MOMENTA))}.")
    if int(steps) != steps or not 0 <= steps <= 1000:
        raise ValueError(f"momentum_queue: steps is {steps}; give a whole number from 0 to 1000.")
    data = {"size": int(size), "batch": int(batch), "momentum": momentum, "steps": int(steps), "momenta": MOMENTA}
    return Widget("momentum_queue", "A queue of keys, and who made them", data, _still(data))


def lag(momentum, steps):
    """How far the key encoder is behind after so many steps of length 1, by its updates.

    Examples
    --------
    >>> lag(0.5, 2), lag(1, 7), lag(0, 7)
    (0.75, 7.0, 0.0)
    """
    behind = 0.0
    for _ in range(steps):
        behind = momentum * (behind + 1)
    return behind


def slots(data):
    """For each slot: the number of its key and the step that put it in, or None where it is still as at first.

    Examples
    --------
    >>> slots({"size": 3, "batch": 2, "steps": 2})
    [(3, 2), (1, 1), (2, 2)]
    """
    size, batch, found = data["size"], data["batch"], []
    total = batch * data["steps"]
    for slot in range(size):
        key = total - 1 - (total - 1 - slot) % size
        found.append((key, key // batch + 1) if key >= 0 else None)
    return found


def behind(data):
    """How far each step's keys that are still there lie behind the query encoder: a list of (step, distance)."""
    steps = sorted({found[1] for found in slots(data) if found})
    return [(s, data["steps"] - (s - 1) + lag(data["momentum"], s - 1)) for s in steps]


def _still(data):
    """The row of slots, and where the makers of the keys are, for where scripts do not run."""
    held = slots(data)
    blocks = []
    for slot, found in enumerate(held):
        x = 8 + 40 * slot
        text, age = ("–", "") if found is None else (str(found[0]), f"{data['steps'] - found[1]}")
        blocks.append(
            f'<rect x="{x}" y="24" width="36" height="36" fill="#E7F1FA" stroke="#1971C2"/>'
            f'<text x="{x + 18}" y="47" text-anchor="middle" font-weight="bold">{text}</text>'
            f'<text x="{x + 18}" y="76" text-anchor="middle">{age}</text>'
        )
    width = 16 + 40 * len(held)
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="84" viewBox="0 0 {width} 84" '
        f'font-family="sans-serif" font-size="12"><rect width="{width}" height="84" fill="#fff"/>'
        f'<text x="8" y="16">number of the key in each slot; below, its age in steps</text>{"".join(blocks)}</svg>'
    )
    keys = ", ".join("noise" if found is None else str(found[0]) for found in held)
    words = f"After {data['steps']} steps of {data['batch']} keys the {data['size']} slots hold keys {keys}."
    rows = []
    for m in MOMENTA:
        found = [distance for _, distance in behind({**data, "momentum": m})]
        if found:
            rows.append(
                f"m = {m:g}: newest {graph.number(found[-1])}, oldest {graph.number(found[0])} steps behind the query "
                f"encoder, {graph.number(found[0] - found[-1])} apart"
            )
    return (
        f"{graph.image(picture, words)}<p>{escape(words)} Makers of the keys, {escape('; '.join(rows))}.</p>"
        "<p>To make steps, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
