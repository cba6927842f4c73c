"""`python -m minicl.derivations [key ...]` checks derivations and prints a table for each. Exit status 1 if one fails."""

import sys

from . import ALL

passed = True
for key in sys.argv[1:] or ALL:
    report = ALL[key].check()
    print(report, end="\n\n")
    passed &= report.passed
sys.exit(not passed)
