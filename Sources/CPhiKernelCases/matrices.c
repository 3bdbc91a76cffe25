/* Cases of the matrix products and of encoding weights into tiles. */
#include <math.h>
#include <stdio.h>

#include "cases.h"

/* Random tiles: floats encoded by the reference, or any integers that the format allows. */
static void fill_tiles(phi_case *c, const phi_encoding *e, uint8_t *tiles, size_t count, size_t width) {
    if (!e->zero_point) {
        float *rows = allocate_scratch(c, "float weights", count * PHI_TILE_ROWS * width, sizeof *rows);
        for (size_t i = 0; i < count * PHI_TILE_ROWS * width; i++) rows[i] = draw_float(c, i % 61 ? 0.05f : 1e-6f);
        double *sums = allocate_scratch(c, "sums", 2 * count, sizeof *sums);
        phi_encode_args a = {.rows = rows,
                             .row_count = count * PHI_TILE_ROWS,
                             .columns = width,
                             .out = tiles,
                             .errors = sums,
                             .squares = sums + count};
        phi_encode_operation(reference(), e->number)(&a, 0, count);
        return;
    }
    for (size_t strip = 0; strip < count * (width / PHI_STRIP_COLUMNS); strip++) {
        if (strip % (width / PHI_STRIP_COLUMNS) % PHI_BLOCK_STRIPS == 0)
            for (size_t i = 0; i < PHI_TILE_ROWS; i++, tiles += 2) {
                uint16_t scale = draw(c) % 64 ? phi_float_to_half(draw_float(c, 0.05f)) : (uint16_t)(draw(c) & 0x83ff);
                memcpy(tiles, &scale, 2);
            }
        for (size_t i = 0; i < e->strip_bytes; i++) {
            uint64_t random = draw(c) >> 17;
            if (!e->code_zero_point) /* else any byte is a pair of codes */
                random = (uint64_t)(e->zero_point - e->largest) + random % (uint64_t)(2 * e->largest + 1);
            *tiles++ = (uint8_t)random;
        }
    }
}

/* ---- Products ---- */

static void prepare_matmul(phi_case *c, const phi_case_shape *s, const phi_encoding *e) {
    enum { DIFFERENT_TILES = 64 }; /* the others repeat them */
    phi_matmul_args a = {
        .rows = s->rows, .width = round_up(s->columns, PHI_STRIP_COLUMNS), .tokens = s->tokens, .accumulate = s->accumulate};
    size_t tile_bytes = phi_tile_bytes(e->number, a.width), blocks = divide_up(a.width, PHI_BLOCK_COLUMNS);
    size_t out_rows = round_up(a.rows, PHI_TILE_ROWS), bytes = out_rows / PHI_TILE_ROWS * tile_bytes,
           copies = copies_of(c, bytes);
    uint8_t *weights = allocate(c, "weights", copies * bytes, 1);
    size_t tiles = copies * bytes / tile_bytes, different = tiles < DIFFERENT_TILES ? tiles : DIFFERENT_TILES;
    fill_tiles(c, e, weights, different, a.width);
    for (size_t at = different * tile_bytes; at < copies * bytes; at += tile_bytes)
        memcpy(weights + at, weights + at - different * tile_bytes, tile_bytes);
    a.weights = weights;
    a.bias = allocate_floats(c, "bias", a.rows, 1);
    a.x_stride = a.width + (s->variant ? s->tokens % 3 : 0);
    float *x = allocate_floats(c, "x", (a.tokens - 1) * a.x_stride + a.width, 1);
    for (size_t i = 0; s->variant && i < 32; i++) x[i] = x[i] < 0 ? -1.0f : 1.0f;
    for (size_t t = 0; t < a.tokens; t++)
        for (size_t k = s->columns; k < a.width; k++) x[t * a.x_stride + k] = 0;
    a.x = x;
    if (e->zero_point) {
        phi_quantise_args quantise = quantise_arguments(c, e, a.x, a.x_stride, a.width, a.tokens);
        reference()->quantise(&quantise, 0, phi_quantise_items(&quantise));
        a.q = quantise.q;
        a.scales = quantise.scales;
        a.zero_corrections = quantise.zero_corrections;
        a.group_zero_corrections = quantise.group_zero_corrections;
    }
    a.out_stride = out_rows + s->variant % 3;
    a.out = allocate_floats(c, "out", (a.tokens - 1) * a.out_stride + out_rows, 1);
    c->items = phi_matmul_items(&a, e->number);
    size_t activation_bytes = a.tokens * (e->zero_point ? a.width + blocks * 8 : a.width * 4);
    c->bytes = (double)(bytes + activation_bytes + a.tokens * a.rows * 4);
    c->arithmetic = 2.0 * (double)a.rows * (double)s->columns * (double)a.tokens;
    phi_matmul_args *all = set_arguments(c, &a, sizeof a, copies);
    for (size_t i = 0; i < copies; i++) all[i].weights = weights + i * bytes;
}

