"""Algorithm 2 for the tensors of one dtype in one launch, by Triton.

A program does one tile of one tensor. Which one, `rows` says: the number of a tensor for each
tile. Where its arrays lie, `table` says. Importing this module imports Triton.
"""
# ruff: noqa: N803, N806, SIM300, PLR0912, PLR0915
# Capitals are compile-time constants; Triton inlines every function.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from adabelief.kernels.triton_arithmetic import elements
from adabelief.kernels.triton_formats import (
    BLOCK,
    MASTER_SPLIT,
    MASTER_STOCHASTIC,
    STATE_8BIT,
    STATE_BFLOAT16,
    decode,
    encode,
    join,
    narrowed,
    pointer,
    random_bits,
    read,
    split,
    stochastic,
    widened,
    write,
)

# Columns of the table, each an int64 for every tensor.
INDEX = tl.constexpr(0)  # number of the tensor in the lists of scalars and keys
FIRST = tl.constexpr(1)  # its first tile
TILES = tl.constexpr(2)  # how many it has
NUMEL = tl.constexpr(3)
PARAM_AT = tl.constexpr(4)  # addresses
GRAD_AT = tl.constexpr(5)
EXP_AVG_AT = tl.constexpr(6)
EXP_AVG_VAR_AT = tl.constexpr(7)
MOST_AT = tl.constexpr(8)  # of the maximum of s with amsgrad, of exponents with 8 bits
MASTER_AT = tl.constexpr(9)


@triton.jit
def own(scalar, index):
    """A tensor's own number: the scalar itself, or its entry where scalars are on the device."""
    if tl.to_tensor(scalar).dtype.is_ptr():
        found = tl.load(scalar + index)
    else:
        found = tl.to_tensor(scalar)
    return found


