"""`python -m docs.claims` runs all checks and writes docs/claims.md; with numbers, as S17, it only prints these."""

import argparse
import sys
import time
from pathlib import Path

from . import CLAIMS
from .page import badge, page

PAGE = Path(__file__).resolve().parent.parent / "claims.md"


def main(arguments=None):
    """0 if all verdicts hold, 1 if one does not."""
    parser = argparse.ArgumentParser(prog="python -m docs.claims", description=__doc__)
    parser.add_argument("numbers", nargs="*", metavar="S17", help="only these; the page is not written")
    chosen = [n.upper() for n in parser.parse_args(arguments).numbers]
    unknown = [n for n in chosen if n not in CLAIMS]
    if unknown:
        parser.error(f"there is no claim {', '.join(unknown)}; there are S1 to S{len(CLAIMS)}")
    outcomes, start = {}, time.process_time()
    for n in chosen or CLAIMS:
        began = time.process_time()
        outcomes[n] = CLAIMS[n].run()
        print(f"{n:4} {CLAIMS[n].verdict:10} {badge(outcomes[n]):8} {time.process_time() - began:5.1f} s", flush=True)
        if chosen or not outcomes[n].passed:
            for text, passed in outcomes[n].lines:
                print(f"     {({True: '✓', False: '✗', None: '·'})[passed]} {text}")
            if outcomes[n].error:
                print(f"     ✗ {outcomes[n].error}")
    failed = [n for n, outcome in outcomes.items() if not outcome.passed]
    if not chosen:
        PAGE.write_text(page(outcomes), encoding="utf-8")
    print(
        f"{len(outcomes) - len(failed)} of {len(outcomes)} verdicts hold; {time.process_time() - start:.0f} s of a core"
    )
    if failed:
        print(f"Error: no longer so: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
