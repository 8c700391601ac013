/* Memory that looks like a model's file: its directory, and address space for every tensor. Weights
 * are made up, and much smaller than they look: the same bytes are mapped again and again, so that
 * a layer of a model that this machine cannot hold is computed at the speed it would have. They lie
 * in a file, as a model does. Owns the
 * mappings. Invariant: every block of weights has ordinary scales, wherever it is read. */
#define _GNU_SOURCE
#include "outline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(MAP_ANONYMOUS)
#define MAP_ANONYMOUS MAP_ANON
#endif
#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif
#if !defined(MAP_POPULATE)
#define MAP_POPULATE 0
#endif

enum {
    STAGE_LEAST_PAGE = 4096,
    STAGE_ONES = SPRAT__N_DTYPES, /* vectors: norms, biases, factors */
    N_STAGE_KINDS
};

/* The bytes behind all tensors of one type: whole blocks, whole pages. */
struct stage_store {
    uint64_t at, bytes; /* in the file of all stores */
    uint64_t unit;      /* that many bytes are whole blocks and whole pages */
    uint64_t next;      /* where the next tensor begins */
};

struct stage {
    uint8_t *base;
    size_t bytes;
    uint64_t head_bytes;
    uint32_t page;
    FILE *file; /* of the stores; without a name */
    struct stage_store stores[N_STAGE_KINDS];
};

/* ---- made-up weights ------------------------------------------------------------------------- */

/* Bytes at fixed places of a block, behind which the others are random. */
struct block_scales {
    uint32_t type, at;
    uint16_t scale;             /* binary16 */
    uint16_t second, second_at; /* likewise; 0: none */
};

/* So that weights are about 0.02 in size and 0 in the middle. */
static const struct block_scales scales[] = {
    {SPRAT__Q4_0, 0, 0x1c00, 0, 0},      {SPRAT__Q4_1, 0, 0x1c00, 0xa780, 2},
    {SPRAT__Q5_0, 0, 0x1800, 0, 0},      {SPRAT__Q5_1, 0, 0x1800, 0xa7c0, 2},
    {SPRAT__Q8_0, 0, 0x0c00, 0, 0},      {SPRAT__Q2_K, 80, 0x1800, 0x1a00, 82},
    {SPRAT__Q3_K, 108, 0x1000, 0, 0},    {SPRAT__Q4_K, 0, 0x0800, 0x1380, 2},
    {SPRAT__Q5_K, 0, 0x0400, 0x13c0, 2}, {SPRAT__Q6_K, 208, 0x0400, 0, 0},
    {SPRAT__IQ2_XXS, 0, 0x1000, 0, 0},   {SPRAT__IQ2_XS, 0, 0x1000, 0, 0},
    {SPRAT__IQ2_S, 0, 0x1000, 0, 0},     {SPRAT__IQ3_XXS, 0, 0x0800, 0, 0},
    {SPRAT__IQ3_S, 0, 0x0800, 0, 0},     {SPRAT__IQ1_S, 0, 0x1c00, 0, 0},
    {SPRAT__IQ4_NL, 0, 0x0c00, 0, 0},    {SPRAT__IQ4_XS, 0, 0x0400, 0, 0},
    {SPRAT__TQ1_0, 52, 0x2800, 0, 0},    {SPRAT__TQ2_0, 64, 0x2800, 0, 0},
    {SPRAT__Q1_0, 0, 0x2400, 0, 0},      {SPRAT__Q2_0, 0, 0x2400, 0, 0},
    {SPRAT__MXFP4, 0, 0, 0, 0},          {SPRAT__NVFP4, 0, 0, 0, 0},
    {SPRAT__IQ1_M, 0, 0, 0, 0},
};

static void set_half(uint8_t *at, uint16_t half)
{
    at[0] = (uint8_t)half;
    at[1] = (uint8_t)(half >> 8);
}

/* Those whose scales are not binary16 numbers in one place. */
static void set_odd_scales(uint8_t *block, uint32_t type)
{
    if (type == SPRAT__MXFP4) {
        block[0] = 119;
    } else if (type == SPRAT__NVFP4) {
        memset(block, 0x08, 4);
    } else { /* IQ1_M: the upper four bits of four words */
        static const uint8_t parts[] = {0x00, 0x00, 0xc0, 0x10};
        for (size_t i = 0; i < 4; i++)
            block[49 + 2 * i] = (uint8_t)((block[49 + 2 * i] & 0x0f) | parts[i]);
    }
}

static void set_scales(uint8_t *data, uint64_t n_bytes, uint32_t type)
{
    uint32_t block_bytes = sprat__dtype_info(type)->block_bytes;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        const struct block_scales *s = &scales[i];
        if (s->type != type)
            continue;
        for (uint64_t at = 0; at + block_bytes <= n_bytes; at += block_bytes) {
            if (!s->scale) {
                set_odd_scales(data + at, type);
                continue;
            }
            set_half(data + at + s->at, s->scale);
            if (s->second)
                set_half(data + at + s->second_at, s->second);
        }
    }
}

/* Random bits; of floating-point types those of numbers from 1/64 to 1/32, and their negatives. */
static void make_up(uint8_t *data, uint64_t n_bytes, uint32_t type)
{
    uint64_t state = 0x9e3779b97f4a7c15u + type, keep = UINT64_MAX, set = 0;
    if (type == SPRAT__F32 || type == STAGE_ONES) {
        keep = type == STAGE_ONES ? 0 : 0x807fffff807fffffu;
        set = type == STAGE_ONES ? 0x3f8000003f800000u : 0x3c8000003c800000u;
    } else if (type == SPRAT__F16) {
        keep = 0x83ff83ff83ff83ffu;
        set = 0x2400240024002400u;
    } else if (type == SPRAT__BF16) {
        keep = 0x807f807f807f807fu;
        set = 0x3c803c803c803c80u;
    }
    for (uint64_t i = 0; i + 8 <= n_bytes; i += 8) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t word = ((state ^ state >> 31) & keep) | set;
        memcpy(data + i, &word, sizeof word);
    }
    if (type != STAGE_ONES)
        set_scales(data, n_bytes, type);
}

