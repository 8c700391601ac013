/* Owns the unpacking of the IQ types: groups of 8 (or 4) elements are picked from a code book, with
 * signs and a scale per 32 or 16. Invariant: as dequant.c; every index is masked to its book's size
 * by the width of its bits, so that no block can reach outside. */
#include "kernel/kernel.h"

#include "base/cursor.h"
#include "kernel/half.h"
#include "kernel/scalar/iq_grids.h"

static const float dequant_iq2_values[4] = {8, 25, 43, 0};
static const float dequant_iq3_values[8] = {4, 12, 20, 28, 36, 44, 52, 62};
static const float dequant_iq1_values[4] = {-1, 0, 1, 0};
static const float dequant_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                             1,    13,   25,  38,  53,  69,  89,  113};

static inline float dequant_iq_half_at(const uint8_t *p)
{
    return sprat__half_to_float(sprat__le16(p));
}

/* Eight signs from seven bits: the last makes the number of minus signs even. */
static inline uint32_t dequant_iq_signs(uint32_t seven)
{
    uint32_t parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return seven | (parity & 1) << 7;
}

/* value, or -value where bit j of signs is set. */
static inline float dequant_iq_signed(float value, uint32_t signs, int j)
{
    return sprat__float_of_bits(sprat__bits_of_float(value) ^ (signs >> j & 1) << 31);
}

/* Eight elements of a 2-bit book. */
static inline void dequant_iq2_group(float *y, float d, uint32_t packed, uint32_t signs)
{
    for (int j = 0; j < 8; j++)
        y[j] = dequant_iq_signed(d * dequant_iq2_values[packed >> 2 * j & 3], signs, j);
}

/* Four elements of a 3-bit book. */
static inline void dequant_iq3_four(float *y, float d, uint32_t packed, const float *values,
                                    uint32_t signs)
{
    for (int j = 0; j < 4; j++)
        y[j] = dequant_iq_signed(d * values[packed >> 3 * j & 7], signs, j);
}

/* Eight elements of the ternary book, all moved by delta. */
static inline void dequant_iq1_group(float *y, float d, uint32_t packed, float delta)
{
    for (int j = 0; j < 8; j++)
        y[j] = d * (dequant_iq1_values[packed >> 2 * j & 3] + delta);
}

/* d; 8 runs of 4 index bytes and a word: 4 × 7 signs, 4 bits of scale */
void sprat__dequant_iq2_xxs_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 66) {
        float d = dequant_iq_half_at(b);
        for (int k = 0; k < 8; k++) {
            const uint8_t *run = b + 2 + 8 * k;
            uint32_t word = sprat__le32(run + 4);
            float dk = d * (0.5f + (float)(word >> 28)) * 0.25f;
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq2_group(y, dk, sprat__grid_iq2xxs[run[l]],
                                  dequant_iq_signs(word >> 7 * l & 127));
        }
    }
}

/* d; 32 × (9 bits of index, 7 signs); 16 scales of 4 bits */
void sprat__dequant_iq2_xs_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 74) {
        float d = dequant_iq_half_at(b);
        for (int k = 0; k < 32; k++, y += 8) {
            uint32_t word = sprat__le16(b + 2 + 2 * k);
            int scale = b[66 + k / 4] >> (4 * (k / 2 % 2)) & 15;
            float dk = d * (0.5f + (float)scale) * 0.25f;
            dequant_iq2_group(y, dk, sprat__grid_iq2xs[word & 511], dequant_iq_signs(word >> 9));
        }
    }
}

/* d; 32 low index bytes; 32 sign bytes; 8 bytes of four high index bits; 16 scales of 4 bits */
void sprat__dequant_iq2_s_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 82) {
        float d = dequant_iq_half_at(b);
        for (int k = 0; k < 32; k++, y += 8) {
            int scale = b[74 + k / 4] >> (4 * (k / 2 % 2)) & 15;
            uint32_t high = (uint32_t)b[66 + k / 4] >> 2 * (k % 4) & 3;
            float dk = d * (0.5f + (float)scale) * 0.25f;
            dequant_iq2_group(y, dk, sprat__grid_iq2s[b[2 + k] | high << 8], b[34 + k]);
        }
    }
}

