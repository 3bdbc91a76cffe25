/* AVX-512 with VNNI. */
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), apply_to = function)

#include "zmm.h"
#include "../vector/all.h"

#pragma clang attribute pop

const phi_kernels phi_kernels_avx512 = {
    .name = "avx512",
#define PHI_OPERATION(operation, arguments) .operation = operation,
#include "operations.inc"
#undef PHI_OPERATION
};
#endif
