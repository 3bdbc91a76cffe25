/* AVX-512 with VNNI, AMX for the dots of several tokens, and GFNI, which every CPU with AMX has. */
#include "../kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("amx-tile,gfni,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), \
    apply_to = function)

#define HIGH_CODES_BY_GFNI
#include "zmm.h"
#include "tmm.h"
#define INSTRUCTION_SET amx
#include "../vector/all.h"

#pragma clang attribute pop
#endif
