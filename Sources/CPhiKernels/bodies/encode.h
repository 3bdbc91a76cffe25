/* Weights into tiles. The sixteen rows of a tile are the sixteen lanes, so each lane does what reference.c does to a
 * row. */

typedef struct {
    float w[PHI_GROUP][PHI_TILE_ROWS];       /* the weights, transposed; zero beyond the matrix */
    float aims[PHI_GROUP][PHI_TILE_ROWS];    /* the weights, or what error feedback has made of them */
    const float *importance;                 /* of the group's columns; or null */
    const float *feedback;                   /* [row][stride], from the diagonal element of the group's first column on; or null */
    size_t stride;
    float stored[PHI_GROUP][PHI_TILE_ROWS];  /* what they became */
    uint8_t codes[PHI_GROUP][PHI_TILE_ROWS];
    uint16_t scales[PHI_TILE_ROWS];
    size_t count;                            /* columns of the group inside the matrix */
} group;

PHI_INLINE vf largest_of(const float (*x)[PHI_TILE_ROWS], size_t count) {
    vf largest = vf_set(0);
    for (size_t k = 0; k < count; k++) {
        vf w = vf_load(x[k]);
        largest = vf_where_less(vf_abs(largest), vf_abs(w), w, largest);
    }
    return largest;
}

/* What column k of the group aims at when the group's columns before it have been stored. */
PHI_INLINE vf aim_at(const group *g, size_t k) {
    vf aim = vf_load(g->aims[k]);
    for (size_t j = 0; g->feedback && j < k; j++)
        aim = vf_fma(vf_sub(vf_load(g->w[j]), vf_load(g->stored[j])), vf_set(g->feedback[j * g->stride + k]), aim);
    return aim;
}

static void group_q8(group *g) {
    vf size = vf_div(vf_abs(largest_of(g->aims, g->count)), vf_set(127.0f));
    vf_store_half(g->scales, vf_min(vf_max(size, vf_set(0)), vf_set(PHI_HALF_MAX)));
    vf scale = vf_load_half(g->scales);
    vf inverse = vf_where_less(vf_set(0), scale, vf_div(vf_set(1.0f), scale), vf_set(0));
    for (size_t k = 0; k < g->count; k++) {
        vi n = vf_round(vf_min(vf_max(vf_mul(aim_at(g, k), inverse), vf_set(-127.0f)), vf_set(127.0f)));
        vi_store_bytes((int8_t *)g->codes[k], vi_add(n, vi_set(PHI_ZERO_Q8)));
        vf_store(g->stored[k], vf_mul(scale, vf_of(n)));
    }
}

/* The level nearest to x; its code is counted by the same comparisons. */
PHI_INLINE vf level_q4(vf x) {
    vf level = vf_set((float)(phi_q4_levels[0] - PHI_ZERO_Q4));
    for (int j = 0; j < 15; j++) {
        vf next = vf_set((float)(phi_q4_levels[j + 1] - PHI_ZERO_Q4));
        level = vf_where_less(vf_set(phi_q4_middle(j)), x, next, level);
    }
    return level;
}

PHI_INLINE vf weighted(const group *g, size_t k, vf x) { return g->importance ? vf_mul(vf_set(g->importance[k]), x) : x; }

static void group_q4(group *g) {
    vf largest = largest_of(g->aims, g->count), square = vf_set(0);
    for (size_t k = 0; k < g->count; k++) {
        vf aim = vf_load(g->aims[k]);
        square = vf_fma(weighted(g, k, aim), aim, square);
    }
    vf best_error = vf_set(INFINITY), best_scale = vf_set(0);
    for (int end = 0; end < 16; end += 15)
        for (int step = 0; step < PHI_Q4_SEARCH_STEPS; step++) {
            float target = (float)(phi_q4_levels[end] - PHI_ZERO_Q4) * PHI_Q4_SEARCH_FACTOR(step);
            vf inverse = vf_div(vf_set(target), largest), product = vf_set(0), power = vf_set(0);
            for (size_t k = 0; k < g->count; k++) {
                vf aim = vf_load(g->aims[k]), level = level_q4(vf_mul(aim, inverse)), heavy = weighted(g, k, level);
                product = vf_fma(heavy, aim, product);
                power = vf_fma(heavy, level, power);
            }
            vf scale = vf_min(vf_max(vf_div(product, power), vf_set(-PHI_HALF_MAX)), vf_set(PHI_HALF_MAX));
            uint16_t half[PHI_TILE_ROWS];
            vf_store_half(half, scale);
            scale = vf_load_half(half);
            vf error = vf_fma(scale, vf_fma(scale, power, vf_mul(vf_set(-2), product)), square);
            best_scale = vf_where_less(error, best_error, scale, best_scale);
            best_error = vf_where_less(error, best_error, error, best_error);
        }
    vf_store_half(g->scales, best_scale);
    vf inverse = vf_where_less(vf_set(0), vf_abs(best_scale), vf_div(vf_set(1.0f), best_scale), vf_set(0));
    for (size_t k = 0; k < g->count; k++) {
        vf level = level_q4(vf_mul(aim_at(g, k), inverse));
        float levels[PHI_TILE_ROWS];
        vf_store(levels, level);
        for (size_t i = 0; i < PHI_TILE_ROWS; i++) {
            int code = 0;
            while (phi_q4_levels[code] - PHI_ZERO_Q4 != (int)levels[i]) code++;
            g->codes[k][i] = (uint8_t)code;
        }
        vf_store(g->stored[k], vf_mul(best_scale, level));
    }
}

