/* os/cpu: features from recorded answers of processors, odd ones too. */
#include "os/cpu.h"

#include "run_suite.h"

#include <check.h>
#include <stdlib.h>

#define SSE41_ONLY SPRAT__CPU_SSE41
#define UP_TO_AVX2 (SPRAT__CPU_SSE41 | SPRAT__CPU_AVX2)
#define WITH_512   (UP_TO_AVX2 | SPRAT__CPU_AVX512)

/* eax, ebx, ecx, edx of leaves 0, 1, 7 and 7/1; XCR0. Vendor texts are left out: nothing asks. */
static const struct sprat__cpuid_leaves conroe = {.leaf0 = {0xa},
                                                  .leaf1 = {0x6fb, 0, 0x0000e3bd, 0}};
static const struct sprat__cpuid_leaves nehalem = {
    /* Leaf 7 is beyond the last: the processor answers with leaf 11. */
    .leaf0 = {0xb},
    .leaf1 = {0x106a5, 0, 0x009ce3bd, 0xbfebfbff},
    .leaf7 = {0, 0, 0, 0}};
static const struct sprat__cpuid_leaves haswell = {.leaf0 = {0xd},
                                                   .leaf1 = {0x306c3, 0, 0x7ffafbbf, 0xbfebfbff},
                                                   .leaf7 = {0, 0x000027ab, 0, 0},
                                                   .xcr0 = 0x7};
static const struct sprat__cpuid_leaves skylake_server = {
    .leaf0 = {0x16},
    .leaf1 = {0x50654, 0, 0x7ffefbff, 0xbfebfbff},
    .leaf7 = {0, 0xd39ffffb, 0x8, 0xbc000400},
    .xcr0 = 0x2ff};
static const struct sprat__cpuid_leaves alder_lake = {
    .leaf0 = {0x20},
    .leaf1 = {0x90672, 0, 0x7ffafbff, 0xbfebfbff},
    .leaf7 = {0x2, 0x239ca7eb, 0x98c007ac, 0xfc18c410},
    .leaf7_1 = {0x00400810, 0, 0, 0},
    .xcr0 = 0x207};
static const struct sprat__cpuid_leaves zen4 = {.leaf0 = {0x10},
                                                .leaf1 = {0xa10f11, 0, 0x7efa320b, 0x178bfbff},
                                                .leaf7 = {0x1, 0xf1bf97a9, 0x00405fce, 0x10000010},
                                                .leaf7_1 = {0x00000020, 0, 0, 0},
                                                .xcr0 = 0x2e7};
static const struct sprat__cpuid_leaves zen5 = {.leaf0 = {0x10},
                                                .leaf1 = {0xb00f21, 0, 0x7efa320b, 0x178bfbff},
                                                .leaf7 = {0x1, 0xf1bf97a9, 0x18405fce, 0x10000110},
                                                .leaf7_1 = {0x00000030, 0, 0, 0},
                                                .xcr0 = 0x2e7};

START_TEST(known_processors)
{
    ck_assert_uint_eq(sprat__cpu_x86_features(&conroe), 0);
    ck_assert_uint_eq(sprat__cpu_x86_features(&nehalem), SSE41_ONLY);
    ck_assert_uint_eq(sprat__cpu_x86_features(&haswell), UP_TO_AVX2);
    ck_assert_uint_eq(sprat__cpu_x86_features(&skylake_server), WITH_512);
    ck_assert_uint_eq(sprat__cpu_x86_features(&alder_lake), UP_TO_AVX2 | SPRAT__CPU_AVXVNNI);
    ck_assert_uint_eq(sprat__cpu_x86_features(&zen4), WITH_512 | SPRAT__CPU_AVX512VNNI);
    ck_assert_uint_eq(sprat__cpu_x86_features(&zen5),
                      WITH_512 | SPRAT__CPU_AVX512VNNI | SPRAT__CPU_AVXVNNI);
}
END_TEST

/* What the system does not save across threads can't be used, whatever the processor has. */
START_TEST(the_system_must_save_the_registers)
{
    struct sprat__cpuid_leaves leaves = zen5;
    leaves.xcr0 = 0;
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), SSE41_ONLY);
    leaves.xcr0 = 0x3; /* x87 and SSE */
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), SSE41_ONLY);
    leaves.xcr0 = 0x5; /* AVX without SSE */
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), SSE41_ONLY);
    const uint64_t lacks[] = {0x7, 0x27, 0x47, 0x87, 0x67, 0xa7, 0xc7};
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++) {
        leaves.xcr0 = lacks[i];
        ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), UP_TO_AVX2 | SPRAT__CPU_AVXVNNI);
    }
    leaves.xcr0 = 0xe0; /* AVX-512's own state only */
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), SSE41_ONLY);
    leaves = zen5;
    leaves.leaf1[2] &= ~(1u << 27); /* XGETBV is not enabled: xcr0 was not read */
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), SSE41_ONLY);
}
END_TEST

