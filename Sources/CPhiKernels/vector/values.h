/* Weighted sums of a block's values, included by attention.h: floats one position after the other, the 8-bit cache by integers. */

/* Adds a block's weighted values in dimensions d ..< d + 16 * slices. */
PHI_INLINE void weigh_floats(const phi_attention_args *a, running *r, float (*p)[PHI_POSITION_BLOCK], const rescaling *by,
                             const size_t *seen, cache_block values, size_t d, const int queries, const int slices,
                             const size_t size) {
    vf o[ATTENTION_QUERIES][4];
    EACH(i, queries) EACH(u, slices) o[i][u] = vf_mul(vf_load(r[i].out + d + 16 * u), vf_set(by[i].shrink));
    size_t at = d, j = 0;
    for (; j < seen[0]; j++, at += a->value_size) {
        for (size_t u = 0; u < (size_t)slices; u += 4 / size) prefetch_cache(values, (at + 16 * u) * size);
        /* One slice after the other, so that sums stay in registers. */
        EACH(u, slices) {
            vf v = load_block(values, at + 16 * (size_t)u, size);
            EACH(i, queries) o[i][u] = vf_fma(vf_set(p[i][j]), v, o[i][u]);
        }
    }
    for (; j < seen[queries - 1]; j++, at += a->value_size) { /* positions that only later queries attend to */
        EACH(u, slices) {
            vf v = load_block(values, at + 16 * (size_t)u, size);
            EACH(i, queries) if (j < seen[i]) o[i][u] = vf_fma(vf_set(p[i][j]), v, o[i][u]);
        }
    }
    EACH(i, queries) EACH(u, slices) vf_store(r[i].out + d + 16 * u, o[i][u]);
}

/* The weights of a block's positions in one group of dimensions: probabilities are multiplied by `ratios` and rounded, and `step` turns
 * sums of integers back. */
typedef struct {
    vf ratios[4];
    float step;
} weighting;

PHI_INLINE weighting weighting_of(const uint16_t *scales, size_t groups, size_t seen) {
    weighting w;
    vf largest = vf_set(0);
    for (int i = 0; i < 4; i++) {
        vf scale = vf_load_half(scales + (size_t)i * 16 * groups);
        w.ratios[i] = vf_where_less(vf_lanes(), vf_set((float)seen - 16.0f * (float)i), scale, vf_set(0));
        largest = vf_max(w.ratios[i], largest);
    }
    vf factor = vf_set(phi_weigh_by(vf_lane_max(largest), &w.step));
    for (int i = 0; i < 4; i++) w.ratios[i] = vf_mul(w.ratios[i], factor);
    return w;
}

/* 16 dimensions of 4 positions in the form of vw_load_values. */
typedef struct {
    _Alignas(64) uint8_t bytes[VALUE_VECTORS][64];
} four_values;

PHI_INLINE void add_weighed(running *r, rescaling by, float step, vi sum, size_t d) {
    vf_store(r->out + d, vf_fma(vf_of(sum), vf_set(by.grow * step), vf_mul(vf_load(r->out + d), vf_set(by.shrink))));
}

/* The weighted sums of `slices` times 16 dimensions from d on; their values begin with slice `first`. */
PHI_INLINE void weigh_integers(running *r, const rescaling *by, const float *steps, vweight (*weights)[PHI_POSITION_BLOCK],
                               four_values (*values)[2], size_t quads, size_t d, size_t first, const int queries,
                               const int slices) {
    vi sum[ATTENTION_QUERIES][2];
    EACH(i, queries) EACH(u, slices) sum[i][u] = vi_set(0);
    for (size_t j = 0; j < quads; j++) EACH(u, slices) {
            four_values *four = &values[j][first + (size_t)u];
            vw v[VALUE_VECTORS];
            EACH(k, VALUE_VECTORS) v[k] = vw_load(four->bytes[k]);
            EACH(i, queries) sum[i][u] = vi_weigh(sum[i][u], v, weights[i] + 4 * j);
        }
    EACH(i, queries) EACH(u, slices) add_weighed(&r[i], by[i], steps[i], sum[i][u], d + 16 * (size_t)u);
}

