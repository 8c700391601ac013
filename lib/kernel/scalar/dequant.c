/* Owns the unpacking of plain types and of the types with blocks of 32 to 128 elements, and of the
 * ternary ones; dequant_k.c and dequant_iq.c have the others. Invariant: each element is the value
 * of its type's formula (doc/formats.md) in binary32, one rounding per product and per sum, for
 * blocks at any address. In the small blocks element j shares a byte with element j + half. */
#include "kernel/kernel.h"

#include "kernel/scalar/blocks.h"

void sprat__dequant_f32_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++)
        y[i] = sprat__lef32(p + 4 * i);
}

void sprat__dequant_f16_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++)
        y[i] = sprat__blocks_half(p + 2 * i);
}

void sprat__dequant_bf16_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++)
        y[i] = sprat__bf16_to_float(sprat__le16(p + 2 * i));
}

/* d; 16 bytes of two 4-bit numbers, from -8 */
void sprat__dequant_q4_0_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 18, y += 32) {
        float d = sprat__blocks_half(b);
        for (int j = 0; j < 16; j++) {
            y[j] = (float)((b[2 + j] & 15) - 8) * d;
            y[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
        }
    }
}

/* d, m; 16 bytes of two 4-bit numbers */
void sprat__dequant_q4_1_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 20, y += 32) {
        float d = sprat__blocks_half(b), m = sprat__blocks_half(b + 2);
        for (int j = 0; j < 16; j++) {
            float low = (float)(b[4 + j] & 15) * d, high = (float)(b[4 + j] >> 4) * d;
            y[j] = low + m;
            y[j + 16] = high + m;
        }
    }
}

/* d; 32 fifth bits; 16 bytes of two 4-bit numbers, from -16 */
void sprat__dequant_q5_0_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 22, y += 32) {
        float d = sprat__blocks_half(b);
        uint32_t fifth = sprat__le32(b + 2);
        for (int j = 0; j < 16; j++) {
            int low = sprat__blocks_q5_low(b + 6, fifth, j);
            int high = sprat__blocks_q5_high(b + 6, fifth, j);
            y[j] = (float)(low - 16) * d;
            y[j + 16] = (float)(high - 16) * d;
        }
    }
}

/* d, m; 32 fifth bits; 16 bytes of two 4-bit numbers */
void sprat__dequant_q5_1_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 24, y += 32) {
        float d = sprat__blocks_half(b), m = sprat__blocks_half(b + 2);
        uint32_t fifth = sprat__le32(b + 4);
        for (int j = 0; j < 16; j++) {
            int low = sprat__blocks_q5_low(b + 8, fifth, j);
            int high = sprat__blocks_q5_high(b + 8, fifth, j);
            float low_d = (float)low * d, high_d = (float)high * d;
            y[j] = low_d + m;
            y[j + 16] = high_d + m;
        }
    }
}

/* d; 32 signed bytes */
void sprat__dequant_q8_0_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 34, y += 32) {
        float d = sprat__blocks_half(b);
        for (int j = 0; j < 32; j++)
            y[j] = (float)(int8_t)b[2 + j] * d;
    }
}

static const float dequant_fp4[16] = {SPRAT__BLOCKS_FP4_VALUES};

/* An exponent; 16 bytes of two 4-bit floats */
void sprat__dequant_mxfp4_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 17, y += 32) {
        float d = sprat__blocks_mxfp4_scale(b);
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
void sprat__dequant_nvfp4_scalar(float *restrict y, const void *restrict x, size_t n)
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
void sprat__dequant_q1_0_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 128, b += 18, y += 128) {
        float d = sprat__blocks_half(b);
        for (int k = 0; k < 16; k++)
            for (int l = 0; l < 8; l++)
                y[8 * k + l] = sprat__blocks_q1_0(b, k, l) ? d : -d;
    }
}

/* d; 16 bytes of four 2-bit numbers in sequence, from -1 */
void sprat__dequant_q2_0_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 64, b += 18, y += 64) {
        float d = sprat__blocks_half(b);
        for (int k = 0; k < 16; k++)
            for (int l = 0; l < 4; l++)
                y[4 * k + l] = (float)sprat__blocks_q2_0(b, k, l) * d;
    }
}

/* 48 bytes of five ternary digits, 4 bytes of four; d */
void sprat__dequant_tq1_0_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 54, y += 256) {
        float d = sprat__blocks_half(b + 52);
        int8_t digits[256];
        sprat__blocks_tq1_0(digits, b);
        for (int j = 0; j < 256; j++)
            y[j] = (float)digits[j] * d;
    }
}

/* 64 bytes of four 2-bit numbers, from -1; d */
void sprat__dequant_tq2_0_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 66, y += 256) {
        float d = sprat__blocks_half(b + 64);
        for (int k = 0; k < 8; k++)
            for (int j = 0; j < 32; j++)
                y[32 * k + j] = (float)sprat__blocks_tq2_0(b, k, j) * d;
    }
}
