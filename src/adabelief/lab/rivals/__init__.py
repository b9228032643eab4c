"""The optimizers that are compared: defaults, search space and the source of each number."""

from adabelief.lab.rivals.resolve import GROUPS, RIVALS, WRAPPERS, expand, resolve
from adabelief.lab.rivals.rival import Rival, Search, Wrapping

__all__ = ["GROUPS", "RIVALS", "WRAPPERS", "Rival", "Search", "Wrapping", "expand", "resolve"]
