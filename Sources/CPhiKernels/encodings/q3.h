/* q3: q4 with eight of its sixteen codes, stored as numbers of 3 bits. A strip has first the factors as in q4, then for each two groups
 * of 16 columns, three times 64 bytes, four of each of 16 rows: the lower two bits of the first group's numbers, those of the second's,
 * and the third bits of both. Bits 2 j and 2 j + 1 of byte k are of column 4 j + k of a group; so are bit j, of the first, and bit
 * j + 4, of the second, in the third bits. */
#ifndef PHI_ENCODING_Q3_H
#define PHI_ENCODING_Q3_H

/* The codes, and the boundaries between them. Of all sets of eight these round Gaussian weights with the least squared error. */
static const int8_t phi_q3_codes[8] = {-8, -5, -3, -1, 0, 2, 4, 7};
static const float phi_q3_bounds[7] = {-6.5f, -4, -2, -0.5f, 1, 3, 5.5f};
/* q4's codes for numbers, in the form that a look-up in registers takes. */
static const uint8_t phi_q3_stored[16] = {0, 3, 5, 7, 8, 10, 12, 15};

PHI_INLINE size_t phi_lower_q3(size_t i, size_t k) { return PHI_Q4_FACTOR_BYTES + 64 * (k / 16 + k / 32) + 4 * i + k % 4; }
PHI_INLINE size_t phi_third_q3(size_t i, size_t k) { return PHI_Q4_FACTOR_BYTES + 192 * (k / 32) + 128 + 4 * i + k % 4; }

PHI_INLINE uint32_t phi_stored_q3(const uint8_t *strip, size_t i, size_t k) {
    uint32_t lower = strip[phi_lower_q3(i, k)] >> k % 16 / 4 * 2 & 3, third = strip[phi_third_q3(i, k)] >> k % 32 / 4 & 1;
    return lower | third << 2;
}

PHI_INLINE float phi_weight_q3(const uint8_t *strip, size_t i, size_t k) {
    return (float)(phi_factor_q4(strip, i, k) * phi_q3_codes[phi_stored_q3(strip, i, k)]);
}

PHI_INLINE void phi_put_q3(uint8_t *strip, size_t i, size_t k, int factor, int code) {
    unsigned number = 0;
    while (phi_q3_codes[number] < code) number++;
    phi_put_factor_q4(strip, i, k, factor);
    strip[phi_lower_q3(i, k)] |= (uint8_t)((number & 3) << k % 16 / 4 * 2);
    strip[phi_third_q3(i, k)] |= (uint8_t)(number >> 2 << k % 32 / 4);
}

PHI_INLINE const char *phi_fault_q3(const uint8_t *strip, size_t rows, size_t columns) {
    const char *fault = phi_factor_fault_q4(strip, rows, columns);
    return fault ? fault : phi_padding_is_zero(strip, rows, columns, phi_stored_q3) ? NULL : PHI_FAULT_PADDING;
}
#endif

#if defined(PHI_REFERENCE)
static float code_q3(float x) {
    float code = phi_q3_codes[0];
    for (int i = 0; i < 7; i++) code = x < phi_q3_bounds[i] ? code : phi_q3_codes[i + 1];
    return code;
}

static void round_q3(const feedback *f, row_block *b, uint8_t *strips, size_t i, float *stored) {
    round_block(f, b, strips, i, stored, &(rounding){&phi_q3, scale_q4, factor_q4, code_q3, phi_put_q3});
}
#elif defined(PHI_VECTOR)

/* ---- Products ---- */

/* A group of q3 as one of q4. */
PHI_INLINE vp_group load_group_q3(const uint8_t *strip, const int part, const int g, const int tokens) {
    (void)tokens;
    const uint8_t *pair = strip + PHI_Q4_FACTOR_BYTES + 192 * (g / 2);
    vp lower = vp_load(pair + 64 * (g % 2), part), third = vp_load(pair + 128, part), table = vp_table(phi_q3_stored);
    vp_group w = {.factors = vp_load_factors(strip, part, g)};
    _Pragma("clang loop unroll(full)") for (int j = 0; j < 4; j++) {
        vp number = vp_merge(vp_shift_right(lower, 2 * j), vp_shift_right(third, 4 * (g % 2) + j - 2));
        w.codes[j] = vp_look_up(table, number);
    }
    return w;
}

PHI_INLINE void gemv_strip_q3(vp *dots, const uint8_t *strip, const int part, const int8_t *q,
                              const uint32_t *group_zero_corrections, const int tokens) {
    gemv_by_groups(dots, strip, part, q, group_zero_corrections, tokens, &phi_q3, load_group_q3);
}

/* A strip of q3 as one of q4. */
PHI_INLINE void widen_strip_q3(const uint8_t *strip, uint8_t *to) {
    memcpy(to, strip, PHI_Q4_FACTOR_BYTES);
    EACH_PART for (int g = 0; g < 4; g++) {
        vp_group w = load_group_q3(strip, part, g, PHI_TOKEN_BLOCK);
        for (int j = 0; j < 4; j += 2)
            vp_store((int32_t *)(void *)(to + PHI_Q4_FACTOR_BYTES + 128 * g + 32 * j), part,
                     vp_or(w.codes[j], vp_shift_right(w.codes[j + 1], -4)));
    }
}

PHI_INLINE void unpack_strip_q3(const uint8_t *strip, uint8_t *to, const bool by_unit) {
    enum { SPARE = 64 - PHI_Q4_FACTOR_BYTES }; /* so that codes are aligned */
    _Alignas(64) uint8_t space[SPARE + 544];
    widen_strip_q3(strip, space + SPARE);
    unpack_strip_q4(space + SPARE, to, by_unit);
}

static const integer_product product_q3 = {.encoding = &phi_q3,
                                           .load_group = load_group_q3,
                                           .gemv_start = gemv_start_q4,
                                           .gemv_strip = gemv_strip_q3,
                                           .unpack_strip = unpack_strip_q3,
                                           .dot_start = vi_start_u7,
                                           .dot = vi_dot_u7};

static void matmul_q3(const void *a, size_t begin, size_t end) { matmul_integer(a, begin, end, &product_q3); }

/* ---- Rounding ---- */

PHI_INLINE vf code_q3(vf x) {
    vf code = vf_set(phi_q3_codes[0]);
    for (int i = 0; i < 7; i++) code = vf_where_less(x, vf_set(phi_q3_bounds[i]), code, vf_set(phi_q3_codes[i + 1]));
    return code;
}

static void round_q3(const phi_encode_args *a, float *differences, block *b) {
    round_block(a, differences, b, scale_q4, factor_q4, code_q3);
}

static void place_q3(const block *b, uint8_t *strip, size_t i, size_t k, size_t c) {
    phi_put_q3(strip, i, k, b->factors[c / PHI_GROUP][i], b->codes[c][i]);
}

static void encode_q3(const void *a, size_t begin, size_t end) { encode(a, begin, end, &phi_q3, round_q3, place_q3); }
#endif