@triton.jit
def step_tile(
    column,
    n,
    start,
    numel,
    key,
    c,
    PARAM: tl.constexpr,
    GRAD: tl.constexpr,
    STATE_DTYPE: tl.constexpr,
    MASTER: tl.constexpr,
    AMSGRAD: tl.constexpr,
    COUPLED: tl.constexpr,
    MAXIMIZE: tl.constexpr,
    ALIGNED: tl.constexpr,
    TILE: tl.constexpr,
    FULL: tl.constexpr,
):
    """One tile: load, compute, store.

    Args:
        column: of the table, as a pointer to its first entry.
        n: distance of the column's entries.
        start: the tile's first element.
        numel: of the tensor.
        key: two numbers.
        c: scalars.
        PARAM: this and the following as in `step`.
        GRAD: likewise.
        STATE_DTYPE: likewise.
        MASTER: likewise.
        AMSGRAD: likewise.
        COUPLED: likewise.
        MAXIMIZE: likewise.
        ALIGNED: likewise.
        TILE: likewise.
        FULL: whether all of the tile's elements are there.
    """
    WIDE: tl.constexpr = tl.float64 if PARAM == tl.float64 else tl.float32
    FIRST: tl.constexpr = tl.bfloat16 if STATE_DTYPE else WIDE
    SECOND: tl.constexpr = tl.uint8 if STATE_DTYPE == STATE_8BIT else FIRST
    block = tl.arange(0, TILE // BLOCK)
    place = block[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]
    inside = start + place < numel
    param_at = pointer(tl.load(column + PARAM_AT * n), start, PARAM, ALIGNED) + place
    grad_at = pointer(tl.load(column + GRAD_AT * n), start, GRAD, ALIGNED) + place
    exp_avg_at = pointer(tl.load(column + EXP_AVG_AT * n), start, FIRST, ALIGNED) + place
    exp_avg_var_at = pointer(tl.load(column + EXP_AVG_VAR_AT * n), start, SECOND, ALIGNED) + place
    param = read(param_at, inside, FULL)
    if MASTER == MASTER_SPLIT:
        rest_at = pointer(tl.load(column + MASTER_AT * n), start, tl.int16, ALIGNED) + place
        param = join(param, read(rest_at, inside, FULL))
    else:
        param = widened(param, PARAM)
    grad = widened(read(grad_at, inside, FULL), GRAD)
    if MAXIMIZE:
        grad = -grad
    exp_avg = widened(read(exp_avg_at, inside, FULL), FIRST)
    exp_avg_var = read(exp_avg_var_at, inside, FULL)
    if STATE_DTYPE == STATE_8BIT:
        exponents_at = tl.load(column + MOST_AT * n).to(tl.pointer_type(tl.uint8))
        exponents_at += start // BLOCK + block
        begun = start + block * BLOCK < numel
        exp_avg_var = decode(exp_avg_var, read(exponents_at, begun, FULL))
    else:
        exp_avg_var = widened(exp_avg_var, FIRST)
    most = exp_avg_var
    if AMSGRAD:
        most_at = pointer(tl.load(column + MOST_AT * n), start, FIRST, ALIGNED) + place
        most = widened(read(most_at, inside, FULL), FIRST)

    param, exp_avg, exp_avg_var, most = elements(
        param, grad, exp_avg, exp_avg_var, most, c, AMSGRAD, COUPLED
    )

    if STATE_DTYPE or MASTER == MASTER_STOCHASTIC:
        # The upper half rounds s, the lower half the parameter.
        random = random_bits((start + place).to(tl.uint32), key[0], key[1])
    write(exp_avg_at, narrowed(exp_avg, FIRST), inside, FULL)
    if STATE_DTYPE == STATE_8BIT:
        codes, exponents = encode(exp_avg_var, random >> 16, inside)
        write(exp_avg_var_at, codes, inside, FULL)
        write(exponents_at, exponents, begun, FULL)
    elif STATE_DTYPE == STATE_BFLOAT16:
        write(exp_avg_var_at, stochastic(exp_avg_var, random >> 16), inside, FULL)
    else:
        write(exp_avg_var_at, exp_avg_var, inside, FULL)
    if AMSGRAD:
        write(most_at, narrowed(most, FIRST), inside, FULL)
    if MASTER == MASTER_SPLIT:
        param, rest = split(param)
        write(rest_at, rest, inside, FULL)
    elif MASTER == MASTER_STOCHASTIC:
        param = stochastic(param, random & 0xFFFF)
    else:
        param = narrowed(param, PARAM)
    write(param_at, param, inside, FULL)


@triton.jit(do_not_specialize=["n"])
def step(
    table,
    rows,
    n,
    first_keys,
    second_keys,
    coupled_decay,
    keep,
    weight,
    beta2,
    one_minus_beta2,
    eps,
    outer_eps,
    adaptive,
    direction_scale,
    step_size,
    clip_update,
    low,
    high,
    PARAM: tl.constexpr,
    GRAD: tl.constexpr,
    STATE_DTYPE: tl.constexpr,
    MASTER: tl.constexpr,
    AMSGRAD: tl.constexpr,
    COUPLED: tl.constexpr,
    MAXIMIZE: tl.constexpr,
    ALIGNED: tl.constexpr,
    TILE: tl.constexpr,
):
    """Do one step of every tensor in the table.

    Args:
        table: int64, (columns, n), see above.
        rows: int64, for each program its tensor.
        n: tensors in the table.
        first_keys: int64, of the random bits, entries by INDEX; not looked at if nothing is random.
        second_keys: likewise.
        coupled_decay: this and the following are scalars, or arrays with entries by INDEX.
        keep: 1 for none.
        weight: 1 − β₁; −β₁ where β₁ ≤ 1/2: m then lies nearer to g than to the old m.
        beta2: β₂.
        one_minus_beta2: 1 − β₂, rounded once.
        eps: in s.
        outer_eps: beside the root.
        adaptive: 1 or 0.
        direction_scale: on the direction.
        step_size: α.
        clip_update: infinite for none.
        low: of the feasible box, −∞ for none.
        high: likewise.
        PARAM: dtype of parameters.
        GRAD: of gradients.
        STATE_DTYPE: 0, wide; STATE_BFLOAT16 or STATE_8BIT.
        MASTER: 0, MASTER_SPLIT or MASTER_STOCHASTIC.
        AMSGRAD: whether there is a maximum of s.
        COUPLED: whether coupled_decay matters.
        MAXIMIZE: whether the gradient changes its sign.
        ALIGNED: whether all arrays begin at multiples of 16 bytes.
        TILE: elements of a program, a multiple of BLOCK.
    """
    tile = tl.program_id(0)
    column = table + tl.load(rows + tile)
    index = tl.load(column + INDEX * n)
    numel = tl.load(column + NUMEL * n)
    start = (tile - tl.load(column + FIRST * n)) * TILE
    c = (
        own(coupled_decay, index),
        own(keep, index),
        own(weight, index),
        own(beta2, index),
        own(one_minus_beta2, index),
        own(eps, index),
        own(outer_eps, index),
        own(adaptive, index),
        own(direction_scale, index),
        own(step_size, index),
        own(clip_update, index),
        own(low, index),
        own(high, index),
    )
    key = (0, 0)
    if STATE_DTYPE or MASTER == MASTER_STOCHASTIC:
        key = (
            tl.load(first_keys + index).to(tl.uint32),
            tl.load(second_keys + index).to(tl.uint32),
        )
    # No masks where all of the tile is there: with them nothing is loaded sixteen bytes at a time.
    if start + TILE <= numel:
        step_tile(
            column, n, start, numel, key, c,
            PARAM, GRAD, STATE_DTYPE, MASTER, AMSGRAD, COUPLED, MAXIMIZE, ALIGNED, TILE, FULL=True,
        )  # fmt: skip
    else:
        step_tile(
            column, n, start, numel, key, c,
            PARAM, GRAD, STATE_DTYPE, MASTER, AMSGRAD, COUPLED, MAXIMIZE, ALIGNED, TILE, FULL=False,
        )  # fmt: skip
