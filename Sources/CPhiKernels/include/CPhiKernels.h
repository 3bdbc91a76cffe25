/* Arithmetic on raw memory for swift-phi: no allocation in operations, no files, no notion of a model.
 *
 * Every operation is a function over a range of independent items. All instruction sets compute the same bits as the plain C of
 * reference.c, whatever the range, so neither threads nor batches can change a result.
 *
 * Adding to it: an operation is a line in operations.inc, its arguments here, its plain form in reference.c and its vector form
 * in vector/. An encoding of weights is a line in encodings.inc and a file in encodings/. An instruction set is a line in
 * instruction_sets.inc and a file in isa/. */
#ifndef CPHI_KERNELS_H
#define CPHI_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Shapes of the file format (Formats/phi-file.md, section 3) ---- */

enum {
    PHI_TILE_ROWS = 16,
    PHI_STRIP_COLUMNS = 64,   /* columns are rounded up to whole strips */
    PHI_BLOCK_STRIPS = 4,     /* strips that share a scale, in weights and in activations; the last block may have fewer */
    PHI_BLOCK_COLUMNS = PHI_BLOCK_STRIPS * PHI_STRIP_COLUMNS,
    PHI_BLOCK_SCALE_BYTES = 32, /* before a block of integers: the f16 scales of its 16 rows */
    PHI_GROUP = 16,           /* columns of a row that may share a factor */
    PHI_CACHE_ZERO_POINT = 128, /* the stored byte that stands for zero in keys of the 8-bit cache */
    PHI_CACHE_GROUP = 32,     /* dimensions that share a scale in the 8-bit cache */
};

#if defined(__clang__)
#define PHI_SENDABLE __attribute__((swift_attr("@Sendable")))
#else
#define PHI_SENDABLE
#endif

/* An encoding of weights: a line of encodings.inc. Where there are block scales, a weight is an integer times its block's scale, and
 * products use activations that are quantised too; else it is a float. */
typedef struct PHI_SENDABLE {
    const char *name;
    uint32_t number;            /* in a .phi file */
    size_t strip_bytes;         /* of 16 rows by 64 columns, without the scales of their block */
    size_t block_scale_bytes;   /* before a block, PHI_BLOCK_SCALE_BYTES; 0 for floats */
    int32_t zero_point;         /* what makes an integer of a weight unsigned when added; 0 for floats */
    int32_t code_zero_point;    /* the code that stands for zero, if codes are multiplied by factors of groups; else 0 */
    int32_t largest;            /* magnitude of an integer; 0 for floats */
} phi_encoding;

size_t phi_encoding_count(void);
const phi_encoding *phi_encoding_at(size_t index);
/* The encoding with a number, which is how the functions below name it; null if there is none. */
const phi_encoding *phi_encoding_numbered(uint32_t number);

/* ---- Arguments of the operations ---- */

/* Quantises activations to int8 in blocks of 256 columns with an f32 scale: q = round(x * 127 / max|x|), scale = max|x| / 127; all
 * zero when max|x| is below 1e-30. Tokens are laid out in tiles of 16, the last of which may have fewer: in a tile of n tokens, one
 * strip of 64 columns of all n, then the next, so that a product reads them sequentially. Item: up to PHI_QUANTISE_CHUNK columns of
 * one tile, all of a tile's columns before the next tile's. */
enum {
    PHI_TOKEN_TILE = 16,
    PHI_QUANTISE_CHUNK = 1024,
    PHI_GEMV_TOKENS = 8, /* the most tokens whose products read weights in place; for more, blocks are first unpacked */
};
typedef struct {
    const float *x;     /* [tokens][x_stride]; columns and zeros up to width */
    size_t x_stride;
    size_t width;       /* columns rounded up to 64 */
    size_t tokens;
    int32_t zero_point, code_zero_point;    /* of the weights' encoding */
    int8_t *q;          /* [tokens / 16][width / 64][n][64] */
    float *scales;      /* [tokens / 16][width / 256][n] */
    int32_t *zero_corrections;          /* [tokens / 16][width / 256][n]: -zero_point * sum of the block's q */
    /* [width / 64][n][4], for up to PHI_GEMV_TOKENS: the lower 16 bits of -code_zero_point * sum of a group's q. */
    uint32_t *group_zero_corrections;
} phi_quantise_args;

