/* Owns every byte the library allocates. Invariant: now = the sum over blocks of what the host's
 * allocator was asked for, and now never exceeds the budget, also with many threads: bytes are
 * claimed before they are asked for. */
#include "base/alloc.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_HEADER_BYTES = 64, BLOCK_ALIGNMENT = 64 };

/* What stands in front of every block. */
struct block_header {
    size_t bytes; /* with the header */
    uint32_t purpose;
};

/* malloc promises less alignment than we do: the true start is kept in front of the aligned block.
 */
static void *libc_alloc(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    (void)user;
    (void)purpose;
    size_t total;
    if (!sprat__add_size(bytes, alignment + sizeof(void *), &total))
        return NULL;
    char *start = malloc(total);
    if (!start)
        return NULL;
    uintptr_t first = (uintptr_t)start + sizeof(void *);
    char *block = start + sizeof(void *) + ((0 - first) & (alignment - 1));
    memcpy(block - sizeof(void *), &start, sizeof start);
    return block;
}

static void libc_free(void *user, void *ptr, size_t bytes, uint32_t purpose)
{
    (void)user;
    (void)bytes;
    (void)purpose;
    void *start;
    memcpy(&start, (char *)ptr - sizeof(void *), sizeof start);
    free(start);
}

void sprat__mem_init(struct sprat__mem *mem, const struct sprat_allocator *allocator,
                     uint64_t budget)
{
    memset(mem, 0, sizeof *mem);
    mem->alloc = allocator ? allocator->alloc : libc_alloc;
    mem->free = allocator ? allocator->free : libc_free;
    mem->user = allocator ? allocator->user : NULL;
    mem->budget = budget;
}

size_t sprat__block_bytes(size_t n, size_t size)
{
    size_t bytes;
    if (!sprat__mul_size(n, size, &bytes) || !sprat__add_size(bytes, BLOCK_HEADER_BYTES, &bytes))
        return SIZE_MAX;
    return bytes;
}

void sprat__mem_child(struct sprat__mem *mem, struct sprat__mem *parent)
{
    memset(mem, 0, sizeof *mem);
    mem->alloc = parent->alloc;
    mem->free = parent->free;
    mem->user = parent->user;
    mem->parent = parent;
}

/* Counts bytes in one account before they are taken; false where its budget forbids it. total: what
 * the account then holds. */
