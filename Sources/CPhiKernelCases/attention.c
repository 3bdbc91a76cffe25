/* Cases of storing keys and values in the KV cache, and of attention. */
#include <math.h>
#include <stdio.h>

#include "cases.h"

/* The KV cache of one layer for all positions of a shape, in one or several copies. Of the 8-bit cache an element has 1 byte. */
typedef struct {
    size_t key_bytes, value_bytes, scale_bytes; /* of a copy */
    uint8_t *keys, *values;
    uint16_t *key_scales, *value_scales;
    size_t key_stride, value_stride, scale_stride, value_size;
} cache;

static cache allocate_cache(phi_case *c, const phi_case_shape *s, size_t element_bytes, bool is_spread) {
    size_t positions = round_up(s->first + s->tokens, PHI_POSITION_BLOCK), group = element_bytes == 1 ? PHI_CACHE_GROUP : 1;
    cache k = {.value_size = round_up(s->head_size, 16)};
    k.key_stride = positions * round_up(s->head_size, group);
    k.value_stride = positions * k.value_size;
    k.scale_stride = element_bytes == 1 ? k.key_stride / PHI_CACHE_GROUP : 0;
    k.key_bytes = s->kv_heads * k.key_stride * element_bytes;
    k.value_bytes = s->kv_heads * k.value_stride * element_bytes;
    k.scale_bytes = s->kv_heads * k.scale_stride * 2;
    c->copies = is_spread ? copies_of(c, k.key_bytes + k.value_bytes) : 1;
    k.keys = allocate(c, "keys", c->copies * k.key_bytes, 1);
    k.values = allocate(c, "values", c->copies * k.value_bytes, 1);
    k.key_scales = allocate(c, "key scales", c->copies * k.scale_bytes, 1);
    k.value_scales = allocate(c, "value scales", c->copies * k.scale_bytes, 1);
    return k;
}

/* Arguments that store `tokens` positions from `first` on. `wild` values have magnitudes that 16 bits hold as subnormal or not at all. */
static phi_store_args store_arguments(phi_case *c, const phi_case_shape *s, const cache *k, size_t first, size_t tokens,
                                      bool wild) {
    phi_store_args a = {.stride = s->kv_heads * s->head_size + (wild ? s->variant % 3 : 0),
                        .tokens = tokens,
                        .first = first,
                        .keys = k->keys,
                        .values = k->values,
                        .key_stride = k->key_stride,
                        .value_stride = k->value_stride,
                        .key_scales = k->key_scales,
                        .value_scales = k->value_scales,
                        .scale_stride = k->scale_stride,
                        .head_size = s->head_size,
                        .value_size = k->value_size};
    size_t count = (tokens - 1) * a.stride + s->kv_heads * s->head_size;
    float *keys = allocate_floats(c, "k", count, 0.5f), *values = allocate_floats(c, "v", count, 1);
    for (size_t i = 0; wild && i < count; i += 5) values[i] *= i % 2 ? 1e-6f : 1e6f;
    for (size_t i = 0; i < s->head_size; i++) keys[i] = i == 3 ? 1e-9f : 0.0f; /* a group whose scale is zero */
    a.k = keys;
    a.v = values;
    return a;
}

static void prepare_store(phi_case *c, const phi_case_shape *s, size_t element_bytes) {
    cache k = allocate_cache(c, s, element_bytes, false);
    phi_store_args a = store_arguments(c, s, &k, s->first, s->tokens, s->variant != 0);
    c->items = s->kv_heads;
    c->bytes = 2.0 * (double)(s->tokens * s->kv_heads * s->head_size) * (double)(4 + element_bytes);
    set_arguments(c, &a, sizeof a, 1);
}

/* The variant whose queries hold NaN, which the 8-bit cache's take as 0. */
enum { QUERY_WITH_NAN = 1000 };

