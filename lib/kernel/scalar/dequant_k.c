/* Owns the unpacking of the K types: 256 elements in sub-blocks of 16 or 32, whose scales (and
 * minima) are small integers times one binary16 number. Invariant: as dequant.c. */
#include "kernel/kernel.h"

#include "kernel/scalar/blocks.h"

/* 16 bytes of scale (low) and minimum (high); 64 bytes of four 2-bit numbers; d, dmin */
void sprat__dequant_q2_k_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 84, y += 256) {
        float d = sprat__blocks_half(b + 80), dmin = sprat__blocks_half(b + 82);
        for (int k = 0; k < 16; k++) {
            float scale = d * (float)(b[k] & 15), least = dmin * (float)(b[k] >> 4);
            for (int j = 0; j < 16; j++) {
                float product = scale * (float)sprat__blocks_q2_k(b, k, j);
                y[16 * k + j] = product - least;
            }
        }
    }
}

/* 32 bytes of third bits; 64 bytes of four 2-bit numbers; sixteen 6-bit scales from -32; d */
void sprat__dequant_q3_k_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 110, y += 256) {
        float d = sprat__blocks_half(b + 108);
        for (int k = 0; k < 16; k++) {
            float ds = d * (float)sprat__blocks_q3_k_scale(b, k);
            for (int j = 0; j < 16; j++)
                y[16 * k + j] = ds * (float)sprat__blocks_q3_k(b, k, j);
        }
    }
}

/* d, dmin; eight scales and minima; 4 runs of 32 bytes: 32 low, 32 high 4-bit numbers */
void sprat__dequant_q4_k_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 144, y += 256) {
        float d = sprat__blocks_half(b), dmin = sprat__blocks_half(b + 2);
        for (int k = 0; k < 8; k++) {
            int scale, least;
            sprat__blocks_k_scale(b, k, &scale, &least);
            float ds = d * (float)scale, dm = dmin * (float)least;
            for (int j = 0; j < 32; j++) {
                float product = ds * (float)sprat__blocks_q4_k(b, k, j);
                y[32 * k + j] = product - dm;
            }
        }
    }
}

/* As q4_k, with 32 bytes of fifth bits, bit k for sub-block k */
void sprat__dequant_q5_k_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 176, y += 256) {
        float d = sprat__blocks_half(b), dmin = sprat__blocks_half(b + 2);
        for (int k = 0; k < 8; k++) {
            int scale, least;
            sprat__blocks_k_scale(b, k, &scale, &least);
            float ds = d * (float)scale, dm = dmin * (float)least;
            for (int j = 0; j < 32; j++) {
                float product = ds * (float)sprat__blocks_q5_k(b, k, j);
                y[32 * k + j] = product - dm;
            }
        }
    }
}

/* 128 bytes of two low 4 bits; 64 bytes of four high 2 bits; sixteen signed scales; d */
void sprat__dequant_q6_k_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 210, y += 256) {
        float d = sprat__blocks_half(b + 208);
        for (int k = 0; k < 16; k++) {
            float ds = d * (float)(int8_t)b[192 + k];
            for (int j = 0; j < 16; j++)
                y[16 * k + j] = ds * (float)sprat__blocks_q6_k(b, k, j);
        }
    }
}
