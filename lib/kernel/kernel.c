/* Owns the choice of kernels. A set is a cap, never a demand: the table starts from the scalar C,
 * and every set up to the cap that this CPU has all of overlays it. Not a ladder: a CPU may have a
 * set without having those before it. */
#include "kernel/i8.h"
#include "kernel/kernel.h"

#include "kernel/arm/arm.h"
#include "kernel/wasm/wasm.h"
#include "kernel/x86/x86.h"

#include <string.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||     \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "sprat computes the same bits everywhere: build it without -ffast-math and its parts"
#endif

#if defined(__x86_64__)
#define KERNEL_X86(functions) (&(functions))
#else
#define KERNEL_X86(functions) NULL
#endif
#if defined(__aarch64__)
#define KERNEL_ARM(functions) (&(functions))
#else
#define KERNEL_ARM(functions) NULL
#endif
#if defined(__wasm__)
#define KERNEL_WASM(functions) (&(functions))
#else
#define KERNEL_WASM(functions) NULL
#endif
#if SPRAT__I8_SETS
#define KERNEL_I8_X86(functions) KERNEL_X86(functions)
#define KERNEL_I8_ARM(functions) KERNEL_ARM(functions)
#define KERNEL_I8_WASM(functions) KERNEL_WASM(functions)
#else
#define KERNEL_I8_X86(functions) NULL
#define KERNEL_I8_ARM(functions) NULL
#define KERNEL_I8_WASM(functions) NULL
#endif

const struct sprat__kernel_set sprat__kernel_sets[] = {
    {"scalar", 0, NULL},
    {"sse41", SPRAT__CPU_SSE41, KERNEL_X86(sprat__kernels_rows_sse41)},
    {"sse41", SPRAT__CPU_SSE41, KERNEL_I8_X86(sprat__kernels_i8_sse41)},
    {"avx2", SPRAT__CPU_AVX2, KERNEL_X86(sprat__kernels_avx2)},
    {"avx2", SPRAT__CPU_AVX2, KERNEL_I8_X86(sprat__kernels_i8_avx2)},
    {"avx2", SPRAT__CPU_AVX2, KERNEL_X86(sprat__kernels_rows_avx2)},
    {"avxvnni", SPRAT__CPU_AVX2 | SPRAT__CPU_AVXVNNI, KERNEL_I8_X86(sprat__kernels_i8_avxvnni)},
    {"avx512", SPRAT__CPU_AVX512, KERNEL_X86(sprat__kernels_avx512)},
    {"avx512", SPRAT__CPU_AVX512, KERNEL_X86(sprat__kernels_rows_avx512)},
    {"avx512", SPRAT__CPU_AVX512, KERNEL_I8_X86(sprat__kernels_i8_avx512)},
    {"avx512vnni", SPRAT__CPU_AVX512 | SPRAT__CPU_AVX512VNNI,
     KERNEL_I8_X86(sprat__kernels_i8_avx512vnni)},
    {"neon", SPRAT__CPU_NEON, KERNEL_ARM(sprat__kernels_rows_neon)},
    {"neon", SPRAT__CPU_NEON, KERNEL_ARM(sprat__kernels_tiles_neon)},
    {"neon", SPRAT__CPU_NEON, KERNEL_I8_ARM(sprat__kernels_i8_neon)},
    {"dotprod", SPRAT__CPU_NEON | SPRAT__CPU_DOTPROD, KERNEL_I8_ARM(sprat__kernels_i8_dotprod)},
    {"i8mm", SPRAT__CPU_NEON | SPRAT__CPU_DOTPROD | SPRAT__CPU_I8MM,
     KERNEL_I8_ARM(sprat__kernels_i8_i8mm)},
    {"wasm", SPRAT__CPU_WASM, KERNEL_WASM(sprat__kernels_rows_wasm)},
    {"wasm", SPRAT__CPU_WASM, KERNEL_WASM(sprat__kernels_tiles_wasm)},
    {"wasm", SPRAT__CPU_WASM, KERNEL_I8_WASM(sprat__kernels_i8_wasm)},
    {NULL, 0, NULL},
};

