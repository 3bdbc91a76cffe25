#ifndef CPHI_KERNELS_H
#define CPHI_KERNELS_H
#include <stddef.h>
#include <stdint.h>
/* SHA-256 (FIPS 180-4) of `length` bytes into 32 bytes. */
typedef struct { uint32_t state[8]; uint64_t length; uint8_t block[64]; uint32_t used; } phi_sha256;
void phi_sha256_begin(phi_sha256 *hash);
void phi_sha256_add(phi_sha256 *hash, const void *bytes, size_t length);
void phi_sha256_end(phi_sha256 *hash, uint8_t digest[32]);
#endif
