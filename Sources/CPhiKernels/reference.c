/* Every operation in plain C: the definition that all instruction sets equal bit for bit. Written for reading, not for speed; where
 * the order of operations matters it is the one that CPhiKernels.h states.
 * Longer than 350 lines because the whole definition stands in one file, all but the rounding of each encoding. */
#include "kernels.h"

static float fused(float a, float b, float c) { return fmaf(a, b, c); }

/* p 2^n for results that are normal numbers. */
static float times_power(float p, float n) {
    uint32_t bits;
    memcpy(&bits, &p, 4);
    bits += (uint32_t)(int32_t)n << 23;
    memcpy(&p, &bits, 4);
    return p;
}

static float exponential(float x) {
    if (x < PHI_EXP_LOW) return 0;
    float n = rintf(x * PHI_EXP_LOG2E);
    float r = fused(n, -PHI_EXP_LN2_HIGH, x);
    r = fused(n, -PHI_EXP_LN2_LOW, r);
    float p = PHI_EXP_C0;
    p = fused(p, r, PHI_EXP_C1);
    p = fused(p, r, PHI_EXP_C2);
    p = fused(p, r, PHI_EXP_C3);
    p = fused(p, r, PHI_EXP_C4);
    p = fused(p, r, PHI_EXP_C5);
    return times_power(fused(p, r * r, r) + 1.0f, n);
}

static float power_of_two(float x) {
    if (x < PHI_EXP2_LOW) return 0;
    float n = rintf(x), r = x - n;
    float p = PHI_EXP2_C0;
    p = fused(p, r, PHI_EXP2_C1);
    p = fused(p, r, PHI_EXP2_C2);
    p = fused(p, r, PHI_EXP2_C3);
    p = fused(p, r, PHI_EXP2_C4);
    p = fused(p, r, PHI_EXP2_C5);
    return times_power(fused(p, r, 1.0f), n);
}

/* ---- Activations ---- */

/* The nearest integer to an activation times its factor; 0 for NaN. */
static int8_t round_to_byte(float x) { return x == x ? (int8_t)rintf(x) : 0; }

