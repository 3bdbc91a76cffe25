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

/* Unrolled at once, so that the arrays over tokens become registers. */
#define EACH_TOKEN _Pragma("clang loop unroll(full)") for (int t = 0; t < tokens; t++)

/* Weights are read once and in order: fetching this far ahead keeps a lone token at the memory's speed. */
PHI_INLINE void fetch(const uint8_t *weights, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(weights + 4096 + i, 0, 3);
}

/* ---- Weights in floats ---- */

/* Written for a constant number of tokens; the compiler makes a copy for each. */
PHI_INLINE void product_float(const phi_matmul_args *a, size_t tile, size_t token, const int tokens, const size_t size) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    const float *x = a->x + token * a->x_stride;
    vf sum[MATMUL_TOKENS];
    EACH_TOKEN sum[t] = vf_set(0);
    for (size_t k = 0; k < a->width; k += 2, w += 32 * size) {
        if (tokens == 1) fetch(w, 32 * size);
        for (int half = 0; half < 2; half++) {
            const uint8_t *at = w + 16 * size * (size_t)half;
            vf weights = size == 4 ? vf_load((const void *)at) : vf_load_half((const void *)at);
            EACH_TOKEN sum[t] = vf_fma(weights, vf_set(x[(size_t)t * a->x_stride + k + (size_t)half]), sum[t]);
        }
    }
    EACH_TOKEN finish(a, tile, token + (size_t)t, sum[t]);
}

PHI_INLINE void matmul_float(const phi_matmul_args *a, size_t begin, size_t end, const size_t size) {
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        for (size_t tile = item.tile; tile < item.tile_end; tile++) {
            size_t t = item.token;
            for (; item.token_end - t >= MATMUL_TOKENS; t += MATMUL_TOKENS) product_float(a, tile, t, MATMUL_TOKENS, size);
            for (; item.token_end - t >= 3; t += 3) product_float(a, tile, t, 3, size);
            for (; t < item.token_end; t++) product_float(a, tile, t, 1, size);
        }
    }
}

static void matmul_f32(const void *a, size_t begin, size_t end) { matmul_float(a, begin, end, 4); }
static void matmul_f16(const void *a, size_t begin, size_t end) { matmul_float(a, begin, end, 2); }

/* ---- Weights in integers ---- */

/* Some tokens of a token tile: `tokens` of its n, from place `t` on. */
typedef struct {
    const int8_t *q;
    const float *scales;
    const int32_t *starts;
    size_t n;
} token_run;

PHI_INLINE token_run run_at(const phi_matmul_args *a, size_t first, size_t t, size_t n, size_t group) {
    size_t at = first * (a->width / PHI_GROUP) + group * n + t;
    return (token_run){a->q + first * a->width + (group * 8 * n + t) * 4, a->scales + at, a->starts + at, n};
}

/* Adds a group's dots to the sums, and moves on to the next group. */
PHI_INLINE void add_group(vf *sum, vi *dot, vf scale, token_run *run, const int tokens) {
    EACH_TOKEN sum[t] = vf_fma(vf_of(dot[t]), vf_mul(scale, vf_set(run->scales[t])), sum[t]);
    run->q += 32 * run->n;
    run->scales += run->n;
    run->starts += run->n;
}

PHI_INLINE void product_q8(const phi_matmul_args *a, size_t tile, size_t first, size_t from, size_t n, const int tokens) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    token_run run = run_at(a, first, from, n, 0);
    vf sum[MATMUL_TOKENS];
    EACH_TOKEN sum[t] = vf_set(0);
    for (size_t g = 0; g < a->width / PHI_GROUP; g += 2, w += PHI_BLOCK_BYTES_Q8) {
        if (tokens == 1) fetch(w, PHI_BLOCK_BYTES_Q8);
        for (size_t h = 0; h < 2; h++) {
            vi dot[MATMUL_TOKENS];
            EACH_TOKEN dot[t] = vi_start_q8(run.starts[t]);
            for (size_t j = 0; j < 8; j++) {
                vw weights = vw_load_q8(w + 64 + 512 * h + 64 * j);
                EACH_TOKEN dot[t] = vi_dot_q8(dot[t], weights, run.q + (j * n + (size_t)t) * 4);
            }
            add_group(sum, dot, vf_load_half((const void *)(w + 32 * h)), &run, tokens);
        }
    }
    EACH_TOKEN finish(a, tile, first + from + (size_t)t, sum[t]);
}

