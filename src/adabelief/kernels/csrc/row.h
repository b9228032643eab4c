/* One parameter of a step, and the scalars of that step. Nothing here knows Python. */
#pragma once
#include <stdint.h>

/* The unit of work, and how many elements of an 8-bit s share an exponent (low_precision/e5m3.py). */
enum { BLOCK = 256 };

typedef enum { FLOAT32, FLOAT64, BFLOAT16, FLOAT16, UINT8, INT16, NO_DTYPE } Dtype;
typedef enum { STATE_WIDE, STATE_BFLOAT16, STATE_8BIT } StateDtype;
typedef enum { MASTER_NONE, MASTER_SPLIT, MASTER_STOCHASTIC } Master;

typedef struct {
    char *param, *exp_avg, *exp_avg_var;
    const char *grad;
    char *max_exp_avg_var;  /* NULL without amsgrad */
    uint8_t *exponents;     /* with STATE_8BIT: one for each block */
    int16_t *master_bits;   /* with MASTER_SPLIT */
    float *step;            /* t, not yet advanced; NULL: the caller advances it */
    int64_t numel;
    int64_t first_block;    /* number of this row's first block among all rows' */
    int slot;               /* which scalars */
    uint32_t key[2];        /* of the random bits (low_precision/random_bits.py) */
    Dtype param_dtype, grad_dtype;
    StateDtype state_dtype;
    Master master;
} Row;

/* As adabelief.step.scalars.Coefficients, in double precision; `packed` there has the order. */
typedef struct {
    double grad_scale; /* −1 to maximize, over the loss scale */
    double coupled_decay, keep;
    double beta1, one_minus_beta1, beta2, one_minus_beta2, eps, outer_eps;
    double direction_scale, step_size, clip_update;
    double low, high; /* the feasible box */
    int coupled, amsgrad, adaptive;
} Scalars;

/* low_precision/random_bits.py: Wellons' "lowbias32" (public domain), with `between` amid its products. */
static inline uint32_t scramble(uint32_t x, uint32_t between) {
    x ^= x >> 16;
    x *= 0x7FEB352D;
    x ^= x >> 15;
    x = (x + between) * 0x846CA68B;
    return x ^ x >> 16;
}

static inline int64_t blocks_of(int64_t numel) { return (numel + BLOCK - 1) / BLOCK; }

/* Elements of blocks [first, last) of one row are updated. */
typedef void Kernel(const Row *row, const Scalars *scalars, int64_t first, int64_t last);

typedef struct {
    const char *name; /* of the instruction set */
    Kernel *step;
    /* p += e g; m += e g; s += e with e = eps: a step's traffic, hardly any arithmetic (benchmarks). */
    Kernel *traffic;
} Kernels;

/* The fastest that this processor can run, or those that all can. */
Kernels choose_kernels(int baseline);
