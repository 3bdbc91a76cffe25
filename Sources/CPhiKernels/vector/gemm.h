/* The GEMM of integers, included by matmul.h: blocks of weights are unpacked once for up to 256 tokens. */

/* The most tiles that a GEMM unpacks at once. */
#ifdef MATMUL_BY_GROUPS
enum { GEMM_TILES = MATMUL_GROUP_TILES };
#else
enum { GEMM_TILES = MATMUL_TILES };
#endif

/* GEMM: a block of weights at a time is unpacked for all tokens, scales to f32 and weights to bytes, and read again from the nearest
 * cache. */
typedef struct {
    size_t tile, token; /* the first */
    _Alignas(64) uint8_t weights[PHI_BLOCK_COLUMNS / 4][MATMUL_TILES][64];
#ifdef MATMUL_BY_GROUPS
    vp_group groups[GEMM_TILES][PARTS][PHI_BLOCK_COLUMNS / PHI_GROUP];
    vp starts[GEMM_TILES][PARTS]; /* of dots */
#endif
    _Alignas(64) float scales[GEMM_TILES][PHI_TILE_ROWS];
    _Alignas(64) float biases[GEMM_TILES][PHI_TILE_ROWS];
    _Alignas(64) float sums[PHI_TOKEN_BLOCK][GEMM_TILES][PHI_TILE_ROWS];
#ifdef MATMUL_DOT_UNIT
    _Alignas(64) int32_t dots[2][MATMUL_TILES][PHI_TOKEN_TILE][PHI_TILE_ROWS]; /* of a token tile and the next */
    size_t shape; /* tokens that the unit is set up for */
#endif
} unpacked;

/* Prefetches the weights of the next block, a few lines for each strip of this one: all at once they would wait for one another, and
 * the sums for them. */
typedef struct {
    const uint8_t *next;
    size_t tile_bytes;
    size_t left, pace; /* remaining lines of each tile, and lines for each strip */
} prefetcher;

#define EACH_TILE _Pragma("clang loop unroll(full)") for (int i = 0; i < tiles; i++)

PHI_INLINE prefetcher begin_prefetch(const uint8_t *next, size_t tile_bytes, size_t bytes, size_t strips) {
    size_t lines = bytes / 64 + 1;
    return (prefetcher){next, tile_bytes, lines, (lines + strips - 1) / strips};
}

PHI_INLINE void prefetch_some(prefetcher *f, const int tiles) {
    for (size_t k = 0; k < f->pace && f->left; k++, f->left--, f->next += 64)
        EACH_TILE __builtin_prefetch(f->next + (size_t)i * f->tile_bytes, 0, 2);
}

/* Prefetches the activations of the next token tile into the first-level cache. */
PHI_INLINE void prefetch_activations(const phi_matmul_args *a, const int8_t *q, size_t tokens) {
    for (size_t t = 0; t < tokens; t++) __builtin_prefetch(q + PHI_TOKEN_TILE * a->width + t * PHI_STRIP_COLUMNS, 0, 3);
}

/* A token's sums begin with its first block and become output with its last. */
enum { FIRST_BLOCK = 1, LAST_BLOCK = 2 };
#define EACH_KIND_OF_BLOCK(DO) \
    switch ((block == 0 ? FIRST_BLOCK : 0) | (block + 1 == phi_blocks(a->width) ? LAST_BLOCK : 0)) { \
    case 0: DO(0); break; \
    case FIRST_BLOCK: DO(FIRST_BLOCK); break; \
    case LAST_BLOCK: DO(LAST_BLOCK); break; \
    default: DO(FIRST_BLOCK | LAST_BLOCK); \
    }

/* Adds a dot to the sum of token r->token + t and tile r->tile + i. */
PHI_INLINE void add_dot(const phi_matmul_args *a, unpacked *r, size_t t, size_t i, vi dot, vf x, const int kind) {
    float *at = r->sums[t][i], *out = a->out + (r->token + t) * a->out_stride + (r->tile + i) * PHI_TILE_ROWS;
    vf sum = vf_fma(vf_of(dot), vf_mul(vf_load(r->scales[i]), x), kind & FIRST_BLOCK ? vf_set(0) : vf_load(at));
    if (kind & LAST_BLOCK) put(a, out, sum, vf_load(r->biases[i]));
    else vf_store(at, sum);
}

