/* Matrix products: one tile of 16 rows for several tokens at a time, so that weights are read and unpacked once for
 * them all. MATMUL_TOKENS is the number that the instruction set has registers for. */

PHI_INLINE void finish(const phi_matmul_args *a, size_t tile, size_t token, vf sum) {
    float *out = a->out + token * a->out_stride + tile * PHI_TILE_ROWS;
    const float *bias = a->bias + tile * PHI_TILE_ROWS;
    float last[PHI_TILE_ROWS] = {0};
    if (a->rows - tile * PHI_TILE_ROWS < PHI_TILE_ROWS) {
        memcpy(last, bias, (a->rows - tile * PHI_TILE_ROWS) * sizeof *bias);
        bias = last;
    }
    vf y = vf_add(sum, vf_load(bias));
    vf_store(out, a->accumulate ? vf_add(vf_load(out), y) : y);
}

/* Each product is written for a constant number of tokens; the compiler makes one copy for each. */
typedef void (*tile_product)(const phi_matmul_args *, size_t tile, size_t token, const int tokens);

PHI_INLINE void matmul(const phi_matmul_args *a, size_t begin, size_t end, tile_product product) {
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        for (size_t tile = item.tile; tile < item.tile_end; tile++) {
            size_t token = item.token;
            for (; token + MATMUL_TOKENS <= item.token_end; token += MATMUL_TOKENS) product(a, tile, token, MATMUL_TOKENS);
            switch (item.token_end - token) {
#if MATMUL_TOKENS > 5
            case 5: product(a, tile, token, 5); break;
            case 4: product(a, tile, token, 4); break;
#endif
            case 3: product(a, tile, token, 3); break;
            case 2: product(a, tile, token, 2); break;
            case 1: product(a, tile, token, 1); break;
            default: break;
            }
        }
    }
}

/* Weights are read once and in order: fetching this far ahead keeps a lone token at the memory's speed. */
PHI_INLINE void fetch(const uint8_t *weights, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(weights + 4096 + i, 0, 3);
}

PHI_INLINE void product_float(const phi_matmul_args *a, size_t tile, size_t token, const int tokens, const size_t size) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    const float *x = a->x + token * a->x_stride;
    vf sum[MATMUL_TOKENS];
    for (int t = 0; t < tokens; t++) sum[t] = vf_set(0);
    for (size_t k = 0; k < a->width; k += 2, w += 32 * size) {
        if (tokens == 1) fetch(w, 32 * size);
        for (int half = 0; half < 2; half++) {
            const uint8_t *at = w + 16 * size * (size_t)half;
            vf weights = size == 4 ? vf_load((const void *)at) : vf_load_half((const void *)at);
            for (int t = 0; t < tokens; t++)
                sum[t] = vf_fma(weights, vf_set(x[(size_t)t * a->x_stride + k + (size_t)half]), sum[t]);
        }
    }
    for (int t = 0; t < tokens; t++) finish(a, tile, token + (size_t)t, sum[t]);
}

PHI_INLINE void product_f32(const phi_matmul_args *a, size_t tile, size_t token, const int tokens) {
    product_float(a, tile, token, tokens, 4);
}

PHI_INLINE void product_f16(const phi_matmul_args *a, size_t tile, size_t token, const int tokens) {
    product_float(a, tile, token, tokens, 2);
}

PHI_INLINE void product_q8(const phi_matmul_args *a, size_t tile, size_t token, const int tokens) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    size_t groups = a->width / PHI_GROUP;
    const int8_t *q = a->q + token * a->width;
    const float *scales = a->scales + token * groups;
    const int32_t *starts = a->starts + token * groups;
    vf sum[MATMUL_TOKENS];
    for (int t = 0; t < tokens; t++) sum[t] = vf_set(0);
    for (size_t g = 0; g < groups; g += 2, w += PHI_BLOCK_BYTES_Q8) {
        if (tokens == 1) fetch(w, PHI_BLOCK_BYTES_Q8);
        for (size_t h = 0; h < 2; h++) {
            vi dot[MATMUL_TOKENS];
            for (int t = 0; t < tokens; t++) dot[t] = vi_start_q8(starts[(size_t)t * groups + g + h]);
            for (size_t j = 0; j < 8; j++) {
                vw weights = vw_load_q8(w + 64 + 512 * h + 64 * j);
                for (int t = 0; t < tokens; t++)
                    dot[t] = vi_dot_q8(dot[t], weights, q + (size_t)t * a->width + (g + h) * PHI_GROUP + 4 * j);
            }
            vf scale = vf_load_half((const void *)(w + 32 * h));
            for (int t = 0; t < tokens; t++)
                sum[t] = vf_fma(vf_of(dot[t]), vf_mul(scale, vf_set(scales[(size_t)t * groups + g + h])), sum[t]);
        }
    }
    for (int t = 0; t < tokens; t++) finish(a, tile, token + (size_t)t, sum[t]);
}

PHI_INLINE void product_q4(const phi_matmul_args *a, size_t tile, size_t token, const int tokens) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    size_t groups = a->width / PHI_GROUP;
    const int8_t *q = a->q + token * a->width;
    const float *scales = a->scales + token * groups;
    const int32_t *starts = a->starts + token * groups;
    vf sum[MATMUL_TOKENS];
    for (int t = 0; t < tokens; t++) sum[t] = vf_set(0);
    for (size_t g = 0; g < groups; g += 2, w += PHI_BLOCK_BYTES_Q4) {
        if (tokens == 1) fetch(w, PHI_BLOCK_BYTES_Q4);
        for (size_t h = 0; h < 2; h++) {
            vi dot[MATMUL_TOKENS];
            for (int t = 0; t < tokens; t++) dot[t] = vi_set(starts[(size_t)t * groups + g + h]);
            for (size_t j = 0; j < 4; j++) {
                vw low, high;
                vw_load_q4(w + 64 + 256 * h + 64 * j, &low, &high);
                for (int t = 0; t < tokens; t++) {
                    const int8_t *at = q + (size_t)t * a->width + (g + h) * PHI_GROUP + 8 * j;
                    dot[t] = vi_dot_q4(dot[t], low, at);
                    dot[t] = vi_dot_q4(dot[t], high, at + 4);
                }
            }
            vf scale = vf_load_half((const void *)(w + 32 * h));
            for (int t = 0; t < tokens; t++)
                sum[t] = vf_fma(vf_of(dot[t]), vf_mul(scale, vf_set(scales[(size_t)t * groups + g + h])), sum[t]);
        }
    }
    for (int t = 0; t < tokens; t++) finish(a, tile, token + (size_t)t, sum[t]);
}

static void matmul_f32(const void *a, size_t begin, size_t end) { matmul(a, begin, end, product_f32); }
static void matmul_f16(const void *a, size_t begin, size_t end) { matmul(a, begin, end, product_f16); }
static void matmul_q8(const void *a, size_t begin, size_t end) { matmul(a, begin, end, product_q8); }
static void matmul_q4(const void *a, size_t begin, size_t end) { matmul(a, begin, end, product_q4); }
