/* Sums of products of activations over tokens. The sixteen columns of a tile are the sixteen lanes. */

PHI_INLINE vf load_columns(const float *x, const float *less, size_t columns) {
    float part[2][PHI_TILE_ROWS] = {0};
    if (columns < PHI_TILE_ROWS) {
        memcpy(part[0], x, columns * sizeof *x);
        if (less) memcpy(part[1], less, columns * sizeof *less);
        return vf_sub(vf_load(part[0]), vf_load(part[1]));
    }
    return less ? vf_sub(vf_load(x), vf_load(less)) : vf_load(x);
}

static void quantise_columns(const void *raw, size_t begin, size_t end) {
    const phi_quantise_columns_args *a = raw;
    for (size_t tile = begin; tile < end; tile++) {
        size_t first = tile * PHI_TILE_ROWS, columns = phi_min(a->columns - first, PHI_TILE_ROWS);
        const float *x = a->x + first, *less = a->less ? a->less + first : NULL;
        float v[PHI_GRAM_TOKENS][PHI_TILE_ROWS];
        vf largest = vf_set(0), zero = vf_set(0), sum = vf_set(0);
        for (size_t t = 0; t < a->tokens; t++) {
            vf at = load_columns(x + t * a->x_stride, less ? less + t * a->x_stride : NULL, columns);
            vf_store(v[t], at);
            largest = vf_max(vf_abs(at), largest);
            zero = vf_fma(at, vf_set(0), zero);
        }
        vf none = vf_set(0), least = vf_set(PHI_QUANTISE_LEAST);
        vf by = vf_where_less(largest, least, none, vf_div(vf_set(PHI_GRAM_LARGEST), largest));
        int8_t *q = a->q + tile * PHI_TILE_ROWS * PHI_GRAM_TOKENS;
        memset(q, 0, PHI_TILE_ROWS * PHI_GRAM_TOKENS);
        for (size_t t = 0; t < a->tokens; t += 4, q += 64) {
            int8_t codes[4][PHI_TILE_ROWS] = {{0}};
            for (size_t j = 0; j < phi_min(a->tokens - t, 4); j++) {
                vf code = nearest(vf_mul(vf_load(v[t + j]), by), -PHI_GRAM_LARGEST, PHI_GRAM_LARGEST);
                vi_store_bytes(codes[j], vf_round(code));
                sum = vf_add(sum, code);
            }
            for (size_t i = 0; i < PHI_TILE_ROWS; i++)
                for (size_t j = 0; j < 4; j++) q[4 * i + j] = codes[j][i];
        }
        vf scale = vf_where_less(none, by, vf_mul(largest, vf_set(1.0f / PHI_GRAM_LARGEST)), none);
        vf_store(a->scales + first, vf_add(scale, zero));
        float sums[PHI_TILE_ROWS];
        vf_store(sums, sum);
        for (size_t i = 0; i < PHI_TILE_ROWS; i++) a->zero_corrections[first + i] = -PHI_GRAM_LARGEST * (int32_t)sums[i];
    }
}

/* A run of the tokens of a few tiles of `right`, as weights that are read again from the nearest cache. */
typedef struct {
    _Alignas(64) uint8_t weights[PHI_GRAM_TOKENS / 4][MATMUL_TILES][64];
} gram_tiles;

/* Adds a run's products of `tokens` rows from i on with columns j and on of `tiles` tiles. */
PHI_INLINE void add_products(const phi_gram_args *a, const gram_tiles *right, size_t run, size_t i, size_t j, const int tokens,
                             const int tiles) {
    size_t tile_count = phi_gram_tiles(a->columns), at = run * tile_count * PHI_TILE_ROWS;
    const int8_t *left = a->left + at * PHI_GRAM_TOKENS;
    const int8_t *q[MATMUL_TOKENS];
    vi dots[MATMUL_TOKENS][MATMUL_TILES];
    EACH_TOKEN {
        q[t] = left + phi_gram_at(i + (size_t)t, 0);
        for (int n = 0; n < tiles; n++) dots[t][n] = vi_start_u7(a->zero_corrections[at + i + (size_t)t]);
    }
    for (size_t k = 0; k < PHI_GRAM_TOKENS / 4; k++) {
        vw weights[MATMUL_TILES];
        _Pragma("clang loop unroll(full)") for (int n = 0; n < tiles; n++) weights[n] = vw_load(right->weights[k][n]);
        EACH_TOKEN {
            vq four = vq_load(q[t] + 64 * k);
            _Pragma("clang loop unroll(full)") for (int n = 0; n < tiles; n++)
                dots[t][n] = vi_dot_u7(dots[t][n], weights[n], four);
        }
    }
    EACH_TOKEN {
        vf scale = vf_set(a->left_scales[at + i + (size_t)t]);
        float *sums = a->sums + (i + (size_t)t) * a->block + j % a->block;
        const float *scales = a->right_scales + at + j;
        _Pragma("clang loop unroll(full)") for (int n = 0; n < tiles; n++, sums += PHI_TILE_ROWS, scales += PHI_TILE_ROWS)
            vf_store(sums, vf_fma(vf_of(dots[t][n]), vf_mul(scale, vf_load(scales)), vf_load(sums)));
    }
}

/* The columns of `tiles` tiles, from j on, of an item. */
PHI_INLINE void gram_columns(const phi_gram_args *a, phi_gram_item item, size_t j, const int tiles) {
    gram_tiles right;
    for (size_t run = 0; run < a->runs; run++) {
        const int8_t *q = a->right + (run * phi_gram_tiles(a->columns) * PHI_TILE_ROWS + j) * PHI_GRAM_TOKENS;
        for (int n = 0; n < tiles; n++)
            for (size_t k = 0; k < PHI_GRAM_TOKENS / 4; k++, q += 64) vw_store(right.weights[k][n], vw_load_u7(q));
        size_t i = item.row;
        for (; i + MATMUL_TOKENS <= item.row_end; i += MATMUL_TOKENS) add_products(a, &right, run, i, j, MATMUL_TOKENS, tiles);
        for (; i < item.row_end; i++) add_products(a, &right, run, i, j, 1, tiles);
    }
}

static void gram(const void *raw, size_t begin, size_t end) {
    const phi_gram_args *a = raw;
    for (size_t n = begin; n < end; n++) {
        phi_gram_item item = phi_gram_item_at(a, n);
        size_t j = item.column, tile_end = (item.column_end + PHI_TILE_ROWS - 1) / PHI_TILE_ROWS * PHI_TILE_ROWS;
        for (; j + MATMUL_TILES * PHI_TILE_ROWS <= tile_end; j += MATMUL_TILES * PHI_TILE_ROWS)
            gram_columns(a, item, j, MATMUL_TILES);
        for (; j < tile_end; j += PHI_TILE_ROWS) gram_columns(a, item, j, 1);
    }
}
