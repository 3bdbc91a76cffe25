/* Causal attention over blocks of 64 positions. Queries of a batch go through a block together, so that its keys and
 * values are read and widened once for all of them. Registers hold the sums of ATTENTION_QUERIES queries for ATTENTION_TILES tiles of
 * keys or slices of values, one or two. */

static void store_f32(const void *raw, size_t begin, size_t end) {
    const phi_store_args *a = raw;
    for (size_t head = begin; head < end; head++)
        for (size_t t = 0; t < a->tokens; t++) {
            size_t position = a->first + t, from = t * a->stride + head * a->head_size;
            float *keys = (float *)a->keys + head * a->key_stride + position / 16 * a->head_size * 16 + position % 16;
            float *values = (float *)a->values + head * a->value_stride + position * a->value_size;
            for (size_t d = 0; d < a->head_size; d++) keys[16 * d] = a->k[from + d];
            memcpy(values, a->v + from, a->head_size * sizeof *values);
        }
}

/* Converts `count` floats to f16. */
PHI_INLINE void halves(const float *from, size_t count, uint16_t *to) {
    size_t d = 0;
    for (; d + 16 <= count; d += 16) vf_store_half(to + d, vf_load(from + d));
    for (; d < count; d++) to[d] = phi_float_to_half(from[d]);
}

static void store_f16(const void *raw, size_t begin, size_t end) {
    const phi_store_args *a = raw;
    for (size_t head = begin; head < end; head++)
        for (size_t t = 0; t < a->tokens; t++) {
            size_t position = a->first + t, from = t * a->stride + head * a->head_size;
            uint16_t *keys = (uint16_t *)a->keys + head * a->key_stride + position / 16 * a->head_size * 16 + position % 16;
            uint16_t key[PHI_MAX_HEAD_SIZE];
            halves(a->k + from, a->head_size, key);
            for (size_t d = 0; d < a->head_size; d++) keys[16 * d] = key[d];
            halves(a->v + from, a->head_size, (uint16_t *)a->values + head * a->value_stride + position * a->value_size);
        }
}

/* Quantises one position's keys or values of one group to 8 bits. */
PHI_INLINE void cache_group(const float *x, size_t count, int8_t n[PHI_CACHE_GROUP], uint16_t *half) {
    float padded[PHI_CACHE_GROUP] = {0};
    if (count < PHI_CACHE_GROUP) {
        memcpy(padded, x, count * sizeof *x);
        x = padded;
    }
    vf x0 = vf_load(x), x1 = vf_load(x + 16), least = vf_set(-127), most = vf_set(127);
    float scale = vf_lane_max(vf_max(vf_abs(x0), vf_max(vf_abs(x1), vf_set(0)))) / 127.0f;
    *half = phi_float_to_half(scale < PHI_HALF_MAX ? scale : PHI_HALF_MAX);
    scale = phi_half_to_float(*half);
    vf inverse = vf_set(scale > 0 ? 1.0f / scale : 0);
    vi_store_bytes(n, vf_round(vf_min(vf_max(vf_mul(x0, inverse), least), most)));
    vi_store_bytes(n + 16, vf_round(vf_min(vf_max(vf_mul(x1, inverse), least), most)));
}

