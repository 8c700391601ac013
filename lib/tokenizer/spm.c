/* Owns the SentencePiece-like BPE of Llama 2: characters merged by the score of what they become.
 * Spaces are U+2581 in the vocabulary; one is put before the text without copying it: place 0 is
 * that space, place i > 0 the byte i - 1. */
#include "tokenizer/merge.h"
#include "tokenizer/vocab.h"

#include "base/cursor.h"
#include "tokenizer/unicode.h"

struct spm_context {
    const struct sprat__tokenizer *t;
    const uint8_t *text; /* NULL never */
    size_t prefix;       /* 1: a space stands before the text */
    struct sprat__sink *sink;
};

static uint32_t spm_find(const struct spm_context *c, size_t at, size_t len)
{
    if (c->prefix && at == 0)
        return sprat__vocab_find_piece(c->t, c->text, len - 1, true);
    return sprat__vocab_find_piece(c->t, c->text + (at - c->prefix), len, false);
}

static uint32_t spm_first(const void *context, size_t at, size_t end, uint32_t *len)
{
    const struct spm_context *c = context;
    uint32_t point;
    *len = 1;
    if (!c->prefix || at > 0)
        *len = sprat__utf8_decode(c->text + (at - c->prefix), end - at, &point);
    return spm_find(c, at, *len);
}

/* Scores in descending order as numbers in ascending order; what is no number comes last. */
static uint32_t spm_order(const struct sprat__tokenizer *t, uint32_t id)
{
    if (!t->scores)
        return 0;
    uint32_t bits = sprat__le32(t->scores + (size_t)id * 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return SPRAT__NO_MERGE - 1;
    if (bits == 0x80000000u)
        bits = 0;
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

static uint32_t spm_key(const void *context, uint32_t left, uint32_t right, size_t at, size_t len)
{
    const struct spm_context *c = context;
    (void)left;
    (void)right;
    const uint32_t id = spm_find(c, at, len);
    return id == SPRAT__NO_SYMBOL ? SPRAT__NO_MERGE : spm_order(c->t, id);
}

static uint32_t spm_join(const void *context, uint32_t key, size_t at, size_t len)
{
    (void)key;
    return spm_find(context, at, len);
}

/* A character that is no token is written as byte tokens; where there are none, once as unknown. A
 * file may name any id as unknown: text still becomes no added token. */
static void spm_emit(const void *context, uint32_t symbol, size_t at, size_t len)
{
    const struct spm_context *c = context;
    if (symbol != SPRAT__NO_SYMBOL) {
        sprat__sink_put(c->sink, symbol);
        return;
    }
    bool complete = true;
    for (size_t i = 0; i < len; i++) {
        const uint32_t byte = c->prefix && at + i == 0 ? ' ' : c->text[at + i - c->prefix];
        complete = complete && c->t->bytes[byte] != SPRAT__NO_SYMBOL;
    }
    const sprat_token unk = c->t->facts.unk;
    if (!complete && unk >= 0 &&
        (c->t->types[unk] == SPRAT_TOKEN_UNKNOWN || c->t->types[unk] == SPRAT_TOKEN_NORMAL))
        sprat__sink_put(c->sink, (uint32_t)unk);
    for (size_t i = 0; complete && i < len; i++) {
        const uint32_t byte = c->prefix && at + i == 0 ? ' ' : c->text[at + i - c->prefix];
        sprat__sink_put(c->sink, c->t->bytes[byte]);
    }
}

/* How long the space at a place is: 1 for U+0020, 3 for U+2581, 0 if there is none. */
static size_t spm_space(const struct spm_context *c, size_t at, size_t end)
{
    if (c->prefix && at == 0)
        return 1;
    const uint8_t *p = c->text + (at - c->prefix);
    if (p[0] == ' ')
        return 1;
    return end - at >= 3 && p[0] == 0xe2 && p[1] == 0x96 && p[2] == 0x81 ? 3 : 0;
}

/* The end of the word at a place: spaces, and what follows up to the next. */
static size_t spm_word(const struct spm_context *c, size_t at, size_t end)
{
    size_t space;
    while (at < end && (space = spm_space(c, at, end)) > 0)
        at += space;
    while (at < end && spm_space(c, at, end) == 0)
        at++;
    return at;
}

sprat_status sprat__spm_encode(const struct sprat__tokenizer *t, struct sprat__merger *merger,
                               const uint8_t *text, size_t begin, size_t end,
                               struct sprat__sink *sink, uint64_t *steps, struct sprat__err *err)
{
    const struct spm_context context = {t, text + begin, t->add_space_prefix ? 1 : 0, sink};
    const struct sprat__merge_rule rule = {&context, spm_first, spm_key, spm_join, spm_emit};
    const size_t n = end - begin + context.prefix;
    *steps += n;
    for (size_t at = 0; at < n;) {
        const size_t next = t->space_begins ? spm_word(&context, at, n) : n;
        SPRAT_TRY(sprat__merge_word(merger, &rule, at, next, err));
        at = next;
    }
    return SPRAT_OK;
}
