/* AVX-VNNI beside AVX2: a dot of four bytes is one instruction. */
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)

#include "ymm.h"

PHI_INLINE vi vi_dot(vi sum, vw w, vq four) {
    return (vi){_mm256_dpbusd_avx_epi32(sum.a, w.a, four), _mm256_dpbusd_avx_epi32(sum.b, w.b, four)};
}
PHI_INLINE vw vw_load_u8(const uint8_t *p) {
    return (vw){_mm256_loadu_si256((const void *)p), _mm256_loadu_si256((const void *)(p + 32))};
}
PHI_INLINE vi vi_start_u8(int32_t start) { return vi_set(start); }
PHI_INLINE vi vi_dot_u8(vi sum, vw w, vq four) { return vi_dot(sum, w, four); }
PHI_INLINE vi vi_dot_u7(vi sum, vw w, vq four) { return vi_dot(sum, w, four); }
PHI_INLINE vi vi_accumulate_group(vi sum, int32_t start, const vw codes[4], const int8_t *q, vi factor) {
    vi dot = vi_set(start);
    for (int j = 0; j < 4; j++) dot = vi_dot(dot, codes[j], vq_load(q + 4 * j));
    return (vi){_mm256_dpwssd_avx_epi32(sum.a, dot.a, factor.a), _mm256_dpwssd_avx_epi32(sum.b, dot.b, factor.b)};
}

#define INSTRUCTION_SET avxvnni
#include "../vector/all.h"

#pragma clang attribute pop
#endif
