/* The scheduler, and the only file that uses OpenMP. */
#define _GNU_SOURCE /* threads and signals */
#include "kernels.h"

#include <sched.h>
#include <time.h>

enum { SPINS_BEFORE_YIELD = 4000 };

PHI_INLINE void spin(unsigned *spins) {
    if (++*spins > SPINS_BEFORE_YIELD) { /* with more threads than cores, the other thread may need this one's core */
        sched_yield();
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* PHI_LIBOMP: LLVM's libomp is linked, to be compared with the runtime of this module. Swift's clang has no omp.h. */
#if defined(PHI_LIBOMP)
void kmp_set_blocktime(int milliseconds);
int omp_get_thread_num(void);
#define THREAD_NUMBER omp_get_thread_num()
#elif defined(_OPENMP)
#include "openmp_runtime.h"
#define THREAD_NUMBER thread_number
#define ONLY_WAITS only_waits
#define IS_SMALL (phi_stack_left() < PHI_STACK_BYTES)
#else
#define THREAD_NUMBER 0
#endif
#ifndef ONLY_WAITS
#define ONLY_WAITS false
#define IS_SMALL false
#endif

typedef struct {
    size_t begin, end;
} range;

/* A thread's initial share of a step's items: neighbours, so that it prefetches data of its own next item. */
PHI_INLINE range share_of(const phi_step *s, size_t threads, size_t thread) {
    return (range){s->items * thread / threads, s->items * (thread + 1) / threads};
}

/* The unclaimed items of a share. Its word counts those that its own thread has claimed, from the front, and in the upper half those
 * that other threads have stolen, from the back. */
PHI_INLINE range unclaimed(range share, uint64_t word) {
    return (range){share.begin + (word & UINT32_MAX), share.end - (word >> 32)};
}

PHI_INLINE bool exchange(uint64_t *word, uint64_t *seen, uint64_t now) {
    return __atomic_compare_exchange_n(word, seen, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Claims the next item of a thread's own share; an empty range if there is none. */
PHI_INLINE range claim(uint64_t *word, range share) {
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (range left; (left = unclaimed(share, seen)).begin < left.end;)
        if (exchange(word, &seen, seen + 1)) return (range){left.begin, left.begin + 1};
    return (range){0, 0};
}

/* Steals a quarter of the unclaimed items of another thread's share, from its back. */
PHI_INLINE range steal(uint64_t *word, range share) {
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (range left; (left = unclaimed(share, seen)).begin < left.end;) {
        uint64_t run = (left.end - left.begin + 3) / 4;
        if (exchange(word, &seen, seen + (run << 32))) return (range){left.end - run, left.end};
    }
    return (range){0, 0};
}

/* Does a thread's share of a step, then items stolen from the other threads. */
static void do_step(phi_step *s, size_t threads, size_t thread, uint64_t *shares, size_t stride) {
    for (size_t k = 0; k < threads; k++) {
        size_t owner = (thread + k) % threads, count = 0;
        range share = share_of(s, threads, owner);
        uint64_t *word = shares + owner * stride;
        for (range r; (r = k == 0 ? claim(word, share) : steal(word, share)).end; count += r.end - r.begin)
            s->operation(s->args, r.begin, r.end);
        if (count) __atomic_fetch_add(&s->done, count, __ATOMIC_RELEASE);
    }
}

/* What phi_run was called with. */
typedef struct {
    int threads;
    phi_step *steps;
    size_t count;
    uint64_t *shares;
} region;

/* Waits for all steps, which other threads do. */
static void wait_for_steps(const region *r) {
    const struct timespec pause = {.tv_nsec = 20000};
    for (size_t i = 0; i < r->count; i++)
        while (__atomic_load_n(&r->steps[i].done, __ATOMIC_ACQUIRE) < r->steps[i].items) nanosleep(&pause, NULL);
}

/* One thread's part of all steps. Items are claimed by counters of this file: OpenMP's dynamic schedules need entry points that older
 * libraries lack. A step is over when its items are done, not when all threads have arrived, so a thread that the system has suspended
 * delays the others only if it has claimed items.
 *
 * A thread skips a step that is done without waiting for the steps before it: acquiring the count of done items, which the threads that
 * did them released, makes everything visible that those threads had waited for. */
static void work(const region *r) {
    if (ONLY_WAITS) {
        wait_for_steps(r);
        return;
    }
    uint64_t floats = phi_floats_begin();
    size_t thread = (size_t)THREAD_NUMBER, count = r->count, stride = phi_share_stride(count);
    phi_step *steps = r->steps;
    size_t group = 0; /* the last step that waited; once it is done, so are all before it */
    for (size_t i = 0; i < count; i++) {
        phi_step *s = &steps[i];
        if (__atomic_load_n(&s->done, __ATOMIC_ACQUIRE) < s->items) {
            for (size_t j = group; s->waits && j < i; j++)
                for (unsigned spins = 0; __atomic_load_n(&steps[j].done, __ATOMIC_ACQUIRE) < steps[j].items;) spin(&spins);
            do_step(s, (size_t)r->threads, thread, r->shares + i, stride);
        }
        if (s->waits && s->items) group = i;
    }
    phi_floats_end(floats);
}

/* Words of one thread: whole cache lines, so that threads do not share any. */
size_t phi_share_stride(size_t count) { return (count + 7) / 8 * 8; }

void phi_run(int threads, phi_step *steps, size_t count, uint64_t *shares) {
    if (threads <= 1 && !IS_SMALL) {
        uint64_t floats = phi_floats_begin();
        for (size_t i = 0; i < count; i++) steps[i].operation(steps[i].args, 0, steps[i].items);
        phi_floats_end(floats);
        return;
    }
    for (size_t i = 0; i < count; i++) steps[i].done = 0;
    memset(shares, 0, (size_t)threads * phi_share_stride(count) * sizeof *shares);
#if defined(PHI_LIBOMP)
    kmp_set_blocktime(2);
#endif
    const region r = {threads, steps, count, shares};
#pragma omp parallel num_threads(threads)
    work(&r);
}

int phi_reserve_threads(int threads) {
#if defined(PHI_LIBOMP)
    return threads;
#elif defined(_OPENMP)
    return reserve(threads);
#else
    return threads > 0;
#endif
}

void phi_parallel(int threads, size_t items, phi_operation operation, const void *args) {
    if ((size_t)threads > items) threads = (int)items;
    if (threads > PHI_MAX_THREADS) threads = PHI_MAX_THREADS;
    phi_step step = {.operation = operation, .args = args, .items = items};
    _Alignas(64) uint64_t shares[PHI_MAX_THREADS * 8];
    phi_run(threads, &step, 1, shares);
}
