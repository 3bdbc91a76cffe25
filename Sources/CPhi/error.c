/* Each thread's last error. */
#include "error_message.h"
#include "phi.h"

#include <string.h>

static _Thread_local char message[1024];

const char *phi_error_message(void) { return message; }

static int continues_character(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

/* Of a long text the middle is left out: a file's name stands at its beginning, the fault at its end. */
void phi_set_error_message(const char *text, size_t length) {
    static const char gap[] = "...";
    const size_t room = sizeof message - 1;
    size_t head = length, tail = length;
    if (length > room) {
        head = room / 2;
        while (head > 0 && continues_character(text[head])) head--;
        tail = length - (room - head - (sizeof gap - 1));
        while (tail < length && continues_character(text[tail])) tail++;
    }
    size_t end = 0;
    if (head > 0) memcpy(message, text, head);
    end += head;
    if (tail > head) {
        memcpy(message + end, gap, sizeof gap - 1);
        end += sizeof gap - 1;
    }
    if (length > tail) memcpy(message + end, text + tail, length - tail);
    message[end + length - tail] = 0;
}
