"""The reference beside a running error bound: how far a correct implementation may be from it.

Tolerances are derived, not tuned. u is the unit roundoff of the arithmetic (half of `finfo.eps`)
plus float64's own, since the reference rounds as well. Every line of Algorithm 2 adds its own
roundings and passes on the errors of its inputs (Higham, Accuracy and Stability, 2002, ch. 3.3);
|x| are values of the reference's trajectory, so the conditioning of √s and of the division is
what it really was, element by element. The local terms hold for m as lerp or as β₁ m + (1 − β₁) g,
with fused multiply-add or without, and with the corrections folded into scalars or not:

    g ± λθ       2u λ|θ| + u|g'|                  λ, product; sum
    θ' = keep θ  2u |θ'|                          keep, product
    m'           2u (|m| + |g|) + u|m'|           coefficient, difference, product; sum
    s'           6u s'                            all terms ≥ 0; each passes ≤ 6 roundings
    D = √s + ε̃   u√s + 2uε̃ + uD                   root; ε̃'s own; sum.  e_√s = min(e_s / √s, √e_s)
    d = k m / D  k (e_m / D₋ + |m| e_D / (D D₋)) + 8u|d|,  D₋ = D − e_D    scalars, quotient
    θ' − α d     α (e_d + 3u|d|) + u|θ|           α r_t, product; sum

Scalars that are computed on the device in the arithmetic's own dtype (`traced`) have a relative
error of their own in k, ε̃ and α: log β, t log β, expm1 (condition ≤ 1), root and quotients make
at most 8u. Under rectification ρ = Λ(L/2) + t(1 − Λ(tL/2)) has at most 35u (1/tanh x and 1/x at
x ≥ 1/4), the reference's own ρ, a difference, 4 u₆₄ ρ_∞; r passes on
(ρ/(ρ−4) + ρ/(ρ−2) + 1)/2 ≤ 4 times that, for ρ > 5.

A cap at c makes e_d = u c where |d| is surely beyond it. Underflow adds the smallest subnormal
at every line. Products of an error with u are covered by a factor 1 + 20u per step. In half
precision the parameter is rounded once more, by u of its storage, and the reference goes on from
the rounded one, so these roundings do not pile up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adabelief import reference

Array = NDArray[np.float64]

DEFAULTS: Mapping[str, Any] = {
    "lr": 1e-3,
    "betas": (0.9, 0.999),
    "eps": 1e-16,
    "weight_decay": 0.0,
    "decoupled_weight_decay": True,
    "fixed_decay": False,
    "amsgrad": False,
    "rectify": False,
    "bias_correction": True,
    "clip_update": None,
    "maximize": False,
}


@dataclass(frozen=True)
class Bound:
    """Largest error of each array, element by element."""

    param: Array
    exp_avg: Array
    exp_avg_var: Array
    max_exp_avg_var: Array


def unit(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps / 2


def underflow(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps


def computed_in(dtype: torch.dtype) -> torch.dtype:
    """The real dtype of the arithmetic for parameters of `dtype`."""
    return torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32


def next_bound(
    bound: Bound,
    before: reference.State,
    grad: Array,
    after: reference.State,
    u: float,
    tiny: float,
    options: Mapping[str, Any],
    traced: bool = False,
) -> Bound:
    """The bound after the step from `before` to `after`; the formulas are in the module's text."""
    o = {**DEFAULTS, **options}
    lr, eps, weight_decay, (beta1, beta2) = o["lr"], o["eps"], o["weight_decay"], o["betas"]
    theta, m, s = map(np.abs, (before.param, after.exp_avg, after.exp_avg_var))
    e_param, e_grad = bound.param, 0.0
    if o["decoupled_weight_decay"]:
        keep = 1 - (weight_decay if o["fixed_decay"] and lr else lr * weight_decay)
        theta = keep * theta
        e_param = abs(keep) * e_param + 2 * u * theta + tiny
    else:
        grad = (-grad if o["maximize"] else grad) + weight_decay * before.param
        e_grad = weight_decay * (bound.param + 2 * u * theta) + u * np.abs(grad) + tiny
    if o["decoupled_weight_decay"] and o["maximize"]:
        grad = -grad
    local = 2 * u * (np.abs(before.exp_avg) + np.abs(grad)) + u * m + tiny
    e_m = beta1 * bound.exp_avg + (1 - beta1) * e_grad + local
    residual = np.abs(grad - after.exp_avg)
    e_residual = e_grad + e_m + u * residual + tiny
    e_square = (2 * residual + e_residual) * e_residual
    e_s = beta2 * bound.exp_avg_var + (1 - beta2) * e_square + 6 * u * s + 3 * tiny
    e_max = np.maximum(bound.max_exp_avg_var, e_s) if o["amsgrad"] else bound.max_exp_avg_var

    belief, e_belief = (after.max_exp_avg_var, e_max) if o["amsgrad"] else (s, e_s)
    correction1 = 1 - beta1**after.step if o["bias_correction"] else 1.0
    correction2 = 1 - beta2**after.step if o["bias_correction"] else 1.0
    factor = reference.rectification(after.step, beta2) if o["rectify"] else 1.0
    e_scalar = 8 * u if traced else 0.0
    if traced and o["rectify"]:
        e_scalar += 4 * (35 * u + 4 * unit(torch.float64) * 2 / (1 - beta2))
    if factor is None:
        direction = m / correction1
        e_direction = e_m / correction1
    else:
        root, outer_eps, scale = np.sqrt(belief), eps * correction2**0.5, correction2**0.5
        low_order = np.minimum(e_belief / root, np.sqrt(e_belief))
        divisor = root + outer_eps
        e_divisor = low_order + u * root + (2 * u + e_scalar) * outer_eps + u * divisor + tiny
        low = divisor - e_divisor
        low = np.where(low > 0, low, np.nan)  # nothing can be said: `bounded` objects
        direction = scale / correction1 * m / divisor
        spread = e_m / low + m * e_divisor / (divisor * low)
        e_direction = scale / correction1 * spread
    e_direction = e_direction + (8 * u + e_scalar) * direction + tiny
    if o["clip_update"] is not None:
        cap = o["clip_update"]
        surely = direction - e_direction > cap
        perhaps = direction + e_direction > cap
        e_direction = np.where(surely, u * cap, e_direction + u * cap * perhaps)
        direction = np.minimum(direction, cap)
    step_size = lr * (1.0 if factor is None else factor)
    e_step = step_size * (e_direction + (3 * u + e_scalar) * direction)
    e_param = e_param + e_step + u * np.abs(after.param) + tiny
    grown = ((1 + 20 * u) * error for error in (e_param, e_m, e_s, e_max))
    return Bound(*grown)


