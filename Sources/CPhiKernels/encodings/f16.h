/* f16: weights rounded to 16-bit floats. Element (i, k) of a strip, row i and column k, is number 16 k + i. */
#ifndef PHI_ENCODING_F16_H
#define PHI_ENCODING_F16_H

PHI_INLINE uint32_t phi_stored_f16(const uint8_t *strip, size_t i, size_t k) {
    uint16_t bits;
    memcpy(&bits, strip + 2 * (16 * k + i), 2);
    return bits;
}

PHI_INLINE float phi_weight_f16(const uint8_t *strip, size_t i, size_t k) {
    return phi_half_to_float((uint16_t)phi_stored_f16(strip, i, k));
}

/* Stores a weight; returns what it became. */
PHI_INLINE float phi_put_f16(uint8_t *strip, size_t i, size_t k, float w) {
    uint16_t half = phi_float_to_half(w);
    memcpy(strip + 2 * (16 * k + i), &half, 2);
    return phi_half_to_float(half);
}

PHI_INLINE const char *phi_fault_f16(const uint8_t *strip, size_t rows, size_t columns) {
    return phi_float_fault(strip, rows, columns, phi_stored_f16, 0x7c00);
}
#endif

#if defined(PHI_REFERENCE)
static void round_f16(const feedback *f, row_block *b, uint8_t *strips, size_t i, float *stored) {
    (void)f;
    keep(b, strips, i, &phi_f16, phi_put_f16, stored);
}
#elif defined(PHI_VECTOR)
PHI_INLINE vf load_f16(const uint8_t *p) { return vf_load_half((const void *)p); }

static void matmul_f16(const void *a, size_t begin, size_t end) { matmul_float(a, begin, end, load_f16, 2); }

static void keep_f16(const phi_encode_args *a, float *differences, block *b) {
    (void)a, (void)differences;
    for (size_t k = 0; k < b->count; k++) {
        uint16_t half[PHI_TILE_ROWS];
        vf_store_half(half, vf_load(b->w[k]));
        vf_store(b->stored[k], vf_load_half(half));
    }
}

static void place_f16(const block *b, uint8_t *strip, size_t i, size_t k, size_t c) {
    (void)phi_put_f16(strip, i, k, b->w[c][i]);
}

static void encode_f16(const void *a, size_t begin, size_t end) { encode(a, begin, end, &phi_f16, keep_f16, place_f16); }
#endif
