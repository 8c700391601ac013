/* Owns the recognition of added tokens in text: which there are, and the longest at a place. Leaves
 * to tokenizer.c where they may be recognised. Invariant: added[] is in the order of its texts, no
 * two of them equal; a search narrows it byte by byte, so it costs the length of the match times
 * the logarithm of their number, whatever the vocabulary. */
#include "tokenizer/vocab.h"

#include <string.h>

static int added_compare(const struct sprat__tokenizer *t, uint32_t x, uint32_t y)
{
    size_t x_len, y_len;
    const uint8_t *a = sprat__vocab_text(t, x, &x_len);
    const uint8_t *b = sprat__vocab_text(t, y, &y_len);
    const int order = memcmp(a, b, x_len < y_len ? x_len : y_len);
    if (order != 0)
        return order;
    if (x_len != y_len)
        return x_len < y_len ? -1 : 1;
    return x < y ? -1 : 1;
}

/* Lets ids[at] sink to its place in a heap of n with the greatest on top. */
static void added_sink(const struct sprat__tokenizer *t, uint32_t *ids, size_t at, size_t n)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && added_compare(t, ids[child], ids[child + 1]) < 0)
            child++;
        if (added_compare(t, ids[at], ids[child]) >= 0)
            return;
        const uint32_t id = ids[at];
        ids[at] = ids[child];
        ids[child] = id;
        at = child;
    }
}

/* Heapsort: the C library's qsort may allocate, and promises no bound. */
static void added_sort(const struct sprat__tokenizer *t, uint32_t *ids, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        added_sink(t, ids, i, n);
    for (size_t last = n; last-- > 1;) {
        const uint32_t id = ids[0];
        ids[0] = ids[last];
        ids[last] = id;
        added_sink(t, ids, 0, last);
    }
}

static bool added_is(const struct sprat__tokenizer *t, uint32_t id)
{
    const uint8_t type = t->types[id];
    return type == SPRAT_TOKEN_CONTROL || type == SPRAT_TOKEN_USER_DEFINED ||
           type == SPRAT_TOKEN_UNKNOWN;
}

/* DeepSeek-LLM and -Coder: letters that were always single tokens, in any text. */
static void added_load_letters(struct sprat__tokenizer *t)
{
    for (uint32_t i = 0; i < SPRAT__N_LETTERS; i++)
        t->letters[i] = -1;
    t->has_letters = false;
    if (t->spm ||
        (t->split != SPRAT__SPLIT_DEEPSEEK_LLM && t->split != SPRAT__SPLIT_DEEPSEEK_CODER))
        return;
    for (uint32_t id = 0; id < t->facts.n_tokens; id++) {
        size_t len;
        const uint8_t *text = sprat__vocab_text(t, id, &len);
        if (t->types[id] != SPRAT_TOKEN_USER_DEFINED || len != 2 || text[0] != 0xc3 ||
            (text[1] & 0xc0) != 0x80)
            continue;
        sprat_token *letter = &t->letters[text[1] & 0x3f];
        if (*letter < 0)
            *letter = (sprat_token)id;
        t->has_letters = true;
    }
}

sprat_status sprat__added_load(struct sprat__tokenizer *t, struct sprat__err *err)
{
    size_t n = 0, len;
    for (uint32_t id = 0; id < t->facts.n_tokens; id++) {
        if (!added_is(t, id))
            continue;
        n++;
        const uint8_t *text = sprat__vocab_text(t, id, &len);
        if (len > SPRAT__MAX_ADDED_BYTES) {
            char quoted[32];
            return sprat__fail(err, SPRAT_BAD_CONFIG,
                               "tokenizer.ggml.tokens: added token %u (\"%s\") has %zu bytes, "
                               "expected at most %d",
                               (unsigned)id,
                               sprat__quote(quoted, sizeof quoted, (const char *)text, len), len,
                               (int)SPRAT__MAX_ADDED_BYTES);
        }
    }
    t->added = sprat__new_raw(t->mem, n, sizeof *t->added, SPRAT_PURPOSE_TOKENIZER, err);
    if (!t->added)
        return err->status;
    n = 0;
    for (uint32_t id = 0; id < t->facts.n_tokens; id++) {
        /* Of equal texts the first is the token. */
        const uint8_t *text = sprat__vocab_text(t, id, &len);
        if (added_is(t, id) && sprat__token_find(t, (const char *)text, len) == (sprat_token)id)
            t->added[n++] = id;
    }
    added_sort(t, t->added, n);
    uint32_t at = 0;
    for (uint32_t byte = 0; byte < 256; byte++) {
        t->first[byte] = at;
        while (at < n && sprat__vocab_text(t, t->added[at], &len)[0] == byte)
            at++;
    }
    t->first[256] = at;
    added_load_letters(t);
    return SPRAT_OK;
}

/* The first of added[low, high), which all are longer than depth, whose byte there is not below. */
static uint32_t added_bound(const struct sprat__tokenizer *t, uint32_t low, uint32_t high,
                            size_t depth, uint32_t byte)
{
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        size_t len;
        if (sprat__vocab_text(t, t->added[middle], &len)[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

sprat_token sprat__added_match(const struct sprat__tokenizer *t, const uint8_t *text, size_t at,
                               size_t end, size_t *len)
{
    uint32_t low = t->first[text[at]], high = t->first[text[at] + 1];
    sprat_token best = -1;
    for (size_t depth = 1; low < high; depth++) {
        size_t n;
        const uint8_t *candidate = sprat__vocab_text(t, t->added[low], &n);
        if (high - low == 1) {
            if (n <= end - at && memcmp(candidate, text + at, n) == 0) {
                best = (sprat_token)t->added[low];
                *len = n;
            }
            break;
        }
        if (n == depth) {
            best = (sprat_token)t->added[low++];
            *len = n;
        }
        if (at + depth == end)
            break;
        const uint32_t byte = text[at + depth];
        low = added_bound(t, low, high, depth, byte);
        high = added_bound(t, low, high, depth, byte + 1);
    }
    return best;
}
