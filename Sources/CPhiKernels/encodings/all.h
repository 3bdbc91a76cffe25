/* The files of all encodings. Each has three sections: its layout, in plain C; rounding in the reference, where PHI_REFERENCE is
 * defined; and the kernels of each instruction set, where PHI_VECTOR is defined. */
#include "f16.h"
#include "f32.h"
#include "q4.h"
#include "q3.h"
#include "q8.h"
