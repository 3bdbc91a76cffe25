/* f32: weights as they are. Element (i, k) of a strip, row i and column k, is number 16 k + i. */
#ifndef PHI_ENCODING_F32_H
#define PHI_ENCODING_F32_H

PHI_INLINE uint32_t phi_stored_f32(const uint8_t *strip, size_t i, size_t k) {
    uint32_t bits;
    memcpy(&bits, strip + 4 * (16 * k + i), 4);
    return bits;
}

PHI_INLINE float phi_weight_f32(const uint8_t *strip, size_t i, size_t k) {
    float w;
    memcpy(&w, strip + 4 * (16 * k + i), 4);
    return w;
}

/* Stores a weight; returns what it became. */
PHI_INLINE float phi_put_f32(uint8_t *strip, size_t i, size_t k, float w) {
    memcpy(strip + 4 * (16 * k + i), &w, 4);
    return w;
}

PHI_INLINE const char *phi_fault_f32(const uint8_t *strip, size_t rows, size_t columns) {
    return phi_float_fault(strip, rows, columns, phi_stored_f32, 0x7f800000);
}
#endif

#if defined(PHI_REFERENCE)
static void round_f32(const feedback *f, row_block *b, uint8_t *strips, size_t i, float *stored) {
    (void)f;
    keep(b, strips, i, &phi_f32, phi_put_f32, stored);
}
#elif defined(PHI_VECTOR)
PHI_INLINE vf load_f32(const uint8_t *p) { return vf_load((const void *)p); }

static void matmul_f32(const void *a, size_t begin, size_t end) { matmul_float(a, begin, end, load_f32, 4); }

static void keep_f32(const phi_encode_args *a, float *differences, block *b) {
    (void)a, (void)differences;
    memcpy(b->stored, b->w, b->count * sizeof *b->w);
}

static void place_f32(const block *b, uint8_t *strip, size_t i, size_t k, size_t c) {
    (void)phi_put_f32(strip, i, k, b->w[c][i]);
}

static void encode_f32(const void *a, size_t begin, size_t end) { encode(a, begin, end, &phi_f32, keep_f32, place_f32); }
#endif
