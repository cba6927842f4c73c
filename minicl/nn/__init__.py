"""Networks: the Module that holds parameters, layers, and encoders built from them."""

from .encoders import MLP, ConvNet, ProjectionHead, ResidualBlock, ResNet
from .images import AvgPool2d, Conv2d, GlobalAvgPool, MaxPool2d
from .initializers import (
    glorot_normal,
    glorot_uniform,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    orthogonal,
    standard_normal,
)
from .layers import (
    GELU,
    Dropout,
    Embedding,
    Flatten,
    Function,
    LeakyReLU,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from .module import Module, Summary
from .norms import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm

__all__ = [
    "Module",
    "Summary",
    "Linear",
    "Conv2d",
    "MaxPool2d",
    "AvgPool2d",
    "GlobalAvgPool",
    "BatchNorm1d",
    "BatchNorm2d",
    "LayerNorm",
    "GroupNorm",
    "Embedding",
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
    "ConvNet",
    "ResidualBlock",
    "ResNet",
    "ProjectionHead",
    "glorot_normal",
    "glorot_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "standard_normal",
]
