/* What a caller's thread brings along: its floating-point arithmetic and its stack. */
#define _GNU_SOURCE /* pthread_getattr_np */
#include "kernels.h"

#include <pthread.h>

/* ---- Floating-point arithmetic ---- */

#if defined(__x86_64__)
#include <xmmintrin.h>

/* All but the flags that instructions set. */
enum { CONTROL_BITS = 0xffc0, DEFAULT_CONTROL = 0x1f80 };

uint64_t phi_floats_begin(void) {
    unsigned before = _mm_getcsr();
    if ((before & CONTROL_BITS) != DEFAULT_CONTROL) _mm_setcsr(DEFAULT_CONTROL);
    return before;
}

void phi_floats_end(uint64_t before) {
    if ((before & CONTROL_BITS) != DEFAULT_CONTROL) _mm_setcsr((unsigned)before);
}
#elif defined(__aarch64__)
static void set_control(uint64_t word) { __asm__ volatile("msr fpcr, %0" : : "r"(word) : "memory"); }

uint64_t phi_floats_begin(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before) : : "memory");
    if (before) set_control(0);
    return before;
}

void phi_floats_end(uint64_t before) {
    if (before) set_control(before);
}
#else
#include <fenv.h>

uint64_t phi_floats_begin(void) {
    int before = fegetround();
    if (before != FE_TONEAREST) fesetround(FE_TONEAREST);
    return (uint64_t)before;
}

void phi_floats_end(uint64_t before) {
    if ((int)before != FE_TONEAREST) fesetround((int)before);
}
#endif

/* ---- Stack ---- */

typedef struct {
    uintptr_t low, high; /* both 0 where they are not known */
    bool is_known;
} stack_bounds;

static stack_bounds find_stack(void) {
    stack_bounds bounds = {0, 0, true};
#if defined(__APPLE__)
    bounds.high = (uintptr_t)pthread_get_stackaddr_np(pthread_self());
    bounds.low = bounds.high - pthread_get_stacksize_np(pthread_self());
#elif defined(__linux__)
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes)) return bounds;
    void *start = NULL;
    size_t size = 0;
    if (!pthread_attr_getstack(&attributes, &start, &size)) {
        bounds.low = (uintptr_t)start;
        bounds.high = bounds.low + size;
    }
    pthread_attr_destroy(&attributes);
#endif
    return bounds;
}

size_t phi_stack_left(void) {
    static _Thread_local stack_bounds bounds;
    if (!bounds.is_known) bounds = find_stack();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return here > bounds.low && here <= bounds.high ? here - bounds.low : PTRDIFF_MAX;
}
