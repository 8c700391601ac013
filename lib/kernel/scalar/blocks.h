/* Owns where the fields of a block of weights lie (doc/formats.md): what dequant*.c and unpack*.c
 * share, so that no bit is placed twice. b is the block's first byte, at any address; k counts
 * sub-blocks, j elements inside. Invariant: no
 * block can lead outside its own bytes or outside a code book, as each index is masked to its
 * width. */
#ifndef SPRAT__BLOCKS_H
#define SPRAT__BLOCKS_H

#include "base/cursor.h"
#include "kernel/half.h"
#include "kernel/scalar/iq_grids.h"

/* The values behind codes, for tables of whatever type the user wants. */
#define SPRAT__BLOCKS_IQ4_VALUES                                                                   \
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
/* Of code books, [sign][code]. The last code of the 2-bit books is in no entry. */
#define SPRAT__BLOCKS_IQ3_XXS_VALUES                                                               \
    {4, 12, 20, 28, 36, 44, 52, 62},                                                               \
    {                                                                                              \
        -4, -12, -20, -28, -36, -44, -52, -62                                                      \
    }
#define SPRAT__BLOCKS_IQ3_S_VALUES                                                                 \
    {1, 3, 5, 7, 9, 11, 13, 15},                                                                   \
    {                                                                                              \
        -1, -3, -5, -7, -9, -11, -13, -15                                                          \
    }
#define SPRAT__BLOCKS_IQ2_VALUES                                                                   \
    {8, 25, 43, 0},                                                                                \
    {                                                                                              \
        -8, -25, -43, 0                                                                            \
    }
/* -1, 0, 1 in eighths, moved by one. */
#define SPRAT__BLOCKS_IQ1_VALUES                                                                   \
    {-7, 1, 9, 0},                                                                                 \
    {                                                                                              \
        -9, -1, 7, 0                                                                               \
    }
/* Twice a 4-bit float (1 sign, 2 exponent, 1 fraction bit); its scales are halved for it. */
#define SPRAT__BLOCKS_FP4_VALUES 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12

/* The binary16 number at p. */
static inline float sprat__blocks_half(const uint8_t *p)
{
    return sprat__half_to_float(sprat__le16(p));
}

/* Blocks of 32 to 128. */

/* Elements j and j + 16 of 32 numbers of 5 bits: the nibbles of q[j], their fifth bits apart. */
static inline int sprat__blocks_q5_low(const uint8_t *q, uint32_t fifth, int j)
{
    return (q[j] & 15) | (int)(fifth >> j << 4 & 16);
}
static inline int sprat__blocks_q5_high(const uint8_t *q, uint32_t fifth, int j)
{
    return (q[j] >> 4) | (int)(fifth >> (j + 12) & 16);
}

/* 2^(e - 128), half of an MXFP4 block's scale; below 2^-126 a subnormal. */
static inline float sprat__blocks_mxfp4_scale(const uint8_t *b)
{
    uint32_t e = b[0];
    return sprat__float_of_bits(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}

/* Element l of the eight in byte k; 0 or 1. */
static inline int sprat__blocks_q1_0(const uint8_t *b, int k, int l)
{
    return b[2 + k] >> l & 1;
}

/* Element l of the four in byte k; -1..2. */
static inline int sprat__blocks_q2_0(const uint8_t *b, int k, int l)
{
    return (b[2 + k] >> 2 * l & 3) - 1;
}

/* Ternary types of 256. */

/* A digit, -1..1: the byte is a fraction of 256 in base 3, times 3^n gives its digit n on top. */
static inline int sprat__blocks_trit(uint8_t byte, int power)
{
    uint8_t shifted = (uint8_t)(byte * power);
    return (shifted * 3 >> 8) - 1;
}

/* All of a block: 32 and 16 bytes of five digits, 4 bytes of four. */
static inline void sprat__blocks_tq1_0(int8_t *w, const uint8_t *b)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    for (int n = 0; n < 5; n++) {
        for (int j = 0; j < 32; j++)
            w[32 * n + j] = (int8_t)sprat__blocks_trit(b[j], powers[n]);
        for (int j = 0; j < 16; j++)
            w[160 + 16 * n + j] = (int8_t)sprat__blocks_trit(b[32 + j], powers[n]);
    }
    for (int n = 0; n < 4; n++)
        for (int j = 0; j < 4; j++)
            w[240 + 4 * n + j] = (int8_t)sprat__blocks_trit(b[48 + j], powers[n]);
}

/* Element j of sub-block k of eight: half k/4, bit plane k % 4; -1..2. */
static inline int sprat__blocks_tq2_0(const uint8_t *b, int k, int j)
{
    const uint8_t *q = b + 32 * (k / 4);
    return (q[j] >> (2 * (k % 4)) & 3) - 1;
}

/* K types: sixteen sub-blocks of 16 (Q2_K, Q3_K, Q6_K) or eight of 32. */

