/* Owns the vocabulary of NEON for the kernels on rows, on tiles of keys and on tiles of products in
 * binary32, whose bodies stand in lib/kernel/body: four registers hold 16 lanes. Every product is
 * rounded, then added: contraction is off for every build (doc/kernels.md). */
#include "kernel/arm/arm.h"
#include "kernel/fours.h"
#include "kernel/half.h"
#include "kernel/scalar/rows.h"
#include "kernel/tiles.h"
#include "kernel/unroll.h"

#include <string.h>

#if defined(__aarch64__)
#include <arm_neon.h>

#define VEC_MARK       SPRAT__NEON
#define VEC_NAME(name) name##_neon
#define VEC_TABLE      sprat__kernels_rows_neon
#define VEC_QUERIES    4
#define VEC_WIDTH      4
#define VEC_HAS_HALF   1

static inline __attribute__((always_inline)) sprat__four_i32 four_nearest_neon(sprat__four_f32 v)
{
    return (sprat__four_i32)vcvtnq_s32_f32((float32x4_t)v);
}

static inline __attribute__((always_inline)) sprat__four_f32 four_halves_neon(const uint16_t *p)
{
    return (sprat__four_f32)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline __attribute__((always_inline)) void four_put_halves_neon(uint16_t *p,
                                                                       sprat__four_f32 v)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v)));
}

#include "kernel/body/fours.inc"
#include "kernel/body/basics.inc"
#include "kernel/body/rows.inc"
#include "kernel/body/keys.inc"
#include "kernel/body/table.inc"
#include "kernel/body/tile.inc"

const struct sprat__kernels sprat__kernels_tiles_neon = {.matmul_f32 = matmul_f32_neon};

#endif
