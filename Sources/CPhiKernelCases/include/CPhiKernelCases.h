/* Cases of the kernels: shapes for every operation of operations.inc, with data made from a seed in guarded memory.
 *
 * The check program (Tests/CPhiKernelsCheck), the tests and `phi bench kernels` run these cases and no others, so that a shape
 * that is timed is a shape that is checked. An operation of operations.inc without cases does not link. */
#ifndef CPHI_KERNEL_CASES_H
#define CPHI_KERNEL_CASES_H

#include <CPhiKernels.h>

#include "guarded_memory.h"

/* ---- Shapes ---- */

/* The shape of a case. Each operation reads the members that it has a use for. */
typedef struct {
    size_t rows, columns;       /* of a matrix; of activations and probes, columns only */
    size_t tokens;
    size_t heads, kv_heads, head_size;
    size_t first;               /* position of the first token */
    size_t feedback_block;      /* columns of a block of error feedback, 0 for none */
    bool accumulate;
    size_t variant;             /* changes strides and special values; 0 has neither */
} phi_case_shape;

/* Shapes of an operation that are checked: small, odd, and at the edges of tiles, blocks and chunks. */
size_t phi_case_count(size_t operation);
phi_case_shape phi_case_at(size_t operation, size_t index);

/* Shapes of an operation in phi-1 with so many tokens, which are timed; none for operations that only convert. */
size_t phi_timed_case_count(size_t operation, size_t tokens);
phi_case_shape phi_timed_case_at(size_t operation, size_t tokens, size_t index);

/* A shape as text, such as "14336 x 2048, 8 tokens". */
void phi_case_describe(size_t operation, const phi_case_shape *shape, char *text, size_t text_bytes);

/* ---- Data ---- */

/* A case that is ready to run: arguments, and the buffers that they point to. */
typedef struct {
    guarded_memory memory;
    uint64_t random;            /* state of SplitMix64 */
    size_t spread;
    const void *arguments;      /* [copies] structs of argument_bytes */
    size_t argument_bytes, copies;
    size_t items;
    double bytes;               /* that a run must read and write */
    double arithmetic;          /* multiplications and additions of a run; 0 where it is about bytes only */
} phi_case;

/* Makes a case, the same for every instruction set. With a `spread`, the largest input is there in as many copies as make so many
 * bytes, so that runs that take one copy after the other read it from memory and not from a cache. */
void phi_case_prepare(phi_case *c, size_t operation, const phi_case_shape *shape, uint64_t seed, guarded_edge edge,
                      size_t spread);
void phi_case_release(phi_case *c);

/* Arguments for run number `run`. */
const void *phi_case_arguments(const phi_case *c, size_t run);

/* The elements of a buffer, such as "x" or "out"; null if there is none of this name. */
void *phi_case_buffer(const phi_case *c, const char *name);

/* ---- Comparison with the reference ---- */

typedef struct {
    size_t passed, failed;
} phi_check_result;

/* Executes all items of an operation, in whatever pieces. */
typedef void (*phi_check_execute)(size_t items, phi_operation operation, const void *arguments);

/* One line about a case that failed. */
typedef void (*phi_check_report)(void *context, const char *line);

typedef struct {
    uint64_t seed;
    uint64_t sets;              /* a bit for each instruction set of instruction_sets.inc */
    phi_check_execute execute;  /* null: three runs of items, the last ones first */
    phi_check_report report;
    void *context;
} phi_check_options;

/* Runs a case on the reference and on instruction sets, at both edges of guarded memory, and compares every byte. Adds to `results`,
 * one for each instruction set. Returns a digest of the buffers after the reference, the same on every machine. */
uint64_t phi_check(size_t operation, const phi_case_shape *shape, const phi_check_options *options, phi_check_result *results);

/* The instruction sets that run here. */
uint64_t phi_check_sets(void);

/* The case that is being checked, for a report about the end of the process. */
extern char phi_check_current[200];

#endif
