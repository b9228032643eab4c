"""Feasible sets F and their projections Π_{F,M}, the last word of Algorithm 2's update.

Every set projects exactly in the weighted metric, in float64 inside, without asking the device for
a value; docs/feasible.md has the formulas, the guarantees, and how to write a set of one's own.
"""

from torch.serialization import add_safe_globals

from adabelief.feasible.base import FeasibleSet as FeasibleSet
from adabelief.feasible.box import Box as Box
from adabelief.feasible.box import NonNegative as NonNegative
from adabelief.feasible.l2_ball import L2Ball as L2Ball
from adabelief.feasible.planes import Halfspace as Halfspace
from adabelief.feasible.planes import Hyperplane as Hyperplane
from adabelief.feasible.simplex import L1Ball as L1Ball
from adabelief.feasible.simplex import Simplex as Simplex

__all__ = [
    "Box",
    "FeasibleSet",
    "Halfspace",
    "Hyperplane",
    "L1Ball",
    "L2Ball",
    "NonNegative",
    "Simplex",
]

# A set is a group option, so it is in checkpoints, which torch.load reads with weights_only=True.
add_safe_globals([Box, Halfspace, Hyperplane, L1Ball, L2Ball, NonNegative, Simplex])
