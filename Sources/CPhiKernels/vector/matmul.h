/* Matrix products: MATMUL_TILES tiles of 16 rows for MATMUL_TOKENS tokens at a time, as many as the registers hold. A weight is
 * loaded once for all of these tokens, an activation once for all of these tiles.
 *
 * Sizes: tile 16 rows, strip 64 columns, block 256 columns, token tile 16 tokens, item up to 256 tokens and a few tiles. */

PHI_INLINE void put(const phi_matmul_args *a, float *out, vf sum, vf bias) {
    vf y = vf_add(sum, bias);
    vf_store(out, a->accumulate ? vf_add(vf_load(out), y) : y);
}

PHI_INLINE void finish(const phi_matmul_args *a, size_t tile, size_t token, vf sum) {
    float *out = a->out + token * a->out_stride + tile * PHI_TILE_ROWS;
    const float *bias = a->bias + tile * PHI_TILE_ROWS;
    float last[PHI_TILE_ROWS] = {0};
    if (a->rows - tile * PHI_TILE_ROWS < PHI_TILE_ROWS) {
        memcpy(last, bias, (a->rows - tile * PHI_TILE_ROWS) * sizeof *bias);
        bias = last;
    }
    put(a, out, sum, vf_load(bias));
}

/* Unrolled early, so that arrays over tokens become registers. */
#define EACH_PART _Pragma("clang loop unroll(full)") for (int part = 0; part < PARTS; part++)
#define EACH_TOKEN _Pragma("clang loop unroll(full)") for (int t = 0; t < tokens; t++)

/* GEMV reads weights once and in order, at the memory's bandwidth: it prefetches far ahead into the second-level cache and nearer
 * into the first, a few lines at a time between the arithmetic. */
PHI_INLINE void prefetch(const uint8_t *weights, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch(weights + 12288 + i, 0, 2);
        __builtin_prefetch(weights + 3072 + i, 0, 3);
    }
}

/* A quarter of what the GEMV of a strip with groups prefetches. */
PHI_INLINE void prefetch_group(const uint8_t *strip, const int g, const phi_encoding *e) {
    prefetch(strip + 128 * g, g < 3 ? 128 : e->strip_bytes - 3 * 128);
}

/* ---- Encodings of floats ---- */

/* `tokens` is a constant; the compiler makes a copy for each. */
PHI_INLINE void product_float(const phi_matmul_args *a, size_t tile, size_t token, const int tokens,
                              vf (*load)(const uint8_t *), const size_t size) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    const float *x = a->x + token * a->x_stride;
    vf sum[MATMUL_TOKENS];
    EACH_TOKEN sum[t] = vf_set(0);
    for (size_t k = 0; k < a->width; k += 2, w += 32 * size) {
        if (tokens == 1) prefetch(w, 32 * size);
        for (int half = 0; half < 2; half++) {
            vf weights = load(w + 16 * size * (size_t)half);
            EACH_TOKEN sum[t] = vf_fma(weights, vf_set(x[(size_t)t * a->x_stride + k + (size_t)half]), sum[t]);
        }
    }
    EACH_TOKEN finish(a, tile, token + (size_t)t, sum[t]);
}

/* The operation for an encoding of floats of `size` bytes; `load` returns the sixteen of a column as f32. */
PHI_INLINE void matmul_float(const phi_matmul_args *a, size_t begin, size_t end, vf (*load)(const uint8_t *),
                             const size_t size) {
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        for (size_t tile = item.tile; tile < item.tile_end; tile++) {
            size_t t = item.token;
            for (; item.token_end - t >= MATMUL_TOKENS; t += MATMUL_TOKENS)
                product_float(a, tile, t, MATMUL_TOKENS, load, size);
            for (; item.token_end - t >= 3; t += 3) product_float(a, tile, t, 3, load, size);
            for (; t < item.token_end; t++) product_float(a, tile, t, 1, load, size);
        }
    }
}

/* ---- Encodings of integers ---- */

/* The activations of consecutive tokens in one block of columns. Their token tile has n tokens. */
typedef struct {
    const int8_t *q; /* of a block's first strip; the next strip is n times 64 bytes on */
    const float *scales;
    const int32_t *zero_corrections;
} token_run;

