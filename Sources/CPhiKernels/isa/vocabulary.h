/* The vocabulary of the vector kernels: all that an instruction set must define before it includes vector/all.h. Whatever the width of
 * its registers, its types have sixteen lanes, lane l is row, dimension or position l, and results are the same bits. This file
 * declares each function once more, so that one that is missing, or has other types, does not compile.
 *
 * Types, of one register or of a struct of several:
 *   vf  sixteen f32
 *   vi  sixteen int32
 *   vw  weights: 64 bytes, 4 columns of 16 rows, row after row
 *   vq  activations: the same 4 bytes for each row
 *   vp  a part of a vi or vw, one register: PART_ROWS of the 16 rows, PARTS of which make them all
 *   vp_group  for these rows, q4's codes of 16 columns and the factors in the form that vp_accumulate_group takes
 * Memory may have any alignment except where 64 bytes are required. */

#pragma clang diagnostic push
#pragma clang diagnostic error "-Wundefined-internal"

/* clang-format off */

/* ---- f32 ---- */

PHI_INLINE vf vf_set(float x);                          /* x in each lane */
PHI_INLINE vf vf_lanes(void);                           /* 0, 1, ... 15 */
PHI_INLINE vf vf_load(const float *p);
PHI_INLINE vf vf_load_half(const uint16_t *p);          /* from f16 */
PHI_INLINE vf vf_load_bytes(const int8_t *p);           /* from int8 */
PHI_INLINE void vf_store(float *p, vf x);
PHI_INLINE void vf_store_half(uint16_t *p, vf x);       /* to the nearest f16, ties to even */
PHI_INLINE vf vf_add(vf x, vf y);
PHI_INLINE vf vf_sub(vf x, vf y);
PHI_INLINE vf vf_mul(vf x, vf y);
PHI_INLINE vf vf_div(vf x, vf y);
PHI_INLINE vf vf_fma(vf x, vf y, vf z);                 /* x y + z, rounded once */
PHI_INLINE vf vf_max(vf x, vf y);                       /* x > y ? x : y, so y where one is a NaN */
PHI_INLINE vf vf_min(vf x, vf y);                       /* x < y ? x : y */
PHI_INLINE vf vf_abs(vf x);
PHI_INLINE vf vf_where_less(vf p, vf q, vf x, vf y);    /* p < q ? x : y */
PHI_INLINE vf vf_times_power(vf p, vi n);               /* p 2^n for results that are normal numbers */
PHI_INLINE vf vf_of(vi x);                              /* from int32 */
PHI_INLINE vi vf_round(vf x);                           /* to the nearest int32, ties to even */
PHI_INLINE float vf_lane_max(vf x);
PHI_INLINE float vf_lane_sum(vf x);                     /* a tree of halves: lanes l and l + 8, then l + 4, l + 2, l + 1 */

/* ---- int32 ---- */

PHI_INLINE vi vi_set(int32_t x);
PHI_INLINE vi vi_add(vi x, vi y);
PHI_INLINE int32_t vi_lane_sum(vi x);
PHI_INLINE void vi_store_bytes(int8_t *p, vi x);        /* the lowest byte of each lane */

/* ---- Weighted sums of the 8-bit cache's values ---- */

/* Weights of 0 to PHI_WEIGHT_LARGEST have the type vweight, uint8_t or int16_t. */
PHI_INLINE void vi_store_weights(vweight *p, vi x);
/* 16 dimensions of four positions, `stride` bytes apart, in the form that vi_weigh takes, VALUE_VECTORS registers; sum + their sum,
 * each times its weight. */
PHI_INLINE void vw_load_values(const int8_t *p, size_t stride, vw values[VALUE_VECTORS]);
PHI_INLINE vi vi_weigh(vi sum, const vw values[VALUE_VECTORS], const vweight weights[4]);

/* ---- Dot products of bytes ---- */

