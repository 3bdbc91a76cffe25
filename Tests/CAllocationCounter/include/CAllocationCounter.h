/* Counts what a thread allocates, so that tests can hold code to allocating nothing. */
#ifndef C_ALLOCATION_COUNTER_H
#define C_ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stddef.h>

/* Whether counting works here: with glibc, whose own functions can be stood in for, and no sanitizer. */
bool allocation_counter_works(void);

/* Allocations of the calling thread since it began. */
size_t allocation_count(void);

#endif
