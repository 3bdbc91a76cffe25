/* The page that phi-server serves at /: the bytes of page.html. */
#ifndef CPHI_PLAYGROUND_H
#define CPHI_PLAYGROUND_H

#include <stddef.h>

const void *phi_playground(void);
size_t phi_playground_size(void);

#endif
