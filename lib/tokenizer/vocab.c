/* Owns the vocabulary's tables: texts, types, merges, bytes. Leaves added tokens and facts to
 * added.c and tokenizer.c. UNTRUSTED INPUT: counts, offsets and ids are checked here once; behind
 * this file every symbol below n_tokens has a text, and every other one is only a number.
 *
 * A merge may name texts that the vocabulary does not have, or only as added tokens, which ordinary
 * text must never become: such a text gets a number from n_tokens on, takes part in merging, and is
 * written byte by byte if it is left at the end. */
#include "tokenizer/vocab.h"

#include "base/checked.h"
#include "base/cursor.h"

#include <string.h>

enum {
    VOCAB_MAX_PROBES = 4096, /* more than any honest vocabulary needs, by far */
    VOCAB_LEAST_BITS = 13,
    VOCAB_MAX_EXTRAS =
        4096,               /* and one for each 8 tokens; then still a sixth of the slots is free */
    VOCAB_MAX_PIECE = 1024, /* bytes of an SPM token; each lookup reads so many at most */
    VOCAB_HASH_SPACE = 0x20
};

static uint64_t vocab_hash_byte(uint64_t hash, uint32_t byte)
{
    return (hash ^ byte) * 0x9e3779b97f4a7c15u;
}

static uint64_t vocab_hash_bytes(uint64_t hash, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = vocab_hash_byte(hash, bytes[i]);
    return hash;
}

static uint64_t vocab_hash_end(uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}

#define VOCAB_HASH_BEGIN 0x243f6a8885a308d3u

/* The upper half of the hash, cut to what a slot has room for above the index. */
static uint32_t vocab_tag(const struct sprat__slots *slots, uint64_t hash)
{
    return (uint32_t)(hash >> 32) >> slots->bits;
}

/* A walk over the entries that may be equal to what was hashed. */
struct vocab_probe {
    const struct sprat__slots *slots;
    uint32_t at, tag, left;
};

static struct vocab_probe vocab_probe_begin(const struct sprat__slots *slots, uint64_t hash)
{
    const struct vocab_probe probe = {slots, (uint32_t)hash & ((1u << slots->bits) - 1u),
                                      vocab_tag(slots, hash), VOCAB_MAX_PROBES};
    return probe;
}

/* The index of the next candidate; SPRAT__NO_SYMBOL where there is none left. */
static uint32_t vocab_probe_next(struct vocab_probe *probe)
{
    const uint32_t mask = (1u << probe->slots->bits) - 1u;
    while (probe->left > 0) {
        const uint32_t slot = probe->slots->slots[probe->at];
        if (slot == 0)
            break;
        probe->left--;
        probe->at = (probe->at + 1) & mask;
        if (slot >> probe->slots->bits == probe->tag)
            return (slot & mask) - 1;
    }
    return SPRAT__NO_SYMBOL;
}

/* Puts an index, below the number of slots - 1, into the first free slot. */
static sprat_status vocab_slots_add(struct sprat__slots *slots, uint64_t hash, uint32_t index,
                                    const char *what, struct sprat__err *err)
{
    const uint32_t mask = (1u << slots->bits) - 1u;
    uint32_t at = (uint32_t)hash & mask;
    for (uint32_t i = 0; i < VOCAB_MAX_PROBES && slots->used < mask; i++, at = (at + 1) & mask) {
        if (slots->slots[at] == 0) {
            slots->slots[at] = vocab_tag(slots, hash) << slots->bits | (index + 1);
            slots->used++;
            return SPRAT_OK;
        }
    }
    return sprat__fail(err, SPRAT_BAD_CONFIG, "%s: entry %u collides with more than %d others",
                       what, (unsigned)index, (int)VOCAB_MAX_PROBES);
}

/* Room for n entries at two thirds full. */
static sprat_status vocab_slots_make(struct sprat__slots *slots, struct sprat__mem *mem, size_t n,
                                     struct sprat__err *err)
{
    uint32_t bits = VOCAB_LEAST_BITS;
    while (((size_t)1 << bits) / 3 < n / 2 + 1)
        bits++;
    slots->bits = bits;
    slots->used = 0;
    slots->slots =
        sprat__new(mem, (size_t)1 << bits, sizeof(uint32_t), SPRAT_PURPOSE_TOKENIZER, err);
    return slots->slots ? SPRAT_OK : err->status;
}

