/* Quantising activations, and GELU. */

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

/* 32 activations as integers; returns their sum. */
PHI_INLINE int32_t quantise_group(const float *x, int8_t bytes[PHI_GROUP], float *scale) {
    vf x0 = vf_load(x), x1 = vf_load(x + 16);
    float largest = vf_lane_max(vf_max(vf_abs(x0), vf_abs(x1)));
    bool zero = largest < PHI_QUANTISE_LEAST;
    vf inverse = vf_set(zero ? 0 : 127.0f / largest);
    vi q0 = vf_round(vf_mul(x0, inverse)), q1 = vf_round(vf_mul(x1, inverse));
    vi_store_bytes(bytes, q0);
    vi_store_bytes(bytes + 16, q1);
    *scale = zero ? 0 : largest / 127.0f;
    return vi_lane_sum(vi_add(q0, q1));
}

static void quantise(const void *raw, size_t begin, size_t end) {
    const phi_quantise_args *a = raw;
    size_t groups = a->width / PHI_GROUP;
    for (size_t number = begin; number < end; number++) {
        phi_quantise_item item = phi_quantise_item_at(a, number);
        size_t first = item.first, n = item.tokens;
        int8_t *q = a->q + first * a->width;
        for (size_t g = item.group; g < item.group_end; g++)
            for (size_t t = 0; t < n; t++) {
                size_t at = first * groups + g * n + t;
                const float *x = a->x + (first + t) * a->x_stride + g * PHI_GROUP;
                int32_t sum = quantise_group(x, q + (g * n + t) * PHI_GROUP, a->scales + at);
                a->starts[at] = -a->zero * sum;
            }
    }
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
        size_t last = i + PHI_GELU_CHUNK < a->columns ? i + PHI_GELU_CHUNK : a->columns;
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
