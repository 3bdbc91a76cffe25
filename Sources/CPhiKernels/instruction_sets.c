/* The list of instruction sets, and detection of those that this CPU has. */
#define _GNU_SOURCE /* syscall */
#include "kernels.h"

#define PHI_INSTRUCTION_SET(name, condition) extern const phi_kernels phi_kernels_##name;
#include "instruction_sets.inc"
#undef PHI_INSTRUCTION_SET

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct {
    unsigned a, b, c, d;
} cpuid_leaf;

static cpuid_leaf leaf(unsigned number, unsigned part) {
    cpuid_leaf l = {0, 0, 0, 0};
    __get_cpuid_count(number, part, &l.a, &l.b, &l.c, &l.d);
    return l;
}

static bool bit(unsigned word, int index) { return word >> index & 1; }

/* Registers that the system saves: XCR0's bits for SSE and AVX (6), AVX-512 (0xe0), AMX's tiles (0x60000). */
static bool system_saves(unsigned mask) {
    if (!bit(leaf(1, 0).c, 27)) return false;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & mask) == mask;
}

static bool cpu_has_avx2_fma(void) {
    cpuid_leaf one = leaf(1, 0), seven = leaf(7, 0);
    return system_saves(0x06) && bit(one.c, 12) /* FMA */ && bit(one.c, 29) /* F16C */ && bit(seven.b, 5) /* AVX2 */;
}

static bool cpu_has_avx512_vnni(void) {
    cpuid_leaf seven = leaf(7, 0);
    return cpu_has_avx2_fma() && system_saves(0xe6) && bit(seven.b, 16) /* F */ && bit(seven.b, 17) /* DQ */ &&
           bit(seven.b, 30) /* BW */ && bit(seven.b, 31) /* VL */ && bit(seven.c, 11) /* VNNI */;
}

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* Linux saves tile registers only for processes that request it. */
static bool system_lets_use_tiles(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
static bool system_lets_use_tiles(void) { return false; }
#endif

static bool cpu_has_amx_int8(void) {
    cpuid_leaf seven = leaf(7, 0);
    return cpu_has_avx512_vnni() && system_saves(0x60000) && bit(seven.d, 24) /* TILE */ && bit(seven.d, 25) /* INT8 */ &&
           bit(seven.c, 8) /* GFNI */ && system_lets_use_tiles();
}

static bool cpu_has_avx_vnni(void) { return cpu_has_avx2_fma() && leaf(7, 0).a >= 1 && bit(leaf(7, 1).a, 4); }
#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>

static bool cpu_has_dot_product(void) { return getauxval(AT_HWCAP) >> 20 & 1; } /* HWCAP_ASIMDDP */
static bool cpu_has_matrix_product(void) { return cpu_has_dot_product() && getauxval(AT_HWCAP2) >> 13 & 1; } /* HWCAP2_I8MM */
#elif defined(__APPLE__)
#include <sys/sysctl.h>

static bool cpu_has_dot_product(void) { return true; } /* every Apple silicon Mac */
static bool cpu_has_matrix_product(void) {
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, NULL, 0) == 0 && has;
}
#else
static bool cpu_has_dot_product(void) { return false; }
static bool cpu_has_matrix_product(void) { return false; }
#endif
#endif

size_t phi_instruction_set_count(void) {
    size_t count = 0;
#define PHI_INSTRUCTION_SET(name, condition) count++;
#include "instruction_sets.inc"
#undef PHI_INSTRUCTION_SET
    return count;
}

const phi_kernels *phi_instruction_set(size_t index) {
    static const phi_kernels *const list[] = {
#define PHI_INSTRUCTION_SET(name, condition) &phi_kernels_##name,
#include "instruction_sets.inc"
#undef PHI_INSTRUCTION_SET
    };
    return index < phi_instruction_set_count() ? list[index] : NULL;
}

bool phi_instruction_set_runs_here(size_t index) {
    size_t i = 0;
#define PHI_INSTRUCTION_SET(name, condition) \
    if (i++ == index) return condition;
#include "instruction_sets.inc"
#undef PHI_INSTRUCTION_SET
    return false;
}

static const char *const operation_names[] = {
#define PHI_OPERATION(operation, arguments) #operation,
#include "operations.inc"
#undef PHI_OPERATION
};

size_t phi_operation_count(void) { return sizeof operation_names / sizeof *operation_names; }

const char *phi_operation_name(size_t index) { return index < phi_operation_count() ? operation_names[index] : NULL; }

phi_operation phi_operation_at(const phi_kernels *kernels, size_t index) {
    const phi_operation all[] = {
#define PHI_OPERATION(operation, arguments) kernels->operation,
#include "operations.inc"
#undef PHI_OPERATION
    };
    return index < phi_operation_count() ? all[index] : NULL;
}
