"""`python -m minicl.verify [names]`: one line for each loss, or the whole table of those that are named.

The exit status is 1 if witnesses disagree, 2 if a name is unknown.
"""

import argparse
import sys

from .. import formulas
from .comparison import compare, compare_all


def main(arguments=None):
    """Prints the tables; returns the exit status.

    Examples
    --------
    >>> main(["no_such_loss"])
    unknown: no_such_loss. The losses are align, contrastive, cross_entropy, ...
    2
    """
    parser = argparse.ArgumentParser(prog="python -m minicl.verify", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="losses whose whole table is printed; all, a line each, if left out")
    parser.add_argument("--seed", type=int, default=0, help="of the example (default 0)")
    parser.add_argument("--no-torch", action="store_true", help="leave torch out, and do not import it")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in formulas.__all__]
    if unknown:
        print(f"unknown: {', '.join(unknown)}. The losses are {', '.join(sorted(formulas.__all__))}")
        return 2
    torch = False if given.no_torch else None
    if given.names:
        found = [compare(name, seed=given.seed, torch=torch) for name in given.names]
    else:
        found = [compare_all(seed=given.seed, torch=torch)]
    print("\n\n".join(map(str, found)))
    return 0 if all(result.passed for result in found) else 1


if __name__ == "__main__":
    sys.exit(main())