/* ---- stores ---------------------------------------------------------------------------------- */

static uint32_t kind_of(const struct outline_tensor *tensor)
{
    return tensor->n_dims == 1 && tensor->type == SPRAT__F32 ? (uint32_t)STAGE_ONES : tensor->type;
}

static uint64_t whole_blocks_and_pages(uint32_t kind, uint32_t page)
{
    uint64_t block = kind == STAGE_ONES ? 4 : sprat__dtype_info(kind)->block_bytes;
    uint64_t a = block, b = page;
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return block / a * page;
}

/* Shares data_bytes out by what each type has of all; none more than it needs. */
static uint64_t size_stores(struct stage *stage, const struct outline *outline, uint64_t data_bytes)
{
    double all = 0, of_kind[N_STAGE_KINDS] = {0};
    for (size_t i = 0; i < outline->n_tensors; i++) {
        const struct outline_tensor *tensor = &outline->tensors[i];
        of_kind[kind_of(tensor)] += (double)outline_padded(tensor->bytes, stage->page);
        all += (double)tensor->bytes;
    }
    uint64_t end = 0;
    for (uint32_t kind = 0; kind < N_STAGE_KINDS; kind++) {
        struct stage_store *store = &stage->stores[kind];
        double share = all > (double)data_bytes ? (double)data_bytes / all : 1;
        if (of_kind[kind] <= 0)
            continue;
        store->unit = whole_blocks_and_pages(kind, stage->page);
        store->at = end;
        store->bytes = ((uint64_t)(of_kind[kind] * share) / store->unit + 1) * store->unit;
        end += store->bytes;
    }
    return end;
}

static bool make_stores(struct stage *stage, const struct outline *outline, uint64_t data_bytes)
{
    uint64_t n_bytes = size_stores(stage, outline, data_bytes);
    stage->file = tmpfile();
    uint8_t *map = n_bytes > SIZE_MAX / 2 ? NULL : malloc((size_t)n_bytes);
    bool good = stage->file && map;
    for (uint32_t kind = 0; kind < N_STAGE_KINDS && good; kind++)
        if (stage->stores[kind].bytes > 0)
            make_up(map + stage->stores[kind].at, stage->stores[kind].bytes, kind);
    good =
        good && fwrite(map, 1, (size_t)n_bytes, stage->file) == n_bytes && fflush(stage->file) == 0;
    free(map);
    return good;
}

/* Maps the tensor's place onto its store, from the next whole block on, round and round. */
static bool map_tensor(struct stage *stage, uint8_t *place, const struct outline_tensor *tensor)
{
    struct stage_store *store = &stage->stores[kind_of(tensor)];
    uint64_t left = outline_padded(tensor->bytes, stage->page);
    while (left > 0) {
        uint64_t n = store->bytes - store->next < left ? store->bytes - store->next : left;
        if (mmap(place, (size_t)n, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                 fileno(stage->file), (off_t)(store->at + store->next)) == MAP_FAILED)
            return false;
        place += n;
        left -= n;
        store->next = (store->next + n) % store->bytes;
    }
    store->next = (store->next + store->unit - 1) / store->unit * store->unit % store->bytes;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool fill_stage(struct stage *stage, const struct outline *outline, uint64_t data_bytes,
                       const struct outline_bytes *directory)
{
    uint64_t bytes = directory->len, at = directory->len;
    for (size_t i = 0; i < outline->n_tensors; i++)
        bytes += outline_padded(outline->tensors[i].bytes, stage->page);
    if (directory->is_bad || bytes > SIZE_MAX / 2)
        return false;
    void *base =
        mmap(NULL, (size_t)bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    stage->base = base;
    stage->bytes = (size_t)bytes;
    if (mprotect(base, directory->len, PROT_READ | PROT_WRITE) != 0)
        return false;
    memcpy(base, directory->data, directory->len);
    if (data_bytes == 0)
        return true;
    if (!make_stores(stage, outline, data_bytes))
        return false;
    for (size_t i = 0; i < outline->n_tensors; i++) {
        if (!map_tensor(stage, stage->base + at, &outline->tensors[i]))
            return false;
        at += outline_padded(outline->tensors[i].bytes, stage->page);
    }
    return true;
}

struct stage *stage_make(const struct outline *outline, uint64_t data_bytes, bool is_whole)
{
    struct stage *stage = calloc(1, sizeof *stage);
    long page = sysconf(_SC_PAGESIZE);
    if (!stage)
        return NULL;
    stage->page = page > STAGE_LEAST_PAGE ? (uint32_t)page : STAGE_LEAST_PAGE;
    struct outline_bytes directory = outline_directory(outline, stage->page, is_whole);
    bool good = fill_stage(stage, outline, data_bytes, &directory);
    free(directory.data);
    if (good)
        return stage;
    stage_destroy(stage);
    return NULL;
}

struct stage *stage_of(const struct outline *outline)
{
    return stage_make(outline, 0, true);
}

void stage_source(const struct stage *stage, sprat_source *out)
{
    sprat_init(out, sizeof *out);
    out->kind = SPRAT_SOURCE_MEMORY;
    out->data = stage->base;
    out->length = stage->bytes;
}

void stage_destroy(struct stage *stage)
{
    if (!stage)
        return;
    if (stage->base)
        (void)munmap(stage->base, stage->bytes);
    if (stage->file)
        (void)fclose(stage->file);
    free(stage);
}