static void store_q8(const void *raw, size_t begin, size_t end) {
    const phi_store_args *a = raw;
    size_t groups = phi_cache_groups(a->head_size), key_size = groups * PHI_CACHE_GROUP;
    for (size_t head = begin; head < end; head++)
        for (size_t t = 0; t < a->tokens; t++) {
            size_t position = a->first + t, from = t * a->stride + head * a->head_size;
            size_t scale = head * a->scale_stride + phi_cache_scale_at(position, groups);
            uint8_t *keys = (uint8_t *)a->keys + head * a->key_stride + position / 16 * key_size * 16 + position % 16 * 4;
            int8_t *values = (int8_t *)a->values + head * a->value_stride + position * a->value_size;
            for (size_t g = 0; g < groups; g++) {
                size_t d = g * PHI_CACHE_GROUP, count = phi_cache_group_size(a->head_size, d);
                int8_t n[PHI_CACHE_GROUP];
                cache_group(a->k + from + d, count, n, &a->key_scales[scale + 16 * g]);
                for (size_t i = 0; i < PHI_CACHE_GROUP; i++) n[i] = (int8_t)(n[i] ^ PHI_CACHE_ZERO_POINT);
                for (size_t j = 0; j < 8; j++) memcpy(keys + (d / 4 + j) * 64, n + 4 * j, 4);
                cache_group(a->v + from + d, count, n, &a->value_scales[scale + 16 * g]);
                if (count == PHI_CACHE_GROUP) memcpy(values + d, n, PHI_CACHE_GROUP); /* inlined */
                else memcpy(values + d, n, count);
            }
        }
}

#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < count; i++)

/* `size` is the bytes of an element: 4, 2, or 1 for the 8-bit cache. */
PHI_INLINE vf load_cache(const void *cache, size_t at, const size_t size) {
    return size == 4   ? vf_load((const float *)cache + at)
           : size == 2 ? vf_load_half((const uint16_t *)cache + at)
                       : vf_load_bytes((const int8_t *)cache + at);
}

/* State of a query between blocks. */
typedef struct {
    int8_t q[PHI_MAX_HEAD_SIZE];             /* for the 8-bit cache: the quantised query, */
    float scales[PHI_MAX_HEAD_SIZE / PHI_CACHE_GROUP];
    int32_t zero_corrections[PHI_MAX_HEAD_SIZE / PHI_CACHE_GROUP]; /* and its zero corrections */
    vf sum;                                  /* of the probabilities, by lane */
    float most;                              /* maximum of the scores so far */
    float out[PHI_MAX_HEAD_SIZE];            /* sum of the weighted values so far */
} running;

/* What a block of positions changes of a query's sums: those so far shrink, and those of the block, if its probabilities are relative to
 * its own largest, are too large. */
typedef struct {
    float shrink, grow;
} rescaling;

/* Turns scores of one query with 64 positions into probabilities, before division by their sum; those of positions from `count` on
 * are zero. */
PHI_INLINE void softmax_step(running *r, float p[PHI_POSITION_BLOCK], size_t count, float scale, rescaling *by,
                             const bool is_local) {
    vf s[4], largest = vf_set(PHI_ATTENTION_LEAST);
    for (int i = 0; i < 4; i++) s[i] = vf_mul(vf_load(p + 16 * i), vf_set(scale));
    if (count < PHI_POSITION_BLOCK)
        for (int i = 0; i < 4; i++)
            s[i] = vf_where_less(vf_lanes(), vf_set((float)count - 16.0f * (float)i), s[i], vf_set(-INFINITY));
    for (int i = 0; i < 4; i++) largest = vf_max(s[i], largest);
    float block = vf_lane_max(largest), now = block > r->most ? block : r->most, from = is_local ? block : now;
    for (int i = 0; i < 4; i++) {
        s[i] = vf_exp2(vf_sub(s[i], vf_set(from)));
        vf_store(p + 16 * i, s[i]);
    }
    float both[16] = {r->most - now, from - now};
    vf_store(both, vf_exp2(vf_load(both)));
    *by = (rescaling){both[0], both[1]};
    vf sum = vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3]));
    r->sum = vf_fma(r->sum, vf_set(by->shrink), is_local ? vf_mul(vf_set(by->grow), sum) : sum);
    r->most = now;
}

/* Keys or values of a block of one head: where they are, whether they have been widened from f16 to f32, and those to prefetch
 * meanwhile: of the next block into the first-level cache, of the block BLOCKS_AHEAD on into the second-level cache. After a head's
 * last block comes the next head's first. */
enum { BLOCKS_AHEAD = 4 };
typedef struct {
    const void *from;
    bool wide;
    const uint8_t *next, *far; /* null if they have been prefetched */
} cache_block;

