#include "CPhiModel.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

/* Page-aligned like a mapped file, and in read-only data, so that processes share its pages. */
static const _Alignas(4096) unsigned char model[] = {
#embed "small.phi"
};

const void *phi_small_model(void) { return model; }
size_t phi_small_model_size(void) { return sizeof model; }
