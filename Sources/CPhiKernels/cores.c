/* How many threads are worth having. */
#define _GNU_SOURCE
#include "kernels.h"

#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sched.h>
#endif

int phi_core_count(void) {
#if defined(__APPLE__)
    int fast = 0;
    size_t size = sizeof fast;
    if (sysctlbyname("hw.perflevel0.physicalcpu", &fast, &size, NULL, 0) == 0 && fast > 0) return fast;
#elif defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}
