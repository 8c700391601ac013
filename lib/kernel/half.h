/* 16-bit floats to binary32 and back, in integer arithmetic but for one exact step: the same bits
 * on every system. Subnormals are kept; a NaN keeps its sign and its upper payload bits and becomes
 * quiet, as the conversion instructions of x86 and ARM do it. doc/numerics.md. */
#ifndef SPRAT__HALF_H
#define SPRAT__HALF_H

#include <stdint.h>
#include <string.h>

static inline float sprat__float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t sprat__bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float sprat__half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = (uint32_t)(half & 0x7fffu) << 13;
    uint32_t exponent = magnitude & 0x0f800000u;
    uint32_t bits = magnitude + (112u << 23);
    if (exponent == 0x0f800000u) {
        bits += 112u << 23;
        if (magnitude != 0x0f800000u)
            bits |= 0x00400000u;
    } else if (exponent == 0) {
        /* 2^-14 · (1 + m/1024) - 2^-14: exact, as both have the same exponent. */
        bits = sprat__bits_of_float(sprat__float_of_bits(bits + (1u << 23)) -
                                    sprat__float_of_bits(113u << 23));
    }
    return sprat__float_of_bits(bits | sign);
}

/* Rounds to nearest, ties to even. */
static inline uint16_t sprat__float_to_half(float value)
{
    uint32_t bits = sprat__bits_of_float(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits >= 0x47800000u) { /* 2^16 and above, infinity, NaN */
        if (bits > 0x7f800000u)
            return (uint16_t)(sign | 0x7e00u | (bits >> 13 & 0x3ffu));
        return (uint16_t)(sign | 0x7c00u);
    }
    if (bits < 0x38800000u) {
        /* Below 2^-14: a sum with 0.5 leaves a multiple of 2^-24 in the low bits, rounded. */
        float sum = sprat__float_of_bits(bits) + 0.5f;
        return (uint16_t)(sign | (sprat__bits_of_float(sum) - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return (uint16_t)(sign | ((bits >> 13) - (112u << 10)));
}

static inline float sprat__bf16_to_float(uint16_t bits)
{
    return sprat__float_of_bits((uint32_t)bits << 16);
}

#endif