PHI_INLINE void product_q4(const phi_matmul_args *a, size_t tile, size_t first, size_t from, size_t n, const int tokens) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    token_run run = run_at(a, first, from, n, 0);
    vf sum[MATMUL_TOKENS];
    EACH_TOKEN sum[t] = vf_set(0);
    for (size_t g = 0; g < a->width / PHI_GROUP; g += 2, w += PHI_BLOCK_BYTES_Q4) {
        if (tokens == 1) fetch(w, PHI_BLOCK_BYTES_Q4);
        for (size_t h = 0; h < 2; h++) {
            vi dot[MATMUL_TOKENS];
            EACH_TOKEN dot[t] = vi_set(run.starts[t]);
            for (size_t j = 0; j < 8; j += 2) {
                vw low, high;
                vw_load_q4(w + 64 + 256 * h + 32 * j, &low, &high);
                EACH_TOKEN dot[t] = vi_dot_q4(dot[t], low, run.q + (j * n + (size_t)t) * 4);
                EACH_TOKEN dot[t] = vi_dot_q4(dot[t], high, run.q + ((j + 1) * n + (size_t)t) * 4);
            }
            add_group(sum, dot, vf_load_half((const void *)(w + 32 * h)), &run, tokens);
        }
    }
    EACH_TOKEN finish(a, tile, first + from + (size_t)t, sum[t]);
}

/* Calls a product for all n tokens of a token tile, with a constant for each number that the registers hold. */
#define CASE(product, count, ...) \
    case count: product(__VA_ARGS__, 0, count, count); break;
#if MATMUL_TOKENS == 12
#define FOR_TOKEN_TILE(product, n, ...)                                                                       \
    switch (n) {                                                                                              \
        CASE(product, 12, __VA_ARGS__) CASE(product, 11, __VA_ARGS__) CASE(product, 10, __VA_ARGS__)          \
        CASE(product, 9, __VA_ARGS__) CASE(product, 8, __VA_ARGS__) CASE(product, 7, __VA_ARGS__)             \
        CASE(product, 6, __VA_ARGS__) CASE(product, 5, __VA_ARGS__) CASE(product, 4, __VA_ARGS__)             \
        CASE(product, 3, __VA_ARGS__) CASE(product, 2, __VA_ARGS__) CASE(product, 1, __VA_ARGS__)             \
    default: break;                                                                                           \
    }
#else
#define FOR_TOKEN_TILE(product, n, ...)                                                                       \
    do {                                                                                                      \
        size_t from = 0;                                                                                      \
        for (; n - from >= MATMUL_TOKENS; from += MATMUL_TOKENS) product(__VA_ARGS__, from, n, MATMUL_TOKENS); \
        if (n == 1)                                                                                           \
            product(__VA_ARGS__, 0, 1, 1);                                                                    \
        else                                                                                                  \
            for (; from < n; from++) product(__VA_ARGS__, from, n, 1);                                        \
    } while (0)
#endif

static void matmul_q8(const void *raw, size_t begin, size_t end) {
    const phi_matmul_args *a = raw;
    for (size_t i = begin; i < end; i++) {
        phi_matmul_item item = phi_matmul_item_at(a, i);
        for (size_t tile = item.tile; tile < item.tile_end; tile++)
            for (size_t first = item.token; first < item.token_end; first += PHI_TOKEN_TILE) {
                size_t n = phi_tile_tokens(a->tokens, first);
                FOR_TOKEN_TILE(product_q8, n, a, tile, first);
            }
    }
}

