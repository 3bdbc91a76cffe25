/* The files of all encodings. Each has up to three sections: its layout, in plain C, for whoever includes it; what the reference
 * adds, where PHI_REFERENCE is defined; and the vector kernels, for each instruction set, where PHI_VECTOR is. */
#include "f16.h"
#include "f32.h"
#include "q4.h"
#include "q8.h"
