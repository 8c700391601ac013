/* Code points and their classes: Unicode general categories 16.0 as the pre-tokenisers' patterns
 * name them, and the decoding of text that may be anything. The tables are made by
 * unicode_tables.py. */
#ifndef SPRAT__UNICODE_H
#define SPRAT__UNICODE_H

#include <stddef.h>
#include <stdint.h>

/* Bits of a code point's class. */
enum {
    SPRAT__UNI_LETTER = 1,      /* \p{L} */
    SPRAT__UNI_MARK = 2,        /* \p{M} */
    SPRAT__UNI_NUMBER = 4,      /* \p{N} */
    SPRAT__UNI_PUNCTUATION = 8, /* \p{P} */
    SPRAT__UNI_SYMBOL = 16,     /* \p{S} */
    SPRAT__UNI_SPACE = 32,      /* \s */
    SPRAT__UNI_DIGIT = 64,      /* \p{N} of Unicode 17.0: the Digits splitter */
    SPRAT__UNI_CASED = 128      /* the letters that DeepSeek-LLM's pattern lists */
};

/* The tables end where, up to Unicode 17, only the variation selectors of plane 14 follow. */
enum { SPRAT__UNI_TABLE_END = 0x32400 };
extern const uint8_t sprat__unicode_block[SPRAT__UNI_TABLE_END / 128];
extern const uint8_t sprat__unicode_bits[31360];

static inline uint32_t sprat__unicode_class(uint32_t point)
{
    if (point >= SPRAT__UNI_TABLE_END)
        return point >= 0xe0100 && point <= 0xe01ef ? SPRAT__UNI_MARK : 0;
    return sprat__unicode_bits[sprat__unicode_block[point >> 7] * 128u + (point & 127u)];
}

/* How many bytes the UTF-8 character at p has, and its code point; left > 0 bytes may be read. A
 * byte that begins no valid character counts as one of its own, U+FFFD. */
static inline uint32_t sprat__utf8_decode(const uint8_t *p, size_t left, uint32_t *point)
{
    const uint32_t a = p[0];
    if (a < 0x80) {
        *point = a;
        return 1;
    }
    if (a >= 0xc2 && a <= 0xdf && left >= 2 && (p[1] & 0xc0) == 0x80) {
        *point = (a & 0x1fu) << 6 | (p[1] & 0x3fu);
        return 2;
    }
    if (a >= 0xe0 && a <= 0xef && left >= 3 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
        const uint32_t c = (a & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        if (c >= 0x800 && (c < 0xd800 || c > 0xdfff)) {
            *point = c;
            return 3;
        }
    }
    if (a >= 0xf0 && a <= 0xf4 && left >= 4 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
        (p[3] & 0xc0) == 0x80) {
        const uint32_t c =
            (a & 7u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
        if (c >= 0x10000 && c < 0x110000) {
            *point = c;
            return 4;
        }
    }
    *point = 0xfffd;
    return 1;
}

#endif
