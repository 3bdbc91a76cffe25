/* Matrix products: MATMUL_TILES tiles of 16 rows for MATMUL_TOKENS tokens at a time, as many as the instruction set has
 * registers for. A weight is then loaded once for all the tokens, an activation once for all the tiles. */

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

/* A lone token reads weights once and in order, as fast as the memory gives them: far ahead into the second cache, then
 * near into the first. One distance alone reached 0.84 of the machine's read rate in q4, both 0.94. */
PHI_INLINE void fetch(const uint8_t *weights, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch(weights + 12288 + i, 0, 2);
        __builtin_prefetch(weights + 2048 + i, 0, 3);
    }
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

/* Some tokens of a token tile of n, from one group on. */
typedef struct {
    const int8_t *q;
    const float *scales;
    const int32_t *starts;
} token_run;

PHI_INLINE token_run run_at(const phi_matmul_args *a, size_t first, size_t t, size_t n, size_t group) {
    size_t at = first * (a->width / PHI_GROUP) + group * n + t;
    return (token_run){a->q + first * a->width + (group * n + t) * PHI_GROUP, a->scales + at, a->starts + at};
}

PHI_INLINE token_run next_group(token_run run, size_t n) {
    return (token_run){run.q + PHI_GROUP * n, run.scales + n, run.starts + n};
}

/* The weights of one group of one tile: 4 columns of 16 rows in each of the eight. */
typedef void (*group_loader)(const uint8_t *block, size_t half, vw weights[8]);

PHI_INLINE void load_q8(const uint8_t *block, size_t half, vw weights[8]) {
    _Pragma("clang loop unroll(full)") for (size_t j = 0; j < 8; j++)
        weights[j] = vw_load_q8(block + 64 + 512 * half + 64 * j);
}

PHI_INLINE void load_q4(const uint8_t *block, size_t half, vw weights[8]) {
    _Pragma("clang loop unroll(full)") for (size_t j = 0; j < 8; j += 2)
        vw_load_q4(block + 64 + 256 * half + 32 * j, &weights[j], &weights[j + 1]);
}

PHI_INLINE vf load_scales(const uint8_t *block, size_t half) { return vf_load_half((const void *)(block + 32 * half)); }

/* Where a group's dot starts, and four columns added to it. */
PHI_INLINE vi dot_start(int32_t start, const bool is_q8) { return is_q8 ? vi_start_q8(start) : vi_set(start); }
PHI_INLINE vi dot_add(vi dot, vw weights, vq four, const bool is_q8) {
    return is_q8 ? vi_dot_q8(dot, weights, four) : vi_dot_q4(dot, weights, four);
}

/* One tile as it lies in the file, for a lone token. */
PHI_INLINE void product_lone(const phi_matmul_args *a, size_t tile, size_t token, const size_t block_bytes,
                             group_loader load) {
    const bool is_q8 = block_bytes == PHI_BLOCK_BYTES_Q8;
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    token_run run = run_at(a, token, 0, 1, 0);
    vf sum = vf_set(0);
    for (size_t g = 0; g < a->width / PHI_GROUP; g += 2, w += block_bytes) {
        fetch(w, block_bytes);
        for (size_t h = 0; h < 2; h++, run = next_group(run, 1)) {
            vw weights[8];
            load(w, h, weights);
            vi dot = dot_start(*run.starts, is_q8);
            _Pragma("clang loop unroll(full)") for (size_t j = 0; j < 8; j++)
                dot = dot_add(dot, weights[j], quad(run.q + 4 * j), is_q8);
            sum = vf_fma(vf_of(dot), vf_mul(load_scales(w, h), vf_set(*run.scales)), sum);
        }
    }
    finish(a, tile, token, sum);
}

/* For more than one token, a few groups of weights at a time are made ready for all of them: q4's codes looked up,
 * scales widened. They are read again from the nearest cache. */
