"""The material of notebook 12's exercises: right queues are right in every case, wrong ones are wrong in some."""

import itertools

import numpy as np
import pytest

from minicl.course import EXERCISES, check
from minicl.course.catalogue.many_negatives import QUEUES, Model
from minicl.course.exercise import Code


def faults(put):
    """In how many of all small cases a queue does not do what the model does, or changes what it was given."""
    found = 0
    for k, b, count in itertools.product(range(1, 6), range(1, 9), range(9)):
        queue = 100 + np.arange(2.0 * k).reshape(k, 2)
        keys = -1 - np.arange(2.0 * b).reshape(b, 2)
        before, model = (queue.copy(), keys.copy()), Model(queue, count)
        model.put(keys)
        rows, number = put(queue, count, keys)
        right = np.array_equal(rows, model.state()[0]) and number == count + b
        found += not (right and np.array_equal(queue, before[0]) and np.array_equal(keys, before[1]))
    return found


@pytest.mark.parametrize("queue", QUEUES, ids=[q.says or "right" for q in QUEUES])
def test_right_queues_are_right_and_wrong_ones_wrong(queue):
    wrong = faults(Code(queue.source).value())
    assert (wrong > 0) == bool(queue.says), f"{wrong} of 360 cases are wrong"


def test_there_are_as_many_as_the_question_says():
    wrong = [q for q in QUEUES if q.says]
    assert len(QUEUES) - len(wrong) == 4 and len(wrong) == 17
    assert "4 right queues and reject 17 wrong ones" in " ".join(EXERCISES["queue_test"].statement.split())
    assert len({q.says for q in wrong}) == 17 and all(q.kind for q in wrong)


def test_a_test_of_the_usual_kind_misses_half_of_the_wrong_queues():
    """Two keys at a time into four slots, one feature, and a look at which keys are there."""

    def usual(put):
        queue, count = np.zeros((4, 1)), 0
        for step in range(5):
            queue, count = put(queue, count, np.array([[2.0 * step], [2.0 * step + 1]]))
        return sorted(queue.ravel()) == [6, 7, 8, 9]

    report = check("queue_test", usual)
    assert report.scores["right queues accepted"] == (4, 4)
    assert report.scores["wrong queues rejected"][0] <= 9
    assert not report.passed and len(report.hints) == 3
