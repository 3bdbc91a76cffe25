/* Compares instruction sets with the reference: every operation of operations.inc on seeded data of odd shapes, in memory
 * that ends where it must not be touched any more. Called by the tests on this machine and by a small program (main.c) that
 * also runs on emulated ones. */
#ifndef CPHI_KERNELS_CHECK_H
#define CPHI_KERNELS_CHECK_H

#include <CPhiKernels.h>

typedef struct {
    size_t passed, failed;
} phi_check_result;

/* One line about a case that failed. */
typedef void (*phi_check_report)(void *context, const char *line);

/* The operations, in the order of operations.inc. */
size_t phi_check_operation_count(void);
const char *phi_check_operation_name(size_t operation);

/* All cases of one operation on every instruction set whose bit is set in `sets`; the results are in the order of
 * instruction_sets.inc. Returns a digest of what the reference left in memory, the same on every machine. */
uint64_t phi_check(size_t operation, uint64_t sets, uint64_t seed, phi_check_result *results, phi_check_report report,
                   void *context);

/* The instruction sets that run here, a bit for each. */
uint64_t phi_check_sets(void);

/* What is being checked right now, for those who must tell why the process died. */
extern char phi_check_current[160];

#endif
