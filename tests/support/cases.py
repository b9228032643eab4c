"""What is tested: settings, shapes, dtypes, gradients; each with the reason it exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

STEPS = 10  # beyond the 6th, where rectification starts with the default β₂

# Half precision is computed in float32 and rounded once; complex numbers are pairs of reals.
DTYPES = (
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.complex64,
    torch.complex128,
)


@dataclass(frozen=True)
class Case:
    """Options of AdaBelief that differ from the default, and why they are worth a test."""

    name: str
    reason: str
    options: Mapping[str, Any]


def case(name: str, reason: str, **options: Any) -> Case:
    return Case(name, reason, options)


CASES = (
    case("plain", "Algorithm 2 as most people run it"),
    case("large lr", "the parameter's own rounding is small beside the step", lr=0.5),
    case("zero lr", "warm-up from 0: nothing moves, the state does", lr=0.0, weight_decay=0.1),
    # ε: 1e-8 is the paper's, 1e-16 the default
    case("eps 1e-8", "the paper's; the floor 3e-3 matters for small gradients", eps=1e-8),
    case("eps 1e-12", "the paper's for deep LSTMs and GANs", eps=1e-12),
    case("eps 0", "no floor: nothing hides an error of the belief", eps=0.0),
    case("eps large", "both places of ε dominate, so each must be right", eps=0.3),
    # β
    case("betas small", "short memories: bias corrections vanish at once", betas=(0.5, 0.6)),
    case("beta2 zero", "s has no memory", betas=(0.9, 0.0)),
    case("beta1 above beta2", "an exchange of the two would show", betas=(0.99, 0.9)),
    case("beta1 0.05", "lerp's other formula (weight above 1/2)", betas=(0.05, 0.99)),
    # weight decay
    case("decoupled", "AdamW's decay", weight_decay=0.1),
    case("fixed", "decay without lr", weight_decay=0.01, fixed_decay=True),
    case("fixed, zero lr", "nothing moves", weight_decay=0.1, fixed_decay=True, lr=0.0),
    case("fixed at 1", "the largest: the parameter is forgotten", weight_decay=1, fixed_decay=True),
    case("coupled", "L2: decay enters m and s", weight_decay=0.1, decoupled_weight_decay=False),
    case("coupled without decay", "the switch alone does nothing", decoupled_weight_decay=False),
    case("fixed without decay", "the switch alone does nothing", fixed_decay=True),
    # one option each
    case("amsgrad", "the running maximum of s", amsgrad=True),
    case("rectify", "starts at t = 6", rectify=True),
    case("rectify, beta2 0.8", "starts at t = 7", rectify=True, betas=(0.9, 0.8)),
    case("rectify, beta2 0.6", "ρ is never above 4: m̂ alone", rectify=True, betas=(0.9, 0.6)),
    case("rectify, beta2 0.65", "ρ between 4 and 5 for ever", rectify=True, betas=(0.9, 0.65)),
    case("no bias correction", "the paper's theorems", bias_correction=False),
    case("clip active", "caps some elements and not others", clip_update=0.7),
    case("clip inactive", "a cap that is never reached changes nothing", clip_update=1e6),
    case("maximize", "ascent", maximize=True),
    # combinations in which the order of two things matters
    case("maximize, coupled", "only g changes its sign, not the decay", maximize=True,
         weight_decay=0.1, decoupled_weight_decay=False),
    case("maximize, decoupled", "the decay still shrinks", maximize=True, weight_decay=0.1),
    case("amsgrad, rectify", "the authors' package ignores amsgrad here", amsgrad=True,
         rectify=True, betas=(0.9, 0.9)),
    case("amsgrad, eps large", "ε enters s before the maximum", amsgrad=True, eps=0.3),
    case("amsgrad, no bias correction", "s never falls: the theorems' case", amsgrad=True,
         bias_correction=False, betas=(0.9, 0.9)),
    case("amsgrad, betas small", "the maximum is older than s", amsgrad=True, betas=(0.5, 0.6)),
    case("rectify, clip", "the cap is on m̂ before t = 6, on m̂/√ŝ after, and before r_t",
         rectify=True, clip_update=0.2),
    case("rectify, no bias correction", "m alone before t = 6", rectify=True,
         bias_correction=False),
    case("rectify, decoupled", "the decay is not scaled by r_t", rectify=True, weight_decay=0.1),
    case("clip, decoupled", "the cap is on the direction, not on the decay", clip_update=0.7,
         weight_decay=0.5, lr=0.1),
    case("clip, no bias correction, amsgrad", "every branch of the last line", clip_update=0.7,
         bias_correction=False, amsgrad=True),
    # the recipes' styles
    case("recipe CIFAR", "small CNNs", eps=1e-8, weight_decay=5e-4, decoupled_weight_decay=False),
    case("recipe ImageNet", "decoupled", eps=1e-8, weight_decay=1e-2),
    case("recipe LSTM", "large lr, small eps", lr=1e-2, eps=1e-12, weight_decay=1.2e-6,
         decoupled_weight_decay=False),
    case("recipe GAN", "short first memory", lr=2e-4, betas=(0.5, 0.999), eps=1e-12),
    case("recipe SN-GAN", "rectified", lr=2e-4, betas=(0.5, 0.999), eps=1e-16, rectify=True),
    case("recipe Transformer", "decoupled and rectified", lr=5e-4, weight_decay=1e-4, rectify=True),
    case("all at once", "no option switches another one off", lr=0.01, betas=(0.8, 0.9), eps=1e-6,
         weight_decay=0.1, decoupled_weight_decay=False, amsgrad=True, rectify=True,
         clip_update=0.5, maximize=True),
)  # fmt: skip

BY_NAME = {case.name: case for case in CASES}

Random = torch.Generator
Make = Callable[[Random, torch.dtype], Tensor]


def normal(*size: int) -> Make:
    """A contiguous tensor of standard normal numbers."""

    def make(random: Random, dtype: torch.dtype) -> Tensor:
        wide = torch.complex128 if dtype.is_complex else torch.float64
        return torch.randn(size, generator=random, dtype=wide).to(dtype)

    return make


def with_gradient(*size: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    param = normal(*size)(random, dtype).requires_grad_()
    param.grad = normal(*size)(random, dtype)
    return param


def seen(make: Make, view: Callable[[Tensor], Tensor]) -> Make:
    """A view of a larger or differently ordered tensor, as a leaf of its own."""
    return lambda random, dtype: view(make(random, dtype))


SHAPES: Mapping[str, Make] = {
    "no dimensions": normal(),
    "one element": normal(1),
    "empty": normal(0),
    "no columns": normal(3, 0),
    "vector": normal(37),  # a vectorised body and a remainder, whatever the width
    "matrix": normal(5, 7),
    "dimension of size 1": normal(3, 1, 2),
    "transposed": seen(normal(7, 5), Tensor.t),
    "every other column": seen(normal(4, 10), lambda whole: whole[:, ::2]),
    "odd offset": seen(normal(40), lambda whole: whole[3:20]),
    "channels last": seen(
        normal(2, 3, 4, 4), lambda whole: whole.contiguous(memory_format=torch.channels_last)
    ),
}


def as_param(grad: Tensor, param: Tensor) -> Tensor:
    """The gradient in the memory layout of its parameter, as autograd makes them."""
    return torch.empty_like(param).copy_(grad)


def noise(size: torch.Size, random: Random, dtype: torch.dtype) -> list[Tensor]:
    return [normal(*size)(random, dtype) for _ in range(STEPS)]


Sequence = Callable[[torch.Size, Random, torch.dtype], list[Tensor]]


def scaled(scale: float) -> Sequence:
    return lambda size, random, dtype: [grad * scale for grad in noise(size, random, dtype)]


def constant(size: torch.Size, random: Random, dtype: torch.dtype) -> list[Tensor]:
    return [normal(*size)(random, dtype)] * STEPS


def rare(size: torch.Size, random: Random, dtype: torch.dtype) -> list[Tensor]:
    """Zero except at the first and every third step after it."""
    return [grad * float(t % 3 == 0) for t, grad in enumerate(noise(size, random, dtype))]


def late(size: torch.Size, random: Random, dtype: torch.dtype) -> list[Tensor]:
    """Zero in the first three steps, where 0/0 would be if ε were not in s."""
    return [grad * float(t >= 3) for t, grad in enumerate(noise(size, random, dtype))]


def alternating(size: torch.Size, random: Random, dtype: torch.dtype) -> list[Tensor]:
    """One magnitude, a new sign at every step: m small, s large."""
    grad = normal(*size)(random, dtype)
    return [grad * (-1) ** t for t in range(STEPS)]


GRADIENTS: Mapping[str, Sequence] = {
    "noise": noise,
    "tiny": scaled(1e-6),
    "huge": scaled(1e3),
    "constant": constant,
    "rare": rare,
    "late": late,
    "alternating": alternating,
}
