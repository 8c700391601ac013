/* Owns the question which instruction sets may be used. Leaves the choice among kernels to
 * kernel/kernel.c, the count of cores to os/topology. Invariant: a feature is told only if the
 * processor has it and the system keeps its registers, so that using it can't fault.
 * Intel SDM volume 1, 13.2 and 14.3 (XCR0); volume 2, CPUID. Linux
 * Documentation/arch/arm64/elf_hwcaps.rst. */
#include "os/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <stddef.h>
#include <sys/sysctl.h>
#endif

enum { CPU_EAX, CPU_EBX, CPU_ECX, CPU_EDX };

/* Bits of CPUID's answers. */
#define CPU_1_ECX_SSE3       (1u << 0)
#define CPU_1_ECX_SSSE3      (1u << 9)
#define CPU_1_ECX_SSE41      (1u << 19)
#define CPU_1_ECX_OSXSAVE    (1u << 27)
#define CPU_1_ECX_AVX        (1u << 28)
#define CPU_1_ECX_F16C       (1u << 29)
#define CPU_7_EBX_AVX2       (1u << 5)
#define CPU_7_EBX_AVX512     (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */
#define CPU_7_ECX_AVX512VNNI (1u << 11)
#define CPU_7_1_EAX_AVXVNNI  (1u << 4)

/* Bits of XCR0: what the system saves when it changes threads. */
#define CPU_XCR0_YMM 0x06u /* SSE and AVX state */
#define CPU_XCR0_ZMM 0xe6u /* and mask registers, upper halves, upper sixteen */

/* Bits of Linux' auxiliary vector on AArch64. */
#define CPU_HWCAP_ASIMD   (1u << 1)
#define CPU_HWCAP_ASIMDDP (1u << 20)
#define CPU_HWCAP2_I8MM   (1u << 13)

static uint32_t cpu_feature(uint64_t found, uint64_t wanted, uint32_t feature)
{
    return (found & wanted) == wanted ? feature : 0;
}

uint32_t sprat__cpu_x86_features(const struct sprat__cpuid_leaves *leaves)
{
    uint32_t max_leaf = leaves->leaf0[CPU_EAX];
    if (max_leaf < 1)
        return 0;
    uint32_t ecx1 = leaves->leaf1[CPU_ECX];
    uint32_t features =
        cpu_feature(ecx1, CPU_1_ECX_SSE3 | CPU_1_ECX_SSSE3 | CPU_1_ECX_SSE41, SPRAT__CPU_SSE41);
    const uint32_t needed = CPU_1_ECX_OSXSAVE | CPU_1_ECX_AVX | CPU_1_ECX_F16C;
    if (!features || max_leaf < 7 || (ecx1 & needed) != needed ||
        (leaves->xcr0 & CPU_XCR0_YMM) != CPU_XCR0_YMM || !(leaves->leaf7[CPU_EBX] & CPU_7_EBX_AVX2))
        return features;
    features |= SPRAT__CPU_AVX2;
    if (leaves->leaf7[CPU_EAX] >= 1)
        features |= cpu_feature(leaves->leaf7_1[CPU_EAX], CPU_7_1_EAX_AVXVNNI, SPRAT__CPU_AVXVNNI);
    if ((leaves->xcr0 & CPU_XCR0_ZMM) != CPU_XCR0_ZMM ||
        (leaves->leaf7[CPU_EBX] & CPU_7_EBX_AVX512) != CPU_7_EBX_AVX512)
        return features;
    features |= SPRAT__CPU_AVX512;
    return features |
           cpu_feature(leaves->leaf7[CPU_ECX], CPU_7_ECX_AVX512VNNI, SPRAT__CPU_AVX512VNNI);
}

uint32_t sprat__cpu_arm_features(uint64_t hwcap, uint64_t hwcap2)
{
    if (!(hwcap & CPU_HWCAP_ASIMD))
        return 0;
    return SPRAT__CPU_NEON | cpu_feature(hwcap, CPU_HWCAP_ASIMDDP, SPRAT__CPU_DOTPROD) |
           cpu_feature(hwcap2, CPU_HWCAP2_I8MM, SPRAT__CPU_I8MM);
}

#if defined(__x86_64__)

static void cpu_leaf(uint32_t leaf, uint32_t subleaf, uint32_t *out)
{
    __cpuid_count(leaf, subleaf, out[CPU_EAX], out[CPU_EBX], out[CPU_ECX], out[CPU_EDX]);
}

void sprat__cpu_detect(struct sprat__cpu *cpu)
{
    struct sprat__cpuid_leaves leaves = {.xcr0 = 0};
    cpu_leaf(0, 0, leaves.leaf0);
    cpu_leaf(1, 0, leaves.leaf1);
    cpu_leaf(7, 0, leaves.leaf7);
    cpu_leaf(7, 1, leaves.leaf7_1);
    if (leaves.leaf1[CPU_ECX] & CPU_1_ECX_OSXSAVE) {
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        leaves.xcr0 = (uint64_t)high << 32 | low;
    }
    cpu->features = sprat__cpu_x86_features(&leaves);
}

#elif defined(__aarch64__) && defined(__linux__)

void sprat__cpu_detect(struct sprat__cpu *cpu)
{
    cpu->features = sprat__cpu_arm_features(getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
}

#elif defined(__aarch64__) && defined(__APPLE__)

static uint32_t cpu_sysctl(const char *name, uint32_t feature)
{
    int value = 0;
    size_t bytes = sizeof value;
    return sysctlbyname(name, &value, &bytes, NULL, 0) == 0 && value == 1 ? feature : 0;
}

void sprat__cpu_detect(struct sprat__cpu *cpu)
{
    cpu->features = SPRAT__CPU_NEON |
                    cpu_sysctl("hw.optional.arm.FEAT_DotProd", SPRAT__CPU_DOTPROD) |
                    cpu_sysctl("hw.optional.arm.FEAT_I8MM", SPRAT__CPU_I8MM);
}

#else

/* What the compiler may use anyway is there; nothing else is known. */
void sprat__cpu_detect(struct sprat__cpu *cpu)
{
#if defined(__aarch64__)
    cpu->features = SPRAT__CPU_NEON;
#elif defined(__wasm__)
    cpu->features = SPRAT__CPU_WASM; /* a module that has SIMD does not load without it */
#else
    cpu->features = 0;
#endif
}

#endif