PHI_INLINE void prefetch_cache(cache_block block, size_t bytes) {
    if (!block.next) return;
    __builtin_prefetch(block.next + bytes, 0, 3);
    __builtin_prefetch(block.far + bytes, 0, 2);
}

/* The block for further queries. */
PHI_INLINE cache_block without_prefetch(cache_block block) { return (cache_block){block.from, block.wide, NULL, NULL}; }

PHI_INLINE vf load_block(cache_block block, size_t at, const size_t size) {
    return size == 2 && block.wide ? vf_load((const float *)block.from + at) : load_cache(block.from, at, size);
}

#include "values.h"

/* Scores of `tiles` tiles of 16 positions with each query. */
PHI_INLINE void score_float(const phi_attention_args *a, const float *q, cache_block keys, size_t at, vf (*s)[4],
                            const int queries, const int tiles, const size_t size) {
    for (size_t d = 0; d < a->head_size; d++, at += 16) {
        vf k[4];
        EACH(u, tiles) k[u] = load_block(keys, at + (size_t)u * 16 * a->head_size, size);
        if (16 * size * d % 64 == 0) EACH(u, tiles) prefetch_cache(keys, (at + (size_t)u * 16 * a->head_size) * size);
        EACH(i, queries) {
            vf x = vf_set(q[(size_t)i * a->q_stride + d]);
            EACH(u, tiles) s[i][u] = vf_fma(x, k[u], s[i][u]);
        }
    }
}

PHI_INLINE void score_q8(const phi_attention_args *a, const running *r, cache_block keys, size_t at, const uint16_t *scales,
                         vf (*s)[4], const int queries, const int tiles) {
    size_t groups = phi_cache_groups(a->head_size), next = groups * PHI_CACHE_GROUP * 16;
    for (size_t g = 0; g < groups; g++, at += 512) {
        vi dot[ATTENTION_QUERIES][4];
        EACH(i, queries) EACH(u, tiles) dot[i][u] = vi_start_u8(r[i].zero_corrections[g]);
        for (size_t j = 0; j < 8; j++) {
            vw k[4];
            EACH(u, tiles) k[u] = vw_load_u8((const uint8_t *)keys.from + at + (size_t)u * next + 64 * j);
            EACH(u, tiles) prefetch_cache(keys, at + (size_t)u * next + 64 * j);
            EACH(i, queries) {
                vq four = vq_load(r[i].q + g * PHI_CACHE_GROUP + 4 * j);
                EACH(u, tiles) dot[i][u] = vi_dot_u8(dot[i][u], k[u], four);
            }
        }
        EACH(u, tiles) {
            vf scale = vf_load_half(scales + (size_t)u * 16 * groups + 16 * g);
            EACH(i, queries) s[i][u] = vf_fma(vf_of(dot[i][u]), vf_mul(scale, vf_set(r[i].scales[g])), s[i][u]);
        }
    }
}

/* Elements of a position's key in the cache. */
PHI_INLINE size_t key_columns(const phi_attention_args *a, const size_t size) {
    return size == 1 ? phi_cache_groups(a->head_size) * PHI_CACHE_GROUP : a->head_size;
}

/* The number of a block's positions that each of `queries` neighbouring queries attends to: `count` for the first, one more for each
 * next, up to all. */
PHI_INLINE void count_seen(size_t seen[ATTENTION_QUERIES], size_t count, const int queries) {
    for (int i = 0; i < queries; i++) seen[i] = phi_min(count + (size_t)i, PHI_POSITION_BLOCK);
}

/* A single query goes through four tiles of keys at once, so that its sums need not wait for each other, and through as many slices
 * of values. */
PHI_INLINE int tiles_at_once(const int queries) { return queries == 1 ? 4 : ATTENTION_TILES; }