const char sprat__kernel_set_names[] =
    "scalar sse41 avx2 avxvnni avx512 avx512vnni neon dotprod i8mm wasm";

static void kernel_scalar(struct sprat__kernels *kernels)
{
    memset(kernels, 0, sizeof *kernels);
    kernels->set = "scalar";
#define SPRAT__KERNEL(name, result, parameters) kernels->name = sprat__##name##_scalar;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
}

static void kernel_overlay(struct sprat__kernels *kernels, const struct sprat__kernels *functions)
{
#define SPRAT__KERNEL(name, result, parameters)                                                    \
    if (functions->name)                                                                           \
        kernels->name = functions->name;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
}

static void kernel_by_type(struct sprat__kernels *kernels)
{
/* Types whose products have an order of their own in numerics INT8, and those without. */
#define KERNEL_FLOAT(type, name) kernels->dequant[SPRAT__##type] = kernels->dequant_##name;
#define KERNEL_BLOCKS(type, name)                                                                  \
    KERNEL_FLOAT(type, name)                                                                       \
    kernels->matmul_i8[SPRAT__##type] = kernels->matmul_i8_##name;
    KERNEL_FLOAT(F32, f32)
    KERNEL_FLOAT(F16, f16)
    KERNEL_FLOAT(BF16, bf16)
    KERNEL_FLOAT(NVFP4, nvfp4)
    KERNEL_BLOCKS(Q4_0, q4_0)
    KERNEL_BLOCKS(Q4_1, q4_1)
    KERNEL_BLOCKS(Q5_0, q5_0)
    KERNEL_BLOCKS(Q5_1, q5_1)
    KERNEL_BLOCKS(Q8_0, q8_0)
    KERNEL_BLOCKS(Q2_K, q2_k)
    KERNEL_BLOCKS(Q3_K, q3_k)
    KERNEL_BLOCKS(Q4_K, q4_k)
    KERNEL_BLOCKS(Q5_K, q5_k)
    KERNEL_BLOCKS(Q6_K, q6_k)
    KERNEL_BLOCKS(IQ1_S, iq1_s)
    KERNEL_BLOCKS(IQ1_M, iq1_m)
    KERNEL_BLOCKS(IQ2_XXS, iq2_xxs)
    KERNEL_BLOCKS(IQ2_XS, iq2_xs)
    KERNEL_BLOCKS(IQ2_S, iq2_s)
    KERNEL_BLOCKS(IQ3_XXS, iq3_xxs)
    KERNEL_BLOCKS(IQ3_S, iq3_s)
    KERNEL_BLOCKS(IQ4_NL, iq4_nl)
    KERNEL_BLOCKS(IQ4_XS, iq4_xs)
    KERNEL_BLOCKS(TQ1_0, tq1_0)
    KERNEL_BLOCKS(TQ2_0, tq2_0)
    KERNEL_BLOCKS(MXFP4, mxfp4)
    KERNEL_BLOCKS(Q1_0, q1_0)
    KERNEL_BLOCKS(Q2_0, q2_0)
#undef KERNEL_BLOCKS
#undef KERNEL_FLOAT
}

static bool kernel_is_set(const char *name)
{
    for (const struct sprat__kernel_set *set = sprat__kernel_sets; set->name; set++) {
        if (strcmp(set->name, name) == 0)
            return true;
    }
    return false;
}

bool sprat__kernels_init(struct sprat__kernels *kernels, const struct sprat__cpu *cpu,
                         const char *cap)
{
    if (cap && !kernel_is_set(cap))
        return false;
    kernel_scalar(kernels);
    bool is_last = false; /* the cap is met; sets of its name may follow */
    for (const struct sprat__kernel_set *set = sprat__kernel_sets; set->name; set++) {
        bool is_cap = cap && strcmp(set->name, cap) == 0;
        if (is_last && !is_cap)
            break;
        is_last = is_cap;
        if (set->functions && (cpu->features & set->need) == set->need) {
            kernel_overlay(kernels, set->functions);
            kernels->set = set->name;
        }
    }
    kernel_by_type(kernels);
    return true;
}
