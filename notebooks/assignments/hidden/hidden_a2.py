"""Hidden tests of assignment 2: one function for each autograded cell, called with what the student wrote."""

import math

import numpy as np
from hidden_tests import NotYet, choice, four_digits, require

VALUES, HARD = "T0 T1 T2 T3", "T4"


# ------------------------------------------------------------------------------------------------- 1 · cosine


def shrinks(answer):
    four_digits(
        answer,
        0.5,
        {
            "length-missing": (1.0, "A step of fixed length turns a long vector less than a short one."),
            "length-upside-down": (2.0, "A step of fixed length turns a long vector less than a short one."),
            "length-twice": (0.25, "The length of u divides the gradient once."),
        },
    )


def cosine_gradient(function):
    require("cosine_gradient", function, VALUES)


def cosine_gradient_of_zeros(function):
    require("cosine_gradient", function, HARD)


# ----------------------------------------------------------------------------------------------- 2 · data or noise


def posterior(answer):
    four_digits(
        answer,
        3 / 8,
        {
            "nu-missing": (3 / 4, "Noise points are more frequent than data points, and that counts."),
            "nu-upside-down": (15 / 16, "There are more noise points than data points, not fewer."),
            "odds": (3 / 5, "These are odds, data to noise. A probability divides by both together."),
            "noise-as-data": (5 / 8, "This is the probability of noise."),
            "per-cent": (37.5, "A probability lies between 0 and 1."),
        },
    )


def nce_loss(function):
    require("nce_loss", function, VALUES)


def nce_loss_of_large_scores(function):
    require("nce_loss", function, HARD)


# --------------------------------------------------------------------------------------------- 3 · which one is it


def second_place(answer):
    four_digits(
        answer,
        6 / 10,
        {
            "separate-answers": (
                6 / 7,
                "This asks the second candidate alone. Exactly one of the three is the partner.",
            ),
            "uniform": (1 / 3, "The ratios make some places likelier than others."),
            "odds": (6 / 4, "These are odds. A probability divides by all three together."),
        },
    )


def three_losses(function):
    require("cross_entropy_readings", function, VALUES)


def three_losses_of_large_logits(function):
    require("cross_entropy_readings", function, HARD)


def info_nce(function):
    require("info_nce", function, VALUES)


def info_nce_at_low_temperature(function):
    require("info_nce", function, HARD)


# ------------------------------------------------------------------------------------------------- 4 · the article

SAYS = {
    1: ("right-line-doubted", "Line 1 is the definition of part 1."),
    2: ("constant-believed", "Compare line 2 with the formula of h(x): what stands in the place of its k?"),
    3: ("right-line-doubted", "Line 3 is −log h and −log(1 − h) for νq = 1."),
    4: ("merging-believed", "Compare the binary and the categorical loss of part 3: what lies between the two?"),
    5: ("sum-to-n", "Count the terms of the denominator in line 5, and count the candidates of a view."),
    6: ("partner-not-in-sum", "With line 6 a minus log of a probability could be negative."),
    7: ("right-line-doubted", "Line 7 is the mean over all views as anchors."),
}


def _lines(audit, expected):
    if not isinstance(audit, dict):
        raise NotYet("wrong-form", "audit is a dictionary: a word for each of the lines 1 to 7.")
    for line, word in expected.items():
        try:
            choice(audit.get(line), word)
        except NotYet:
            raise NotYet(*SAYS[line]) from None


def audit_of_right_lines(audit):
    _lines(audit, {1: "right", 3: "right", 7: "right"})


def audit_of_derivation(audit):
    _lines(audit, {2: "noise", 4: "condition"})


def audit_of_sum(audit):
    _lines(audit, {5: "views", 6: "partner"})


def counterexample(views, tau):
    try:
        views, tau = np.array(views, dtype=float), float(tau)
    except (TypeError, ValueError):
        raise NotYet("wrong-form", "views is an array of numbers, and tau is a number.") from None
    if views.ndim != 2 or len(views) % 2 or len(views) < 4:
        raise NotYet("wrong-form", "views has an even number of rows, at least four.")
    lengths = np.sqrt((views * views).sum(axis=1, keepdims=True))
    if not np.isfinite(views).all() or not lengths.all() or not 0.05 <= tau <= 2:
        raise NotYet("wrong-form", "No row is zero, all numbers are finite, and tau lies between 0.05 and 2.")
    u, n = views / lengths, len(views) // 2
    logits = u @ u.T / tau
    rows = np.arange(2 * n)
    candidates = np.where(np.eye(2 * n, n, dtype=bool), -np.inf, logits[:, :n])
    if (np.logaddexp.reduce(candidates, axis=1) - logits[rows, rows ^ 1]).mean() >= 0:
        raise NotYet("not-negative", "As printed, the loss of this batch is not negative.")


def without_partner(answer):
    four_digits(
        answer,
        math.log(2) - 2,
        {
            "partner-in-sum": (
                math.log(2 + math.exp(2)) - 2,
                "This is NT-Xent: here the partner is left out of the sum.",
            ),
            "partner-missing": (math.log(2), "The partner stays in the numerator: only the sum is without it."),
            "images-for-views": (-2.0, "The other image has two views, and both are negatives."),
            "sign": (2 - math.log(2), "The sign is wrong: −log of a quotient."),
            "temperature-multiplied": (math.log(2) - 0.5, "A logit is the cosine divided by τ."),
            "temperature-ignored": (math.log(2) - 1, "A logit is the cosine divided by τ."),
        },
    )


# --------------------------------------------------------------------------------------------------- 5 · NT-Xent


def collapse(answer):
    four_digits(
        answer,
        math.log(255),
        {
            "self-not-masked": (math.log(256), "A view is not its own candidate."),
            "partner-not-in-sum": (math.log(254), "The partner is a candidate too."),
            "images-for-views": (math.log(128), "Count views, not images."),
            "sum-to-n": (math.log(127), "Count views, not images."),
            "zero-at-collapse": (
                0.0,
                "The loss is 0 where the partner is found with certainty. Here nothing can be told apart.",
            ),
        },
    )


def nt_xent(function):
    require("nt_xent", function, VALUES)


def nt_xent_at_low_temperature(function):
    require("nt_xent", function, HARD)


# --------------------------------------------------------------------------------------------------- 7 · gradient


def new_length(answer):
    four_digits(
        answer,
        math.sqrt(26),
        {
            "length-kept": (5.0, "The step has length 1, and is at right angles to z."),
            "step-along-z": (6.0, "The step is at right angles to z."),
            "step-against-z": (4.0, "The step is at right angles to z."),
        },
    )


def nt_xent_gradient_laws(function):
    require("nt_xent_gradient", function, "T0 T1 T2")


def nt_xent_gradient(function):
    require("nt_xent_gradient", function, "T3")


def nt_xent_gradient_at_low_temperature(function):
    require("nt_xent_gradient", function, HARD)
