"""The optimizers that are compared: defaults, search space and the source of each number."""

from adabelief_lab.declare.optimizer_spec import OptimizerSpec, Search, WrapperSpec
from adabelief_lab.optimizers.resolve import GROUPS, OPTIMIZERS, WRAPPERS, expand, resolve

__all__ = [
    "GROUPS",
    "OPTIMIZERS",
    "WRAPPERS",
    "OptimizerSpec",
    "Search",
    "WrapperSpec",
    "expand",
    "resolve",
]
