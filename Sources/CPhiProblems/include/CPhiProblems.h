/* The problems of `phi eval understanding`: the bytes of understanding.jsonl, which Tools/golden/understanding.py makes of the files in
 * understanding. */
#ifndef CPHI_PROBLEMS_H
#define CPHI_PROBLEMS_H

#include <stddef.h>

const void *phi_understanding_problems(void);
size_t phi_understanding_problems_size(void);

#endif
