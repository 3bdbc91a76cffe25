/* Single values and rows: 16-bit floats, the embedding look-up, what quantising loses. */
#include "kernels.h"

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

static float half_at(const uint8_t *bytes) {
    uint16_t half;
    memcpy(&half, bytes, 2);
    return phi_half_to_float(half);
}

void phi_row(const void *weights, size_t strip_bytes, size_t row, size_t columns, float *out) {
    const uint8_t *tile = (const uint8_t *)weights + row / PHI_TILE_ROWS * phi_tile_bytes(strip_bytes, columns);
    size_t i = row % PHI_TILE_ROWS;
    for (size_t c = 0; c < columns; c++) {
        size_t number = c / PHI_STRIP_COLUMNS, k = c % PHI_STRIP_COLUMNS;
        const uint8_t *strip = tile + phi_strip_at(number, strip_bytes);
        const uint8_t *head = tile + phi_strip_at(number / PHI_BLOCK_STRIPS * PHI_BLOCK_STRIPS, strip_bytes) - PHI_HEAD_BYTES;
        switch (strip_bytes) {
        case PHI_STRIP_BYTES_F32: memcpy(out + c, strip + 4 * (16 * k + i), 4); break;
        case PHI_STRIP_BYTES_F16: out[c] = half_at(strip + 2 * (16 * k + i)); break;
        case PHI_STRIP_BYTES_Q8: out[c] = half_at(head + 2 * i) * (float)phi_weight_q8(strip, i, k); break;
        case PHI_STRIP_BYTES_Q4: out[c] = half_at(head + 2 * i) * (float)phi_weight_q4(strip, i, k); break;
        default: out[c] = 0;
        }
    }
}

void phi_quantised_rest(const float *x, size_t width, float *rest) {
    for (size_t b = 0; b < phi_blocks(width); b++) {
        size_t begin = b * PHI_BLOCK_COLUMNS, end = begin + phi_block_strips(width, b) * PHI_STRIP_COLUMNS;
        float largest = 0;
        for (size_t i = begin; i < end; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
        float scale, inverse = phi_quantise_by(largest, &scale);
        for (size_t i = begin; i < end; i++) rest[i] = x[i] - scale * rintf(x[i] * inverse);
    }
}
