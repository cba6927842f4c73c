"""docs/claims.md: a table of all claims, then a section for each, with what its check measured in this run."""

import re

from .claim import CLAIMS, VERDICTS

HEAD = """# The article, claim by claim

The lessons follow an introductory article on contrastive loss. Here are its {total} claims in our words, each with
a verdict, the exact statement, and a check that was run when this page was made. The verdicts: {counts}.

What the words mean: {words}. The lessons say "under conditions" where a condition is what is missing.

The mark ✓ says that what the check measured supports the verdict, in this run. It does not say that the claim is right:
the check of a wrong claim shows that it is wrong. `make claims` runs all checks, writes this page, and fails if one
verdict no longer holds. `python -m docs.claims S17` runs one.
"""

NO_BREAK = "\N{NO-BREAK SPACE}"
SECTIONS = {
    "S1": "1. Background",
    "S15": "2. Core concepts",
    "S34": "3. Algorithm",
    "S49": "4. Mathematics",
    "S70": "5. Practice",
}


def badge(outcome, space=" "):
    """A mark and a word; in a narrow column of a table a `space` that does not break keeps them in one line."""
    return f"✓{space}holds" if outcome.passed else "✗ DOES NOT HOLD"


def static(c):
    """The part of a section that does not depend on a run."""
    file, line, code = c.place
    return (
        f"### {c.number}\n\n**Claim.** {c.says}\n\n**Verdict: {c.verdict}.** {c.exactly}\n\n"
        f"**Sources.** {c.sources}\n\n"
        f"**Check.** {c.does} [{file}](../docs/claims/{file}#L{line})\n\n"
        f"<details><summary>Code of the check</summary>\n\n```python\n{code}```\n\n</details>\n"
    )


def measured(outcome):
    """The part that does."""
    marks = {True: "✓", False: "✗", None: "·"}
    lines = [f"- {marks[passed]} {escaped(text)}" for text, passed in outcome.lines]
    if outcome.error:
        lines.append(f"- ✗ {escaped(outcome.error)}")
    return f"**{badge(outcome)}**, measured:\n\n" + "\n".join(lines) + "\n"


def escaped(text):
    """Text that Markdown shows as it is."""
    return re.sub(r"([*_<>|`$\[\]\\])", r"\\\1", text.replace("\n", " "))


def page(outcomes):
    """The text of the page from the outcome of each claim."""
    of = {word: sum(c.verdict == word for c in CLAIMS.values()) for word in VERDICTS}
    head = HEAD.format(
        total=len(CLAIMS),
        counts=", ".join(f"{n} {word}" for word, n in of.items()),
        words="; ".join(f"*{word}*, {text}" for word, text in VERDICTS.items()),
    )
    table = ["| | claim | verdict | check |", "|---|---|---|---|"]
    table += [
        f"| [{n}](#{n.lower()}) | {c.says} | {c.verdict} | {badge(outcomes[n], NO_BREAK)} |" for n, c in CLAIMS.items()
    ]
    parts = [head, "\n".join(table) + "\n"]
    for n, c in CLAIMS.items():
        if n in SECTIONS:
            parts.append(f"## {SECTIONS[n]}\n")
        parts += [static(c), measured(outcomes[n])]
    return "\n".join(parts)


def read(text):
    """What a page says: {number: (verdict, whether it holds, the static part)}."""
    found = {}
    for part in re.split(r"^(?=### S\d+$)", text, flags=re.MULTILINE)[1:]:
        number = re.match(r"### (S\d+)", part)[1]
        verdict = re.search(r"^\*\*Verdict: (\w+)\.\*\*", part, flags=re.MULTILINE)[1]
        fixed, mark, rest = re.split(r"^\*\*([✓✗]) ", part, maxsplit=1, flags=re.MULTILINE)
        found[number] = (verdict, mark == "✓" and not re.search(r"^- ✗", rest, flags=re.MULTILINE), fixed.rstrip())
    return found
