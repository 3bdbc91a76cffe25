#include "CPhiCalibration.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char text[] = {
#embed "text.txt"
};

const void *phi_calibration_text(void) { return text; }
size_t phi_calibration_text_size(void) { return sizeof text; }
