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

/* Tokens of a matmul item: their activations stay in L2 while tiles pass by. Whole token tiles. */
enum { PHI_TOKEN_BLOCK = 6 * PHI_TOKEN_TILE };

/* Tokens in the tile that begins with token `first`. */
PHI_INLINE size_t phi_tile_tokens(size_t tokens, size_t first) {
    return tokens - first < PHI_TOKEN_TILE ? tokens - first : PHI_TOKEN_TILE;
}

/* The tiles and tokens of item `item`. */
typedef struct {
    size_t tile, tile_end, token, token_end;
} phi_matmul_item;
phi_matmul_item phi_matmul_item_at(const phi_matmul_args *args, size_t item);

/* The token tile, which begins with token `first`, and the groups of item `item`. */
typedef struct {
    size_t first, tokens, group, group_end;
} phi_quantise_item;
phi_quantise_item phi_quantise_item_at(const phi_quantise_args *args, size_t item);

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

/* The 8-bit cache: dimensions with those that fill the last group, and where a position's scales begin. */
PHI_INLINE size_t phi_cache_groups(size_t head_size) { return (head_size + PHI_GROUP - 1) / PHI_GROUP; }
PHI_INLINE size_t phi_cache_scale_at(size_t position, size_t groups) {
    return position / 16 * groups * 16 + position % 16;
}

#define PHI_GELU_CUBE 0.044715f
#define PHI_GELU_FACTOR (-1.5957691216057308f) /* -2 sqrt(2/pi) */
#define PHI_QUANTISE_LEAST 1e-30f
#define PHI_ATTENTION_LEAST (-1e30f) /* the running maximum before the first block */

/* Scale search of q4: the element of largest size is put on a level near either end of the codebook, times each of
 * these; the candidate of least squared error wins, the first among equals. */
#define PHI_Q4_SEARCH_STEPS 9
#define PHI_Q4_SEARCH_FACTOR(step) (0.84f + 0.04f * (float)(step))
#define PHI_HALF_MAX 65504.0f

/* Between level j and the next: what lies above it takes the next. */
PHI_INLINE float phi_q4_middle(int j) {
    return 0.5f * (float)(phi_q4_levels[j] + phi_q4_levels[j + 1]) - (float)PHI_ZERO_Q4;
}

#endif