static bool checked_matmul(size_t index, phi_case_shape *s) {
    static const size_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 15, 16, 17, 24, 31, 32, 33, 37, 49, 97, 101};
    static const size_t rows[] = {1, 16, 17, 33, 50, 130}, columns[] = {1, 64, 100, 192, 257, 320, 600};
    static const phi_case_shape more[] = {
        {.rows = 130, .columns = 2048, .tokens = 3}, {.rows = 2750, .columns = 64, .tokens = 1},
        {.rows = 70, .columns = 192, .tokens = 257}, {.rows = 130, .columns = 576, .tokens = 40},
        {.rows = 112, .columns = 448, .tokens = 16}, {.rows = 40, .columns = 1088, .tokens = 1},
        {.rows = 130, .columns = 600, .tokens = 1},
    };
    enum { ROUNDS = 3 };
    if (index >= ROUNDS * COUNT(tokens) + COUNT(more)) return false;
    if (index < ROUNDS * COUNT(tokens))
        *s = (phi_case_shape){
            .rows = rows[index % COUNT(rows)], .columns = columns[index % COUNT(columns)], .tokens = tokens[index / ROUNDS]};
    else *s = more[index - ROUNDS * COUNT(tokens)];
    s->accumulate = index % 2;
    s->variant = index + 1;
    return true;
}

static int describe_matmul(const phi_case_shape *s, char *text, size_t bytes) {
    return snprintf(text, bytes, "%zu x %zu%s, %zu tokens", s->rows, s->columns, s->accumulate ? ", accumulated" : "",
                    s->tokens);
}

/* Of a prompt only the last token needs the head. */
static const phi_case_shape timed_matmul[] = {
    {.rows = 3 * PHI1_HIDDEN + PHI1_INTERMEDIATE, .columns = PHI1_HIDDEN},
    {.rows = PHI1_HIDDEN, .columns = PHI1_HIDDEN + PHI1_INTERMEDIATE, .accumulate = true},
    {.rows = PHI1_VOCABULARY, .columns = PHI1_HIDDEN, .tokens = 1},
};

/* Floats are not timed: models run in them for comparison only. */
#define PHI_ENCODING(name, number, strip_bytes, scale_bytes, zero_point, ...) \
    static void prepare_matmul_##name(phi_case *c, const phi_case_shape *s) { \
        prepare_matmul(c, s, phi_encoding_numbered(number)); \
    } \
    const operation_cases cases_of_matmul_##name = {prepare_matmul_##name, checked_matmul, timed_matmul, \
                                                    zero_point ? COUNT(timed_matmul) : 0, describe_matmul};
#include <encodings.inc>
#undef PHI_ENCODING

/* ---- Weights into tiles ---- */

