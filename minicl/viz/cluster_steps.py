"""A widget with the cost model of parallel training: sliders for the encoder, the network and the batch; parts of a step
against the number of workers.

In the page the numbers are computed by the widget's own script; a test holds that script to `minicl.parallel.cost`.
"""

import dataclasses

from .. import graph
from .widget import Widget

WORKERS = [2**k for k in range(1, 11)]
IMAGES = [2**k for k in range(3, 11)]
CHOICES = {  # the places of the sliders: seconds for an image, seconds of latency, bytes a second
    "image": [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1],
    "latency": [1e-6, 2e-6, 5e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3],
    "bandwidth": [1.1e8, 3e8, 1.1e9, 3e9, 1.1e10, 2.2e10, 5e10],
}
PARTS = {"encoder": "#1971C2", "loss": "#D9480F", "messages": "#C2255C"}


def cluster_steps(costs, images=64):
    """A widget that predicts a step on 2 to 1024 workers.

    It needs no kernel and no network. Sliders, or the arrow keys, set the seconds for an image, latency and bandwidth, and
    the images; a box says whether they are those of each worker or of all.

    Parameters
    ----------
    costs : minicl.parallel.cost.Costs
        The constants at the start; those with a slider move to its nearest place.
    images : int
        On each worker.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If the images are no place of the slider.

    Notes
    -----
    `Costs.parts` has the formulas. "messages" are visits, gradients and norms together.

    Examples
    --------
    >>> from minicl.parallel.cost import Costs
    >>> costs = Costs(image=1e-3, step=1e-3, alone=2e-9, ring=4e-9, latency=3e-5, bandwidth=1e9, dim=64, parameters=10**6)
    >>> cluster_steps(costs).data["start"]["image"]
    0.001
    """
    if images not in IMAGES:
        raise ValueError(f"cluster_steps: images is {images}; give one of {', '.join(map(str, IMAGES))}.")
    start = {name: min(places, key=lambda x: abs(x - getattr(costs, name))) for name, places in CHOICES.items()}
    costs = dataclasses.replace(costs, **start)
    data = {
        "costs": dataclasses.asdict(costs),
        "start": {**start, "images": images},
        "choices": {**CHOICES, "images": IMAGES},
        "workers": WORKERS,
    }
    return Widget("cluster_steps", "A step on 2 to 1024 workers", data, _still(costs, images))


def seconds(costs, workers, batch):
    """Seconds of the encoder, the loss, and all messages.

    Examples
    --------
    >>> from minicl.parallel.cost import Costs
    >>> seconds(Costs(1e-3, 0, 2e-9, 4e-9, 0, 1e9, 64, 0), 2, 8)["encoder"]
    0.004
    """
    parts = costs.parts(workers, batch)
    messages = parts["visits"] + parts["gradients"] + parts["norms"]
    return {"encoder": parts["encoder"], "loss": parts["loss"], "messages": messages}


def _still(costs, images):
    """The parts against the workers, for where scripts do not run."""
    found = [seconds(costs, R, R * images) for R in WORKERS]
    cells = "".join(
        f"<tr><td>{R}</td>{''.join(f'<td>{graph.number(1e3 * f[part])}</td>' for part in PARTS)}</tr>"
        for R, f in zip(WORKERS, found)
    )
    head = "".join(f"<th>{part}, ms</th>" for part in PARTS)
    return (
        f"<p>Predicted for {images} images on each worker. The loss takes as long as the encoder at "
        f"R = {costs.balance(images):.0f}.</p><table><tr><th>workers</th>{head}</tr>{cells}</table>"
        "<p>To move the constants, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