/* out = W x + bias, or out += that. W is in tiles. Sums are taken
 *   floats:    acc = fma(w[k], x[k], acc) for k = 0, 1, ...
 *   integers:  acc = fma(float(sum of w[k] q[k] over a block), w_scale * x_scale, acc) for blocks 0, 1, ...
 * then y = acc + bias, and out = out + y when accumulating. Item: a few tiles for a few tokens, see phi_matmul_items. */
typedef struct {
    const void *weights;
    const float *bias;      /* [rows] */
    size_t rows, width;     /* width: columns rounded up to 64 */
    size_t tokens;
    const float *x;         /* for floats: [tokens][x_stride], zero beyond the columns */
    size_t x_stride;
    const int8_t *q;        /* for integers: as phi_quantise_args left them */
    const float *scales;
    const int32_t *zero_corrections;
    const uint32_t *group_zero_corrections;
    float *out;             /* [tokens][out_stride]; rows rounded up to 16 are written */
    size_t out_stride;
    bool accumulate;
    size_t tile_bytes;      /* set by phi_matmul_items */
} phi_matmul_args;

/* Appends keys and values to the KV cache: keys in tiles of 16 positions, [kv head][position / 16][head_size][16], values as
 * [kv head][position][value_size].
 *
 * The 8-bit cache has, for each position, kv head and group of 32 dimensions, an f16 scale = max|x| / 127 and integers
 * n = round(x / scale) within -127..127, all zero for a scale of zero. Keys are n + PHI_CACHE_ZERO_POINT in quads of dimensions,
 * [kv head][position / 16][head_size / 4][16][4], with head_size rounded up to 32, values n as above, and both kinds of
 * scales [kv head][position / 16][group][16]. Item: one kv head. */
typedef struct {
    const float *k, *v;     /* [tokens][stride], heads side by side */
    size_t stride;
    size_t tokens, first;   /* first: position of the first token */
    void *keys, *values;
    size_t key_stride, value_stride;    /* elements between kv heads */
    uint16_t *key_scales, *value_scales;
    size_t scale_stride;                /* elements between kv heads */
    size_t head_size;
    size_t value_size;      /* head_size rounded up to 16; elements beyond head_size are never written */
} phi_store_args;

/* Causal attention with a running softmax over blocks of 64 absolute positions. For every query and block:
 *   s[j] = scale log2(e) * sum over d of fma(q[d], k[j][d], .)      b = max s       m' = max(m, b)       c = 2^(m - m')
 *   p[j] = 2^(s[j] - m')       sum[l] = fma(sum[l], c, (p[l] + p[l+16]) + (p[l+32] + p[l+48]))  for 16 lanes l
 *   o[d] = o[d] * c, then fma(p[j], v[j][d], o[d]) for j = 0, 1, ...
 * and finally o / sum, the sum's lanes added as a tree of halves.
 *
 * With the 8-bit cache the query is quantised like an activation, and for groups g of 32 dimensions
 *   s[j] = scale log2(e) * sum over g of fma(float(sum of n_k n_q over the group), scale_k[j][g] * scale_q[g], .)
 *   e = 2^(b - m')     p[j] = 2^(s[j] - b)     sum[l] = fma(sum[l], c, e * ((p[l] + p[l+16]) + (p[l+32] + p[l+48])))
 *   w[j] = round(p[j] * (scale_v[j][g] * (PHI_WEIGHT_LARGEST / largest scale_v[.][g] that the query sees of the block)))
 *   o[d] = fma(float(sum over j of w[j] n_v[j][d]), e * (that scale / PHI_WEIGHT_LARGEST), o[d] * c)
 * Item: one head and PHI_QUERY_BLOCK queries. */
typedef struct {
    const float *q;         /* [tokens][q_stride], heads side by side */
    size_t q_stride;
    const void *keys, *values;          /* as phi_store_args left them; zero beyond head_size, with room for whole
                                         * blocks of positions */
    size_t key_stride, value_stride;    /* elements between kv heads */
    const uint16_t *key_scales, *value_scales;
    size_t scale_stride;                /* elements between kv heads */
    size_t head_size;
    size_t value_size;      /* head_size rounded up to 16; elements beyond head_size are zero */
    size_t heads, kv_heads;
    size_t first;           /* position of the first query */
    size_t tokens;
    float scale;
    float *out;             /* [tokens][out_stride] */
    size_t out_stride;
} phi_attention_args;
enum {
    PHI_QUERY_BLOCK = 32,
    PHI_POSITION_BLOCK = 64,
    PHI_MAX_HEAD_SIZE = 1024,
    PHI_WEIGHT_LARGEST = 254, /* of a position's weight: an unsigned byte, and the sum of two signed ones */
};