typedef struct {
    _Alignas(64) uint8_t weights[MATMUL_GROUPS][8][MATMUL_TILES][64];
    _Alignas(64) float scales[MATMUL_GROUPS][MATMUL_TILES][PHI_TILE_ROWS];
    _Alignas(64) float sums[PHI_TOKEN_BLOCK][MATMUL_TILES][PHI_TILE_ROWS];
#ifdef MATMUL_DOT_UNIT
    _Alignas(64) int32_t dots[MATMUL_GROUPS][MATMUL_TILES][PHI_TOKEN_TILE][PHI_TILE_ROWS]; /* of one token tile */
    size_t shape; /* for how many tokens the unit is set up */
#endif
} ready;

/* The weights of the next stage, of which each group of this one fetches a few lines: all at once they would wait for one
 * another, and the sums for them. */
typedef struct {
    const uint8_t *next;
    size_t tile_bytes;
    size_t left, pace;      /* lines of each tile, and how many of them a group fetches */
} fetch_ahead;

#define EACH_TILE _Pragma("clang loop unroll(full)") for (int i = 0; i < tiles; i++)

PHI_INLINE fetch_ahead begin_fetch(const uint8_t *next, size_t tile_bytes, size_t bytes, size_t groups) {
    size_t lines = bytes / 64;
    return (fetch_ahead){next, tile_bytes, lines, (lines + groups - 1) / groups};
}

PHI_INLINE void fetch_some(fetch_ahead *f, const int tiles) {
    for (size_t k = 0; k < f->pace && f->left; k++, f->left--, f->next += 64)
        EACH_TILE __builtin_prefetch(f->next + (size_t)i * f->tile_bytes, 0, 2);
}

/* The activations of the token tile after this one, into the first cache. */
PHI_INLINE void fetch_activations(const phi_matmul_args *a, token_run run, size_t tokens) {
    for (size_t i = 0; i < tokens * PHI_GROUP; i += 64) __builtin_prefetch(run.q + PHI_TOKEN_TILE * a->width + i, 0, 3);
}

/* Adds `groups` ready groups, the first of which is number `group`, to the sums of `tokens` tokens, from number `from` on
 * in a token tile of n that begins with `first`. */
PHI_INLINE void add_some(const phi_matmul_args *a, const ready *r, float (*sums)[MATMUL_TILES][PHI_TILE_ROWS], size_t group,
                         size_t groups, size_t first, size_t from, size_t n, const int tokens, const int tiles,
                         const bool is_q8, fetch_ahead *ahead) {
    token_run run = run_at(a, first, from, n, group);
    vf sum[MATMUL_TOKENS][MATMUL_TILES];
    EACH_TOKEN EACH_TILE sum[t][i] = group ? vf_load(sums[from + (size_t)t][i]) : vf_set(0);
    for (size_t g = 0; g < groups; g++, run = next_group(run, n)) {
        fetch_some(ahead, tiles);
        fetch_activations(a, run, (size_t)tokens);
        vi dot[MATMUL_TOKENS][MATMUL_TILES];
        EACH_TOKEN EACH_TILE dot[t][i] = dot_start(run.starts[t], is_q8);
#pragma clang loop unroll_count(2)
        for (size_t j = 0; j < 8; j++) {
            vw weights[MATMUL_TILES];
            EACH_TILE weights[i] = vw_load(r->weights[g][j][i]);
            EACH_TOKEN {
                vq four = quad(run.q + (size_t)t * PHI_GROUP + 4 * j);
                EACH_TILE dot[t][i] = dot_add(dot[t][i], weights[i], four, is_q8);
            }
        }
        vf scale[MATMUL_TILES];
        EACH_TILE scale[i] = vf_load(r->scales[g][i]);
        EACH_TOKEN {
            vf x = vf_set(run.scales[t]);
            EACH_TILE sum[t][i] = vf_fma(vf_of(dot[t][i]), vf_mul(scale[i], x), sum[t][i]);
        }
    }
    EACH_TOKEN EACH_TILE vf_store(sums[from + (size_t)t][i], sum[t][i]);
}

