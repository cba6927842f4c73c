"""An example of each loss, drawn from a seed: what `compare` takes where no arrays are given.

Sizes differ from each other, so that a mixed-up axis cannot hide. A variant is the same loss with another option.
"""

import numpy as np

LABELS = (0, 1, 0, 2, 1, 0, 3)  # 2 and 3 occur once: anchors without a positive


def _several(rng):
    similar = np.arange(7) % 2 == 0
    labels = np.array(LABELS)
    draw = lambda *shape: rng.normal(size=shape)
    log_q = lambda *shape: np.log(rng.uniform(0.1, 1.0, shape))
    views = lambda: (draw(5, 3), draw(5, 3))
    return {
        "contrastive": lambda: [((draw(7, 3), draw(7, 3), similar), {"margin": 2.5})],
        "triplet": lambda: [
            ((draw(7, 3), draw(7, 3), draw(7, 3)), {"margin": 1.0}),
            ((draw(7, 3), draw(7, 3), draw(7, 3)), {"margin": 1.0, "squared": True}),
        ],
        "mined_triplet": lambda: [
            ((draw(7, 3), labels), {"margin": 1.0, "mining": mining} | squared)
            for mining in ("all", "semi_hard", "batch_hard")
            for squared in ({}, {"squared": True})
        ],
        "n_pair": lambda: [(views(), {"l2": 0.3})],
        "cross_entropy": lambda: [((draw(5, 3), np.array([0, 2, 1, 1, 2])), {})],
        "nce": lambda: [((draw(5), draw(5, 3), log_q(5), log_q(5, 3)), {})],
        "ranking_nce": lambda: [
            ((draw(5), draw(5, 3)), {}),
            ((draw(5), draw(5, 3)), {"log_q": log_q(5), "noise_log_q": log_q(5, 3)}),
        ],
        "info_nce": lambda: [
            (views(), {}),
            (views(), {"symmetric": True}),
            (views(), {"negatives": draw(7, 3)}),
        ],
        **{
            name: lambda: [
                (views(), {}),
                ((draw(10, 3),), {"layout": "stacked"}),
                ((draw(10, 3),), {"layout": "interleaved"}),
            ]
            for name in ("nt_xent", "dcl")
        },
        "debiased": lambda: [
            (views(), {}),
            (views(), {"class_prior": 0.6}),
            ((draw(10, 3),), {"layout": "interleaved"}),
        ],
        "supcon": lambda: [((draw(7, 3), labels), {"form": form}) for form in ("out", "in")],
        "multi_positive": lambda: [((draw(3, 5, 2),), {"form": form}) for form in ("out", "in")],
        "skip_gram": lambda: [((draw(5, 3), draw(5, 3), draw(5, 2, 3)), {})],
        "siglip": lambda: [(views(), {"bias": -1.0})],
        "moco": lambda: [((draw(5, 3), draw(5, 3), draw(7, 3)), {})],
        "memory_bank": lambda: [
            ((draw(5, 3), draw(11, 3), np.array([3, 0, 9, 9, 5])), {}),
            ((draw(5, 3), draw(11, 3), np.array([3, 0, 9, 9, 5])), {"negatives": rng.integers(0, 11, (5, 2))}),
        ],
        "align": lambda: [(views(), {"alpha": alpha}) for alpha in (2, 1, 3.5)],
        "uniform": lambda: [((draw(7, 3),), {})],
    }


def examples(name, seed=0):
    """All variants of a loss: a list of (arrays, options), the plain one first.

    Examples
    --------
    >>> arrays, options = examples("nt_xent")[0]
    >>> [x.shape for x in arrays], options
    ([(5, 3), (5, 3)], {})
    """
    return _several(np.random.default_rng(seed))[name]()
