/* The inside of a tokeniser: what its files share. Texts stay in the GGUF; what is made here are
 * offsets, types, and hash tables over texts and merges. See tokenizer.h for the outside. */
#ifndef SPRAT__VOCAB_H
#define SPRAT__VOCAB_H

#include "tokenizer/split.h"
#include "tokenizer/tokenizer.h"

#define SPRAT__NO_SYMBOL 0x7fffffffu /* a character that the vocabulary does not have */
#define SPRAT__NO_MERGE  0xffffffffu /* above every key: this pair never merges */

enum {
    SPRAT__MAX_TOKENS = 1 << 24,
    SPRAT__MAX_MERGES = 1 << 26,
    SPRAT__MAX_ADDED_BYTES = 1024, /* the longest text recognised as an added token */
    SPRAT__MAX_ENDS = 48,
    SPRAT__N_LETTERS = 64 /* U+00C0 to U+00FF */
};

/* Open addressing. A slot is 0, or index + 1 with as many bits of the hash above it as fit. */
struct sprat__slots {
    uint32_t *slots;
    uint32_t bits; /* there are 1 << bits */
    uint32_t used;
};

struct sprat__merge_row {
    uint32_t left, right, result; /* symbols: tokens, or numbers from n_tokens on */
};

struct sprat__tokenizer {
    struct sprat__mem *mem;
    struct sprat__vocab facts;
    bool spm;              /* SentencePiece-like; else byte-level BPE */
    bool ignore_merges;    /* BPE: a piece that is a token's text is that token */
    bool add_space_prefix; /* SPM */
    bool space_begins;     /* SPM: no text has a space behind something else, so that words can be
                              merged one by one */
    enum sprat__split_kind split;

    const uint8_t *base;   /* the array of texts, in the GGUF */
    uint32_t *text_at;     /* n_tokens + 1 offsets into it; text i ends 8 bytes before text i + 1 */
    uint8_t *types;        /* SPRAT_TOKEN_*, put right where old converters erred */
    const uint8_t *scores; /* n_tokens little-endian floats in the GGUF; NULL: all 0 */
    size_t longest;        /* bytes of the longest text of a NORMAL token */
    struct sprat__slots texts;

    /* BPE: the symbol of each byte. SPM: its byte token, or SPRAT__NO_SYMBOL. */
    uint32_t bytes[256];
    struct sprat__merge_row *merges; /* in order of rank */
    uint32_t n_merges;
    struct sprat__slots pairs;

    uint32_t *added;     /* ids of added tokens, by text; those that begin with byte c are */
    uint32_t first[257]; /* added[first[c]] to added[first[c + 1] - 1] */
    bool has_letters;    /* letters are recognised in user text too */
    sprat_token letters[SPRAT__N_LETTERS]; /* -1: none */

    sprat_token ends[SPRAT__MAX_ENDS];
    uint32_t n_ends;
};

static inline const uint8_t *sprat__vocab_text(const struct sprat__tokenizer *t, uint32_t id,
                                               size_t *len)
{
    *len = t->text_at[id + 1] - 8u - t->text_at[id];
    return t->base + t->text_at[id];
}

/* The Unicode character that byte-level BPE writes for a byte, U+0021 to U+0143; and back, -1 for a
 * character that stands for no byte. */
static inline uint32_t sprat__byte_to_point(uint32_t byte)
{
    if (byte <= 0x20)
        return 0x100 + byte;
    if (byte >= 0x7f && byte <= 0xa0)
        return 0x121 + (byte - 0x7f);
    return byte == 0xad ? 0x143 : byte;
}

static inline int sprat__point_to_byte(uint32_t point)
{
    if (point >= 0x100 && point <= 0x120)
        return (int)(point - 0x100);
    if (point >= 0x121 && point <= 0x142)
        return (int)(point - 0x121 + 0x7f);
    if (point == 0x143)
        return 0xad;
    if (point > 0xff || point <= 0x20 || (point >= 0x7f && point <= 0xa0) || point == 0xad)
        return -1;
    return (int)point;
}

/* The NORMAL token whose text is these bytes written as byte-level BPE does, or SPRAT__NO_SYMBOL.
 */
uint32_t sprat__vocab_find_word(const struct sprat__tokenizer *t, const uint8_t *word, size_t len);
/* The NORMAL token whose text is these bytes with U+2581 for each space, one more before them if
 * prefix; or SPRAT__NO_SYMBOL. */
uint32_t sprat__vocab_find_piece(const struct sprat__tokenizer *t, const uint8_t *piece, size_t len,
                                 bool prefix);
/* The place in merges of a pair of symbols, or SPRAT__NO_MERGE. */
uint32_t sprat__vocab_find_pair(const struct sprat__tokenizer *t, uint32_t left, uint32_t right);

/* The byte a text of the form <0xXX> stands for, -1 for any other text. */
int sprat__vocab_byte_text(const uint8_t *text, size_t len);

/* Loading: texts, then merges (BPE) or bytes (SPM), then added tokens. On failure the caller
 * destroys. */
sprat_status sprat__vocab_load_texts(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                     struct sprat__err *err);
sprat_status sprat__vocab_load_merges(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                      struct sprat__err *err);
void sprat__vocab_load_bytes(struct sprat__tokenizer *t);

/* The added token that text[at, end) begins with, the longest; -1 for none, else *len is its
 * length. */
sprat_token sprat__added_match(const struct sprat__tokenizer *t, const uint8_t *text, size_t at,
                               size_t end, size_t *len);
sprat_status sprat__added_load(struct sprat__tokenizer *t, struct sprat__err *err);

/* Where tokens go; n counts also those that find no room. */
struct sprat__sink {
    sprat_token *tokens;
    size_t capacity, n;
};

static inline void sprat__sink_put(struct sprat__sink *sink, uint32_t id)
{
    if (sink->n < sink->capacity)
        sink->tokens[sink->n] = (sprat_token)id;
    sink->n++;
}

struct sprat__merger;
/* Turns text[begin, end), which holds no added token, into tokens. steps: code points looked at. */
sprat_status sprat__bpe_encode(const struct sprat__tokenizer *t, struct sprat__merger *merger,
                               const uint8_t *text, size_t begin, size_t end,
                               struct sprat__sink *sink, uint64_t *steps, struct sprat__err *err);
sprat_status sprat__spm_encode(const struct sprat__tokenizer *t, struct sprat__merger *merger,
                               const uint8_t *text, size_t begin, size_t end,
                               struct sprat__sink *sink, uint64_t *steps, struct sprat__err *err);

#endif
