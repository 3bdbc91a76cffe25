/* Every operation, written once for the vocabulary of isa/vocabulary.h, and the table of the instruction set that includes this. */
#include "../isa/vocabulary.h"

#include "activations.h"
#include "attention.h"
#include "encode.h"
#include "matmul.h"
#include "gram.h"
#include "probe.h"

#define PHI_VECTOR
#include "../encodings/all.h"
#undef PHI_VECTOR

#define PHI_KERNELS_OF(symbol) phi_kernels_##symbol
#define PHI_KERNELS(symbol) PHI_KERNELS_OF(symbol)
#define PHI_NAME_OF(symbol) #symbol
#define PHI_NAME(symbol) PHI_NAME_OF(symbol)
const phi_kernels PHI_KERNELS(INSTRUCTION_SET) = {
    .name = PHI_NAME(INSTRUCTION_SET),
#define PHI_OPERATION(operation, arguments) .operation = operation,
#include "operations.inc"
#undef PHI_OPERATION
};