/* Accumulates the unpacked block, number `block`, in the sums of `tokens` tokens, from number `from` on in a token tile of n that
 * begins with `first`. */
PHI_INLINE void accumulate_block(const phi_matmul_args *a, unpacked *r, size_t block, size_t first, size_t from, size_t n,
                                 const int tokens, const int tiles, const integer_product *p, prefetcher *ahead) {
    token_run run = run_at(a, first, from, n, block);
    vi dot[MATMUL_TOKENS][MATMUL_TILES];
    EACH_TOKEN EACH_TILE dot[t][i] = p->dot_start(run.zero_corrections[t]);
    const int8_t *q = run.q;
    for (size_t s = 0; s < phi_block_strips(a->width, block); s++, q += PHI_STRIP_COLUMNS * n) {
        prefetch_some(ahead, tiles);
        prefetch_activations(a, q, (size_t)tokens);
#pragma clang loop unroll_count(2)
        for (size_t j = 0; j < 16; j++) {
            vw weights[MATMUL_TILES];
            EACH_TILE weights[i] = vw_load(r->weights[16 * s + j][i]);
            EACH_TOKEN {
                vq four = vq_load(q + (size_t)t * PHI_STRIP_COLUMNS + 4 * j);
                EACH_TILE dot[t][i] = p->dot(dot[t][i], weights[i], four);
            }
        }
    }
    size_t at = first + from - r->token;
#define ADD(KIND) EACH_TOKEN EACH_TILE add_dot(a, r, at + (size_t)t, (size_t)i, dot[t][i], vf_set(run.scales[t]), KIND)
    EACH_KIND_OF_BLOCK(ADD)
#undef ADD
}

#ifdef MATMUL_BY_GROUPS
/* The same by groups, of tile i and of activations with MATMUL_BIAS added. */
PHI_INLINE void accumulate_groups(const phi_matmul_args *a, unpacked *r, size_t block, size_t i, size_t first, size_t from,
                                  size_t n, const uint8_t *biased, const int tokens, const int tiles, prefetcher *ahead) {
    token_run run = run_at(a, first, from, n, block);
    size_t strips = phi_block_strips(a->width, block);
    _Alignas(64) int32_t dots[MATMUL_GROUP_TOKENS][PHI_TILE_ROWS];
    EACH_PART {
        vp dot[MATMUL_GROUP_TOKENS];
        EACH_TOKEN dot[t] = r->starts[i][part];
        for (size_t s = 0; s < strips; s++) {
            if (part == 0) prefetch_some(ahead, tiles);
            else if (i == 0) prefetch_activations(a, run.q + s * PHI_STRIP_COLUMNS * n, (size_t)tokens);
            for (size_t g = 0; g < STRIP_GROUPS; g++) {
                vp_group w = r->groups[i][part][STRIP_GROUPS * s + g];
                const uint8_t *q = biased + (s * PHI_TOKEN_TILE + from) * PHI_STRIP_COLUMNS + PHI_GROUP * g;
                EACH_TOKEN {
                    dot[t] = vp_accumulate_biased(dot[t], &w, q + t * PHI_STRIP_COLUMNS);
                    OPAQUE(dot[t]); /* one token after the other, so that sums stay in registers */
                }
            }
        }
        EACH_TOKEN vp_store(dots[t], part, dot[t]);
    }
    size_t at = first + from - r->token;
#define ADD(KIND) EACH_TOKEN add_dot(a, r, at + (size_t)t, i, vi_load(dots[t]), vf_set(run.scales[t]), KIND)
    EACH_KIND_OF_BLOCK(ADD)
#undef ADD
}

