/* The processors that this process may run on. */
#define _GNU_SOURCE
#include "CPhiSupport.h"

#include <errno.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sched.h>
enum { LARGEST_SET = 1 << 20 };
#endif

int phi_processors(int *numbers, int capacity) {
    int count = 0;
#if defined(__APPLE__)
    size_t size = sizeof count;
    if (sysctlbyname("hw.perflevel0.physicalcpu", &count, &size, NULL, 0) != 0) count = 0;
#elif defined(__linux__)
    /* The system refuses a set that is smaller than its own, which has a bit for each processor that could be added. */
    for (size_t bits = CPU_SETSIZE; bits <= LARGEST_SET; bits *= 2) {
        size_t bytes = CPU_ALLOC_SIZE(bits);
        cpu_set_t *allowed = CPU_ALLOC(bits);
        if (!allowed) break;
        int status = sched_getaffinity(0, bytes, allowed), code = errno;
        for (size_t i = 0; !status && i < bits && count < capacity; i++)
            if (CPU_ISSET_S(i, bytes, allowed)) numbers[count++] = (int)i;
        CPU_FREE(allowed);
        if (!status) return count;
        if (code != EINVAL) break;
    }
#endif
    if (count <= 0) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (count <= 0) count = 1;
    if (count > capacity) count = capacity;
    for (int i = 0; i < count; i++) numbers[i] = i;
    return count;
}
