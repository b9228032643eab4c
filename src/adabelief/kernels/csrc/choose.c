/* Which kernels this processor can run. */
#include "row.h"

#include <stddef.h>

Kernel step_baseline, traffic_baseline;
#if defined(__x86_64__) && defined(__GNUC__)
Kernel step_avx2, traffic_avx2;
#endif

Kernels choose_kernels(int baseline) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (!baseline && __builtin_cpu_supports("avx2"))
        return (Kernels){"avx2", step_avx2, traffic_avx2};
#endif
    (void)baseline;
    return (Kernels){"baseline", step_baseline, traffic_baseline};
}
