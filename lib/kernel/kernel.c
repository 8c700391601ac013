/* Owns the choice of kernels. A set is a cap, never a demand: the table starts from the scalar C,
 * and every set up to the cap that this CPU can run overlays it. */
#include "kernel/kernel.h"

#include <string.h>

const char sprat__kernel_set_names[] = "scalar";

bool sprat__kernels_init(struct sprat__kernels *kernels, const char *cap)
{
    if (cap && strcmp(cap, "scalar") != 0)
        return false;
    memset(kernels, 0, sizeof *kernels);
    kernels->set = "scalar";
#define SPRAT__KERNEL(name, result, parameters) kernels->name = sprat__##name##_scalar;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
#define KERNEL_WEIGHTS(type, name) kernels->dequant[SPRAT__##type] = kernels->dequant_##name;
    KERNEL_WEIGHTS(F32, f32)
    KERNEL_WEIGHTS(F16, f16)
    KERNEL_WEIGHTS(BF16, bf16)
    KERNEL_WEIGHTS(Q4_0, q4_0)
    KERNEL_WEIGHTS(Q4_1, q4_1)
    KERNEL_WEIGHTS(Q5_0, q5_0)
    KERNEL_WEIGHTS(Q5_1, q5_1)
    KERNEL_WEIGHTS(Q8_0, q8_0)
    KERNEL_WEIGHTS(Q2_K, q2_k)
    KERNEL_WEIGHTS(Q3_K, q3_k)
    KERNEL_WEIGHTS(Q4_K, q4_k)
    KERNEL_WEIGHTS(Q5_K, q5_k)
    KERNEL_WEIGHTS(Q6_K, q6_k)
    KERNEL_WEIGHTS(IQ1_S, iq1_s)
    KERNEL_WEIGHTS(IQ1_M, iq1_m)
    KERNEL_WEIGHTS(IQ2_XXS, iq2_xxs)
    KERNEL_WEIGHTS(IQ2_XS, iq2_xs)
    KERNEL_WEIGHTS(IQ2_S, iq2_s)
    KERNEL_WEIGHTS(IQ3_XXS, iq3_xxs)
    KERNEL_WEIGHTS(IQ3_S, iq3_s)
    KERNEL_WEIGHTS(IQ4_NL, iq4_nl)
    KERNEL_WEIGHTS(IQ4_XS, iq4_xs)
    KERNEL_WEIGHTS(TQ1_0, tq1_0)
    KERNEL_WEIGHTS(TQ2_0, tq2_0)
    KERNEL_WEIGHTS(MXFP4, mxfp4)
    KERNEL_WEIGHTS(NVFP4, nvfp4)
    KERNEL_WEIGHTS(Q1_0, q1_0)
    KERNEL_WEIGHTS(Q2_0, q2_0)
#undef KERNEL_WEIGHTS
    return true;
}