/* For more than one token tile, q4's codes are looked up once for all of them, a few groups at a time, so that they are
 * read again from the nearest cache. */
enum { UNPACKED_GROUPS = 16 };
typedef struct {
    _Alignas(64) uint8_t levels[UNPACKED_GROUPS][8][64];
    _Alignas(64) float scales[UNPACKED_GROUPS][PHI_TILE_ROWS];
    _Alignas(64) float sums[PHI_TOKEN_BLOCK][PHI_TILE_ROWS];
} unpacked;

PHI_INLINE void unpack(const uint8_t *w, size_t groups, unpacked *u) {
    for (size_t g = 0; g < groups; g++) {
        const uint8_t *block = w + g / 2 * PHI_BLOCK_BYTES_Q4;
        for (size_t j = 0; j < 8; j += 2) {
            vw low, high;
            vw_load_q4(block + 64 + 256 * (g % 2) + 32 * j, &low, &high);
            vw_store(u->levels[g][j], low);
            vw_store(u->levels[g][j + 1], high);
        }
        vf_store(u->scales[g], vf_load_half((const void *)(block + 32 * (g % 2))));
    }
}

/* Adds `groups` unpacked groups, the first of which is number `group`, to the tokens' sums. */
PHI_INLINE void add_unpacked(const phi_matmul_args *a, const unpacked *u, float (*sums)[PHI_TILE_ROWS], size_t group,
                             size_t groups, size_t first, size_t from, size_t n, const int tokens) {
    token_run run = run_at(a, first, from, n, group);
    vf sum[MATMUL_TOKENS];
    EACH_TOKEN sum[t] = group ? vf_load(sums[from + (size_t)t]) : vf_set(0);
    for (size_t g = 0; g < groups; g++) {
        vi dot[MATMUL_TOKENS];
        EACH_TOKEN dot[t] = vi_set(run.starts[t]);
#pragma clang loop unroll_count(2)
        for (size_t j = 0; j < 8; j++) {
            vw levels = vw_load(u->levels[g][j]);
            EACH_TOKEN dot[t] = vi_dot_q4(dot[t], levels, run.q + (j * n + (size_t)t) * 4);
        }
        add_group(sum, dot, vf_load(u->scales[g]), &run, tokens);
    }
    EACH_TOKEN vf_store(sums[from + (size_t)t], sum[t]);
}

static void product_q4_unpacked(const phi_matmul_args *a, size_t tile, size_t token, size_t end) {
    unpacked u;
    size_t all = a->width / PHI_GROUP;
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    for (size_t g = 0; g < all; g += UNPACKED_GROUPS, w += UNPACKED_GROUPS / 2 * PHI_BLOCK_BYTES_Q4) {
        size_t groups = all - g < UNPACKED_GROUPS ? all - g : UNPACKED_GROUPS;
        unpack(w, groups, &u);
        for (size_t first = token; first < end; first += PHI_TOKEN_TILE) {
            size_t n = phi_tile_tokens(a->tokens, first);
            FOR_TOKEN_TILE(add_unpacked, n, a, &u, u.sums + (first - token), g, groups, first);
        }
    }
    for (size_t t = token; t < end; t++) finish(a, tile, t, vf_load(u.sums[t - token]));
}

static void matmul_q4(const void *raw, size_t begin, size_t end) {
    const phi_matmul_args *a = raw;
    for (size_t i = begin; i < end; i++) {
        phi_matmul_item item = phi_matmul_item_at(a, i);
        size_t n = item.token_end - item.token;
        for (size_t tile = item.tile; tile < item.tile_end; tile++)
            if (n > PHI_TOKEN_TILE)
                product_q4_unpacked(a, tile, item.token, item.token_end);
            else
                FOR_TOKEN_TILE(product_q4, n, a, tile, item.token);
    }
}
