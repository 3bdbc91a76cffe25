/* The text of `phi convert --calibrate builtin`: the bytes of text.txt, reproducible by Tools/golden/calibration_text.py. */
#ifndef CPHI_CALIBRATION_H
#define CPHI_CALIBRATION_H

#include <stddef.h>

const void *phi_calibration_text(void);
size_t phi_calibration_text_size(void);

#endif