/* A dot starts with vi_start_*, whose argument is -zero point * sum of all activations that follow, and adds 4 columns at a time with
 * vi_dot_*; it ends as the exact sum of weights, less their zero point, times activations of -127 to 127. Where dots of signed bytes
 * are as fast, weights lose their zero point when they are loaded or unpacked, and vi_start_* ignores its argument.
 *   u8: weights of 1 to 255 with a zero point of 128, as vw_load_u8 returns them
 *   u7: weights of 0 to 128 with a zero point of 64, as unpack_q4 stores them, or nibbles, with one of 0 or 8 */
PHI_INLINE vq vq_load(const int8_t *q);
PHI_INLINE vw vw_load_u8(const uint8_t *p);
PHI_INLINE vi vi_start_u8(int32_t zero_correction);
PHI_INLINE vi vi_dot_u8(vi sum, vw weights, vq four);
PHI_INLINE vi vi_start_u7(int32_t zero_correction);
PHI_INLINE vi vi_dot_u7(vi sum, vw weights, vq four);
PHI_INLINE vw vw_load(const uint8_t *p);                /* unpacked weights, aligned to 64 bytes */
PHI_INLINE void vw_store(uint8_t *p, vw w);
PHI_INLINE vw vw_load_u7(const int8_t *p);              /* signed bytes of -64 to 64, as weights of vi_dot_u7 */

/* ---- Dot products of a few tokens, a part of the rows at a time, so that all their sums stay in registers ---- */

PHI_INLINE vi vi_load(const int32_t *p);                /* aligned to 64 bytes, as in vp_store */
PHI_INLINE vp vp_set(int32_t x);
PHI_INLINE vp vp_add(vp x, vp y);
PHI_INLINE void vp_store(int32_t *p, int part, vp x);   /* where a vi has the part */
PHI_INLINE vp vp_load(const uint8_t *p, int part);      /* the part of a vw */
PHI_INLINE vp vp_or(vp x, vp y);
PHI_INLINE vp vp_shift_right(vp x, int bits);           /* of lanes of 16 bits; to the left if it is negative */
PHI_INLINE vp vp_merge(vp lower, vp third);             /* bits 0 and 1 of each byte of one, bit 2 of the other */
PHI_INLINE vp vp_table(const uint8_t bytes[16]);
PHI_INLINE vp vp_look_up(vp table, vp numbers);         /* for each byte, of 0 to 15, that byte of the table */
PHI_INLINE vp vp_start_u8(int32_t zero_correction);     /* as vi_start_u8 */
PHI_INLINE vp vp_load_u8(const uint8_t *p, int part);   /* the part of a vw */
PHI_INLINE vp vp_dot_u8(vp sum, vp weights, const int8_t *q);
/* q4's codes of a group and its factors; then sum + factors (codes q + zero_correction), where what is in brackets fits in 16 bits. */
PHI_INLINE vp vp_load_factors(const uint8_t *strip, int part, int g);
PHI_INLINE void vp_load_codes(const uint8_t *strip, int part, int g, vp codes[4], int tokens); /* of the product */
PHI_INLINE vp vp_accumulate_group(vp sum, const vp_group *w, const int8_t *q, uint32_t zero_correction);

/* ---- q4 ---- */

PHI_INLINE void vw_load_nibbles(const uint8_t *p, vw *low, vw *high);
/* Codes times factors of a strip as 16 vw, `step` bytes apart and aligned to 64; for a dot unit without a zero point. */
PHI_INLINE void unpack_q4(const uint8_t *strip, uint8_t *to, size_t step, bool is_signed);

/* ---- Unpacking in registers beside the dots: defined together with MATMUL_UNPACK_TOKENS, the fewest tokens of a GEMV for which it is
 * faster, where PARTS is 1 ---- */

