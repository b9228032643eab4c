"use strict";
// The functions of landscapes.py by name: loss, and gradient with 0 at kinks.
const scaled = {
  loss: (x, y) => Math.abs(x) / 10 + Math.abs(y),
  grad: (x, y) => [Math.sign(x) / 10, Math.sign(y)],
};

const LANDSCAPES = {
  l1: {
    loss: (x, y) => Math.abs(x) + Math.abs(y),
    grad: (x, y) => [Math.sign(x), Math.sign(y)],
  },
  l1_inseparable: {
    loss: (x, y) => Math.abs(x + y) + Math.abs(x - y) / 10,
    grad: (x, y) => {
      const along = Math.sign(x + y), across = Math.sign(x - y) / 10;
      return [along + across, along - across];
    },
  },
  l2_inseparable: {
    loss: (x, y) => (x + y) ** 2 + (x - y) ** 2 / 10,
    grad: (x, y) => {
      const along = 2 * (x + y), across = (x - y) / 5;
      return [along + across, along - across];
    },
  },
  l1_scaled_low_betas: scaled,
  l1_scaled: scaled,
  beale: {
    loss: (x, y) =>
      (1.5 - x + x * y) ** 2 + (2.25 - x + x * y ** 2) ** 2 + (2.625 - x + x * y ** 3) ** 2,
    grad: (x, y) => {
      const square = y * y, cube = y * y * y;
      const one = 1.5 - x + x * y, two = 2.25 - x + x * square, three = 2.625 - x + x * cube;
      return [
        2 * one * (y - 1) + 2 * two * (square - 1) + 2 * three * (cube - 1),
        2 * one * x + 4 * two * x * y + 6 * three * x * square,
      ];
    },
  },
  rosenbrock: {
    loss: (x, y) => (1 - x) ** 2 + 100 * (y - x ** 2) ** 2,
    grad: (x, y) => {
      const above = y - x * x;
      return [-2 * (1 - x) - 400 * x * above, 200 * above];
    },
  },
};
