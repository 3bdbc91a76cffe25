/* Causal attention over blocks of 64 positions. Queries of a batch go together through a block, so that its keys and
 * values are read and widened once for them all. ATTENTION_QUERIES is the number that the registers hold. */

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

/* The f16 of `count` floats, sixteen at a time. */
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

PHI_INLINE vf load_cache(const void *cache, size_t at, const size_t size) {
    return size == 4 ? vf_load((const float *)cache + at) : vf_load_half((const uint16_t *)cache + at);
}

/* Starts to read what the next block will want. */
PHI_INLINE void fetch_cache(const void *cache, size_t at, const size_t size) {
    __builtin_prefetch((const uint8_t *)cache + at * size, 0, 3);
}

/* What a query carries from block to block. */
typedef struct {
    vf sum;                                  /* of the probabilities, by lane */
    float most;                              /* the largest score so far */
    float out[PHI_MAX_HEAD_SIZE];            /* the weighted values so far */
} running;

/* Scores of one query with 64 positions turned into probabilities; positions from `count` on get none. */
PHI_INLINE void softmax_step(running *r, float p[PHI_POSITION_BLOCK], size_t count, float scale, vf *shrink) {
    vf lanes = vf_lanes(), none = vf_set(-INFINITY), s[4], most = vf_set(r->most);
    for (int i = 0; i < 4; i++) {
        s[i] = vf_mul(vf_load(p + 16 * i), vf_set(scale));
        s[i] = vf_where_less(lanes, vf_set((float)count - 16.0f * (float)i), s[i], none);
        most = vf_max(s[i], most);
    }
    float now = vf_lane_max(most);
    *shrink = vf_exp(vf_sub(vf_set(r->most), vf_set(now)));
    for (int i = 0; i < 4; i++) {
        s[i] = vf_exp(vf_sub(s[i], vf_set(now)));
        vf_store(p + 16 * i, s[i]);
    }
    r->sum = vf_fma(r->sum, *shrink, vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
    r->most = now;
}

#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < count; i++)

/* Adds a block's weighted values to dimensions d to d + 16 `slices`. */
PHI_INLINE void weigh_values(const phi_attention_args *a, running *r, float (*p)[PHI_POSITION_BLOCK], const vf *shrink,
                             const size_t *seen, size_t values, size_t block, size_t d, const int queries,
                             const int slices, const size_t size) {
    vf o[ATTENTION_QUERIES][4];
    EACH(i, queries) EACH(u, slices) o[i][u] = vf_mul(vf_load(r[i].out + d + 16 * u), shrink[i]);
    size_t at = values + block * a->value_size + d, j = 0;
    for (; j < seen[0]; j++, at += a->value_size) {
        vf v[4];
        EACH(u, slices) v[u] = load_cache(a->values, at + 16 * (size_t)u, size);
        if (slices == 4)
            for (size_t u = 0; u < 4; u += 2) fetch_cache(a->values, at + 64 * a->value_size + 16 * u, size);
        EACH(i, queries) {
            vf x = vf_set(p[i][j]);
            EACH(u, slices) o[i][u] = vf_fma(x, v[u], o[i][u]);
        }
    }
    for (; j < seen[queries - 1]; j++, at += a->value_size) { /* what only the later queries see */
        vf v = load_cache(a->values, at, size);
        EACH(i, queries) if (j < seen[i]) o[i][0] = vf_fma(vf_set(p[i][j]), v, o[i][0]);
    }
    EACH(i, queries) EACH(u, slices) vf_store(r[i].out + d + 16 * u, o[i][u]);
}

/* One block for `queries` neighbouring queries, the first of which sees `count` positions of it and each next one more,
 * up to all. */
PHI_INLINE void attend_block(const phi_attention_args *a, running *r, const float *q, size_t keys, size_t values,
                             size_t block, size_t count, const int queries, const size_t size) {
    float p[ATTENTION_QUERIES][PHI_POSITION_BLOCK];
    size_t seen[ATTENTION_QUERIES];
    for (int i = 0; i < queries; i++)
        seen[i] = count + (size_t)i < PHI_POSITION_BLOCK ? count + (size_t)i : PHI_POSITION_BLOCK;
    size_t most = seen[queries - 1];

    /* A lone query goes through four tiles of keys at once, so that its sums need not wait for each other. */
    const int tiles = queries == 1 ? 4 : 1;
    for (size_t j = 0; j < PHI_POSITION_BLOCK; j += 16 * (size_t)tiles) {
        vf s[ATTENTION_QUERIES][4];
        EACH(i, queries) EACH(u, tiles) s[i][u] = vf_set(0);
        size_t at = keys + (block + j) * a->head_size;
        for (size_t d = 0; j < most && d < a->head_size; d++, at += 16) {
            vf k[4];
            EACH(u, tiles) k[u] = load_cache(a->keys, at + (size_t)u * 16 * a->head_size, size);
            if (queries == 1 && d % 2 == 0)
                EACH(u, tiles) fetch_cache(a->keys, at + (size_t)(u + 4) * 16 * a->head_size, size);
            EACH(i, queries) {
                vf x = vf_set(q[(size_t)i * a->q_stride + d]);
                EACH(u, tiles) s[i][u] = vf_fma(x, k[u], s[i][u]);
            }
        }
        EACH(i, queries) EACH(u, tiles) vf_store(p[i] + j + 16 * u, s[i][u]);
    }

    vf shrink[ATTENTION_QUERIES];
    for (int i = 0; i < queries; i++) softmax_step(&r[i], p[i], seen[i], a->scale, &shrink[i]);

    size_t d = 0;
    if (queries == 1)
        for (; d + 64 <= a->value_size; d += 64) weigh_values(a, r, p, shrink, seen, values, block, d, 1, 4, size);
    for (; d < a->value_size; d += 16) weigh_values(a, r, p, shrink, seen, values, block, d, queries, 1, size);
}

/* Neighbouring queries whose positions are in the same block. */
PHI_INLINE void attend(const phi_attention_args *a, size_t head, size_t token, const int queries, const size_t size) {
    const float *q = a->q + token * a->q_stride + head * a->head_size;
    size_t kv = head / (a->heads / a->kv_heads), end = a->first + token + 1;
    size_t keys = kv * a->key_stride, values = kv * a->value_stride;
    running r[ATTENTION_QUERIES];
    for (int i = 0; i < queries; i++) {
        r[i].sum = vf_set(0);
        r[i].most = PHI_ATTENTION_LEAST;
        for (size_t d = 0; d < a->value_size; d += 16) vf_store(r[i].out + d, vf_set(0));
    }
    for (size_t block = 0; block < end; block += PHI_POSITION_BLOCK)
        attend_block(a, r, q, keys, values, block, end - block, queries, size);
    for (int i = 0; i < queries; i++) {
        float *out = a->out + (token + (size_t)i) * a->out_stride + head * a->head_size;
        vf sum = vf_set(vf_lane_sum(r[i].sum));
        for (size_t d = 0; d < a->value_size; d += 16) vf_store(r[i].out + d, vf_div(vf_load(r[i].out + d), sum));
        memcpy(out, r[i].out, a->head_size * sizeof *out);
    }
}

PHI_INLINE void attention(const phi_attention_args *a, size_t begin, size_t end, const size_t size) {
    for (size_t item = begin; item < end; item++) {
        size_t head = item % a->heads, token = item / a->heads * PHI_QUERY_BLOCK;
        size_t last = token + PHI_QUERY_BLOCK < a->tokens ? token + PHI_QUERY_BLOCK : a->tokens;
        while (token < last) {
            size_t together = PHI_POSITION_BLOCK - (a->first + token) % PHI_POSITION_BLOCK;
            if (together > last - token) together = last - token;
            if (together >= ATTENTION_QUERIES) {
                attend(a, head, token, ATTENTION_QUERIES, size);
                token += ATTENTION_QUERIES;
            } else if (together >= 3) {
                attend(a, head, token, 3, size);
                token += 3;
            } else {
                attend(a, head, token, 1, size);
                token += 1;
            }
        }
    }
}

static void attention_f32(const void *a, size_t begin, size_t end) { attention(a, begin, end, 4); }
static void attention_f16(const void *a, size_t begin, size_t end) { attention(a, begin, end, 2); }
