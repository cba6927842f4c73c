# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] nbgrader={"grade_id": "introduction"}
# # Assignment 1 · Engine and gradients

# %% nbgrader={"grade_id": "setup"}
import numpy as np

import minicl as mc

# %% [markdown] nbgrader={"grade_id": "ask_matmul_vjp"}
# ## 1 · A matrix product
#
# Let $Y = A B$ …

# %% nbgrader={"grade_id": "matmul_vjp", "solution": true}
def matmul_vjp(g, a, b):
    """The gradients of Σ g (a @ b) with respect to a and b."""
    ### BEGIN SOLUTION
    return g @ b.T, a.T @ g
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_matmul_vjp", "points": 6}
mc.course.check("matmul_vjp", matmul_vjp)
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.matmul_vjp(matmul_vjp)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_derive_matmul"}
# ## 2 · By hand (8 points, graded by a person)
#
# Derive …
#
# | step | points |
# |---|---|
# | … | 3 |
# | … | 5 |

# %% [markdown] nbgrader={"grade_id": "derive_matmul", "solution": true, "points": 8}
# The model answer, which the release replaces by "YOUR ANSWER HERE".
