"""Wrong submissions of the assignments: aN.py has those of aN_*.py, as notebooks/assignments/README.md tells.

Each answer is written out, as a student hands it in, though most of its lines are those of the right one.
"""
