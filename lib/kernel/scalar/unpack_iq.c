/* Owns the integers of the IQ types of 256 weights. A constant power of two of the formula stands
 * in d, so that scales are whole. Invariant: as unpack256.c. */
#include "kernel/scalar/unpack.h"

#include "kernel/scalar/blocks.h"

#include <string.h>

static const int8_t unpack_iq1_values[2][4] = {SPRAT__BLOCKS_IQ1_VALUES};
static const int8_t unpack_iq2_values[2][4] = {SPRAT__BLOCKS_IQ2_VALUES};
static const int8_t unpack_iq3_xxs_values[2][8] = {SPRAT__BLOCKS_IQ3_XXS_VALUES};
static const int8_t unpack_iq3_s_values[2][8] = {SPRAT__BLOCKS_IQ3_S_VALUES};

/* Group l of run k, from a 2-bit book; a scale is of two groups. */
static inline void unpack_iq_eight(struct sprat__block256 *out, int k, int l,
                                   struct sprat__blocks_group group, const int8_t (*values)[4])
{
    int8_t *w = out->w + 32 * k + 8 * l;
    for (int j = 0; j < 8; j++, group.entry >>= 2, group.signs >>= 1)
        w[j] = values[group.signs & 1][group.entry & 3];
    out->scale[2 * k + l / 2] = (int16_t)group.scale;
}

/* As above, from a 3-bit book. */
static inline void unpack_iq_two_fours(struct sprat__block256 *out, int k, int l,
                                       struct sprat__blocks_group group, const int8_t (*values)[8])
{
    int8_t *w = out->w + 32 * k + 8 * l;
    for (int j = 0; j < 4; j++) {
        w[j] = values[group.signs >> j & 1][group.entry >> 3 * j & 7];
        w[j + 4] = values[group.signs >> (j + 4) & 1][group.second >> 3 * j & 7];
    }
    out->scale[2 * k + l / 2] = (int16_t)group.scale;
}

static inline void unpack_iq_factors(struct sprat__block256 *out, float d)
{
    memset(out->least, 0, sizeof out->least);
    out->d = d;
    out->dmin = 0.0f;
}

void sprat__unpack256_iq1_s(struct sprat__block256 *out, const uint8_t *block)
{
    for (int k = 0; k < 8; k++) {
        uint32_t word = sprat__blocks_iq1_s_word(block, k);
        for (int l = 0; l < 4; l++)
            unpack_iq_eight(out, k, l, sprat__blocks_iq1_s(block, word, k, l), unpack_iq1_values);
    }
    unpack_iq_factors(out, sprat__blocks_half(block) * 0.125f);
}

void sprat__unpack256_iq1_m(struct sprat__block256 *out, const uint8_t *block)
{
    for (int k = 0; k < 8; k++)
        for (int l = 0; l < 4; l++)
            unpack_iq_eight(out, k, l, sprat__blocks_iq1_m(block, k, l), unpack_iq1_values);
    unpack_iq_factors(out, sprat__blocks_iq1_m_half(block) * 0.125f);
}

void sprat__unpack256_iq2_xxs(struct sprat__block256 *out, const uint8_t *block)
{
    for (int k = 0; k < 8; k++) {
        uint32_t word = sprat__blocks_iq2_xxs_word(block, k);
        for (int l = 0; l < 4; l++)
            unpack_iq_eight(out, k, l, sprat__blocks_iq2_xxs(block, word, k, l), unpack_iq2_values);
    }
    unpack_iq_factors(out, sprat__blocks_half(block) * 0.125f);
}

void sprat__unpack256_iq2_xs(struct sprat__block256 *out, const uint8_t *block)
{
    for (int k = 0; k < 8; k++)
        for (int l = 0; l < 4; l++)
            unpack_iq_eight(out, k, l, sprat__blocks_iq2_xs(block, k, l), unpack_iq2_values);
    unpack_iq_factors(out, sprat__blocks_half(block) * 0.125f);
}

void sprat__unpack256_iq2_s(struct sprat__block256 *out, const uint8_t *block)
{
    for (int k = 0; k < 8; k++)
        for (int l = 0; l < 4; l++)
            unpack_iq_eight(out, k, l, sprat__blocks_iq2_s(block, k, l), unpack_iq2_values);
    unpack_iq_factors(out, sprat__blocks_half(block) * 0.125f);
}

void sprat__unpack256_iq3_xxs(struct sprat__block256 *out, const uint8_t *block)
{
    for (int k = 0; k < 8; k++) {
        uint32_t word = sprat__blocks_iq3_xxs_word(block, k);
        for (int l = 0; l < 4; l++)
            unpack_iq_two_fours(out, k, l, sprat__blocks_iq3_xxs(block, word, k, l),
                                unpack_iq3_xxs_values);
    }
    unpack_iq_factors(out, sprat__blocks_half(block) * 0.25f);
}

void sprat__unpack256_iq3_s(struct sprat__block256 *out, const uint8_t *block)
{
    for (int k = 0; k < 8; k++) {
        uint32_t word = sprat__blocks_iq3_s_word(block, k);
        for (int l = 0; l < 4; l++)
            unpack_iq_two_fours(out, k, l, sprat__blocks_iq3_s(block, word, k, l),
                                unpack_iq3_s_values);
    }
    unpack_iq_factors(out, sprat__blocks_half(block));
}

void sprat__unpack256_iq4_xs(struct sprat__block256 *out, const uint8_t *block)
{
    static const int8_t values[16] = {SPRAT__BLOCKS_IQ4_VALUES};
    for (int k = 0; k < 8; k++) {
        const uint8_t *q = block + 8 + 16 * k;
        for (int j = 0; j < 16; j++) {
            out->w[32 * k + j] = values[q[j] & 15];
            out->w[32 * k + j + 16] = values[q[j] >> 4];
        }
        out->scale[2 * k] = out->scale[2 * k + 1] = (int16_t)sprat__blocks_iq4_xs_scale(block, k);
    }
    unpack_iq_factors(out, sprat__blocks_half(block));
}
