/* Every operation of an instruction set against the reference, case by case. */
#include <stdio.h>
#include <string.h>

#include <CPhiKernelsCheck.h>

#include "trial.h"

typedef struct {
    const char *name;
    size_t member;      /* where phi_kernels has it */
    trial_adapter adapter;
} checked;

static const checked operations[] = {
#define PHI_OPERATION(operation, arguments) {#operation, offsetof(phi_kernels, operation), try_##operation},
#include <operations.inc>
#undef PHI_OPERATION
};

char phi_check_current[160];

size_t phi_check_operation_count(void) { return sizeof operations / sizeof *operations; }

const char *phi_check_operation_name(size_t operation) { return operations[operation].name; }

static phi_operation member(const phi_kernels *set, const checked *operation) {
    phi_operation function;
    memcpy(&function, (const char *)set + operation->member, sizeof function);
    return function;
}

uint64_t phi_check_sets(void) {
    uint64_t sets = 0;
    for (size_t s = 0; s < phi_instruction_set_count(); s++) sets |= (uint64_t)phi_instruction_set_runs_here(s) << s;
    return sets;
}

uint64_t phi_check(size_t index, uint64_t sets, uint64_t seed, phi_check_result *results, phi_check_report report,
                   void *context) {
    const checked *operation = &operations[index];
    size_t count = phi_instruction_set_count();
    uint64_t digest = 0;
    for (size_t s = 0; s < count; s++) results[s] = (phi_check_result){0, 0};
    for (size_t which = 0;; which++)
        for (memory_edge edge = EDGE_BEFORE; edge <= EDGE_AFTER; edge++) {
            memory expected = {.edge = edge};
            for (size_t s = count; s-- > 0;) { /* the reference first */
                if (s < count - 1 && !(sets >> s & 1)) continue;
                const phi_kernels *set = phi_instruction_set(s);
                trial t = {.random = seed + which * 1000003, .memory.edge = edge};
                snprintf(phi_check_current, sizeof phi_check_current, "%s %s, case %zu, memory with an edge %s it", set->name,
                         operation->name, which, edge == EDGE_BEFORE ? "before" : "after");
                bool more = operation->adapter(&t, member(set, operation), which);
                if (!more) return digest;
                char fault[200];
                bool bad;
                if (s == count - 1) {
                    expected = t.memory;
                    digest = digest * 31 + memory_digest(&expected);
                    bad = memory_spoiled(&expected, fault, sizeof fault);
                } else {
                    bad = memory_differs(&expected, &t.memory, fault, sizeof fault);
                    memory_release(&t.memory);
                }
                if (bad) {
                    char line[400];
                    snprintf(line, sizeof line, "%s: %s", phi_check_current, fault);
                    report(context, line);
                    results[s].failed++;
                } else {
                    results[s].passed++;
                }
            }
            memory_release(&expected);
        }
}
