#include "CPhiSandbox.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif
#define NAMESPACES (CLONE_NEWNS | 0x02000000 | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, __builtin_offsetof(struct seccomp_data, name))
// Skips the next instruction unless the field compares so.
#define IF(comparison, value) BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 0, 1)
#define FAIL(number) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (number))
#define REFUSE(name) IF(BPF_JEQ, __NR_##name), FAIL(EPERM),

static const struct sock_filter filter[] = {
    FIELD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    FIELD(nr),
#ifdef __x86_64__
    // The numbers of x32.
    IF(BPF_JGE, 0x40000000),
    FAIL(ENOSYS),
#endif
#include "refused.inc"
#ifdef __NR_clone3
    // Its flags are in memory, which a filter cannot read; the C library then takes clone.
    IF(BPF_JEQ, __NR_clone3),
    FAIL(ENOSYS),
#endif
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3),
    FIELD(args[0]),
    IF(BPF_JSET, NAMESPACES),
    FAIL(EPERM),
    // Of sockets, the families that a network namespace confines; a virtual machine's, for example, reach its host.
    FIELD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 6),
    FIELD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0),
    FAIL(EAFNOSUPPORT),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

const void *phi_sandbox_filter(void) { return filter; }
size_t phi_sandbox_filter_size(void) { return sizeof filter; }
#else
const void *phi_sandbox_filter(void) { return ""; }
size_t phi_sandbox_filter_size(void) { return 0; }
#endif