PHI_INLINE token_run run_at(const phi_matmul_args *a, size_t first, size_t t, size_t n, size_t block) {
    size_t at = first * phi_blocks(a->width) + block * n + t;
    const int8_t *q = a->q + first * a->width + (block * PHI_BLOCK_STRIPS * n + t) * PHI_STRIP_COLUMNS;
    return (token_run){q, a->scales + at, a->zero_corrections + at};
}

enum { STRIP_GROUPS = PHI_STRIP_COLUMNS / PHI_GROUP };

/* Bytes between neighbouring vw of a tile's unpacked weights. */
enum { UNPACKED_STEP = 64 * MATMUL_TILES };

/* An encoding of integers as a product uses it. */
typedef struct {
    const phi_encoding *encoding;
    /* GEMV reads strips in place, a part of their rows at a time: where a block's dot starts, and a strip added to the dots of the
     * tokens. */
    vp (*gemv_start)(int32_t zero_correction);
    void (*gemv_strip)(vp *dots, const uint8_t *strip, int part, const int8_t *q, const uint32_t *group_zero_corrections,
                       int tokens);
    /* GEMM, for more tokens, first unpacks blocks: by groups, a vp_group for 16 columns of a part; else a vw for 4 columns, UNPACKED_STEP
     * bytes apart, in the form that dot takes or, for a dot unit, signed. */
    vp_group (*load_group)(const uint8_t *strip, int part, int g, int tokens); /* null if there are no groups */
    void (*unpack_strip)(const uint8_t *strip, uint8_t *to, bool by_unit);
#ifdef MATMUL_UNPACK_TOKENS
    /* Where it is faster for several tokens, a group of a strip with the strip's factors is unpacked in registers; null if it is not. */
    void (*unpack_group)(const uint8_t *strip, vw factors, int g, vw weights[4]);
#endif
    vi (*dot_start)(int32_t zero_correction);
    vi (*dot)(vi dot, vw weights, vq four);
} integer_product;

/* Adds a group to the dots of `tokens` tokens, whose activations are a strip apart. Sums stay in registers if one token follows the
 * other. */
PHI_INLINE void add_group(vp *dots, const vp_group *w, const int8_t *q, const uint32_t *zero_corrections, const int tokens) {
    vp_group weights = *w;
    OPAQUE(weights.factors);
    EACH_TOKEN {
        dots[t] = vp_accumulate_group(dots[t], &weights, q + t * PHI_STRIP_COLUMNS, zero_corrections[t * STRIP_GROUPS]);
        OPAQUE(dots[t]);
    }
}

/* The dots of `tokens` tokens with a block of one tile, the strips of which begin at w. */
PHI_INLINE void gemv_block(int32_t (*dots)[PHI_TILE_ROWS], const uint8_t *w, const int8_t *q, const int32_t *zero_corrections,
                           const uint32_t *group_zero_corrections, size_t strips, const int tokens, const integer_product *p) {
    vp dot[PARTS][PHI_GEMV_TOKENS];
    EACH_PART EACH_TOKEN dot[part][t] = p->gemv_start(zero_corrections[t]);
#define ADD_STRIP(S) \
    p->gemv_strip(dot[part], w + (S) * p->encoding->strip_bytes, part, q + (S) * (size_t)tokens * PHI_STRIP_COLUMNS, \
                  group_zero_corrections + (S) * (size_t)tokens * STRIP_GROUPS, tokens)
    if (tokens == 1) /* registers have room for all parts, so that weights are read once */
        for (size_t s = 0; s < strips; s++) EACH_PART ADD_STRIP(s);
    else EACH_PART for (size_t s = 0; s < strips; s++) ADD_STRIP(s);
#undef ADD_STRIP
    EACH_PART EACH_TOKEN vp_store(dots[t], part, dot[part][t]);
}

#ifdef MATMUL_UNPACK_TOKENS
/* Unpacked weights of a group times 16 activations. */
PHI_INLINE vi dot_group(vi dot, const vw weights[4], const int8_t *q, const integer_product *p) {
    for (int j = 0; j < 4; j++) dot = p->dot(dot, weights[j], vq_load(q + 4 * j));
    return dot;
}

