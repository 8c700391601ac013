/* WebAssembly's SIMD: how functions are marked that use it, their tables, and what they share. A
 * module asks for SIMD as a whole: with these functions it loads on engines that have it only. */
#ifndef SPRAT__WASM_H
#define SPRAT__WASM_H

#include "kernel/fours.h"
#include "kernel/kernel.h"

#if defined(__wasm__)
#define SPRAT__WASM __attribute__((target("simd128")))

extern const struct sprat__kernels sprat__kernels_rows_wasm, sprat__kernels_tiles_wasm;
extern const struct sprat__kernels sprat__kernels_i8_wasm;

/* Halves in the lower 16 bits of the lanes, by the steps of kernel/half.h. */
static inline SPRAT__WASM __attribute__((always_inline)) sprat__four_f32
sprat__halves_wasm(sprat__four_u32 half)
{
    sprat__four_u32 sign = (half & 0x8000) << 16, magnitude = (half & 0x7fff) << 13;
    sprat__four_u32 bits = magnitude + (112u << 23);
    /* Subnormal: 2^-14 · (1 + m/1024) - 2^-14. */
    sprat__four_f32 tiny = (sprat__four_f32)(bits + (1u << 23)) - 0x1p-14f;
    sprat__four_u32 is_tiny = (sprat__four_u32)(magnitude < 0x00800000u);
    bits = (is_tiny & (sprat__four_u32)tiny) | (~is_tiny & bits);
    /* Infinity; a NaN besides becomes quiet. */
    bits += (sprat__four_u32)(magnitude >= 0x0f800000u) & (112u << 23);
    bits |= (sprat__four_u32)(magnitude > 0x0f800000u) & 0x00400000u;
    return (sprat__four_f32)(bits | sign);
}
#endif

#endif
