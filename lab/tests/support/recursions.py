"""The optimizers' recursions in NumPy float64, each from its paper: θ after every step.

Independent of what they check: no code of ours or of torch is used. Every function is called with
the parameter, its gradients in order, and the optimizer's keyword arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Path = list[Array]


def sgd(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> Path:
    """Heavy ball (Polyak 1964) as torch scales it, and Sutskever et al. 2013's Nesterov form."""
    path, v = [], np.zeros_like(w)
    for grad in grads:
        g = grad + weight_decay * w
        v = momentum * v + g
        w = w - lr * (g + momentum * v if nesterov else v)
        path.append(w)
    return path


def sgd_ema(
    w: Array, grads: Sequence[Array], lr: float, momentum: float, weight_decay: float
) -> Path:
    """Zhuang et al. 2020, equation 1."""
    path, m = [], np.zeros_like(w)
    for grad in grads:
        g = grad + weight_decay * w
        m = momentum * m + (1 - momentum) * g
        w = w - lr * m
        path.append(w)
    return path


def adam(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    amsgrad: bool = False,
) -> Path:
    """Kingma & Ba 2015, Algorithm 1; Loshchilov & Hutter 2019; Reddi et al. 2018's maximum."""
    (b1, b2), path = betas, []
    m, v, most = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, grad in enumerate(grads, 1):
        g = grad if decoupled else grad + weight_decay * w
        if decoupled:
            w = w - lr * weight_decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        most = np.maximum(most, v)
        second = most if amsgrad else v
        w = w - lr * (m / (1 - b1**t)) / (np.sqrt(second / (1 - b2**t)) + eps)
        path.append(w)
    return path


def nadam(
    w: Array, grads: Sequence[Array], lr: float, betas: tuple[float, float], eps: float
) -> Path:
    """Dozat 2016, Algorithm 2, with its warming schedule μ_t = β1 (1 − 0.5 · 0.96^(0.004 t))."""
    (b1, b2), path, product = betas, [], 1.0
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        mu = b1 * (1 - 0.5 * 0.96 ** (0.004 * t))
        after = b1 * (1 - 0.5 * 0.96 ** (0.004 * (t + 1)))
        product *= mu
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        m_hat = after * m / (1 - product * after) + (1 - mu) * g / (1 - product)
        w = w - lr * m_hat / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(w)
    return path


def radam(
    w: Array, grads: Sequence[Array], lr: float, betas: tuple[float, float], eps: float
) -> Path:
    """Liu et al. 2020, Algorithm 2, rectified from ρ_t > 5 on as in their code."""
    (b1, b2), path = betas, []
    m, v = np.zeros_like(w), np.zeros_like(w)
    most = 2 / (1 - b2) - 1
    for t, g in enumerate(grads, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        m_hat = m / (1 - b1**t)
        rho = most - 2 * t * b2**t / (1 - b2**t)
        if rho > 5:
            r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
            # torch adds ε before the correction of v.
            w = w - lr * r * m_hat * np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
        else:
            w = w - lr * m_hat
        path.append(w)
    return path


def rmsprop(w: Array, grads: Sequence[Array], lr: float, alpha: float, eps: float) -> Path:
    """Tieleman & Hinton 2012."""
    path, v = [], np.zeros_like(w)
    for g in grads:
        v = alpha * v + (1 - alpha) * g * g
        w = w - lr * g / (np.sqrt(v) + eps)
        path.append(w)
    return path


def adagrad(w: Array, grads: Sequence[Array], lr: float, eps: float) -> Path:
    """Duchi et al. 2011, the diagonal form."""
    path, total = [], np.zeros_like(w)
    for g in grads:
        total = total + g * g
        w = w - lr * g / (np.sqrt(total) + eps)
        path.append(w)
    return path


def adadelta(w: Array, grads: Sequence[Array], lr: float, rho: float, eps: float) -> Path:
    """Zeiler 2012, Algorithm 1, and a learning rate before Δx."""
    path, v, u = [], np.zeros_like(w), np.zeros_like(w)
    for g in grads:
        v = rho * v + (1 - rho) * g * g
        move = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * move * move
        w = w - lr * move
        path.append(w)
    return path


def adabound(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
    amsbound: bool,
    final_lr: float = 0.1,
    gamma: float = 1e-3,
    eps: float = 1e-8,
) -> Path:
    """Luo et al. 2019, Algorithm 2, with the bias corrections and bounds of their package."""
    (b1, b2), path = betas, []
    m, v, most = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, grad in enumerate(grads, 1):
        g = grad + weight_decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        most = np.maximum(most, v)
        rate = lr * np.sqrt(1 - b2**t) / (1 - b1**t) / (np.sqrt(most if amsbound else v) + eps)
        low, high = final_lr * (1 - 1 / (gamma * t + 1)), final_lr * (1 + 1 / (gamma * t))
        w = w - np.clip(rate, low, high) * m
        path.append(w)
    return path


def yogi(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    initial_accumulator: float,
    weight_decay: float,
) -> Path:
    """Zaheer et al. 2018, Algorithm 2, with libraries' bias corrections and first moments."""
    (b1, b2), path = betas, []
    m, v = np.full_like(w, initial_accumulator), np.full_like(w, initial_accumulator)
    for t, grad in enumerate(grads, 1):
        g = grad + weight_decay * w
        m, v = b1 * m + (1 - b1) * g, v - (1 - b2) * np.sign(v - g * g) * g * g
        w = w - lr * (m / (1 - b1**t)) / (np.sqrt(v) / np.sqrt(1 - b2**t) + eps)
        path.append(w)
    return path


def msvag(w: Array, grads: Sequence[Array], lr: float, beta: float) -> Path:
    """Balles & Hennig 2018, Algorithm 1 (M-SVAG) with ρ of equation 24."""
    path, m, v = [], np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads):
        m, v = beta * m + (1 - beta) * g, beta * v + (1 - beta) * g * g
        m_hat, v_hat = m / (1 - beta ** (t + 1)), v / (1 - beta ** (t + 1))
        rho = (1 - beta) * (1 + beta ** (t + 1)) / ((1 + beta) * (1 - beta ** (t + 1)))
        if t == 0:  # ρ is 1: no estimate of the variance yet
            w = w - lr * m_hat
        else:
            s = (v_hat - m_hat**2) / (1 - rho)
            with np.errstate(invalid="ignore"):
                gamma = m_hat**2 / (m_hat**2 + rho * s)
            w = w - lr * np.nan_to_num(gamma, nan=1.0) * m_hat
        path.append(w)
    return path


