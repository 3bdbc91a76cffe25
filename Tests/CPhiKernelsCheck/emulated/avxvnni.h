/* vpdpbusd and vpdpwssd by AVX2's means, as Intel's manual defines them. Included before everything, so that avxvnni runs where AVX2 does. */
#if defined(__x86_64__)
#include <immintrin.h>

/* Even and odd bytes apart, so that no pair can overflow. The empty asm keeps the compiler from seeing a VNNI dot in it. */
static inline __attribute__((always_inline, target("avx2"))) __m256i avxvnni_dot(__m256i sum, __m256i w, __m256i q) {
    __m256i even = _mm256_madd_epi16(_mm256_and_si256(w, _mm256_set1_epi16(255)),
                                     _mm256_srai_epi16(_mm256_slli_epi16(q, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(w, 8), _mm256_srai_epi16(q, 8));
    __asm__("" : "+x"(even), "+x"(odd));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

static inline __attribute__((always_inline, target("avx2"))) __m256i avxvnni_word_dot(__m256i sum, __m256i w, __m256i q) {
    __m256i pairs = _mm256_madd_epi16(w, q);
    __asm__("" : "+x"(pairs));
    return _mm256_add_epi32(sum, pairs);
}

#undef _mm256_dpbusd_avx_epi32
#undef _mm256_dpwssd_avx_epi32
#define _mm256_dpwssd_avx_epi32(sum, w, q) avxvnni_word_dot(sum, w, q)
#define _mm256_dpbusd_avx_epi32(sum, w, q) avxvnni_dot(sum, w, q)
#endif
