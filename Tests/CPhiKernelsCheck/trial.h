/* One run of one operation: its data and its memory. */
#ifndef PHI_CHECK_TRIAL_H
#define PHI_CHECK_TRIAL_H

#include <CPhiKernels.h>

#include "memory.h"

typedef struct {
    uint64_t random;    /* state of SplitMix64 */
    memory memory;
} trial;

/* The adapter of an operation: makes data for case number `which`, the same for every instruction set, and runs it. False
 * when there are no more cases. */
typedef bool (*trial_adapter)(trial *t, phi_operation operation, size_t which);

/* Adapters by operation, as operations.inc lists them: one without an adapter does not compile. */
#define PHI_OPERATION(operation, arguments) bool try_##operation(trial *t, phi_operation run, size_t which);
#include <operations.inc>
#undef PHI_OPERATION

#endif