/* The first token with exactly that text. */
static uint32_t vocab_find_text(const struct sprat__tokenizer *t, const uint8_t *text, size_t len)
{
    struct vocab_probe probe =
        vocab_probe_begin(&t->texts, vocab_hash_end(vocab_hash_bytes(VOCAB_HASH_BEGIN, text, len)));
    uint32_t id;
    while ((id = vocab_probe_next(&probe)) != SPRAT__NO_SYMBOL) {
        size_t n;
        if (id >= t->facts.n_tokens)
            continue;
        const uint8_t *stored = sprat__vocab_text(t, id, &n);
        if (n == len && memcmp(stored, text, len) == 0)
            return id;
    }
    return SPRAT__NO_SYMBOL;
}

sprat_token sprat__token_find(const struct sprat__tokenizer *t, const char *text, size_t len)
{
    if (len == 0)
        return -1;
    const uint32_t id = vocab_find_text(t, (const uint8_t *)text, len);
    return id == SPRAT__NO_SYMBOL ? -1 : (sprat_token)id;
}

/* Whether a stored text is the byte-level spelling of a word. */
static bool vocab_spells_word(const uint8_t *text, size_t n, const uint8_t *word, size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        const uint32_t point = sprat__byte_to_point(word[i]);
        if (point < 0x80) {
            if (at == n || text[at++] != point)
                return false;
        } else {
            if (n - at < 2 || text[at] != (0xc0 | point >> 6) ||
                text[at + 1] != (0x80 | (point & 0x3f)))
                return false;
            at += 2;
        }
    }
    return at == n;
}

uint32_t sprat__vocab_find_word(const struct sprat__tokenizer *t, const uint8_t *word, size_t len)
{
    if (len > t->longest)
        return SPRAT__NO_SYMBOL;
    uint64_t hash = VOCAB_HASH_BEGIN;
    for (size_t i = 0; i < len; i++) {
        const uint32_t point = sprat__byte_to_point(word[i]);
        if (point >= 0x80) {
            hash = vocab_hash_byte(hash, 0xc0 | point >> 6);
            hash = vocab_hash_byte(hash, 0x80 | (point & 0x3f));
        } else {
            hash = vocab_hash_byte(hash, point);
        }
    }
    struct vocab_probe probe = vocab_probe_begin(&t->texts, vocab_hash_end(hash));
    uint32_t id;
    while ((id = vocab_probe_next(&probe)) != SPRAT__NO_SYMBOL) {
        size_t n;
        if (id >= t->facts.n_tokens || t->types[id] != SPRAT_TOKEN_NORMAL)
            continue;
        const uint8_t *text = sprat__vocab_text(t, id, &n);
        if (vocab_spells_word(text, n, word, len))
            return id;
    }
    return SPRAT__NO_SYMBOL;
}

/* Whether a stored text at its byte *at goes on with a piece's bytes, U+2581 for each space. */
static bool vocab_spells_piece(const uint8_t *text, size_t n, size_t *at, const uint8_t *piece,
                               size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (piece[i] != VOCAB_HASH_SPACE) {
            if (*at == n || text[(*at)++] != piece[i])
                return false;
        } else {
            if (n - *at < 3 || memcmp(text + *at, "\xe2\x96\x81", 3) != 0)
                return false;
            *at += 3;
        }
    }
    return true;
}

uint32_t sprat__vocab_find_piece(const struct sprat__tokenizer *t, const uint8_t *piece, size_t len,
                                 bool prefix)
{
    static const uint8_t space[3] = {0xe2, 0x96, 0x81};
    if (len > t->longest)
        return SPRAT__NO_SYMBOL;
    uint64_t hash = VOCAB_HASH_BEGIN;
    if (prefix)
        hash = vocab_hash_bytes(hash, space, 3);
    for (size_t i = 0; i < len; i++) {
        if (piece[i] == VOCAB_HASH_SPACE)
            hash = vocab_hash_bytes(hash, space, 3);
        else
            hash = vocab_hash_byte(hash, piece[i]);
    }
    struct vocab_probe probe = vocab_probe_begin(&t->texts, vocab_hash_end(hash));
    uint32_t id;
    while ((id = vocab_probe_next(&probe)) != SPRAT__NO_SYMBOL) {
        size_t n, at = 0;
        if (id >= t->facts.n_tokens || t->types[id] != SPRAT_TOKEN_NORMAL)
            continue;
        const uint8_t *text = sprat__vocab_text(t, id, &n);
        if (prefix && !vocab_spells_piece(text, n, &at, (const uint8_t *)" ", 1))
            continue;
        if (vocab_spells_piece(text, n, &at, piece, len) && at == n)
            return id;
    }
    return SPRAT__NO_SYMBOL;
}

