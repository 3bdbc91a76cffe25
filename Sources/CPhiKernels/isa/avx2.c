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
PHI_INLINE vi vi_dot_u7(vi sum, vw w, vq four) { return (vi){dot(sum.a, w.a, four), dot(sum.b, w.b, four)}; }
/* Sums of even and of odd pairs of columns fit in 16 bits, as does their total. */
PHI_INLINE vi vi_accumulate_group(vi sum, int32_t start, const vw codes[4], const int8_t *q, vi factor) {
    __m256i a = _mm256_set1_epi32(start & 0xffff), b = a;
    for (int j = 0; j < 4; j++) {
        vq four = vq_load(q + 4 * j);
        a = _mm256_add_epi16(a, _mm256_maddubs_epi16(codes[j].a, four));
        b = _mm256_add_epi16(b, _mm256_maddubs_epi16(codes[j].b, four));
    }
    __m256i both_a = _mm256_or_si256(factor.a, _mm256_slli_epi32(factor.a, 16));
    __m256i both_b = _mm256_or_si256(factor.b, _mm256_slli_epi32(factor.b, 16));
    return (vi){_mm256_add_epi32(sum.a, _mm256_madd_epi16(a, both_a)), _mm256_add_epi32(sum.b, _mm256_madd_epi16(b, both_b))};
}

#define INSTRUCTION_SET avx2
#include "../vector/all.h"

#pragma clang attribute pop
#endif