static void prepare_encode(phi_case *c, const phi_case_shape *s, uint32_t encoding) {
    size_t tiles = divide_up(s->rows, PHI_TILE_ROWS);
    phi_encode_args a = {.row_count = s->rows, .columns = s->columns, .feedback_block = s->feedback_block};
    float *w = allocate_floats(c, "rows", s->rows * s->columns, 0.02f);
    for (size_t i = 0; i < s->rows * s->columns; i++) {
        if (i % 192 < 40) w[i] = 0;
        if (i / s->columns == 2) w[i] *= 1e-9f;
        if (i / s->columns == 3) w[i] *= 1e9f;
    }
    a.rows = w;
    a.out = allocate(c, "out", tiles, phi_tile_bytes(encoding, s->columns));
    a.errors = allocate(c, "errors", tiles, sizeof *a.errors);
    a.squares = allocate(c, "squares", tiles, sizeof *a.squares);
    if (a.feedback_block) {
        a.feedback = allocate_floats(c, "feedback", round_up(s->columns, PHI_GROUP) * a.feedback_block, 0.1f);
        float *importance = allocate_floats(c, "importance", s->columns, 1);
        for (size_t k = 0; k < s->columns; k++) importance[k] = fabsf(importance[k]) + 0.01f;
        a.importance = importance;
        a.differences = allocate_scratch(c, "differences", tiles * s->columns * PHI_TILE_ROWS, sizeof *a.differences);
    }
    c->items = tiles;
    c->bytes = (double)(s->rows * s->columns * 4 + tiles * phi_tile_bytes(encoding, s->columns));
    set_arguments(c, &a, sizeof a, 1);
}

static bool checked_encode(size_t index, phi_case_shape *s) {
    static const size_t shapes[][3] = {/* rows, columns, feedback block */
                                       {1, 1, 0},      {16, 64, 0},   {17, 65, 0},    {5, 31, 0},     {48, 33, 0},
                                       {33, 200, 0},   {2, 1000, 0},  {17, 300, 0},   {16, 2048, 0},  {1, 1, 256},
                                       {17, 65, 256},  {5, 31, 512},  {33, 200, 256}, {17, 300, 512}, {5, 600, 256},
                                       {33, 700, 512}, {16, 512, 512}};
    if (index >= COUNT(shapes)) return false;
    const size_t *shape = shapes[index];
    *s = (phi_case_shape){.rows = shape[0], .columns = shape[1], .feedback_block = shape[2], .tokens = 1};
    return true;
}

static int describe_encode(const phi_case_shape *s, char *text, size_t bytes) {
    return snprintf(text, bytes, "%zu x %zu%s", s->rows, s->columns, s->feedback_block ? ", error feedback" : "");
}

#define PHI_ENCODING(name, number, ...) \
    static void prepare_encode_##name(phi_case *c, const phi_case_shape *s) { prepare_encode(c, s, number); } \
    const operation_cases cases_of_encode_##name = {prepare_encode_##name, checked_encode, NULL, 0, describe_encode};
#include <encodings.inc>
#undef PHI_ENCODING

/* ---- Sums over inputs ---- */

/* Columns of tokens, some of them zero or nearly. */
static float *allocate_inputs(phi_case *c, const char *name, size_t tokens, size_t stride, size_t columns) {
    float *x = allocate_floats(c, name, (tokens - 1) * stride + columns, 1);
    for (size_t t = 0; t < tokens; t++)
        for (size_t k = 0; k < columns; k++)
            x[t * stride + k] *= k % 7 == 3 ? 0.0f : k % 7 == 5 ? 1e-35f : k % 7 == 6 ? 1e6f : 1.0f;
    return x;
}

static void prepare_quantise_columns(phi_case *c, const phi_case_shape *s) {
    size_t columns = round_up(s->columns, PHI_TILE_ROWS);
    phi_quantise_columns_args a = {.x_stride = s->columns + s->variant % 3, .columns = s->columns, .tokens = s->tokens};
    a.x = allocate_inputs(c, "x", a.tokens, a.x_stride, a.columns);
    if (s->variant % 2) a.less = allocate_inputs(c, "less", a.tokens, a.x_stride, a.columns);
    a.q = allocate(c, "q", columns, PHI_GRAM_TOKENS);
    a.scales = allocate(c, "scales", columns, sizeof *a.scales);
    a.zero_corrections = allocate(c, "zero corrections", columns, sizeof *a.zero_corrections);
    c->items = phi_quantise_columns_items(a.columns);
    c->bytes = (double)(a.tokens * a.columns * 4 + columns * PHI_GRAM_TOKENS);
    set_arguments(c, &a, sizeof a, 1);
}

