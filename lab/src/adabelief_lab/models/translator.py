"""The transformer of Vaswani et al. 2017: an encoder, and a decoder that looks at it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.data.subwords import PAD

# Keys and values (n, heads, length, width / heads).
KeysValues = tuple[Tensor, Tensor]


class Dropouts(NamedTuple):
    """Shares that are set to zero in training.

    Args:
        features: of embedded tokens, and of whatever is added to the residual stream.
        attention: of the weights of attention.
        activation: of the features within the perceptron.
    """

    features: float = 0.0
    attention: float = 0.0
    activation: float = 0.0


class Attention(nn.Module):
    """Several heads of attention, the arithmetic by torch's scaled_dot_product_attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.queries, self.keys, self.values, self.mixed = (
            nn.Linear(width, width) for _ in range(4)
        )

    def seen(self, x: Tensor) -> KeysValues:
        """What may be looked at: (n, length, width) -> its keys and values."""
        return self._split(self.keys(x)), self._split(self.values(x))

    def forward(
        self, x: Tensor, seen: KeysValues, mask: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """(n, length, width) -> the same.

        Args:
            x: who looks.
            seen: at what.
            mask: (n, 1, 1, length of `seen`), False where nobody may look; all is seen without it.
            causal: place i sees the first i + 1 only.
        """
        made = functional.scaled_dot_product_attention(
            self._split(self.queries(x)), *seen, attn_mask=mask, is_causal=causal,
            dropout_p=self.dropout if self.training else 0.0,
        )  # fmt: skip
        return self.mixed(made.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    """Attention to its own side, to the other side in a decoder, then a perceptron.

    Each is added to what it is given, and the sum is normalised.
    """

    def __init__(
        self, width: int, inner: int, heads: int, dropouts: Dropouts, *, decoder: bool
    ) -> None:
        super().__init__()
        self.own = Attention(width, heads, dropouts.attention)
        self.after_own = nn.LayerNorm(width)
        if decoder:
            self.other = Attention(width, heads, dropouts.attention)
            self.after_other = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropouts.activation),
            nn.Linear(inner, width),
        )  # fmt: skip
        self.after_perceptron = nn.LayerNorm(width)
        self.dropped = nn.Dropout(dropouts.features)

    def encode(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, length, width) -> the same; `mask` (n, 1, 1, length) is False at padding."""
        x = self.after_own(x + self.dropped(self.own(x, self.own.seen(x), mask)))
        return self.after_perceptron(x + self.dropped(self.perceptron(x)))

    def decode(
        self, x: Tensor, own: KeysValues, other: KeysValues, mask: Tensor, *, causal: bool
    ) -> Tensor:
        """(n, length, width) -> the same; `own` has earlier places too, `other` the source's."""
        x = self.after_own(x + self.dropped(self.own(x, own, causal=causal)))
        x = self.after_other(x + self.dropped(self.other(x, other, mask)))
        return self.after_perceptron(x + self.dropped(self.perceptron(x)))


def layers_of(layers: nn.ModuleList) -> Iterator[Layer]:
    """The layers, which torch's list has forgotten to be such."""
    for layer in layers:
        assert isinstance(layer, Layer)
        yield layer


class Cache(NamedTuple):
    """What decoding token by token needs of the past, n sentences at once.

    Args:
        own: keys and values of each layer's earlier places.
        other: of the source, for each layer.
        mask: of the source.
    """

    own: tuple[KeysValues | None, ...]
    other: tuple[KeysValues, ...]
    mask: Tensor

    def of(self, rows: Tensor) -> Cache:
        """The sentences of these numbers, in this order."""
        other = tuple((keys[rows], values[rows]) for keys, values in self.other)
        return self._replace(other=other, mask=self.mask[rows]).after(rows)

    def after(self, rows: Tensor) -> Cache:
        """As many sentences: each has the past of the row of this number, and its own source."""
        own = tuple(None if pair is None else (pair[0][rows], pair[1][rows]) for pair in self.own)
        return self._replace(own=own)


class Translator(nn.Module):
    """Source tokens (n, s) and earlier target tokens (n, t) -> logits of the next (n, t, vocab).

    Embeddings of both sides and the last layer share one matrix (joint subwords); places are told
    by sines. `PAD` is not seen.

    Args:
        vocabulary: number of tokens.
        width: of a token's features; a multiple of `heads`, and even.
        inner: width within perceptrons.
        heads: of each attention.
        layers: of the encoder, and of the decoder.
        dropouts: what is dropped in training.

    Raises:
        ValueError: `width` is odd or no multiple of `heads`.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int = 512,
        inner: int = 1024,
        heads: int = 4,
        layers: int = 6,
        dropouts: Dropouts = Dropouts(),  # noqa: B008, immutable
    ) -> None:
        super().__init__()
        if width % heads or width % 2:
            msg = f"width must be even and a multiple of the {heads} heads, got {width}"
            raise ValueError(msg)
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.encoder, self.decoder = (
            nn.ModuleList(
                Layer(width, inner, heads, dropouts, decoder=decoder) for _ in range(layers)
            )
            for decoder in (False, True)
        )
        self.dropped = nn.Dropout(dropouts.features)
        # As fairseq begins: Xavier's for matrices, and embeddings that have a norm of about 1.
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.tokens.weight, std=width**-0.5)
        with torch.no_grad():
            self.tokens.weight[PAD] = 0.0

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """See the class."""
        cache = self.begin(source)
        x = self._embedded(target, 0)
        for layer, other in zip(layers_of(self.decoder), cache.other, strict=True):
            x = layer.decode(x, layer.own.seen(x), other, cache.mask, causal=True)
        return self._logits(x)

    def begin(self, source: Tensor) -> Cache:
        """The source (n, s), encoded: what `following` begins with."""
        mask = (source != PAD)[:, None, None, :]
        x = self._embedded(source, 0)
        for layer in layers_of(self.encoder):
            x = layer.encode(x, mask)
        other = tuple(layer.other.seen(x) for layer in layers_of(self.decoder))
        return Cache((None,) * len(other), other, mask)

    def following(self, last: Tensor, place: int, cache: Cache) -> tuple[Tensor, Cache]:
        """Logits (n, vocabulary) of what follows token `last` (n,) at `place`, and a new cache."""
        x = self._embedded(last[:, None], place)
        own = []
        layers = layers_of(self.decoder)
        for layer, before, other in zip(layers, cache.own, cache.other, strict=True):
            now = layer.own.seen(x)
            if before is not None:
                now = (torch.cat([before[0], now[0]], 2), torch.cat([before[1], now[1]], 2))
            own.append(now)
            x = layer.decode(x, now, other, cache.mask, causal=False)
        return self._logits(x)[:, 0], cache._replace(own=tuple(own))

    def _embedded(self, tokens: Tensor, first: int) -> Tensor:
        width = self.tokens.embedding_dim
        x = math.sqrt(width) * self.tokens(tokens)
        return self.dropped(x + places(first, tokens.shape[1], width).to(x))

    def _logits(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.tokens.weight)


def places(first: int, count: int, width: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5: (count, width), sines beside cosines."""
    place = torch.arange(first, first + count, dtype=torch.float64)[:, None]
    wave = 10_000 ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = place * wave
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
