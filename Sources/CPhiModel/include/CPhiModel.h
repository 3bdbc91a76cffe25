/* The small model embedded in `phi`: the bytes of small.phi, described in small.md. */
#ifndef CPHI_MODEL_H
#define CPHI_MODEL_H

#include <stddef.h>

const void *phi_small_model(void);
size_t phi_small_model_size(void);

#endif
