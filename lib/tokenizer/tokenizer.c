/* Owns the life of a tokeniser, the facts of its vocabulary, and the way from segments to tokens:
 * which added tokens are recognised where. Leaves the text between them to bpe.c and spm.c, the way
 * back to detokenize.c. Invariant: no byte of USER text ever becomes part of an added token, but
 * for the letters of DeepSeek-LLM and -Coder. */
#include "tokenizer/tokenizer.h"

#include "base/checked.h"
#include "tokenizer/merge.h"
#include "tokenizer/vocab.h"

#include <string.h>

enum { TOK_MAX_TEXT = INT32_MAX - 1 };

/* ---- making one ------------------------------------------------------------------------------ */

/* An id by key. One beyond the vocabulary, as -1 written without a sign, counts as none. */
static sprat_status tok_read_id(const struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                const char *key, sprat_token *out, struct sprat__err *err)
{
    uint32_t id = 0;
    bool found = false;
    SPRAT_TRY(sprat__gguf_u32(gguf, key, &id, &found, err));
    if (found)
        *out = id < t->facts.n_tokens ? (sprat_token)id : -1;
    return SPRAT_OK;
}

static sprat_status tok_read_facts(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                   struct sprat__err *err)
{
    struct sprat__vocab *facts = &t->facts;
    bool found;
    facts->bos = t->spm && facts->n_tokens > 1 ? 1 : -1;
    facts->eos = t->spm && facts->n_tokens > 2 ? 2 : -1;
    facts->unk = t->spm ? 0 : -1;
    facts->pad = -1;
    facts->add_bos = t->spm || t->split == SPRAT__SPLIT_LLAMA3;
    facts->add_eos = false;
    SPRAT_TRY(tok_read_id(t, gguf, "tokenizer.ggml.bos_token_id", &facts->bos, err));
    SPRAT_TRY(tok_read_id(t, gguf, "tokenizer.ggml.eos_token_id", &facts->eos, err));
    SPRAT_TRY(tok_read_id(t, gguf, "tokenizer.ggml.unknown_token_id", &facts->unk, err));
    SPRAT_TRY(tok_read_id(t, gguf, "tokenizer.ggml.padding_token_id", &facts->pad, err));
    SPRAT_TRY(sprat__gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &facts->add_bos, &found, err));
    SPRAT_TRY(sprat__gguf_bool(gguf, "tokenizer.ggml.add_eos_token", &facts->add_eos, &found, err));
    t->add_space_prefix = t->spm;
    return sprat__gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &t->add_space_prefix, &found,
                            err);
}

static void tok_add_end(struct sprat__tokenizer *t, sprat_token id)
{
    if (id >= 0 && t->n_ends < SPRAT__MAX_ENDS && !sprat__token_is_end(t, id))
        t->ends[t->n_ends++] = id;
}

/* Ids that the file names, and added tokens whose text is known to end a turn; never a NORMAL token
 * by its text (Qwen's vocabulary has an ordinary "</s>"). */
static sprat_status tok_read_ends(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                  struct sprat__err *err)
{
    static const char *const keys[] = {
        "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.eom_token_id",
        "tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id",
        "tokenizer.ggml.fim_sep_token_id",
    };
    static const char *const texts[] = {
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|endoftext|>",
        "<|eom_id|>",
        "</s>",
        "<EOT>",
        "_<EOT>",
        "<|EOT|>",
        "<|end_of_text|>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "<\357\275\234end\342\226\201of\342\226\201sentence\357\275\234>",
        "<|fim_pad|>",
        "<fim-pad>",
        "<fim_pad>",
        "<PAD>",
        "<|fim_repo|>",
        "<|repo_name|>",
        "<fim-repo>",
        "<REPO>",
        "<reponame>",
        "<|file_sep|>",
    };
    tok_add_end(t, t->facts.eos);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        sprat_token id = -1;
        SPRAT_TRY(tok_read_id(t, gguf, keys[i], &id, err));
        tok_add_end(t, id);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const sprat_token id = sprat__token_find(t, texts[i], strlen(texts[i]));
        if (id >= 0 &&
            (t->types[id] == SPRAT_TOKEN_CONTROL || t->types[id] == SPRAT_TOKEN_USER_DEFINED))
            tok_add_end(t, id);
    }
    return SPRAT_OK;
}

