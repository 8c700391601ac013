/* The merging that byte-level BPE and SPM share: of all neighbouring pairs of symbols the one with
 * the lowest key is joined, the leftmost of several, until none is left to join. Time n·log n,
 * memory at most 8.3 bytes for each byte of the longest word, and no less than 16 KiB for one
 * beyond SPRAT__SHORT_WORD. */
#ifndef SPRAT__MERGE_H
#define SPRAT__MERGE_H

#include "base/alloc.h"

#include <stddef.h>
#include <stdint.h>

/* What differs between the two. at and len are bytes of the text that the rule's context knows. */
struct sprat__merge_rule {
    const void *context;
    /* The symbol at at, and its length, at most end - at. */
    uint32_t (*first)(const void *context, size_t at, size_t end, uint32_t *len);
    /* The key of the pair whose text is [at, at + len), or SPRAT__NO_MERGE. */
    uint32_t (*key)(const void *context, uint32_t left, uint32_t right, size_t at, size_t len);
    /* The symbol that pair becomes. */
    uint32_t (*join)(const void *context, uint32_t key, size_t at, size_t len);
    /* Called in order for each symbol that is left. */
    void (*emit)(const void *context, uint32_t symbol, size_t at, size_t len);
};

/* Scratch, used again from word to word; all zero but for mem before the first. */
struct sprat__merger {
    struct sprat__mem *mem;
    uint32_t *words;
    size_t n_words;
    size_t peak_bytes; /* most asked of the allocator at once */
    uint64_t steps;    /* pairs joined, and blocks of 16 candidates looked at */
};

/* end - begin is below 2^31. NO_MEMORY, OVER_BUDGET. */
sprat_status sprat__merge_word(struct sprat__merger *merger, const struct sprat__merge_rule *rule,
                               size_t begin, size_t end, struct sprat__err *err);
/* The same by one way or the other, for tests: both give the same symbols. A short word has at most
 * SPRAT__SHORT_WORD bytes. */
enum { SPRAT__SHORT_WORD = 64 };
void sprat__merge_short(struct sprat__merger *merger, const struct sprat__merge_rule *rule,
                        size_t begin, size_t end);
sprat_status sprat__merge_long(struct sprat__merger *merger, const struct sprat__merge_rule *rule,
                               size_t begin, size_t end, struct sprat__err *err);
/* Wipes and frees the scratch. */
void sprat__merger_end(struct sprat__merger *merger);

#endif
