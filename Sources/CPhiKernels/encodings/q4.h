/* q4: a code of -8 to 7 for each weight, times the factor of -8 to 7 of its group of 16 columns, times the scale of its block. A strip
 * has first, for each of 16 rows, four factors of 4 bits, then the codes of 16 rows by 8 columns in 64 bytes, those of columns 4 to 7
 * in the upper halves, each with the codes' zero point added. */
#ifndef PHI_ENCODING_Q4_H
#define PHI_ENCODING_Q4_H

enum { PHI_Q4_FACTOR_BYTES = 32 }; /* of a strip, before its codes */

/* The search for scales: candidates map a block's largest weight to 64 times each of these, and for each candidate a group tries the
 * factors around the one that suits its own largest weight. The least squared error wins, the first of equals. */
#define PHI_Q4_SCALES 5
#define PHI_Q4_SCALE_FACTOR(step) (0.84f + 0.06f * (float)(step))
#define PHI_Q4_FACTORS 3

PHI_INLINE int phi_factor_q4(const uint8_t *strip, size_t i, size_t k) {
    uint16_t four;
    memcpy(&four, strip + 2 * i, 2);
    return ((four >> k / PHI_GROUP * 4 & 15) ^ 8) - 8;
}

PHI_INLINE uint32_t phi_stored_q4(const uint8_t *strip, size_t i, size_t k) {
    uint8_t pair = strip[PHI_Q4_FACTOR_BYTES + 64 * (k / 8) + 4 * i + k % 4];
    return k / 4 % 2 ? pair >> 4 : pair & 15;
}

PHI_INLINE float phi_weight_q4(const uint8_t *strip, size_t i, size_t k) {
    return (float)(phi_factor_q4(strip, i, k) * ((int)phi_stored_q4(strip, i, k) - phi_q4.code_zero_point));
}

/* Stores a group's factor, with its first column, in a strip of zeros. */
PHI_INLINE void phi_put_factor_q4(uint8_t *strip, size_t i, size_t k, int factor) {
    if (k % PHI_GROUP == 0) strip[2 * i + k / 32] |= (uint8_t)((factor & 15) << k / PHI_GROUP % 2 * 4);
}

/* Stores a code and its group's factor. */
PHI_INLINE void phi_put_q4(uint8_t *strip, size_t i, size_t k, int factor, int code) {
    phi_put_factor_q4(strip, i, k, factor);
    strip[PHI_Q4_FACTOR_BYTES + 64 * (k / 8) + 4 * i + k % 4] |= (uint8_t)((code + phi_q4.code_zero_point) << k / 4 % 2 * 4);
}

PHI_INLINE const char *phi_factor_fault_q4(const uint8_t *strip, size_t rows, size_t columns) {
    for (size_t i = 0; i < PHI_TILE_ROWS; i++)
        for (size_t k = i < rows ? (columns + PHI_GROUP - 1) / PHI_GROUP * PHI_GROUP : 0; k < PHI_STRIP_COLUMNS; k += PHI_GROUP)
            if (phi_factor_q4(strip, i, k)) return "has a padding factor that is not zero";
    return NULL;
}

PHI_INLINE const char *phi_fault_q4(const uint8_t *strip, size_t rows, size_t columns) {
    const char *fault = phi_factor_fault_q4(strip, rows, columns);
    return fault ? fault : phi_padding_is_zero(strip, rows, columns, phi_stored_q4) ? NULL : PHI_FAULT_PADDING;
}
#endif

#if defined(PHI_REFERENCE)
static float square_of(const row_block *b, size_t k, size_t end) {
    float square = 0;
    for (; k < end; k++)
        square = fused(b->importance ? b->importance[k] * b->targets[k] : b->targets[k], b->targets[k], square);
    return square;
}

/* A group's factor, and sums over its columns of importance * target * level and importance * level^2. */
typedef struct {
    float factor, product, power;
} choice;

static choice choose_factor(const row_block *b, size_t k, size_t end, float square, float scale, code_grid nearest_code) {
    float reach = largest_of(b->targets + k, end - k) * inverse_of(scale), best_error = square;
    choice best = {0};
    for (int side = 0; side < 2; side++) {
        float middle = nearest(reach * (side ? 1.0f / 7 : -1.0f / 8), -8, 7);
        for (int step = 0; step < PHI_Q4_FACTORS; step++) {
            choice c = {.factor = within(middle + (float)(step - PHI_Q4_FACTORS / 2), -8, 7)};
            float inverse = inverse_of(scale * c.factor);
            for (size_t j = k; j < end; j++) {
                float level = c.factor * nearest_code(b->targets[j] * inverse);
                float heavy = b->importance ? b->importance[j] * level : level;
                c.product = fused(heavy, b->targets[j], c.product);
                c.power = fused(heavy, level, c.power);
            }
            float error = fused(scale, fused(scale, c.power, -2 * c.product), square);
            if (error < best_error) {
                best_error = error;
                best = c;
            }
        }
    }
    return best;
}