static bool alloc_claim_one(struct sprat__mem *mem, uint64_t bytes, uint64_t *total)
{
    uint64_t now = atomic_load_explicit(&mem->now, memory_order_relaxed);
    do {
        if (!sprat__add_u64(now, bytes, total) || (mem->budget != 0 && *total > mem->budget))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&mem->now, &now, *total, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* Gives bytes back to the accounts from mem up to, but not including, end. */
static void alloc_unclaim(struct sprat__mem *mem, const struct sprat__mem *end, uint64_t bytes)
{
    for (; mem != end; mem = mem->parent)
        atomic_fetch_sub_explicit(&mem->now, bytes, memory_order_relaxed);
}

/* Counts bytes in this account and those it is part of, or in none; returns the one that forbids
 * it, NULL if none does. total: what the outermost then holds. */
static const struct sprat__mem *alloc_claim(struct sprat__mem *mem, uint64_t bytes, uint64_t *total)
{
    for (struct sprat__mem *at = mem; at; at = at->parent) {
        if (!alloc_claim_one(at, bytes, total)) {
            alloc_unclaim(mem, at, bytes);
            return at;
        }
    }
    return NULL;
}

/* A claimed block is there: total may be the most the outermost account ever held. */
static void alloc_count_taken(struct sprat__mem *mem, uint32_t purpose, uint64_t bytes,
                              uint64_t total)
{
    for (;; mem = mem->parent) {
        atomic_fetch_add_explicit(&mem->by_purpose[purpose], bytes, memory_order_relaxed);
        if (!mem->parent)
            break;
    }
    uint64_t peak = atomic_load_explicit(&mem->peak, memory_order_relaxed);
    while (total > peak &&
           !atomic_compare_exchange_weak_explicit(&mem->peak, &peak, total, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

static void alloc_count_freed(struct sprat__mem *mem, uint32_t purpose, uint64_t bytes)
{
    for (; mem; mem = mem->parent)
        atomic_fetch_sub_explicit(&mem->by_purpose[purpose], bytes, memory_order_relaxed);
}

void *sprat__new_raw(struct sprat__mem *mem, size_t n, size_t size, uint32_t purpose,
                     struct sprat__err *err)
{
    size_t bytes = sprat__block_bytes(n, size);
    if (bytes == SIZE_MAX) {
        sprat__fail(err, SPRAT_NO_MEMORY, "out of memory: %zu elements of %zu bytes", n, size);
        return NULL;
    }
    uint64_t total;
    const struct sprat__mem *full = alloc_claim(mem, bytes, &total);
    if (full) {
        sprat__fail(
            err, SPRAT_OVER_BUDGET, "memory budget: %llu bytes allowed, %llu held, %zu more needed",
            (unsigned long long)full->budget, (unsigned long long)atomic_load(&full->now), bytes);
        return NULL;
    }
    char *block = mem->alloc(mem->user, bytes, BLOCK_ALIGNMENT, purpose);
    if (!block) {
        alloc_unclaim(mem, NULL, bytes);
        sprat__fail(err, SPRAT_NO_MEMORY, "out of memory: the allocator refused %zu bytes", bytes);
        return NULL;
    }
    alloc_count_taken(mem, purpose, bytes, total);
    struct block_header header = {bytes, purpose};
    memcpy(block, &header, sizeof header);
    return block + BLOCK_HEADER_BYTES;
}

void *sprat__new(struct sprat__mem *mem, size_t n, size_t size, uint32_t purpose,
                 struct sprat__err *err)
{
    void *ptr = sprat__new_raw(mem, n, size, purpose, err);
    if (ptr && n > 0 && size > 0)
        memset(ptr, 0, n * size);
    return ptr;
}

void sprat__mem_adopt(struct sprat__mem *mem, void *ptr)
{
    struct block_header header;
    memcpy(&header, (char *)ptr - BLOCK_HEADER_BYTES, sizeof header);
    uint64_t total = 0;
    (void)alloc_claim(mem, header.bytes, &total);
    alloc_count_taken(mem, header.purpose, header.bytes, total);
}

void sprat__free(struct sprat__mem *mem, void *ptr)
{
    if (!ptr)
        return;
    char *block = (char *)ptr - BLOCK_HEADER_BYTES;
    struct block_header header;
    memcpy(&header, block, sizeof header);
    mem->free(mem->user, block, header.bytes, header.purpose);
    alloc_count_freed(mem, header.purpose, header.bytes);
    alloc_unclaim(mem, NULL, header.bytes);
}

void sprat__wipe(void *ptr, size_t bytes)
{
    memset(ptr, 0, bytes);
#if defined(__GNUC__)
    __asm__ __volatile__("" : : "r"(ptr) : "memory");
#else
    volatile char *p = ptr;
    if (bytes)
        p[0] = 0;
#endif
}

void sprat__wipe_free(struct sprat__mem *mem, void *ptr)
{
    if (!ptr)
        return;
    struct block_header header;
    memcpy(&header, (char *)ptr - BLOCK_HEADER_BYTES, sizeof header);
    sprat__wipe(ptr, header.bytes - BLOCK_HEADER_BYTES);
    sprat__free(mem, ptr);
}

sprat_status sprat__grow(struct sprat__mem *mem, void **data, size_t n, size_t *capacity,
                         size_t need, size_t size, uint32_t purpose, struct sprat__err *err)
{
    if (need <= *capacity)
        return SPRAT_OK;
    size_t next = *capacity < 16 ? 16 : *capacity;
    while (next < need) {
        if (!sprat__mul_size(next, 2, &next))
            return sprat__fail(err, SPRAT_NO_MEMORY, "out of memory: %zu elements of %zu bytes",
                               need, size);
    }
    void *grown = sprat__new_raw(mem, next, size, purpose, err);
    if (!grown)
        return err->status;
    if (n)
        memcpy(grown, *data, n * size);
    sprat__wipe_free(mem, *data);
    *data = grown;
    *capacity = next;
    return SPRAT_OK;
}

sprat_status sprat__buffer_reserve(struct sprat__buffer *buffer, size_t len, struct sprat__err *err)
{
    size_t need;
    if (!sprat__add_size(buffer->len, len, &need))
        return sprat__fail(err, SPRAT_NO_MEMORY, "out of memory: text of more than %zu bytes", len);
    void *data = buffer->data;
    SPRAT_TRY(sprat__grow(buffer->mem, &data, buffer->len, &buffer->capacity, need, 1,
                          SPRAT_PURPOSE_TEXT, err));
    buffer->data = data;
    return SPRAT_OK;
}

sprat_status sprat__buffer_add(struct sprat__buffer *buffer, const void *bytes, size_t len,
                               struct sprat__err *err)
{
    SPRAT_TRY(sprat__buffer_reserve(buffer, len, err));
    if (len)
        memcpy(buffer->data + buffer->len, bytes, len);
    buffer->len += len;
    return SPRAT_OK;
}

void sprat__buffer_end(struct sprat__buffer *buffer)
{
    sprat__wipe_free(buffer->mem, buffer->data);
    buffer->data = NULL;
    buffer->len = buffer->capacity = 0;
}
