/* Keys and values of one session, in pages of 64 positions. A page holds all layers; in it, per
 * layer and per head, 64 rows of keys, then 64 rows of values, so that an attention tile reads one
 * stretch. Pages are taken before anything is computed and wiped when given back. Positions at or
 * beyond the session's length hold bytes of no meaning. */
#ifndef SPRAT__KV_H
#define SPRAT__KV_H

#include "base/alloc.h"

enum { SPRAT__KV_TILE = 64 }; /* positions of a page, and of an attention tile (doc/numerics.md) */

/* What one layer keeps per position. MLA will keep one head of 576 keys and no values. */
struct sprat__kv_shape {
    uint32_t n_layers;
    uint32_t n_heads;
    uint32_t key_dim, value_dim; /* per head */
    uint32_t element_bytes;      /* 2: f16, 4: f32 */
};

struct sprat__kv {
    struct sprat__mem *mem;
    struct sprat__kv_shape shape;
    uint8_t **pages;
    size_t n_pages;   /* taken */
    size_t max_pages; /* places in pages */
    size_t page_bytes;
};

/* n_positions: the most it may ever hold. BAD_CONFIG where the sizes do not fit, NO_MEMORY,
 * OVER_BUDGET. */
sprat_status sprat__kv_create(struct sprat__kv *kv, struct sprat__mem *mem,
                              const struct sprat__kv_shape *shape, size_t n_positions,
                              struct sprat__err *err);
void sprat__kv_end(struct sprat__kv *kv);

/* Takes the pages for n_positions in all, or none and fails. n_positions is at most that of create.
 */
sprat_status sprat__kv_reserve(struct sprat__kv *kv, size_t n_positions, struct sprat__err *err);

/* Bytes the allocator is asked for by create and by a full reserve; per page; UINT64_MAX where it
 * does not fit. */
uint64_t sprat__kv_bytes(const struct sprat__kv_shape *shape, size_t n_positions);

/* The first of the rows of one head in the page that holds position; row i is position rounded down
 * to 64, plus i. */
uint8_t *sprat__kv_keys(const struct sprat__kv *kv, uint32_t layer, uint32_t head, size_t position);
uint8_t *sprat__kv_values(const struct sprat__kv *kv, uint32_t layer, uint32_t head,
                          size_t position);

#endif
