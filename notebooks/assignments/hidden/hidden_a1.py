"""Hidden tests of assignment 1: one function for each autograded cell, called with what the student wrote."""

from hidden_tests import require


def matmul_vjp(function):
    require("matmul_vjp", function)
