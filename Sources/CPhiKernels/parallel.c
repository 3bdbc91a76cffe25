/* The one file that knows OpenMP. */
#include "kernels.h"

#include <sched.h>

/* Swift's clang has no omp.h. How long a thread that has nothing to do stays awake, in milliseconds: long enough for the
 * caller to choose a token and come back, far less than libomp's 200, so that an idle session burns no core. */
#if defined(_OPENMP)
void kmp_set_blocktime(int milliseconds);
int omp_get_thread_num(void);
enum { AWAKE_MILLISECONDS = 2 };
#define THREAD_NUMBER omp_get_thread_num()
#else
#define THREAD_NUMBER 0
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

typedef struct {
    size_t begin, end;
} range;

/* The items of a step that are a thread's to begin with: neighbours, so that what it fetches ahead is what it needs next. */
PHI_INLINE range share_of(const phi_step *s, size_t threads, size_t thread) {
    return (range){s->items * thread / threads, s->items * (thread + 1) / threads};
}

/* What is left of a share. The word counts the items that its thread has taken from the front and, in the upper half, others from the back. */
PHI_INLINE range left_of(range share, uint64_t taken) {
    return (range){share.begin + (taken & UINT32_MAX), share.end - (taken >> 32)};
}

PHI_INLINE bool exchange(uint64_t *word, uint64_t *taken, uint64_t now) {
    return __atomic_compare_exchange_n(word, taken, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* The next item of a thread's own share; an empty range when all are taken. */
PHI_INLINE range take(uint64_t *word, range share) {
    uint64_t taken = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (range left; (left = left_of(share, taken)).begin < left.end;)
        if (exchange(word, &taken, taken + 1)) return (range){left.begin, left.begin + 1};
    return (range){0, 0};
}

/* A quarter of what is left of another's share, from its back, for a thread that has nothing to do. */
PHI_INLINE range steal(uint64_t *word, range share) {
    uint64_t taken = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (range left; (left = left_of(share, taken)).begin < left.end;) {
        uint64_t run = (left.end - left.begin + 3) / 4;
        if (exchange(word, &taken, taken + (run << 32))) return (range){left.end - run, left.end};
    }
    return (range){0, 0};
}

/* What a thread does of a step: its share, then of the others' shares what they have not come to. */
static void do_step(phi_step *s, size_t threads, size_t thread, uint64_t *shares, size_t stride) {
    for (size_t k = 0; k < threads; k++) {
        size_t whose = (thread + k) % threads, count = 0;
        range share = share_of(s, threads, whose);
        uint64_t *word = shares + whose * stride;
        for (range r; (r = k == 0 ? take(word, share) : steal(word, share)).end; count += r.end - r.begin)
            s->operation(s->args, r.begin, r.end);
        if (count) __atomic_fetch_add(&s->done, count, __ATOMIC_RELEASE);
    }
}

/* What one thread does. Items are handed out by our own counters: the library's dynamic schedules need entry points that older
 * versions lack. A step is over when its items are done, not when all threads have come, so one that the system has taken off its core
 * holds nobody up unless it has an item.
 *
 * A thread passes a step that is done without waiting, and may do a step beside it: as it acquires what those who did the items have
 * released, it sees all that they had waited for. */
static void work(int threads, phi_step *steps, size_t count, uint64_t *shares) {
    size_t thread = (size_t)THREAD_NUMBER, stride = phi_share_stride(count);
    size_t group = 0; /* the last step that waited; who has done it has waited for all before */
    for (size_t i = 0; i < count; i++) {
        phi_step *s = &steps[i];
        if (__atomic_load_n(&s->done, __ATOMIC_ACQUIRE) < s->items) {
            for (size_t j = group; s->waits && j < i; j++)
                for (unsigned spins = 0; __atomic_load_n(&steps[j].done, __ATOMIC_ACQUIRE) < steps[j].items;) rest(&spins);
            do_step(s, (size_t)threads, thread, shares + i, stride);
        }
        if (s->waits && s->items) group = i;
    }
}

/* Words of one thread: whole lines of memory, so that threads do not write to each other's. */
size_t phi_share_stride(size_t count) { return (count + 7) / 8 * 8; }

void phi_run(int threads, phi_step *steps, size_t count, uint64_t *shares) {
    if (threads <= 1) {
        for (size_t i = 0; i < count; i++) steps[i].operation(steps[i].args, 0, steps[i].items);
        return;
    }
    for (size_t i = 0; i < count; i++) steps[i].done = 0;
    memset(shares, 0, (size_t)threads * phi_share_stride(count) * sizeof *shares);
#if defined(_OPENMP)
    kmp_set_blocktime(AWAKE_MILLISECONDS);
#endif
#pragma omp parallel num_threads(threads)
    work(threads, steps, count, shares);
}

void phi_parallel(int threads, size_t items, phi_operation operation, const void *args) {
    if ((size_t)threads > items) threads = (int)items;
    if (threads > PHI_MAX_THREADS) threads = PHI_MAX_THREADS;
    phi_step step = {.operation = operation, .args = args, .items = items};
    _Alignas(64) uint64_t shares[PHI_MAX_THREADS * 8];
    phi_run(threads, &step, 1, shares);
}
