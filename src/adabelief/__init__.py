"""AdaBelief (Zhuang et al., NeurIPS 2020) for PyTorch, and a lab to compare optimizers with."""

from importlib.metadata import version

from adabelief.hyperparameters import Hyperparameters as Hyperparameters
from adabelief.optimizer import AdaBelief as AdaBelief
from adabelief.recipes import recipes as recipes

__all__ = ["AdaBelief", "Hyperparameters", "recipes"]
__version__ = version("adabelief")
