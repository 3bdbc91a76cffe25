/* Every operation, written once for the vocabulary that the including instruction set has defined: vf, sixteen floats; vi, sixteen
 * int32; vw, the 64 bytes that hold 4 columns of 16 rows; vq, 4 activations for every row. Whatever the width of the registers
 * under it, lane l is row, dimension or position l, so the order of every sum is the same. */
#include "activations.h"
#include "attention.h"
#include "encode.h"
#include "matmul.h"
#include "probe.h"

#define PHI_VECTOR
#include "../encodings/all.h"
#undef PHI_VECTOR