/* Adds the errors of the columns from `first` to before `c` to what `columns` columns of c's group, from k on, aim at. */
PHI_INLINE void compensate(const phi_encode_args *a, const float *differences, size_t first, size_t c, size_t k,
                           const size_t columns, group *g) {
    vf aims[4];
    for (size_t n = 0; n < columns; n++) aims[n] = vf_load(g->aims[k + n]);
    const float *feedback = a->feedback + first * a->feedback_stride + c - first + k;
    for (size_t j = first; j < c; j++, feedback += a->feedback_stride) {
        vf difference = vf_load(differences + PHI_TILE_ROWS * j);
        for (size_t n = 0; n < columns; n++) aims[n] = vf_fma(difference, vf_set(feedback[n]), aims[n]);
    }
    for (size_t n = 0; n < columns; n++) vf_store(g->aims[k + n], aims[n]);
}

PHI_INLINE void begin_feedback(const phi_encode_args *a, const float *differences, size_t c, group *g) {
    size_t first = c / a->feedback_block * a->feedback_block, k = 0;
    g->importance = a->importance + c;
    g->feedback = a->feedback + c * a->feedback_stride + c - first;
    g->stride = a->feedback_stride;
    for (; k + 4 <= g->count; k += 4) compensate(a, differences, first, c, k, 4, g);
    for (; k < g->count; k++) compensate(a, differences, first, c, k, 1, g);
}

static void group_f32(group *g) { memcpy(g->stored, g->w, sizeof g->w); }

static void group_f16(group *g) {
    for (size_t k = 0; k < g->count; k++) {
        uint16_t half[PHI_TILE_ROWS];
        vf_store_half(half, vf_load(g->w[k]));
        vf_store(g->stored[k], vf_load_half(half));
    }
}

/* Writes row i of a group, number `half` of its block. */
PHI_INLINE void place(const group *g, uint8_t *block, size_t half, size_t i, const size_t block_bytes) {
    for (size_t k = 0; k < g->count; k++) {
        size_t column = PHI_GROUP * half + k;
        if (block_bytes == PHI_BLOCK_BYTES_F32) {
            memcpy(block + 4 * (16 * column + i), &g->stored[k][i], 4);
        } else if (block_bytes == PHI_BLOCK_BYTES_F16) {
            uint16_t value = phi_float_to_half(g->stored[k][i]);
            memcpy(block + 2 * (16 * column + i), &value, 2);
        } else if (block_bytes == PHI_BLOCK_BYTES_Q8) {
            block[64 + 64 * (column / 4) + 4 * i + column % 4] = g->codes[k][i];
        } else {
            block[64 + 64 * (column / 8) + 4 * i + column % 4] |= (uint8_t)(g->codes[k][i] << (column / 4 % 2 * 4));
        }
    }
    if (block_bytes == PHI_BLOCK_BYTES_Q8 || block_bytes == PHI_BLOCK_BYTES_Q4)
        memcpy(block + 2 * (16 * half + i), &g->scales[i], 2);
}

PHI_INLINE void encode(const phi_encode_args *a, size_t begin, size_t end, const size_t block_bytes, void (*fill)(group *)) {
    size_t blocks = (a->columns + PHI_BLOCK_COLUMNS - 1) / PHI_BLOCK_COLUMNS;
    for (size_t tile = begin; tile < end; tile++) {
        double errors[PHI_TILE_ROWS] = {0}, squares[PHI_TILE_ROWS] = {0};
        size_t rows = a->row_count - tile * PHI_TILE_ROWS;
        if (rows > PHI_TILE_ROWS) rows = PHI_TILE_ROWS;
        uint8_t *out = (uint8_t *)a->out + tile * blocks * block_bytes;
        memset(out, 0, blocks * block_bytes);
        for (size_t c = 0; c < a->columns; c += PHI_GROUP) {
            group g = {.count = a->columns - c < PHI_GROUP ? a->columns - c : PHI_GROUP};
            for (size_t i = 0; i < rows; i++) {
                const float *row = a->rows + (tile * PHI_TILE_ROWS + i) * a->columns + c;
                for (size_t k = 0; k < g.count; k++) g.w[k][i] = row[k];
            }
            memcpy(g.aims, g.w, sizeof g.w);
            float *differences = a->feedback ? a->differences + tile * a->columns * PHI_TILE_ROWS : NULL;
            if (differences) begin_feedback(a, differences, c, &g);
            fill(&g);
            for (size_t k = 0; differences && k < g.count; k++)
                vf_store(differences + PHI_TILE_ROWS * (c + k), vf_sub(vf_load(g.w[k]), vf_load(g.stored[k])));
            for (size_t i = 0; i < rows; i++)
                place(&g, out + c / PHI_BLOCK_COLUMNS * block_bytes, c / PHI_GROUP % 2, i, block_bytes);
            for (size_t k = 0; k < g.count; k++)
                for (size_t i = 0; i < PHI_TILE_ROWS; i++) {
                    double w = (double)g.w[k][i], difference = w - (double)g.stored[k][i];
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

static void encode_f32(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_BLOCK_BYTES_F32, group_f32); }
static void encode_f16(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_BLOCK_BYTES_F16, group_f16); }
static void encode_q8(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_BLOCK_BYTES_Q8, group_q8); }
static void encode_q4(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_BLOCK_BYTES_Q4, group_q4); }
