"""Wrong submissions of assignment 1."""

WRONG = {
    "matmul-not-transposed": {
        "answers": {"matmul_vjp": "def matmul_vjp(g, a, b):\n    return g @ b, a @ g"},
        "loses": {"test_matmul_vjp": "not-transposed"},
    },
}
