/* Owns the way from tokens back to bytes. Invariant: for every text whose bytes the vocabulary has,
 * the bytes of its tokens, one after the other, are the text. */
#include "tokenizer/tokenizer.h"

#include "base/cursor.h"
#include "tokenizer/unicode.h"
#include "tokenizer/vocab.h"

#include <string.h>

void sprat__token(const struct sprat__tokenizer *t, sprat_token id, const char **text, size_t *len,
                  uint32_t *type, float *score)
{
    *text = (const char *)sprat__vocab_text(t, (uint32_t)id, len);
    *type = t->types[id];
    *score = t->scores && t->spm ? sprat__lef32(t->scores + (size_t)id * 4) : 0.0f;
}

/* What is written so far; n counts also what finds no room. */
struct detok_out {
    char *bytes;
    size_t capacity, n;
};

static void detok_put(struct detok_out *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (out->n < out->capacity)
            out->bytes[out->n] = (char)bytes[i];
        out->n++;
    }
}

/* A NORMAL token of byte-level BPE: each character stands for a byte; one that stands for none is
 * itself. */
static void detok_bytes(struct detok_out *out, const uint8_t *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t point;
        const uint32_t n = sprat__utf8_decode(text + at, len - at, &point);
        const int byte = sprat__point_to_byte(point);
        const uint8_t one = (uint8_t)byte;
        if (byte >= 0)
            detok_put(out, &one, 1);
        else
            detok_put(out, text + at, n);
        at += n;
    }
}

/* A NORMAL token of SPM: U+2581 is a space; the first is left out if skip. */
static void detok_spaces(struct detok_out *out, const uint8_t *text, size_t len, bool skip)
{
    for (size_t at = 0; at < len;) {
        if (len - at >= 3 && memcmp(text + at, "\xe2\x96\x81", 3) == 0) {
            if (!skip || at > 0)
                detok_put(out, (const uint8_t *)" ", 1);
            at += 3;
        } else {
            detok_put(out, text + at++, 1);
        }
    }
}

size_t sprat__token_bytes(const struct sprat__tokenizer *t, sprat_token id, uint32_t flags,
                          bool start, char *bytes, size_t capacity)
{
    size_t len;
    struct detok_out out = {bytes, capacity, 0};
    const uint8_t *text = sprat__vocab_text(t, (uint32_t)id, &len);
    switch (t->types[id]) {
    case SPRAT_TOKEN_NORMAL:
        if (t->spm)
            detok_spaces(&out, text, len, start && t->add_space_prefix);
        else
            detok_bytes(&out, text, len);
        break;
    case SPRAT_TOKEN_BYTE: {
        const uint8_t byte = (uint8_t)sprat__vocab_byte_text(text, len);
        detok_put(&out, &byte, 1);
        break;
    }
    case SPRAT_TOKEN_USER_DEFINED:
        detok_put(&out, text, len);
        break;
    case SPRAT_TOKEN_UNUSED:
        break;
    default: /* CONTROL, UNKNOWN */
        if (flags & SPRAT_DETOKENIZE_SPECIAL)
            detok_put(&out, text, len);
        break;
    }
    return out.n;
}

size_t sprat__utf8_open(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t have = 1; have <= 3 && have <= len; have++) {
        const uint8_t lead = p[len - have];
        if ((lead & 0xc0) == 0x80)
            continue;
        const size_t need = lead >= 0xf0 && lead <= 0xf4   ? 4
                            : lead >= 0xe0 && lead <= 0xef ? 3
                            : lead >= 0xc2 && lead <= 0xdf ? 2
                                                           : 1;
        if (have >= need)
            return 0;
        if (have == 1)
            return 1;
        /* The second byte of some leads is bounded: no overlong forms, surrogates, or beyond the
         * end of Unicode. */
        const uint8_t second = p[len - have + 1];
        const bool bad = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                         (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
        return bad ? 0 : have;
    }
    return 0;
}