int sprat__vocab_byte_text(const uint8_t *text, size_t len)
{
    if (len != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int value = 0;
    for (int i = 3; i < 5; i++) {
        const uint8_t c = text[i];
        int digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* ---- texts and types ------------------------------------------------------------------------- */

/* Whether text is [PAD<id>]. */
static bool vocab_is_pad(const uint8_t *text, size_t len, uint32_t id)
{
    if (len < 6 || len > 15 || memcmp(text, "[PAD", 4) != 0 || text[len - 1] != ']')
        return false;
    uint64_t number = 0;
    for (size_t i = 4; i + 1 < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    return number == id;
}

static bool vocab_framed(const uint8_t *text, size_t len, const char *open, const char *close)
{
    const size_t a = strlen(open), b = strlen(close);
    return len >= a + b && memcmp(text, open, a) == 0 && memcmp(text + len - b, close, b) == 0;
}

/* The type of a token that the file calls USER_DEFINED. Early converters called padding, and all
 * added tokens that tokenizer.json does not call special, so; later ones go by the text. */
static uint8_t vocab_user_type(const uint8_t *text, size_t len, uint32_t id)
{
    if (vocab_is_pad(text, len, id))
        return SPRAT_TOKEN_UNUSED;
    if (vocab_framed(text, len, "<|", "|>") ||
        vocab_framed(text, len, "<\xef\xbd\x9c", "\xef\xbd\x9c>") ||
        (len == 5 && memcmp(text, "<pad>", 5) == 0))
        return SPRAT_TOKEN_CONTROL;
    return SPRAT_TOKEN_USER_DEFINED;
}

/* Finds an array of one number per token, 32 bits each. *out is NULL where the key is missing. */
static sprat_status vocab_number_array(const struct sprat__gguf *gguf, const char *name,
                                       uint32_t element, uint32_t other, uint32_t n_tokens,
                                       const uint8_t **out, struct sprat__err *err)
{
    const struct sprat__gguf_key *key = sprat__gguf_key(gguf, name);
    *out = NULL;
    if (!key)
        return SPRAT_OK;
    if (key->type != SPRAT__GGUF_ARRAY || (key->element != element && key->element != other))
        return sprat__fail(err, SPRAT_BAD_CONFIG, "%s: not an array of 32-bit %s", name,
                           element == SPRAT__GGUF_F32 ? "floats" : "integers");
    if (key->count != n_tokens)
        return sprat__fail(err, SPRAT_BAD_CONFIG, "%s: %llu values for %u tokens", name,
                           (unsigned long long)key->count, (unsigned)n_tokens);
    *out = key->value;
    return SPRAT_OK;
}

/* The type of token id, from the file's array (NULL: there is none) and its text. */
static sprat_status vocab_type(const struct sprat__tokenizer *t, const uint8_t *file_types,
                               uint32_t id, uint8_t *out, struct sprat__err *err)
{
    size_t len;
    const uint8_t *text = sprat__vocab_text(t, id, &len);
    uint32_t type = file_types ? sprat__le32(file_types + (size_t)id * 4) : SPRAT_TOKEN_NORMAL;
    if (type == 0) /* not stated */
        type = SPRAT_TOKEN_NORMAL;
    if (!file_types && t->spm && sprat__vocab_byte_text(text, len) >= 0)
        type = SPRAT_TOKEN_BYTE;
    if (type > SPRAT_TOKEN_BYTE)
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.token_type: token %u has type %u, expected 1 to 6",
                           (unsigned)id, (unsigned)type);
    if (type == SPRAT_TOKEN_USER_DEFINED)
        type = vocab_user_type(text, len, id);
    if (len == 0) /* nothing could ever become it */
        type = SPRAT_TOKEN_UNUSED;
    if (type == SPRAT_TOKEN_BYTE && sprat__vocab_byte_text(text, len) < 0) {
        char quoted[48];
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.tokens: byte token %u is \"%s\", expected <0xXX>",
                           (unsigned)id,
                           sprat__quote(quoted, sizeof quoted, (const char *)text, len));
    }
    if (t->spm && type == SPRAT_TOKEN_NORMAL && len > VOCAB_MAX_PIECE)
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.tokens: token %u has %zu bytes, expected at most %d",
                           (unsigned)id, len, (int)VOCAB_MAX_PIECE);
    *out = (uint8_t)type;
    return SPRAT_OK;
}

/* Fills text_at from the array of strings. */
static sprat_status vocab_offsets(struct sprat__tokenizer *t, const struct sprat__gguf_key *key,
                                  struct sprat__err *err)
{
    size_t cursor = 0, len = 0;
    uint64_t at = 8;
    for (uint32_t id = 0; id < t->facts.n_tokens; id++) {
        const char *text;
        if (!sprat__gguf_next_string(key, &cursor, &text, &len) ||
            (const uint8_t *)text != t->base + at || len > UINT32_MAX - 8 - at)
            return sprat__fail(err, SPRAT_BAD_CONFIG,
                               "tokenizer.ggml.tokens: text %u is out of place or beyond 4 GiB",
                               (unsigned)id);
        t->text_at[id] = (uint32_t)at;
        at += len + 8;
    }
    t->text_at[t->facts.n_tokens] = (uint32_t)at;
    return SPRAT_OK;
}

sprat_status sprat__vocab_load_texts(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                     struct sprat__err *err)
{
    const struct sprat__gguf_key *key = sprat__gguf_key(gguf, "tokenizer.ggml.tokens");
    if (!key || key->type != SPRAT__GGUF_ARRAY || key->element != SPRAT__GGUF_STRING)
        return sprat__fail(err, SPRAT_BAD_CONFIG, "tokenizer.ggml.tokens: %s",
                           key ? "not an array of strings" : "missing");
    if (key->count == 0 || key->count > SPRAT__MAX_TOKENS)
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.tokens: %llu tokens, expected 1 to %d",
                           (unsigned long long)key->count, (int)SPRAT__MAX_TOKENS);
    const uint32_t n = (uint32_t)key->count;
    t->facts.n_tokens = n;
    t->base = key->value;
    t->text_at =
        sprat__new_raw(t->mem, (size_t)n + 1, sizeof *t->text_at, SPRAT_PURPOSE_TOKENIZER, err);
    t->types = t->text_at ? sprat__new_raw(t->mem, n, 1, SPRAT_PURPOSE_TOKENIZER, err) : NULL;
    if (!t->types)
        return err->status;
    SPRAT_TRY(vocab_offsets(t, key, err));
    SPRAT_TRY(vocab_slots_make(&t->texts, t->mem, n, err));
    const uint8_t *file_types;
    SPRAT_TRY(vocab_number_array(gguf, "tokenizer.ggml.token_type", SPRAT__GGUF_I32,
                                 SPRAT__GGUF_U32, n, &file_types, err));
    SPRAT_TRY(vocab_number_array(gguf, "tokenizer.ggml.scores", SPRAT__GGUF_F32, SPRAT__GGUF_F32, n,
                                 &t->scores, err));
    for (uint32_t id = 0; id < n; id++) {
        size_t len;
        const uint8_t *text = sprat__vocab_text(t, id, &len);
        SPRAT_TRY(vocab_type(t, file_types, id, &t->types[id], err));
        if (t->types[id] == SPRAT_TOKEN_NORMAL && len > t->longest)
            t->longest = len;
        if (len == 0 || vocab_find_text(t, text, len) != SPRAT__NO_SYMBOL)
            continue;
        const uint64_t hash = vocab_hash_end(vocab_hash_bytes(VOCAB_HASH_BEGIN, text, len));
        SPRAT_TRY(vocab_slots_add(&t->texts, hash, id, "tokenizer.ggml.tokens", err));
    }
    return SPRAT_OK;
}

