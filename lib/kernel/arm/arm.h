/* The instruction sets of AArch64: how functions are marked that use them, and their tables. NEON
 * is part of every AArch64 processor and takes no mark. */
#ifndef SPRAT__ARM_H
#define SPRAT__ARM_H

#include "kernel/kernel.h"

#if defined(__aarch64__)
#define SPRAT__NEON
#if defined(__clang__)
#define SPRAT__DOTPROD __attribute__((target("dotprod")))
#define SPRAT__I8MM    __attribute__((target("dotprod,i8mm")))
#else
#define SPRAT__DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#define SPRAT__I8MM    __attribute__((target("arch=armv8.2-a+dotprod+i8mm")))
#endif

extern const struct sprat__kernels sprat__kernels_rows_neon, sprat__kernels_tiles_neon;
extern const struct sprat__kernels sprat__kernels_i8_neon, sprat__kernels_i8_dotprod;
extern const struct sprat__kernels sprat__kernels_i8_i8mm;
#endif

#endif
