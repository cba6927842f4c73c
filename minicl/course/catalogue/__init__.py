"""All exercises, one file per notebook, or per idea where a notebook has many.

To add one, write `name = Exercise(name="name", ...)` in the file of its notebook (`Exercise` has a short example): it
is found by its type. Then add two right versions to a module of tests/right_answers/. The tests hold that every right
version passes, and that every mistake is rejected and recognised as itself, with any seed, in less than a second.
"""

from ..exercise import Exercise
from . import (
    analytic,
    autograd,
    backward,
    convolution,
    features,
    gradient_checking,
    info_nce,
    loss_test,
    many_negatives,
    momentum,
    more_positives,
    nce,
    nt_xent,
    pairwise_triplet,
    seeing,
    shards,
    simclr,
    similarity,
    temperature,
    word2vec,
)


def _collect(*modules):
    found = {}
    for module in modules:
        for exercise in vars(module).values():
            if isinstance(exercise, Exercise):
                if exercise.name in found:
                    raise ValueError(f"two exercises are named {exercise.name!r}")
                found[exercise.name] = exercise
    return found


EXERCISES = _collect(
    analytic,
    autograd,
    backward,
    convolution,
    features,
    gradient_checking,
    info_nce,
    loss_test,
    many_negatives,
    momentum,
    more_positives,
    nce,
    nt_xent,
    pairwise_triplet,
    seeing,
    shards,
    simclr,
    similarity,
    temperature,
    word2vec,
)
