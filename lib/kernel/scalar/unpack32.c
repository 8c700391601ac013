/* Owns the integers of the types that are scaled per 32 weights or more evenly: blocks of 32, and
 * the parts of 32 of Q1_0 and Q2_0. Invariant: every w lies in its type's range (unpack.h), and w·d
 * + m, rounded once, is what dequant.c and dequant_iq.c give. */
#include "kernel/scalar/unpack.h"

#include "kernel/scalar/blocks.h"
#include "tensor/dtype.h"

#include <string.h>

/* Weights j and j + 16 share byte j of q. */
static inline void unpack_nibbles(int8_t *w, const uint8_t *q, int least)
{
    for (int j = 0; j < 16; j++) {
        w[j] = (int8_t)((q[j] & 15) + least);
        w[j + 16] = (int8_t)((q[j] >> 4) + least);
    }
}

static inline void unpack_five_bits(int8_t *w, const uint8_t *q, uint32_t fifth, int least)
{
    for (int j = 0; j < 16; j++) {
        w[j] = (int8_t)(sprat__blocks_q5_low(q, fifth, j) + least);
        w[j + 16] = (int8_t)(sprat__blocks_q5_high(q, fifth, j) + least);
    }
}

static inline void unpack_codes(int8_t *w, const uint8_t *q, const int8_t *values)
{
    for (int j = 0; j < 16; j++) {
        w[j] = values[q[j] & 15];
        w[j + 16] = values[q[j] >> 4];
    }
}

static void unpack_q4_0(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    (void)part;
    unpack_nibbles(out->w, b + 2, -8);
    out->d = sprat__blocks_half(b);
    out->m = 0.0f;
}

static void unpack_q4_1(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    (void)part;
    unpack_nibbles(out->w, b + 4, 0);
    out->d = sprat__blocks_half(b);
    out->m = sprat__blocks_half(b + 2);
}

static void unpack_q5_0(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    (void)part;
    unpack_five_bits(out->w, b + 6, sprat__le32(b + 2), -16);
    out->d = sprat__blocks_half(b);
    out->m = 0.0f;
}

static void unpack_q5_1(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    (void)part;
    unpack_five_bits(out->w, b + 8, sprat__le32(b + 4), 0);
    out->d = sprat__blocks_half(b);
    out->m = sprat__blocks_half(b + 2);
}

static void unpack_q8_0(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    (void)part;
    memcpy(out->w, b + 2, 32);
    out->d = sprat__blocks_half(b);
    out->m = 0.0f;
}

static void unpack_iq4_nl(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    static const int8_t values[16] = {SPRAT__BLOCKS_IQ4_VALUES};
    (void)part;
    unpack_codes(out->w, b + 2, values);
    out->d = sprat__blocks_half(b);
    out->m = 0.0f;
}

static void unpack_mxfp4(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    static const int8_t values[16] = {SPRAT__BLOCKS_FP4_VALUES};
    (void)part;
    unpack_codes(out->w, b + 1, values);
    out->d = sprat__blocks_mxfp4_scale(b);
    out->m = 0.0f;
}

static void unpack_q1_0(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    int first = 4 * (int)part;
    for (int k = 0; k < 4; k++)
        for (int l = 0; l < 8; l++)
            out->w[8 * k + l] = (int8_t)(2 * sprat__blocks_q1_0(b, first + k, l) - 1);
    out->d = sprat__blocks_half(b);
    out->m = 0.0f;
}

static void unpack_q2_0(struct sprat__block32 *out, const uint8_t *b, unsigned part)
{
    int first = 8 * (int)part;
    for (int k = 0; k < 8; k++)
        for (int l = 0; l < 4; l++)
            out->w[4 * k + l] = (int8_t)sprat__blocks_q2_0(b, first + k, l);
    out->d = sprat__blocks_half(b);
    out->m = 0.0f;
}

sprat__unpack32_fn *sprat__unpack32(uint32_t type)
{
    switch (type) {
    case SPRAT__Q4_0:
        return unpack_q4_0;
    case SPRAT__Q4_1:
        return unpack_q4_1;
    case SPRAT__Q5_0:
        return unpack_q5_0;
    case SPRAT__Q5_1:
        return unpack_q5_1;
    case SPRAT__Q8_0:
        return unpack_q8_0;
    case SPRAT__IQ4_NL:
        return unpack_iq4_nl;
    case SPRAT__MXFP4:
        return unpack_mxfp4;
    case SPRAT__Q1_0:
        return unpack_q1_0;
    case SPRAT__Q2_0:
        return unpack_q2_0;
    default:
        return NULL;
    }
}
