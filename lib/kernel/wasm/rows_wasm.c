/* Owns the vocabulary of WebAssembly's SIMD for the kernels on rows, on tiles of keys and on tiles
 * of products in binary32, whose bodies stand in lib/kernel/body: four vectors hold 16 lanes.
 * Halves are converted by the steps of kernel/half.h. */
#include "kernel/fours.h"
#include "kernel/half.h"
#include "kernel/scalar/rows.h"
#include "kernel/tiles.h"
#include "kernel/unroll.h"
#include "kernel/wasm/wasm.h"

#include <string.h>

#if defined(__wasm__)
#include <wasm_simd128.h>

#define VEC_MARK       SPRAT__WASM
#define VEC_NAME(name) name##_wasm
#define VEC_TABLE      sprat__kernels_rows_wasm
#define VEC_QUERIES    2
#define VEC_WIDTH      4
#define VEC_HAS_HALF   0

static inline SPRAT__WASM __attribute__((always_inline)) sprat__four_i32
four_nearest_wasm(sprat__four_f32 v)
{
    return (sprat__four_i32)wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest((v128_t)v));
}

static inline SPRAT__WASM __attribute__((always_inline)) sprat__four_f32
four_halves_wasm(const uint16_t *p)
{
    return sprat__halves_wasm((sprat__four_u32)wasm_u32x4_load16x4(p));
}

static inline SPRAT__WASM __attribute__((always_inline)) void
four_put_halves_wasm(uint16_t *p, sprat__four_f32 v)
{
    sprat__four_u32 all = (sprat__four_u32)v, sign = all >> 16 & 0x8000;
    sprat__four_u32 bits = all & 0x7fffffffu;
    sprat__four_u32 normal = bits + 0xfff + (bits >> 13 & 1);
    normal = (normal >> 13) - (112u << 10);
    /* Below 2^-14: a sum with 0.5 leaves a multiple of 2^-24 in the low bits, rounded. */
    sprat__four_u32 tiny = (sprat__four_u32)((sprat__four_f32)bits + 0.5f) - 0x3f000000u;
    sprat__four_u32 is_tiny = (sprat__four_u32)(bits < 0x38800000u);
    sprat__four_u32 half = (is_tiny & tiny) | (~is_tiny & normal);
    /* 2^16 and above, infinity; NaN keeps its upper payload. */
    sprat__four_u32 is_nan = (sprat__four_u32)(bits > 0x7f800000u);
    sprat__four_u32 special = (is_nan & ((bits >> 13 & 0x3ff) | 0x200)) | 0x7c00;
    sprat__four_u32 is_special = (sprat__four_u32)(bits >= 0x47800000u);
    half = sign | (is_special & special) | (~is_special & half);
    wasm_v128_store64_lane(p, wasm_u16x8_narrow_i32x4((v128_t)half, (v128_t)half), 0);
}

#include "kernel/body/fours.inc"
#include "kernel/body/basics.inc"
#include "kernel/body/rows.inc"
#include "kernel/body/keys.inc"
#include "kernel/body/table.inc"
#include "kernel/body/tile.inc"

const struct sprat__kernels sprat__kernels_tiles_wasm = {.matmul_f32 = matmul_f32_wasm};

#endif
