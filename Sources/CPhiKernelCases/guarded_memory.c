#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "guarded_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD = 0xa5 };

void *guarded_allocate(guarded_memory *m, const char *name, size_t elements, size_t element_bytes, bool is_scratch) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = elements * element_bytes;
    size_t inside = (bytes / page + 1) * page;
    uint8_t *pages = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, inside, PROT_READ | PROT_WRITE) || m->count == GUARDED_BUFFERS) {
        fprintf(stderr, "no memory for %zu bytes of '%s'\n", bytes, name);
        exit(1);
    }
    uint8_t *first = pages + page;
    memset(first, GUARD, inside);
    m->buffers[m->count] = (guarded_buffer){
        .name = name,
        .pages = first,
        .page_bytes = inside,
        .bytes = m->edge == GUARDED_BEFORE ? first : first + inside - bytes,
        .byte_count = bytes,
        .is_scratch = is_scratch,
    };
    return m->buffers[m->count++].bytes;
}

void guarded_release(guarded_memory *m) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < m->count; i++) munmap(m->buffers[i].pages - page, m->buffers[i].page_bytes + 2 * page);
    m->count = 0;
}

bool guarded_is_damaged(const guarded_memory *m, char *text, size_t text_bytes) {
    for (size_t b = 0; b < m->count; b++) {
        const guarded_buffer *buffer = &m->buffers[b];
        size_t before = (size_t)(buffer->bytes - buffer->pages);
        for (size_t i = 0; i < buffer->page_bytes; i++) {
            if (i == before) i += buffer->byte_count;
            if (i == buffer->page_bytes || buffer->pages[i] == GUARD) continue;
            snprintf(text, text_bytes, "'%s' of %zu bytes was written at byte %td", buffer->name, buffer->byte_count,
                     (ptrdiff_t)i - (ptrdiff_t)before);
            return true;
        }
    }
    return false;
}

bool guarded_differs(const guarded_memory *expected, const guarded_memory *found, char *text, size_t text_bytes) {
    for (size_t b = 0; b < found->count; b++) {
        const guarded_buffer *want = &expected->buffers[b], *have = &found->buffers[b];
        if (have->is_scratch || !memcmp(want->bytes, have->bytes, have->byte_count)) continue;
        size_t i = 0;
        while (have->bytes[i] == want->bytes[i]) i++;
        snprintf(text, text_bytes, "'%s' differs from byte %zu of %zu on: 0x%02x instead of 0x%02x", have->name, i,
                 have->byte_count, have->bytes[i], want->bytes[i]);
        return true;
    }
    return guarded_is_damaged(found, text, text_bytes);
}

uint64_t guarded_digest(const guarded_memory *m) {
    uint64_t digest = 0xcbf29ce484222325;
    for (size_t b = 0; b < m->count; b++)
        for (size_t i = 0; i < m->buffers[b].byte_count && !m->buffers[b].is_scratch; i += 8) {
            uint64_t word = 0;
            size_t remaining = m->buffers[b].byte_count - i;
            memcpy(&word, m->buffers[b].bytes + i, remaining < 8 ? remaining : 8);
            digest = (digest ^ word) * 0x100000001b3;
        }
    return digest;
}