/* The same for all n tokens of the token tile. */
PHI_INLINE void accumulate_tile_by_groups(const phi_matmul_args *a, unpacked *r, size_t block, size_t first, size_t n,
                                          const int tiles, prefetcher *ahead) {
    _Alignas(64) uint8_t biased[PHI_BLOCK_STRIPS][PHI_TOKEN_TILE][PHI_STRIP_COLUMNS];
    token_run run = run_at(a, first, 0, n, block);
    for (size_t s = 0; s < phi_block_strips(a->width, block); s++)
        for (size_t i = 0; i < n * PHI_STRIP_COLUMNS; i++)
            biased[s][0][i] = (uint8_t)(run.q[s * PHI_STRIP_COLUMNS * n + i] ^ MATMUL_BIAS);
    for (size_t i = 0; i < (size_t)tiles; i++) {
        size_t t = 0;
#define SOME(TOKENS) \
    for (; n - t >= TOKENS; t += TOKENS) accumulate_groups(a, r, block, i, first, t, n, biased[0][0], TOKENS, tiles, ahead);
        SOME(MATMUL_GROUP_TOKENS)
        SOME(3)
        SOME(1)
#undef SOME
    }
}

/* Unpacks a strip, and adds what the bias of activations would add. */
PHI_INLINE void unpack_groups(unpacked *r, size_t i, const uint8_t *strip, size_t number, const integer_product *p) {
    _Alignas(16) static const uint8_t biases[PHI_GROUP] = {[0 ... PHI_GROUP - 1] = MATMUL_BIAS};
    EACH_PART for (int g = 0; g < STRIP_GROUPS; g++) {
        vp_group w = vp_centred(p->load_group(strip, part, g, PHI_TOKEN_BLOCK));
        r->groups[i][part][STRIP_GROUPS * number + (size_t)g] = w;
        r->starts[i][part] = vp_sub(r->starts[i][part], vp_accumulate_biased(vp_set(0), &w, biases));
    }
}
#endif

#ifdef MATMUL_UNPACK_TOKENS
/* Unpacks a block, which begins at w, and accumulates it in the sums of the token tile's first tokens on the way: most of what unpacking
 * takes runs beside the dots. */
PHI_INLINE void accumulate_packed_block(const phi_matmul_args *a, unpacked *r, const uint8_t *w, size_t block, size_t first,
                                        size_t n, const int tokens, const int tiles, const integer_product *p,
                                        prefetcher *ahead) {
    token_run run = run_at(a, first, 0, n, block);
    vi dot[MATMUL_TOKENS][MATMUL_TILES];
    EACH_TOKEN EACH_TILE dot[t][i] = p->dot_start(run.zero_corrections[t]);
    const int8_t *q = run.q;
    w += PHI_BLOCK_SCALE_BYTES;
    for (size_t s = 0; s < phi_block_strips(a->width, block); s++, q += PHI_STRIP_COLUMNS * n, w += p->encoding->strip_bytes) {
        prefetch_some(ahead, tiles);
        prefetch_activations(a, q, (size_t)tokens);
        EACH_TILE {
            const uint8_t *strip = w + (size_t)i * a->tile_bytes;
            vw factors = vw_strip_factors(strip);
            _Pragma("clang loop unroll(full)") for (int g = 0; g < STRIP_GROUPS; g++) {
                vw weights[4];
                p->unpack_group(strip, factors, g, weights);
                for (int j = 0; j < 4; j++) vw_store(r->weights[16 * s + 4 * (size_t)g + (size_t)j][i], weights[j]);
                EACH_TOKEN dot[t][i] = dot_group(dot[t][i], weights, q + t * PHI_STRIP_COLUMNS + g * PHI_GROUP, p);
            }
        }
    }
    size_t at = first - r->token;
#define ADD(KIND) EACH_TOKEN EACH_TILE add_dot(a, r, at + (size_t)t, (size_t)i, dot[t][i], vf_set(run.scales[t]), KIND)
    EACH_KIND_OF_BLOCK(ADD)
#undef ADD
}
#endif