/* Model and pre-tokeniser by name. none: set where the file says that it has no vocabulary. */
static sprat_status tok_read_kind(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                                  bool *none, struct sprat__err *err)
{
    const char *name = NULL;
    size_t len = 0;
    bool found = false;
    char quoted[64];
    SPRAT_TRY(sprat__gguf_string(gguf, "tokenizer.ggml.model", &name, &len, &found, err));
    *none = !found || (len == 4 && memcmp(name, "none", 4) == 0) ||
            (len == 8 && memcmp(name, "no_vocab", 8) == 0);
    if (!found && sprat__gguf_key(gguf, "tokenizer.ggml.tokens"))
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "tokenizer.ggml.model: missing, though there are tokens");
    if (*none)
        return SPRAT_OK;
    t->spm = len == 5 && memcmp(name, "llama", 5) == 0;
    if (t->spm)
        return SPRAT_OK;
    if (len != 4 || memcmp(name, "gpt2", 4) != 0)
        return sprat__fail(err, SPRAT_UNKNOWN_TOKENIZER,
                           "tokenizer.ggml.model: \"%s\", expected \"gpt2\" or \"llama\"",
                           sprat__quote(quoted, sizeof quoted, name, len));
    SPRAT_TRY(sprat__gguf_string(gguf, "tokenizer.ggml.pre", &name, &len, &found, err));
    t->split = SPRAT__SPLIT_DEFAULT;
    if (found && !sprat__split_find(name, len, &t->split))
        return sprat__fail(err, SPRAT_UNKNOWN_TOKENIZER,
                           "tokenizer.ggml.pre: \"%s\" is no pre-tokeniser this version knows",
                           sprat__quote(quoted, sizeof quoted, name, len));
    t->ignore_merges = t->split == SPRAT__SPLIT_LLAMA3;
    return SPRAT_OK;
}

static sprat_status tok_load(struct sprat__tokenizer *t, const struct sprat__gguf *gguf,
                             struct sprat__err *err)
{
    SPRAT_TRY(sprat__vocab_load_texts(t, gguf, err));
    if (t->spm)
        sprat__vocab_load_bytes(t);
    else
        SPRAT_TRY(sprat__vocab_load_merges(t, gguf, err));
    SPRAT_TRY(sprat__added_load(t, err));
    SPRAT_TRY(tok_read_facts(t, gguf, err));
    return tok_read_ends(t, gguf, err);
}

sprat_status sprat__tokenizer_create(struct sprat__tokenizer **out, struct sprat__mem *mem,
                                     const struct sprat__gguf *gguf, struct sprat__err *err)
{
    bool none = false;
    *out = NULL;
    struct sprat__tokenizer *t = sprat__new(mem, 1, sizeof *t, SPRAT_PURPOSE_TOKENIZER, err);
    if (!t)
        return err->status;
    t->mem = mem;
    sprat_status status = tok_read_kind(t, gguf, &none, err);
    if (status == SPRAT_OK && !none)
        status = tok_load(t, gguf, err);
    if (status != SPRAT_OK || none)
        sprat__tokenizer_destroy(t);
    else
        *out = t;
    return status;
}

void sprat__tokenizer_destroy(struct sprat__tokenizer *t)
{
    if (!t)
        return;
    struct sprat__mem *mem = t->mem;
    sprat__free(mem, t->text_at);
    sprat__free(mem, t->types);
    sprat__free(mem, t->texts.slots);
    sprat__free(mem, t->merges);
    sprat__free(mem, t->pairs.slots);
    sprat__free(mem, t->added);
    sprat__free(mem, t);
}

