/* The step in AVX2. No FMA: the bits are those of the baseline, and memory is the limit anyway. */
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,prfchw"))), apply_to = function)
#else
#pragma GCC target("avx2,prfchw")
#endif
#define ISA(name) name##_avx2
#include "kernel.inc"
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int nothing; /* an empty translation unit is not C */
#endif
