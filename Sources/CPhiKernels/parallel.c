/* The one file that knows OpenMP. */
#include "kernels.h"

#include <sched.h>

/* Swift's clang has no omp.h. How long a thread that has nothing to do stays awake, in milliseconds: long enough for the
 * caller to choose a token and come back, far less than libomp's 200, so that an idle session burns no core. */
#if defined(_OPENMP)
void kmp_set_blocktime(int milliseconds);
enum { AWAKE_MILLISECONDS = 2 };
#endif

PHI_INLINE void rest(unsigned *spins) {
    if (++*spins > 4000) { /* more threads than cores: the one waited for may need this one's core */
        sched_yield();
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The next items of a step, of which `*begin` is the first, or 0 where all are handed out: a part of what is left, so that
 * runs are long at first and single items at the end, for which nobody waits long. */
PHI_INLINE size_t take(phi_step *s, size_t threads, size_t *begin) {
    size_t next = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE), run;
    do {
        if (next >= s->items) return 0;
        run = (s->items - next) / (3 * threads);
        if (!run) run = 1;
    } while (!__atomic_compare_exchange_n(&s->next, &next, next + run, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    *begin = next;
    return run;
}

/* What one thread does. A step's items are handed out by an atomic counter: the library's dynamic schedules need entry
 * points that older versions lack. A step is over when its items are done, not
 * when all threads have come, so one that the system has taken off its core holds nobody up unless it has an item.
 *
 * A thread passes a step that is handed out without waiting, and may do a step beside it: as it acquires what those who
 * took the items have released, it sees all that they had waited for. */
static void work(int threads, phi_step *steps, size_t count) {
    size_t group = 0; /* the last step that waited */
    for (size_t i = 0; i < count; i++) {
        phi_step *s = &steps[i];
        if (__atomic_load_n(&s->next, __ATOMIC_ACQUIRE) < s->items) {
            for (size_t j = group; s->waits && j < i; j++)
                for (unsigned spins = 0; __atomic_load_n(&steps[j].done, __ATOMIC_ACQUIRE) < steps[j].items;) rest(&spins);
            for (size_t begin, run; (run = take(s, (size_t)threads, &begin));) {
                s->operation(s->args, begin, begin + run);
                __atomic_fetch_add(&s->done, run, __ATOMIC_RELEASE);
            }
        }
        if (s->waits) group = i;
    }
}

void phi_run(int threads, phi_step *steps, size_t count) {
    if (threads <= 1) {
        for (size_t i = 0; i < count; i++) steps[i].operation(steps[i].args, 0, steps[i].items);
        return;
    }
    for (size_t i = 0; i < count; i++) steps[i].next = steps[i].done = 0;
#if defined(_OPENMP)
    kmp_set_blocktime(AWAKE_MILLISECONDS);
#endif
#pragma omp parallel num_threads(threads)
    work(threads, steps, count);
}

void phi_parallel(int threads, size_t items, phi_operation operation, const void *args) {
    if ((size_t)threads > items) threads = (int)items;
    phi_step step = {.operation = operation, .args = args, .items = items};
    phi_run(threads, &step, 1);
}
