"""The claims of the article: each check can fail, and docs/claims.md says what the checks say.

`make claims` runs all checks. Here a formula behind a check is broken, and the check must notice.
"""

import re
from pathlib import Path

import numpy as np
import pytest

import minicl as mc
from docs.claims import CLAIMS, VERDICTS, Record, training
from docs.claims.__main__ import main
from docs.claims.claim import Claim, Outcome
from docs.claims.page import page, read

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
# Slow, since they train or search: `make claims` runs them.
TRAINED = {"S2", "S4", "S6", "S10", "S11", "S12", "S13", "S23", "S40", "S43", "S46", "S48", "S66", "S70"}
CHEAP = [n for n in CLAIMS if n not in TRAINED]


@pytest.fixture
def fresh():
    training.forget()
    yield
    training.forget()


def scaled(by):
    """A function like the one it is given, whose result is `by` times as much."""
    return lambda f: lambda *args, **kwargs: f(*args, **kwargs) * by


def plus(what):
    return lambda f: lambda *args, **kwargs: f(*args, **kwargs) + what


def temperature(change):
    """The same loss with another temperature."""

    def wrap(f):
        def changed(*args, **kwargs):
            if "temperature" in kwargs:
                kwargs["temperature"] = change(kwargs["temperature"])
            elif len(args) > 2:
                args = (*args[:2], change(args[2]), *args[3:])
            else:
                kwargs["temperature"] = change(0.5)
            return f(*args, **kwargs)

        return changed

    return wrap


def with_itself(f):
    """NT-Xent that forgets to leave the anchor out of its candidates."""

    def nt_xent(z1, z2=None, temperature=0.5, layout="stacked", reduction="mean", **options):
        each = f(z1, z2, temperature, layout, "none", **options)
        # log(e^LSE + e^{1/τ}) − s, where the partner's score s is worked out again
        z = z1 if z2 is None else mc.concatenate([mc.tensor(z1) if not isinstance(z1, mc.Tensor) else z1, z2])
        n = len(z) // 2
        partner = (np.arange(2 * n) + n) % (2 * n) if layout == "stacked" else np.arange(2 * n) ^ 1
        u = mc.normalize(z)
        s = mc.sum(u * u[partner], axis=1) / temperature
        each = mc.softplus(1.0 / temperature - (each + s)) + each
        return {"none": each, "mean": mc.mean(each), "sum": mc.sum(each)}[reduction]

    return nt_xent


def partners_rolled(f):
    """NT-Xent with the wrong partner."""

    def nt_xent(z1, z2=None, *args, **kwargs):
        if z2 is None:
            return f(
                mc.concatenate([z1[2:], z1[:1], z1[1:2]]) if isinstance(z1, mc.Tensor) else np.roll(z1, 1, axis=0),
                None,
                *args,
                **kwargs,
            )
        return f(
            z1,
            mc.concatenate([z2[1:], z2[:1]]) if isinstance(z2, mc.Tensor) else np.roll(z2, 1, axis=0),
            *args,
            **kwargs,
        )

    return nt_xent


def unnormalised(f):
    return lambda a, b, axis=-1: mc.sum(mc.multiply(a, b), axis=axis)


def constant_norm(f):
    return lambda x, axis=None, **k: mc.sum(mc.abs(x), axis=axis) * 0 + 1


def never_pushes(f):
    return lambda x1, x2, similar, **k: f(x1, x2, np.ones(len(np.asarray(similar)), bool), **k)


def no_margin(f):
    return lambda *args, margin=1.0, **k: f(*args, margin=margin + 1.0, **k)