/* The same for a single query, from the cache. */
PHI_INLINE void weigh_alone(const phi_attention_args *a, running *r, rescaling by, float step, const vweight *weights,
                            cache_block block, size_t quads, size_t d, const int slices) {
    vi sum[2][2];
    EACH(u, slices) sum[u][0] = sum[u][1] = vi_set(0);
    for (size_t j = 0; j < quads; j++) EACH(u, slices) {
            size_t at = 4 * j * a->value_size + d + 16 * (size_t)u;
            prefetch_cache(block, 4 * j * a->value_size + 4 * (d + 16 * (size_t)u));
            vw four[VALUE_VECTORS];
            vw_load_values((const int8_t *)block.from + at, a->value_size, four);
            sum[u][j % 2] = vi_weigh(sum[u][j % 2], four, weights + 4 * j);
        }
    EACH(u, slices) add_weighed(r, by, step, vi_add(sum[u][0], sum[u][1]), d + 16 * (size_t)u);
}

/* A block of the 8-bit cache for `groups` * `queries` neighbouring queries, of which the first sees `seen` positions and each next one
 * more: values are widened and weights rounded once for a group of dimensions. */
PHI_INLINE void weigh_q8(const phi_attention_args *a, running *r, float (*p)[PHI_POSITION_BLOCK], const rescaling *by,
                         size_t seen, cache_block block, const uint16_t *scales, const int queries, size_t groups) {
    size_t count = groups * (size_t)queries, most = phi_min(seen + count - 1, PHI_POSITION_BLOCK), quads = (most + 3) / 4;
    four_values values[PHI_POSITION_BLOCK / 4][2];
    vweight weights[PHI_QUERY_BLOCK][PHI_POSITION_BLOCK];
    float steps[PHI_QUERY_BLOCK];
    for (size_t d = 0; d < a->value_size; d += PHI_CACHE_GROUP, scales += 16) {
        size_t slices = phi_min(a->value_size - d, PHI_CACHE_GROUP) / 16;
        weighting w;
        for (size_t i = 0; i < count; i++) {
            if (i == 0 || seen + i <= PHI_POSITION_BLOCK)
                w = weighting_of(scales, phi_cache_groups(a->head_size), phi_min(seen + i, PHI_POSITION_BLOCK));
            for (int k = 0; k < 4; k++)
                vi_store_weights(weights[i] + 16 * k, vf_round(vf_mul(vf_load(p[i] + 16 * k), w.ratios[k])));
            steps[i] = w.step;
        }
        if (queries == 1) {
            if (slices == 2) weigh_alone(a, r, *by, *steps, *weights, block, quads, d, 2);
            else weigh_alone(a, r, *by, *steps, *weights, block, quads, d, 1);
            continue;
        }
        for (size_t j = 0; j < quads; j++)
            for (size_t u = 0; u < slices; u++) {
                vw four[VALUE_VECTORS];
                vw_load_values((const int8_t *)block.from + 4 * j * a->value_size + d + 16 * u, a->value_size, four);
                prefetch_cache(block, 4 * j * a->value_size + 4 * (d + 16 * u));
                for (int i = 0; i < VALUE_VECTORS; i++) vw_store(values[j][u].bytes[i], four[i]);
            }
        for (size_t i = 0; i < count; i += (size_t)queries)
            for (size_t u = 0, at_once; u < slices; u += at_once) {
                at_once = phi_min(slices - u, ATTENTION_TILES);
                if (at_once == 2) weigh_integers(r + i, by + i, steps + i, weights + i, values, quads, d, 0, queries, 2);
                else weigh_integers(r + i, by + i, steps + i, weights + i, values, quads, d + 16 * u, u, queries, 1);
            }
    }
}
