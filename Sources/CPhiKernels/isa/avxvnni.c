/* AVX-VNNI beside AVX2: a dot of four bytes is one instruction. */
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)

#include "ymm.h"

PHI_INLINE __m256i add_words(__m256i sum, __m256i w, __m256i q) { return _mm256_dpwssd_avx_epi32(sum, w, q); }
PHI_INLINE vi vi_dot(vi sum, vw w, vq four) {
    return (vi){_mm256_dpbusd_avx_epi32(sum.a, w.a, four), _mm256_dpbusd_avx_epi32(sum.b, w.b, four)};
}
PHI_INLINE vw vw_load_u8(const uint8_t *p) {
    return (vw){_mm256_loadu_si256((const void *)p), _mm256_loadu_si256((const void *)(p + 32))};
}
PHI_INLINE vi vi_start_u8(int32_t start) { return vi_set(start); }
PHI_INLINE vi vi_dot_u8(vi sum, vw w, vq four) { return vi_dot(sum, w, four); }
PHI_INLINE vi vi_dot_u7(vi sum, vw w, vq four) { return vi_dot(sum, w, four); }
PHI_INLINE vp vp_start_u8(int32_t start) { return vp_set(start); }
PHI_INLINE vp vp_load_u8(const uint8_t *p, int part) { return _mm256_loadu_si256((const void *)(p + 32 * part)); }
PHI_INLINE vp vp_dot_u8(vp sum, vp w, const int8_t *q) { return _mm256_dpbusd_avx_epi32(sum, w, vq_load(q)); }
PHI_INLINE vp vp_load_factors(const uint8_t *strip, int part, int g) {
    return _mm256_srai_epi16(_mm256_slli_epi16(load_factors(strip, part), 12 - 4 * g), 12);
}
PHI_INLINE vp vp_accumulate_group(vp sum, const vp_group *w, const int8_t *q, uint32_t start) {
    vp dot = vp_set((int32_t)start);
    for (int j = 0; j < 4; j++) dot = _mm256_dpbusd_avx_epi32(dot, w->codes[j], vq_load(q + 4 * j));
    return _mm256_dpwssd_avx_epi32(sum, dot, w->factors);
}

#define INSTRUCTION_SET avxvnni
#include "../vector/all.h"

#pragma clang attribute pop
#endif