static void quantise(const void *raw, size_t begin, size_t end) {
    const phi_quantise_args *a = raw;
    size_t blocks = phi_blocks(a->width);
    for (size_t number = begin; number < end; number++) {
        phi_quantise_item item = phi_quantise_item_at(a, number);
        size_t first = item.first, n = item.tokens;
        for (size_t t = 0; t < n; t++)
            for (size_t b = item.block; b < item.block_end; b++) {
                const float *x = a->x + (first + t) * a->x_stride + b * PHI_BLOCK_COLUMNS;
                size_t columns = phi_block_strips(a->width, b) * PHI_STRIP_COLUMNS;
                float largest = 0;
                for (size_t i = 0; i < columns; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
                float scale, inverse = phi_quantise_by(largest, &scale);
                int sum = 0, group_sum = 0;
                for (size_t i = 0; i < columns; i++) {
                    int8_t q = round_to_byte(x[i] * inverse);
                    size_t strip = b * PHI_BLOCK_STRIPS + i / PHI_STRIP_COLUMNS;
                    a->q[first * a->width + (strip * n + t) * PHI_STRIP_COLUMNS + i % PHI_STRIP_COLUMNS] = q;
                    sum += q;
                    group_sum = i % PHI_GROUP ? group_sum + q : q;
                    size_t group = i % PHI_STRIP_COLUMNS / PHI_GROUP;
                    if (a->tokens <= PHI_GEMV_TOKENS)
                        a->group_zero_corrections[(strip * n + t) * 4 + group] = (uint32_t)(-a->code_zero_point * group_sum) &
                                                                                 0xffff;
                }
                a->scales[first * blocks + b * n + t] = scale;
                a->zero_corrections[first * blocks + b * n + t] = -a->zero_point * sum;
            }
    }
}

static void gelu(const void *raw, size_t begin, size_t end) {
    const phi_gelu_args *a = raw;
    size_t chunks = (a->columns + PHI_GELU_CHUNK - 1) / PHI_GELU_CHUNK;
    for (size_t item = begin; item < end; item++) {
        size_t t = item / chunks, first = item % chunks * PHI_GELU_CHUNK;
        for (size_t i = first; i < first + PHI_GELU_CHUNK && i < a->columns; i++) {
            float x = a->x[t * a->x_stride + i];
            float cube = x * x * x;
            float u = PHI_GELU_FACTOR * fused(PHI_GELU_CUBE, cube, x);
            u = u < PHI_EXP_HIGH ? u : PHI_EXP_HIGH;
            a->out[t * a->out_stride + i] = x / (1.0f + exponential(u));
        }
    }
}

/* ---- Matrix products ---- */

static void finish(const phi_matmul_args *a, size_t token, size_t row, float sum) {
    float *out = a->out + token * a->out_stride + row;
    float y = sum + (row < a->rows ? a->bias[row] : 0);
    *out = a->accumulate ? *out + y : y;
}

/* A weight of row i, column k of a strip, without the scale of its block. */
typedef float (*weight_reader)(const uint8_t *strip, size_t i, size_t k);

PHI_INLINE float product_float(const phi_matmul_args *a, const uint8_t *tile, size_t i, size_t token, const phi_encoding *e,
                               weight_reader weight) {
    float sum = 0;
    for (size_t k = 0; k < a->width; k++) {
        float w = weight(tile + phi_strip_at(k / PHI_STRIP_COLUMNS, e), i, k % PHI_STRIP_COLUMNS);
        sum = fused(w, a->x[token * a->x_stride + k], sum);
    }
    return sum;
}

PHI_INLINE float product_integer(const phi_matmul_args *a, const uint8_t *tile, size_t i, size_t token, const phi_encoding *e,
                                 weight_reader weight) {
    float sum = 0;
    size_t blocks = phi_blocks(a->width), t = token % PHI_TOKEN_TILE, first = token - t;
    size_t n = phi_tile_tokens(a->tokens, first);
    const int8_t *q = a->q + first * a->width;
    for (size_t b = 0; b < blocks; b++) {
        int32_t dot = 0;
        size_t strip = b * PHI_BLOCK_STRIPS, end = strip + phi_block_strips(a->width, b);
        uint16_t half;
        memcpy(&half, tile + phi_strip_at(strip, e) - e->block_scale_bytes + 2 * i, 2);
        for (; strip < end; strip++)
            for (size_t k = 0; k < PHI_STRIP_COLUMNS; k++)
                dot += (int)weight(tile + phi_strip_at(strip, e), i, k) * q[(strip * n + t) * PHI_STRIP_COLUMNS + k];
        sum = fused((float)dot, phi_half_to_float(half) * a->scales[first * blocks + b * n + t], sum);
    }
    return sum;
}

PHI_INLINE void matmul(const phi_matmul_args *a, size_t begin, size_t end, const phi_encoding *e, weight_reader weight) {
    for (size_t n = begin; n < end; n++) {
        phi_matmul_item item = phi_matmul_item_at(a, n);
        for (size_t tile = item.tile; tile < item.tile_end; tile++)
            for (size_t token = item.token; token < item.token_end; token++)
                for (size_t i = 0; i < PHI_TILE_ROWS; i++) {
                    const uint8_t *weights = (const uint8_t *)a->weights + tile * a->tile_bytes;
                    float sum = (e->block_scale_bytes ? product_integer : product_float)(a, weights, i, token, e, weight);
                    finish(a, token, tile * PHI_TILE_ROWS + i, sum);
                }
    }
}

/* ---- Attention ---- */

static void put_f32(void *p, size_t i, float x) { ((float *)p)[i] = x; }
static void put_f16(void *p, size_t i, float x) { ((uint16_t *)p)[i] = phi_float_to_half(x); }

static void store(const phi_store_args *a, size_t begin, size_t end, void (*put)(void *, size_t, float)) {
    for (size_t head = begin; head < end; head++)
        for (size_t t = 0; t < a->tokens; t++)
            for (size_t d = 0; d < a->head_size; d++) {
                size_t position = a->first + t, from = t * a->stride + head * a->head_size + d;
                size_t tile = position / 16 * a->head_size * 16;
                put(a->keys, head * a->key_stride + tile + d * 16 + position % 16, a->k[from]);
                put(a->values, head * a->value_stride + position * a->value_size + d, a->v[from]);
            }
}

static void store_f32(const void *a, size_t begin, size_t end) { store(a, begin, end, put_f32); }
static void store_f16(const void *a, size_t begin, size_t end) { store(a, begin, end, put_f16); }

static float largest_of(const float *w, size_t count) {
    float largest = 0;
    for (size_t k = 0; k < count; k++) largest = fabsf(w[k]) > fabsf(largest) ? w[k] : largest;
    return largest;
}

static float within(float x, float low, float high) {
    x = x > low ? x : low;
    return x < high ? x : high;
}

/* One position's 8-bit keys or values of one group, and their scale. */
static void cache_group(const float *x, size_t count, int n[PHI_CACHE_GROUP], uint16_t *half) {
    *half = phi_float_to_half(within(fabsf(largest_of(x, count)) / 127.0f, 0, PHI_HALF_MAX));
    float scale = phi_half_to_float(*half), inverse = scale > 0 ? 1.0f / scale : 0;
    for (size_t i = 0; i < PHI_CACHE_GROUP; i++) n[i] = i < count ? (int)within(rintf(x[i] * inverse), -127, 127) : 0;
}

static void store_q8(const void *raw, size_t begin, size_t end) {
    const phi_store_args *a = raw;
    size_t groups = phi_cache_groups(a->head_size), key_size = groups * PHI_CACHE_GROUP;
    for (size_t head = begin; head < end; head++)
        for (size_t t = 0; t < a->tokens; t++)
            for (size_t g = 0; g < groups; g++) {
                size_t position = a->first + t, from = t * a->stride + head * a->head_size + g * PHI_CACHE_GROUP;
                size_t count = phi_cache_group_size(a->head_size, g * PHI_CACHE_GROUP);
                size_t scale = head * a->scale_stride + phi_cache_scale_at(position, groups) + 16 * g;
                uint8_t *keys = (uint8_t *)a->keys + head * a->key_stride + position / 16 * key_size * 16;
                int8_t *values = (int8_t *)a->values + head * a->value_stride + position * a->value_size;
                int k[PHI_CACHE_GROUP], v[PHI_CACHE_GROUP];
                cache_group(a->k + from, count, k, &a->key_scales[scale]);
                cache_group(a->v + from, count, v, &a->value_scales[scale]);
                for (size_t i = 0; i < PHI_CACHE_GROUP; i++) {
                    size_t d = g * PHI_CACHE_GROUP + i;
                    keys[d / 4 * 64 + position % 16 * 4 + d % 4] = (uint8_t)(k[i] + PHI_CACHE_ZERO_POINT);
                    if (i < count) values[d] = (int8_t)v[i];
                }
            }
}

static float load_f32(const void *p, size_t i) { return ((const float *)p)[i]; }
static float load_f16(const void *p, size_t i) { return phi_half_to_float(((const uint16_t *)p)[i]); }

/* How a KV cache of one encoding is read: `score` returns the dot product of a query with position `at`, `add` adds p[j] times the
 * values of position at + j to o, for n positions, and that times `grow`. Probabilities are `local` if they are relative to their
 * block's largest; `grow` is then how much they are too large. */
typedef struct {
    float (*score)(const phi_attention_args *, const float *q, size_t kv, size_t at);
    void (*add)(const phi_attention_args *, const float *p, size_t n, size_t kv, size_t at, float grow, float *o);
    bool is_local;
} cache_reader;

static float score_float(const phi_attention_args *a, const float *q, size_t kv, size_t at,
                         float (*load)(const void *, size_t)) {
    float dot = 0;
    for (size_t d = 0; d < a->head_size; d++)
        dot = fused(q[d], load(a->keys, kv * a->key_stride + (at / 16 * a->head_size + d) * 16 + at % 16), dot);
    return dot;
}

static void add_float(const phi_attention_args *a, const float *p, size_t n, size_t kv, size_t at, float *o,
                      float (*load)(const void *, size_t)) {
    for (size_t j = 0; j < n; j++)
        for (size_t d = 0; d < a->head_size; d++)
            o[d] = fused(p[j], load(a->values, kv * a->value_stride + (at + j) * a->value_size + d), o[d]);
}

static float score_f32(const phi_attention_args *a, const float *q, size_t kv, size_t at) {
    return score_float(a, q, kv, at, load_f32);
}
static float score_f16(const phi_attention_args *a, const float *q, size_t kv, size_t at) {
    return score_float(a, q, kv, at, load_f16);
}
static void add_f32(const phi_attention_args *a, const float *p, size_t n, size_t kv, size_t at, float grow, float *o) {
    (void)grow;
    add_float(a, p, n, kv, at, o, load_f32);
}
static void add_f16(const phi_attention_args *a, const float *p, size_t n, size_t kv, size_t at, float grow, float *o) {
    (void)grow;
    add_float(a, p, n, kv, at, o, load_f16);
}

static float score_q8(const phi_attention_args *a, const float *q, size_t kv, size_t at) {
    size_t groups = phi_cache_groups(a->head_size);
    const uint8_t *keys = (const uint8_t *)a->keys + kv * a->key_stride + at / 16 * groups * PHI_CACHE_GROUP * 16;
    float sum = 0;
    for (size_t g = 0; g < groups; g++) {
        size_t count = phi_cache_group_size(a->head_size, g * PHI_CACHE_GROUP);
        float scale, inverse = phi_quantise_by(fabsf(largest_of(q + g * PHI_CACHE_GROUP, count)), &scale);
        int dot = 0;
        for (size_t i = 0; i < count; i++) {
            size_t d = g * PHI_CACHE_GROUP + i;
            dot += (keys[d / 4 * 64 + at % 16 * 4 + d % 4] - PHI_CACHE_ZERO_POINT) * round_to_byte(q[d] * inverse);
        }
        uint16_t half = a->key_scales[kv * a->scale_stride + phi_cache_scale_at(at, groups) + 16 * g];
        sum = fused((float)dot, phi_half_to_float(half) * scale, sum);
    }
    return sum;
}

static void add_q8(const phi_attention_args *a, const float *p, size_t n, size_t kv, size_t at, float grow, float *o) {
    size_t groups = phi_cache_groups(a->head_size);
    const int8_t *values = (const int8_t *)a->values + kv * a->value_stride + at * a->value_size;
    for (size_t g = 0; g < groups; g++) {
        const uint16_t *halves = a->value_scales + kv * a->scale_stride + phi_cache_scale_at(at, groups) + 16 * g;
        float scales[PHI_POSITION_BLOCK], step;
        int weights[PHI_POSITION_BLOCK];
        for (size_t j = 0; j < n; j++) scales[j] = phi_half_to_float(halves[phi_cache_scale_at(j, groups)]);
        float factor = phi_weigh_by(largest_of(scales, n), &step);
        for (size_t j = 0; j < n; j++) weights[j] = (int)rintf(p[j] * (scales[j] * factor));
        for (size_t i = 0; i < phi_cache_group_size(a->head_size, g * PHI_CACHE_GROUP); i++) {
            size_t d = g * PHI_CACHE_GROUP + i;
            int sum = 0;
            for (size_t j = 0; j < n; j++) sum += weights[j] * values[j * a->value_size + d];
            o[d] = fused((float)sum, grow * step, o[d]);
        }
    }
}

static void attend(const phi_attention_args *a, size_t head, size_t token, cache_reader cache) {
    enum { N = PHI_POSITION_BLOCK };
    const float *q = a->q + token * a->q_stride + head * a->head_size;
    size_t kv = head / (a->heads / a->kv_heads), count = a->first + token + 1;
    float most = PHI_ATTENTION_LEAST, sum[16] = {0}, o[PHI_MAX_HEAD_SIZE] = {0};

    for (size_t block = 0; block < count; block += N) {
        size_t n = phi_min(count - block, N);
        float s[N], p[N] = {0}, largest = PHI_ATTENTION_LEAST;
        for (size_t j = 0; j < n; j++) {
            s[j] = cache.score(a, q, kv, block + j) * (a->scale * PHI_EXP_LOG2E);
            largest = s[j] > largest ? s[j] : largest;
        }
        float now = largest > most ? largest : most, from = cache.is_local ? largest : now;
        float shrink = power_of_two(most - now), grow = power_of_two(from - now);
        for (size_t j = 0; j < n; j++) p[j] = power_of_two(s[j] - from);
        for (size_t l = 0; l < 16; l++) {
            float some = (p[l] + p[l + 16]) + (p[l + 32] + p[l + 48]);
            sum[l] = fused(sum[l], shrink, cache.is_local ? grow * some : some);
        }
        for (size_t d = 0; d < a->head_size; d++) o[d] *= shrink;
        cache.add(a, p, n, kv, block, grow, o);
        most = now;
    }
    for (size_t half = 8; half; half /= 2)
        for (size_t l = 0; l < half; l++) sum[l] += sum[l + half];
    for (size_t d = 0; d < a->head_size; d++) a->out[token * a->out_stride + head * a->head_size + d] = o[d] / sum[0];
}

static void attention(const phi_attention_args *a, size_t begin, size_t end, cache_reader cache) {
    for (size_t number = begin; number < end; number++) {
        phi_attention_item item = phi_attention_item_at(a, number);
        for (size_t token = item.token; token < item.token_end; token++) attend(a, item.head, token, cache);
    }
}

static void attention_f32(const void *a, size_t begin, size_t end) {
    attention(a, begin, end, (cache_reader){score_f32, add_f32, false});
}
static void attention_f16(const void *a, size_t begin, size_t end) {
    attention(a, begin, end, (cache_reader){score_f16, add_f16, false});
}
static void attention_q8(const void *a, size_t begin, size_t end) {
    attention(a, begin, end, (cache_reader){score_q8, add_q8, true});
}

/* ---- Sums over inputs ---- */

static void quantise_columns(const void *raw, size_t begin, size_t end) {
    const phi_quantise_columns_args *a = raw;
    for (size_t c = begin * PHI_TILE_ROWS; c < end * PHI_TILE_ROWS; c++) {
        size_t tokens = c < a->columns ? a->tokens : 0;
        float v[PHI_GRAM_TOKENS] = {0}, largest = 0, zero = 0;
        for (size_t t = 0; t < tokens; t++) {
            size_t at = t * a->x_stride + c;
            v[t] = a->less ? a->x[at] - a->less[at] : a->x[at];
            largest = fabsf(v[t]) > largest ? fabsf(v[t]) : largest;
            zero = fused(v[t], 0, zero);
        }
        float by = largest < PHI_QUANTISE_LEAST ? 0 : PHI_GRAM_LARGEST / largest;
        int sum = 0;
        for (size_t t = 0; t < PHI_GRAM_TOKENS; t++) {
            int q = (int)rintf(within(v[t] * by, -PHI_GRAM_LARGEST, PHI_GRAM_LARGEST));
            a->q[phi_gram_at(c, t)] = (int8_t)q;
            sum += q;
        }
        a->scales[c] = (by > 0 ? largest / PHI_GRAM_LARGEST : 0) + zero;
        a->zero_corrections[c] = -PHI_GRAM_LARGEST * sum;
    }
}

static void gram(const void *raw, size_t begin, size_t end) {
    const phi_gram_args *a = raw;
    size_t columns = phi_gram_tiles(a->columns) * PHI_TILE_ROWS, bytes = columns * PHI_GRAM_TOKENS;
    for (size_t number = begin; number < end; number++) {
        phi_gram_item item = phi_gram_item_at(a, number);
        size_t width = phi_gram_tiles(item.column_end - item.column) * PHI_TILE_ROWS;
        for (size_t i = item.row; i < item.row_end; i++)
            for (size_t j = item.column; j < item.column + width; j++) {
                float *sum = a->sums + i * a->block + j % a->block;
                for (size_t r = 0; r < a->runs; r++) {
                    int dot = 0;
                    for (size_t t = 0; t < PHI_GRAM_TOKENS; t++)
                        dot += a->left[r * bytes + phi_gram_at(i, t)] * a->right[r * bytes + phi_gram_at(j, t)];
                    *sum = fused((float)dot, a->left_scales[r * columns + i] * a->right_scales[r * columns + j], *sum);
                }
            }
    }
}

/* ---- Weights to tiles ---- */

/* Up to a block's weights of one row. */
typedef struct {
    const float *w;
    float targets[PHI_BLOCK_COLUMNS]; /* the weights, with errors fed back if there is error feedback */
    const float *importance; /* of the columns; or null */
    size_t count;
} row_block;

static float half_of(float x) { return phi_half_to_float(phi_float_to_half(within(x, -PHI_HALF_MAX, PHI_HALF_MAX))); }
static float inverse_of(float x) { return fabsf(x) > 0 ? 1.0f / x : 0; }
static float nearest(float x, float low, float high) { return rintf(within(x, low, high)); }
/* The nearest code of an encoding. */
typedef float (*code_grid)(float x);

/* Error feedback for a block of a row. */
typedef struct {
    const phi_encode_args *a;
    float *differences; /* [columns][16] of the row; or null */
    size_t first; /* column of the matrix that the block begins with */
} feedback;

/* Adds the errors of columns `from` ..< `to` to the target of the block's column k. */
static void compensate(const feedback *f, size_t from, size_t to, row_block *b, size_t k) {
    if (!f->differences) return;
    for (size_t j = from; j < to; j++)
        b->targets[k] = fused(f->differences[16 * j], f->a->feedback[phi_feedback_at(f->a, j, f->first + k)], b->targets[k]);
}

/* How an encoding of integers rounds: to codes of a grid, times the factor of a group, times the scale of a block. */
typedef struct {
    const phi_encoding *encoding;
    float (*choose_scale)(const row_block *, code_grid);
    float (*choose_factor)(const row_block *, size_t k, size_t end, float scale, code_grid);
    code_grid nearest_code;
    void (*put)(uint8_t *strip, size_t i, size_t k, int factor, int code);
} rounding;

/* Stores a block as row i of a tile, its first strip at `strips`; `stored` receives what its weights became. */
static void round_block(const feedback *f, row_block *b, uint8_t *strips, size_t i, float *stored, const rounding *r) {
    for (size_t k = 0; f->differences && k < b->count; k++)
        compensate(f, f->first / f->a->feedback_block * f->a->feedback_block, f->first, b, k);
    float scale = r->choose_scale(b, r->nearest_code);
    uint16_t half = phi_float_to_half(scale);
    memcpy(strips - r->encoding->block_scale_bytes + 2 * i, &half, 2);
    for (size_t g = 0; g < b->count; g += PHI_GROUP) {
        size_t end = phi_group_end(b->count, g);
        for (size_t k = g; k < end; k++) compensate(f, f->first, f->first + g, b, k);
        float factor = r->choose_factor(b, g, end, scale, r->nearest_code), inverse = inverse_of(scale * factor);
        for (size_t c = g; c < end; c++) {
            compensate(f, f->first + g, f->first + c, b, c);
            float n = r->nearest_code(b->targets[c] * inverse);
            uint8_t *strip = strips + c / PHI_STRIP_COLUMNS * r->encoding->strip_bytes;
            r->put(strip, i, c % PHI_STRIP_COLUMNS, (int)factor, (int)n);
            stored[c] = scale * (factor * n);
            if (f->differences) f->differences[16 * (f->first + c)] = b->w[c] - stored[c];
        }
    }
}

/* The same for an encoding of floats. */
static void keep(const row_block *b, uint8_t *strips, size_t i, const phi_encoding *e,
                 float (*put)(uint8_t *strip, size_t i, size_t k, float w), float *stored) {
    for (size_t c = 0; c < b->count; c++)
        stored[c] = put(strips + c / PHI_STRIP_COLUMNS * e->strip_bytes, i, c % PHI_STRIP_COLUMNS, b->w[c]);
}

static void encode(const phi_encode_args *a, size_t begin, size_t end, const phi_encoding *e,
                   void (*round)(const feedback *, row_block *, uint8_t *strips, size_t i, float *stored)) {
    size_t tile_bytes = phi_encoding_tile_bytes(e, a->columns);
    for (size_t tile = begin; tile < end; tile++) {
        double errors[PHI_TILE_ROWS] = {0}, squares[PHI_TILE_ROWS] = {0};
        uint8_t *out = (uint8_t *)a->out + tile * tile_bytes;
        memset(out, 0, tile_bytes);
        for (size_t i = 0; i < PHI_TILE_ROWS && tile * PHI_TILE_ROWS + i < a->row_count; i++)
            for (size_t c = 0; c < a->columns; c += PHI_BLOCK_COLUMNS) {
                const float *w = a->rows + (tile * PHI_TILE_ROWS + i) * a->columns + c;
                uint8_t *strips = out + phi_strip_at(c / PHI_STRIP_COLUMNS, e);
                size_t count = phi_min(a->columns - c, PHI_BLOCK_COLUMNS);
                float stored[PHI_BLOCK_COLUMNS];
                row_block b = {.w = w, .count = count, .importance = a->importance ? a->importance + c : NULL};
                memcpy(b.targets, w, count * sizeof *w);
                feedback f = {a, a->feedback ? a->differences + tile * a->columns * PHI_TILE_ROWS + i : NULL, c};
                round(&f, &b, strips, i, stored);
                for (size_t k = 0; k < count; k++) {
                    double difference = (double)w[k] - (double)stored[k];
                    errors[i] += difference * difference;
                    squares[i] += (double)w[k] * (double)w[k];
                }
            }
        a->errors[tile] = a->squares[tile] = 0;
        for (size_t i = 0; i < PHI_TILE_ROWS; i++) {
            a->errors[tile] += errors[i];
            a->squares[tile] += squares[i];
        }
    }
}

#define PHI_REFERENCE
#include "encodings/all.h"
#undef PHI_REFERENCE

/* ---- The operations for each encoding ---- */

#define PHI_ENCODING(name, ...) \
    static void matmul_##name(const void *a, size_t begin, size_t end) { \
        matmul(a, begin, end, &phi_##name, phi_weight_##name); \
    } \
    static void encode_##name(const void *a, size_t begin, size_t end) { encode(a, begin, end, &phi_##name, round_##name); }
#include "encodings.inc"
#undef PHI_ENCODING

/* ---- Limits ---- */

static void probe_read(const void *raw, size_t begin, size_t end) {
    const phi_probe_args *a = raw;
    for (size_t item = begin; item < end; item++) {
        uint32_t sum = 0;
        for (size_t i = 0; i < PHI_PROBE_BYTES; i += 4) {
            uint32_t word;
            memcpy(&word, (const uint8_t *)a->memory + item * PHI_PROBE_BYTES + i, 4);
            sum += word;
        }
        a->sink[item] = (int32_t)sum;
    }
}

static void probe_dot(const void *raw, size_t begin, size_t end) {
    const phi_probe_args *a = raw;
    const int8_t *q = a->memory;
    for (size_t item = begin; item < end; item++) {
        int32_t sum[PHI_TILE_ROWS] = {0};
        for (size_t n = 0; n < PHI_PROBE_DOTS; n++)
            for (size_t i = 0; i < PHI_TILE_ROWS; i++)
                for (size_t k = 0; k < 4; k++) sum[i] += (q[i] & 15) * q[k];
        a->sink[item] = 0;
        for (size_t i = 0; i < PHI_TILE_ROWS; i++) a->sink[item] += sum[i];
    }
}

const phi_kernels phi_kernels_reference = {
    .name = "reference",
#define PHI_OPERATION(operation, arguments) .operation = operation,
#include "operations.inc"
#undef PHI_OPERATION
};
