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

#define VALUE_VECTORS 1
typedef uint8_t vweight;
PHI_INLINE void vi_store_weights(vweight *p, vi x) { vi_store_bytes((int8_t *)p, x); }
/* Four positions side by side for each dimension. */
PHI_INLINE void vw_load_values(const int8_t *p, size_t stride, vw values[VALUE_VECTORS]) {
    __m128i x[4], low[2], high[2];
    for (size_t i = 0; i < 4; i++) x[i] = _mm_loadu_si128((const void *)(p + i * stride));
    for (int i = 0; i < 2; i++) {
        low[i] = _mm_unpacklo_epi8(x[2 * i], x[2 * i + 1]);
        high[i] = _mm_unpackhi_epi8(x[2 * i], x[2 * i + 1]);
    }
    values[0] = (vw){_mm256_set_m128i(_mm_unpackhi_epi16(low[0], low[1]), _mm_unpacklo_epi16(low[0], low[1])),
                     _mm256_set_m128i(_mm_unpackhi_epi16(high[0], high[1]), _mm_unpacklo_epi16(high[0], high[1]))};
}
PHI_INLINE vi vi_weigh(vi sum, const vw values[VALUE_VECTORS], const vweight weights[4]) {
    __m256i four = vq_load((const int8_t *)weights);
    return (vi){_mm256_dpbusd_avx_epi32(sum.a, four, values[0].a), _mm256_dpbusd_avx_epi32(sum.b, four, values[0].b)};
}

#define INSTRUCTION_SET avxvnni
#include "../vector/all.h"

#pragma clang attribute pop
#endif
