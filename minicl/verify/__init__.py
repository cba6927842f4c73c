"""One call holds a gradient against its formula: `print(mc.verify.compare("nt_xent"))`. Every loss has witnesses here.

The engine, the closed form, differences, a complex step and torch each say what value and gradient are. They share no
code: where all agree they are right, and where one disagrees it is named. `python -m minicl.verify` checks all losses.
"""

from .comparison import compare, compare_all
from .table import Comparison, Summary

__all__ = ["compare", "compare_all", "Comparison", "Summary"]
