"""Regret of AdaBelief in online convex problems, with all that theorem 2.1's bound is made of."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabelief.reference import Array, State, adabelief, initial
from adabelief_lab.paper.theorems.bound import Setting
from adabelief_lab.paper.theorems.online import DIMENSION, FAMILIES, Family, project

Mask = NDArray[np.bool_]
CHUNK = 100  # steps that are summed at once: as many as stay in the processor's cache


@dataclass
class Totals:
    """Over steps 1 to T; arrays of shape (family, seed, setting), some with d behind.

    Args:
        losses: Σ f_t(θ_t).
        fourth_powers: Σ g_t⁴, with d.
        weighted_squares: Σ_t Σᵢ g_t² / √t.
        weighted_roots: Σ_t β₁ₜ √t Σᵢ s_t^{1/2}.
        least: min s_{t,i}.
        steepest: max |g_{t,i}|.
        surprise: max |g_{t,i} − m_{t,i}|.
        rise: the last step at which an element of s rose.
        monotone: whether s_t ≤ s_{t+1} always.
        telescopes: whether √t s_t^{1/2} / (1 − β₁ₜ) never falls, as the bound's first term needs
            if it comes from a telescoping sum.
        last_var: s_T, with d.
        last_weight: of `telescopes`, with d.
    """

    losses: Array
    fourth_powers: Array
    weighted_squares: Array
    weighted_roots: Array
    least: Array
    steepest: Array
    surprise: Array
    rise: Array
    monotone: Mask
    telescopes: Mask
    last_var: Array
    last_weight: Array


@dataclass(frozen=True)
class Horizon:
    """T, Σ f_t(θ_t) − Σ f_t(θ*) with the θ* of this T, and the totals.

    Where θ* is found by iteration, `regret` contains what a better θ* could gain.
    """

    time: int
    regret: Array
    totals: Totals


def play(
    settings: Sequence[Setting],
    seeds: int,
    feasible: str,
    times: Sequence[int],
    *,
    amsgrad: bool = True,
    families: Sequence[type[Family]] = FAMILIES,
) -> list[Horizon]:
    """Play all families, seeds and settings at once by `reference.adabelief`, from θ = 0.

    Args:
        settings: all of one α and one β₂.
        seeds: so many players see different losses.
        feasible: one of `online.SETS`.
        times: horizons, rising.
        amsgrad: s_t ≤ s_{t+1}, as the theorem asks.
        families: of losses.

    Raises:
        ValueError: settings differ in α or β₂.
    """
    shared = sorted({(setting.lr, setting.beta2) for setting in settings})
    if len(shared) != 1:
        msg = f"settings must have one lr and one beta2, got {shared}"
        raise ValueError(msg)
    made = [family(seeds) for family in families]
    state = initial(np.zeros((len(made), seeds, len(settings), DIMENSION)))
    totals = no_totals(state.param.shape)
    found, done = [], 0
    for time in times:
        while done < time:
            steps = np.arange(done + 1, min(done + CHUNK, time) + 1, dtype=np.float64)
            state = play_on(made, settings, state, steps, totals, feasible, amsgrad)
            done += len(steps)
        best = [family.best(feasible) for family in made]
        reached = np.stack([total - gain for _, total, gain in best])[:, :, None]
        found.append(Horizon(time, totals.losses - reached, copy.deepcopy(totals)))
    return found


def no_totals(shape: tuple[int, ...]) -> Totals:
    """Of no step; shape is that of θ."""
    few, whole = np.zeros(shape[:-1]), np.zeros(shape)
    return Totals(
        losses=few.copy(), fourth_powers=whole.copy(), weighted_squares=few.copy(),
        weighted_roots=few.copy(), least=few + np.inf, steepest=few.copy(), surprise=few.copy(),
        rise=few.copy(), monotone=few == 0, telescopes=few == 0, last_var=whole.copy(),
        last_weight=whole.copy(),
    )  # fmt: skip


def play_on(
    families: Sequence[Family],
    settings: Sequence[Setting],
    state: State,
    steps: Array,
    totals: Totals,
    feasible: str,
    amsgrad: bool,
) -> State:
    """Go on from `state` through updates `steps`, and add them to `totals`."""
    drawn = np.stack([family.draw(len(steps)) for family in families])[:, :, :, None, :]
    shape = (len(steps), *state.param.shape)
    thetas, grads, exp_avgs, variances = (np.empty(shape) for _ in range(4))
    beta1s = np.stack([setting.beta1s(steps) for setting in settings], axis=1)[:, :, None]
    eps = np.array([[setting.eps] for setting in settings])
    lr, beta2 = settings[0].lr, settings[0].beta2
    for index, step in enumerate(steps):
        thetas[index], grad = state.param, grads[index]
        for own, family in enumerate(families):
            grad[own] = family.gradient(state.param[own], drawn[own, index])
        # The reference's numbers may be arrays that broadcast: one number for each setting.
        options: Any = {"betas": (beta1s[index], beta2), "eps": eps, "amsgrad": amsgrad}
        state = adabelief(
            state, grad, lr / np.sqrt(step), **options, bias_correction=False,
            project=lambda point, metric: project(feasible, point, metric),
        )  # fmt: skip
        exp_avgs[index] = state.exp_avg
        variances[index] = state.max_exp_avg_var if amsgrad else state.exp_avg_var
    for own, family in enumerate(families):
        totals.losses[own] += family.loss(thetas[:, own], drawn[own]).sum(0)
    _add(totals, steps[:, None, None, None, None], grads, exp_avgs, variances, beta1s)
    return state


def _add(
    totals: Totals, steps: Array, grads: Array, exp_avgs: Array, variances: Array, beta1s: Array
) -> None:
    """Add steps; the first dimension of each array is theirs."""
    beta1s = beta1s[:, None, None]
    roots, squares, time = np.sqrt(variances), grads**2, np.sqrt(steps)
    totals.fourth_powers += (squares**2).sum(0)
    totals.weighted_squares += (squares / time).sum((0, -1))
    totals.weighted_roots += (beta1s * time * roots).sum((0, -1))
    totals.least = np.minimum(totals.least, variances.min((0, -1)))
    totals.steepest = np.maximum(totals.steepest, np.abs(grads).max((0, -1)))
    totals.surprise = np.maximum(totals.surprise, np.abs(grads - exp_avgs).max((0, -1)))
    before = np.concatenate([totals.last_var[None], variances[:-1]])
    totals.monotone &= (variances >= before).all((0, -1))
    totals.rise = np.maximum(totals.rise, ((variances > before) * steps).max((0, -1)))
    weights = time * roots / (1 - beta1s)
    before = np.concatenate([totals.last_weight[None], weights[:-1]])
    totals.telescopes &= (weights >= before).all((0, -1))
    totals.last_var, totals.last_weight = variances[-1], weights[-1]
