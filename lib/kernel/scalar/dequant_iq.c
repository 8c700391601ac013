/* Owns the unpacking of the IQ types: groups of 8 (or 4) elements are picked from a code book, with
 * signs and a scale per 32 or 16. Invariant: as dequant.c. A scale here is an odd integer: formulas
 * with a half in the scale have their power of two in d, which changes no bit. */
#include "kernel/kernel.h"

#include "kernel/scalar/blocks.h"

static const float dequant_iq1_values[2][4] = {SPRAT__BLOCKS_IQ1_VALUES};
static const float dequant_iq2_values[2][4] = {SPRAT__BLOCKS_IQ2_VALUES};
static const float dequant_iq3_xxs_values[2][8] = {SPRAT__BLOCKS_IQ3_XXS_VALUES};
static const float dequant_iq3_s_values[2][8] = {SPRAT__BLOCKS_IQ3_S_VALUES};
static const float dequant_iq4_values[16] = {SPRAT__BLOCKS_IQ4_VALUES};

/* Eight elements of the ternary book: one sign for all. */
static inline void dequant_iq1_group(float *y, float d, struct sprat__blocks_group group)
{
    float dk = d * (float)group.scale;
    const float *values = dequant_iq1_values[group.signs & 1];
    for (int j = 0; j < 8; j++, group.entry >>= 2)
        y[j] = dk * values[group.entry & 3];
}

/* Eight elements of a 2-bit book. */
static inline void dequant_iq2_group(float *y, float d, struct sprat__blocks_group group)
{
    float dk = d * (float)group.scale;
    for (int j = 0; j < 8; j++, group.entry >>= 2, group.signs >>= 1)
        y[j] = dk * dequant_iq2_values[group.signs & 1][group.entry & 3];
}

/* Four elements of a 3-bit book. */
static inline void dequant_iq3_four(float *y, float d, uint32_t entry, uint32_t signs,
                                    const float (*values)[8])
{
    for (int j = 0; j < 4; j++, entry >>= 3, signs >>= 1)
        y[j] = d * values[signs & 1][entry & 7];
}

static inline void dequant_iq3_group(float *y, float d, struct sprat__blocks_group group,
                                     const float (*values)[8])
{
    float dk = d * (float)group.scale;
    dequant_iq3_four(y, dk, group.entry, group.signs, values);
    dequant_iq3_four(y + 4, dk, group.second, group.signs >> 4, values);
}

/* d·(s + ½)/4 = (d/8)·(2s + 1) */
void sprat__dequant_iq2_xxs_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 66) {
        float d = sprat__blocks_half(b) * 0.125f;
        for (int k = 0; k < 8; k++) {
            uint32_t word = sprat__blocks_iq2_xxs_word(b, k);
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq2_group(y, d, sprat__blocks_iq2_xxs(b, word, k, l));
        }
    }
}

void sprat__dequant_iq2_xs_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 74) {
        float d = sprat__blocks_half(b) * 0.125f;
        for (int k = 0; k < 8; k++)
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq2_group(y, d, sprat__blocks_iq2_xs(b, k, l));
    }
}

void sprat__dequant_iq2_s_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 82) {
        float d = sprat__blocks_half(b) * 0.125f;
        for (int k = 0; k < 8; k++)
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq2_group(y, d, sprat__blocks_iq2_s(b, k, l));
    }
}

/* d·(s + ½)/2 = (d/4)·(2s + 1) */
void sprat__dequant_iq3_xxs_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 98) {
        float d = sprat__blocks_half(b) * 0.25f;
        for (int k = 0; k < 8; k++) {
            uint32_t word = sprat__blocks_iq3_xxs_word(b, k);
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq3_group(y, d, sprat__blocks_iq3_xxs(b, word, k, l),
                                  dequant_iq3_xxs_values);
        }
    }
}

void sprat__dequant_iq3_s_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 110) {
        float d = sprat__blocks_half(b);
        for (int k = 0; k < 8; k++) {
            uint32_t word = sprat__blocks_iq3_s_word(b, k);
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq3_group(y, d, sprat__blocks_iq3_s(b, word, k, l), dequant_iq3_s_values);
        }
    }
}

/* d·(2s + 1)·(g ± ⅛) = (d/8)·(2s + 1)·(8g ± 1) */
void sprat__dequant_iq1_s_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 50) {
        float d = sprat__blocks_half(b) * 0.125f;
        for (int k = 0; k < 8; k++) {
            uint32_t word = sprat__blocks_iq1_s_word(b, k);
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq1_group(y, d, sprat__blocks_iq1_s(b, word, k, l));
        }
    }
}

void sprat__dequant_iq1_m_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 56) {
        float d = sprat__blocks_iq1_m_half(b) * 0.125f;
        for (int k = 0; k < 8; k++)
            for (int l = 0; l < 4; l++, y += 8)
                dequant_iq1_group(y, d, sprat__blocks_iq1_m(b, k, l));
    }
}

/* d; 16 bytes of two indices into sixteen uneven values */
void sprat__dequant_iq4_nl_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 32, b += 18, y += 32) {
        float d = sprat__blocks_half(b);
        for (int j = 0; j < 16; j++) {
            y[j] = d * dequant_iq4_values[b[2 + j] & 15];
            y[j + 16] = d * dequant_iq4_values[b[2 + j] >> 4];
        }
    }
}

/* d; 8 × 2 high and 8 × 4 low bits of scale, from -32; 8 runs as iq4_nl */
void sprat__dequant_iq4_xs_scalar(float *restrict y, const void *restrict x, size_t n)
{
    const uint8_t *b = x;
    for (size_t i = 0; i < n; i += 256, b += 136) {
        float d = sprat__blocks_half(b);
        for (int k = 0; k < 8; k++, y += 32) {
            float dk = d * (float)sprat__blocks_iq4_xs_scale(b, k);
            const uint8_t *q = b + 8 + 16 * k;
            for (int j = 0; j < 16; j++) {
                y[j] = dk * dequant_iq4_values[q[j] & 15];
                y[j + 16] = dk * dequant_iq4_values[q[j] >> 4];
            }
        }
    }
}