/* gelu_new(x) = x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))), which is Hugging Face's 0.5 x (1 + tanh(...)).
 * Item: up to PHI_GELU_CHUNK columns of one token. */
typedef struct {
    const float *x;         /* [tokens][x_stride] */
    size_t x_stride;
    float *out;             /* [tokens][out_stride] */
    size_t out_stride;
    size_t columns;
} phi_gelu_args;
enum { PHI_GELU_CHUNK = 512 };

/* Rounds weights to an encoding and lays them out in tiles. Item: one tile. Rows and columns beyond the matrix are zero.
 *
 * Integers also round with error feedback when they are given one (GPTQ, Frantar et al. 2022, arXiv 2210.17323, in the form
 * of LDLQ, Chee et al. 2023, arXiv 2307.13304). Column k of a run of `feedback_block` columns is then rounded from
 *   w[k] + sum over the run's j < k of (w[j] - stored[j]) * feedback[j][k]
 * one chain of fused multiply-adds in the order of j, instead of w[k]. A block's scale is chosen when the errors of all columns before
 * the block have been added, a group's factor when those before the group have; a search for them weights squared errors by importance. */
typedef struct {
    const float *rows;      /* [row count][columns] */
    size_t row_count, columns;
    void *out;              /* tiles, one after the other */
    double *errors;         /* [tiles]: sum of squared differences between the weights and what was stored */
    double *squares;        /* [tiles]: sum of squared weights */
    const float *feedback;  /* [columns / 16][feedback_block][16]: for 16 columns k, each column j of their run; or null */
    size_t feedback_block;  /* a multiple of PHI_BLOCK_COLUMNS */
    const float *importance;    /* [columns] */
    float *differences;     /* [tiles][columns][16]: w - stored, scratch memory */
} phi_encode_args;

/* Quantises the columns of up to PHI_GRAM_TOKENS activations for phi_gram_args: of each column q = round(v * 64 / max|v|) and
 * scale = max|v| / 64, where v is x or, if `less` is given, x - less; all zero when max|v| is below 1e-30, and the scale is not a number
 * when a v is not finite. Tokens and columns beyond the activations are zero. Item: 16 columns. */
enum { PHI_GRAM_TOKENS = 256, PHI_GRAM_LARGEST = 64 };
typedef struct {
    const float *x, *less;  /* [tokens][x_stride] */
    size_t x_stride;
    size_t columns, tokens;
    int8_t *q;              /* [columns / 16][PHI_GRAM_TOKENS / 4][16][4] */
    float *scales;          /* [columns / 16][16] */
    int32_t *zero_corrections;  /* [columns / 16][16]: -PHI_GRAM_LARGEST * sum of the column's q */
} phi_quantise_columns_args;

/* Adds to sums[i][j] the products of column i of `left` and column j of `right`, summed over tokens, for columns i and j of the same
 * block: for runs of tokens r = 0, 1, ... sums[i][j] = fma(float(sum of q[i] q[j]), left scale * right scale, sums[i][j]). If `upper` is
 * set, at least the diagonal and what is above it. Item: PHI_GRAM_ROWS rows of sums. */
enum { PHI_GRAM_ROWS = 32 };
typedef struct {
    const int8_t *left, *right;     /* [runs], each as phi_quantise_columns_args left it */
    const float *left_scales, *right_scales;
    const int32_t *zero_corrections;    /* of left */
    size_t columns, runs;
    size_t block;           /* columns of a block, a multiple of PHI_BLOCK_COLUMNS; the last may have fewer */
    bool upper;
    float *sums;            /* [columns][block], rows from their block's first column on; written to a multiple of 16 */
} phi_gram_args;

/* The machine's limits, for benchmarks. probe_read: an item reads PHI_PROBE_BYTES of memory. probe_dot: an item computes about
 * PHI_PROBE_DOTS integer dots of 16 rows by 4 columns from registers. */
typedef struct {
    const void *memory;     /* probe_dot: 64 bytes */
    int32_t *sink;          /* [items]: sums, so that no work can be optimised away */
} phi_probe_args;
enum { PHI_PROBE_BYTES = 1 << 16, PHI_PROBE_DOTS = 12000 };