#ifdef MATMUL_BY_PAIRS
/* The same by pairs of tokens; the last of an odd number of tokens is its own second. */
PHI_INLINE void accumulate_pairs(const phi_matmul_args *a, unpacked *r, size_t block, size_t first, size_t from, size_t n,
                                 const int tokens, const int tiles, const integer_product *p, prefetcher *ahead) {
    (void)p;
    token_run run = run_at(a, first, from, n, block);
    vt dots[MATMUL_TOKENS / 2];
    EACH_TOKEN dots[t / 2] = vt_zero();
    const int8_t *q = run.q;
    for (size_t s = 0; s < phi_block_strips(a->width, block); s++, q += PHI_STRIP_COLUMNS * n) {
        prefetch_some(ahead, tiles);
        prefetch_activations(a, q, (size_t)tokens);
        for (size_t g = 0; g < STRIP_GROUPS; g++) _Pragma("clang loop unroll(full)") for (int t = 0; t < tokens; t += 2) {
                const int8_t *second = q + (t + 1 < tokens ? t + 1 : t) * PHI_STRIP_COLUMNS;
                dots[t / 2] = vt_dot(dots[t / 2], r->weights[16 * s + 4 * g][0], q + t * PHI_STRIP_COLUMNS + PHI_GROUP * g,
                                     second + PHI_GROUP * g);
            }
    }
    size_t at = first + from - r->token;
#define ADD(KIND) EACH_TOKEN add_dot(a, r, at + (size_t)t, 0, vt_of_token(dots[t / 2], t % 2), vf_set(run.scales[t]), KIND)
    EACH_KIND_OF_BLOCK(ADD)
#undef ADD
}
#define ACCUMULATE accumulate_pairs
#else
#define ACCUMULATE accumulate_block
#endif

/* The same for the n tokens of the token tile from number t on. */
PHI_INLINE void accumulate_tile(const phi_matmul_args *a, unpacked *r, size_t block, size_t first, size_t t, size_t n,
                                const int tiles, const integer_product *p, prefetcher *ahead) {
#ifdef MATMUL_BY_GROUPS
    if (p->load_group) return accumulate_tile_by_groups(a, r, block, first, n, tiles, ahead);
#endif
    for (; n - t >= MATMUL_TOKENS; t += MATMUL_TOKENS) ACCUMULATE(a, r, block, first, t, n, MATMUL_TOKENS, tiles, p, ahead);
    for (; n - t >= 2; t += 2) ACCUMULATE(a, r, block, first, t, n, 2, tiles, p, ahead);
    if (t < n) ACCUMULATE(a, r, block, first, t, n, 1, tiles, p, ahead);
}

/* Prefetches the output, a line of each token far apart. */
PHI_INLINE void prefetch_output(const phi_matmul_args *a, size_t tile, size_t token, size_t end, const int tiles) {
    for (size_t t = token; t < end; t++) {
        const float *out = a->out + t * a->out_stride + tile * PHI_TILE_ROWS;
        EACH_TILE __builtin_prefetch(out + (size_t)i * PHI_TILE_ROWS, 1, 2);
    }
}

#ifdef MATMUL_DOT_UNIT
#include "dot_unit.h"
#endif

/* The scales of a block of `tiles` tiles, which begins at w. */
PHI_INLINE void load_scales(unpacked *r, const uint8_t *w, size_t tile_bytes, const int tiles) {
    for (size_t i = 0; i < (size_t)tiles; i++) vf_store(r->scales[i], vf_load_half((const void *)(w + i * tile_bytes)));
}

/* Unpacks a block of `tiles` tiles, the scales of which are at w. */
PHI_INLINE void unpack_block(unpacked *r, const uint8_t *w, size_t tile_bytes, size_t strips, const int tiles,
                             const integer_product *p, const bool by_unit) {
    load_scales(r, w, tile_bytes, tiles);
    for (size_t i = 0; i < (size_t)tiles; i++, w += tile_bytes) {
#ifdef MATMUL_BY_GROUPS
        if (p->load_group) {
            EACH_PART r->starts[i][part] = vp_set(0);
            for (size_t s = 0; s < strips; s++)
                unpack_groups(r, i, w + PHI_BLOCK_SCALE_BYTES + s * p->encoding->strip_bytes, s, p);
            continue;
        }
#endif
        for (size_t s = 0; s < strips; s++) {
            p->unpack_strip(w + PHI_BLOCK_SCALE_BYTES + s * p->encoding->strip_bytes, r->weights[16 * s][i], by_unit);
#ifdef MATMUL_BY_PAIRS
            pair_columns(r->weights[16 * s][i]);
#endif
        }
    }
}

