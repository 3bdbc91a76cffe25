/* NEON with the dot product of Armv8.4 (FEAT_DotProd). */
#include "../kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "neon.h"
#define MATMUL_TOKENS 3 /* sums and dots of 3 tokens, weights and activations: 31 of the 32 registers */
#define INSTRUCTION_SET neon
#include "../vector/all.h"

#pragma clang attribute pop
#endif
