/* The vocabulary for registers of 256 bits, two for sixteen lanes, all but the dots: avx2.c and avxvnni.c share it. Included inside
 * their target regions. */
typedef struct {
    __m256 a, b;
} vf;
typedef struct {
    __m256i a, b;
} vi;
typedef vi vw;
typedef __m256i vq;
typedef __m256i vp;
#define PARTS 2
#define PART_ROWS 8
typedef struct {
    vp codes[4], factors;
} vp_group;

PHI_INLINE vf vf_set(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
PHI_INLINE vf vf_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
PHI_INLINE void vf_store(float *p, vf x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
PHI_INLINE vf vf_load_half(const uint16_t *p) {
    return (vf){_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)), _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 8)))};
}
PHI_INLINE vf vf_load_bytes(const int8_t *p) {
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p))),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(p + 8))))};
}
PHI_INLINE void vf_store_half(uint16_t *p, vf x) {
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph(x.a, 0));
    _mm_storeu_si128((void *)(p + 8), _mm256_cvtps_ph(x.b, 0));
}
PHI_INLINE vf vf_add(vf x, vf y) { return (vf){_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
PHI_INLINE vf vf_sub(vf x, vf y) { return (vf){_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
PHI_INLINE vf vf_mul(vf x, vf y) { return (vf){_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
PHI_INLINE vf vf_div(vf x, vf y) { return (vf){_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
PHI_INLINE vf vf_fma(vf x, vf y, vf z) { return (vf){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
PHI_INLINE vf vf_max(vf x, vf y) { return (vf){_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
PHI_INLINE vf vf_min(vf x, vf y) { return (vf){_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
PHI_INLINE vf vf_abs(vf x) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
PHI_INLINE vf vf_lanes(void) {
    return (vf){_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_ps(8, 9, 10, 11, 12, 13, 14, 15)};
}
PHI_INLINE vf vf_where_less(vf p, vf q, vf x, vf y) {
    return (vf){_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(p.a, q.a, _CMP_LT_OQ)),
                _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(p.b, q.b, _CMP_LT_OQ))};
}
PHI_INLINE float vf_lane_max(vf x) {
    __m256 eight = _mm256_max_ps(x.a, x.b);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
PHI_INLINE float vf_lane_sum(vf x) {
    __m256 eight = _mm256_add_ps(x.a, x.b);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

PHI_INLINE vi vi_set(int32_t x) { return (vi){_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
PHI_INLINE vi vi_add(vi x, vi y) { return (vi){_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
PHI_INLINE int32_t vi_lane_sum(vi x) {
    __m256i eight = _mm256_add_epi32(x.a, x.b);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
PHI_INLINE void vi_store_bytes(int8_t *p, vi x) {
    const __m256i low = _mm256_set1_epi32(255);
    __m256i words = _mm256_packus_epi32(_mm256_and_si256(x.a, low), _mm256_and_si256(x.b, low));
    words = _mm256_permute4x64_epi64(words, 0xd8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((void *)p, bytes);
}
PHI_INLINE vf vf_of(vi x) { return (vf){_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
PHI_INLINE vi vf_round(vf x) { return (vi){_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
PHI_INLINE vf vf_times_power(vf p, vi n) {
    return (vf){_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p.a), _mm256_slli_epi32(n.a, 23))),
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p.b), _mm256_slli_epi32(n.b, 23)))};
}

PHI_INLINE vq vq_load(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, 4);
    return _mm256_set1_epi32(four);
}
PHI_INLINE vw vw_load(const uint8_t *p) {
    return (vw){_mm256_load_si256((const void *)p), _mm256_load_si256((const void *)(p + 32))};
}
PHI_INLINE void vw_store(uint8_t *p, vw w) {
    _mm256_store_si256((void *)p, w.a);
    _mm256_store_si256((void *)(p + 32), w.b);
}
PHI_INLINE vw vw_load_u7(const int8_t *p) {
    const __m256i zero = _mm256_set1_epi8(64);
    return (vw){_mm256_add_epi8(_mm256_loadu_si256((const void *)p), zero),
                _mm256_add_epi8(_mm256_loadu_si256((const void *)(p + 32)), zero)};
}
PHI_INLINE vi vi_start_u7(int32_t start) { return vi_set(start); }
PHI_INLINE void vw_load_nibbles(const uint8_t *p, vw *low, vw *high) {
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i a = _mm256_loadu_si256((const void *)p), b = _mm256_loadu_si256((const void *)(p + 32));
    *low = (vw){_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)};
    *high = (vw){_mm256_and_si256(_mm256_srli_epi16(a, 4), mask), _mm256_and_si256(_mm256_srli_epi16(b, 4), mask)};
}

PHI_INLINE vi vi_load(const int32_t *p) {
    return (vi){_mm256_load_si256((const void *)p), _mm256_load_si256((const void *)(p + 8))};
}
PHI_INLINE vp vp_set(int32_t x) { return _mm256_set1_epi32(x); }
PHI_INLINE vp vp_add(vp x, vp y) { return _mm256_add_epi32(x, y); }
PHI_INLINE void vp_store(int32_t *p, int part, vp x) { _mm256_store_si256((void *)(p + PART_ROWS * part), x); }
PHI_INLINE vp vp_load(const uint8_t *p, int part) { return _mm256_loadu_si256((const void *)(p + 4 * PART_ROWS * part)); }
PHI_INLINE vp vp_or(vp x, vp y) { return _mm256_or_si256(x, y); }
PHI_INLINE vp vp_shift_right(vp x, int bits) { return bits < 0 ? _mm256_slli_epi16(x, -bits) : _mm256_srli_epi16(x, bits); }
PHI_INLINE vp vp_merge(vp lower, vp third) {
    return _mm256_or_si256(_mm256_and_si256(lower, _mm256_set1_epi8(3)), _mm256_and_si256(third, _mm256_set1_epi8(4)));
}
PHI_INLINE vp vp_table(const uint8_t bytes[16]) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)bytes)); }
PHI_INLINE vp vp_look_up(vp table, vp numbers) { return _mm256_shuffle_epi8(table, numbers); }
PHI_INLINE __m256i load_factors(const uint8_t *strip, int part) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(strip + 16 * part)));
}
PHI_INLINE void vp_load_codes(const uint8_t *strip, int part, int g, vp codes[4], const int tokens) {
    (void)tokens;
    const __m256i mask = _mm256_set1_epi8(15);
    strip += PHI_Q4_FACTOR_BYTES + 128 * g + 32 * part;
    for (int j = 0; j < 4; j += 2) {
        __m256i pairs = _mm256_loadu_si256((const void *)(strip + 32 * j));
        codes[j] = _mm256_and_si256(pairs, mask);
        codes[j + 1] = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), mask);
    }
}

/* As in zmm.h. */
PHI_INLINE __m256i by_sixteen(int8_t a, int8_t b, int8_t c, int8_t d, int8_t e, int8_t f, int8_t g, int8_t h, int8_t i,
                              int8_t j, int8_t k, int8_t l, int8_t m, int8_t n, int8_t o, int8_t p) {
    return _mm256_broadcastsi128_si256(_mm_setr_epi8(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p));
}
PHI_INLINE void unpack_half(const uint8_t *strip, __m256i factors, uint8_t *to, size_t step) {
    const __m256i low_four = _mm256_set1_epi8(15), even = _mm256_set1_epi16(255);
    const __m256i sizes = by_sixteen(0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3, 2, 1);
    const __m256i turns = by_sixteen(0, 0, 0, 0, 0, 0, 0, 0, 15, 15, 15, 15, 15, 15, 15, 15);
    const __m256i offsets = by_sixteen(64, 56, 48, 40, 32, 24, 16, 8, 8, 15, 22, 29, 36, 43, 50, 57);
    for (int g = 0; g < 4; g++) {
        __m256i pair = _mm256_shuffle_epi8(factors, g < 2 ? by_sixteen(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12)
                                                          : by_sixteen(1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13));
        __m256i factor = _mm256_and_si256(g % 2 ? _mm256_srli_epi16(pair, 4) : pair, low_four);
        __m256i size = _mm256_and_si256(_mm256_shuffle_epi8(sizes, factor), even);
        __m256i turn = _mm256_shuffle_epi8(turns, factor), offset = _mm256_shuffle_epi8(offsets, factor);
        for (int j = 0; j < 4; j++, to += step) {
            __m256i codes = _mm256_loadu_si256((const void *)(strip + 64 * (2 * g + j / 2)));
            if (j % 2) codes = _mm256_srli_epi16(codes, 4);
            codes = _mm256_xor_si256(_mm256_and_si256(codes, low_four), turn);
            _mm256_store_si256((void *)to, _mm256_add_epi8(_mm256_mullo_epi16(codes, size), offset));
        }
    }
}
PHI_INLINE void unpack_q4(const uint8_t *strip, uint8_t *to, size_t step, const bool is_signed) {
    (void)is_signed;
    for (int part = 0; part < PARTS; part++)
        unpack_half(strip + PHI_Q4_FACTOR_BYTES + 32 * part, load_factors(strip, part), to + 32 * part, step);
}

#define OPAQUE(x) __asm__ volatile("" : "+v"(x) : : "memory")
#define PROBE_CHAINS 6
#define MATMUL_TOKENS 4
#define MATMUL_TILES 1
#define ATTENTION_QUERIES 4
#define ATTENTION_TILES 1