static float scale_q4(const row_block *b, code_grid nearest_code) {
    float largest = largest_of(b->targets, b->count), square = 0, best_error = INFINITY, best = 0;
    for (size_t k = 0; k < b->count; k += PHI_GROUP) square += square_of(b, k, phi_group_end(b->count, k));
    for (int step = 0; step < PHI_Q4_SCALES; step++) {
        float scale = half_of(largest / (64 * PHI_Q4_SCALE_FACTOR(step))), product = 0, power = 0;
        for (size_t k = 0; k < b->count; k += PHI_GROUP) {
            size_t end = phi_group_end(b->count, k);
            choice c = choose_factor(b, k, end, square_of(b, k, end), scale, nearest_code);
            product += c.product;
            power += c.power;
        }
        scale = half_of(power > 0 ? product / power : 0);
        float error = fused(scale, fused(scale, power, -2 * product), square);
        if (error < best_error) {
            best_error = error;
            best = scale;
        }
    }
    return best;
}

static float code_q4(float x) { return nearest(x, -8, 7); }
static float factor_q4(const row_block *b, size_t k, size_t end, float scale, code_grid nearest_code) {
    return choose_factor(b, k, end, square_of(b, k, end), scale, nearest_code).factor;
}

static void round_q4(const feedback *f, row_block *b, uint8_t *strips, size_t i, float *stored) {
    round_block(f, b, strips, i, stored, &(rounding){&phi_q4, scale_q4, factor_q4, code_q4, phi_put_q4});
}
#elif defined(PHI_VECTOR)

/* ---- Products ---- */

PHI_INLINE vp_group load_group_q4(const uint8_t *strip, const int part, const int g, const int tokens) {
    vp_group w = {.factors = vp_load_factors(strip, part, g)};
    vp_load_codes(strip, part, g, w.codes, tokens);
    return w;
}

/* Factors multiply the sums of 16 columns. */
PHI_INLINE void gemv_by_groups(vp *dots, const uint8_t *strip, const int part, const int8_t *q,
                               const uint32_t *group_zero_corrections, const int tokens, const phi_encoding *e,
                               vp_group (*load)(const uint8_t *strip, int part, int g, int tokens)) {
    _Pragma("clang loop unroll(full)") for (int g = 0; g < 4; g++) {
        if (part == 0) prefetch_group(strip, g, e);
        vp_group w = load(strip, part, g, tokens);
        add_group(dots, &w, q + g * PHI_GROUP, group_zero_corrections + g, tokens);
    }
}

PHI_INLINE void gemv_strip_q4(vp *dots, const uint8_t *strip, const int part, const int8_t *q,
                              const uint32_t *group_zero_corrections, const int tokens) {
    gemv_by_groups(dots, strip, part, q, group_zero_corrections, tokens, &phi_q4, load_group_q4);
}

PHI_INLINE vp gemv_start_q4(int32_t zero_correction) {
    (void)zero_correction; /* groups have their own */
    return vp_set(0);
}

PHI_INLINE void unpack_strip_q4(const uint8_t *strip, uint8_t *to, const bool by_unit) {
    unpack_q4(strip, to, UNPACKED_STEP, by_unit);
}

static const integer_product product_q4 = {.encoding = &phi_q4,
                                           .gemv_start = gemv_start_q4,
                                           .gemv_strip = gemv_strip_q4,
                                           .load_group = load_group_q4,
                                           .unpack_strip = unpack_strip_q4,
#ifdef MATMUL_UNPACK_TOKENS
                                           .unpack_group = vw_unpack_group,
#endif
                                           .dot_start = vi_start_u7,
                                           .dot = vi_dot_u7};

static void matmul_q4(const void *a, size_t begin, size_t end) { matmul_integer(a, begin, end, &product_q4); }

/* ---- Rounding ---- */

/* A group's factor, and sums over its columns of importance * target * level and importance * level^2. */
typedef struct {
    vf factor, product, power;
} choice;

