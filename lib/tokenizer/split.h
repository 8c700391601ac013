/* Pre-tokenisers: text is cut into pieces inside which byte-level BPE merges. Each is a list of
 * passes; a pass cuts each piece of the one before into its pattern's matches and the gaps between
 * them. Hand-written scanners: constant stack, and each pass looks at a code point at most a fixed
 * number of times, whatever the text. Patterns: doc/tokenizer.md. */
#ifndef SPRAT__SPLIT_H
#define SPRAT__SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sprat__split_kind {
    SPRAT__SPLIT_DEFAULT,
    SPRAT__SPLIT_GPT2,
    SPRAT__SPLIT_SMOLLM,
    SPRAT__SPLIT_LLAMA3,
    SPRAT__SPLIT_QWEN2,
    SPRAT__SPLIT_DEEPSEEK_LLM,
    SPRAT__SPLIT_DEEPSEEK_CODER,
    SPRAT__SPLIT_DEEPSEEK_V3,
    SPRAT__N_SPLITS
};

/* The kind a GGUF's tokenizer.ggml.pre names; false if it is none of them. */
bool sprat__split_find(const char *name, size_t len, enum sprat__split_kind *kind);

enum { SPRAT__SPLIT_PASSES = 6 };

/* A walk over the pieces of text[begin, end), which must stay in place. */
struct sprat__split {
    const uint8_t *text;
    uint64_t steps; /* code points looked at since begin was called first; the owner sets it to 0 */
    enum sprat__split_kind kind;
    uint32_t depth; /* levels in use: level i holds what is left of a piece of pass i - 1 */
    struct {
        size_t at, end;
    } levels[SPRAT__SPLIT_PASSES];
};

void sprat__split_begin(struct sprat__split *split, enum sprat__split_kind kind,
                        const uint8_t *text, size_t begin, size_t end);
/* The next piece, never empty; false when there is none left. */
bool sprat__split_next(struct sprat__split *split, size_t *begin, size_t *end);

#endif