/* ---- merges ---------------------------------------------------------------------------------- */

/* A text in one or two pieces, in the file or in a static place. */
struct vocab_parts {
    const uint8_t *a, *b;
    size_t a_len, b_len;
};

/* The texts that the vocabulary does not have; only while merges are read. */
struct vocab_extras {
    struct vocab_parts *parts; /* symbol n_tokens + i */
    size_t n, capacity;
};

static bool vocab_parts_equal(const struct vocab_parts *x, const struct vocab_parts *y)
{
    if (x->a_len + x->b_len != y->a_len + y->b_len)
        return false;
    for (size_t i = 0; i < x->a_len + x->b_len; i++) {
        const uint8_t c = i < x->a_len ? x->a[i] : x->b[i - x->a_len];
        const uint8_t d = i < y->a_len ? y->a[i] : y->b[i - y->a_len];
        if (c != d)
            return false;
    }
    return true;
}

static bool vocab_symbol_is(const struct sprat__tokenizer *t, const struct vocab_extras *extras,
                            uint32_t symbol, const struct vocab_parts *text)
{
    if (symbol >= t->facts.n_tokens)
        return vocab_parts_equal(&extras->parts[symbol - t->facts.n_tokens], text);
    if (t->types[symbol] != SPRAT_TOKEN_NORMAL)
        return false;
    size_t len;
    const uint8_t *stored = sprat__vocab_text(t, symbol, &len);
    return len == text->a_len + text->b_len && memcmp(stored, text->a, text->a_len) == 0 &&
           (text->b_len == 0 || memcmp(stored + text->a_len, text->b, text->b_len) == 0);
}