def fromage(w: Array, grads: Sequence[Array], lr: float) -> Path:
    """Bernstein et al. 2020, Algorithm 1."""
    path = []
    for g in grads:
        size, slope = np.linalg.norm(w), np.linalg.norm(g)
        step = g * size / slope if size > 0 and slope > 0 else g
        w = (w - lr * step) / np.sqrt(1 + lr**2)
        path.append(w)
    return path


def padam(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    partial: float,
    weight_decay: float,
) -> Path:
    """Chen & Gu 2018, Algorithm 1; ε as in their code."""
    (b1, b2), path = betas, []
    m, v, most = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for grad in grads:
        g = grad + weight_decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        most = np.maximum(most, v)
        w = w - lr * m / (np.sqrt(most) + eps) ** (2 * partial)
        path.append(w)
    return path


def eadam(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> Path:
    """Yuan & Gao 2020, Algorithm 1, with decoupled decay."""
    (b1, b2), path = betas, []
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        w = w - lr * weight_decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g + eps
        w = w - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(w)
    return path


def acprop(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> Path:
    """Zhuang et al. 2021: g_t over the centred variance until t − 1."""
    (b1, b2), path = betas, []
    m, s = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        w = w - lr * weight_decay * w
        m = b1 * m + (1 - b1) * g
        if t == 1:
            w = w - lr * g
        else:
            s = s + eps
            w = w - lr * g / (np.sqrt(s / (1 - b2 ** (t - 1))) + eps)
        s = b2 * s + (1 - b2) * (g - m) ** 2
        path.append(w)
    return path


def swats(
    w: Array,
    grads: Sequence[Array],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    tolerance: float,
) -> Path:
    """Keskar & Socher 2017, Algorithm 1; Λ must be positive."""
    (b1, b2), path = betas, []
    m, a, v = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    average, found = 0.0, None
    for k, g in enumerate(grads, 1):
        if found is not None:
            v = b1 * v + g
            w = w - (1 - b1) * found * v
            path.append(w)
            continue
        m, a = b1 * m + (1 - b1) * g, b2 * a + (1 - b2) * g * g
        p = -lr * np.sqrt(1 - b2**k) / (1 - b1**k) * m / (np.sqrt(a) + eps)
        w = w + p
        path.append(w)
        pg = float((p * g).sum())
        if pg != 0:
            gamma = float((p * p).sum()) / -pg
            average = b2 * average + (1 - b2) * gamma
            candidate = average / (1 - b2**k)
            if k > 1 and candidate > 0 and abs(candidate - gamma) < tolerance:
                found = candidate
    return path


def lookahead(inner: Callable[..., Path]) -> Callable[..., Path]:
    """Zhang et al. 2019, Algorithm 1, around SGD: its v is carried over the meetings."""

    def run(
        w: Array, grads: Sequence[Array], *, k: int, alpha: float, lr: float, **options: Any
    ) -> Path:
        assert inner is sgd
        path, v, slow = [], np.zeros_like(w), w
        for t, grad in enumerate(grads, 1):
            g = grad + options["weight_decay"] * w
            v = options["momentum"] * v + g
            w = w - lr * v
            if t % k == 0:
                slow = slow + alpha * (w - slow)
                w = slow
            path.append(w)
        return path

    return run


def lars(
    w: Array, grads: Sequence[Array], lr: float, momentum: float, trust: float, weight_decay: float
) -> Path:
    """You et al. 2017, Algorithm 1: v ← m v + γ λ_l (g + βw), w ← w − v, for constant γ."""
    path, v = [], np.zeros_like(w)
    for g in grads:
        size, slope = np.linalg.norm(w), np.linalg.norm(g)
        local = trust * size / (slope + weight_decay * size) if size > 0 and slope > 0 else 1.0
        v = momentum * v + lr * local * (g + weight_decay * w)
        w = w - v
        path.append(w)
    return path
