"""How good is the grader? Every wrong version of the catalogue is graded; the tables go to docs/grading.md.

    python -m tests.mutation                 print the page
    python -m tests.mutation docs/grading.md write it

`LIST` holds 63 mistakes that were seen in public code or planted on purpose. Each is a wrong version of an exercise, or
says why no function can be judged for it. tests/test_course_score.py holds the totals and the page.
"""

import functools
import sys
from pathlib import Path
from typing import NamedTuple

from minicl.course import EXERCISES, check

sys.path.insert(0, str(Path(__file__).parent))
import right_answers  # noqa: E402

# A short name, what is wrong, and the wrong versions that show it: "exercise: mistake, mistake; exercise: mistake".
# A line without a colon there is the reason why it cannot be graded.
LIST = """
self-not-masked | the anchor is one of its own candidates | nt_xent: self-not-masked
masked-with-zero | the anchor's own logit is set to 0, which still counts exp(0) | nt_xent: logit-zeroed
wrong-partner | the partner is looked for in another row | nt_xent: next-row, interleaved-index, partner-clipped, label-shift
not-normalised | inner products in place of cosines | nt_xent: not-normalised
norm-over-batch | columns are normalised, not rows | nt_xent: columns-normalised
eps-in-norm | a constant is added to each length | nt_xent: eps-added-to-norm
batch-statistics-in-loss | the mean of the batch is taken away inside the loss | nt_xent: centred
naive-exp | exponentials of logits as they are | nt_xent: naive-exp
max-of-wrong-axis | the maximum of one row is taken from another | nt_xent: wrong-max-axis
one-max-for-all | all rows are shifted by one number | nt_xent: global-max
self-subtracted | the anchor's own term is subtracted after the sum | nt_xent: self-subtracted
wrong-count | divided by the number of images, or not at all | nt_xent: sum, divided-by-n
temperature-misplaced | τ multiplied, left out, used twice, or missing at the partner | nt_xent: temperature-multiplied, temperature-ignored, temperature-twice, temperature-forgotten-at-partner
half-the-anchors | anchors from one view only | nt_xent: one-view-anchors
half-the-candidates | candidates from the other view only | nt_xent: cross-view-only
partner-not-counted | no partner in the denominator | nt_xent: partner-not-in-sum
partner-counted-twice | the partner is added to a sum that has it | nt_xent: partner-twice-in-sum
log-of-mean | the mean comes before the logarithm | nt_xent: log-of-mean
eps-in-log | a constant inside the logarithm | nt_xent: eps-in-log
softmax-twice | probabilities are given where logits belong | nt_xent: softmax-twice
sign-base-scale | another sign, base or factor in front of the loss | nt_xent: sign, log-base-2, rescaled-by-temperature
distance-as-similarity | what is large for far rows serves as a score | nt_xent: distance, one-minus-cosine
same-view-twice | both views are the same | nt_xent: second-view-ignored; two_views: identical-views
input-overwritten | the arguments are normalised in place | nt_xent: in-place
mask-of-first-batch | a mask is kept for batches of another size | nt_xent: mask-cached
digits-lost | a narrower dtype on the way | nt_xent: coarse-numbers
supcon-positives | the row itself is a positive, 0/0 without a positive, or the mean inside the log | supcon: self-positive, zero-over-zero, mean-inside
candidates-constant | no gradient through candidates, in one process or across several | nt_xent_gradient: candidates-constant; gather_vjp: own-part-only
view-detached | one of the views gets no gradient | nt_xent_gradient: one-view-detached
factor-missing | 1/τ, 1/‖z‖ or 1/2N is left out of the gradient | nt_xent_gradient: temperature-missing, length-missing, mean-missing
no-projection | the radial part stays in the gradient | nt_xent_gradient: no-projection
gradient-overwritten | a node that is used twice keeps one of its gradients | backward: overwritten
gradient-sent-too-early | a node passes its gradient on before all of it is there | backward: sent-too-early; topological_order: depth-first, breadth-first
interior-not-cleared | a second backward starts from what interior nodes kept | backward: interior-kept
broadcast-not-summed | a stretched axis is not summed back | unbroadcast: unchanged, added-axes-only, stretched-axes-only
duplicates-overwritten | a row that is used twice keeps one gradient | getitem_vjp: duplicates-overwritten; sgns_gradient: duplicates-overwritten
step-through-abs | a complex step through a function that is not analytic | analytic_loss: length-by-norm, conjugate, imaginary-part-dropped, absolute-value
kink | a difference quotient across a kink | kinks: central-only, one-side
step-too-small | a step, or a dtype, in which the difference is rounding | numerical_gradient: dtype-kept; complex_step: real-difference; gradcheck: rejects-everything
log-nu-q-missing | the classifier of NCE without log(νq) | nce_loss: nu-q-missing, nu-missing, q-missing
noise-exponent | another exponent than ¾, or shares that do not add up to 1 | noise_words: unigram, exponent-half, not-renormalised
collisions-rejected | negatives equal to the context are left out and q stays | sgns_gradient: collisions-skipped
z-of-one-batch | the normaliser is estimated from one batch and kept | nce_loss: z-of-first-batch
log-of-sigmoid | the log of a sigmoid that was rounded to 0 | nce_loss: naive-log
one-table | one table for two roles, or gradients for all words | sgns_gradient: one-table, all-contexts-pushed
enqueued-first | the positive is in the queue already | queue_step: enqueued-first
empty-slots | slots that were never written count as negatives | queue_step: empty-slots-counted
ring-out-of-order | wrong slots where a batch reaches past the end | fifo_queue: dropped-at-the-end, jumps-to-the-start, starts-at-zero
momentum-confused | the average the wrong way round, too early, or not of all | momentum_step: direction-swapped, averaged-first, buffers-left-out
key-encoder-trained | the key encoder takes a step of its own | momentum_step: keys-trained
queries-enqueued | the queue is filled from the other encoder | queue_step: queries-enqueued
batch-leak | keys depend on the others of their batch, or come back in another order | group_norm: batch-statistics, batch-norm; shuffled_keys: not-restored, shuffled-again
shards-misjoined | partner or self is looked for at the place of a single process | sharded_nt_xent: partner-i-plus-n, own-place-in-shard
parts-summed | gradients of the parts' own losses are added up | cached_gradient: parts-by-themselves
replay-redrawn | the second pass draws other random numbers | replayed_gradient: drawn-again
world-size-factor | a factor of the number of processes | gather_vjp: mean-over-ranks; sharded_nt_xent: mean-not-taken
probed-after-head | the output of the head is evaluated | frozen_features: head-output
evaluated-in-training-mode | augmentation or training mode stay on | frozen_features: training-mode, augmented
self-in-neighbours | a row is its own neighbour | knn: self-included
test-statistics | numbers of the test examples enter the training | linear_probe: test-mean, joint-mean, test-standardised
diagonal-in-mean | pairs of a row with itself are counted | uniformity: diagonal-included, diagonal-counted
order-lost | views or features in another order than their labels | two_views: order-changed; frozen_features: order-lost
rate-fixed-in-sweep | τ is varied at one learning rate | a plan of experiments, and no function: notebook 08 shows the norm of the gradient beside each τ
"""  # noqa: E501