/* The symbol with that text; a new one if there is none yet. */
static sprat_status vocab_intern(struct sprat__tokenizer *t, struct vocab_extras *extras,
                                 const struct vocab_parts *text, uint32_t *out,
                                 struct sprat__err *err)
{
    uint64_t hash = vocab_hash_bytes(VOCAB_HASH_BEGIN, text->a, text->a_len);
    hash = vocab_hash_end(vocab_hash_bytes(hash, text->b, text->b_len));
    struct vocab_probe probe = vocab_probe_begin(&t->texts, hash);
    while ((*out = vocab_probe_next(&probe)) != SPRAT__NO_SYMBOL) {
        if (vocab_symbol_is(t, extras, *out, text))
            return SPRAT_OK;
    }
    const uint32_t room = VOCAB_MAX_EXTRAS + t->facts.n_tokens / 8;
    if (extras->n >= room)
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.merges: %zu texts that are no tokens: these merges are "
                           "another vocabulary's",
                           extras->n);
    void *data = extras->parts;
    SPRAT_TRY(sprat__grow(t->mem, &data, extras->n, &extras->capacity, extras->n + 1,
                          sizeof *extras->parts, SPRAT_PURPOSE_TOKENIZER, err));
    extras->parts = data;
    extras->parts[extras->n] = *text;
    *out = t->facts.n_tokens + (uint32_t)extras->n++;
    return vocab_slots_add(&t->texts, hash, *out, "tokenizer.ggml.merges", err);
}

static uint64_t vocab_hash_pair(uint32_t left, uint32_t right)
{
    return vocab_hash_end(((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u);
}

uint32_t sprat__vocab_find_pair(const struct sprat__tokenizer *t, uint32_t left, uint32_t right)
{
    struct vocab_probe probe = vocab_probe_begin(&t->pairs, vocab_hash_pair(left, right));
    uint32_t i;
    while ((i = vocab_probe_next(&probe)) != SPRAT__NO_SYMBOL) {
        if (t->merges[i].left == left && t->merges[i].right == right)
            return i;
    }
    return SPRAT__NO_MERGE;
}

/* Each byte's symbol: merges begin from these. spelling holds their texts until merges are read. */
static sprat_status vocab_byte_symbols(struct sprat__tokenizer *t, struct vocab_extras *extras,
                                       uint8_t spelling[512], struct sprat__err *err)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        const uint32_t point = sprat__byte_to_point(byte);
        uint8_t *text = spelling + 2 * byte;
        struct vocab_parts parts = {text, NULL, 1, 0};
        text[0] = (uint8_t)point;
        if (point >= 0x80) {
            text[0] = (uint8_t)(0xc0 | point >> 6);
            text[1] = (uint8_t)(0x80 | (point & 0x3f));
            parts.a_len = 2;
        }
        SPRAT_TRY(vocab_intern(t, extras, &parts, &t->bytes[byte], err));
    }
    return SPRAT_OK;
}

