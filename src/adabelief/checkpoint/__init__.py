"""Checkpoints of other optimizers, told in the words of this one: pure functions on mappings.

`AdaBelief.from_checkpoint` is what most people want. Here are its parts:

- `reading.read_checkpoint` finds the optimizer's state_dict in a file or in a training checkpoint,
- `dialects` knows how each library writes AdaBelief's options and state, and how to tell them,
- `translation.translate` makes a state_dict of ours, with every difference named,
- `warm_start` is the mathematics of beginning from Adam's state.

Nothing given is ever changed; a checkpoint that cannot be understood is a ValueError.
"""

from __future__ import annotations

from adabelief.checkpoint.dialects import SOURCES as SOURCES
from adabelief.checkpoint.reading import read_checkpoint as read_checkpoint
from adabelief.checkpoint.translation import Translation as Translation
from adabelief.checkpoint.translation import check_fits as check_fits
from adabelief.checkpoint.translation import translate as translate

__all__ = ["SOURCES", "Translation", "check_fits", "read_checkpoint", "translate"]
