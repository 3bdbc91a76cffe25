#include "CPhiPlayground.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page[] = {
#embed "page.html"
};

const void *phi_playground(void) { return page; }
size_t phi_playground_size(void) { return sizeof page; }
