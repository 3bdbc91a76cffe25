#include "CPhiProblems.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char understanding[] = {
#embed "understanding.jsonl"
};

const void *phi_understanding_problems(void) { return understanding; }
size_t phi_understanding_problems_size(void) { return sizeof understanding; }
