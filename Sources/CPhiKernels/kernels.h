/* What the files of this room share. */
#ifndef PHI_KERNELS_INTERNAL_H
#define PHI_KERNELS_INTERNAL_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "CPhiKernels.h"

/* a * b + c must round twice where it is written so: it would differ between instruction sets. */
#pragma STDC FP_CONTRACT OFF

#define PHI_INLINE static inline __attribute__((always_inline))

/* The most tokens of a matmul item, whole token tiles. */
enum { PHI_TOKEN_BLOCK = 16 * PHI_TOKEN_TILE };

/* Tokens in the tile that begins with token `first`. */
PHI_INLINE size_t phi_tile_tokens(size_t tokens, size_t first) {
    return tokens - first < PHI_TOKEN_TILE ? tokens - first : PHI_TOKEN_TILE;
}

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

/* What opens each block of weights: nothing where they are floats. */
PHI_INLINE size_t phi_head_bytes(size_t strip_bytes) {
    return strip_bytes == PHI_STRIP_BYTES_Q8 || strip_bytes == PHI_STRIP_BYTES_Q4 ? PHI_HEAD_BYTES : 0;
}
/* Blocks of a row of `width` columns, a multiple of 64, and strips of one of them. */
PHI_INLINE size_t phi_blocks(size_t width) { return (width + PHI_BLOCK_COLUMNS - 1) / PHI_BLOCK_COLUMNS; }
PHI_INLINE size_t phi_block_strips(size_t width, size_t block) {
    size_t left = width / PHI_STRIP_COLUMNS - block * PHI_BLOCK_STRIPS;
    return left < PHI_BLOCK_STRIPS ? left : PHI_BLOCK_STRIPS;
}
/* Bytes from a tile's start to its strip `strip`; to the head of a block, PHI_HEAD_BYTES less. */
PHI_INLINE size_t phi_strip_at(size_t strip, size_t strip_bytes) {
    return strip * strip_bytes + (strip / PHI_BLOCK_STRIPS + 1) * phi_head_bytes(strip_bytes);
}
/* A strip of q4: the factor and the code of row i, column k. */
PHI_INLINE int phi_factor_q4(const uint8_t *strip, size_t i, size_t k) {
    uint16_t four;
    memcpy(&four, strip + 2 * i, 2);
    return ((four >> k / PHI_GROUP * 4 & 15) ^ 8) - 8;
}
PHI_INLINE int phi_code_q4(const uint8_t *strip, size_t i, size_t k) {
    uint8_t pair = strip[PHI_FACTOR_BYTES + 64 * (k / 8) + 4 * i + k % 4];
    return k / 4 % 2 ? pair >> 4 : pair & 15;
}

/* The integers that a block's scale multiplies. */
PHI_INLINE int phi_weight_q4(const uint8_t *strip, size_t i, size_t k) {
    return phi_factor_q4(strip, i, k) * (phi_code_q4(strip, i, k) - PHI_CODE_ZERO_Q4);
}
PHI_INLINE int phi_weight_q8(const uint8_t *strip, size_t i, size_t k) { return strip[64 * (k / 4) + 4 * i + k % 4] - PHI_ZERO_Q8; }

/* The 8-bit cache: dimensions with those that fill the last group, and where a position's scales begin. */
PHI_INLINE size_t phi_cache_groups(size_t head_size) { return (head_size + PHI_CACHE_GROUP - 1) / PHI_CACHE_GROUP; }
PHI_INLINE size_t phi_cache_scale_at(size_t position, size_t groups) {
    return position / 16 * groups * 16 + position % 16;
}

#define PHI_GELU_CUBE 0.044715f
#define PHI_GELU_FACTOR (-1.5957691216057308f) /* -2 sqrt(2/pi) */
#define PHI_QUANTISE_LEAST 1e-30f

/* What makes integers of up to 127 of x, the largest of which is `largest`, and what makes x of them again. */
PHI_INLINE float phi_quantise_by(float largest, float *scale) {
    bool zero = largest < PHI_QUANTISE_LEAST;
    *scale = zero ? 0 : largest / 127.0f;
    return zero ? 0 : 127.0f / largest;
}

#define PHI_ATTENTION_LEAST (-1e30f) /* the running maximum before the first block */

#define PHI_HALF_MAX 65504.0f

/* The search for q4's scales: a block's largest weight is put on 64 times each of these, and for each scale a group tries
 * the factors around the one that its own largest weight asks for; the least squared error wins, the first among equals. */
#define PHI_Q4_SCALES 5
#define PHI_Q4_SCALE_FACTOR(step) (0.84f + 0.06f * (float)(step))
#define PHI_Q4_FACTORS 3

#endif
