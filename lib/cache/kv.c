/* Owns the pages of keys and values. Leaves to the engine which positions are valid. */
#include "cache/kv.h"

#include "base/checked.h"

static size_t kv_pages_for(size_t n_positions)
{
    return n_positions / SPRAT__KV_TILE + (n_positions % SPRAT__KV_TILE != 0);
}

/* Bytes of one page; false where they do not fit. */
static bool kv_page_bytes(const struct sprat__kv_shape *shape, size_t *out)
{
    uint64_t bytes = (uint64_t)shape->key_dim + shape->value_dim;
    return sprat__mul_u64(bytes, shape->n_heads, &bytes) &&
           sprat__mul_u64(bytes, shape->n_layers, &bytes) &&
           sprat__mul_u64(bytes, (uint64_t)SPRAT__KV_TILE * shape->element_bytes, &bytes) &&
           sprat__to_size(bytes, out);
}

uint64_t sprat__kv_bytes(const struct sprat__kv_shape *shape, size_t n_positions)
{
    size_t page, pages = kv_pages_for(n_positions);
    uint64_t bytes;
    if (!kv_page_bytes(shape, &page) ||
        !sprat__mul_u64(sprat__block_bytes(page, 1), pages, &bytes) ||
        !sprat__add_u64(bytes, sprat__block_bytes(pages, sizeof(uint8_t *)), &bytes))
        return UINT64_MAX;
    return bytes;
}

sprat_status sprat__kv_create(struct sprat__kv *kv, struct sprat__mem *mem,
                              const struct sprat__kv_shape *shape, size_t n_positions,
                              struct sprat__err *err)
{
    size_t page_bytes, max_pages = kv_pages_for(n_positions);
    if (!kv_page_bytes(shape, &page_bytes))
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "key-value cache: %u layers of %u heads do not fit", shape->n_layers,
                           shape->n_heads);
    uint8_t **pages = sprat__new(mem, max_pages, sizeof *pages, SPRAT_PURPOSE_CACHE, err);
    if (!pages)
        return err->status;
    *kv = (struct sprat__kv){mem, *shape, pages, 0, max_pages, page_bytes};
    return SPRAT_OK;
}

static void kv_drop_pages(struct sprat__kv *kv, size_t n_kept)
{
    while (kv->n_pages > n_kept) {
        kv->n_pages--;
        sprat__wipe_free(kv->mem, kv->pages[kv->n_pages]);
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
        uint8_t *page = sprat__new_raw(kv->mem, kv->page_bytes, 1, SPRAT_PURPOSE_CACHE, err);
        if (!page) {
            kv_drop_pages(kv, n_before);
            return err->status;
        }
        kv->pages[kv->n_pages++] = page;
    }
    return SPRAT_OK;
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
