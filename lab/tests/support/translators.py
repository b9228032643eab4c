"""A small translator."""

from __future__ import annotations

import torch

from adabelief_lab.data.subwords import PAD
from adabelief_lab.models.translator import Translator


def small(vocabulary: int = 300, layers: int = 2) -> Translator:
    torch.manual_seed(0)
    model = Translator(vocabulary, 16, 24, 4, layers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.tokens.weight[PAD] = 0.0
    return model