/* The same for all n tokens of the token tile. */
PHI_INLINE void add_ready(const phi_matmul_args *a, const ready *r, float (*sums)[MATMUL_TILES][PHI_TILE_ROWS], size_t group,
                          size_t groups, size_t first, size_t n, const int tiles, const bool is_q8, fetch_ahead *ahead) {
    size_t t = 0;
    for (; n - t >= MATMUL_TOKENS; t += MATMUL_TOKENS)
        add_some(a, r, sums, group, groups, first, t, n, MATMUL_TOKENS, tiles, is_q8, ahead);
    for (; n - t >= 2; t += 2) add_some(a, r, sums, group, groups, first, t, n, 2, tiles, is_q8, ahead);
    if (t < n) add_some(a, r, sums, group, groups, first, t, n, 1, tiles, is_q8, ahead);
}

#ifdef MATMUL_DOT_UNIT
/* Adds the dots of `tokens` tokens. */
PHI_INLINE void add_dots(const ready *r, float (*sums)[MATMUL_TILES][PHI_TILE_ROWS], size_t group, size_t groups,
                         token_run run, size_t from, size_t n, const int tokens, const int tiles) {
    vf sum[MATMUL_TOKENS][MATMUL_TILES];
    EACH_TOKEN EACH_TILE sum[t][i] = group ? vf_load(sums[from + (size_t)t][i]) : vf_set(0);
    for (size_t g = 0; g < groups; g++, run = next_group(run, n)) {
        vf scale[MATMUL_TILES];
        EACH_TILE scale[i] = vf_load(r->scales[g][i]);
        EACH_TOKEN {
            vf x = vf_set(run.scales[from + (size_t)t]);
            EACH_TILE {
                vi dot = vi_load(r->dots[g][i][from + (size_t)t]);
                sum[t][i] = vf_fma(vf_of(dot), vf_mul(scale[i], x), sum[t][i]);
            }
        }
    }
    EACH_TOKEN EACH_TILE vf_store(sums[from + (size_t)t][i], sum[t][i]);
}

/* What add_ready does, by a unit that makes the dots of a whole token tile, from weights without their zero. First all dots, then
 * all sums: the two did not overlap either when they were mixed. */
PHI_INLINE void add_ready_by_unit(const phi_matmul_args *a, ready *r, float (*sums)[MATMUL_TILES][PHI_TILE_ROWS],
                                  size_t group, size_t groups, size_t first, size_t n, const int tiles, fetch_ahead *ahead) {
    token_run run = run_at(a, first, 0, n, group), at = run;
    if (r->shape != n) dot_unit_begin(r->shape = n);
    for (size_t g = 0; g < groups; g++, at = next_group(at, n)) {
        fetch_some(ahead, tiles);
        fetch_activations(a, at, n);
        dot_unit_make(at.q, r->weights[g], r->dots[g], tiles);
    }
    size_t t = 0;
    for (; n - t >= MATMUL_TOKENS; t += MATMUL_TOKENS) add_dots(r, sums, group, groups, run, t, n, MATMUL_TOKENS, tiles);
    for (; t < n; t++) add_dots(r, sums, group, groups, run, t, n, 1, tiles);
}
#endif

/* Makes `groups` groups of `tiles` tiles ready, the first of which is at w. */
PHI_INLINE void make_ready(ready *r, const uint8_t *w, size_t tile_bytes, size_t groups, const int tiles,
                           const size_t block_bytes, group_loader load, const bool by_unit) {
    for (size_t g = 0; g < groups; g++)
        for (size_t i = 0; i < (size_t)tiles; i++) {
            const uint8_t *block = w + i * tile_bytes + g / 2 * block_bytes;
            vw weights[8];
            load(block, g % 2, weights);
#ifdef MATMUL_DOT_UNIT
            for (size_t j = 0; by_unit && j < 8; j++) weights[j] = vw_without_zero(weights[j], block_bytes == PHI_BLOCK_BYTES_Q8);
#endif
            for (size_t j = 0; j < 8; j++) vw_store(r->weights[g][j][i], weights[j]);
            vf_store(r->scales[g][i], load_scales(block, g % 2));
        }
    (void)by_unit;
}

