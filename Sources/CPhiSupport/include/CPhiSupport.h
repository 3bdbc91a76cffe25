/* C functions that are not arithmetic: the processors of this process, SHA-256 and SHA-1. */
#ifndef CPHISUPPORT_H
#define CPHISUPPORT_H

#include <stddef.h>
#include <stdint.h>

/* The processors that this process may run on, by its affinity on Linux; the fast cores, numbered from 0, on Apple's
 * machines. Writes at most `capacity` of the system's numbers and returns how many. */
int phi_processors(int *numbers, int capacity);

/* ---- SHA-256 (FIPS 180-4) ---- */

typedef struct {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
    uint32_t used;
} phi_sha256;
void phi_sha256_begin(phi_sha256 *hash);
void phi_sha256_add(phi_sha256 *hash, const void *bytes, size_t length);
void phi_sha256_end(phi_sha256 *hash, uint8_t digest[32]);

/* ---- SHA-1 (FIPS 180-4), only to compare with what git computed ---- */

typedef struct {
    uint32_t state[5];
    uint64_t length;
    uint8_t block[64];
} phi_sha1;
void phi_sha1_begin(phi_sha1 *hash);
void phi_sha1_add(phi_sha1 *hash, const void *bytes, size_t length);
void phi_sha1_end(phi_sha1 *hash, uint8_t digest[20]);

#endif
