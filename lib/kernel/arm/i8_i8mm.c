/* Owns the products of numerics INT8 for NEON with 8-bit matrix products: chunks by pairs of rows
 * and pairs of columns. Few rows and single columns are those of the set with dot products, which
 * every processor with this one has. The instruction stands as such, as in i8_dotprod.c. The loops
 * are kernel/i8_body.inc. */
#include "kernel/arm/arm.h"
#include "kernel/fours.h"
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/unroll.h"

#if defined(__aarch64__) && SPRAT__I8_SETS
#include <arm_neon.h>
#include <string.h>

#define I8(name)    i8_##name##_i8mm
#define I8_MARK     SPRAT__I8MM
#define I8_INLINE   inline __attribute__((always_inline)) SPRAT__I8MM
#define I8_COLUMNS  6
#define I8_PAIRS    1
#define I8_FEW(row) sprat__kernels_i8_dotprod.matmul_i8_##row

static I8_INLINE sprat__four_i32 I8(mmla)(sprat__four_i32 sum, sprat__four_i32 w, sprat__four_i32 a)
{
    __asm__("smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(w), "w"(a));
    return sum;
}

static I8_INLINE sprat__four_i32 I8(dot)(sprat__four_i32 sum, sprat__four_i32 w, sprat__four_i32 a)
{
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(w), "w"(a));
    return sum;
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

const struct sprat__kernels sprat__kernels_i8_i8mm = {I8_KERNELS};

#endif
