"""Exercises in which the learner writes a test: it is given right and wrong versions of a function, as source text."""

from typing import NamedTuple

from ..exercise import Code, Test, call


class Version(NamedTuple):
    """A version of the function, as source text; what is wrong with it, and of which kind that is."""

    source: str
    says: str = ""
    kind: str | None = None


def written_tests(versions, one, many, *rejects):
    """What f(version) -> bool has to pass.

    Parameters
    ----------
    versions : list of Version
    one, many : str
        What a version is called: "queue", "queues".
    *rejects : (name, tier, kind)
        Tests that give f the wrong versions of one kind.

    Raises
    ------
    ValueError
        If a wrong version is in none of the tests.

    Examples
    --------
    >>> versions = [Version("abs"), Version("float", "keeps the sign", "sign")]
    >>> [test.name for test in written_tests(versions, "length", "lengths", ("rejects a wrong sign", "T3", "sign"))]
    ['answers True or False', 'accepts right lengths', 'rejects a wrong sign']
    """
    kinds = {kind for _, _, kind in rejects}
    if lost := [version.says for version in versions if version.says and version.kind not in kinds]:
        raise ValueError(f'written_tests: no test is given the {one} that {lost[0]}; its kind must be in a row of rejects')
    case = lambda version: call(Code(version.source))
    right = [case(v).gives(True).noting(f"This {one} is right.") for v in versions if not v.says]
    wrong = lambda kind: [
        case(v).gives(False).noting(f"This {one} is wrong: it {v.says}.") for v in versions if v.kind == kind
    ]
    return [
        Test("answers True or False", "T0", [case(v) for v in versions[:2]], law=just_answers),
        Test(f"accepts right {many}", "T1", right, scored=f"right {many} accepted"),
        *(Test(name, tier, wrong(kind), scored=f"wrong {many} rejected") for name, tier, kind in rejects),
    ]


def just_answers(f, *args):
    """A law of T0: an answer of the right form is enough."""
    f(*args)
