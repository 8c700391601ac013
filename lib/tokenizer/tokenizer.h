/* Text to tokens and back: byte-level BPE and SentencePiece-like BPE (SPM), as the GGUF's
 * vocabulary says. Vocabulary and patterns: doc/tokenizer.md. Immutable once made; any number of
 * threads. */
#ifndef SPRAT__TOKENIZER_H
#define SPRAT__TOKENIZER_H

#include "base/alloc.h"
#include "format/gguf.h"

struct sprat__tokenizer;

/* Strings stay in the gguf, which must outlive the tokeniser. A file without tokenizer keys gives
 * *out = NULL and OK; one whose model or pre-tokeniser is not known gives UNKNOWN_TOKENIZER;
 * contradictions give BAD_CONFIG. */
sprat_status sprat__tokenizer_create(struct sprat__tokenizer **out, struct sprat__mem *mem,
                                     const struct sprat__gguf *gguf, struct sprat__err *err);
void sprat__tokenizer_destroy(struct sprat__tokenizer *tokenizer);

/* Facts read from the vocabulary; ids are -1 where there is none. */
struct sprat__vocab {
    uint32_t n_tokens;
    sprat_token bos, eos, unk, pad;
    bool add_bos, add_eos;
};
const struct sprat__vocab *sprat__tokenizer_vocab(const struct sprat__tokenizer *tokenizer);

/* Text (as stored), type (SPRAT_TOKEN_*), score of an id below n_tokens. */
void sprat__token(const struct sprat__tokenizer *tokenizer, sprat_token id, const char **text,
                  size_t *len, uint32_t *type, float *score);
/* Whether the model ends its turn with this id (eos, eot, eom, and control tokens of known end
 * texts). */
bool sprat__token_is_end(const struct sprat__tokenizer *tokenizer, sprat_token id);
/* The id with exactly this stored text, or -1. */
sprat_token sprat__token_find(const struct sprat__tokenizer *tokenizer, const char *text,
                              size_t len);

/* As sprat_model_tokenize; mem serves the scratch. With BUFFER_TOO_SMALL, *n_tokens is what is
 * needed. */
sprat_status sprat__tokenize(size_t *n_tokens, const struct sprat__tokenizer *tokenizer,
                             struct sprat__mem *mem, const struct sprat_segment *segments,
                             size_t n_segments, uint32_t flags, sprat_token *tokens,
                             size_t capacity, struct sprat__err *err);

/* The bytes one id stands for: returns how many, copies at most capacity. flags:
 * SPRAT_DETOKENIZE_SPECIAL is looked at. start: it begins a text, so that the space which SPM put
 * before the text is left out. A token can stand for as many bytes as its text is long, at most. */
size_t sprat__token_bytes(const struct sprat__tokenizer *tokenizer, sprat_token id, uint32_t flags,
                          bool start, char *bytes, size_t capacity);

/* How many bytes at the end of text begin a UTF-8 character that is not yet complete: 0 to 3.
 * Invalid bytes are complete. */
size_t sprat__utf8_open(const char *text, size_t len);

/* Counters for tests: work done by the last sprat__tokenize of this thread's call is returned here
 * when not NULL. */
struct sprat__tokenize_work {
    uint64_t merge_steps; /* pairs joined, and blocks of 16 candidates looked at */
    uint64_t scan_steps;  /* code points looked at by the pre-tokeniser */
    size_t scratch_bytes; /* most memory held */
};
sprat_status sprat__tokenize_counted(size_t *n_tokens, const struct sprat__tokenizer *tokenizer,
                                     struct sprat__mem *mem, const struct sprat_segment *segments,
                                     size_t n_segments, uint32_t flags, sprat_token *tokens,
                                     size_t capacity, struct sprat__tokenize_work *work,
                                     struct sprat__err *err);

#endif