/* The same as gemv_block: for many tokens factors multiply the codes, once for all of them, instead of each one's sums. */
PHI_INLINE void gemv_block_unpacking(int32_t (*dots)[PHI_TILE_ROWS], const uint8_t *strip, const int8_t *q,
                                     const int32_t *zero_corrections, size_t strips, const int tokens,
                                     const integer_product *p) {
    vi dot[PHI_GEMV_TOKENS];
    EACH_TOKEN dot[t] = p->dot_start(zero_corrections[t]);
    for (size_t s = 0; s < strips; s++, strip += p->encoding->strip_bytes, q += (size_t)tokens * PHI_STRIP_COLUMNS) {
        vw factors = vw_strip_factors(strip);
        _Pragma("clang loop unroll(full)") for (int g = 0; g < STRIP_GROUPS; g++) {
            prefetch_group(strip, g, p->encoding);
            vw weights[4];
            p->unpack_group(strip, factors, g, weights);
            EACH_TOKEN {
                dot[t] = dot_group(dot[t], weights, q + t * PHI_STRIP_COLUMNS + g * PHI_GROUP, p);
                OPAQUE(dot[t]);
            }
        }
    }
    EACH_TOKEN vp_store(dots[t], 0, dot[t]);
}
#endif

/* The product of one tile with all tokens, up to PHI_GEMV_TOKENS. */
PHI_INLINE void gemv(const phi_matmul_args *a, size_t tile, const int tokens, const integer_product *p) {
    const uint8_t *w = (const uint8_t *)a->weights + tile * a->tile_bytes;
    const int8_t *q = a->q;
    const uint32_t *group_zero_corrections = a->group_zero_corrections;
    const int32_t *zero_corrections = a->zero_corrections;
    const float *scales = a->scales;
    vf sum[PHI_GEMV_TOKENS];
    EACH_TOKEN sum[t] = vf_set(0);
    for (size_t b = 0; b < phi_blocks(a->width); b++, zero_corrections += tokens, scales += tokens) {
        size_t strips = phi_block_strips(a->width, b);
        vf scale = vf_load_half((const void *)w);
        _Alignas(64) int32_t dots[PHI_GEMV_TOKENS][PHI_TILE_ROWS];
        w += PHI_BLOCK_SCALE_BYTES;
#ifdef MATMUL_UNPACK_TOKENS
        if (p->unpack_group && tokens >= MATMUL_UNPACK_TOKENS)
            gemv_block_unpacking(dots, w, q, zero_corrections, strips, tokens, p);
        else
#endif
            gemv_block(dots, w, q, zero_corrections, group_zero_corrections, strips, tokens, p);
        w += strips * p->encoding->strip_bytes;
        q += strips * (size_t)tokens * PHI_STRIP_COLUMNS;
        group_zero_corrections += strips * (size_t)tokens * STRIP_GROUPS;
        EACH_TOKEN sum[t] = vf_fma(vf_of(vi_load(dots[t])), vf_mul(scale, vf_set(scales[t])), sum[t]);
    }
    EACH_TOKEN finish(a, tile, (size_t)t, sum[t]);
}

#include "gemm.h"

/* The operation for an encoding of integers: GEMV for a few tokens, which are in one item, else GEMM, by a dot unit (AMX) if it is
 * faster. */
PHI_INLINE void matmul_integer(const phi_matmul_args *a, size_t begin, size_t end, const integer_product *p) {
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        if (a->tokens <= PHI_GEMV_TOKENS) {
#define GEMV(TOKENS) \
    case TOKENS: \
        for (size_t tile = item.tile; tile < item.tile_end; tile++) gemv(a, tile, TOKENS, p); \
        break;
            switch (a->tokens) { GEMV(1) GEMV(2) GEMV(3) GEMV(4) GEMV(5) GEMV(6) GEMV(7) GEMV(8) }
#undef GEMV
#ifdef MATMUL_DOT_UNIT
        } else if (item.token_end - item.token >= MATMUL_UNIT_TOKENS) {
            gemm_item(a, item, p, true);
            dot_unit_end(); /* begun by accumulate_block_by_unit */
#endif
        } else {
            gemm_item(a, item, p, false);
        }
    }
}
