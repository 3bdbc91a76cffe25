/* Sets the message of phi_error_message. Not installed, not exported. */
#ifndef PHI_ERROR_MESSAGE_H
#define PHI_ERROR_MESSAGE_H

#include <stddef.h>

void phi_set_error_message(const char *text, size_t length);

#endif