# tests/test_course_nt_xent.py holds it.
TIERS = """## Right, safe and fast are three tiers

Four versions of NT-Xent that are all right on ordinary numbers. The last line of a report, and `report.tiers`, tell them
apart. The reference of T5, the exponentials of the scores, is timed beside the function in the same run. Speed is never
part of `report.passed`.

| `nt_xent` | T0, T1, T2 | T4 adversarial numbers | T5 speed and scale | `passed` |
|---|---|---|---|---|
| loops over anchors and candidates, `math.exp` as it is | ok | 1 of 2 | slow: hundreds of times as long | no |
| arrays, `np.exp` as it is | ok | 0 of 2 | ok: a few times as long | no |
| loops, the largest score taken out | ok | ok | slow: hundreds of times as long | yes |
| arrays, the largest score of each row taken out | ok | ok | ok: a few times as long | yes |
"""


class Entry(NamedTuple):
    """One of the 63: its number, name, description, and [(exercise, mistake)] or the reason why there is none."""

    number: int
    name: str
    says: str
    versions: list
    reason: str


class Version(NamedTuple):
    """One wrong function and what became of it."""

    exercise: str
    mistake: str
    failed: bool
    named: bool


def entries():
    """The 63 as they stand in `LIST`."""
    found = []
    for number, line in enumerate(LIST.strip().splitlines(), 1):
        name, says, where = line.split(" | ")
        parts = [part.split(": ") for part in where.split("; ")] if where.split(": ")[0] in EXERCISES else []
        versions = [(exercise, mistake) for exercise, names in parts for mistake in names.split(", ")]
        found.append(Entry(number, name, says, versions, "" if parts else where))
    return found


