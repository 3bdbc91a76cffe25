/* What the files of this module share. */
#ifndef PHI_KERNELS_INTERNAL_H
#define PHI_KERNELS_INTERNAL_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "CPhiKernels.h"

/* a * b + c rounds twice where it is written so, on every instruction set. */
#pragma STDC FP_CONTRACT OFF

#define PHI_INLINE static inline __attribute__((always_inline))

PHI_INLINE size_t phi_min(size_t a, size_t b) { return a < b ? a : b; }

/* The most tokens of a matmul item, whole token tiles. */
enum { PHI_TOKEN_BLOCK = 16 * PHI_TOKEN_TILE };

/* Tokens in the tile that begins with token `first`. */
PHI_INLINE size_t phi_tile_tokens(size_t tokens, size_t first) { return phi_min(tokens - first, PHI_TOKEN_TILE); }

/* The tiles and tokens of item `item`. */
typedef struct {
    size_t tile, tile_end, token, token_end;
} phi_matmul_item;
phi_matmul_item phi_matmul_item_at(const phi_matmul_args *args, size_t item);

/* The token tile, which begins with token `first`, and the blocks of item `item`. */
typedef struct {
    size_t first, tokens, block, block_end;
} phi_quantise_item;
phi_quantise_item phi_quantise_item_at(const phi_quantise_args *args, size_t item);

/* The head and the queries of item `item`. */
typedef struct {
    size_t head, token, token_end;
} phi_attention_item;
phi_attention_item phi_attention_item_at(const phi_attention_args *args, size_t item);

/* The rows and columns of item `item`; its first row and column begin tiles. */
typedef struct {
    size_t row, row_end, column, column_end;
} phi_gram_item;
phi_gram_item phi_gram_item_at(const phi_gram_args *args, size_t item);

/* exp(x) for x <= 88, zero below -87: n = round(x / ln 2), then a polynomial for exp(x - n ln 2) (Cephes expf). */
#define PHI_EXP_LOW (-87.0f)
#define PHI_EXP_HIGH 88.0f
#define PHI_EXP_LOG2E 1.44269504088896341f
#define PHI_EXP_LN2_HIGH 0.693359375f
#define PHI_EXP_LN2_LOW (-2.12194440e-4f)
#define PHI_EXP_C0 1.9875691500e-4f
#define PHI_EXP_C1 1.3981999507e-3f
#define PHI_EXP_C2 8.3334519073e-3f
#define PHI_EXP_C3 4.1665795894e-2f
#define PHI_EXP_C4 1.6666665459e-1f
#define PHI_EXP_C5 5.0000001201e-1f

/* 2^x, zero below -126: n = round(x), then a polynomial for 2^(x - n) (Cephes exp2f). */
#define PHI_EXP2_LOW (-126.0f)
#define PHI_EXP2_C0 1.535336188319500e-4f
#define PHI_EXP2_C1 1.339887440266574e-3f
#define PHI_EXP2_C2 9.618437357674640e-3f
#define PHI_EXP2_C3 5.550332471162809e-2f
#define PHI_EXP2_C4 2.402264791363012e-1f
#define PHI_EXP2_C5 6.931472028550421e-1f

/* Blocks of a row of `width` columns, a multiple of 64, and strips of one of them. */
PHI_INLINE size_t phi_blocks(size_t width) { return (width + PHI_BLOCK_COLUMNS - 1) / PHI_BLOCK_COLUMNS; }
PHI_INLINE size_t phi_block_strips(size_t width, size_t block) {
    return phi_min(width / PHI_STRIP_COLUMNS - block * PHI_BLOCK_STRIPS, PHI_BLOCK_STRIPS);
}
/* Where phi_encode_args's feedback has the factor of column j for column k. */
PHI_INLINE size_t phi_feedback_at(const phi_encode_args *a, size_t j, size_t k) {
    return (k / PHI_GROUP * a->feedback_block + j % a->feedback_block) * PHI_GROUP + k % PHI_GROUP;
}
/* Where the group that begins with column k of a block of `count` columns ends. */
PHI_INLINE size_t phi_group_end(size_t count, size_t k) { return phi_min(k + PHI_GROUP, count); }

/* ---- Encodings ---- */

/* Their lines in the list, as constants: phi_f32, phi_f16, phi_q8 and so on. */
#define PHI_ENCODING(name, ...) static const phi_encoding phi_##name = {#name, __VA_ARGS__};
#include "encodings.inc"
#undef PHI_ENCODING

