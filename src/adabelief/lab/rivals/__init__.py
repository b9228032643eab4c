"""The optimizers that are compared: defaults, search space and the source of each number."""

from adabelief.lab.rivals.resolve import GROUPS, OPTIMIZERS, WRAPPERS, expand, resolve
from adabelief.lab.rivals.rival import OptimizerSpec, Search, WrapperSpec

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