START_TEST(leaves_that_are_not_there)
{
    struct sprat__cpuid_leaves leaves = zen5;
    leaves.leaf0[0] = 6; /* a hypervisor hides leaf 7 */
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), SSE41_ONLY);
    leaves.leaf0[0] = 0;
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), 0);
    leaves = zen5;
    leaves.leaf7[0] = 0; /* no subleaf 1 */
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), WITH_512 | SPRAT__CPU_AVX512VNNI);
    leaves = (struct sprat__cpuid_leaves){.xcr0 = UINT64_MAX};
    ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), 0);
}
END_TEST

/* Without any one of the bits that a set needs there is no such set. */
START_TEST(each_bit_counts)
{
    static const struct {
        int leaf, reg, bit;
        uint32_t left;
    } bits[] = {
        {1, 2, 0, 0},
        {1, 2, 9, 0},
        {1, 2, 19, 0},
        {1, 2, 28, SSE41_ONLY},
        {1, 2, 29, SSE41_ONLY},
        {7, 1, 5, SSE41_ONLY},
        {7, 1, 16, UP_TO_AVX2 | SPRAT__CPU_AVXVNNI},
        {7, 1, 17, UP_TO_AVX2 | SPRAT__CPU_AVXVNNI},
        {7, 1, 30, UP_TO_AVX2 | SPRAT__CPU_AVXVNNI},
        {7, 1, 31, UP_TO_AVX2 | SPRAT__CPU_AVXVNNI},
        {7, 2, 11, WITH_512 | SPRAT__CPU_AVXVNNI},
    };
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        struct sprat__cpuid_leaves leaves = zen5;
        uint32_t *leaf = bits[i].leaf == 1 ? leaves.leaf1 : leaves.leaf7;
        leaf[bits[i].reg] &= ~(1u << bits[i].bit);
        ck_assert_uint_eq(sprat__cpu_x86_features(&leaves), bits[i].left);
    }
}
END_TEST

START_TEST(arm)
{
    const uint32_t neon = SPRAT__CPU_NEON, dotprod = SPRAT__CPU_DOTPROD, i8mm = SPRAT__CPU_I8MM;
    ck_assert_uint_eq(sprat__cpu_arm_features(0, 0), 0);
    ck_assert_uint_eq(sprat__cpu_arm_features(0xff, 0), neon);               /* Cortex-A53 */
    ck_assert_uint_eq(sprat__cpu_arm_features(0x119fff, 0), neon | dotprod); /* Neoverse N1 */
    ck_assert_uint_eq(sprat__cpu_arm_features(0xefffffff, 0x2f3ff),
                      neon | dotprod | i8mm);                            /* Neoverse V2 */
    ck_assert_uint_eq(sprat__cpu_arm_features(0x119ffd, UINT64_MAX), 0); /* no ASIMD */
    ck_assert_uint_eq(sprat__cpu_arm_features(UINT64_MAX, ~(1ull << 13)), neon | dotprod);
    ck_assert_uint_eq(sprat__cpu_arm_features(~(1ull << 20), UINT64_MAX), neon | i8mm);
}
END_TEST

/* This machine: the same each time, and sets that hold the ones below them. */
START_TEST(here)
{
    struct sprat__cpu cpu, again;
    sprat__cpu_detect(&cpu);
    sprat__cpu_detect(&again);
    ck_assert_uint_eq(cpu.features, again.features);
    ck_assert_uint_lt(cpu.features, 1u << 9);
#if defined(__aarch64__)
    ck_assert(cpu.features & SPRAT__CPU_NEON);
#endif
#if defined(__x86_64__) && defined(__GNUC__)
    /* The compiler's own idea, which asks the processor and the system as well. */
    __builtin_cpu_init();
    ck_assert_int_eq(!!(cpu.features & SPRAT__CPU_SSE41), !!__builtin_cpu_supports("sse4.1"));
    ck_assert_int_eq(!!(cpu.features & SPRAT__CPU_AVX2), !!__builtin_cpu_supports("avx2"));
    ck_assert_int_eq(!!(cpu.features & SPRAT__CPU_AVX512),
                     __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
    ck_assert_int_eq(!!(cpu.features & SPRAT__CPU_AVX512VNNI),
                     !!__builtin_cpu_supports("avx512vnni"));
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu");
    TCase *tests = tcase_create("cpu");
    tcase_add_test(tests, known_processors);
    tcase_add_test(tests, the_system_must_save_the_registers);
    tcase_add_test(tests, leaves_that_are_not_there);
    tcase_add_test(tests, each_bit_counts);
    tcase_add_test(tests, arm);
    tcase_add_test(tests, here);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