#ifdef MATMUL_UNPACK_TOKENS
PHI_INLINE vw vw_strip_factors(const uint8_t *strip);
/* Group g of a strip with these factors, as unpack_q4 stores it. */
PHI_INLINE void vw_unpack_group(const uint8_t *strip, vw factors, int g, vw weights[4]);
#endif

/* ---- GEMM by groups, where their factors are not multiplied into codes beforehand: defined together with MATMUL_BY_GROUPS ---- */

#ifdef MATMUL_BY_GROUPS
#define MATMUL_BIAS 128                                 /* makes activations unsigned */
PHI_INLINE vp vp_sub(vp x, vp y);
PHI_INLINE vp_group vp_centred(vp_group w);             /* codes less their zero point */
PHI_INLINE vp vp_accumulate_biased(vp sum, const vp_group *w, const uint8_t *biased); /* sum + factors codes biased */
#endif

/* ---- GEMM by pairs of tokens, where an instruction multiplies two tokens by two rows: defined together with MATMUL_BY_PAIRS ----
 * Its type vt holds sixteen int32 of two tokens each. */

#ifdef MATMUL_BY_PAIRS
PHI_INLINE vt vt_zero(void);
PHI_INLINE void pair_columns(uint8_t *strip);           /* a strip of vw, in place, to the order that vt_dot takes */
PHI_INLINE vt vt_dot(vt sum, const uint8_t *weights, const int8_t *first, const int8_t *second); /* 16 columns, signed */
PHI_INLINE vi vt_of_token(vt sum, int token);           /* 0 or 1 */
#endif

/* ---- A dot unit, if there is one: defined together with MATMUL_DOT_UNIT ---- */

#ifdef MATMUL_DOT_UNIT
#ifndef MATMUL_UNIT_TOKENS
#error "a dot unit must define MATMUL_UNIT_TOKENS: the fewest tokens for which it is used"
#endif
PHI_INLINE void dot_unit_begin(size_t tokens);          /* sets it up for so many tokens, up to 16 */
PHI_INLINE void dot_unit_end(void);
PHI_INLINE void dot_unit_zero(int tiles);               /* dots of `tiles` tiles, 1 to MATMUL_TILES, become zero */
PHI_INLINE void dot_unit_add(const int8_t *q, const uint8_t (*weights)[64], int tiles); /* a strip of each */
PHI_INLINE void dot_unit_store(int32_t (*dots)[PHI_TOKEN_TILE][PHI_TILE_ROWS], int tiles);
PHI_INLINE vw vw_signed_u8(vw w);                       /* weights of vw_load_u8 less their zero point */
#endif

/* clang-format on */
#pragma clang diagnostic pop

/* ---- Macros ---- */

#ifndef INSTRUCTION_SET
#error "an instruction set must define INSTRUCTION_SET: its symbol in instruction_sets.inc"
#endif
#if !defined(MATMUL_TOKENS) || !defined(MATMUL_TILES)
#error "an instruction set must define MATMUL_TOKENS and MATMUL_TILES: tokens and tiles whose sums its registers hold"
#endif
#if !defined(ATTENTION_QUERIES) || !defined(ATTENTION_TILES)
#error "an instruction set must define ATTENTION_QUERIES and ATTENTION_TILES: queries, and tiles of keys (1 or 2) for them"
#endif
#ifndef PARTS
#error "an instruction set must define PARTS: the registers of a vi; and PART_ROWS, 16 / PARTS"
#endif
#if defined(MATMUL_UNPACK_TOKENS) && (PARTS > 1 || defined(MATMUL_BY_GROUPS) || defined(MATMUL_BY_PAIRS))
#error "MATMUL_UNPACK_TOKENS needs a vi in one register, and a GEMM neither by groups nor by pairs"
#endif
#ifndef PROBE_CHAINS
#error "an instruction set must define PROBE_CHAINS: independent dots that keep its integer units busy"
#endif
#ifndef OPAQUE
#error "an instruction set must define OPAQUE(x): a statement after which the compiler knows nothing of a vq's value"
#endif
