/* The step in the instructions that every processor of this architecture has: SSE2, NEON. */
#define KERNEL step_baseline
#include "kernel.inc"