/* d; 64 index bytes; 8 words: 4 × 7 signs, 4 bits of scale */
void sprat__dequant_iq3_xxs_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 98) {
        float d = dequant_iq_half_at(b);
        for (int k = 0; k < 8; k++) {
            uint32_t word = sprat__le32(b + 66 + 4 * k);
            float dk = d * (0.5f + (float)(word >> 28)) * 0.5f;
            for (int l = 0; l < 4; l++, y += 8) {
                const uint8_t *q = b + 2 + 8 * k + 2 * l;
                uint32_t signs = dequant_iq_signs(word >> 7 * l & 127);
                dequant_iq3_four(y, dk, sprat__grid_iq3xxs[q[0]], dequant_iq3_values, signs);
                dequant_iq3_four(y + 4, dk, sprat__grid_iq3xxs[q[1]], dequant_iq3_values,
                                 signs >> 4);
            }
        }
    }
}

/* d; 64 low index bytes; 8 bytes of high index bits; 32 sign bytes; 8 scales of 4 bits */
void sprat__dequant_iq3_s_scalar(float *y, const void *x, size_t n)
{
    static const float values[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 110) {
        float d = dequant_iq_half_at(b);
        for (int k = 0; k < 8; k++) {
            int scale = b[106 + k / 2] >> (4 * (k % 2)) & 15;
            uint32_t high = b[66 + k];
            float dk = d * (float)(1 + 2 * scale);
            for (int l = 0; l < 4; l++, y += 8) {
                const uint8_t *q = b + 2 + 8 * k + 2 * l;
                uint32_t signs = b[74 + 4 * k + l], two = high >> 2 * l;
                dequant_iq3_four(y, dk, sprat__grid_iq3s[q[0] | (two & 1) << 8], values, signs);
                dequant_iq3_four(y + 4, dk, sprat__grid_iq3s[q[1] | (two & 2) << 7], values,
                                 signs >> 4);
            }
        }
    }
}

/* d; 32 low index bytes; 8 words: 4 × 3 high index bits, 3 bits of scale, sign of the shift */
void sprat__dequant_iq1_s_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 50) {
        float d = dequant_iq_half_at(b);
        for (int k = 0; k < 8; k++) {
            uint32_t word = sprat__le16(b + 34 + 2 * k);
            float dk = d * (float)(2 * (word >> 12 & 7) + 1);
            float delta = word & 0x8000 ? -0.125f : 0.125f;
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq1_group(
                    y, dk, sprat__grid_iq1s[b[2 + 4 * k + l] | (word >> 3 * l & 7) << 8], delta);
        }
    }
}

/* 32 low index bytes; 32 × (3 high index bits, sign of the shift); 4 words: 4 × 3 bits of scale,
 * and a quarter of d's bits on top of each */
void sprat__dequant_iq1_m_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 56) {
        uint32_t words[4], d_bits = 0;
        for (int k = 0; k < 4; k++) {
            words[k] = sprat__le16(b + 48 + 2 * k);
            d_bits |= words[k] >> 12 << 4 * k;
        }
        float d = sprat__half_to_float((uint16_t)d_bits);
        for (int k = 0; k < 32; k++, y += 8) {
            uint32_t high = (uint32_t)b[32 + k / 2] >> 4 * (k % 2) & 15;
            uint32_t scale = words[k / 8] >> (3 * (k / 2 % 4)) & 7;
            dequant_iq1_group(y, d * (float)(2 * scale + 1),
                              sprat__grid_iq1s[b[k] | (high & 7) << 8],
                              high & 8 ? -0.125f : 0.125f);
        }
    }
}

/* d; 16 bytes of two indices into sixteen uneven values */
void sprat__dequant_iq4_nl_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 18, y += 32) {
        float d = dequant_iq_half_at(b);
        for (int j = 0; j < 16; j++) {
            y[j] = d * dequant_iq4_values[b[2 + j] & 15];
            y[j + 16] = d * dequant_iq4_values[b[2 + j] >> 4];
        }
    }
}

/* d; 8 × 2 high and 8 × 4 low bits of scale, from -32; 8 runs as iq4_nl */
void sprat__dequant_iq4_xs_scalar(float *y, const void *x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 136) {
        float d = dequant_iq_half_at(b);
        uint32_t high = sprat__le16(b + 2);
        for (int k = 0; k < 8; k++, y += 32) {
            int low = b[4 + k / 2] >> (4 * (k % 2)) & 15;
            int scale = (low | (int)(high >> 2 * k & 3) << 4) - 32;
            float dk = d * (float)scale;
            const uint8_t *q = b + 8 + 16 * k;
            for (int j = 0; j < 16; j++) {
                y[j] = dk * dequant_iq4_values[q[j] & 15];
                y[j + 16] = dk * dequant_iq4_values[q[j] >> 4];
            }
        }
    }
}
