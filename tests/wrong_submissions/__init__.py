"""Wrong submissions of the assignments: aN.py has those of aN_*.py, as notebooks/assignments/README.md tells."""
