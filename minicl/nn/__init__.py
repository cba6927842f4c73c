"""Networks: the Module that holds parameters, layers, and encoders built from them."""

from .encoders import MLP, ProjectionHead
from .initializers import glorot_uniform, kaiming_uniform
from .layers import GELU, Dropout, Flatten, Function, LeakyReLU, Linear, ReLU, Sequential, Sigmoid, SiLU, Tanh
from .module import Module, Summary

__all__ = [
    "Module",
    "Summary",
    "Linear",
    "Sequential",
    "Function",
    "ReLU",
    "LeakyReLU",
    "GELU",
    "SiLU",
    "Tanh",
    "Sigmoid",
    "Flatten",
    "Dropout",
    "MLP",
    "ProjectionHead",
    "glorot_uniform",
    "kaiming_uniform",
]
