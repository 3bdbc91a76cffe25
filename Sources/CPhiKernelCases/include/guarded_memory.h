/* Buffers that show every byte written beside them and stop every read beyond them. */
#ifndef PHI_GUARDED_MEMORY_H
#define PHI_GUARDED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a buffer touches pages that may not be read: before its first byte, or after its last, which leaves its elements at odd
 * addresses. The other side is filled with guard bytes. */
typedef enum { GUARDED_BEFORE, GUARDED_AFTER } guarded_edge;

typedef struct {
    const char *name;
    uint8_t *pages, *bytes;     /* bytes: inside the pages */
    size_t page_bytes, byte_count;
    bool is_scratch;            /* only its guards are compared */
} guarded_buffer;

enum { GUARDED_BUFFERS = 16 };
typedef struct {
    guarded_edge edge;
    size_t count;
    guarded_buffer buffers[GUARDED_BUFFERS];
} guarded_memory;

/* A new buffer, filled with guard bytes. Ends the process when there is no memory. */
void *guarded_allocate(guarded_memory *m, const char *name, size_t elements, size_t element_bytes, bool is_scratch);

/* Releases all buffers. */
void guarded_release(guarded_memory *m);

/* The first guard byte that was overwritten, as text; false if none was. */
bool guarded_is_damaged(const guarded_memory *m, char *text, size_t text_bytes);

/* The first difference between two memories with the same buffers, guard bytes included, as text; false if there is none. */
bool guarded_differs(const guarded_memory *expected, const guarded_memory *found, char *text, size_t text_bytes);

/* FNV-1a over all buffers but scratch, in words of eight bytes. */
uint64_t guarded_digest(const guarded_memory *m);

#endif
