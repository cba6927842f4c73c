"""The grader's own score: every wrong version fails, nine of ten are named, no right one fails; the page says the same."""

from pathlib import Path

from minicl.course import EXERCISES
from tests import mutation


def test_the_63_are_wrong_versions_or_say_why_not():
    entries = mutation.entries()
    assert len(entries) == 63 == len({entry.name for entry in entries})
    for entry in entries:
        assert bool(entry.versions) != bool(entry.reason)
        for exercise, mistake in entry.versions:
            assert mistake in {known.name for known in EXERCISES[exercise].mistakes}, (entry.name, exercise, mistake)
    assert [entry.name for entry in entries if entry.reason] == ["rate-fixed-in-sweep"]


def test_the_score_and_its_page():
    versions, right = mutation.versions(), mutation.right_versions()
    assert all(version.failed for version in versions)
    assert sum(version.named for version in versions) >= 0.9 * len(versions)
    assert all(map(all, right.values())) and len(right["nt_xent"]) >= 10
    page = Path(__file__).parent.parent / "docs" / "grading.md"
    assert page.read_text(encoding="utf-8") == mutation.page(), "run `make mutation`"