static bool checked_quantise_columns(size_t index, phi_case_shape *s) {
    static const size_t shapes[][2] = {/* columns, tokens */
                                       {1, 1}, {16, 4}, {17, 5}, {40, 255}, {33, 256}, {64, 100}, {100, 3}, {15, 256}};
    if (index >= COUNT(shapes)) return false;
    *s = (phi_case_shape){.columns = shapes[index][0], .tokens = shapes[index][1], .variant = index};
    return true;
}

static int describe_columns(const phi_case_shape *s, char *text, size_t bytes) {
    return snprintf(text, bytes, "%zu columns, %zu tokens", s->columns, s->tokens);
}

const operation_cases cases_of_quantise_columns = {prepare_quantise_columns, checked_quantise_columns, NULL, 0,
                                                   describe_columns};

/* Rows are runs of tokens. */
static void prepare_gram(phi_case *c, const phi_case_shape *s) {
    size_t columns = round_up(s->columns, PHI_TILE_ROWS);
    phi_gram_args a = {.columns = s->columns, .runs = s->rows, .block = s->feedback_block, .upper = s->accumulate};
    int8_t *q[2];
    float *scales[2];
    int32_t *corrections = allocate(c, "zero corrections", a.runs * columns, sizeof *corrections);
    for (size_t side = 0; side < 2; side++) {
        q[side] = allocate(c, side ? "right" : "left", a.runs * columns, PHI_GRAM_TOKENS);
        scales[side] = allocate(c, side ? "right scales" : "left scales", a.runs * columns, sizeof **scales);
        for (size_t r = a.runs; r-- > 0;) { /* the left zero corrections last */
            const float *x = allocate_inputs(c, "x", s->tokens, a.columns, a.columns);
            phi_quantise_columns_args columns_of = {.x = x,
                                                    .x_stride = a.columns,
                                                    .columns = a.columns,
                                                    .tokens = s->tokens,
                                                    .q = q[side] + r * columns * PHI_GRAM_TOKENS,
                                                    .scales = scales[side] + r * columns,
                                                    .zero_corrections = corrections + r * columns};
            if (side) columns_of.zero_corrections = allocate_scratch(c, "other corrections", columns, sizeof *corrections);
            reference()->quantise_columns(&columns_of, 0, phi_quantise_columns_items(a.columns));
        }
    }
    a.left = q[0];
    a.right = q[1];
    a.left_scales = scales[0];
    a.right_scales = scales[1];
    a.zero_corrections = corrections;
    a.sums = allocate_floats(c, "sums", a.columns * a.block, 1);
    c->items = phi_gram_items(&a);
    c->bytes = (double)(2 * a.runs * columns * PHI_GRAM_TOKENS + a.columns * a.block * 8);
    set_arguments(c, &a, sizeof a, 1);
}

static bool checked_gram(size_t index, phi_case_shape *s) {
    static const size_t shapes[][4] = {/* columns, runs, block, tokens */
                                       {1, 1, 256, 256},  {33, 2, 256, 100}, {64, 1, 256, 256}, {100, 3, 256, 256},
                                       {300, 1, 256, 31}, {256, 2, 256, 77}, {600, 1, 512, 256}};
    if (index >= 2 * COUNT(shapes)) return false;
    const size_t *shape = shapes[index / 2];
    *s = (phi_case_shape){.columns = shape[0],
                          .rows = shape[1],
                          .feedback_block = shape[2],
                          .tokens = shape[3],
                          .accumulate = index % 2,
                          .variant = index};
    return true;
}

static int describe_gram(const phi_case_shape *s, char *text, size_t bytes) {
    return snprintf(text, bytes, "%zu columns in blocks of %zu%s, %zu runs of %zu tokens", s->columns, s->feedback_block,
                    s->accumulate ? ", upper half" : "", s->rows, s->tokens);
}

const operation_cases cases_of_gram = {prepare_gram, checked_gram, NULL, 0, describe_gram};
