/* Owns the products of numerics INT8 for WebAssembly's SIMD: 4 rows to a vector; even and odd bytes
 * become 16 bits, whose products are added to 32 in pairs. The loops are kernel/i8_body.inc. */
#include "kernel/fours.h"
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/unroll.h"
#include "kernel/wasm/wasm.h"

#if defined(__wasm__) && SPRAT__I8_SETS
#include <string.h>
#include <wasm_simd128.h>

#define I8(name)    i8_##name##_wasm
#define I8_MARK     SPRAT__WASM
#define I8_INLINE   inline __attribute__((always_inline)) SPRAT__WASM
#define I8_COLUMNS  4
#define I8_FEW(row) sprat__matmul_i8_##row##_scalar

static I8_INLINE sprat__four_i32 I8(dot)(sprat__four_i32 sum, sprat__four_i32 w, sprat__four_i32 a)
{
    v128_t even = wasm_i32x4_dot_i16x8(wasm_i16x8_shr(wasm_i16x8_shl((v128_t)w, 8), 8),
                                       wasm_i16x8_shr(wasm_i16x8_shl((v128_t)a, 8), 8));
    v128_t odd = wasm_i32x4_dot_i16x8(wasm_i16x8_shr((v128_t)w, 8), wasm_i16x8_shr((v128_t)a, 8));
    return sum + (sprat__four_i32)wasm_i32x4_add(even, odd);
}

static I8_INLINE sprat__four_i32 I8(lookup)(sprat__four_i32 table, sprat__four_i32 v)
{
    return (sprat__four_i32)wasm_i8x16_swizzle((v128_t)table, (v128_t)v);
}

static I8_INLINE sprat__four_f32 I8(halves)(sprat__four_i32 v)
{
    return sprat__halves_wasm((sprat__four_u32)v);
}

#include "kernel/body/i8_fours.inc"

#include "kernel/i8_body.inc"

const struct sprat__kernels sprat__kernels_i8_wasm = {I8_KERNELS};

#endif