static void prepare_attention(phi_case *c, const phi_case_shape *s, size_t element_bytes, phi_operation reference_store) {
    size_t width = s->heads * s->head_size, count = s->first + s->tokens;
    cache k = allocate_cache(c, s, element_bytes, true);
    size_t copies = c->copies;
    /* Positions beyond the last must have no influence: not a number, or in 8 bits scales that are none. */
    memset(k.keys, 0xff, k.key_bytes);
    memset(k.values, 0xff, k.value_bytes);
    for (size_t i = 0; i < s->kv_heads * k.value_stride; i += k.value_size)
        memset(k.values + (i + s->head_size) * element_bytes, 0, (k.value_size - s->head_size) * element_bytes);
    memset(k.key_scales, 0xff, k.scale_bytes);
    memset(k.value_scales, 0xff, k.scale_bytes);
    /* In two calls, the second of which begins in the middle of a tile. */
    phi_store_args store = store_arguments(c, s, &k, 0, count, false);
    store.tokens = count < 5 ? count : 5;
    reference_store(&store, 0, s->kv_heads);
    store.k += store.tokens * store.stride;
    store.v += store.tokens * store.stride;
    store.first = store.tokens;
    store.tokens = count - store.first;
    reference_store(&store, 0, s->kv_heads);
    for (size_t i = 1; i < copies; i++) {
        memcpy(k.keys + i * k.key_bytes, k.keys, k.key_bytes);
        memcpy(k.values + i * k.value_bytes, k.values, k.value_bytes);
        memcpy((uint8_t *)k.key_scales + i * k.scale_bytes, k.key_scales, k.scale_bytes);
        memcpy((uint8_t *)k.value_scales + i * k.scale_bytes, k.value_scales, k.scale_bytes);
    }
    phi_attention_args a = {.keys = k.keys,
                            .values = k.values,
                            .key_stride = k.key_stride,
                            .value_stride = k.value_stride,
                            .key_scales = k.key_scales,
                            .value_scales = k.value_scales,
                            .scale_stride = k.scale_stride,
                            .head_size = s->head_size,
                            .value_size = k.value_size,
                            .heads = s->heads,
                            .kv_heads = s->kv_heads,
                            .first = s->first,
                            .tokens = s->tokens,
                            .scale = 0.125f,
                            .q_stride = width + s->variant % 2,
                            .out_stride = width + s->variant % 5};
    float *q = allocate_floats(c, "q", (s->tokens - 1) * a.q_stride + width, 1);
    /* In the second half of a group, beside its largest elements. */
    for (size_t i = 16; element_bytes == 1 && s->variant == QUERY_WITH_NAN && i < 32; i += 3) {
        q[i] = NAN;
        q[i - 16] = 9;
    }
    a.q = q;
    a.out = allocate(c, "out", (s->tokens - 1) * a.out_stride + width, sizeof *a.out);
    c->items = phi_attention_items(&a);
    double pairs = (double)s->tokens * (double)s->first + (double)s->tokens * (double)(s->tokens + 1) / 2;
    size_t scales = element_bytes == 1 ? 2 * divide_up(s->head_size, PHI_CACHE_GROUP) : 0;
    c->bytes = 2.0 * (double)(count * s->kv_heads * (s->head_size * element_bytes + scales) + s->tokens * width * 4);
    c->arithmetic = 4 * pairs * (double)width;
    phi_attention_args *all = set_arguments(c, &a, sizeof a, copies);
    for (size_t i = 0; i < copies; i++) {
        all[i].keys = k.keys + i * k.key_bytes;
        all[i].values = k.values + i * k.value_bytes;
        all[i].key_scales = k.key_scales + i * k.scale_bytes / 2;
        all[i].value_scales = k.value_scales + i * k.scale_bytes / 2;
    }
}

static bool checked_attention(size_t index, phi_case_shape *s) {
    static const struct {
        size_t heads, kv_heads, head_size, first, tokens;
    } shapes[] = {
        {1, 1, 64, 0, 1},  {2, 2, 64, 63, 1},   {2, 2, 64, 64, 1},   {2, 1, 32, 15, 70},   {3, 3, 80, 100, 37},
        {3, 3, 80, 17, 9}, {4, 2, 32, 200, 3},  {5, 1, 8, 5, 130},   {2, 2, 96, 61, 7},    {1, 1, 1, 62, 4},
        {2, 1, 40, 0, 17}, {1, 1, 128, 127, 2}, {1, 1, 64, 130, 1},  {11, 11, 16, 40, 70}, {1, 1, 144, 70, 40},
        {4, 4, 64, 0, 70}, {4, 4, 64, 100, 37}, {2, 2, 128, 130, 1}, {2, 2, 64, 5, 30},
    };
    if (index >= COUNT(shapes)) return false;
    *s = (phi_case_shape){.heads = shapes[index].heads,
                          .kv_heads = shapes[index].kv_heads,
                          .head_size = shapes[index].head_size,
                          .first = shapes[index].first,
                          .tokens = shapes[index].tokens,
                          .variant = index + 1 < COUNT(shapes) ? index + 1 : QUERY_WITH_NAN};
    return true;
}

static const phi_case_shape timed_attention[] = {
    {.heads = PHI1_HEADS, .kv_heads = PHI1_HEADS, .head_size = PHI1_HEAD_SIZE},
    {.heads = PHI1_HEADS, .kv_heads = PHI1_HEADS, .head_size = PHI1_HEAD_SIZE, .first = 1024},
};

static int describe_attention(const phi_case_shape *s, char *text, size_t bytes) {
    int count = snprintf(text, bytes, "%zu", s->heads);
    if (s->kv_heads != s->heads) count += snprintf(text + count, bytes - (size_t)count, "/%zu", s->kv_heads);
    return snprintf(text + count, bytes - (size_t)count, " x %zu, %zu tokens at depth %zu", s->head_size, s->tokens, s->first);
}

/* Models keep f16 or 8 bits; an f32 cache is for tests. */
#define CACHE(name, bytes) \
    static void prepare_store_##name(phi_case *c, const phi_case_shape *s) { prepare_store(c, s, bytes); } \
    static void prepare_attention_##name(phi_case *c, const phi_case_shape *s) { \
        prepare_attention(c, s, bytes, reference()->store_##name); \
    } \
    const operation_cases cases_of_store_##name = {prepare_store_##name, checked_attention, timed_attention, \
                                                   bytes < 4 ? COUNT(timed_attention) : 0, describe_attention}; \
    const operation_cases cases_of_attention_##name = {prepare_attention_##name, checked_attention, timed_attention, \
                                                       bytes < 4 ? COUNT(timed_attention) : 0, describe_attention};
CACHE(f32, 4)
CACHE(f16, 2)
CACHE(q8, 1)