/* Where the sums will go: a line of each token, far apart. */
PHI_INLINE void fetch_output(const phi_matmul_args *a, size_t tile, size_t token, size_t end, const int tiles) {
    for (size_t t = token; t < end; t++) {
        const float *out = a->out + t * a->out_stride + tile * PHI_TILE_ROWS;
        EACH_TILE __builtin_prefetch(out + (size_t)i * PHI_TILE_ROWS, 1, 2);
    }
}

/* `tiles` neighbouring tiles for the tokens from `token` to `end`. */
PHI_INLINE void product_ready(const phi_matmul_args *a, size_t tile, size_t token, size_t end, const int tiles,
                              const size_t block_bytes, group_loader load, const bool by_unit) {
    ready r;
#ifdef MATMUL_DOT_UNIT
    r.shape = 0;
#endif
    size_t all = a->width / PHI_GROUP, at_once = by_unit ? PHI_TOKEN_TILE : MATMUL_TOKENS;
    const uint8_t *first_tile = (const uint8_t *)a->weights + tile * a->tile_bytes, *w = first_tile;
    const size_t stage_bytes = MATMUL_GROUPS / 2 * block_bytes;
    for (size_t group = 0; group < all; group += MATMUL_GROUPS, w += stage_bytes) {
        size_t groups = all - group < MATMUL_GROUPS ? all - group : MATMUL_GROUPS;
        size_t passes = (end - token + at_once - 1) / at_once;
        const uint8_t *next = group + groups < all ? w + stage_bytes : first_tile + (size_t)tiles * a->tile_bytes;
        fetch_ahead ahead = begin_fetch(next, a->tile_bytes, stage_bytes, groups * passes);
        if (group + groups == all) fetch_output(a, tile, token, end, tiles);
        make_ready(&r, w, a->tile_bytes, groups, tiles, block_bytes, load, by_unit);
        for (size_t first = token; first < end; first += PHI_TOKEN_TILE) {
            size_t n = phi_tile_tokens(a->tokens, first);
            float(*sums)[MATMUL_TILES][PHI_TILE_ROWS] = r.sums + (first - token);
#ifdef MATMUL_DOT_UNIT
            if (by_unit) {
                add_ready_by_unit(a, &r, sums, group, groups, first, n, tiles, &ahead);
                continue;
            }
#endif
            add_ready(a, &r, sums, group, groups, first, n, tiles, block_bytes == PHI_BLOCK_BYTES_Q8, &ahead);
        }
    }
    for (size_t t = token; t < end; t++) EACH_TILE finish(a, tile + (size_t)i, t, vf_load(r.sums[t - token][i]));
}

PHI_INLINE void product_tokens(const phi_matmul_args *a, phi_matmul_item item, const size_t block_bytes, group_loader load,
                               const bool by_unit) {
    size_t tile = item.tile;
    for (; item.tile_end - tile >= MATMUL_TILES; tile += MATMUL_TILES)
        product_ready(a, tile, item.token, item.token_end, MATMUL_TILES, block_bytes, load, by_unit);
#if MATMUL_TILES > 1
    for (; tile < item.tile_end; tile++) product_ready(a, tile, item.token, item.token_end, 1, block_bytes, load, by_unit);
#endif
}

PHI_INLINE void matmul_integer(const phi_matmul_args *a, size_t begin, size_t end, const size_t block_bytes,
                               group_loader load) {
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        size_t tokens = item.token_end - item.token;
        if (tokens == 1) {
            for (size_t tile = item.tile; tile < item.tile_end; tile++) product_lone(a, tile, item.token, block_bytes, load);
#ifdef MATMUL_DOT_UNIT
        } else if (tokens >= PHI_TOKEN_TILE) { /* with fewer the unit has no advantage */
            product_tokens(a, item, block_bytes, load, true);
            dot_unit_end();
#endif
        } else {
            product_tokens(a, item, block_bytes, load, false);
        }
    }
}

static void matmul_q8(const void *a, size_t begin, size_t end) {
    matmul_integer(a, begin, end, PHI_BLOCK_BYTES_Q8, load_q8);
}
static void matmul_q4(const void *a, size_t begin, size_t end) {
    matmul_integer(a, begin, end, PHI_BLOCK_BYTES_Q4, load_q4);
}
