/* AVX2 with FMA and F16C: sixteen lanes are two registers. */
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "ymm.h"

/* Eight rows: unsigned by signed bytes to pairs of 16 bits, then to 32. Pairs never overflow: both callers keep
 * |w| <= 128, |q| <= 127. */
PHI_INLINE __m256i dot(__m256i sum, __m256i w, __m256i q) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, q), _mm256_set1_epi16(1)));
}
/* These bytes reach 255, so they are made signed, which removes the zero point, and the sign moves over to the activations. */
PHI_INLINE vw vw_load_u8(const uint8_t *p) {
    const __m256i top = _mm256_set1_epi8((char)0x80);
    return (vw){_mm256_xor_si256(_mm256_loadu_si256((const void *)p), top),
                _mm256_xor_si256(_mm256_loadu_si256((const void *)(p + 32)), top)};
}
PHI_INLINE vi vi_start_u8(int32_t start) {
    (void)start;
    return vi_set(0);
}
PHI_INLINE vi vi_dot_u8(vi sum, vw w, vq four) {
    return (vi){dot(sum.a, _mm256_abs_epi8(w.a), _mm256_sign_epi8(four, w.a)),
                dot(sum.b, _mm256_abs_epi8(w.b), _mm256_sign_epi8(four, w.b))};
}
/* A pair of such weights times values does not fit in the 16 bits of a dot of bytes, so both are words. */
#define VALUE_VECTORS 2
typedef int16_t vweight;
PHI_INLINE void vi_store_weights(vweight *p, vi x) {
    _mm256_storeu_si256((void *)p, _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8));
}
/* Neighbouring pairs of positions as pairs of 16 bits. */
PHI_INLINE vw load_pair(const int8_t *p, size_t stride) {
    __m128i a = _mm_loadu_si128((const void *)p), b = _mm_loadu_si128((const void *)(p + stride));
    return (vw){_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)), _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b))};
}
PHI_INLINE void vw_load_values(const int8_t *p, size_t stride, vw values[VALUE_VECTORS]) {
    values[0] = load_pair(p, stride);
    values[1] = load_pair(p + 2 * stride, stride);
}
PHI_INLINE vi vi_weigh(vi sum, const vw values[VALUE_VECTORS], const vweight weights[4]) {
    for (int i = 0; i < 2; i++) {
        int32_t pair;
        memcpy(&pair, weights + 2 * i, 4);
        __m256i two = _mm256_set1_epi32(pair);
        sum.a = _mm256_add_epi32(sum.a, _mm256_madd_epi16(values[i].a, two));
        sum.b = _mm256_add_epi32(sum.b, _mm256_madd_epi16(values[i].b, two));
    }
    return sum;
}

PHI_INLINE vi vi_dot_u7(vi sum, vw w, vq four) { return (vi){dot(sum.a, w.a, four), dot(sum.b, w.b, four)}; }
PHI_INLINE vp vp_start_u8(int32_t start) {
    (void)start;
    return vp_set(0);
}
PHI_INLINE vp vp_load_u8(const uint8_t *p, int part) {
    return _mm256_xor_si256(_mm256_loadu_si256((const void *)(p + 32 * part)), _mm256_set1_epi8((char)0x80));
}
PHI_INLINE vp vp_dot_u8(vp sum, vp w, const int8_t *q) { return dot(sum, _mm256_abs_epi8(w), _mm256_sign_epi8(vq_load(q), w)); }
PHI_INLINE vp vp_load_factors(const uint8_t *strip, int part, int g) {
    __m256i all = load_factors(strip, part), twice = _mm256_or_si256(all, _mm256_slli_epi32(all, 16));
    return _mm256_srai_epi16(_mm256_slli_epi16(twice, 12 - 4 * g), 12);
}
/* Sums of even and of odd pairs of columns fit in 16 bits, as does their total. */
PHI_INLINE vp vp_accumulate_group(vp sum, const vp_group *w, const int8_t *q, uint32_t start) {
    __m256i pairs = _mm256_set1_epi32((int32_t)start);
    for (int j = 0; j < 4; j++) pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(w->codes[j], vq_load(q + 4 * j)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, w->factors));
}

#define MATMUL_BY_GROUPS
#define MATMUL_GROUP_TOKENS 8
#define MATMUL_GROUP_TILES 3
PHI_INLINE vp vp_sub(vp x, vp y) { return _mm256_sub_epi32(x, y); }
PHI_INLINE vp_group vp_centred(vp_group w) {
    for (int j = 0; j < 4; j++) w.codes[j] = _mm256_sub_epi8(w.codes[j], _mm256_set1_epi8((char)phi_q4.code_zero_point));
    return w;
}
/* Here too sums fit in 16 bits: four pairs of at most 2 * 255 * 8. */
PHI_INLINE vp vp_accumulate_biased(vp sum, const vp_group *w, const uint8_t *biased) {
    __m256i pairs = _mm256_maddubs_epi16(vq_load((const int8_t *)biased), w->codes[0]);
    for (int j = 1; j < 4; j++)
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(vq_load((const int8_t *)biased + 4 * j), w->codes[j]));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, w->factors));
}

#define INSTRUCTION_SET avx2
#include "../vector/all.h"

#pragma clang attribute pop
#endif
