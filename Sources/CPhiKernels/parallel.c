/* The one file that knows OpenMP. */
#include "kernels.h"

/* Swift's clang has no omp.h, and the library's dynamic schedules need entry points that older versions lack: items
 * are handed out by an atomic counter of our own instead. */
void phi_parallel(int threads, size_t items, phi_operation operation, const void *args) {
    if (threads <= 1 || items <= 1) {
        operation(args, 0, items);
        return;
    }
    if ((size_t)threads > items) threads = (int)items;
    /* Many items are handed out in runs, down to single ones for an even end. */
    size_t next = 0, run = items / ((size_t)threads * 16);
    if (!run) run = 1;
#pragma omp parallel num_threads(threads) shared(next)
    for (;;) {
        size_t begin = __atomic_fetch_add(&next, run, __ATOMIC_RELAXED);
        if (begin >= items) break;
        operation(args, begin, begin + run < items ? begin + run : items);
    }
}
