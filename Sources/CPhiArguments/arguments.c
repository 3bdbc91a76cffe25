#include "CPhiArguments.h"

static int count;
static char **arguments;

// glibc and macOS pass main's parameters to constructors too.
__attribute__((constructor)) static void keep_arguments(int argc, char **argv) {
    count = argc;
    arguments = argv;
}

int phi_argument_count(void) { return count; }

const char *phi_argument(int index) { return arguments[index]; }
