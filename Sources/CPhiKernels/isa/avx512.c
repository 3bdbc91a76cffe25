/* AVX-512 with VNNI. */
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), \
                             apply_to = function)

#define MATMUL_UNPACK_TOKENS 6
#include "zmm.h"
#define INSTRUCTION_SET avx512
#include "../vector/all.h"

#pragma clang attribute pop
#endif
