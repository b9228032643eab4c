/* The step in the instructions that every processor of this architecture has: SSE2, NEON. */
#define ISA(name) name##_baseline
#include "kernel.inc"
