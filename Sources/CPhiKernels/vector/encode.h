/* Weights to tiles. The sixteen rows of a tile are the sixteen lanes, so each lane does what reference.c does to a row. */

typedef struct {
    float w[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];       /* the weights, transposed; zero beyond the matrix */
    float targets[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];    /* the weights, with errors fed back if there is error feedback */
    float stored[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];  /* what they became */
    int8_t codes[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];      /* what scales and factors multiply */
    int8_t factors[PHI_BLOCK_COLUMNS / PHI_GROUP][PHI_TILE_ROWS];
    uint16_t scales[PHI_TILE_ROWS];
    size_t first, count;                             /* column of the matrix, and columns inside it */
} block;

PHI_INLINE vf largest_of(const float (*x)[PHI_TILE_ROWS], size_t count) {
    vf largest = vf_set(0);
    for (size_t k = 0; k < count; k++) {
        vf w = vf_load(x[k]);
        largest = vf_where_less(vf_abs(largest), vf_abs(w), w, largest);
    }
    return largest;
}

PHI_INLINE vf vf_within(vf x, float low, float high) { return vf_min(vf_max(x, vf_set(low)), vf_set(high)); }
PHI_INLINE vf inverse_of(vf x) { return vf_where_less(vf_set(0), vf_abs(x), vf_div(vf_set(1.0f), x), vf_set(0)); }
PHI_INLINE vf nearest(vf x, float low, float high) { return vf_of(vf_round(vf_within(x, low, high))); }
/* The nearest code of an encoding. */
typedef vf (*code_grid)(vf x);
PHI_INLINE vf as_half(vf x, uint16_t half[PHI_TILE_ROWS]) {
    vf_store_half(half, vf_within(x, -PHI_HALF_MAX, PHI_HALF_MAX));
    return vf_load_half(half);
}

/* ---- Error feedback ---- */

/* Columns whose targets the registers hold. */
enum { COMPENSATED = MATMUL_TOKENS * MATMUL_TILES >= 8 ? PHI_GROUP : 4 };

#define EACH_COLUMN _Pragma("clang loop unroll(full)") for (int n = 0; n < columns; n++)

/* Adds the errors of columns `from` ..< `to` to the targets of `columns` columns of a group of the block, from k on. */
PHI_INLINE void compensate(const phi_encode_args *a, const float *differences, size_t from, size_t to, size_t k,
                           const int columns, block *b) {
    vf targets[COMPENSATED];
    EACH_COLUMN targets[n] = vf_load(b->targets[k + (size_t)n]);
    const float *feedback = a->feedback + phi_feedback_at(a, from, b->first + k);
    for (size_t j = from; j < to; j++, feedback += PHI_GROUP) {
        vf difference = vf_load(differences + PHI_TILE_ROWS * j);
        EACH_COLUMN targets[n] = vf_fma(difference, vf_set(feedback[n]), targets[n]);
    }
    EACH_COLUMN vf_store(b->targets[k + (size_t)n], targets[n]);
}

PHI_INLINE void compensate_all(const phi_encode_args *a, const float *differences, size_t from, size_t to, size_t k, size_t end,
                               block *b) {
    for (; k + COMPENSATED <= end; k += COMPENSATED) compensate(a, differences, from, to, k, COMPENSATED, b);
    for (; k < end; k++) compensate(a, differences, from, to, k, 1, b);
}

/* ---- Tiles ---- */

/* Rounds the block, whose targets are its weights, to codes of a grid times a scale that `choose_scale` returns times a
 * factor of each group that `choose_factor` does, with error feedback if there is any. */
