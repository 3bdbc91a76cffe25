/* The text that `phi convert --calibrate builtin` uses: the bytes of text.txt, which Tools/golden/calibration_text.py makes again. */
#ifndef CPHI_CALIBRATION_H
#define CPHI_CALIBRATION_H

#include <stddef.h>

const void *phi_calibration_text(void);
size_t phi_calibration_text_size(void);

#endif
