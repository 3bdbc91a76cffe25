/* How operations describe their cases, and the data that these are made of. */
#ifndef PHI_CASES_H
#define PHI_CASES_H

#include <string.h>

#include "CPhiKernelCases.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* The cases of one operation, `cases_of_` and its name. */
typedef struct {
    /* Makes data and arguments. */
    void (*prepare)(phi_case *c, const phi_case_shape *shape);
    /* Shape number `index` of those that are checked; false when there are no more. */
    bool (*checked)(size_t index, phi_case_shape *shape);
    /* phi-1's shapes, in which 0 tokens are any number; one with 1 token is left out for others. */
    const phi_case_shape *timed;
    size_t timed_count;
    /* The shape as text; what it does not print is not part of the shape. */
    int (*describe)(const phi_case_shape *shape, char *text, size_t text_bytes);
} operation_cases;

#define PHI_OPERATION(operation, arguments) extern const operation_cases cases_of_##operation;
#include <operations.inc>
#undef PHI_OPERATION

enum { PHI1_HIDDEN = 2048, PHI1_INTERMEDIATE = 8192, PHI1_HEADS = 32, PHI1_HEAD_SIZE = 64, PHI1_VOCABULARY = 50295 };

/* ---- Data ---- */

/* SplitMix64 (Steele, Lea and Flood 2014). */
static inline uint64_t draw(phi_case *c) {
    uint64_t z = c->random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static inline float draw_unit(phi_case *c) { return (float)(int32_t)(draw(c) >> 32) * 0x1p-31f; }

/* Roughly normal, with now and then a large one, as activations are. */
static inline float draw_float(phi_case *c, float scale) {
    float sum = draw_unit(c) + draw_unit(c) + draw_unit(c);
    return sum * scale * (draw(c) % 97 == 0 ? 20.0f : 1.0f);
}

static inline void *allocate(phi_case *c, const char *name, size_t count, size_t bytes) {
    return guarded_allocate(&c->memory, name, count, bytes, false);
}

/* A buffer whose contents are the operation's own. */
static inline void *allocate_scratch(phi_case *c, const char *name, size_t count, size_t bytes) {
    return guarded_allocate(&c->memory, name, count, bytes, true);
}

static inline float *allocate_floats(phi_case *c, const char *name, size_t count, float scale) {
    float *x = allocate(c, name, count, sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = draw_float(c, scale);
    return x;
}

/* Arguments that quantise x for products with an encoding, and new buffers for the results. */
phi_quantise_args quantise_arguments(phi_case *c, const phi_encoding *e, const float *x, size_t x_stride, size_t width,
                                     size_t tokens);

static inline size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }
static inline size_t divide_up(size_t n, size_t unit) { return (n + unit - 1) / unit; }

/* How many copies of an input of so many bytes fill the case's spread, at least one. */
static inline size_t copies_of(const phi_case *c, size_t bytes) {
    size_t copies = divide_up(c->spread, bytes ? bytes : 1);
    return copies ? copies : 1;
}

/* The case's arguments, `copies` times the same. */
static inline void *set_arguments(phi_case *c, const void *arguments, size_t bytes, size_t copies) {
    uint8_t *all = allocate_scratch(c, "arguments", copies, bytes);
    for (size_t i = 0; i < copies; i++) memcpy(all + i * bytes, arguments, bytes);
    c->arguments = all;
    c->argument_bytes = bytes;
    c->copies = copies;
    return all;
}

static inline const phi_kernels *reference(void) { return phi_instruction_set(phi_instruction_set_count() - 1); }

#endif
