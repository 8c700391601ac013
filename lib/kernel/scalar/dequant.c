/* Owns the unpacking of plain types and of the types with blocks of 32 to 128 elements, and of the
 * ternary ones; dequant_k.c and dequant_iq.c have the others. Invariant: each element is the value
 * of its type's formula (doc/formats.md) in binary32, one rounding per product and per sum, for
 * blocks at any address. In the small blocks element j shares a byte with element j + half. */
#include "kernel/kernel.h"

#include "base/cursor.h"
#include "kernel/half.h"

/* The binary16 number at p. */
static inline float dequant_half_at(const uint8_t *p)
{
    return sprat__half_to_float(sprat__le16(p));
}

void sprat__dequant_f32_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++)
        y[i] = sprat__lef32(p + 4 * i);
}

void sprat__dequant_f16_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++)
        y[i] = dequant_half_at(p + 2 * i);
}

void sprat__dequant_bf16_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++)
        y[i] = sprat__bf16_to_float(sprat__le16(p + 2 * i));
}

/* d; 16 bytes of two 4-bit numbers, from -8 */
void sprat__dequant_q4_0_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 18, y += 32) {
        float d = dequant_half_at(b);
        for (int j = 0; j < 16; j++) {
            y[j] = (float)((b[2 + j] & 15) - 8) * d;
            y[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
        }
    }
}

/* d, m; 16 bytes of two 4-bit numbers */
void sprat__dequant_q4_1_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 20, y += 32) {
        float d = dequant_half_at(b), m = dequant_half_at(b + 2);
        for (int j = 0; j < 16; j++) {
            float low = (float)(b[4 + j] & 15) * d, high = (float)(b[4 + j] >> 4) * d;
            y[j] = low + m;
            y[j + 16] = high + m;
        }
    }
}

/* d; 32 fifth bits; 16 bytes of two 4-bit numbers, from -16 */
void sprat__dequant_q5_0_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 22, y += 32) {
        float d = dequant_half_at(b);
        uint32_t fifth = sprat__le32(b + 2);
        for (int j = 0; j < 16; j++) {
            int low = (b[6 + j] & 15) | (int)(fifth >> j << 4 & 16);
            int high = (b[6 + j] >> 4) | (int)(fifth >> (j + 12) & 16);
            y[j] = (float)(low - 16) * d;
            y[j + 16] = (float)(high - 16) * d;
        }
    }
}

/* d, m; 32 fifth bits; 16 bytes of two 4-bit numbers */
void sprat__dequant_q5_1_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 24, y += 32) {
        float d = dequant_half_at(b), m = dequant_half_at(b + 2);
        uint32_t fifth = sprat__le32(b + 4);
        for (int j = 0; j < 16; j++) {
            int low = (b[8 + j] & 15) | (int)(fifth >> j << 4 & 16);
            int high = (b[8 + j] >> 4) | (int)(fifth >> (j + 12) & 16);
            float low_d = (float)low * d, high_d = (float)high * d;
            y[j] = low_d + m;
            y[j + 16] = high_d + m;
        }
    }
}

/* d; 32 signed bytes */
void sprat__dequant_q8_0_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 34, y += 32) {
        float d = dequant_half_at(b);
        for (int j = 0; j < 32; j++)
            y[j] = (float)(int8_t)b[2 + j] * d;
    }
}

/* Twice the values of a 4-bit float (1 sign, 2 exponent, 1 fraction bit); scales are halved for it.
 */
static const float dequant_fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* An exponent; 16 bytes of two 4-bit floats */
void sprat__dequant_mxfp4_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 17, y += 32) {
        /* 2^(e - 128): half of the scale, below 2^-126 a subnormal. */
        uint32_t e = b[0];
        float d = sprat__float_of_bits(e < 2 ? 0x00200000u << e : (e - 1) << 23);
        for (int j = 0; j < 16; j++) {
            y[j] = dequant_fp4[b[1 + j] & 15] * d;
            y[j + 16] = dequant_fp4[b[1 + j] >> 4] * d;
        }
    }
}

/* Half the value of an unsigned float of 4 exponent and 3 fraction bits. 0x7f counts as 0. */
static inline float dequant_half_ue4m3(uint8_t code)
{
    uint32_t e = code >> 3 & 15u, m = code & 7u;
    if ((code & 0x7f) == 0x7f)
        return 0.0f;
    if (e == 0)
        return (float)m * (1.0f / 1024.0f);
    return sprat__float_of_bits((e + 119) << 23 | m << 20);
}

/* 4 scales; 4 runs of 8 bytes of two 4-bit floats */
void sprat__dequant_nvfp4_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 64, b += 36) {
        for (int s = 0; s < 4; s++, y += 16) {
            float d = dequant_half_ue4m3(b[s]);
            const uint8_t *q = b + 4 + 8 * s;
            for (int j = 0; j < 8; j++) {
                y[j] = dequant_fp4[q[j] & 15] * d;
                y[j + 8] = dequant_fp4[q[j] >> 4] * d;
            }
        }
    }
}

/* d; 128 bits: +d or -d */
void sprat__dequant_q1_0_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 128, b += 18, y += 128) {
        float d = dequant_half_at(b);
        for (int j = 0; j < 128; j++)
            y[j] = (b[2 + j / 8] >> (j % 8) & 1) ? d : -d;
    }
}

/* d; 16 bytes of four 2-bit numbers in sequence, from -1 */
void sprat__dequant_q2_0_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 64, b += 18, y += 64) {
        float d = dequant_half_at(b);
        for (int j = 0; j < 64; j++)
            y[j] = (float)((b[2 + j / 4] >> (2 * (j % 4)) & 3) - 1) * d;
    }
}

/* Ternary digit: the byte is a fraction of 256 in base 3, times 3^k gives its digit k on top. */
static inline float dequant_trit(uint8_t byte, int power)
{
    uint8_t shifted = (uint8_t)(byte * power);
    return (float)((shifted * 3 >> 8) - 1);
}

/* 48 bytes of five ternary digits, 4 bytes of four; d */
void sprat__dequant_tq1_0_scalar(float *y, const void *x, size_t n)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 54, y += 256) {
        float d = dequant_half_at(b + 52);
        for (int k = 0; k < 5; k++) {
            for (int j = 0; j < 32; j++)
                y[32 * k + j] = dequant_trit(b[j], powers[k]) * d;
            for (int j = 0; j < 16; j++)
                y[160 + 16 * k + j] = dequant_trit(b[32 + j], powers[k]) * d;
        }
        for (int k = 0; k < 4; k++)
            for (int j = 0; j < 4; j++)
                y[240 + 4 * k + j] = dequant_trit(b[48 + j], powers[k]) * d;
    }
}

/* 64 bytes of four 2-bit numbers, from -1; d */
void sprat__dequant_tq2_0_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 66, y += 256) {
        float d = dequant_half_at(b + 64);
        for (int h = 0; h < 2; h++)
            for (int k = 0; k < 4; k++)
                for (int j = 0; j < 32; j++)
                    y[128 * h + 32 * k + j] = (float)((b[32 * h + j] >> 2 * k & 3) - 1) * d;
    }
}
