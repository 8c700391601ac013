/* Owns the products of numerics INT8 for NEON as every AArch64 processor has it: 4 rows to a
 * register; products of bytes in 16 bits, two of them added there, pairs of pairs into 32. The
 * loops are kernel/i8_body.inc. */
#include "kernel/arm/arm.h"
#include "kernel/fours.h"
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/unroll.h"

#if defined(__aarch64__) && SPRAT__I8_SETS
#include <arm_neon.h>
#include <string.h>

#define I8(name)    i8_##name##_neon
#define I8_MARK     SPRAT__NEON
#define I8_INLINE   inline __attribute__((always_inline)) SPRAT__NEON
#define I8_COLUMNS  4
#define I8_FEW(row) sprat__matmul_i8_##row##_scalar

/* Two products are at most 2 · 128 · 127 < 2^15. */
static I8_INLINE sprat__four_i32 I8(dot)(sprat__four_i32 sum, sprat__four_i32 w, sprat__four_i32 a)
{
    int16x8_t low = vmull_s8(vget_low_s8((int8x16_t)w), vget_low_s8((int8x16_t)a));
    int16x8_t high = vmull_high_s8((int8x16_t)w, (int8x16_t)a);
    return (sprat__four_i32)vpadalq_s16((int32x4_t)sum, vpaddq_s16(low, high));
}

static I8_INLINE sprat__four_i32 I8(lookup)(sprat__four_i32 table, sprat__four_i32 v)
{
    return (sprat__four_i32)vqtbl1q_s8((int8x16_t)table, (uint8x16_t)v);
}

static I8_INLINE sprat__four_f32 I8(halves)(sprat__four_i32 v)
{
    return (sprat__four_f32)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)v)));
}

#include "kernel/body/i8_fours.inc"

#include "kernel/i8_body.inc"

const struct sprat__kernels sprat__kernels_i8_neon = {I8_KERNELS};

#endif
