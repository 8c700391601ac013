/* Which instruction sets this processor has and this system lets programs use. The kernels' sets
 * (kernel/kernel.h) ask for combinations of them. */
#ifndef SPRAT__CPU_H
#define SPRAT__CPU_H

#include <stdint.h>

/* Each bit is all that the kernel set of that name needs, the state of its registers kept by the
 * system included. */
#define SPRAT__CPU_SSE41      (1u << 0) /* SSE3, SSSE3, SSE4.1 */
#define SPRAT__CPU_AVX2       (1u << 1) /* AVX, AVX2, F16C */
#define SPRAT__CPU_AVXVNNI    (1u << 2) /* the VEX form, without AVX-512 */
#define SPRAT__CPU_AVX512     (1u << 3) /* F, BW, DQ, VL */
#define SPRAT__CPU_AVX512VNNI (1u << 4)
#define SPRAT__CPU_NEON       (1u << 5)
#define SPRAT__CPU_DOTPROD    (1u << 6)
#define SPRAT__CPU_I8MM       (1u << 7)
#define SPRAT__CPU_WASM       (1u << 8) /* 128-bit SIMD of WebAssembly */

struct sprat__cpu {
    uint32_t features; /* SPRAT__CPU_... */
};

/* Asks the processor and the system. Cheap enough to be done once per context; no state is kept. */
void sprat__cpu_detect(struct sprat__cpu *cpu);

/* What an x86 processor answers: eax, ebx, ecx, edx of CPUID leaves 0, 1, 7 (subleaf 0) and 7
 * (subleaf 1), and the extended control register 0, which is 0 where it can't be read. */
struct sprat__cpuid_leaves {
    uint32_t leaf0[4], leaf1[4], leaf7[4], leaf7_1[4];
    uint64_t xcr0;
};

/* The features in recorded answers. Answers to leaves beyond those that leaf 0 and leaf 7 count are
 * ignored: old processors give those of another leaf. Pure. */
uint32_t sprat__cpu_x86_features(const struct sprat__cpuid_leaves *leaves);

/* The features in Linux' auxiliary vector on AArch64: AT_HWCAP and AT_HWCAP2. Pure. */
uint32_t sprat__cpu_arm_features(uint64_t hwcap, uint64_t hwcap2);

#endif
