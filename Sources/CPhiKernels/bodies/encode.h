/* Weights into tiles. The sixteen rows of a tile are the sixteen lanes, so each lane does what reference.c does to a
 * row. */

typedef struct {
    float w[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];       /* the weights, transposed; zero beyond the matrix */
    float aims[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];    /* the weights, or what error feedback has made of them */
    float stored[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];  /* what they became */
    int8_t numbers[PHI_BLOCK_COLUMNS][PHI_TILE_ROWS];    /* q8: byte, q4: code; less what means zero */
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
PHI_INLINE vf as_half(vf x, uint16_t half[PHI_TILE_ROWS]) {
    vf_store_half(half, vf_within(x, -PHI_HALF_MAX, PHI_HALF_MAX));
    return vf_load_half(half);
}

/* ---- Error feedback ---- */

/* Adds the errors of the columns from `from` to before `to` to what `columns` columns of the block, from k on, aim at. */
PHI_INLINE void compensate(const phi_encode_args *a, const float *differences, size_t from, size_t to, size_t k,
                           const size_t columns, block *b) {
    size_t run = b->first / a->feedback_block * a->feedback_block;
    vf aims[4];
    for (size_t n = 0; n < columns; n++) aims[n] = vf_load(b->aims[k + n]);
    const float *feedback = a->feedback + from * a->feedback_stride + b->first - run + k;
    for (size_t j = from; j < to; j++, feedback += a->feedback_stride) {
        vf difference = vf_load(differences + PHI_TILE_ROWS * j);
        for (size_t n = 0; n < columns; n++) aims[n] = vf_fma(difference, vf_set(feedback[n]), aims[n]);
    }
    for (size_t n = 0; n < columns; n++) vf_store(b->aims[k + n], aims[n]);
}

PHI_INLINE void compensate_all(const phi_encode_args *a, const float *differences, size_t from, size_t to, size_t k,
                               size_t end, block *b) {
    for (; k + 4 <= end; k += 4) compensate(a, differences, from, to, k, 4, b);
    for (; k < end; k++) compensate(a, differences, from, to, k, 1, b);
}

/* ---- Scales and factors ---- */

static vf scale_q8(const block *b, const float *importance) {
    (void)importance;
    uint16_t half[PHI_TILE_ROWS];
    return as_half(vf_div(vf_abs(largest_of(b->aims, b->count)), vf_set(127.0f)), half);
}

/* A group's factor, and sums over its columns of importance times: aim times level, level squared. */
typedef struct {
    vf factor, product, power;
} choice;

/* The best factor for the columns from k to `end`, whose squares sum to `square`, with a scale. */
PHI_INLINE choice choose_factor(const block *b, const float *importance, size_t k, size_t end, vf square, vf scale) {
    vf inverse = inverse_of(scale), reach = vf_mul(largest_of(b->aims + k, end - k), inverse);
    choice best = {vf_set(0), vf_set(0), vf_set(0)};
    vf best_error = square;
    for (int side = 0; side < 2; side++) {
        vf middle = nearest(vf_mul(reach, vf_set(side ? 1.0f / 7 : -1.0f / 8)), -8, 7);
        for (int step = 0; step < PHI_Q4_FACTORS; step++) {
            choice c = {vf_within(vf_add(middle, vf_set((float)(step - PHI_Q4_FACTORS / 2))), -8, 7), vf_set(0), vf_set(0)};
            vf inverse_both = inverse_of(vf_mul(scale, c.factor));
            for (size_t j = k; j < end; j++) {
                vf aim = vf_load(b->aims[j]), level = vf_mul(c.factor, nearest(vf_mul(aim, inverse_both), -8, 7));
                vf heavy = importance ? vf_mul(vf_set(importance[j]), level) : level;
                c.product = vf_fma(heavy, aim, c.product);
                c.power = vf_fma(heavy, level, c.power);
            }
            vf error = vf_fma(scale, vf_fma(scale, c.power, vf_mul(vf_set(-2), c.product)), square);
            best.factor = vf_where_less(error, best_error, c.factor, best.factor);
            best.product = vf_where_less(error, best_error, c.product, best.product);
            best.power = vf_where_less(error, best_error, c.power, best.power);
            best_error = vf_where_less(error, best_error, error, best_error);
        }
    }
    return best;
}

PHI_INLINE vf square_of(const block *b, const float *importance, size_t k, size_t end) {
    vf square = vf_set(0);
    for (; k < end; k++) {
        vf aim = vf_load(b->aims[k]);
        square = vf_fma(importance ? vf_mul(vf_set(importance[k]), aim) : aim, aim, square);
    }
    return square;
}

PHI_INLINE size_t group_end(const block *b, size_t k) { return k + PHI_GROUP < b->count ? k + PHI_GROUP : b->count; }

static vf scale_q4(const block *b, const float *importance) {
    vf largest = largest_of(b->aims, b->count), squares[PHI_BLOCK_COLUMNS / PHI_GROUP], square = vf_set(0);
    for (size_t k = 0; k < b->count; k += PHI_GROUP) {
        squares[k / PHI_GROUP] = square_of(b, importance, k, group_end(b, k));
        square = vf_add(square, squares[k / PHI_GROUP]);
    }
    vf best_error = vf_set(INFINITY), best = vf_set(0);
    for (int step = 0; step < PHI_Q4_SCALES; step++) {
        uint16_t half[PHI_TILE_ROWS];
        vf scale = as_half(vf_div(largest, vf_set(64 * PHI_Q4_SCALE_FACTOR(step))), half);
        vf product = vf_set(0), power = vf_set(0);
        for (size_t k = 0; k < b->count; k += PHI_GROUP) {
            choice c = choose_factor(b, importance, k, group_end(b, k), squares[k / PHI_GROUP], scale);
            product = vf_add(product, c.product);
            power = vf_add(power, c.power);
        }
        scale = as_half(vf_where_less(vf_set(0), power, vf_div(product, power), vf_set(0)), half);
        vf error = vf_fma(scale, vf_fma(scale, power, vf_mul(vf_set(-2), product)), square);
        best = vf_where_less(error, best_error, scale, best);
        best_error = vf_where_less(error, best_error, error, best_error);
    }
    return best;
}

/* ---- Tiles ---- */

/* Rounds the block, whose aims know of the columns before it. */
PHI_INLINE void round_block(const phi_encode_args *a, float *differences, block *b, const bool is_q8,
                            vf (*choose_scale)(const block *, const float *)) {
    const float *importance = a->importance ? a->importance + b->first : NULL;
    vf scale = choose_scale(b, importance);
    vf_store_half(b->scales, scale);
    for (size_t g = 0; g < b->count; g += PHI_GROUP) {
        size_t end = group_end(b, g);
        if (differences) compensate_all(a, differences, b->first, b->first + g, g, end, b);
        vf factor = vf_set(1.0f);
        if (!is_q8) {
            factor = choose_factor(b, importance, g, end, square_of(b, importance, g, end), scale).factor;
            vi_store_bytes(b->factors[g / PHI_GROUP], vf_round(factor));
        }
        vf inverse = inverse_of(vf_mul(scale, factor));
        for (size_t k = g; k < end; k++) {
            if (differences) compensate(a, differences, b->first + g, b->first + k, k, 1, b);
            vf n = vf_mul(vf_load(b->aims[k]), inverse);
            n = is_q8 ? nearest(n, -127, 127) : nearest(n, -8, 7);
            vi_store_bytes(b->numbers[k], vf_round(n));
            vf stored = vf_mul(scale, vf_mul(factor, n));
            vf_store(b->stored[k], stored);
            if (differences) vf_store(differences + PHI_TILE_ROWS * (b->first + k), vf_sub(vf_load(b->w[k]), stored));
        }
    }
}

/* Writes row i of the block, the first strip of which is at `strips`. */
PHI_INLINE void place(const block *b, uint8_t *strips, size_t i, const size_t strip_bytes) {
    if (phi_head_bytes(strip_bytes)) memcpy(strips - PHI_HEAD_BYTES + 2 * i, &b->scales[i], 2);
    for (size_t c = 0; c < b->count; c++) {
        uint8_t *strip = strips + c / PHI_STRIP_COLUMNS * strip_bytes;
        size_t k = c % PHI_STRIP_COLUMNS;
        if (strip_bytes == PHI_STRIP_BYTES_F32) {
            memcpy(strip + 4 * (16 * k + i), &b->w[c][i], 4);
        } else if (strip_bytes == PHI_STRIP_BYTES_F16) {
            uint16_t value = phi_float_to_half(b->w[c][i]);
            memcpy(strip + 2 * (16 * k + i), &value, 2);
        } else if (strip_bytes == PHI_STRIP_BYTES_Q8) {
            strip[64 * (k / 4) + 4 * i + k % 4] = (uint8_t)(b->numbers[c][i] + PHI_ZERO_Q8);
        } else {
            int factor = b->factors[c / PHI_GROUP][i] & 15, code = b->numbers[c][i] + PHI_CODE_ZERO_Q4;
            if (k % PHI_GROUP == 0) strip[2 * i + k / 32] |= (uint8_t)(factor << k / PHI_GROUP % 2 * 4);
            strip[PHI_FACTOR_BYTES + 64 * (k / 8) + 4 * i + k % 4] |= (uint8_t)(code << k / 4 % 2 * 4);
        }
    }
}

static void keep_f32(block *b) { memcpy(b->stored, b->w, b->count * sizeof *b->w); }

static void keep_f16(block *b) {
    for (size_t k = 0; k < b->count; k++) {
        uint16_t half[PHI_TILE_ROWS];
        vf_store_half(half, vf_load(b->w[k]));
        vf_store(b->stored[k], vf_load_half(half));
    }
}

PHI_INLINE void encode(const phi_encode_args *a, size_t begin, size_t end, const size_t strip_bytes) {
    const size_t tile_bytes = phi_tile_bytes(strip_bytes, a->columns);
    for (size_t tile = begin; tile < end; tile++) {
        double errors[PHI_TILE_ROWS] = {0}, squares[PHI_TILE_ROWS] = {0};
        size_t rows = a->row_count - tile * PHI_TILE_ROWS;
        if (rows > PHI_TILE_ROWS) rows = PHI_TILE_ROWS;
        uint8_t *out = (uint8_t *)a->out + tile * tile_bytes;
        memset(out, 0, tile_bytes);
        float *differences = a->feedback ? a->differences + tile * a->columns * PHI_TILE_ROWS : NULL;
        for (size_t c = 0; c < a->columns; c += PHI_BLOCK_COLUMNS) {
            block b = {.first = c, .count = a->columns - c < PHI_BLOCK_COLUMNS ? a->columns - c : PHI_BLOCK_COLUMNS};
            for (size_t i = 0; i < rows; i++) {
                const float *row = a->rows + (tile * PHI_TILE_ROWS + i) * a->columns + c;
                for (size_t k = 0; k < b.count; k++) b.w[k][i] = row[k];
            }
            memcpy(b.aims, b.w, sizeof b.w);
            switch (strip_bytes) {
            case PHI_STRIP_BYTES_F32: keep_f32(&b); break;
            case PHI_STRIP_BYTES_F16: keep_f16(&b); break;
            default:
                if (differences) compensate_all(a, differences, c / a->feedback_block * a->feedback_block, c, 0, b.count, &b);
                const bool is_q8 = strip_bytes == PHI_STRIP_BYTES_Q8;
                round_block(a, differences, &b, is_q8, is_q8 ? scale_q8 : scale_q4);
            }
            for (size_t i = 0; i < rows; i++) place(&b, out + phi_strip_at(c / PHI_STRIP_COLUMNS, strip_bytes), i, strip_bytes);
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

static void encode_f32(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_STRIP_BYTES_F32); }
static void encode_f16(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_STRIP_BYTES_F16); }
static void encode_q8(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_STRIP_BYTES_Q8); }
static void encode_q4(const void *a, size_t begin, size_t end) { encode(a, begin, end, PHI_STRIP_BYTES_Q4); }
