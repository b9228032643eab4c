"""AdaBelief (Zhuang et al., NeurIPS 2020) for PyTorch: Algorithm 2 of the paper exactly."""

from importlib.metadata import version

from adabelief.gradient_release import release_gradients as release_gradients
from adabelief.hyperparameters import Hyperparameters as Hyperparameters
from adabelief.optimizer import AdaBelief as AdaBelief
from adabelief.param_groups import describe_groups as describe_groups
from adabelief.param_groups import param_groups as param_groups
from adabelief.recipes import recipes as recipes
from adabelief.schedules import ExponentialBeta1 as ExponentialBeta1
from adabelief.schedules import InverseTimeBeta1 as InverseTimeBeta1

__all__ = [
    "AdaBelief",
    "ExponentialBeta1",
    "Hyperparameters",
    "InverseTimeBeta1",
    "describe_groups",
    "param_groups",
    "recipes",
    "release_gradients",
]
__version__ = version("adabelief")
