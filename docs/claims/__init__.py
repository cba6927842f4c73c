"""The article on contrastive loss that the lessons follow, claim by claim: what it says, what is so, and a check.

One file for each section of the article: `background` (S1 to S14), `concepts` (S15 to S33), `algorithm` (S34 to S48),
`mathematics` (S49 to S69) and `practice` (S70). A claim is a function whose decorator says the claim, the verdict and
the exact statement; the function itself is the check. `make claims` runs all of them and writes docs/claims.md;
`python -m docs.claims S17` runs one and prints its numbers.
"""

from . import algorithm, background, concepts, mathematics, practice
from .claim import CLAIMS, VERDICTS, Claim, Outcome, Record

__all__ = ["CLAIMS", "VERDICTS", "Claim", "Outcome", "Record"]
__all__ += ["algorithm", "background", "concepts", "mathematics", "practice"]

for _number in sorted(CLAIMS, key=lambda n: int(n[1:])):  # in the order of the article
    CLAIMS[_number] = CLAIMS.pop(_number)
