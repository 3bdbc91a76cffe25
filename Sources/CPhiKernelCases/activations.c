/* Cases of quantise, gelu and the probes. */
#include <math.h>
#include <stdio.h>

#include "cases.h"

static int describe_row(const phi_case_shape *s, char *text, size_t bytes) {
    return snprintf(text, bytes, "%zu, %zu tokens", s->columns, s->tokens);
}

/* ---- Activations to int8 ---- */

phi_quantise_args quantise_arguments(phi_case *c, const phi_encoding *e, const float *x, size_t x_stride, size_t width,
                                     size_t tokens) {
    phi_quantise_args a = {.x = x,
                           .x_stride = x_stride,
                           .width = width,
                           .tokens = tokens,
                           .zero_point = e->zero_point,
                           .code_zero_point = e->code_zero_point};
    size_t blocks = tokens * divide_up(width, PHI_BLOCK_COLUMNS);
    a.q = allocate(c, "q", tokens * width, 1);
    a.scales = allocate(c, "scales", blocks, sizeof *a.scales);
    a.zero_corrections = allocate(c, "zero corrections", blocks, sizeof *a.zero_corrections);
    a.group_zero_corrections = allocate(c, "group zero corrections", tokens <= PHI_GEMV_TOKENS ? tokens * width / PHI_GROUP : 0,
                                        sizeof *a.group_zero_corrections);
    return a;
}

static void prepare_quantise(phi_case *c, const phi_case_shape *s) {
    size_t number = s->variant; /* of the encoding that these activations are for: one of integers */
    while (!phi_encoding_at(number % phi_encoding_count())->zero_point) number++;
    size_t width = round_up(s->columns, PHI_STRIP_COLUMNS), x_stride = width + s->variant % 5;
    float *x = allocate_floats(c, "x", (s->tokens - 1) * x_stride + width, 1);
    for (size_t i = 0; i < 32; i++) x[i] = s->variant % 4 == 0 ? 0.0f : s->variant % 4 == 1 ? 1e-38f : x[i] * 1e30f;
    for (size_t i = 32; i < 64; i++) x[i] = s->variant % 4 == 1 ? 0.0f : i % 2 ? -0.75f : 0.75f; /* q = 127 and -127 */
    if (s->variant % 4 == 1) /* a block that is nearly zero */
        for (size_t i = 64; i < width && i < PHI_BLOCK_COLUMNS; i++) x[i] = 1e-38f;
    phi_quantise_args a = quantise_arguments(c, phi_encoding_at(number % phi_encoding_count()), x, x_stride, width, s->tokens);
    c->items = phi_quantise_items(&a);
    c->bytes = (double)a.tokens * (double)(width * 5 + divide_up(width, PHI_BLOCK_COLUMNS) * 8);
    set_arguments(c, &a, sizeof a, 1);
}

static const size_t token_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17, 24, 29, 31, 32, 33, 37, 97, 101};

static bool checked_quantise(size_t index, phi_case_shape *s) {
    static const size_t columns[] = {64, 128, 192, 256, 320, 384, PHI_QUANTISE_CHUNK, PHI_QUANTISE_CHUNK + 64};
    if (index >= 2 * COUNT(token_counts)) return false;
    *s = (phi_case_shape){.columns = columns[(index + index / COUNT(columns)) % COUNT(columns)],
                          .tokens = token_counts[index / 2],
                          .variant = index};
    return true;
}

static const phi_case_shape timed_quantise[] = {{.columns = PHI1_HIDDEN}, {.columns = PHI1_HIDDEN + PHI1_INTERMEDIATE}};

const operation_cases cases_of_quantise = {prepare_quantise, checked_quantise, timed_quantise, COUNT(timed_quantise),
                                           describe_row};

/* ---- GELU ---- */

static void prepare_gelu(phi_case *c, const phi_case_shape *s) {
    static const float special[] = {0.0f, -0.0f, 100, -100, 1e-30f, 1e30f, -1e30f, 1e-42f, INFINITY, -INFINITY, 5.5f, -5.5f};
    phi_gelu_args a = {.columns = s->columns, .x_stride = s->columns + s->variant % 2, .out_stride = s->columns + 3};
    float *x = allocate_floats(c, "x", (s->tokens - 1) * a.x_stride + a.columns, 2);
    for (size_t i = 0; i < COUNT(special) && i < a.columns; i++) x[i] = special[i];
    a.x = x;
    a.out = allocate(c, "out", (s->tokens - 1) * a.out_stride + a.columns, sizeof *a.out);
    c->items = phi_gelu_items(&a, s->tokens);
    c->bytes = (double)s->tokens * (double)s->columns * 8;
    set_arguments(c, &a, sizeof a, 1);
}

static bool checked_gelu(size_t index, phi_case_shape *s) {
    static const size_t columns[] = {1, 15, 16, 17, PHI_GELU_CHUNK - 1, PHI_GELU_CHUNK, PHI_GELU_CHUNK + 1, 1040};
    if (index >= 2 * COUNT(columns)) return false;
    *s = (phi_case_shape){.columns = columns[index / 2], .tokens = 1 + index % 3, .variant = index};
    return true;
}

static const phi_case_shape timed_gelu[] = {{.columns = PHI1_INTERMEDIATE}};

const operation_cases cases_of_gelu = {prepare_gelu, checked_gelu, timed_gelu, COUNT(timed_gelu), describe_row};

/* ---- Probes: a sum depends on the instruction set, so only the memory beside it is compared ---- */

static void prepare_probe(phi_case *c, size_t items, size_t bytes) {
    uint8_t *memory = allocate(c, "memory", bytes, 1);
    for (size_t i = 0; i < bytes; i += 8) memcpy(memory + i, &(uint64_t){draw(c) | 1}, 8);
    phi_probe_args a = {.memory = memory, .sink = allocate_scratch(c, "sink", items, sizeof *a.sink)};
    c->items = items;
    set_arguments(c, &a, sizeof a, 1);
}

/* Columns are items. */
static void prepare_probe_read(phi_case *c, const phi_case_shape *s) {
    prepare_probe(c, s->columns, s->columns * PHI_PROBE_BYTES);
    c->bytes = (double)s->columns * PHI_PROBE_BYTES;
}

static void prepare_probe_dot(phi_case *c, const phi_case_shape *s) {
    prepare_probe(c, s->columns, 64);
    c->arithmetic = (double)s->columns * PHI_PROBE_DOTS * 128;
}

static bool checked_probe(size_t index, phi_case_shape *s) {
    *s = (phi_case_shape){.columns = 2 + index, .tokens = 1};
    return index < 2;
}

static int describe_probe(const phi_case_shape *s, char *text, size_t bytes) {
    return snprintf(text, bytes, "%zu items", s->columns);
}

static const phi_case_shape timed_probe_read[] = {{.columns = 4096, .tokens = 1}},
                            timed_probe_dot[] = {{.columns = 256, .tokens = 1}};

const operation_cases cases_of_probe_read = {prepare_probe_read, checked_probe, timed_probe_read, 1, describe_probe};
const operation_cases cases_of_probe_dot = {prepare_probe_dot, checked_probe, timed_probe_dot, 1, describe_probe};
