/* The instruction sets of x86-64: how functions are marked that use them, and their tables. A
 * marked function's name ends in the set's name (test/abi/wide_registers.py), and nothing but
 * marked functions may use wide registers, so that the rest runs on every x86-64. */
#ifndef SPRAT__X86_H
#define SPRAT__X86_H

#include "kernel/kernel.h"
#include "kernel/unroll.h"

#if defined(__x86_64__)
#define SPRAT__SSE41  __attribute__((target("sse4.1")))
#define SPRAT__AVX2   __attribute__((target("avx2,f16c")))
#define SPRAT__AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))

#define SPRAT__AVXVNNI    __attribute__((target("avx2,f16c,avxvnni")))
#define SPRAT__AVX512VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

extern const struct sprat__kernels sprat__kernels_avx2, sprat__kernels_avx512;
extern const struct sprat__kernels sprat__kernels_i8_sse41, sprat__kernels_i8_avx2,
    sprat__kernels_i8_avxvnni, sprat__kernels_i8_avx512, sprat__kernels_i8_avx512vnni;
extern const struct sprat__kernels sprat__kernels_rows_sse41, sprat__kernels_rows_avx2;
extern const struct sprat__kernels sprat__kernels_rows_avx512;
#endif

#endif
