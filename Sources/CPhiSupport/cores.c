/* The processors that this process may run on. */
#define _GNU_SOURCE
#include "CPhiSupport.h"

#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sched.h>
#endif

int phi_processors(int *numbers, int capacity) {
    int count = 0;
#if defined(__APPLE__)
    size_t size = sizeof count;
    if (sysctlbyname("hw.perflevel0.physicalcpu", &count, &size, NULL, 0) != 0) count = 0;
#elif defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (int i = 0; i < CPU_SETSIZE && count < capacity; i++)
            if (CPU_ISSET(i, &allowed)) numbers[count++] = i;
        return count;
    }
#endif
    if (count <= 0) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (count <= 0) count = 1;
    if (count > capacity) count = capacity;
    for (int i = 0; i < count; i++) numbers[i] = i;
    return count;
}
