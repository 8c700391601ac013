/* Keys and values of one session, in pages of 64 positions. A page holds all layers; in it, per
 * layer and per head, 64 rows of keys, then 64 rows of values, so that an attention tile reads one
 * stretch. Pages are taken before anything is computed and wiped when given back. Positions at or
 * beyond the session's length hold bytes of no meaning. Sessions that were forked hold pages
 * together, until one of them writes: a page with several holders is only read. */
#ifndef SPRAT__KV_H
#define SPRAT__KV_H

#include "base/alloc.h"

enum { SPRAT__KV_TILE = 64 }; /* positions of a page, and of an attention tile (doc/numerics.md) */

/* What one layer keeps per position. Latent attention keeps one head of keys and no values. */
struct sprat__kv_shape {
    uint32_t n_layers;
    uint32_t n_heads;
    uint32_t key_dim, value_dim; /* per head */
    uint32_t element_bytes;      /* 2: f16, 4: f32 */
};

struct sprat__kv {
    struct sprat__mem *mem;      /* pays for the list of pages */
    struct sprat__mem *page_mem; /* pays for pages, which may outlive this session; outlives both */
    struct sprat__kv_shape shape;
    uint8_t **pages;   /* each behind its head */
    size_t n_pages;    /* taken */
    size_t max_pages;  /* places in pages */
    size_t page_bytes; /* without the head */
};

/* n_positions: the most it may ever hold. BAD_CONFIG where the sizes do not fit, NO_MEMORY,
 * OVER_BUDGET. */
sprat_status sprat__kv_create(struct sprat__kv *kv, struct sprat__mem *mem,
                              struct sprat__mem *page_mem, const struct sprat__kv_shape *shape,
                              size_t n_positions, struct sprat__err *err);
void sprat__kv_end(struct sprat__kv *kv);

/* Takes the pages for n_positions in all, or none and fails. n_positions is at most that of create.
 */
sprat_status sprat__kv_reserve(struct sprat__kv *kv, size_t n_positions, struct sprat__err *err);

/* Makes the pages of positions first to end - 1, which are taken, its own: those with other holders
 * are copied. All or none. NO_MEMORY, OVER_BUDGET. */
sprat_status sprat__kv_own(struct sprat__kv *kv, size_t first, size_t end, struct sprat__err *err);

/* Holds the pages of from's first n_positions too. kv: as created, of the same shape and length. */
void sprat__kv_share(struct sprat__kv *kv, const struct sprat__kv *from, size_t n_positions);

/* Bytes of the pages it holds, shared ones too. */
uint64_t sprat__kv_held_bytes(const struct sprat__kv *kv);

/* Bytes the allocator is asked for by create and by a full reserve; per page; UINT64_MAX where it
 * does not fit. */
uint64_t sprat__kv_bytes(const struct sprat__kv_shape *shape, size_t n_positions);

/* The first of the rows of one head in the page that holds position; row i is position rounded down
 * to 64, plus i. */
uint8_t *sprat__kv_keys(const struct sprat__kv *kv, uint32_t layer, uint32_t head, size_t position);
uint8_t *sprat__kv_values(const struct sprat__kv *kv, uint32_t layer, uint32_t head,
                          size_t position);

#endif
