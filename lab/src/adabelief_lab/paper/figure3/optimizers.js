"use strict";
// The recursions, each for one coordinate: called with that coordinate's state, its gradient, the
// number of the step and the settings, it changes the state and returns what is subtracted from θ.

// Algorithm 2 of Zhuang et al. 2020, as reference.py has it.
function adabelief(state, grad, step, { lr, beta1, beta2, eps }) {
  // Alg. 2 (1) gradient: g is what the caller measured
  // Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g
  state.m = beta1 * state.m + (1 - beta1) * grad;
  // Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
  state.s = beta2 * state.s + (1 - beta2) * (grad - state.m) ** 2 + eps;
  // Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ)
  const mHat = state.m / (1 - beta1 ** step);
  const root = Math.sqrt(state.s / (1 - beta2 ** step));
  // Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε)), F = ℝ²
  return lr * (mHat / (root + eps));
}

// Kingma & Ba 2015, Algorithm 1.
function adam(state, grad, step, { lr, beta1, beta2, eps }) {
  state.m = beta1 * state.m + (1 - beta1) * grad;
  state.s = beta2 * state.s + (1 - beta2) * grad ** 2;
  const root = Math.sqrt(state.s / (1 - beta2 ** step));
  return lr * (state.m / (1 - beta1 ** step) / (root + eps));
}

// Yuan & Gao 2020: Adam with AdaBelief's ε.
function eadam(state, grad, step, { lr, beta1, beta2, eps }) {
  state.m = beta1 * state.m + (1 - beta1) * grad;
  state.s = beta2 * state.s + (1 - beta2) * grad ** 2 + eps;
  const root = Math.sqrt(state.s / (1 - beta2 ** step));
  return lr * (state.m / (1 - beta1 ** step) / (root + eps));
}

// Heavy ball (Polyak 1964) as torch.optim.SGD scales it.
function sgd(state, grad, step, { lr, momentum }) {
  state.m = momentum * state.m + grad;
  return lr * state.m;
}

// Equation 1 of Zhuang et al. 2020.
function sgdEma(state, grad, step, { lr, momentum }) {
  state.m = momentum * state.m + (1 - momentum) * grad;
  return lr * state.m;
}

const OPTIMIZERS = {
  "AdaBelief": adabelief, "Adam": adam, "SGD": sgd, "SGD (EMA)": sgdEma, "EAdam": eadam,
};

// Positions x₀, y₀, x₁, y₁, ... of so many steps from the start.
function trajectory(optimizer, landscape, start, steps, settings) {
  const update = OPTIMIZERS[optimizer], { grad } = LANDSCAPES[landscape];
  const path = new Float64Array(2 * (steps + 1));
  const states = [{ m: 0, s: 0 }, { m: 0, s: 0 }];
  let [x, y] = start;
  path.set(start);
  for (let step = 1; step <= steps; step++) {
    const [byX, byY] = grad(x, y);
    x -= update(states[0], byX, step, settings);
    y -= update(states[1], byY, step, settings);
    path[2 * step] = x;
    path[2 * step + 1] = y;
  }
  return path;
}

// Step from which the path stays within the radius of the optimum; infinity is never.
function staysFrom(path, [x, y], radius) {
  let found = Infinity;
  for (let step = path.length / 2 - 1; step >= 0; step--) {
    if (!(Math.hypot(path[2 * step] - x, path[2 * step + 1] - y) <= radius)) break;
    found = step;
  }
  return found;
}