/* Two bits of sub-block k: half k/8, bit plane k/2 % 4, group k % 2; 0..3. */
static inline int sprat__blocks_two_bits(const uint8_t *planes, int k, int j)
{
    const uint8_t *q = planes + 32 * (k / 8) + 16 * (k % 2);
    return q[j] >> (k & 6) & 3;
}

/* 0..3 */
static inline int sprat__blocks_q2_k(const uint8_t *b, int k, int j)
{
    return sprat__blocks_two_bits(b + 16, k, j);
}

/* -4..3 */
static inline int sprat__blocks_q3_k(const uint8_t *b, int k, int j)
{
    const uint8_t *third = b + 16 * (k % 2);
    return (sprat__blocks_two_bits(b + 32, k, j) | (third[j] >> (k / 2) & 1) << 2) - 4;
}

/* -32..31: four low bits, the upper two in planes. */
static inline int sprat__blocks_q3_k_scale(const uint8_t *b, int k)
{
    const uint8_t *s = b + 96;
    int low = k < 8 ? s[k] & 15 : s[k - 8] >> 4;
    return (low | (s[8 + k % 4] >> (2 * (k / 4)) & 3) << 4) - 32;
}

/* The scale and minimum of Q4_K and Q5_K, 6 bits each, packed in 12 bytes; 0..63. */
static inline void sprat__blocks_k_scale(const uint8_t *b, int k, int *scale, int *least)
{
    const uint8_t *s = b + 4;
    if (k < 4) {
        *scale = s[k] & 63;
        *least = s[k + 4] & 63;
    } else {
        *scale = (s[k + 4] & 15) | s[k - 4] >> 6 << 4;
        *least = s[k + 4] >> 4 | s[k] >> 6 << 4;
    }
}

/* 0..15: sub-blocks 2n and 2n + 1 are the low and high halves of 32 bytes. */
static inline int sprat__blocks_q4_k(const uint8_t *b, int k, int j)
{
    const uint8_t *q = b + 16 + 32 * (k / 2);
    return q[j] >> (4 * (k % 2)) & 15;
}

/* 0..31: as Q4_K, the fifth bit of sub-block k in bit k of 32 bytes before. */
static inline int sprat__blocks_q5_k(const uint8_t *b, int k, int j)
{
    const uint8_t *fifth = b + 16, *q = b + 48 + 32 * (k / 2);
    return (q[j] >> (4 * (k % 2)) & 15) | (fifth[j] >> k & 1) << 4;
}

/* -32..31. Runs of 32 within a half of 128: 0 and 1 are low, 2 and 3 high nibbles. */
static inline int sprat__blocks_q6_k(const uint8_t *b, int k, int j)
{
    int half = k / 8, run = k / 2 % 4, group = 16 * (k % 2);
    const uint8_t *low = b + 64 * half + 32 * (run % 2) + group;
    const uint8_t *high = b + 128 + 32 * half + group;
    return ((low[j] >> (4 * (run / 2)) & 15) | (high[j] >> (2 * run) & 3) << 4) - 32;
}

/* IQ types of 256. */

/* Eight elements: a book's entry (two of four elements in the IQ3 types), eight signs (in the IQ1
 * types none or all: the sign of the shift) and the scale, which is odd. */
struct sprat__blocks_group {
    uint32_t entry, second, signs;
    int scale;
};

/* Eight signs from seven bits: the last makes the number of minus signs even. Bit n of 0x6996 is
 * the parity of n. */
static inline uint32_t sprat__blocks_signs(uint32_t seven)
{
    uint32_t parity = 0x6996u >> ((seven ^ seven >> 4) & 15);
    return seven | (parity & 1) << 7;
}

/* Nibble k of the bytes at p. */
static inline int sprat__blocks_nibble(const uint8_t *p, int k)
{
    return p[k / 2] >> (4 * (k % 2)) & 15;
}

/* Group l of four in run k of eight. What a run has in common is taken out first, as word: loops
 * that write floats between the groups would otherwise read it again each time. */

/* 8 runs of 4 index bytes and a word: 4 × 7 signs, 4 bits of scale */
static inline uint32_t sprat__blocks_iq2_xxs_word(const uint8_t *b, int k)
{
    return sprat__le32(b + 6 + 8 * k);
}
static inline struct sprat__blocks_group sprat__blocks_iq2_xxs(const uint8_t *b, uint32_t word,
                                                               int k, int l)
{
    return (struct sprat__blocks_group){
        .entry = sprat__grid_iq2xxs[b[2 + 8 * k + l]],
        .signs = sprat__blocks_signs(word >> 7 * l & 127),
        .scale = (int)(2 * (word >> 28) + 1),
    };
}