class Oracle:
    """The true trajectory of parameters of one dtype; `expect` compares an implementation with it.

    The algorithm is elementwise, so all of them are one long vector here.

    Args:
        params: where it starts; read only.
        traced: whether the implementation's scalars are tensors.
    """

    def __init__(self, params: Sequence[Tensor], *, traced: bool = False) -> None:
        self.traced = traced
        self.dtype = params[0].dtype
        self.real = self.dtype.to_real() if self.dtype.is_complex else self.dtype
        self.start = as_vector(params)
        self.state = reference.initial(self.start)
        zero = np.zeros_like(self.start)
        self.bound = Bound(zero, zero, zero, zero)

    def expect(
        self,
        grads: Sequence[Tensor],
        params: Sequence[Tensor],
        states: Sequence[Mapping[str, Tensor]],
        options: Mapping[str, Any],
    ) -> None:
        """Do one step and assert that `params` and `states` are where they must be."""
        self.advance(as_vector(grads), options)
        half = self.real in (torch.float16, torch.bfloat16)
        error = self.bound.param
        if half:
            error = error + unit(self.real) * (np.abs(self.state.param) + error)
            error = error + underflow(self.real)
        close(params, self.state.param, error, f"param at step {self.state.step}")
        names = ["exp_avg", "exp_avg_var"] + ["max_exp_avg_var"] * bool(options.get("amsgrad"))
        for param, state in zip(params, states, strict=True):
            assert param.dtype == self.dtype
            assert set(state) == {"step", *names}
            assert state["step"].item() == self.state.step
        for name in names:
            truth, error = getattr(self.state, name), getattr(self.bound, name)
            what = f"{name} at step {self.state.step}"
            close([state[name] for state in states], truth, error, what)
        if half:
            self.state = replace(self.state, param=as_vector(params))
            self.bound = replace(self.bound, param=np.zeros_like(self.start))

    def advance(self, grad: Array, options: Mapping[str, Any]) -> None:
        arithmetic = computed_in(self.dtype)
        u, tiny = unit(arithmetic) + unit(torch.float64), underflow(arithmetic)
        # ε = 0 and no gradient yet: 0/0 is NaN here and must be NaN there.
        with np.errstate(invalid="ignore", divide="ignore"):
            after = reference.adabelief(self.state, grad, **options)
            self.bound = next_bound(
                self.bound, self.state, grad, after, u, tiny, options, self.traced
            )
        self.state = after


def as_array(tensor: Tensor) -> Array:
    """Float64 copy; complex numbers become pairs of reals."""
    tensor = tensor.detach()
    tensor = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return np.array(tensor.double().numpy())


def as_vector(tensors: Sequence[Tensor]) -> Array:
    return np.concatenate([as_array(tensor).ravel() for tensor in tensors])


def close(got: Sequence[Tensor], truth: Array, error: Array, what: str) -> None:
    """Assert |got − truth| ≤ error element by element, and NaN where the truth is NaN."""
    value = as_vector(got)
    assert value.shape == truth.shape, what
    said = np.isnan(truth) | np.isfinite(error)
    assert said.all(), f"{what}: the bound says nothing"
    off = np.abs(value - truth) > error
    wrong = np.flatnonzero(off | (np.isnan(value) != np.isnan(truth)))
    if wrong.size:
        first = int(wrong[0])
        ends = np.cumsum([as_array(tensor).size for tensor in got])
        shape = tuple(got[int(np.searchsorted(ends, first, side="right"))].shape)
        message = (
            f"{what}: {wrong.size} wrong, first in shape {shape}: got {value[first]!r}, "
            f"reference {truth[first]!r}, allowed {error[first]:.1e}"
        )
        raise AssertionError(message)
