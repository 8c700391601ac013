/* Owns the unpacking of the K types: 256 elements in sub-blocks of 16 or 32, whose scales (and
 * minima) are small integers times one binary16 number. Invariant: as dequant.c. */
#include "kernel/kernel.h"

#include "base/cursor.h"
#include "kernel/half.h"

static inline float dequant_k_half_at(const uint8_t *p)
{
    return sprat__half_to_float(sprat__le16(p));
}

/* 16 bytes of scale (low) and minimum (high); 64 bytes of four 2-bit numbers; d, dmin */
void sprat__dequant_q2_k_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 84, y += 256) {
        float d = dequant_k_half_at(b + 80), dmin = dequant_k_half_at(b + 82);
        for (int k = 0; k < 16; k++) {
            /* Sub-block k: half k/8, bit plane k/2 % 4, group k % 2. */
            const uint8_t *q = b + 16 + 32 * (k / 8) + 16 * (k % 2);
            float scale = d * (float)(b[k] & 15), least = dmin * (float)(b[k] >> 4);
            for (int j = 0; j < 16; j++) {
                float product = scale * (float)(q[j] >> (k & 6) & 3);
                y[16 * k + j] = product - least;
            }
        }
    }
}

/* 32 bytes of third bits; 64 bytes of four 2-bit numbers; sixteen 6-bit scales from -32; d */
void sprat__dequant_q3_k_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 110, y += 256) {
        float d = dequant_k_half_at(b + 108);
        const uint8_t *s = b + 96;
        for (int k = 0; k < 16; k++) {
            const uint8_t *q = b + 32 + 32 * (k / 8) + 16 * (k % 2);
            const uint8_t *third = b + 16 * (k % 2);
            int low = k < 8 ? s[k] & 15 : s[k - 8] >> 4;
            int scale = (low | (s[8 + k % 4] >> (2 * (k / 4)) & 3) << 4) - 32;
            float ds = d * (float)scale;
            for (int j = 0; j < 16; j++) {
                int bits = (q[j] >> (k & 6) & 3) | (third[j] >> (k / 2) & 1) << 2;
                y[16 * k + j] = ds * (float)(bits - 4);
            }
        }
    }
}

/* The 6-bit scale and minimum of sub-block k of eight, packed in 12 bytes. */
static inline void dequant_k_scale(const uint8_t *s, int k, int *scale, int *least)
{
    if (k < 4) {
        *scale = s[k] & 63;
        *least = s[k + 4] & 63;
    } else {
        *scale = (s[k + 4] & 15) | s[k - 4] >> 6 << 4;
        *least = s[k + 4] >> 4 | s[k] >> 6 << 4;
    }
}

/* d, dmin; eight scales and minima; 4 runs of 32 bytes: 32 low, 32 high 4-bit numbers */
void sprat__dequant_q4_k_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 144, y += 256) {
        float d = dequant_k_half_at(b), dmin = dequant_k_half_at(b + 2);
        for (int k = 0; k < 8; k++) {
            const uint8_t *q = b + 16 + 32 * (k / 2);
            int scale, least, shift = 4 * (k % 2);
            dequant_k_scale(b + 4, k, &scale, &least);
            float ds = d * (float)scale, dm = dmin * (float)least;
            for (int j = 0; j < 32; j++) {
                float product = ds * (float)(q[j] >> shift & 15);
                y[32 * k + j] = product - dm;
            }
        }
    }
}

/* As q4_k, with 32 bytes of fifth bits, bit k for sub-block k */
void sprat__dequant_q5_k_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 176, y += 256) {
        float d = dequant_k_half_at(b), dmin = dequant_k_half_at(b + 2);
        const uint8_t *fifth = b + 16;
        for (int k = 0; k < 8; k++) {
            const uint8_t *q = b + 48 + 32 * (k / 2);
            int scale, least, shift = 4 * (k % 2);
            dequant_k_scale(b + 4, k, &scale, &least);
            float ds = d * (float)scale, dm = dmin * (float)least;
            for (int j = 0; j < 32; j++) {
                float product = ds * (float)((q[j] >> shift & 15) | (fifth[j] >> k & 1) << 4);
                y[32 * k + j] = product - dm;
            }
        }
    }
}

/* 128 bytes of two low 4 bits; 64 bytes of four high 2 bits; sixteen signed scales; d */
void sprat__dequant_q6_k_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 210, y += 256) {
        float d = dequant_k_half_at(b + 208);
        for (int k = 0; k < 16; k++) {
            /* Runs of 32 within a half of 128: 0 and 1 low, 2 and 3 high nibbles. */
            int half = k / 8, run = k / 2 % 4, group = 16 * (k % 2);
            const uint8_t *low = b + 64 * half + 32 * (run % 2) + group;
            const uint8_t *high = b + 128 + 32 * half + group;
            float ds = d * (float)(int8_t)b[192 + k];
            for (int j = 0; j < 16; j++) {
                int bits = (low[j] >> (4 * (run / 2)) & 15) | (high[j] >> (2 * run) & 3) << 4;
                y[16 * k + j] = ds * (float)(bits - 32);
            }
        }
    }
}