/* Reads merge number i, "left right", split at the first space from byte 1 on. */
static sprat_status vocab_read_merge(struct sprat__tokenizer *t, struct vocab_extras *extras,
                                     const uint8_t *text, size_t len, uint32_t i,
                                     struct sprat__err *err)
{
    const uint8_t *space = len > 1 ? memchr(text + 1, ' ', len - 1) : NULL;
    const size_t left = space ? (size_t)(space - text) : len;
    if (!space || left + 1 == len) {
        char quoted[64];
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.merges: merge %u is \"%s\", expected two texts with a "
                           "space between them",
                           (unsigned)i,
                           sprat__quote(quoted, sizeof quoted, (const char *)text, len));
    }
    const struct vocab_parts a = {text, NULL, left, 0};
    const struct vocab_parts b = {space + 1, NULL, len - left - 1, 0};
    const struct vocab_parts both = {text, space + 1, left, len - left - 1};
    struct sprat__merge_row row;
    SPRAT_TRY(vocab_intern(t, extras, &a, &row.left, err));
    SPRAT_TRY(vocab_intern(t, extras, &b, &row.right, err));
    SPRAT_TRY(vocab_intern(t, extras, &both, &row.result, err));
    t->merges[i] = row;
    if (sprat__vocab_find_pair(t, row.left, row.right) != SPRAT__NO_MERGE)
        return SPRAT_OK;
    return vocab_slots_add(&t->pairs, vocab_hash_pair(row.left, row.right), i,
                           "tokenizer.ggml.merges", err);
}

static sprat_status vocab_read_merges(struct sprat__tokenizer *t, struct vocab_extras *extras,
                                      const struct sprat__gguf_key *key, struct sprat__err *err)
{
    uint8_t spelling[512];
    size_t cursor = 0, len;
    const char *text;
    SPRAT_TRY(vocab_byte_symbols(t, extras, spelling, err));
    for (uint32_t i = 0; i < t->n_merges; i++) {
        if (!sprat__gguf_next_string(key, &cursor, &text, &len))
            return sprat__fail(err, SPRAT_BAD_CONFIG, "tokenizer.ggml.merges: %u of %u can be read",
                               (unsigned)i, (unsigned)t->n_merges);
        SPRAT_TRY(vocab_read_merge(t, extras, (const uint8_t *)text, len, i, err));
    }
    return SPRAT_OK;
}

sprat_status sprat__vocab_load_merges(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                      struct sprat__err *err)
{
    const struct sprat__gguf_key *key = sprat__gguf_key(gguf, "tokenizer.ggml.merges");
    if (!key || key->type != SPRAT__GGUF_ARRAY || key->element != SPRAT__GGUF_STRING)
        return sprat__fail(err, SPRAT_BAD_CONFIG, "tokenizer.ggml.merges: %s",
                           key ? "not an array of strings" : "missing");
    if (key->count > SPRAT__MAX_MERGES)
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.merges: %llu merges, expected at most %d",
                           (unsigned long long)key->count, (int)SPRAT__MAX_MERGES);
    t->n_merges = (uint32_t)key->count;
    SPRAT_TRY(vocab_slots_make(&t->pairs, t->mem, t->n_merges, err));
    t->merges =
        sprat__new_raw(t->mem, t->n_merges, sizeof *t->merges, SPRAT_PURPOSE_TOKENIZER, err);
    if (!t->merges)
        return err->status;
    struct vocab_extras extras = {NULL, 0, 0};
    const sprat_status status = vocab_read_merges(t, &extras, key, err);
    sprat__free(t->mem, extras.parts);
    return status;
}

/* ---- SPM ------------------------------------------------------------------------------------- */

/* Whether a text has U+2581 behind something else. */
static bool vocab_space_inside(const uint8_t *text, size_t len)
{
    size_t at = 0;
    while (len - at >= 3 && memcmp(text + at, "\xe2\x96\x81", 3) == 0)
        at += 3;
    for (; len - at >= 3; at++) {
        if (memcmp(text + at, "\xe2\x96\x81", 3) == 0)
            return true;
    }
    return false;
}

void sprat__vocab_load_bytes(struct sprat__tokenizer *t)
{
    for (uint32_t byte = 0; byte < 256; byte++)
        t->bytes[byte] = SPRAT__NO_SYMBOL;
    t->space_begins = true;
    for (uint32_t id = 0; id < t->facts.n_tokens; id++) {
        size_t len;
        const uint8_t *text = sprat__vocab_text(t, id, &len);
        if (t->types[id] == SPRAT_TOKEN_NORMAL && vocab_space_inside(text, len))
            t->space_begins = false;
        if (t->types[id] != SPRAT_TOKEN_BYTE)
            continue;
        const int byte = sprat__vocab_byte_text(text, len);
        if (byte >= 0 && t->bytes[byte] == SPRAT__NO_SYMBOL)
            t->bytes[byte] = id;
    }
}
