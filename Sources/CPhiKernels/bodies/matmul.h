/* Matrix products: one tile of 16 rows for several tokens at a time, so that weights are read and unpacked once for
 * them all. MATMUL_TOKENS (12, 6 or 3) is the number that the instruction set has registers for. */

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

/* Each product is written for a constant number of tokens; the compiler makes a copy for each of the sizes below. */
typedef void (*tile_product)(const phi_matmul_args *, size_t tile, size_t token, const int tokens);

/* Calls `product` for all tokens from `token` to `end`, as many at a time as there are registers for. */
PHI_INLINE void for_tokens(const phi_matmul_args *a, size_t tile, size_t token, size_t end, tile_product product) {
    for (; end - token >= MATMUL_TOKENS; token += MATMUL_TOKENS) product(a, tile, token, MATMUL_TOKENS);
#if MATMUL_TOKENS > 6
    for (; end - token >= 6; token += 6) product(a, tile, token, 6);
#endif
#if MATMUL_TOKENS > 3
    for (; end - token >= 3; token += 3) product(a, tile, token, 3);
#endif
    for (; end - token >= 2; token += 2) product(a, tile, token, 2);
    for (; token < end; token++) product(a, tile, token, 1);
}

PHI_INLINE void matmul(const phi_matmul_args *a, size_t begin, size_t end, tile_product product) {
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        for (size_t tile = item.tile; tile < item.tile_end; tile++)
            for_tokens(a, tile, item.token, item.token_end, product);
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

/* For more tokens than fit the registers at once, q4's codes are looked up once for all of them, a few groups at a time,
 * so that they are read again from the nearest cache. */
enum { UNPACKED_GROUPS = 16 };
typedef struct {
    _Alignas(64) uint8_t levels[UNPACKED_GROUPS][8][64];
    _Alignas(64) float scales[UNPACKED_GROUPS][PHI_TILE_ROWS];
    _Alignas(64) float sums[PHI_TOKEN_BLOCK][PHI_TILE_ROWS];
} unpacked;

PHI_INLINE void unpack(const uint8_t *w, size_t groups, unpacked *u) {
    for (size_t g = 0; g < groups; g++) {
        const uint8_t *block = w + g / 2 * PHI_BLOCK_BYTES_Q4;
        for (size_t j = 0; j < 4; j++) {
            vw low, high;
            vw_load_q4(block + 64 + 256 * (g % 2) + 64 * j, &low, &high);
            vw_store(u->levels[g][2 * j], low);
            vw_store(u->levels[g][2 * j + 1], high);
        }
        vf_store(u->scales[g], vf_load_half((const void *)(block + 32 * (g % 2))));
    }
}

/* Adds `groups` unpacked groups, from group `first` of the tokens on, to the sums from `sum` on. */
PHI_INLINE void add_unpacked(const phi_matmul_args *a, const unpacked *u, float (*sums)[PHI_TILE_ROWS], size_t token,
                             size_t first, size_t groups, const int tokens) {
    size_t all = a->width / PHI_GROUP;
    const int8_t *q = a->q + token * a->width + first * PHI_GROUP;
    const float *scales = a->scales + token * all + first;
    const int32_t *starts = a->starts + token * all + first;
    vf sum[MATMUL_TOKENS];
    for (int t = 0; t < tokens; t++) sum[t] = vf_load(sums[t]);
    for (size_t g = 0; g < groups; g++, q += PHI_GROUP) {
        vi dot[MATMUL_TOKENS];
        for (int t = 0; t < tokens; t++) dot[t] = vi_set(starts[(size_t)t * all + g]);
        for (size_t j = 0; j < 8; j++) {
            vw levels = vw_load(u->levels[g][j]);
            for (int t = 0; t < tokens; t++) dot[t] = vi_dot_q4(dot[t], levels, q + (size_t)t * a->width + 4 * j);
        }
        vf scale = vf_load(u->scales[g]);
        for (int t = 0; t < tokens; t++)
            sum[t] = vf_fma(vf_of(dot[t]), vf_mul(scale, vf_set(scales[(size_t)t * all + g])), sum[t]);
    }
    for (int t = 0; t < tokens; t++) vf_store(sums[t], sum[t]);
}

static void tile_q4(const phi_matmul_args *a, size_t tile, size_t token, size_t end) {
    unpacked u;
    size_t all = a->width / PHI_GROUP;
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    memset(u.sums, 0, (end - token) * sizeof *u.sums);
    for (size_t g = 0; g < all; g += UNPACKED_GROUPS, w += UNPACKED_GROUPS / 2 * PHI_BLOCK_BYTES_Q4) {
        size_t groups = all - g < UNPACKED_GROUPS ? all - g : UNPACKED_GROUPS, t = token;
        unpack(w, groups, &u);
        for (; end - t >= MATMUL_TOKENS; t += MATMUL_TOKENS)
            add_unpacked(a, &u, u.sums + (t - token), t, g, groups, MATMUL_TOKENS);
#if MATMUL_TOKENS > 3
        for (; end - t >= 3; t += 3) add_unpacked(a, &u, u.sums + (t - token), t, g, groups, 3);
#endif
        for (; t < end; t++) add_unpacked(a, &u, u.sums + (t - token), t, g, groups, 1);
    }
    for (size_t t = token; t < end; t++) finish(a, tile, t, vf_load(u.sums[t - token]));
}

static void matmul_f32(const void *a, size_t begin, size_t end) { matmul(a, begin, end, product_f32); }
static void matmul_f16(const void *a, size_t begin, size_t end) { matmul(a, begin, end, product_f16); }
static void matmul_q8(const void *a, size_t begin, size_t end) { matmul(a, begin, end, product_q8); }

static void matmul_q4(const void *raw, size_t begin, size_t end) {
    const phi_matmul_args *a = raw;
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        for (size_t tile = item.tile; tile < item.tile_end; tile++)
            if (item.token_end - item.token > MATMUL_TOKENS)
                tile_q4(a, tile, item.token, item.token_end);
            else
                for_tokens(a, tile, item.token, item.token_end, product_q4);
    }
}
