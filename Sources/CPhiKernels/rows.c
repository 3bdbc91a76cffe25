/* Single values and rows: 16-bit floats, q4's levels, the embedding look-up. */
#include "kernels.h"

const uint8_t phi_q4_levels[16] = {0, 14, 24, 33, 41, 47, 53, 59, 65, 71, 76, 82, 89, 96, 106, 118};

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

void phi_row(const void *weights, size_t block_bytes, size_t row, size_t columns, float *out) {
    size_t blocks = (columns + PHI_BLOCK_COLUMNS - 1) / PHI_BLOCK_COLUMNS, i = row % PHI_TILE_ROWS;
    const uint8_t *tile = (const uint8_t *)weights + row / PHI_TILE_ROWS * blocks * block_bytes;
    for (size_t c = 0; c < columns; c++) {
        const uint8_t *block = tile + c / PHI_BLOCK_COLUMNS * block_bytes;
        size_t k = c % PHI_BLOCK_COLUMNS, g = k / PHI_GROUP;
        switch (block_bytes) {
        case PHI_BLOCK_BYTES_F32: memcpy(out + c, block + 4 * (16 * k + i), 4); break;
        case PHI_BLOCK_BYTES_F16: out[c] = half_at(block + 2 * (16 * k + i)); break;
        case PHI_BLOCK_BYTES_Q8:
            out[c] = half_at(block + 2 * (16 * g + i)) * (float)(block[64 + 64 * (k / 4) + 4 * i + k % 4] - PHI_ZERO_Q8);
            break;
        case PHI_BLOCK_BYTES_Q4: {
            uint8_t byte = block[64 + 64 * (k / 8) + 4 * i + k % 4];
            int level = phi_q4_levels[k / 4 % 2 ? byte >> 4 : byte & 15] - PHI_ZERO_Q4;
            out[c] = half_at(block + 2 * (16 * g + i)) * (float)level;
            break;
        }
        default: out[c] = 0;
        }
    }
}
