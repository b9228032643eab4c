/* Which kernel this processor can run; and the bare traffic, to compare with. */
#include "row.h"

#include <stddef.h>

Kernel step_baseline;
#if defined(__x86_64__) && defined(__GNUC__)
Kernel step_avx2;
#endif

Kernel *choose_kernel(int baseline, const char **name) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (!baseline && __builtin_cpu_supports("avx2")) {
        *name = "avx2";
        return step_avx2;
    }
#endif
    (void)baseline;
    *name = "baseline";
    return step_baseline;
}

void traffic(const Row *row, const Scalars *scalars, int64_t first, int64_t last) {
    const int64_t start = first * BLOCK;
    const int64_t end = last * BLOCK < row->numel ? last * BLOCK : row->numel;
    float *restrict p = (float *)row->param, *restrict m = (float *)row->exp_avg;
    float *restrict s = (float *)row->exp_avg_var;
    const float *restrict g = (const float *)row->grad;
    const float e = (float)scalars->eps;
    int64_t i = start;
    for (; i + 16 <= end; i += 16) {
        __builtin_prefetch(p + i + 512);
        __builtin_prefetch(g + i + 512);
        __builtin_prefetch(m + i + 512);
        __builtin_prefetch(s + i + 512);
        for (int64_t j = i; j < i + 16; j++) {
            p[j] += e * g[j];
            m[j] += e * g[j];
            s[j] += e;
        }
    }
    for (; i < end; i++) {
        p[i] += e * g[i];
        m[i] += e * g[i];
        s[i] += e;
    }
}