PHI_INLINE void round_block(const phi_encode_args *a, float *differences, block *b,
                            vf (*choose_scale)(const block *, const float *importance, code_grid),
                            vf (*choose_factor)(const block *, const float *importance, size_t k, size_t end, vf scale,
                                                code_grid),
                            code_grid nearest_code) {
    const float *importance = a->importance ? a->importance + b->first : NULL;
    if (differences) compensate_all(a, differences, b->first / a->feedback_block * a->feedback_block, b->first, 0, b->count, b);
    vf scale = choose_scale(b, importance, nearest_code);
    vf_store_half(b->scales, scale);
    for (size_t g = 0; g < b->count; g += PHI_GROUP) {
        size_t end = phi_group_end(b->count, g);
        if (differences) compensate_all(a, differences, b->first, b->first + g, g, end, b);
        vf factor = choose_factor(b, importance, g, end, scale, nearest_code);
        vi_store_bytes(b->factors[g / PHI_GROUP], vf_round(factor));
        vf inverse = inverse_of(vf_mul(scale, factor));
        for (size_t k = g; k < end; k++) {
            if (differences) compensate(a, differences, b->first + g, b->first + k, k, 1, b);
            vf n = nearest_code(vf_mul(vf_load(b->targets[k]), inverse));
            vi_store_bytes(b->codes[k], vf_round(n));
            vf stored = vf_mul(scale, vf_mul(factor, n));
            vf_store(b->stored[k], stored);
            if (differences) vf_store(differences + PHI_TILE_ROWS * (b->first + k), vf_sub(vf_load(b->w[k]), stored));
        }
    }
}

/* The operation for one encoding: `round` makes b->stored, and codes, factors and scales where there are any, of b->w; `place` writes
 * row i of the block's column c, which is column k of `strip`. */
PHI_INLINE void encode(const phi_encode_args *a, size_t begin, size_t end, const phi_encoding *e,
                       void (*round)(const phi_encode_args *, float *differences, block *),
                       void (*place)(const block *, uint8_t *strip, size_t i, size_t k, size_t c)) {
    const size_t tile_bytes = phi_encoding_tile_bytes(e, a->columns);
    for (size_t tile = begin; tile < end; tile++) {
        double errors[PHI_TILE_ROWS] = {0}, squares[PHI_TILE_ROWS] = {0};
        size_t rows = phi_min(a->row_count - tile * PHI_TILE_ROWS, PHI_TILE_ROWS);
        uint8_t *out = (uint8_t *)a->out + tile * tile_bytes;
        memset(out, 0, tile_bytes);
        float *differences = a->feedback ? a->differences + tile * a->columns * PHI_TILE_ROWS : NULL;
        for (size_t first = 0; first < a->columns; first += PHI_BLOCK_COLUMNS) {
            block b = {.first = first, .count = phi_min(a->columns - first, PHI_BLOCK_COLUMNS)};
            for (size_t i = 0; i < rows; i++) {
                const float *row = a->rows + (tile * PHI_TILE_ROWS + i) * a->columns + first;
                for (size_t k = 0; k < b.count; k++) b.w[k][i] = row[k];
            }
            memcpy(b.targets, b.w, sizeof b.w);
            round(a, differences, &b);
            uint8_t *strips = out + phi_strip_at(first / PHI_STRIP_COLUMNS, e);
            for (size_t i = 0; i < rows; i++) {
                if (e->block_scale_bytes) memcpy(strips - e->block_scale_bytes + 2 * i, &b.scales[i], 2);
                for (size_t c = 0; c < b.count; c++)
                    place(&b, strips + c / PHI_STRIP_COLUMNS * e->strip_bytes, i, c % PHI_STRIP_COLUMNS, c);
            }
            for (size_t k = 0; k < b.count; k++)
                for (size_t i = 0; i < PHI_TILE_ROWS; i++) {
                    double w = (double)b.w[k][i], difference = w - (double)b.stored[k][i];
                    errors[i] += difference * difference;
                    squares[i] += w * w;
                }
        }
        a->errors[tile] = a->squares[tile] = 0;
        for (size_t i = 0; i < PHI_TILE_ROWS; i++) {
            a->errors[tile] += errors[i];
            a->squares[tile] += squares[i];
        }
    }
}
