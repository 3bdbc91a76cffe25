/* Each thread's last error. */
#include "error_message.h"
#include "phi.h"

#include <string.h>

static _Thread_local char message[1024];

const char *phi_error_message(void) { return message; }

void phi_set_error_message(const char *text, size_t length) {
    if (length > sizeof message - 1) {
        length = sizeof message - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) length--; /* not within a character */
    }
    if (length > 0) memcpy(message, text, length);
    message[length] = 0;
}