/* Probabilities of a block's positions for `queries` neighbouring queries. */
PHI_INLINE void score_block(const phi_attention_args *a, running *r, const float *q, cache_block keys, size_t kv, size_t block,
                            const size_t *seen, float (*p)[PHI_POSITION_BLOCK], rescaling *by, const int queries,
                            const size_t size) {
    const int tiles = tiles_at_once(queries);
    size_t most = seen[queries - 1], groups = phi_cache_groups(a->head_size);
    size_t key_size = key_columns(a, size);
    for (size_t j = 0; j < PHI_POSITION_BLOCK; j += 16 * (size_t)tiles) {
        vf s[ATTENTION_QUERIES][4];
        EACH(i, queries) EACH(u, tiles) s[i][u] = vf_set(0);
        if (j < most) {
            if (size == 1)
                score_q8(a, r, keys, j * key_size, a->key_scales + kv * a->scale_stride + phi_cache_scale_at(block + j, groups),
                         s, queries, tiles);
            else score_float(a, q, keys, j * key_size, s, queries, tiles, size);
        }
        EACH(i, queries) EACH(u, tiles) vf_store(p[i] + j + 16 * u, s[i][u]);
    }
    for (int i = 0; i < queries; i++) softmax_step(&r[i], p[i], seen[i], a->scale * PHI_EXP_LOG2E, &by[i], size == 1);
}

PHI_INLINE void weigh_block(const phi_attention_args *a, running *r, cache_block values, const size_t *seen,
                            float (*p)[PHI_POSITION_BLOCK], const rescaling *by, const int queries, const size_t size) {
    const int slices = tiles_at_once(queries);
    const size_t dimensions = 16 * (size_t)slices;
    size_t d = 0;
    for (; d + dimensions <= a->value_size; d += dimensions) weigh_floats(a, r, p, by, seen, values, d, queries, slices, size);
    for (; d < a->value_size; d += 16) weigh_floats(a, r, p, by, seen, values, d, queries, 1, size);
}

/* Block of a head's `columns` elements for each position up to `end`. */
PHI_INLINE cache_block block_at(const void *cache, size_t stride, size_t columns, size_t head, size_t block, size_t end,
                                const size_t size) {
    const uint8_t *at[2] = {NULL};
    for (size_t i = 0, ahead = 1; i < 2; i++, ahead = BLOCKS_AHEAD) {
        size_t number = block / PHI_POSITION_BLOCK + ahead, blocks = (end + PHI_POSITION_BLOCK - 1) / PHI_POSITION_BLOCK;
        size_t from = (head + number / blocks) * stride + number % blocks * PHI_POSITION_BLOCK * columns;
        at[i] = (const uint8_t *)cache + from * size;
    }
    return (cache_block){(const uint8_t *)cache + (head * stride + block * columns) * size, false, at[0], at[1]};
}

/* Widens `count` f16 keys or values to f32, for heads of up to WIDE_HEAD dimensions. */
enum { WIDE_HEAD = 128 };
PHI_INLINE cache_block widen(cache_block block, size_t count, float *wide) {
    for (size_t at = 0; at < count; at += 16) vf_store(wide + at, load_cache(block.from, at, 2));
    return (cache_block){wide, true, block.next, block.far};
}

/* Quantises the query, group by group. */
PHI_INLINE void quantise_query(running *r, const float *q, size_t head_size) {
    for (size_t d = 0, g = 0; d < head_size; d += PHI_CACHE_GROUP, g++) {
        float padded[PHI_CACHE_GROUP] = {0};
        memcpy(padded, q + d, phi_cache_group_size(head_size, d) * sizeof *q);
        r->zero_corrections[g] = -PHI_CACHE_ZERO_POINT * quantise_group(padded, r->q + d, &r->scales[g]);
    }
}

/* `groups` * `queries` neighbouring queries whose positions are in the same block: a block of keys, then of values, stays in the
 * first-level cache for all of them, and f16 is widened once. */