/* The best factor for columns k ..< end, whose squares sum to `square`, with a scale. */
PHI_INLINE choice choose_factor(const block *b, const float *importance, size_t k, size_t end, vf square, vf scale,
                                code_grid nearest_code) {
    vf inverse = inverse_of(scale), reach = vf_mul(largest_of(b->targets + k, end - k), inverse);
    choice best = {vf_set(0), vf_set(0), vf_set(0)};
    vf best_error = square;
    for (int side = 0; side < 2; side++) {
        vf middle = nearest(vf_mul(reach, vf_set(side ? 1.0f / 7 : -1.0f / 8)), -8, 7);
        for (int step = 0; step < PHI_Q4_FACTORS; step++) {
            choice c = {vf_within(vf_add(middle, vf_set((float)(step - PHI_Q4_FACTORS / 2))), -8, 7), vf_set(0), vf_set(0)};
            vf inverse_both = inverse_of(vf_mul(scale, c.factor));
            for (size_t j = k; j < end; j++) {
                vf target = vf_load(b->targets[j]), level = vf_mul(c.factor, nearest_code(vf_mul(target, inverse_both)));
                vf heavy = importance ? vf_mul(vf_set(importance[j]), level) : level;
                c.product = vf_fma(heavy, target, c.product);
                c.power = vf_fma(heavy, level, c.power);
            }
            vf error = vf_fma(scale, vf_fma(scale, c.power, vf_mul(vf_set(-2), c.product)), square);
            best.factor = vf_where_less(error, best_error, c.factor, best.factor);
            best.product = vf_where_less(error, best_error, c.product, best.product);
            best.power = vf_where_less(error, best_error, c.power, best.power);
            best_error = vf_where_less(error, best_error, error, best_error);
        }
    }
    return best;
}

PHI_INLINE vf square_of(const block *b, const float *importance, size_t k, size_t end) {
    vf square = vf_set(0);
    for (; k < end; k++) {
        vf target = vf_load(b->targets[k]);
        square = vf_fma(importance ? vf_mul(vf_set(importance[k]), target) : target, target, square);
    }
    return square;
}

PHI_INLINE vf scale_q4(const block *b, const float *importance, code_grid nearest_code) {
    vf largest = largest_of(b->targets, b->count), squares[PHI_BLOCK_COLUMNS / PHI_GROUP], square = vf_set(0);
    for (size_t k = 0; k < b->count; k += PHI_GROUP) {
        squares[k / PHI_GROUP] = square_of(b, importance, k, phi_group_end(b->count, k));
        square = vf_add(square, squares[k / PHI_GROUP]);
    }
    vf best_error = vf_set(INFINITY), best = vf_set(0);
    for (int step = 0; step < PHI_Q4_SCALES; step++) {
        uint16_t half[PHI_TILE_ROWS];
        vf scale = as_half(vf_div(largest, vf_set(64 * PHI_Q4_SCALE_FACTOR(step))), half);
        vf product = vf_set(0), power = vf_set(0);
        for (size_t k = 0; k < b->count; k += PHI_GROUP) {
            choice c = choose_factor(b, importance, k, phi_group_end(b->count, k), squares[k / PHI_GROUP], scale, nearest_code);
            product = vf_add(product, c.product);
            power = vf_add(power, c.power);
        }
        scale = as_half(vf_where_less(vf_set(0), power, vf_div(product, power), vf_set(0)), half);
        vf error = vf_fma(scale, vf_fma(scale, power, vf_mul(vf_set(-2), product)), square);
        best = vf_where_less(error, best_error, scale, best);
        best_error = vf_where_less(error, best_error, error, best_error);
    }
    return best;
}

PHI_INLINE vf code_q4(vf x) { return nearest(x, -8, 7); }
PHI_INLINE vf factor_q4(const block *b, const float *importance, size_t k, size_t end, vf scale, code_grid nearest_code) {
    return choose_factor(b, importance, k, end, square_of(b, importance, k, end), scale, nearest_code).factor;
}

static void round_q4(const phi_encode_args *a, float *differences, block *b) {
    round_block(a, differences, b, scale_q4, factor_q4, code_q4);
}

static void place_q4(const block *b, uint8_t *strip, size_t i, size_t k, size_t c) {
    phi_put_q4(strip, i, k, b->factors[c / PHI_GROUP][i], b->codes[c][i]);
}

static void encode_q4(const void *a, size_t begin, size_t end) { encode(a, begin, end, &phi_q4, round_q4, place_q4); }
#endif
