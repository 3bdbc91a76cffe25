/* Bochs 2.7 rounds vcvtps2ph's ties away from zero instead of to even. Included before everything, this puts them right, and
 * changes nothing where the CPU does so itself: an odd result is then never that of a tie. */
#if defined(__x86_64__)
#include <immintrin.h>

static inline __attribute__((always_inline, target("avx2,f16c"))) __m128i halves_ties(__m256 x, __m128i halves) {
    const __m128i one = _mm_set1_epi16(1);
    __m256 below = _mm256_cvtph_ps(_mm_sub_epi16(halves, one)), above = _mm256_cvtph_ps(halves);
    __m256i tie = _mm256_castps_si256(_mm256_cmp_ps(_mm256_sub_ps(x, below), _mm256_sub_ps(above, x), _CMP_EQ_OQ));
    __m128i mask = _mm_packs_epi32(_mm256_castsi256_si128(tie), _mm256_extracti128_si256(tie, 1));
    return _mm_sub_epi16(halves, _mm_and_si128(mask, _mm_and_si128(halves, one)));
}

static inline __attribute__((always_inline, target("avx2,f16c"))) __m128i halves_256(__m256 x) {
    return halves_ties(x, _mm256_cvtps_ph(x, 0));
}

static inline __attribute__((always_inline, target("avx512f,avx512dq,avx2,f16c"))) __m256i halves_512(__m512 x) {
    __m256i halves = _mm512_cvtps_ph(x, 0);
    return _mm256_set_m128i(halves_ties(_mm512_extractf32x8_ps(x, 1), _mm256_extracti128_si256(halves, 1)),
                            halves_ties(_mm512_castps512_ps256(x), _mm256_castsi256_si128(halves)));
}

#undef _mm256_cvtps_ph
#undef _mm512_cvtps_ph
#define _mm256_cvtps_ph(x, rounding) halves_256(x)
#define _mm512_cvtps_ph(x, rounding) halves_512(x)
#endif
