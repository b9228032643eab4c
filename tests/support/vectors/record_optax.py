"""Record trajectories of optax.adabelief in float64 as optax.json, for test_reference.py.

In a virtual environment of its own (nothing else here needs JAX):

    pip install jax==0.10.2 optax==0.2.8
    python tests/vectors/record_optax.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]
import optax  # type: ignore[import-not-found]

COMMAND = "pip install jax==0.10.2 optax==0.2.8 && python tests/vectors/record_optax.py"
STEPS, SIZE = 12, 5
SETTINGS: list[dict[str, Any]] = [
    {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-16},
    {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8},
    {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-3},
    {"lr": 0.01, "betas": [0.95, 0.6], "eps": 0.0},
]


def record(setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """One trajectory; optax's eps_root is the ε inside s and its eps the one beside the root."""
    draw = random.Random(seed)
    grads = [[draw.gauss(0, 1) for _ in range(SIZE)] for _ in range(STEPS)]
    param = jnp.array([draw.gauss(0, 1) for _ in range(SIZE)])
    (beta1, beta2), eps = setting["betas"], setting["eps"]
    optimizer = optax.adabelief(setting["lr"], b1=beta1, b2=beta2, eps=eps, eps_root=eps)
    state = optimizer.init(param)
    start, steps = param.tolist(), []
    for grad in grads:
        updates, state = optimizer.update(jnp.array(grad), state, param)
        param = optax.apply_updates(param, updates)
        belief = state[0]
        steps.append(
            {
                "param": param.tolist(),
                "exp_avg": belief.mu.tolist(),
                "exp_avg_var": belief.nu.tolist(),
            }
        )
    return {**setting, "start": start, "grads": grads, "steps": steps}


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    vectors = {
        "command": COMMAND,
        "versions": {"jax": jax.__version__, "optax": optax.__version__},
        "platform": jax.default_backend(),
        "trajectories": [record(setting, seed) for seed, setting in enumerate(SETTINGS)],
    }
    text = json.dumps(vectors, indent=1)
    Path(__file__).with_name("optax.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
