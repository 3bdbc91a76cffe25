/* NEON with the matrix product of Armv8.6 (FEAT_I8MM), which multiplies 8 columns of two tokens by those of two rows. */
#include "../kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)

#define UNSIGNED_BY_SIGNED
#include "neon.h"

/* Of two tokens and eight pairs of rows: first token's two, second's two. */
typedef struct {
    int32x4_t of_rows[8];
} vt;

PHI_INLINE vt vt_zero(void) { return (vt){{vdupq_n_s32(0)}}; }
PHI_INLINE void pair_columns(uint8_t *strip) {
    for (int n = 0; n < 8; n++, strip += 128) {
        int32x4_t w[8];
        for (int r = 0; r < 4; r++) {
            int32x4_t x = load_bytes(strip + 16 * r), y = load_bytes(strip + 64 + 16 * r);
            w[2 * r] = vzip1q_s32(x, y);
            w[2 * r + 1] = vzip2q_s32(x, y);
        }
        for (int r = 0; r < 8; r++) vst1q_u8(strip + 16 * r, vreinterpretq_u8_s32(w[r]));
    }
}
PHI_INLINE vt vt_dot(vt sum, const uint8_t *weights, const int8_t *first, const int8_t *second) {
    int64x2_t x = vreinterpretq_s64_s8(vld1q_s8(first)), y = vreinterpretq_s64_s8(vld1q_s8(second));
    int8x16_t tokens[2] = {vreinterpretq_s8_s64(vzip1q_s64(x, y)), vreinterpretq_s8_s64(vzip2q_s64(x, y))};
    for (int n = 0; n < 2; n++)
        for (int r = 0; r < 8; r++)
            sum.of_rows[r] = vmmlaq_s32(sum.of_rows[r], tokens[n], vld1q_s8((const int8_t *)weights + 128 * n + 16 * r));
    return sum;
}
PHI_INLINE int32x4_t firsts(int32x4_t x, int32x4_t y) { return vcombine_s32(vget_low_s32(x), vget_low_s32(y)); }
PHI_INLINE int32x4_t seconds(int32x4_t x, int32x4_t y) { return vcombine_s32(vget_high_s32(x), vget_high_s32(y)); }
PHI_INLINE vi vt_of_token(vt sum, int token) {
    const int32x4_t *s = sum.of_rows;
    if (token == 0) return (vi){firsts(s[0], s[1]), firsts(s[2], s[3]), firsts(s[4], s[5]), firsts(s[6], s[7])};
    return (vi){seconds(s[0], s[1]), seconds(s[2], s[3]), seconds(s[4], s[5]), seconds(s[6], s[7])};
}

#define MATMUL_BY_PAIRS
#define MATMUL_TOKENS 4 /* sums of two pairs, weights and activations: 21 of the 32 registers */
#define INSTRUCTION_SET i8mm
#include "../vector/all.h"

#pragma clang attribute pop
#endif