def image_labels(f):
    """SupCon that is never told classes."""
    return lambda z, labels, *args, **k: f(z, np.arange(len(labels)) % (len(labels) // 2), *args, **k)


def without_density(f):
    return lambda s, n, log_q, noise_log_q, **k: f(
        s, n, np.zeros_like(np.asarray(log_q)), np.zeros_like(np.asarray(noise_log_q)), **k
    )


def swapped_noise(f):
    return lambda s, n, a, b, **k: f(mc.negative(s), n, a, b, **k)


def as_binary(f):
    """Ranking replaced by the "merged" binary loss."""

    def ranking(s, n, log_q=None, noise_log_q=None, reduction="mean"):
        each = mc.softplus(mc.negative(s)) + mc.sum(mc.softplus(n), axis=1)
        return {"none": each, "mean": mc.mean(each), "sum": mc.sum(each)}[reduction]

    return ranking


def as_inside(f):
    return lambda views, tau=0.5, form="out", **k: f(views, tau, form="in", **k)


def naive_softplus(f):
    return lambda x: mc.log(1 + mc.exp(x))


def one_negative_only(f):
    return lambda c, o, n, **k: f(c, o, n[:, :1] * 0.5, **k)


def not_a_ring(f):
    return lambda self, rows: None


def swapped_momentum(f):
    def follow(self):
        self.momentum = 1 - self.momentum
        f(self)
        self.momentum = 1 - self.momentum

    return follow


def chunk_losses(f):
    return lambda net, x, loss, size, parameters=None: (
        0.0,
        [0.5 * g for g in f(net, x, loss, size, parameters)[1]],
        None,
    )


# The claim, what is broken (a name in minicl), and how.
BROKEN = [
    ("S1", "cosine_similarity", unnormalised),
    ("S3", "evaluate.precision_at_k", scaled(0.5)),
    ("S4", "losses.nt_xent", scaled(-1.0)),
    ("S5", "losses.contrastive", never_pushes),
    ("S7", "losses.ranking_nce", as_binary),
    ("S8", "losses.supcon", image_labels),
    ("S9", "losses.contrastive", no_margin),
    ("S14", "losses.nt_xent", with_itself),
    ("S15", "losses.nt_xent", partners_rolled),
    ("S16", "losses.moco", plus(0.01)),
    ("S17", "losses.nt_xent", partners_rolled),
    ("S18", "data.two_views", lambda f: lambda images, view, rng: (images, images)),
    ("S19", "cosine_similarity", unnormalised),
    ("S20", "losses.nt_xent", with_itself),
    ("S21", "losses.dcl", lambda f: lambda *a, **k: mc.losses.nt_xent(*a, **k)),
    ("S22", "losses.ranking_nce", as_binary),
    ("S24", "data.two_views", lambda f: lambda images, view, rng: (images, images)),
    ("S25", "nn.BatchNorm1d", lambda f: lambda features: mc.nn.ReLU()),
    ("S26", "losses.nt_xent", scaled(-1.0)),
    ("S27", "losses.nt_xent", partners_rolled),
    ("S28", "losses.nt_xent", temperature(lambda t: 1.01 * t)),
    ("S29", "losses.supcon", image_labels),
    ("S30", "cosine_similarity", lambda f: lambda a, b, axis=-1: mc.cos(mc.sum((a - b) ** 2, axis=axis))),
    ("S31", "losses.skip_gram", one_negative_only),
    ("S32", "losses.ranking_nce", as_binary),
    ("S33", "losses.info_nce", temperature(lambda t: 2 * t)),
    ("S34", "losses.supcon", image_labels),
    ("S35", "losses.ranking_nce", as_binary),
    ("S36", "losses.nt_xent", with_itself),
    ("S37", "losses.nt_xent", scaled(2.0)),
    ("S38", "optim.LARS", lambda f: lambda p, **k: f(p, **{**k, "trust": 0.002})),
    ("S39", "losses.nt_xent", temperature(lambda t: 1 / t)),
    ("S41", "losses.nt_xent", with_itself),
    ("S42", "train.Queue.put", not_a_ring),
    ("S44", "train.MoCo.follow", swapped_momentum),
    ("S45", "train.cached_gradient", chunk_losses),
    ("S47", "losses.multi_positive", as_inside),
    ("S49", "losses.info_nce", temperature(lambda t: 1.1 * t)),
    ("S50", "norm", constant_norm),
    ("S51", "cosine_similarity", unnormalised),
    ("S52", "losses.nt_xent", temperature(lambda t: 1.01 * t)),
    ("S53", "losses.nce", without_density),
    ("S54", "losses.nce", without_density),
    ("S55", "losses.siglip", temperature(lambda t: 2 * t)),
    ("S56", "losses.nce", swapped_noise),
    ("S57", "losses.nce", swapped_noise),
    ("S58", "softplus", naive_softplus),
    ("S59", "softplus", naive_softplus),
    ("S60", "losses.ranking_nce", as_binary),
    ("S61", "losses.nt_xent", partners_rolled),
    ("S62", "losses.dcl", lambda f: lambda *a, **k: mc.losses.nt_xent(*a, **k)),
    ("S63", "losses.ranking_nce", as_binary),
    ("S64", "losses.align", scaled(2.0)),
    ("S65", "losses.triplet", no_margin),
    ("S66", "losses.ranking_nce", as_binary),
    ("S67", "losses.nce", without_density),
    ("S68", "losses.skip_gram", lambda f: lambda v, c, n, **k: f(v, 0.5 * c, n, **k)),
    ("S69", "losses.ranking_nce", as_binary),
]


def broken(monkeypatch, path, how):
    *places, name = path.split(".")
    thing = mc
    for place in places:
        thing = getattr(thing, place)
    monkeypatch.setattr(thing, name, how(getattr(thing, name)))


# ------------------------------------------------------------------------------------------------------- what there is


def test_there_are_seventy_claims_in_order_each_with_its_parts():
    assert list(CLAIMS) == [f"S{k}" for k in range(1, 71)]
    for c in CLAIMS.values():
        assert c.verdict in VERDICTS and len(c.says) > 20 and len(c.exactly) > 30 and c.does[-1] in ".?"
    opinions = {n for n, c in CLAIMS.items() if c.verdict == "opinion"}
    assert opinions == {"S12", "S16", "S33", "S48", "S69"}
    cited = " ".join(c.sources for c in CLAIMS.values())
    assert len(set(re.findall(r"arXiv:\d{4}\.\d{5}", cited))) > 25


@pytest.mark.parametrize("number", CHEAP)
def test_the_verdict_holds(number):
    outcome = CLAIMS[number].run()
    assert outcome.passed, [line.text for line in outcome.lines if line.passed is False] + [outcome.error]


# ------------------------------------------------------------------------------------------------------ can they fail?


@pytest.mark.parametrize(("number", "path", "how"), BROKEN, ids=[f"{n}-{p}" for n, p, _ in BROKEN])
def test_a_check_fails_when_its_formula_is_broken(number, path, how, monkeypatch, fresh):
    broken(monkeypatch, path, how)
    outcome = CLAIMS[number].run()
    assert not outcome.passed
    assert any(line.passed is False for line in outcome.lines), f"only an error: {outcome.error}"


def test_enough_checks_were_broken():
    assert len({n for n, *_ in BROKEN}) >= 25


def test_an_error_and_a_check_that_measures_nothing_are_no_support():
    def raises(see):
        see.holds("one", True)
        raise RuntimeError("gone")

    assert not Claim("S0", "", "right", "", "", raises).run().passed
    assert "gone" in Claim("S0", "", "right", "", "", raises).run().error
    assert not Claim("S0", "", "right", "", "", lambda see: None).run().passed
    assert not Claim("S0", "", "right", "", "", lambda see: see.note("nothing checked")).run().passed


def test_what_a_record_accepts():
    for method, good, bad in [
        ("equal", (1.0, 1.0 + 1e-13), (1.0, 1.001)),
        ("equal", (np.ones(2), np.ones(2)), (np.ones(2), np.ones(3))),
        ("equal", (0.0, 0.0), (float("nan"), 0.0)),
        ("less", (1, 2), (2, 2)),
        ("less", (1, 2), (float("nan"), 2)),
        ("between", (0, 1, 2), (0, 3, 2)),
    ]:
        for arguments, expected in ((good, True), (bad, False)):
            see = Record()
            getattr(see, method)("x", *arguments)
            assert see.lines[0].passed is expected, (method, arguments)
    for values, expected in (([1.0, 1.1, 0.9], True), ([-1.0, 3.0, 1.0], False)):
        see = Record()
        see.mean("x", values, above=0)
        assert see.lines[0].passed is expected


# ------------------------------------------------------------------------------------------------------------ the page


def test_the_page_is_up_to_date_and_all_its_verdicts_hold():
    found = read(TEXT)
    made = read(page({n: Outcome(True, []) for n in CLAIMS}))
    assert list(found) == list(CLAIMS)
    for n, (verdict, holds, text) in found.items():
        assert verdict == CLAIMS[n].verdict and holds, f"{n}: run `make claims`"
        assert text == made[n][2], f"{n} was changed after docs/claims.md was made: run `make claims`"
    rows = re.findall(r"^\| \[(S\d+)\]\(#s\d+\) \| .* \| (\w+) \| (✓\xa0holds) \|$", TEXT, flags=re.MULTILINE)
    assert [(n, v) for n, v, _ in rows] == [(n, c.verdict) for n, c in CLAIMS.items()]


def test_a_verdict_that_does_not_hold_shows_on_the_page():
    outcomes = {n: Outcome(n != "S17", []) for n in CLAIMS}
    text = page(outcomes)
    assert [n for n, (_, holds, _) in read(text).items() if not holds] == ["S17"]
    assert text.count("✗ DOES NOT HOLD") == 2  # in the table and in the section


def test_the_command_fails_with_a_verdict_that_does_not_hold(monkeypatch, capsys):
    assert main(["s21"]) == 0 and "NT-Xent is softplus(DCL)" in capsys.readouterr().out
    broken(monkeypatch, "losses.dcl", scaled(1.01))
    assert main(["S21"]) == 1
    assert "S21" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["S71"])


def test_verdicts_agree_with_the_lessons():
    """Where lessons judge a claim, one of them at least says the same. Their "under conditions" is "imprecise" here."""
    same = {"true": "right", "under conditions": "imprecise"}
    words = "true|right|under conditions|imprecise|wrong|opinion"
    row = re.compile(rf"^# \| ((?:S\d+(?:, )?)+)[ :|].*? \| \**({words})\b", re.MULTILINE)
    said = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.py")):
        for numbers, verdict in row.findall(path.read_text(encoding="utf-8")):
            for n in numbers.split(", "):
                said.setdefault(n, set()).add(same.get(verdict, verdict))
    assert len(said) > 40
    assert not {n: (CLAIMS[n].verdict, words) for n, words in said.items() if CLAIMS[n].verdict not in words}
