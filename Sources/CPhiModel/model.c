#include "CPhiModel.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

/* Page-aligned, as a mapped file would be. It lies in the program's read-only data, so processes share its pages. */
static const _Alignas(4096) unsigned char model[] = {
#embed "small.phi"
};

const void *phi_small_model(void) { return model; }
size_t phi_small_model_size(void) { return sizeof model; }
