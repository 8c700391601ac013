/* Owns byte-level BPE: pieces of the pre-tokeniser, each merged by rank. A symbol is a byte at
 * first, a token after. */
#include "tokenizer/merge.h"
#include "tokenizer/vocab.h"

struct bpe_context {
    const struct sprat__tokenizer *t;
    const uint8_t *text;
    struct sprat__sink *sink;
};

static uint32_t bpe_first(const void *context, size_t at, size_t end, uint32_t *len)
{
    const struct bpe_context *c = context;
    (void)end;
    *len = 1;
    return c->t->bytes[c->text[at]];
}

static uint32_t bpe_key(const void *context, uint32_t left, uint32_t right, size_t at, size_t len)
{
    const struct bpe_context *c = context;
    (void)at;
    (void)len;
    return sprat__vocab_find_pair(c->t, left, right);
}

static uint32_t bpe_join(const void *context, uint32_t key, size_t at, size_t len)
{
    const struct bpe_context *c = context;
    (void)at;
    (void)len;
    return c->t->merges[key].result;
}

/* A symbol that is no token is written byte by byte; bytes that are no tokens either are left out,
 * as the reference does. */
static void bpe_emit(const void *context, uint32_t symbol, size_t at, size_t len)
{
    const struct bpe_context *c = context;
    const uint32_t n_tokens = c->t->facts.n_tokens;
    if (symbol < n_tokens) {
        sprat__sink_put(c->sink, symbol);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        const uint32_t byte = c->t->bytes[c->text[at + i]];
        if (byte < n_tokens)
            sprat__sink_put(c->sink, byte);
    }
}

sprat_status sprat__bpe_encode(const struct sprat__tokenizer *t, struct sprat__merger *merger,
                               const uint8_t *text, size_t begin, size_t end,
                               struct sprat__sink *sink, uint64_t *steps, struct sprat__err *err)
{
    const struct bpe_context context = {t, text, sink};
    const struct sprat__merge_rule rule = {&context, bpe_first, bpe_key, bpe_join, bpe_emit};
    struct sprat__split split = {.steps = 0};
    sprat__split_begin(&split, t->split, text, begin, end);
    while (sprat__split_next(&split, &begin, &end)) {
        if (t->ignore_merges) {
            const uint32_t id = sprat__vocab_find_word(t, text + begin, end - begin);
            if (id != SPRAT__NO_SYMBOL) {
                sprat__sink_put(sink, id);
                continue;
            }
        }
        SPRAT_TRY(sprat__merge_word(merger, &rule, begin, end, err));
    }
    *steps += split.steps;
    return SPRAT_OK;
}
