/* Owns the pages of keys and values. Leaves to the engine which positions are valid. */
#include "cache/kv.h"

#include "base/checked.h"

#include <string.h>

/* Stands in front of a page's bytes, which stay aligned. */
struct kv_head {
    _Alignas(64) _Atomic uint32_t n_holders;
};

static struct kv_head *kv_head(uint8_t *page)
{
    return (struct kv_head *)(void *)(page - sizeof(struct kv_head));
}

static size_t kv_pages_for(size_t n_positions)
{
    return n_positions / SPRAT__KV_TILE + (n_positions % SPRAT__KV_TILE != 0);
}

/* Bytes of one page without its head; false where they, or they and a head, do not fit. */
static bool kv_page_bytes(const struct sprat__kv_shape *shape, size_t *out)
{
    uint64_t bytes = (uint64_t)shape->key_dim + shape->value_dim;
    return sprat__mul_u64(bytes, shape->n_heads, &bytes) &&
           sprat__mul_u64(bytes, shape->n_layers, &bytes) &&
           sprat__mul_u64(bytes, (uint64_t)SPRAT__KV_TILE * shape->element_bytes, &bytes) &&
           bytes <= SIZE_MAX / 2 && sprat__to_size(bytes, out);
}

uint64_t sprat__kv_bytes(const struct sprat__kv_shape *shape, size_t n_positions)
{
    size_t page, pages = kv_pages_for(n_positions);
    uint64_t bytes;
    if (!kv_page_bytes(shape, &page) ||
        !sprat__mul_u64(sprat__block_bytes(page + sizeof(struct kv_head), 1), pages, &bytes) ||
        !sprat__add_u64(bytes, sprat__block_bytes(pages, sizeof(uint8_t *)), &bytes))
        return UINT64_MAX;
    return bytes;
}

sprat_status sprat__kv_create(struct sprat__kv *kv, struct sprat__mem *mem,
                              struct sprat__mem *page_mem, const struct sprat__kv_shape *shape,
                              size_t n_positions, struct sprat__err *err)
{
    size_t page_bytes, max_pages = kv_pages_for(n_positions);
    if (!kv_page_bytes(shape, &page_bytes))
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "key-value cache: %u layers of %u heads do not fit", shape->n_layers,
                           shape->n_heads);
    uint8_t **pages = sprat__new(mem, max_pages, sizeof *pages, SPRAT_PURPOSE_CACHE, err);
    if (!pages)
        return err->status;
    *kv = (struct sprat__kv){mem, page_mem, *shape, pages, 0, max_pages, page_bytes};
    return SPRAT_OK;
}

/* A page of its own; NULL after a failure. */
static uint8_t *kv_new_page(const struct sprat__kv *kv, struct sprat__err *err)
{
    struct kv_head *head =
        sprat__new_raw(kv->page_mem, sizeof *head + kv->page_bytes, 1, SPRAT_PURPOSE_CACHE, err);
    if (!head)
        return NULL;
    atomic_init(&head->n_holders, 1);
    return (uint8_t *)(head + 1);
}

static void kv_drop_page(const struct sprat__kv *kv, uint8_t *page)
{
    struct kv_head *head = kv_head(page);
    if (atomic_fetch_sub_explicit(&head->n_holders, 1, memory_order_acq_rel) == 1)
        sprat__wipe_free(kv->page_mem, head);
}

static void kv_drop_pages(struct sprat__kv *kv, size_t n_kept)
{
    while (kv->n_pages > n_kept) {
        kv->n_pages--;
        kv_drop_page(kv, kv->pages[kv->n_pages]);
        kv->pages[kv->n_pages] = NULL;
    }
}

void sprat__kv_end(struct sprat__kv *kv)
{
    kv_drop_pages(kv, 0);
    sprat__free(kv->mem, kv->pages);
    kv->pages = NULL;
}

sprat_status sprat__kv_reserve(struct sprat__kv *kv, size_t n_positions, struct sprat__err *err)
{
    size_t n_before = kv->n_pages, n_wanted = kv_pages_for(n_positions);
    SPRAT_ASSERT(n_wanted <= kv->max_pages);
    while (kv->n_pages < n_wanted) {
        uint8_t *page = kv_new_page(kv, err);
        if (!page) {
            kv_drop_pages(kv, n_before);
            return err->status;
        }
        kv->pages[kv->n_pages++] = page;
    }
    return SPRAT_OK;
}

static bool kv_is_shared(uint8_t *page)
{
    return atomic_load_explicit(&kv_head(page)->n_holders, memory_order_acquire) > 1;
}

/* Other holders may let go meanwhile, but a page never gains one here: only this session could give
 * it one. A copy is made aside; pages are changed only when all copies are there. */
sprat_status sprat__kv_own(struct sprat__kv *kv, size_t first, size_t end, struct sprat__err *err)
{
    size_t from = first / SPRAT__KV_TILE, to = kv_pages_for(end), n_new = 0;
    SPRAT_ASSERT(to <= kv->n_pages);
    for (size_t i = from; i < to; i++)
        n_new += kv_is_shared(kv->pages[i]);
    if (n_new == 0)
        return SPRAT_OK;
    uint8_t **copies = sprat__new(kv->mem, to - from, sizeof *copies, SPRAT_PURPOSE_CACHE, err);
    bool done = copies != NULL;
    for (size_t i = from; done && i < to; i++) {
        if (!kv_is_shared(kv->pages[i]))
            continue;
        copies[i - from] = kv_new_page(kv, err);
        done = copies[i - from] != NULL;
        if (done)
            memcpy(copies[i - from], kv->pages[i], kv->page_bytes);
    }
    for (size_t i = from; copies && i < to; i++) {
        uint8_t *copy = copies[i - from];
        if (!copy)
            continue;
        kv_drop_page(kv, done ? kv->pages[i] : copy);
        kv->pages[i] = done ? copy : kv->pages[i];
    }
    sprat__free(kv->mem, copies);
    return done ? SPRAT_OK : err->status;
}

void sprat__kv_share(struct sprat__kv *kv, const struct sprat__kv *from, size_t n_positions)
{
    size_t n = kv_pages_for(n_positions);
    SPRAT_ASSERT(kv->n_pages == 0 && n <= from->n_pages && n <= kv->max_pages);
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_add_explicit(&kv_head(from->pages[i])->n_holders, 1, memory_order_relaxed);
        kv->pages[i] = from->pages[i];
    }
    kv->n_pages = n;
}

uint64_t sprat__kv_held_bytes(const struct sprat__kv *kv)
{
    return (uint64_t)kv->n_pages * sprat__block_bytes(kv->page_bytes + sizeof(struct kv_head), 1);
}

uint8_t *sprat__kv_keys(const struct sprat__kv *kv, uint32_t layer, uint32_t head, size_t position)
{
    const struct sprat__kv_shape *shape = &kv->shape;
    size_t head_elements = (size_t)SPRAT__KV_TILE * (shape->key_dim + shape->value_dim);
    size_t index = (size_t)layer * shape->n_heads + head;
    return kv->pages[position / SPRAT__KV_TILE] + index * head_elements * shape->element_bytes;
}

uint8_t *sprat__kv_values(const struct sprat__kv *kv, uint32_t layer, uint32_t head,
                          size_t position)
{
    return sprat__kv_keys(kv, layer, head, position) +
           (size_t)SPRAT__KV_TILE * kv->shape.key_dim * kv->shape.element_bytes;
}
