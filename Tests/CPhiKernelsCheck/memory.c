#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD = 0xa5 };

void *memory_take(memory *m, const char *name, size_t elements, size_t element_bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = elements * element_bytes;
    size_t inside = (bytes / page + 1) * page;
    uint8_t *pages = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, inside, PROT_READ | PROT_WRITE) || m->count == MEMORY_BUFFERS) {
        fprintf(stderr, "no memory for %zu bytes of '%s'\n", bytes, name);
        exit(1);
    }
    uint8_t *first = pages + page;
    memset(first, GUARD, inside);
    m->buffers[m->count] = (memory_buffer){
        .name = name,
        .pages = first,
        .page_bytes = inside,
        .bytes = m->edge == EDGE_BEFORE ? first : first + inside - bytes,
        .byte_count = bytes,
    };
    return m->buffers[m->count++].bytes;
}

void memory_release(memory *m) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < m->count; i++) munmap(m->buffers[i].pages - page, m->buffers[i].page_bytes + 2 * page);
    m->count = 0;
}

bool memory_spoiled(const memory *m, char *text, size_t text_bytes) {
    for (size_t b = 0; b < m->count; b++) {
        const memory_buffer *buffer = &m->buffers[b];
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

bool memory_differs(const memory *expected, const memory *found, char *text, size_t text_bytes) {
    if (expected->count != found->count) {
        snprintf(text, text_bytes, "%zu buffers instead of %zu", found->count, expected->count);
        return true;
    }
    for (size_t b = 0; b < found->count; b++) {
        const memory_buffer *want = &expected->buffers[b], *have = &found->buffers[b];
        if (want->byte_count == have->byte_count && !memcmp(want->pages, have->pages, have->page_bytes)) continue;
        for (size_t i = 0; i < have->byte_count; i++)
            if (have->bytes[i] != want->bytes[i]) {
                snprintf(text, text_bytes, "'%s' differs from byte %zu of %zu on: 0x%02x instead of 0x%02x", have->name, i,
                         have->byte_count, have->bytes[i], want->bytes[i]);
                return true;
            }
        return memory_spoiled(found, text, text_bytes);
    }
    return false;
}

uint64_t memory_digest(const memory *m) {
    uint64_t digest = 0xcbf29ce484222325;
    for (size_t b = 0; b < m->count; b++)
        for (size_t i = 0; i < m->buffers[b].byte_count; i += 8) {
            uint64_t word = 0;
            size_t left = m->buffers[b].byte_count - i;
            memcpy(&word, m->buffers[b].bytes + i, left < 8 ? left : 8);
            digest = (digest ^ word) * 0x100000001b3;
        }
    return digest;
}
