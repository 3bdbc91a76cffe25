/* One small adapter an operation: shapes, data, arguments. */
#include <math.h>
#include <string.h>

#include "trial.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- Data ---- */

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t draw(trial *t) {
    uint64_t z = t->random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static float draw_unit(trial *t) { return (float)(int32_t)(draw(t) >> 32) * 0x1p-31f; }

/* Roughly normal, with now and then a large one, as activations are. */
static float draw_float(trial *t, float scale) {
    float sum = draw_unit(t) + draw_unit(t) + draw_unit(t);
    return sum * scale * (draw(t) % 97 == 0 ? 20.0f : 1.0f);
}

static float *take_floats(trial *t, const char *name, size_t count, float scale) {
    float *x = memory_take(&t->memory, name, count, sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = draw_float(t, scale);
    return x;
}

static void *take(trial *t, const char *name, size_t count, size_t bytes) {
    return memory_take(&t->memory, name, count, bytes);
}

static size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* All items in three runs, the last ones first: how they are cut must not matter. */
static void run_items(trial *t, phi_operation run, const void *arguments, size_t items) {
    size_t first = (size_t)(draw(t) % (items + 1)), second = first + (size_t)(draw(t) % (items - first + 1));
    run(arguments, second, items);
    run(arguments, first, second);
    run(arguments, 0, first);
}

static const phi_kernels *reference(void) { return phi_instruction_set(phi_instruction_set_count() - 1); }

/* ---- Activations ---- */

static const size_t token_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 15, 16, 17, 24, 31, 32, 33, 37, 97, 101};

/* What a quantised row has besides its integers. */
static void take_scales(trial *t, phi_quantise_args *a) {
    size_t blocks = up(a->width, PHI_BLOCK_COLUMNS) / PHI_BLOCK_COLUMNS;
    a->scales = take(t, "scales", a->tokens * blocks, sizeof *a->scales);
    a->zero_corrections = take(t, "zero corrections", a->tokens * blocks, sizeof *a->zero_corrections);
    a->group_zero_corrections = take(t, "group zero corrections", a->tokens == 1 ? a->width / PHI_GROUP : 0,
                                     sizeof *a->group_zero_corrections);
}

bool try_quantise(trial *t, phi_operation run, size_t which) {
    if (which >= COUNT(token_counts)) return false;
    phi_quantise_args a = {.width = which == 5 ? PHI_QUANTISE_CHUNK + 64 : 64 * (1 + which % 6),
                           .tokens = token_counts[which],
                           .zero_point = which % 2 ? 128 : 64,
                           .code_zero_point = which % 3 ? 8 : 0};
    a.x_stride = a.width + which % 5;
    size_t values = (a.tokens - 1) * a.x_stride + a.width;
    float *x = take_floats(t, "x", values, 1);
    for (size_t i = 0; i < 32; i++) x[i] = which % 4 == 0 ? 0.0f : which % 4 == 1 ? 1e-38f : x[i] * 1e30f;
    for (size_t i = 32; i < 64; i++) x[i] = i % 2 ? -0.75f : 0.75f; /* q = 127 and -127 */
    a.x = x;
    a.q = take(t, "q", a.tokens * a.width, 1);
    take_scales(t, &a);
    run_items(t, run, &a, phi_quantise_items(&a));
    return true;
}

bool try_gelu(trial *t, phi_operation run, size_t which) {
    static const size_t columns[] = {1, 15, 16, 17, 511, 512, 513, 1040};
    static const float special[] = {0.0f, -0.0f, 100, -100, 1e-30f, 1e30f, -1e30f, 1e-42f, INFINITY, -INFINITY, 5.5f, -5.5f};
    if (which >= COUNT(columns)) return false;
    size_t tokens = 1 + which % 3;
    phi_gelu_args a = {.columns = columns[which], .x_stride = columns[which] + which % 2, .out_stride = columns[which] + 3};
    float *x = take_floats(t, "x", (tokens - 1) * a.x_stride + a.columns, 2);
    for (size_t i = 0; i < COUNT(special) && i < a.columns; i++) x[i] = special[i];
    a.x = x;
    a.out = take(t, "out", (tokens - 1) * a.out_stride + a.columns, sizeof *a.out);
    run_items(t, run, &a, phi_gelu_items(&a, tokens));
    return true;
}

/* ---- Matrix products ---- */

/* Any tiles but those that the format rules out: finite numbers, and no byte of 0, which is no weight of q8. */
static void *take_tiles(trial *t, size_t count, const phi_encoding *e, size_t width) {
    size_t bytes = phi_tile_bytes(e->number, width), strips = width / PHI_STRIP_COLUMNS;
    uint8_t *tiles = take(t, "weights", count, bytes);
    for (uint8_t *at = tiles; at < tiles + count * bytes;)
        for (size_t s = 0; s < strips; s++, at += e->strip_bytes) {
            size_t numbers = PHI_TILE_ROWS * PHI_STRIP_COLUMNS, element = e->strip_bytes / numbers;
            if (!e->block_scale_bytes && element == 4) {
                for (size_t i = 0; i < numbers; i++) ((float *)at)[i] = draw_float(t, 0.05f);
                continue;
            }
            bool has_scales = e->block_scale_bytes && s % PHI_BLOCK_STRIPS == 0;
            size_t halves = !e->block_scale_bytes ? numbers : has_scales ? PHI_TILE_ROWS : 0;
            for (size_t i = 0; i < halves; i++) {
                uint16_t half = (uint16_t)(draw(t) % 64 == 0 ? draw(t) & 0x83ff
                                                             : (uint64_t)phi_float_to_half(draw_float(t, 0.05f)));
                memcpy(at + 2 * i, &half, 2);
            }
            if (!e->block_scale_bytes) continue;
            if (has_scales) at += e->block_scale_bytes;
            for (size_t i = 0; i < e->strip_bytes; i++) {
                at[i] = (uint8_t)(draw(t) >> 17);
                if (!at[i]) at[i] = 255;
            }
        }
    return tiles;
}

static bool try_matmul(trial *t, phi_operation run, size_t which, const phi_encoding *e) {
    static const struct {
        size_t rows, width, tokens;
    } large[] = {{130, 2048, 3}, {2750, 64, 1}, {70, 192, 257}, {130, 576, 40}, {112, 448, 16}, {40, 1088, 1}};
    phi_matmul_args a = {.accumulate = which % 2};
    if (which < 2 * COUNT(token_counts)) {
        static const size_t rows[] = {1, 16, 17, 33, 50};
        a.rows = rows[which % COUNT(rows)];
        a.width = 64 * (1 + which % 7 % 6);
        a.tokens = token_counts[which / 2];
    } else {
        which -= 2 * COUNT(token_counts);
        if (which >= COUNT(large)) return false;
        a.rows = large[which].rows;
        a.width = large[which].width;
        a.tokens = large[which].tokens;
    }
    a.weights = take_tiles(t, up(a.rows, PHI_TILE_ROWS) / PHI_TILE_ROWS, e, a.width);
    a.bias = take_floats(t, "bias", a.rows, 1);
    a.x_stride = a.width + a.tokens % 3;
    float *x = take_floats(t, "x", (a.tokens - 1) * a.x_stride + a.width, 1);
    for (size_t i = 0; i < 32; i++) x[i] = x[i] < 0 ? -1.0f : 1.0f;
    a.x = x;
    if (e->block_scale_bytes) {
        phi_quantise_args quantise = {.x = a.x,
                                      .x_stride = a.x_stride,
                                      .width = a.width,
                                      .tokens = a.tokens,
                                      .zero_point = e->zero_point,
                                      .code_zero_point = e->code_zero_point};
        quantise.q = take(t, "q", a.tokens * a.width, 1);
        take_scales(t, &quantise);
        reference()->quantise(&quantise, 0, phi_quantise_items(&quantise));
        a.q = quantise.q;
        a.scales = quantise.scales;
        a.zero_corrections = quantise.zero_corrections;
        a.group_zero_corrections = quantise.group_zero_corrections;
    }
    a.out_stride = up(a.rows, PHI_TILE_ROWS) + which % 3;
    a.out = take_floats(t, "out", (a.tokens - 1) * a.out_stride + up(a.rows, PHI_TILE_ROWS), 1);
    run_items(t, run, &a, phi_matmul_items(&a, e->number));
    return true;
}

/* ---- Keys and values, attention ---- */

typedef struct {
    size_t heads, kv_heads, head_size, first, tokens;
} attention_shape;
static const attention_shape attention_shapes[] = {
    {1, 1, 64, 0, 1},  {2, 2, 64, 63, 1},   {2, 2, 64, 64, 1},  {2, 1, 32, 15, 70},   {3, 3, 80, 100, 37},
    {3, 3, 80, 17, 9}, {4, 2, 32, 200, 3},  {5, 1, 8, 5, 130},  {2, 2, 96, 61, 7},    {1, 1, 1, 62, 4},
    {2, 1, 40, 0, 17}, {1, 1, 128, 127, 2}, {1, 1, 64, 130, 1}, {11, 11, 16, 40, 70}, {1, 1, 144, 70, 40},
};

/* A cache for all positions of a shape. `bytes` is 4, 2 or, for the 8-bit cache, 1. */
typedef struct {
    void *keys, *values;
    uint16_t *key_scales, *value_scales;
    size_t key_stride, value_stride, scale_stride, value_size;
} cache;

static cache take_cache(trial *t, const attention_shape *s, size_t bytes) {
    size_t positions = up(s->first + s->tokens, PHI_POSITION_BLOCK), group = bytes == 1 ? PHI_CACHE_GROUP : 1;
    cache c = {.value_size = up(s->head_size, 16)};
    c.key_stride = positions * up(s->head_size, group);
    c.value_stride = positions * c.value_size;
    c.keys = take(t, "keys", s->kv_heads * c.key_stride, bytes);
    c.values = take(t, "values", s->kv_heads * c.value_stride, bytes);
    if (bytes == 1) {
        c.scale_stride = c.key_stride / PHI_CACHE_GROUP;
        c.key_scales = take(t, "key scales", s->kv_heads * c.scale_stride, 2);
        c.value_scales = take(t, "value scales", s->kv_heads * c.scale_stride, 2);
    }
    return c;
}

/* Positions from `first` on, with numbers that 16 bits hold only as subnormal or not at all. */
static void store(trial *t, phi_operation run, const attention_shape *s, const cache *c, size_t first, size_t tokens,
                  size_t stride, bool wild) {
    size_t count = (tokens - 1) * stride + s->kv_heads * s->head_size;
    float *k = take_floats(t, "k", count, 0.5f), *v = take_floats(t, "v", count, 1);
    for (size_t i = 0; wild && i < count; i += 5) v[i] *= i % 2 ? 1e-6f : 1e6f;
    for (size_t i = 0; i < s->head_size; i++) k[i] = i == 3 ? 1e-9f : 0.0f;
    phi_store_args a = {.k = k,
                        .v = v,
                        .stride = stride,
                        .tokens = tokens,
                        .first = first,
                        .keys = c->keys,
                        .values = c->values,
                        .key_stride = c->key_stride,
                        .value_stride = c->value_stride,
                        .key_scales = c->key_scales,
                        .value_scales = c->value_scales,
                        .scale_stride = c->scale_stride,
                        .head_size = s->head_size,
                        .value_size = c->value_size};
    run_items(t, run, &a, s->kv_heads);
}

static bool try_store(trial *t, phi_operation run, size_t which, size_t bytes) {
    if (which >= COUNT(attention_shapes)) return false;
    const attention_shape *s = &attention_shapes[which];
    cache c = take_cache(t, s, bytes);
    store(t, run, s, &c, s->first, s->tokens, s->kv_heads * s->head_size + which % 3, true);
    return true;
}

bool try_store_f32(trial *t, phi_operation run, size_t which) { return try_store(t, run, which, 4); }
bool try_store_f16(trial *t, phi_operation run, size_t which) { return try_store(t, run, which, 2); }
bool try_store_q8(trial *t, phi_operation run, size_t which) { return try_store(t, run, which, 1); }

static bool try_attention(trial *t, phi_operation run, size_t which, size_t bytes) {
    if (which >= COUNT(attention_shapes)) return false;
    const attention_shape *s = &attention_shapes[which];
    cache c = take_cache(t, s, bytes);
    /* What lies behind the last position must have no influence: not a number, or in 8 bits a scale that is none. */
    memset(c.keys, 0xff, s->kv_heads * c.key_stride * bytes);
    memset(c.values, 0xff, s->kv_heads * c.value_stride * bytes);
    for (size_t i = 0; i < s->kv_heads * c.value_stride; i += c.value_size)
        memset((uint8_t *)c.values + (i + s->head_size) * bytes, 0, (c.value_size - s->head_size) * bytes);
    if (bytes == 1) {
        memset(c.key_scales, 0xff, s->kv_heads * c.scale_stride * 2);
        memset(c.value_scales, 0xff, s->kv_heads * c.scale_stride * 2);
    }
    phi_operation reference_store = bytes == 4   ? reference()->store_f32
                                    : bytes == 2 ? reference()->store_f16
                                                 : reference()->store_q8;
    store(t, reference_store, s, &c, 0, s->first + s->tokens, s->kv_heads * s->head_size, false);
    phi_attention_args a = {.keys = c.keys,
                            .values = c.values,
                            .key_stride = c.key_stride,
                            .value_stride = c.value_stride,
                            .key_scales = c.key_scales,
                            .value_scales = c.value_scales,
                            .scale_stride = c.scale_stride,
                            .head_size = s->head_size,
                            .value_size = c.value_size,
                            .heads = s->heads,
                            .kv_heads = s->kv_heads,
                            .first = s->first,
                            .tokens = s->tokens,
                            .scale = 0.125f};
    a.q_stride = s->heads * s->head_size + which % 2;
    a.q = take_floats(t, "q", (s->tokens - 1) * a.q_stride + s->heads * s->head_size, 1);
    a.out_stride = s->heads * s->head_size + which % 5;
    a.out = take(t, "out", (s->tokens - 1) * a.out_stride + s->heads * s->head_size, sizeof *a.out);
    run_items(t, run, &a, phi_attention_items(&a));
    return true;
}

bool try_attention_f32(trial *t, phi_operation run, size_t which) { return try_attention(t, run, which, 4); }
bool try_attention_f16(trial *t, phi_operation run, size_t which) { return try_attention(t, run, which, 2); }
bool try_attention_q8(trial *t, phi_operation run, size_t which) { return try_attention(t, run, which, 1); }

/* ---- Weights into tiles ---- */

static bool try_encode(trial *t, phi_operation run, size_t which, uint32_t encoding) {
    static const struct {
        size_t rows, columns, block;    /* of error feedback, or 0 */
    } shapes[] = {{1, 1, 0},    {16, 64, 0},  {17, 65, 0},    {5, 31, 0},     {48, 33, 0},  {33, 200, 0},
                  {2, 1000, 0}, {17, 300, 0}, {33, 200, 256}, {17, 300, 512}, {5, 600, 256}};
    if (which >= COUNT(shapes)) return false;
    size_t rows = shapes[which].rows, columns = shapes[which].columns, tiles = up(rows, PHI_TILE_ROWS) / PHI_TILE_ROWS;
    phi_encode_args a = {.row_count = rows, .columns = columns};
    float *w = take_floats(t, "rows", rows * columns, 0.02f);
    for (size_t i = 0; i < rows * columns; i++) {
        if (i % 192 < 40) w[i] = 0;
        if (i / columns == 2) w[i] *= 1e-9f;
        if (i / columns == 3) w[i] *= 1e9f;
    }
    a.rows = w;
    a.out = take(t, "out", tiles, phi_tile_bytes(encoding, columns));
    a.errors = take(t, "errors", tiles, sizeof *a.errors);
    a.squares = take(t, "squares", tiles, sizeof *a.squares);
    if ((a.feedback_block = shapes[which].block)) {
        a.feedback_stride = a.feedback_block + 5;
        a.feedback = take_floats(t, "feedback", columns * a.feedback_stride, 0.1f);
        float *importance = take_floats(t, "importance", columns, 1);
        for (size_t k = 0; k < columns; k++) importance[k] = fabsf(importance[k]) + 0.01f;
        a.importance = importance;
        a.differences = take(t, "differences", tiles * columns * PHI_TILE_ROWS, sizeof *a.differences);
    }
    run_items(t, run, &a, tiles);
    /* The operation's own: whole tiles of it for some, only the matrix's rows for others. */
    if (a.differences) memset(a.differences, 0, tiles * columns * PHI_TILE_ROWS * sizeof *a.differences);
    return true;
}

/* ---- The operations for each encoding ---- */

#define PHI_ENCODING(name, number, ...) \
    bool try_matmul_##name(trial *t, phi_operation run, size_t which) { \
        return try_matmul(t, run, which, phi_encoding_numbered(number)); \
    } \
    bool try_encode_##name(trial *t, phi_operation run, size_t which) { return try_encode(t, run, which, number); }
#include <encodings.inc>
#undef PHI_ENCODING

/* ---- Limits ---- */

/* What a probe sums up is its own affair: here it only has to run and to stay inside its memory. */
static bool try_probe(trial *t, phi_operation run, size_t which, size_t bytes) {
    if (which >= 1) return false;
    uint8_t *memory = take(t, "memory", 2 * bytes, 1);
    for (size_t i = 0; i < 2 * bytes; i++) memory[i] = (uint8_t)(draw(t) | 1);
    phi_probe_args a = {.memory = memory, .sink = take(t, "sink", 2, sizeof *a.sink)};
    run_items(t, run, &a, 2);
    memset(a.sink, 0, 2 * sizeof *a.sink);
    return true;
}

bool try_probe_read(trial *t, phi_operation run, size_t which) { return try_probe(t, run, which, PHI_PROBE_BYTES); }
bool try_probe_dot(trial *t, phi_operation run, size_t which) { return try_probe(t, run, which, 32); }
