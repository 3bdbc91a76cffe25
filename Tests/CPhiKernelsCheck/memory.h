/* Buffers that show every byte written beside them and stop every read beyond them. */
#ifndef PHI_CHECK_MEMORY_H
#define PHI_CHECK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a buffer touches pages that may not be read: its first byte, or its last, which leaves its elements at odd
 * addresses. The other side is filled with guard bytes. */
typedef enum { EDGE_BEFORE, EDGE_AFTER } memory_edge;

typedef struct {
    const char *name;
    uint8_t *pages, *bytes;     /* bytes: inside the pages */
    size_t page_bytes, byte_count;
} memory_buffer;

enum { MEMORY_BUFFERS = 16 };
typedef struct {
    memory_edge edge;
    size_t count;
    memory_buffer buffers[MEMORY_BUFFERS];
} memory;

/* A new buffer, filled with guard bytes. Ends the process when there is no memory. */
void *memory_take(memory *m, const char *name, size_t elements, size_t element_bytes);

/* Gives all buffers back. */
void memory_release(memory *m);

/* The first guard byte that was overwritten, as text; false if none was. */
bool memory_spoiled(const memory *m, char *text, size_t text_bytes);

/* The first difference between two memories with the same buffers, guard bytes included, as text; false if there is none. */
bool memory_differs(const memory *expected, const memory *found, char *text, size_t text_bytes);

/* FNV-1a over all buffers, in words of eight bytes. */
uint64_t memory_digest(const memory *m);

#endif
