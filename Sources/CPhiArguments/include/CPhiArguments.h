// The arguments of this process as the system passed them to it. Swift's own list comes from /proc, which may be missing.
#ifndef CPHI_ARGUMENTS_H
#define CPHI_ARGUMENTS_H

// The number of arguments, the command's name included.
int phi_argument_count(void);

// The argument with this index, 0 being the command's name; its memory stays valid.
const char *phi_argument(int index);

#endif
