/* Owns the products of numerics INT8 for NEON with dot products of bytes: 4 rows to a register,
 * four products added to 32 bits at once. The instruction stands as such: a header that knows it
 * asks for a file compiled for it as a whole. The loops are kernel/i8_body.inc. */
#include "kernel/arm/arm.h"
#include "kernel/fours.h"
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/unroll.h"

#if defined(__aarch64__) && SPRAT__I8_SETS
#include <arm_neon.h>
#include <string.h>

#define I8(name)    i8_##name##_dotprod
#define I8_MARK     SPRAT__DOTPROD
#define I8_INLINE   inline __attribute__((always_inline)) SPRAT__DOTPROD
#define I8_COLUMNS  6
#define I8_BY_LANES 1
#define I8_FEW(row) sprat__matmul_i8_##row##_scalar

static I8_INLINE sprat__four_i32 I8(dot)(sprat__four_i32 sum, sprat__four_i32 w, sprat__four_i32 a)
{
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(w), "w"(a));
    return sum;
}

/* lane: a constant. */
static I8_INLINE sprat__four_i32 I8(dot_lane)(sprat__four_i32 sum, sprat__four_i32 w,
                                              sprat__four_i32 a, unsigned lane)
{
    switch (lane) {
    case 0:
        __asm__("sdot %0.4s, %1.16b, %2.4b[0]" : "+w"(sum) : "w"(w), "w"(a));
        break;
    case 1:
        __asm__("sdot %0.4s, %1.16b, %2.4b[1]" : "+w"(sum) : "w"(w), "w"(a));
        break;
    case 2:
        __asm__("sdot %0.4s, %1.16b, %2.4b[2]" : "+w"(sum) : "w"(w), "w"(a));
        break;
    default:
        __asm__("sdot %0.4s, %1.16b, %2.4b[3]" : "+w"(sum) : "w"(w), "w"(a));
        break;
    }
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

const struct sprat__kernels sprat__kernels_i8_dotprod = {I8_KERNELS};

#endif
