/* Blocks of weights as small integers, for products with activations of 8 bits: exact, in the order
 * of the row. dequant*.c give the same values as floats: each is one of these formulas, rounded.
 *
 * The ranges below bound sums in int32. With activations q, |q| <= 127:
 *   32 weights     |Σ w·q| <= 32·128·127 < 2^20
 *   256 weights    |Σ w·scale·q·2^3| <= 256·32·128·127·8 = 1,065,353,216 < 2^31 (Q6_K, the largest)
 *                  |Σ least·q·2^3| <= 256·63·127·8 < 2^24 (Q4_K, Q5_K)
 *
 *   type             w              type             w          scale        least   factor in d
 *   Q8_0        -128..127           Q2_K          0..3          0..15        0..15
 *   Q4_0          -8..7             Q3_K         -4..3        -32..31
 *   Q4_1           0..15            Q4_K          0..15         0..63        0..63
 *   Q5_0         -16..15            Q5_K          0..31         0..63        0..63
 *   Q5_1           0..31            Q6_K        -32..31      -128..127
 *   IQ4_NL      -127..113           IQ4_XS     -127..113      -32..31
 *   MXFP4        -12..12            IQ1_S IQ1_M  -9..9          1..15 odd            1/8
 *   Q1_0          -1 or 1           IQ2_*       -43..43         1..31 odd            1/8
 *   Q2_0          -1..2             IQ3_XXS     -62..62         1..31 odd            1/4
 *                                   IQ3_S       -15..15         1..31 odd
 *                                   TQ1_0        -1..1          1
 *                                   TQ2_0        -1..2          1
 */
#ifndef SPRAT__UNPACK_H
#define SPRAT__UNPACK_H

#include <stdint.h>

/* 32 consecutive weights: value = w·d + m. m is 0 where the type has no minimum. */
struct sprat__block32 {
    int8_t w[32];
    float d, m;
};

/* 256 consecutive weights: value = w·scale[i/16]·d − least[i/16]·dmin, all but d and dmin integers.
 * least and dmin are 0 where the type has no minimum. */
struct sprat__block256 {
    int8_t w[256];
    int16_t scale[16];
    int16_t least[16];
    float d, dmin;
};

/* block: the first byte of a block of the type, at any address; every field of out is written.
 * part: which 32 of a bigger block (0 or 1 in Q2_0, 0 to 3 in Q1_0); 0 in blocks of 32. */
typedef void sprat__unpack32_fn(struct sprat__block32 *out, const uint8_t *block, unsigned part);
typedef void sprat__unpack256_fn(struct sprat__block256 *out, const uint8_t *block);

/* The function of a type; NULL where the type has none. No type has both. */
sprat__unpack32_fn *sprat__unpack32(uint32_t type);
sprat__unpack256_fn *sprat__unpack256(uint32_t type);

/* The types with code books, for sprat__unpack256. */
sprat__unpack256_fn sprat__unpack256_iq1_s, sprat__unpack256_iq1_m, sprat__unpack256_iq2_xxs,
    sprat__unpack256_iq2_xs, sprat__unpack256_iq2_s, sprat__unpack256_iq3_xxs,
    sprat__unpack256_iq3_s, sprat__unpack256_iq4_xs;

#endif
