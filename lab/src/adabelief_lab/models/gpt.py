"""A small decoder-only transformer: what users of optimizers train today."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Radford et al. 2019 (GPT-2), section 2.3 and their code.
_INITIAL_DEVIATION = 0.02


class Block(nn.Module):
    """Attention to what came before, then a perceptron; each normalised first, and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, length, width) -> the same."""
        n, length, width = x.shape
        projected = self.queries_keys_values(self.before_attention(x))
        heads = projected.view(n, length, 3, self.heads, width // self.heads)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.mixed(attended.transpose(1, 2).reshape(n, length, width))
        return x + self.perceptron(self.before_perceptron(x))


class GPT(nn.Module):
    """Tokens (n, length) -> logits of each next one (n, length, vocabulary).

    Args:
        vocabulary: number of tokens.
        length: of the longest input.
        width: of a token's features; a multiple of `heads`.
        heads: of the attention.
        layers: blocks.

    Raises:
        ValueError: `width` is no multiple of `heads`.
    """

    def __init__(self, vocabulary: int, length: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        if width % heads:
            msg = f"width must be a multiple of the {heads} heads, got {width}"
            raise ValueError(msg)
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.last = nn.LayerNorm(width)
        self.logits = nn.Linear(width, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=_INITIAL_DEVIATION)

    def forward(self, tokens: Tensor) -> Tensor:
        """At most as long as `length`."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.logits(self.last(self.blocks(self.tokens(tokens) + self.places(places))))
