/* The small model that `phi` carries inside: the bytes of small.phi, described in small.md. */
#ifndef CPHI_MODEL_H
#define CPHI_MODEL_H

#include <stddef.h>

const void *phi_small_model(void);
size_t phi_small_model_size(void);

#endif
