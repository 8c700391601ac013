/* All memory of the library: the host's allocator behind one counted, capped door. A block carries
 * its size and purpose in front of it, so that freeing needs only the pointer; blocks are aligned
 * to 64 bytes. Thread-safe. */
#ifndef SPRAT__ALLOC_H
#define SPRAT__ALLOC_H

#include "base/status.h"

#include <stdatomic.h>

struct sprat__mem {
    struct sprat__mem *parent; /* whose account this one is a part of; NULL: none */
    void *user;
    void *(*alloc)(void *user, size_t bytes, size_t alignment, uint32_t purpose);
    void (*free)(void *user, void *ptr, size_t bytes, uint32_t purpose);
    uint64_t budget; /* 0: none */
    _Atomic uint64_t now;
    _Atomic uint64_t peak; /* kept where there is no parent */
    _Atomic uint64_t by_purpose[SPRAT_N_PURPOSES];
};

/* allocator: NULL for the C library's. budget: 0 for none. */
void sprat__mem_init(struct sprat__mem *mem, const struct sprat_allocator *allocator,
                     uint64_t budget);

/* An account of its own within the parent's: what it takes counts, and is capped, in both. The
 * parent outlives it. */
void sprat__mem_child(struct sprat__mem *mem, struct sprat__mem *parent);

/* Counts a block that another mem has allocated with the same allocator as one of this mem's. */
void sprat__mem_adopt(struct sprat__mem *mem, void *ptr);

/* n × size bytes, zeroed (new) or not (new_raw). NULL after NO_MEMORY or OVER_BUDGET, which err
 * then holds. n × size = 0 gives a block too. */
void *sprat__new(struct sprat__mem *mem, size_t n, size_t size, uint32_t purpose,
                 struct sprat__err *err);
void *sprat__new_raw(struct sprat__mem *mem, size_t n, size_t size, uint32_t purpose,
                     struct sprat__err *err);

/* NULL is allowed. */
void sprat__free(struct sprat__mem *mem, void *ptr);

/* Overwrites bytes in a way no compiler removes; then, for _free, frees. */
void sprat__wipe(void *ptr, size_t bytes);
void sprat__wipe_free(struct sprat__mem *mem, void *ptr); /* the whole block */

/* Bytes the allocator is asked for, for n × size: what a plan must count. SIZE_MAX where it does
 * not fit. */
size_t sprat__block_bytes(size_t n, size_t size);

/* Room for at least need elements of the array *data (n of them in use): doubles, copies, wipes and
 * frees the old. On failure nothing has changed. */
sprat_status sprat__grow(struct sprat__mem *mem, void **data, size_t n, size_t *capacity,
                         size_t need, size_t size, uint32_t purpose, struct sprat__err *err);

/* A growing piece of text or bytes. */
struct sprat__buffer {
    struct sprat__mem *mem;
    char *data;
    size_t len, capacity;
};

/* Room for len more bytes. */
sprat_status sprat__buffer_reserve(struct sprat__buffer *buffer, size_t len,
                                   struct sprat__err *err);
sprat_status sprat__buffer_add(struct sprat__buffer *buffer, const void *bytes, size_t len,
                               struct sprat__err *err);
void sprat__buffer_end(struct sprat__buffer *buffer); /* wipes and frees; usable again */

#endif