PHI_INLINE void attend(const phi_attention_args *a, size_t head, size_t token, const int queries, size_t groups,
                       const size_t size) {
    const float *q = a->q + token * a->q_stride + head * a->head_size;
    const size_t kv = head / (a->heads / a->kv_heads), end = a->first + token + 1, count = groups * (size_t)queries;
    const size_t key_size = key_columns(a, size);
    const bool wide = size == 2 && groups > 1 && a->value_size <= WIDE_HEAD;
    _Alignas(64) float floats[PHI_POSITION_BLOCK * WIDE_HEAD];
    float p[PHI_QUERY_BLOCK][PHI_POSITION_BLOCK];
    rescaling by[PHI_QUERY_BLOCK];
    running r[PHI_QUERY_BLOCK];
    for (size_t i = 0; i < count; i++) {
        if (size == 1) quantise_query(&r[i], q + i * a->q_stride, a->head_size);
        r[i].sum = vf_set(0);
        r[i].most = PHI_ATTENTION_LEAST;
        for (size_t d = 0; d < a->value_size; d += 16) vf_store(r[i].out + d, vf_set(0));
    }
    for (size_t block = 0; block < end; block += PHI_POSITION_BLOCK) {
        size_t seen[ATTENTION_QUERIES], most = phi_min(end + count - 1 - block, PHI_POSITION_BLOCK);
        cache_block keys = block_at(a->keys, a->key_stride, key_size, kv, block, end, size);
        if (wide) keys = widen(keys, (most + 31) / 32 * 32 * key_size, floats);
        for (size_t i = 0; i < count; i += (size_t)queries) {
            count_seen(seen, end + i - block, queries);
            score_block(a, r + i, q + i * a->q_stride, keys, kv, block, seen, p + i, by + i, queries, size);
            keys = without_prefetch(keys);
        }
        cache_block values = block_at(a->values, a->value_stride, a->value_size, kv, block, end, size);
        if (size == 1) {
            const uint16_t *scales = a->value_scales + kv * a->scale_stride +
                                     phi_cache_scale_at(block, phi_cache_groups(a->head_size));
            weigh_q8(a, r, p, by, end - block, values, scales, queries, groups);
            continue;
        }
        if (wide) values = widen(values, most * a->value_size, floats);
        for (size_t i = 0; i < count; i += (size_t)queries) {
            count_seen(seen, end + i - block, queries);
            weigh_block(a, r + i, values, seen, p + i, by + i, queries, size);
            values = without_prefetch(values);
        }
    }
    for (size_t i = 0; i < count; i++) {
        float *out = a->out + (token + i) * a->out_stride + head * a->head_size;
        vf sum = vf_set(vf_lane_sum(r[i].sum));
        for (size_t d = 0; d < a->value_size; d += 16) vf_store(r[i].out + d, vf_div(vf_load(r[i].out + d), sum));
        memcpy(out, r[i].out, a->head_size * sizeof *out);
    }
}

PHI_INLINE void attention(const phi_attention_args *a, size_t begin, size_t end, const size_t size) {
    for (size_t number = begin; number < end; number++) {
        phi_attention_item item = phi_attention_item_at(a, number);
        size_t head = item.head, token = item.token, last = item.token_end;
        while (token < last) {
            size_t together = phi_min(PHI_POSITION_BLOCK - (a->first + token) % PHI_POSITION_BLOCK, last - token);
            if (together >= ATTENTION_QUERIES) {
                size_t groups = together / ATTENTION_QUERIES;
                attend(a, head, token, ATTENTION_QUERIES, groups, size);
                token += groups * ATTENTION_QUERIES;
            } else if (together >= 3) {
                attend(a, head, token, 3, 1, size);
                token += 3;
            } else {
                attend(a, head, token, 1, 1, size);
                token += 1;
            }
        }
    }
}

static void attention_f32(const void *a, size_t begin, size_t end) { attention(a, begin, end, 4); }
static void attention_f16(const void *a, size_t begin, size_t end) { attention(a, begin, end, 2); }
static void attention_q8(const void *a, size_t begin, size_t end) { attention(a, begin, end, 1); }
