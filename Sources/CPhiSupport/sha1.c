/* SHA-1, FIPS 180-4: the names of git's objects, by which Hugging Face's hub names small files. */
#include "CPhiSupport.h"

#include <string.h>

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void compress(uint32_t state[5], const uint8_t *p) {
    static const uint32_t K[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 16; t++, p += 4) w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < 80; t++) {
        uint32_t f = t < 20 ? (b & c) | (~b & d) : t >= 40 && t < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t next = rotate(a, 5) + f + e + K[t / 20] + w[t];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void phi_sha1_begin(phi_sha1 *hash) {
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(hash->state, start, sizeof start);
    hash->length = 0;
}

void phi_sha1_add(phi_sha1 *hash, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    while (length) {
        size_t used = hash->length % 64, n = 64 - used < length ? 64 - used : length;
        memcpy(hash->block + used, p, n);
        hash->length += n;
        p += n;
        length -= n;
        if (hash->length % 64 == 0) compress(hash->state, hash->block);
    }
}

void phi_sha1_end(phi_sha1 *hash, uint8_t digest[20]) {
    uint64_t bits = hash->length * 8;
    uint8_t tail[72] = {0x80};
    size_t used = hash->length % 64, pad = (used < 56 ? 56 : 120) - used;
    for (int i = 0; i < 8; i++) tail[pad + i] = (uint8_t)(bits >> (56 - 8 * i));
    phi_sha1_add(hash, tail, pad + 8);
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}