@functools.cache
def versions():
    """Every wrong version of the catalogue, variants too, graded."""
    found = []
    for name, exercise in EXERCISES.items():
        for mistake in exercise.mistakes:
            for function in (mistake.function, *mistake.variants):
                report = check(name, function)
                named = bool(report.diagnosis) and report.diagnosis[0].name == mistake.name
                found.append(Version(name, mistake.name, not report.passed, named))
    return found


@functools.cache
def right_versions():
    """{exercise: [whether each right answer passes]}."""
    right = {}
    for module in right_answers.modules():
        right |= module.RIGHT
    return {name: [check(name, function).passed for function in right.get(name, [])] for name in EXERCISES}


def page():
    """docs/grading.md."""
    graded, right = versions(), right_versions()
    of = lambda exercise, mistake: [v for v in graded if (v.exercise, v.mistake) == (exercise, mistake)]
    yes = lambda values: "yes" if all(values) else "**no**"
    gradable = [entry for entry in entries() if entry.versions]
    failed, named = sum(v.failed for v in graded), sum(v.named for v in graded)
    passed, answers = sum(map(sum, right.values())), sum(map(len, right.values()))
    lines = [
        "# How good is the grader?",
        "",
        "`make mutation` grades every wrong version of the catalogue and every right answer of the tests, and writes",
        "this page. A wrong version is *failed* where `check` does not pass it, and *named* where its mistake is the",
        "first diagnosis. No wrong version is compared with a solution: known answers, invariances and numerical",
        "derivatives fail it.",
        "",
        "| | number | failed | named first |",
        "|---|---|---|---|",
        f"| wrong versions in {len(EXERCISES)} exercises | {len(graded)} | {failed} ({failed / len(graded):.0%}) "
        f"| {named} ({named / len(graded):.0%}) |",
        f"| right answers, written differently | {answers} | {answers - passed} | |",
        "",
        TIERS,
        "## 63 mistakes of public code",
        "",
        "Seen in public repositories or planted on purpose. One cannot be graded, and says why.",
        "",
        "| # | mistake | what is wrong | wrong version of | failed | named first |",
        "|---|---|---|---|---|---|",
    ]
    for number, name, says, where, reason in entries():
        if not where:
            lines.append(f"| {number} | `{name}` | {says} | ungradable: {reason} | | |")
            continue
        own = [version for pair in where for version in of(*pair)]
        shown = ", ".join(f"`{exercise}` `{mistake}`" for exercise, mistake in where)
        lines.append(
            f"| {number} | `{name}` | {says} | {shown} | {yes([v.failed for v in own])} | {yes([v.named for v in own])} |"
        )
    lines += [
        "",
        f"Gradable: {len(gradable)} of {len(entries())}.",
        "",
        "The softmax over columns instead of rows is no mistake in NT-Xent: scores are symmetric, and so is the relation",
        "of partners. It passes there, and fails in `info_nce`, where it is one.",
        "",
        "## By exercise",
        "",
        "| exercise | notebook | wrong versions | failed | named first | right answers | passed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, exercise in sorted(EXERCISES.items(), key=lambda item: (item[1].notebook, item[0])):
        own = [version for version in graded if version.exercise == name]
        lines.append(
            f"| `{name}` | {exercise.notebook} | {len(own)} | {sum(v.failed for v in own)} | {sum(v.named for v in own)} "
            f"| {len(right[name])} | {sum(right[name])} |"
        )
    return "\n".join(lines) + "\n"


def main():
    text = page()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    graded = versions()
    return 0 if all(v.failed for v in graded) and all(map(all, right_versions().values())) else 1


if __name__ == "__main__":
    sys.exit(main())
