/* Quantisation of activations, and GELU. */

/* exp(x) for x <= PHI_EXP_HIGH; reference.c has the plain form. */
PHI_INLINE vf vf_exp(vf x) {
    vi n = vf_round(vf_mul(x, vf_set(PHI_EXP_LOG2E)));
    vf whole = vf_of(n);
    vf r = vf_fma(whole, vf_set(-PHI_EXP_LN2_HIGH), x);
    r = vf_fma(whole, vf_set(-PHI_EXP_LN2_LOW), r);
    vf p = vf_set(PHI_EXP_C0);
    p = vf_fma(p, r, vf_set(PHI_EXP_C1));
    p = vf_fma(p, r, vf_set(PHI_EXP_C2));
    p = vf_fma(p, r, vf_set(PHI_EXP_C3));
    p = vf_fma(p, r, vf_set(PHI_EXP_C4));
    p = vf_fma(p, r, vf_set(PHI_EXP_C5));
    p = vf_add(vf_fma(p, vf_mul(r, r), r), vf_set(1.0f));
    return vf_where_less(x, vf_set(PHI_EXP_LOW), vf_set(0), vf_times_power(p, n));
}

/* 2^x for x <= 0; reference.c has the plain form. */
PHI_INLINE vf vf_exp2(vf x) {
    vi n = vf_round(x);
    vf r = vf_sub(x, vf_of(n)), p = vf_set(PHI_EXP2_C0);
    p = vf_fma(p, r, vf_set(PHI_EXP2_C1));
    p = vf_fma(p, r, vf_set(PHI_EXP2_C2));
    p = vf_fma(p, r, vf_set(PHI_EXP2_C3));
    p = vf_fma(p, r, vf_set(PHI_EXP2_C4));
    p = vf_fma(p, r, vf_set(PHI_EXP2_C5));
    p = vf_fma(p, r, vf_set(1.0f));
    return vf_where_less(x, vf_set(PHI_EXP2_LOW), vf_set(0), vf_times_power(p, n));
}

/* Quantises a block of a token, `strips` strips, which q has n times 64 bytes apart. Returns the integers' sum; writes those of groups,
 * times -code_zero_point, to group_zero_corrections unless it is null. */
PHI_INLINE int32_t quantise_block(const float *x, size_t strips, int8_t *q, size_t n, float *scale, int32_t code_zero_point,
                                  uint32_t *group_zero_corrections) {
    vf largest[4] = {vf_set(0), vf_set(0), vf_set(0), vf_set(0)};
    for (size_t i = 0; i < strips * PHI_STRIP_COLUMNS; i += 64)
        for (size_t j = 0; j < 4; j++) largest[j] = vf_max(vf_abs(vf_load(x + i + 16 * j)), largest[j]);
    largest[0] = vf_max(vf_max(largest[0], largest[1]), vf_max(largest[2], largest[3]));
    vf inverse = vf_set(phi_quantise_by(vf_lane_max(largest[0]), scale));
    vi sum = vi_set(0);
    for (size_t s = 0; s < strips; s++, x += PHI_STRIP_COLUMNS, q += n * PHI_STRIP_COLUMNS) {
        for (size_t j = 0; j < 4; j++) {
            vi sixteen = vf_round(vf_mul(vf_load(x + 16 * j), inverse));
            vi_store_bytes(q + 16 * j, sixteen);
            sum = vi_add(sum, sixteen);
            if (group_zero_corrections)
                group_zero_corrections[j] = (uint32_t)(-code_zero_point * vi_lane_sum(sixteen)) & 0xffff;
        }
        if (group_zero_corrections) group_zero_corrections += 4 * n;
    }
    return vi_lane_sum(sum);
}

static void quantise(const void *raw, size_t begin, size_t end) {
    const phi_quantise_args *a = raw;
    size_t blocks = phi_blocks(a->width);
    for (size_t number = begin; number < end; number++) {
        phi_quantise_item item = phi_quantise_item_at(a, number);
        size_t first = item.first, n = item.tokens;
        for (size_t b = item.block; b < item.block_end; b++)
            for (size_t t = 0; t < n; t++) {
                size_t at = first * blocks + b * n + t, column = b * PHI_BLOCK_COLUMNS;
                const float *x = a->x + (first + t) * a->x_stride + column;
                int8_t *q = a->q + first * a->width + column * n + t * PHI_STRIP_COLUMNS;
                uint32_t *group_zero_corrections = a->tokens > PHI_GEMV_TOKENS
                                                       ? NULL
                                                       : a->group_zero_corrections +
                                                             (column * n + t * PHI_STRIP_COLUMNS) / PHI_GROUP;
                size_t strips = phi_block_strips(a->width, b);
                a->zero_corrections[at] = -a->zero_point * quantise_block(x, strips, q, n, a->scales + at, a->code_zero_point,
                                                                          group_zero_corrections);
            }
    }
}

/* Quantises a group of a query for the 8-bit cache; returns the integers' sum. */
PHI_INLINE int32_t quantise_group(const float *x, int8_t bytes[PHI_CACHE_GROUP], float *scale) {
    vf x0 = vf_load(x), x1 = vf_load(x + 16);
    vf largest = vf_max(vf_abs(x0), vf_max(vf_abs(x1), vf_set(0.0f))); /* of those that are numbers */
    vf inverse = vf_set(phi_quantise_by(vf_lane_max(largest), scale));
    vi q0 = vf_round(vf_mul(x0, inverse)), q1 = vf_round(vf_mul(x1, inverse));
    vi_store_bytes(bytes, q0);
    vi_store_bytes(bytes + 16, q1);
    return vi_lane_sum(vi_add(q0, q1));
}

PHI_INLINE vf vf_gelu(vf x) {
    vf cube = vf_mul(vf_mul(x, x), x);
    vf u = vf_mul(vf_set(PHI_GELU_FACTOR), vf_fma(vf_set(PHI_GELU_CUBE), cube, x));
    return vf_div(x, vf_add(vf_set(1.0f), vf_exp(vf_min(u, vf_set(PHI_EXP_HIGH)))));
}

static void gelu(const void *raw, size_t begin, size_t end) {
    const phi_gelu_args *a = raw;
    size_t chunks = (a->columns + PHI_GELU_CHUNK - 1) / PHI_GELU_CHUNK;
    for (size_t item = begin; item < end; item++) {
        size_t t = item / chunks, i = item % chunks * PHI_GELU_CHUNK;
        size_t last = phi_min(i + PHI_GELU_CHUNK, a->columns);
        const float *x = a->x + t * a->x_stride;
        float *out = a->out + t * a->out_stride;
        for (; i + 16 <= last; i += 16) vf_store(out + i, vf_gelu(vf_load(x + i)));
        if (i < last) {
            float tail[16] = {0};
            memcpy(tail, x + i, (last - i) * sizeof *x);
            vf_store(tail, vf_gelu(vf_load(tail)));
            memcpy(out + i, tail, (last - i) * sizeof *x);
        }
    }
}
