/* Functions with one implementation for all instruction sets: 16-bit floats, encodings by number, single rows and strips,
 * quantisation residuals. */
#include "kernels.h"

/* ---- 16-bit floats ---- */

float phi_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000 | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        float magnitude = (float)fraction * 0x1p-24f;
        memcpy(&bits, &magnitude, 4);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

uint16_t phi_float_to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return sign | 0x7e00 | (uint16_t)(magnitude >> 13 & 0x1ff);
    if (magnitude >= 0x477ff000) return sign | 0x7c00; /* rounds to 65536 or more */
    if (magnitude < 0x38800000) {                      /* subnormal: a multiple of 2^-24 */
        float size;
        memcpy(&size, &magnitude, 4);
        float shifted = size + 0.5f; /* rounds to a multiple of 2^-24, ties to even */
        memcpy(&magnitude, &shifted, 4);
        return sign | (uint16_t)(magnitude - 0x3f000000);
    }
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return sign | (uint16_t)((magnitude - 0x38000000) >> 13);
}

/* ---- Encodings by number ---- */

static const phi_encoding encodings[] = {
#define PHI_ENCODING(name, ...) {#name, __VA_ARGS__},
#include "encodings.inc"
#undef PHI_ENCODING
};

size_t phi_encoding_count(void) { return sizeof encodings / sizeof *encodings; }

const phi_encoding *phi_encoding_at(size_t index) { return index < phi_encoding_count() ? &encodings[index] : NULL; }

const phi_encoding *phi_encoding_numbered(uint32_t number) {
    for (size_t i = 0; i < phi_encoding_count(); i++)
        if (encodings[i].number == number) return &encodings[i];
    return NULL;
}

phi_operation phi_matmul_operation(const phi_kernels *kernels, uint32_t encoding) {
#define PHI_ENCODING(name, ...) \
    if (encoding == phi_##name.number) return kernels->matmul_##name;
#include "encodings.inc"
#undef PHI_ENCODING
    return NULL;
}

phi_operation phi_encode_operation(const phi_kernels *kernels, uint32_t encoding) {
#define PHI_ENCODING(name, ...) \
    if (encoding == phi_##name.number) return kernels->encode_##name;
#include "encodings.inc"
#undef PHI_ENCODING
    return NULL;
}

const char *phi_strip_fault(uint32_t encoding, const void *strip, size_t rows, size_t columns) {
#define PHI_ENCODING(name, ...) \
    if (encoding == phi_##name.number) return phi_fault_##name(strip, rows, columns);
#include "encodings.inc"
#undef PHI_ENCODING
    return NULL;
}

/* `weight` returns the weight of row i, column k of a strip, without the scale of its block. */
PHI_INLINE void dequantise_row(const uint8_t *tile, const phi_encoding *e, size_t i, size_t columns, float *out,
                               float (*weight)(const uint8_t *strip, size_t i, size_t k)) {
    for (size_t c = 0; c < columns; c++) {
        size_t number = c / PHI_STRIP_COLUMNS, k = c % PHI_STRIP_COLUMNS;
        out[c] = weight(tile + phi_strip_at(number, e), i, k);
        if (!e->block_scale_bytes) continue;
        uint16_t scale;
        size_t block = phi_strip_at(number / PHI_BLOCK_STRIPS * PHI_BLOCK_STRIPS, e) - e->block_scale_bytes;
        memcpy(&scale, tile + block + 2 * i, 2);
        out[c] *= phi_half_to_float(scale);
    }
}

void phi_row(const void *weights, uint32_t encoding, size_t row, size_t columns, float *out) {
    const uint8_t *tile = (const uint8_t *)weights + row / PHI_TILE_ROWS * phi_tile_bytes(encoding, columns);
#define PHI_ENCODING(name, ...) \
    if (encoding == phi_##name.number) dequantise_row(tile, &phi_##name, row % PHI_TILE_ROWS, columns, out, phi_weight_##name);
#include "encodings.inc"
#undef PHI_ENCODING
}

/* ---- Activations ---- */

void phi_quantisation_residual(const float *x, size_t width, float *residual) {
    for (size_t b = 0; b < phi_blocks(width); b++) {
        size_t begin = b * PHI_BLOCK_COLUMNS, end = begin + phi_block_strips(width, b) * PHI_STRIP_COLUMNS;
        float largest = 0;
        for (size_t i = begin; i < end; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
        float scale, inverse = phi_quantise_by(largest, &scale);
        for (size_t i = begin; i < end; i++) residual[i] = x[i] - scale * rintf(x[i] * inverse);
    }
}