/* `tiles` neighbouring tiles for the tokens from `token` to `end`. */
PHI_INLINE void gemm(const phi_matmul_args *a, size_t tile, size_t token, size_t end, const int tiles, const integer_product *p,
                     const bool by_unit) {
    unpacked r;
    r.tile = tile;
    r.token = token;
#ifdef MATMUL_DOT_UNIT
    r.shape = 0;
#endif
    for (size_t row = 0; row < (size_t)tiles * PHI_TILE_ROWS; row++) {
        size_t number = tile * PHI_TILE_ROWS + row;
        r.biases[row / PHI_TILE_ROWS][row % PHI_TILE_ROWS] = number < a->rows ? a->bias[number] : 0;
    }
    size_t blocks = phi_blocks(a->width), at_once = by_unit ? PHI_TOKEN_TILE : MATMUL_TOKENS;
    const uint8_t *first_tile = (const uint8_t *)a->weights + tile * a->tile_bytes, *w = first_tile;
    const size_t block_bytes = PHI_BLOCK_SCALE_BYTES + PHI_BLOCK_STRIPS * p->encoding->strip_bytes;
    for (size_t block = 0; block < blocks; block++, w += block_bytes) {
        size_t strips = phi_block_strips(a->width, block), passes = (end - token + at_once - 1) / at_once;
        const uint8_t *next = block + 1 < blocks ? w + block_bytes : first_tile + (size_t)tiles * a->tile_bytes;
        prefetcher ahead = begin_prefetch(next, a->tile_bytes, block_bytes, strips * passes);
        size_t done = 0; /* of the first token tile */
#ifdef MATMUL_UNPACK_TOKENS
        if (p->unpack_group && !by_unit && phi_tile_tokens(a->tokens, token) >= MATMUL_TOKENS) {
            done = MATMUL_TOKENS;
            load_scales(&r, w, a->tile_bytes, tiles);
            accumulate_packed_block(a, &r, w, block, token, phi_tile_tokens(a->tokens, token), MATMUL_TOKENS, tiles, p, &ahead);
        } else
#endif
            unpack_block(&r, w, a->tile_bytes, strips, tiles, p, by_unit);
#ifdef MATMUL_DOT_UNIT
        if (by_unit) {
#define ADD(KIND) accumulate_block_by_unit(a, &r, block, end, tiles, &ahead, KIND)
            EACH_KIND_OF_BLOCK(ADD)
#undef ADD
            continue;
        }
#endif
        for (size_t first = token; first < end; first += PHI_TOKEN_TILE) {
            size_t n = phi_tile_tokens(a->tokens, first);
            if (block + 2 == blocks) prefetch_output(a, tile, first, first + n, tiles);
            accumulate_tile(a, &r, block, first, first == token ? done : 0, n, tiles, p, &ahead);
        }
    }
}

/* The tiles and tokens of an item. */
PHI_INLINE void gemm_item(const phi_matmul_args *a, phi_matmul_item item, const integer_product *p, const bool by_unit) {
    size_t tile = item.tile;
    const int at_once = p->load_group ? GEMM_TILES : MATMUL_TILES;
    for (; item.tile_end - tile >= (size_t)at_once; tile += (size_t)at_once)
        gemm(a, tile, item.token, item.token_end, at_once, p, by_unit);
#if MATMUL_TILES > 1 || defined(MATMUL_BY_GROUPS)
    for (; tile < item.tile_end; tile++) gemm(a, tile, item.token, item.token_end, 1, p, by_unit);
#endif
}
