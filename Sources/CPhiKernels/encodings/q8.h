/* q8: an integer of -127 to 127 for each weight, times the scale of its block. A strip has the integers of 16 rows by 4 columns in
 * 64 bytes, row after row, then those of the next 4 columns, each as a byte with the zero point added. */
#ifndef PHI_ENCODING_Q8_H
#define PHI_ENCODING_Q8_H

PHI_INLINE uint32_t phi_stored_q8(const uint8_t *strip, size_t i, size_t k) { return strip[64 * (k / 4) + 4 * i + k % 4]; }

PHI_INLINE float phi_weight_q8(const uint8_t *strip, size_t i, size_t k) {
    return (float)((int)phi_stored_q8(strip, i, k) - phi_q8.zero_point);
}

PHI_INLINE void phi_put_q8(uint8_t *strip, size_t i, size_t k, int integer) {
    strip[64 * (k / 4) + 4 * i + k % 4] = (uint8_t)(integer + phi_q8.zero_point);
}

PHI_INLINE const char *phi_fault_q8(const uint8_t *strip, size_t rows, size_t columns) {
    if (!phi_padding_is_zero(strip, rows, columns, phi_stored_q8)) return PHI_FAULT_PADDING;
    bool zero = false;
    for (size_t k = 0; k < columns; k++)
        for (size_t i = 0; i < rows; i++) zero |= phi_stored_q8(strip, i, k) == 0;
    return zero ? "has a q8 code of 0" : NULL;
}
#endif

#if defined(PHI_REFERENCE)
static float scale_q8(const row_block *b, code_grid nearest_code) {
    (void)nearest_code;
    return half_of(fabsf(largest_of(b->targets, b->count)) / 127.0f);
}

static float factor_q8(const row_block *b, size_t k, size_t end, float scale, code_grid nearest_code) {
    (void)b, (void)k, (void)end, (void)scale, (void)nearest_code;
    return 1;
}

static void put_q8(uint8_t *strip, size_t i, size_t k, int factor, int integer) {
    (void)factor;
    phi_put_q8(strip, i, k, integer);
}

static float code_q8(float x) { return nearest(x, -127, 127); }

static void round_q8(const feedback *f, row_block *b, uint8_t *strips, size_t i, float *stored) {
    round_block(f, b, strips, i, stored, &(rounding){&phi_q8, scale_q8, factor_q8, code_q8, put_q8});
}
#elif defined(PHI_VECTOR)

/* ---- Products ---- */

/* Dots of one or two tokens in two sums each, so that one need not wait for the other. */
PHI_INLINE void gemv_strip_q8(vp *dots, const uint8_t *strip, const int part, const int8_t *q,
                              const uint32_t *group_zero_corrections, const int tokens) {
    (void)group_zero_corrections;
    vp more[2] = {vp_set(0), vp_set(0)};
    _Pragma("clang loop unroll(full)") for (int j = 0; j < 16; j++) {
        if (part == 0) prefetch(strip + 64 * j, 64);
        vp weights = vp_load_u8(strip + 64 * j, part);
        EACH_TOKEN {
            vp *dot = tokens <= 2 && j % 2 ? more : dots;
            dot[t] = vp_dot_u8(dot[t], weights, q + t * PHI_STRIP_COLUMNS + 4 * j);
        }
    }
    if (tokens <= 2) EACH_TOKEN dots[t] = vp_add(dots[t], more[t]);
}

PHI_INLINE void unpack_strip_q8(const uint8_t *strip, uint8_t *to, const bool by_unit) {
    for (size_t j = 0; j < 16; j++) {
        vw bytes = vw_load_u8(strip + 64 * j);
#ifdef MATMUL_DOT_UNIT
        if (by_unit) bytes = vw_signed_u8(bytes);
#else
        (void)by_unit;
#endif
        vw_store(to + UNPACKED_STEP * j, bytes);
    }
}

static const integer_product product_q8 = {.encoding = &phi_q8,
                                           .gemv_start = vp_start_u8,
                                           .gemv_strip = gemv_strip_q8,
                                           .unpack_strip = unpack_strip_q8,
                                           .dot_start = vi_start_u8,
                                           .dot = vi_dot_u8};

static void matmul_q8(const void *a, size_t begin, size_t end) { matmul_integer(a, begin, end, &product_q8); }

/* ---- Rounding ---- */

PHI_INLINE vf scale_q8(const block *b, const float *importance, code_grid nearest_code) {
    (void)importance, (void)nearest_code;
    uint16_t half[PHI_TILE_ROWS];
    return as_half(vf_div(vf_abs(largest_of(b->targets, b->count)), vf_set(127.0f)), half);
}

PHI_INLINE vf factor_q8(const block *b, const float *importance, size_t k, size_t end, vf scale, code_grid nearest_code) {
    (void)b, (void)importance, (void)k, (void)end, (void)scale, (void)nearest_code;
    return vf_set(1.0f);
}

PHI_INLINE vf code_q8(vf x) { return nearest(x, -127, 127); }

static void round_q8(const phi_encode_args *a, float *differences, block *b) {
    round_block(a, differences, b, scale_q8, factor_q8, code_q8);
}

static void place_q8(const block *b, uint8_t *strip, size_t i, size_t k, size_t c) { phi_put_q8(strip, i, k, b->codes[c][i]); }

static void encode_q8(const void *a, size_t begin, size_t end) { encode(a, begin, end, &phi_q8, round_q8, place_q8); }
#endif