const struct sprat__vocab *sprat__tokenizer_vocab(const struct sprat__tokenizer *t)
{
    return &t->facts;
}

bool sprat__token_is_end(const struct sprat__tokenizer *t, sprat_token id)
{
    for (uint32_t i = 0; i < t->n_ends; i++) {
        if (t->ends[i] == id)
            return true;
    }
    return false;
}

/* ---- text to tokens -------------------------------------------------------------------------- */

/* A call of sprat__tokenize. */
struct tok_call {
    const struct sprat__tokenizer *t;
    struct sprat__merger merger;
    struct sprat__sink sink;
    uint64_t scan_steps;
    const uint8_t *text; /* all segments, one after the other */
    size_t len;
    uint8_t *copy; /* text where it had to be joined, else NULL */
    const struct sprat_segment *segments;
    size_t n_segments;
    size_t next_segment;  /* the first behind the run */
    size_t next_at;       /* where its text begins */
    size_t run, run_stop; /* template text from run to run_stop; both at len if none is left */
    bool bos_due;
};

/* Moves to the next stretch of template text, joined across segments. */
static void tok_next_run(struct tok_call *call)
{
    size_t at = call->next_at, i = call->next_segment;
    while (i < call->n_segments &&
           (call->segments[i].len == 0 || call->segments[i].kind != SPRAT_TEXT_TEMPLATE))
        at += call->segments[i++].len;
    call->run = at;
    while (i < call->n_segments &&
           (call->segments[i].len == 0 || call->segments[i].kind == SPRAT_TEXT_TEMPLATE))
        at += call->segments[i++].len;
    call->run_stop = at;
    call->next_at = at;
    call->next_segment = i;
}

/* The added token at a place, and its length; -1 if there is none. */
static sprat_token tok_added_at(const struct tok_call *call, size_t at, size_t *len)
{
    const struct sprat__tokenizer *t = call->t;
    if (at >= call->run && at < call->run_stop) {
        const sprat_token id = sprat__added_match(t, call->text, at, call->run_stop, len);
        if (id >= 0)
            return id;
    }
    if (t->has_letters && call->text[at] == 0xc3 && at + 1 < call->len &&
        (call->text[at + 1] & 0xc0) == 0x80) {
        *len = 2;
        return t->letters[call->text[at + 1] & 0x3f];
    }
    return -1;
}

/* Puts BOS first if it is still to come and what follows, next (-1: text), is not BOS itself. */
static void tok_put_bos(struct tok_call *call, sprat_token next)
{
    if (call->bos_due && next != call->t->facts.bos)
        sprat__sink_put(&call->sink, (uint32_t)call->t->facts.bos);
    call->bos_due = false;
}

static sprat_status tok_put_text(struct tok_call *call, size_t begin, size_t end,
                                 struct sprat__err *err)
{
    if (begin == end)
        return SPRAT_OK;
    tok_put_bos(call, -1);
    return (call->t->spm ? sprat__spm_encode : sprat__bpe_encode)(
        call->t, &call->merger, call->text, begin, end, &call->sink, &call->scan_steps, err);
}

static sprat_status tok_run(struct tok_call *call, struct sprat__err *err)
{
    size_t begin = 0; /* of the text since the last added token */
    tok_next_run(call);
    for (size_t at = 0; at < call->len;) {
        if (at >= call->run_stop && call->run < call->len)
            tok_next_run(call);
        if (at < call->run && !call->t->has_letters) {
            at = call->run;
            continue;
        }
        size_t len;
        const sprat_token id = tok_added_at(call, at, &len);
        if (id < 0) {
            at++;
            continue;
        }
        SPRAT_TRY(tok_put_text(call, begin, at, err));
        tok_put_bos(call, id);
        sprat__sink_put(&call->sink, (uint32_t)id);
        at += len;
        begin = at;
    }
    SPRAT_TRY(tok_put_text(call, begin, call->len, err));
    tok_put_bos(call, -1);
    return SPRAT_OK;
}

