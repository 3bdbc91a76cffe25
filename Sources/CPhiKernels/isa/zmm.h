/* The vocabulary for AVX-512 with VNNI, which avx512.c and amx.c share: sixteen lanes are one register. Included inside their target
 * regions. */

typedef __m512 vf;
typedef __m512i vi;
typedef __m512i vw;
typedef __m512i vq;
typedef __m512i vp;
#define PARTS 1
#define PART_ROWS 16
typedef struct {
    vp codes[4], factors;
} vp_group;

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
PHI_INLINE vf vf_where_less(vf a, vf b, vf x, vf y) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x); }
PHI_INLINE float vf_lane_max(vf a) { return _mm512_reduce_max_ps(a); }
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
PHI_INLINE vf vf_times_power(vf p, vi n) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(n, 23)));
}

#define VALUE_VECTORS 1
typedef uint8_t vweight;
PHI_INLINE void vi_store_weights(vweight *p, vi x) { _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(x)); }
/* Four positions side by side for each dimension. */
PHI_INLINE void vw_load_values(const int8_t *p, size_t stride, vw values[VALUE_VECTORS]) {
    __m512i x[4];
    for (int i = 0; i < 4; i++) {
        x[i] = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(p + (size_t)i * stride)));
        x[i] = _mm512_slli_epi32(x[i], 8 * (unsigned)i);
    }
    values[0] = _mm512_or_si512(_mm512_or_si512(x[0], x[1]), _mm512_or_si512(x[2], x[3]));
}
PHI_INLINE vi vi_weigh(vi sum, const vw values[VALUE_VECTORS], const vweight weights[4]) {
    int32_t four;
    memcpy(&four, weights, 4);
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(four), values[0]);
}

PHI_INLINE vq vq_load(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, 4);
    return _mm512_set1_epi32(four);
}
PHI_INLINE vw vw_load(const uint8_t *p) { return _mm512_load_si512(p); }
PHI_INLINE void vw_store(uint8_t *p, vw w) { _mm512_store_si512(p, w); }
PHI_INLINE vw vw_load_u8(const uint8_t *p) { return _mm512_loadu_si512(p); }
PHI_INLINE vi vi_start_u8(int32_t start) { return _mm512_set1_epi32(start); }
PHI_INLINE vi vi_dot_u8(vi sum, vw w, vq q) { return _mm512_dpbusd_epi32(sum, w, q); }
PHI_INLINE vw vw_load_u7(const int8_t *p) { return _mm512_add_epi8(_mm512_loadu_si512(p), _mm512_set1_epi8(64)); }
PHI_INLINE vi vi_start_u7(int32_t start) { return _mm512_set1_epi32(start); }
PHI_INLINE vi vi_dot_u7(vi sum, vw w, vq q) { return _mm512_dpbusd_epi32(sum, w, q); }

/* 64 bytes of codes, low and high four bits. */
PHI_INLINE void split_codes(__m512i codes, vw *low, vw *high) {
    const __m512i mask = _mm512_set1_epi8(15);
    *low = _mm512_and_si512(codes, mask);
#ifdef HIGH_CODES_BY_GFNI
    /* The upper four bits of a byte to the lower four, one instruction instead of two. */
    *high = _mm512_gf2p8affine_epi64_epi8(codes, _mm512_set1_epi64(0x1020408000000000), 0);
#else
    *high = _mm512_and_si512(_mm512_srli_epi16(codes, 4), mask);
#endif
}
PHI_INLINE void vw_load_nibbles(const uint8_t *p, vw *low, vw *high) { split_codes(_mm512_loadu_si512(p), low, high); }

PHI_INLINE vi vi_load(const int32_t *p) { return _mm512_load_si512(p); }
PHI_INLINE vp vp_set(int32_t x) { return _mm512_set1_epi32(x); }
PHI_INLINE vp vp_add(vp x, vp y) { return _mm512_add_epi32(x, y); }
PHI_INLINE void vp_store(int32_t *p, int part, vp x) { _mm512_store_si512(p + PART_ROWS * part, x); }
PHI_INLINE vp vp_load(const uint8_t *p, int part) { return _mm512_loadu_si512(p + 4 * PART_ROWS * part); }
PHI_INLINE vp vp_or(vp x, vp y) { return _mm512_or_si512(x, y); }
PHI_INLINE vp vp_shift_right(vp x, int bits) {
    return bits < 0 ? _mm512_slli_epi16(x, (unsigned)-bits) : _mm512_srli_epi16(x, (unsigned)bits);
}
PHI_INLINE vp vp_merge(vp lower, vp third) {
    const __m512i two = _mm512_set1_epi8(3), one = _mm512_set1_epi8(4);
    return _mm512_ternarylogic_epi32(_mm512_and_si512(lower, two), third, one, 0xf8); /* a | b & c */
}
PHI_INLINE vp vp_table(const uint8_t bytes[16]) { return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)bytes)); }
PHI_INLINE vp vp_look_up(vp table, vp numbers) { return _mm512_shuffle_epi8(table, numbers); }
PHI_INLINE vp vp_start_u8(int32_t start) { return _mm512_set1_epi32(start); }
PHI_INLINE vp vp_load_u8(const uint8_t *p, int part) { return _mm512_loadu_si512(p + 4 * PART_ROWS * part); }
PHI_INLINE vp vp_dot_u8(vp sum, vp w, const int8_t *q) { return _mm512_dpbusd_epi32(sum, w, vq_load(q)); }
PHI_INLINE __m512i load_factors(const uint8_t *strip) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)strip)); }
PHI_INLINE vp vp_load_factors(const uint8_t *strip, int part, int g) {
    (void)part;
    return _mm512_srai_epi16(_mm512_slli_epi16(load_factors(strip), (unsigned)(12 - 4 * g)), 12);
}
/* Codes are aligned to 32 bytes. A product of one or two tokens, which waits for the memory, is faster if no load crosses two cache
 * lines, so it loads halves. */
