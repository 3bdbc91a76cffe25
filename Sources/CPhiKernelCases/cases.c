/* The cases of all operations, and their comparison with the reference. */
#include <stdio.h>

#include "cases.h"

static const operation_cases *const cases[] = {
#define PHI_OPERATION(operation, arguments) &cases_of_##operation,
#include <operations.inc>
#undef PHI_OPERATION
};

size_t phi_case_count(size_t operation) {
    phi_case_shape shape;
    size_t count = 0;
    while (cases[operation]->checked(count, &shape)) count++;
    return count;
}

phi_case_shape phi_case_at(size_t operation, size_t index) {
    phi_case_shape shape = {0};
    cases[operation]->checked(index, &shape);
    return shape;
}

size_t phi_timed_case_count(size_t operation, size_t tokens) {
    size_t count = 0;
    for (size_t i = 0; i < cases[operation]->timed_count; i++)
        count += cases[operation]->timed[i].tokens == 0 || cases[operation]->timed[i].tokens == tokens;
    return count;
}

phi_case_shape phi_timed_case_at(size_t operation, size_t tokens, size_t index) {
    const phi_case_shape *at = cases[operation]->timed;
    while ((at->tokens && at->tokens != tokens) || index-- > 0) at++;
    phi_case_shape shape = *at;
    shape.tokens = tokens;
    return shape;
}

void phi_case_describe(size_t operation, const phi_case_shape *shape, char *text, size_t text_bytes) {
    cases[operation]->describe(shape, text, text_bytes);
}

void phi_case_prepare(phi_case *c, size_t operation, const phi_case_shape *shape, uint64_t seed, guarded_edge edge,
                      size_t spread) {
    *c = (phi_case){.random = seed + shape->variant * 1000003, .spread = spread, .memory.edge = edge};
    cases[operation]->prepare(c, shape);
}

void phi_case_release(phi_case *c) { guarded_release(&c->memory); }

const void *phi_case_arguments(const phi_case *c, size_t run) {
    return (const uint8_t *)c->arguments + run % c->copies * c->argument_bytes;
}

void *phi_case_buffer(const phi_case *c, const char *name) {
    for (size_t i = 0; i < c->memory.count; i++)
        if (!strcmp(c->memory.buffers[i].name, name)) return c->memory.buffers[i].bytes;
    return NULL;
}

/* ---- Comparison ---- */

char phi_check_current[200];

uint64_t phi_check_sets(void) {
    uint64_t sets = 0;
    for (size_t s = 0; s < phi_instruction_set_count(); s++) sets |= (uint64_t)phi_instruction_set_runs_here(s) << s;
    return sets;
}

/* All items in three runs, the last ones first: how they are cut must not matter. */
static void execute_cut(phi_case *c, phi_operation operation) {
    size_t first = (size_t)(draw(c) % (c->items + 1)), second = first + (size_t)(draw(c) % (c->items - first + 1));
    operation(c->arguments, second, c->items);
    operation(c->arguments, first, second);
    operation(c->arguments, 0, first);
}

uint64_t phi_check(size_t index, const phi_case_shape *shape, const phi_check_options *options, phi_check_result *results) {
    size_t count = phi_instruction_set_count();
    uint64_t digest = 0;
    char described[80];
    phi_case_describe(index, shape, described, sizeof described);
    for (guarded_edge edge = GUARDED_BEFORE; edge <= GUARDED_AFTER; edge++) {
        phi_case expected = {.copies = 0};
        for (size_t s = count; s-- > 0;) { /* the reference first */
            bool is_reference = s == count - 1;
            if (!is_reference && !(options->sets >> s & 1)) continue;
            const phi_kernels *set = phi_instruction_set(s);
            snprintf(phi_check_current, sizeof phi_check_current, "%s %s %s, memory with an edge %s it", set->name,
                     phi_operation_name(index), described, edge == GUARDED_BEFORE ? "before" : "after");
            phi_case found;
            phi_case_prepare(&found, index, shape, options->seed, edge, 0);
            if (options->execute) options->execute(found.items, phi_operation_at(set, index), found.arguments);
            else execute_cut(&found, phi_operation_at(set, index));
            if (is_reference) {
                expected = found;
                digest = digest * 31 + guarded_digest(&expected.memory);
            }
            char fault[200], line[440];
            bool is_bad = guarded_differs(&expected.memory, &found.memory, fault, sizeof fault);
            if (is_bad) {
                snprintf(line, sizeof line, "%s: %s", phi_check_current, fault);
                options->report(options->context, line);
            }
            results[s].failed += is_bad;
            results[s].passed += !is_bad;
            if (!is_reference) phi_case_release(&found);
        }
        phi_case_release(&expected);
    }
    return digest;
}
