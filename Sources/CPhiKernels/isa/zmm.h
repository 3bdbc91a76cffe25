/* What avx512.c and amx.c share: sixteen lanes are one register, AVX-512 with VNNI. Included inside their target regions. */

typedef __m512 vf;
typedef __m512i vi;
typedef __m512i vw;
typedef __m512i vq;

PHI_INLINE vf vf_set(float x) { return _mm512_set1_ps(x); }
PHI_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
PHI_INLINE void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
PHI_INLINE vf vf_load_half(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }
PHI_INLINE vf vf_load_bytes(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}
PHI_INLINE void vf_store_half(uint16_t *p, vf x) { _mm256_storeu_si256((void *)p, _mm512_cvtps_ph(x, 0)); }
PHI_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
PHI_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
PHI_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
PHI_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
PHI_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
PHI_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
PHI_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
PHI_INLINE vf vf_abs(vf a) { return _mm512_abs_ps(a); }
PHI_INLINE vf vf_lanes(void) { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
/* a < b ? x : y */
PHI_INLINE vf vf_where_less(vf a, vf b, vf x, vf y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
PHI_INLINE float vf_lane_max(vf a) { return _mm512_reduce_max_ps(a); }
/* A tree of halves: lane l and l + 8, then l + 4, l + 2, l + 1. */
PHI_INLINE float vf_lane_sum(vf a) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

PHI_INLINE vi vi_set(int32_t x) { return _mm512_set1_epi32(x); }
PHI_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
PHI_INLINE int32_t vi_lane_sum(vi a) { return _mm512_reduce_add_epi32(a); }
PHI_INLINE void vi_store_bytes(int8_t *p, vi a) { _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(a)); }
PHI_INLINE vf vf_of(vi a) { return _mm512_cvtepi32_ps(a); }
PHI_INLINE vi vf_round(vf a) { return _mm512_cvtps_epi32(a); }
/* p * 2^n for normal results */
PHI_INLINE vf vf_times_power(vf p, vi n) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(n, 23)));
}

/* Four activations for every row. */
PHI_INLINE vq quad(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, 4);
    return _mm512_set1_epi32(four);
}
PHI_INLINE vw vw_load(const uint8_t *p) { return _mm512_load_si512(p); }
PHI_INLINE void vw_store(uint8_t *p, vw w) { _mm512_store_si512(p, w); }
PHI_INLINE vw vw_load_q8(const uint8_t *p) { return _mm512_loadu_si512(p); }
PHI_INLINE vi vi_start_q8(int32_t start) { return _mm512_set1_epi32(start); }
PHI_INLINE vi vi_dot_q8(vi sum, vw w, vq q) { return _mm512_dpbusd_epi32(sum, w, q); }
/* By the lowest four bits of each byte. */
#ifdef HAVE_VBMI
/* Really by six, but the levels are there four times. */
PHI_INLINE __m512i look_up(__m512i levels, __m512i codes) { return _mm512_permutexvar_epi8(codes, levels); }
#else
PHI_INLINE __m512i look_up(__m512i levels, __m512i codes) {
    return _mm512_shuffle_epi8(levels, _mm512_and_si512(codes, _mm512_set1_epi8(15)));
}
#endif
PHI_INLINE void vw_load_q4(const uint8_t *p, vw *low, vw *high) {
    const __m512i levels = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)phi_q4_levels));
    __m512i codes = _mm512_loadu_si512(p);
    *low = look_up(levels, codes);
    *high = look_up(levels, _mm512_srli_epi16(codes, 4));
}
PHI_INLINE vi vi_dot_q4(vi sum, vw w, vq q) { return _mm512_dpbusd_epi32(sum, w, q); }

#define OPAQUE(x) __asm__ volatile("" : "+v"(x))
#define PROBE_CHAINS 12
#define MATMUL_TOKENS 4
#define MATMUL_TILES 3
#define ATTENTION_QUERIES 8
#define ATTENTION_TILES 2