/* Checks the segments and makes one text of them. */
static sprat_status tok_join(struct tok_call *call, struct sprat__mem *mem, struct sprat__err *err)
{
    size_t n_filled = 0;
    for (size_t i = 0; i < call->n_segments; i++) {
        const struct sprat_segment *segment = &call->segments[i];
        if (segment->kind > SPRAT_TEXT_TEMPLATE)
            return sprat__fail(err, SPRAT_INVALID, "segment %zu: kind %u, expected 0 or 1", i,
                               (unsigned)segment->kind);
        if (segment->len == 0)
            continue;
        if (!segment->text)
            return sprat__fail(err, SPRAT_INVALID, "segment %zu: %zu bytes at NULL", i,
                               segment->len);
        if (segment->len > TOK_MAX_TEXT - call->len)
            return sprat__fail(err, SPRAT_INVALID, "text of more than %ld bytes at once",
                               (long)TOK_MAX_TEXT);
        call->text = (const uint8_t *)segment->text;
        call->len += segment->len;
        n_filled++;
    }
    if (n_filled < 2)
        return SPRAT_OK;
    call->copy = sprat__new_raw(mem, call->len, 1, SPRAT_PURPOSE_TEXT, err);
    if (!call->copy)
        return err->status;
    size_t at = 0;
    for (size_t i = 0; i < call->n_segments; i++) {
        if (call->segments[i].len == 0)
            continue;
        memcpy(call->copy + at, call->segments[i].text, call->segments[i].len);
        at += call->segments[i].len;
    }
    call->text = call->copy;
    return SPRAT_OK;
}

sprat_status sprat__tokenize_counted(size_t *n_tokens, const struct sprat__tokenizer *t,
                                     struct sprat__mem *mem, const struct sprat_segment *segments,
                                     size_t n_segments, uint32_t flags, sprat_token *tokens,
                                     size_t capacity, struct sprat__tokenize_work *work,
                                     struct sprat__err *err)
{
    *n_tokens = 0;
    if ((flags & ~(uint32_t)SPRAT_TOKENIZE_BOS) || (capacity > 0 && !tokens) ||
        (n_segments > 0 && !segments))
        return sprat__fail(err, SPRAT_INVALID, "tokenize: %s",
                           flags & ~(uint32_t)SPRAT_TOKENIZE_BOS ? "unknown flag"
                                                                 : "an array is NULL");
    struct tok_call call = {.t = t,
                            .merger = {.mem = mem},
                            .sink = {tokens, capacity, 0},
                            .segments = segments,
                            .n_segments = n_segments};
    call.bos_due = (flags & SPRAT_TOKENIZE_BOS) && t->facts.add_bos && t->facts.bos >= 0;
    sprat_status status = tok_join(&call, mem, err);
    if (status == SPRAT_OK)
        status = tok_run(&call, err);
    if (work) {
        work->merge_steps = call.merger.steps;
        work->scan_steps = call.scan_steps;
        work->scratch_bytes =
            call.merger.peak_bytes + (call.copy ? sprat__block_bytes(call.len, 1) : 0);
    }
    sprat__merger_end(&call.merger);
    sprat__wipe_free(mem, call.copy);
    SPRAT_TRY(status);
    *n_tokens = call.sink.n;
    if (call.sink.n > capacity)
        return sprat__fail(err, SPRAT_BUFFER_TOO_SMALL, "%zu tokens, room for %zu", call.sink.n,
                           capacity);
    return SPRAT_OK;
}

sprat_status sprat__tokenize(size_t *n_tokens, const struct sprat__tokenizer *t,
                             struct sprat__mem *mem, const struct sprat_segment *segments,
                             size_t n_segments, uint32_t flags, sprat_token *tokens,
                             size_t capacity, struct sprat__err *err)
{
    return sprat__tokenize_counted(n_tokens, t, mem, segments, n_segments, flags, tokens, capacity,
                                   NULL, err);
}