PHI_INLINE void vp_load_codes(const uint8_t *strip, int part, int g, vp codes[4], const int tokens) {
    (void)part;
    strip += PHI_Q4_FACTOR_BYTES + 128 * g;
    for (int j = 0; j < 4; j += 2, strip += 64) {
        __m512i both = tokens > 2 ? _mm512_loadu_si512(strip) : _mm512_castsi256_si512(_mm256_loadu_si256((const void *)strip));
        /* The compiler would make one load of two. */
        if (tokens <= 2)
            __asm__("vinserti64x4 $1, %1, %0, %0" : "+v"(both) : "m"(*(const __m256i_u *)(const void *)(strip + 32)));
        split_codes(both, &codes[j], &codes[j + 1]);
    }
}
PHI_INLINE vp vp_accumulate_group(vp sum, const vp_group *w, const int8_t *q, uint32_t start) {
    vp dot = _mm512_set1_epi32((int32_t)start);
    for (int j = 0; j < 4; j++) dot = _mm512_dpbusd_epi32(dot, w->codes[j], vq_load(q + 4 * j));
    return _mm512_dpwssd_epi32(sum, dot, w->factors);
}

/* The weights of group g of a strip with the factors `factors`: f (n - 8) = |f| (m - z) with m = n and z = 8, or with m = 15 - n
 * and z = 7 for an f below zero. |f| m has no sign and at most 120, so two of them are one product of 16 bits. */
PHI_INLINE void unpack_group(const uint8_t *strip, __m512i factors, const int g, vw weights[4], const bool is_signed) {
    const __m512i low_four = _mm512_set1_epi8(15), even = _mm512_set1_epi16(255);
    const char zero = is_signed ? 0 : (char)phi_q4.zero_point;
    /* For a factor's four bits: its magnitude, the mask that mirrors codes, and the offset -|f| z. */
    const __m512i sizes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3, 2, 1));
    const __m512i turns = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 15, 15, 15, 15, 15, 15, 15, 15));
    const __m512i offsets = _mm512_broadcast_i32x4(_mm_setr_epi8(zero, zero - 8, zero - 16, zero - 24, zero - 32, zero - 40,
                                                                 zero - 48, zero - 56, zero - 56, zero - 49, zero - 42,
                                                                 zero - 35, zero - 28, zero - 21, zero - 14, zero - 7));
    __m512i pair = _mm512_shuffle_epi8(
        factors, g < 2 ? _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12))
                       : _mm512_broadcast_i32x4(_mm_setr_epi8(1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13)));
    __m512i factor = _mm512_and_si512(g % 2 ? _mm512_srli_epi16(pair, 4) : pair, low_four);
    __m512i size = _mm512_and_si512(_mm512_shuffle_epi8(sizes, factor), even);
    __m512i turn = _mm512_shuffle_epi8(turns, factor), offset = _mm512_shuffle_epi8(offsets, factor);
    for (int j = 0; j < 4; j++) {
        __m512i codes = _mm512_loadu_si512(strip + PHI_Q4_FACTOR_BYTES + 64 * (2 * g + j / 2));
        if (j % 2) codes = _mm512_srli_epi16(codes, 4);
        codes = _mm512_ternarylogic_epi32(codes, low_four, turn, 0x6a); /* (codes & low_four) ^ turn */
        weights[j] = _mm512_add_epi8(_mm512_mullo_epi16(codes, size), offset);
    }
}
PHI_INLINE void unpack_q4(const uint8_t *strip, uint8_t *to, size_t step, const bool is_signed) {
    __m512i factors = load_factors(strip);
    for (int g = 0; g < 4; g++) {
        vw weights[4];
        unpack_group(strip, factors, g, weights, is_signed);
        for (int j = 0; j < 4; j++, to += step) vw_store(to, weights[j]);
    }
}

#ifdef MATMUL_UNPACK_TOKENS
PHI_INLINE vw vw_strip_factors(const uint8_t *strip) { return load_factors(strip); }
PHI_INLINE void vw_unpack_group(const uint8_t *strip, vw factors, int g, vw weights[4]) {
    unpack_group(strip, factors, g, weights, false);
}
#endif

#define OPAQUE(x) __asm__ volatile("" : "+v"(x) : : "memory")
#define PROBE_CHAINS 12
#define MATMUL_TOKENS 4
#define MATMUL_TILES 3
#define ATTENTION_QUERIES 8
#define ATTENTION_TILES 2