/* Bytes from a tile's start to its strip `strip`; to the scales of a block, block_scale_bytes less. */
PHI_INLINE size_t phi_strip_at(size_t strip, const phi_encoding *e) {
    return strip * e->strip_bytes + (strip / PHI_BLOCK_STRIPS + 1) * e->block_scale_bytes;
}
PHI_INLINE size_t phi_encoding_tile_bytes(const phi_encoding *e, size_t columns) {
    size_t strips = (columns + PHI_STRIP_COLUMNS - 1) / PHI_STRIP_COLUMNS;
    return strips * e->strip_bytes + (strips + PHI_BLOCK_STRIPS - 1) / PHI_BLOCK_STRIPS * e->block_scale_bytes;
}

/* For phi_strip_fault: the bits that an encoding stores for row i, column k of a strip, and what is checked of them. */
typedef uint32_t (*phi_stored)(const uint8_t *strip, size_t i, size_t k);
#define PHI_FAULT_PADDING "has padding that is not zero"

PHI_INLINE bool phi_padding_is_zero(const uint8_t *strip, size_t rows, size_t columns, phi_stored stored) {
    for (size_t k = 0; k < PHI_STRIP_COLUMNS; k++)
        for (size_t i = k < columns ? rows : 0; i < PHI_TILE_ROWS; i++)
            if (stored(strip, i, k)) return false;
    return true;
}

/* `exponent`: its bits, which are all set in an infinity or a NaN. */
PHI_INLINE const char *phi_float_fault(const uint8_t *strip, size_t rows, size_t columns, phi_stored stored,
                                       uint32_t exponent) {
    if (!phi_padding_is_zero(strip, rows, columns, stored)) return PHI_FAULT_PADDING;
    bool is_finite = true;
    for (size_t k = 0; k < PHI_STRIP_COLUMNS; k++)
        for (size_t i = 0; i < PHI_TILE_ROWS; i++) is_finite &= (stored(strip, i, k) & exponent) != exponent;
    return is_finite ? NULL : "has an element that is not finite";
}

#include "encodings/all.h"

/* ---- The KV cache ---- */

/* The 8-bit cache: dimensions with those that fill the last group, and where a position's scales begin. */
PHI_INLINE size_t phi_cache_groups(size_t head_size) { return (head_size + PHI_CACHE_GROUP - 1) / PHI_CACHE_GROUP; }
PHI_INLINE size_t phi_cache_scale_at(size_t position, size_t groups) { return position / 16 * groups * 16 + position % 16; }
/* Dimensions of the group that begins with dimension d. */
PHI_INLINE size_t phi_cache_group_size(size_t head_size, size_t d) { return phi_min(head_size - d, PHI_CACHE_GROUP); }

/* The factor that scales a block's weights, of which the largest scale of values is `largest`, to integers, and the step between them. */
PHI_INLINE float phi_weigh_by(float largest, float *step) {
    *step = largest / PHI_WEIGHT_LARGEST;
    return largest > 0 ? PHI_WEIGHT_LARGEST / largest : 0;
}

#define PHI_GELU_CUBE 0.044715f
#define PHI_GELU_FACTOR (-1.5957691216057308f) /* -2 sqrt(2/pi) */
#define PHI_QUANTISE_LEAST 1e-30f

/* The factor that scales x, of magnitude up to `largest`, to integers of up to 127, and the scale that reverses it. */
PHI_INLINE float phi_quantise_by(float largest, float *scale) {
    bool zero = largest < PHI_QUANTISE_LEAST;
    *scale = zero ? 0 : largest / 127.0f;
    return zero ? 0 : 127.0f / largest;
}

/* Of phi_quantise_columns_args: tiles of 16 columns, and where q has token t of column c. */
PHI_INLINE size_t phi_gram_tiles(size_t columns) { return (columns + PHI_TILE_ROWS - 1) / PHI_TILE_ROWS; }
PHI_INLINE size_t phi_gram_at(size_t c, size_t t) {
    return c / PHI_TILE_ROWS * PHI_TILE_ROWS * PHI_GRAM_TOKENS + t / 4 * 64 + c % PHI_TILE_ROWS * 4 + t % 4;
}

#define PHI_ATTENTION_LEAST (-1e30f) /* the running maximum before the first block */

#define PHI_HALF_MAX 65504.0f

#endif
