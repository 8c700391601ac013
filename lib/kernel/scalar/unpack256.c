/* Owns the integers of the K and ternary types of 256 weights, and the choice among all types of
 * 256; unpack_iq.c has those with code books. Invariant: every integer lies in its type's range
 * (unpack.h), and w·scale·d − least·dmin, rounded once, is what dequant*.c give. */
#include "kernel/scalar/unpack.h"

#include "kernel/scalar/blocks.h"
#include "tensor/dtype.h"

#include <string.h>

static inline void unpack_no_least(struct sprat__block256 *out)
{
    memset(out->least, 0, sizeof out->least);
    out->dmin = 0.0f;
}

static void unpack_q2_k(struct sprat__block256 *out, const uint8_t *b)
{
    for (int k = 0; k < 16; k++) {
        out->scale[k] = b[k] & 15;
        out->least[k] = b[k] >> 4;
        for (int j = 0; j < 16; j++)
            out->w[16 * k + j] = (int8_t)sprat__blocks_q2_k(b, k, j);
    }
    out->d = sprat__blocks_half(b + 80);
    out->dmin = sprat__blocks_half(b + 82);
}

static void unpack_q3_k(struct sprat__block256 *out, const uint8_t *b)
{
    for (int k = 0; k < 16; k++) {
        out->scale[k] = (int16_t)sprat__blocks_q3_k_scale(b, k);
        for (int j = 0; j < 16; j++)
            out->w[16 * k + j] = (int8_t)sprat__blocks_q3_k(b, k, j);
    }
    out->d = sprat__blocks_half(b + 108);
    unpack_no_least(out);
}

/* What Q4_K and Q5_K begin with: d, dmin, scales and minima per 32. */
static inline void unpack_k_head(struct sprat__block256 *out, const uint8_t *b)
{
    for (int k = 0; k < 8; k++) {
        int scale, least;
        sprat__blocks_k_scale(b, k, &scale, &least);
        out->scale[2 * k] = out->scale[2 * k + 1] = (int16_t)scale;
        out->least[2 * k] = out->least[2 * k + 1] = (int16_t)least;
    }
    out->d = sprat__blocks_half(b);
    out->dmin = sprat__blocks_half(b + 2);
}

static void unpack_q4_k(struct sprat__block256 *out, const uint8_t *b)
{
    unpack_k_head(out, b);
    for (int k = 0; k < 8; k++)
        for (int j = 0; j < 32; j++)
            out->w[32 * k + j] = (int8_t)sprat__blocks_q4_k(b, k, j);
}

static void unpack_q5_k(struct sprat__block256 *out, const uint8_t *b)
{
    unpack_k_head(out, b);
    for (int k = 0; k < 8; k++)
        for (int j = 0; j < 32; j++)
            out->w[32 * k + j] = (int8_t)sprat__blocks_q5_k(b, k, j);
}

static void unpack_q6_k(struct sprat__block256 *out, const uint8_t *b)
{
    for (int k = 0; k < 16; k++) {
        out->scale[k] = (int8_t)b[192 + k];
        for (int j = 0; j < 16; j++)
            out->w[16 * k + j] = (int8_t)sprat__blocks_q6_k(b, k, j);
    }
    out->d = sprat__blocks_half(b + 208);
    unpack_no_least(out);
}

static inline void unpack_scales_of_one(struct sprat__block256 *out)
{
    for (int k = 0; k < 16; k++)
        out->scale[k] = 1;
}

static void unpack_tq1_0(struct sprat__block256 *out, const uint8_t *b)
{
    sprat__blocks_tq1_0(out->w, b);
    unpack_scales_of_one(out);
    out->d = sprat__blocks_half(b + 52);
    unpack_no_least(out);
}

static void unpack_tq2_0(struct sprat__block256 *out, const uint8_t *b)
{
    for (int k = 0; k < 8; k++)
        for (int j = 0; j < 32; j++)
            out->w[32 * k + j] = (int8_t)sprat__blocks_tq2_0(b, k, j);
    unpack_scales_of_one(out);
    out->d = sprat__blocks_half(b + 64);
    unpack_no_least(out);
}

sprat__unpack256_fn *sprat__unpack256(uint32_t type)
{
    switch (type) {
    case SPRAT__Q2_K:
        return unpack_q2_k;
    case SPRAT__Q3_K:
        return unpack_q3_k;
    case SPRAT__Q4_K:
        return unpack_q4_k;
    case SPRAT__Q5_K:
        return unpack_q5_k;
    case SPRAT__Q6_K:
        return unpack_q6_k;
    case SPRAT__IQ1_S:
        return sprat__unpack256_iq1_s;
    case SPRAT__IQ1_M:
        return sprat__unpack256_iq1_m;
    case SPRAT__IQ2_XXS:
        return sprat__unpack256_iq2_xxs;
    case SPRAT__IQ2_XS:
        return sprat__unpack256_iq2_xs;
    case SPRAT__IQ2_S:
        return sprat__unpack256_iq2_s;
    case SPRAT__IQ3_XXS:
        return sprat__unpack256_iq3_xxs;
    case SPRAT__IQ3_S:
        return sprat__unpack256_iq3_s;
    case SPRAT__IQ4_XS:
        return sprat__unpack256_iq4_xs;
    case SPRAT__TQ1_0:
        return unpack_tq1_0;
    case SPRAT__TQ2_0:
        return unpack_tq2_0;
    default:
        return NULL;
    }
}
