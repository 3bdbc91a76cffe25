// The system calls that sandboxed programs may not make, as a filter for the Linux kernel.
#ifndef CPHI_SANDBOX_H
#define CPHI_SANDBOX_H

#include <stddef.h>

// The filter, an array of struct sock_filter; empty where there is none.
const void *phi_sandbox_filter(void);

// Its bytes.
size_t phi_sandbox_filter_size(void);

#endif
