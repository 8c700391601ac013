/* Types for sets of instructions with registers of 128 bits (body/fours.inc, body/i8_fours.inc). */
#ifndef SPRAT__FOURS_H
#define SPRAT__FOURS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__aarch64__) || defined(__wasm__)
typedef float sprat__four_f32 __attribute__((vector_size(16)));
typedef int32_t sprat__four_i32 __attribute__((vector_size(16)));
typedef uint32_t sprat__four_u32 __attribute__((vector_size(16)));
typedef int16_t sprat__four_i16 __attribute__((vector_size(8)));
typedef int8_t sprat__four_i8 __attribute__((vector_size(4)));
typedef uint8_t sprat__four_u8 __attribute__((vector_size(4)));
typedef int16_t sprat__eight_i16 __attribute__((vector_size(16)));
typedef uint8_t sprat__eight_u8 __attribute__((vector_size(8)));
#endif

#endif