/* ---- The table of one instruction set ---- */

typedef void (*phi_operation)(const void *args, size_t begin, size_t end);

typedef struct PHI_SENDABLE {
    const char *name;
#define PHI_OPERATION(operation, arguments) phi_operation operation;
#include "operations.inc"
#undef PHI_OPERATION
} phi_kernels;

/* Instruction sets in order of preference; the last is "reference", plain C, which every machine runs. */
size_t phi_instruction_set_count(void);
const phi_kernels *phi_instruction_set(size_t index);
bool phi_instruction_set_runs_here(size_t index);

/* The operations of operations.inc by number, for tests and benchmarks that iterate over them. */
size_t phi_operation_count(void);
const char *phi_operation_name(size_t index);
phi_operation phi_operation_at(const phi_kernels *kernels, size_t index);

/* The quantisation residual of a row of activations: x - scale * q. The width is a multiple of 64. */
void phi_quantisation_residual(const float *x, size_t width, float *residual);

/* The operations of `kernels` for an encoding; null if there is none of that number. */
phi_operation phi_matmul_operation(const phi_kernels *kernels, uint32_t encoding);
phi_operation phi_encode_operation(const phi_kernels *kernels, uint32_t encoding);

/* Bytes of a tile; 0 if there is no such encoding. */
size_t phi_tile_bytes(uint32_t encoding, size_t columns);
/* Number of items in a matrix product; sets args->tile_bytes. */
size_t phi_matmul_items(phi_matmul_args *args, uint32_t encoding);
size_t phi_quantise_items(const phi_quantise_args *args);
size_t phi_attention_items(const phi_attention_args *args);
size_t phi_quantise_columns_items(size_t columns);
size_t phi_gram_items(const phi_gram_args *args);
size_t phi_gelu_items(const phi_gelu_args *args, size_t tokens);

/* Dequantises one row of a tiled matrix: the embedding look-up. */
void phi_row(const void *weights, uint32_t encoding, size_t row, size_t columns, float *out);

/* The first fault of a strip, of which `rows` rows and `columns` columns are the matrix's and the others padding, in words that follow
 * the matrix's name; null if it has none. */
const char *phi_strip_fault(uint32_t encoding, const void *strip, size_t rows, size_t columns);

/* 16-bit floats to f32, exactly. */
float phi_half_to_float(uint16_t half);
/* f32 to the nearest f16, ties to even. */
uint16_t phi_float_to_half(float value);

/* ---- Threads ---- */

/* An operation in a list, all of its items, which the threads share by work stealing. */
typedef struct {
    phi_operation operation;
    const void *args;
    size_t items;
    bool waits;         /* for all steps before it; if not, it may run concurrently with the one before */
    size_t done;        /* items that are done; used by phi_run */
} phi_step;
enum { PHI_MAX_THREADS = 1024 };

/* Does all steps on up to PHI_MAX_THREADS threads, in one parallel region; returns when all are done. `shares` is scratch memory,
 * phi_share_stride(count) words for each thread. */
void phi_run(int threads, phi_step *steps, size_t count, uint64_t *shares);
size_t phi_share_stride(size_t count);
/* Starts threads for phi_run, and returns how many of `threads` there are, the caller included; fewer if the system allows no more. phi_run
 * then does with those. A caller with less than PHI_STACK_BYTES of its stack left does not count, since it only waits for the others: 0 if
 * there are none. */
int phi_reserve_threads(int threads);
/* Bytes of its stack that an operation may need: attention has 220 KB of variables. */
enum { PHI_STACK_BYTES = 256 << 10 };
/* Bytes that are left of the calling thread's stack; PTRDIFF_MAX where that is not known, as on a stack of the program's own making. */
size_t phi_stack_left(void);
/* The same as phi_run for one operation. */
void phi_parallel(int threads, size_t items, phi_operation operation, const void *args);

/* ---- Floating-point arithmetic ---- */

/* Sets the calling thread's arithmetic to IEEE's default, whatever the program has set: rounding to nearest, subnormal numbers, no traps.
 * Returns what phi_floats_end takes to restore it. phi_run does so in all threads. */
uint64_t phi_floats_begin(void);
void phi_floats_end(uint64_t before);

#endif
