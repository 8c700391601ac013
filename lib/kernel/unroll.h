/* Loops that every set of instructions wants written out. */
#ifndef SPRAT__UNROLL_H
#define SPRAT__UNROLL_H

/* Asks the compiler to write a loop of up to 16 steps out, so that an array of vectors becomes
 * registers. */
#if defined(__clang__)
#define SPRAT__UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define SPRAT__UNROLL _Pragma("GCC unroll 16")
#else
#define SPRAT__UNROLL
#endif

#endif