/* 32 × (9 bits of index, 7 signs); 16 scales of 4 bits */
static inline struct sprat__blocks_group sprat__blocks_iq2_xs(const uint8_t *b, int k, int l)
{
    uint32_t word = sprat__le16(b + 2 + 8 * k + 2 * l);
    return (struct sprat__blocks_group){
        .entry = sprat__grid_iq2xs[word & 511],
        .signs = sprat__blocks_signs(word >> 9),
        .scale = 2 * (b[66 + k] >> (4 * (l / 2)) & 15) + 1,
    };
}

/* 32 low index bytes; 32 sign bytes; 8 bytes of four high index bits; 16 scales of 4 bits */
static inline struct sprat__blocks_group sprat__blocks_iq2_s(const uint8_t *b, int k, int l)
{
    uint32_t high = (uint32_t)b[66 + k] >> 2 * l & 3;
    return (struct sprat__blocks_group){
        .entry = sprat__grid_iq2s[b[2 + 4 * k + l] | high << 8],
        .signs = b[34 + 4 * k + l],
        .scale = 2 * (b[74 + k] >> (4 * (l / 2)) & 15) + 1,
    };
}

/* 64 index bytes; 8 words: 4 × 7 signs, 4 bits of scale */
static inline uint32_t sprat__blocks_iq3_xxs_word(const uint8_t *b, int k)
{
    return sprat__le32(b + 66 + 4 * k);
}
static inline struct sprat__blocks_group sprat__blocks_iq3_xxs(const uint8_t *b, uint32_t word,
                                                               int k, int l)
{
    const uint8_t *q = b + 2 + 8 * k + 2 * l;
    return (struct sprat__blocks_group){
        .entry = sprat__grid_iq3xxs[q[0]],
        .second = sprat__grid_iq3xxs[q[1]],
        .signs = sprat__blocks_signs(word >> 7 * l & 127),
        .scale = (int)(2 * (word >> 28) + 1),
    };
}

/* 64 low index bytes; 8 bytes of high index bits; 32 sign bytes; 8 scales of 4 bits. The word: high
 * bits, scale. */
static inline uint32_t sprat__blocks_iq3_s_word(const uint8_t *b, int k)
{
    return b[66 + k] | (uint32_t)sprat__blocks_nibble(b + 106, k) << 8;
}
static inline struct sprat__blocks_group sprat__blocks_iq3_s(const uint8_t *b, uint32_t word, int k,
                                                             int l)
{
    const uint8_t *q = b + 2 + 8 * k + 2 * l;
    uint32_t two = word >> 2 * l;
    return (struct sprat__blocks_group){
        .entry = sprat__grid_iq3s[q[0] | (two & 1) << 8],
        .second = sprat__grid_iq3s[q[1] | (two & 2) << 7],
        .signs = b[74 + 4 * k + l],
        .scale = (int)(2 * (word >> 8) + 1),
    };
}

/* 32 low index bytes; 8 words: 4 × 3 high index bits, 3 bits of scale, sign of the shift */
static inline uint32_t sprat__blocks_iq1_s_word(const uint8_t *b, int k)
{
    return sprat__le16(b + 34 + 2 * k);
}
static inline struct sprat__blocks_group sprat__blocks_iq1_s(const uint8_t *b, uint32_t word, int k,
                                                             int l)
{
    return (struct sprat__blocks_group){
        .entry = sprat__grid_iq1s[b[2 + 4 * k + l] | (word >> 3 * l & 7) << 8],
        .signs = word & 0x8000 ? 255 : 0,
        .scale = (int)(2 * (word >> 12 & 7) + 1),
    };
}

/* 32 low index bytes; 32 × (3 high index bits, sign of the shift); 4 words: 4 × 3 bits of scale. */
static inline struct sprat__blocks_group sprat__blocks_iq1_m(const uint8_t *b, int k, int l)
{
    uint32_t high = (uint32_t)b[32 + 2 * k + l / 2] >> 4 * (l % 2) & 15;
    uint32_t word = sprat__le16(b + 48 + 2 * (k / 2));
    return (struct sprat__blocks_group){
        .entry = sprat__grid_iq1s[b[4 * k + l] | (high & 7) << 8],
        .signs = high & 8 ? 255 : 0,
        .scale = (int)(2 * (word >> (6 * (k % 2) + 3 * (l / 2)) & 7) + 1),
    };
}

/* d of IQ1_M: a quarter of its bits on top of each word of scales. */
static inline float sprat__blocks_iq1_m_half(const uint8_t *b)
{
    uint32_t bits = 0;
    for (int n = 0; n < 4; n++)
        bits |= (uint32_t)sprat__le16(b + 48 + 2 * n) >> 12 << 4 * n;
    return sprat__half_to_float((uint16_t)bits);
}

/* The scale of sub-block k of eight of IQ4_XS, -32..31: 4 low bits each, then 2 high bits. */
static inline int sprat__blocks_iq4_xs_scale(const uint8_t *b, int k)
{
    uint32_t high = sprat__le16(b + 2);
    return (sprat__blocks_nibble(b + 4, k) | (int)(high >> 2 * k & 3) << 4) - 32;
}

#endif
