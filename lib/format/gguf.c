/* Owns an open GGUF: its shards put together, its two name indexes, the loading of weights where a
 * file cannot be mapped. Leaves the reading of one directory to gguf_read.c, values to gguf_get.c.
 * Invariant: what is said in gguf.h, and the heap held never exceeds four times the file's bytes
 * plus 1 MiB. UNTRUSTED INPUT: names are found by sorting, which no crafted set of names slows. */
#include "format/gguf_read.h"

#include "base/checked.h"

#include <string.h>

enum {
    GGUF_FIRST_READ = 1 << 20, /* of a callback source, for its directory */
    GGUF_LOAD_STEP = 4 << 20,  /* between two calls of progress */
    GGUF_SHARDS_MOST = 1024
};

/* What is only needed while opening. */
struct gguf_opening {
    struct sprat__gguf *gguf;
    struct sprat__gguf_shard *shards;
    size_t n_shards;
    size_t files_capacity, shards_capacity;
    char *path; /* of the shard at hand, where the model is split */
    char label[SPRAT__GGUF_LABEL_BYTES];
};

static void gguf_set_label(char label[SPRAT__GGUF_LABEL_BYTES], const struct sprat_source *source)
{
    static const char *const kinds[] = {"", "the file descriptor", "the memory source",
                                        "the callback source"};
    if (source->kind != SPRAT_SOURCE_PATH) {
        const char *kind = kinds[source->kind & 3];
        sprat__quote(label, SPRAT__GGUF_LABEL_BYTES, kind, strlen(kind));
        return;
    }
    const char *name = source->path;
    for (const char *c = source->path; *c; c++)
        if (*c == '/' && c[1])
            name = c + 1;
    sprat__quote(label, SPRAT__GGUF_LABEL_BYTES, name, strlen(name));
}

/* ---- order of names ------------------------------------------------------------------------- */

typedef bool gguf_less_fn(const struct sprat__gguf *gguf, uint32_t a, uint32_t b);

static int gguf_compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len != b_len)
        return a_len < b_len ? -1 : 1;
    return memcmp(a, b, a_len);
}

static bool gguf_key_less(const struct sprat__gguf *gguf, uint32_t a, uint32_t b)
{
    const struct sprat__gguf_key *x = &gguf->keys[a], *y = &gguf->keys[b];
    return gguf_compare_names(x->name, x->name_len, y->name, y->name_len) < 0;
}

static bool gguf_tensor_less(const struct sprat__gguf *gguf, uint32_t a, uint32_t b)
{
    const struct sprat__gguf_tensor *x = &gguf->tensors[a], *y = &gguf->tensors[b];
    return gguf_compare_names(x->name, x->name_len, y->name, y->name_len) < 0;
}

static bool gguf_place_less(const struct sprat__gguf *gguf, uint32_t a, uint32_t b)
{
    const struct sprat__gguf_tensor *x = &gguf->tensors[a], *y = &gguf->tensors[b];
    return x->shard != y->shard ? x->shard < y->shard : x->offset < y->offset;
}

/* Lets the element at i sink to its place among the first n of a heap. */
static void gguf_sink(uint32_t *order, size_t i, size_t n, gguf_less_fn *less,
                      const struct sprat__gguf *gguf)
{
    uint32_t moved = order[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && less(gguf, order[child], order[child + 1]))
            child++;
        if (!less(gguf, moved, order[child]))
            break;
        order[i] = order[child];
        i = child;
    }
    order[i] = moved;
}

/* Heap sort: n·log n comparisons for any input, no memory, no recursion. */
static void gguf_sort(uint32_t *order, size_t n, gguf_less_fn *less, const struct sprat__gguf *gguf)
{
    for (size_t i = n / 2; i > 0; i--)
        gguf_sink(order, i - 1, n, less, gguf);
    for (size_t last = n; last > 1; last--) {
        uint32_t most = order[0];
        order[0] = order[last - 1];
        order[last - 1] = most;
        gguf_sink(order, 0, last - 1, less, gguf);
    }
}

/* A new list of 0 to n - 1, sorted. */
static uint32_t *gguf_new_order(const struct sprat__gguf *gguf, size_t n, gguf_less_fn *less,
                                struct sprat__err *err)
{
    uint32_t *order = sprat__new_raw(gguf->mem, n, sizeof *order, SPRAT_PURPOSE_DIRECTORY, err);
    if (!order)
        return NULL;
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    gguf_sort(order, n, less, gguf);
    return order;
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* Reads a callback source's head, as much as its directory takes, and keeps that much. */
static sprat_status gguf_fetch_head(struct gguf_opening *o, const struct sprat__file *file,
                                    struct sprat__gguf_shard *shard, struct sprat__err *err)
{
    struct sprat__gguf *gguf = o->gguf;
    uint64_t want = GGUF_FIRST_READ, need = 0;
    size_t have = 0;
    sprat_status status;
    do {
        size_t bytes;
        if (want > file->bytes)
            want = file->bytes;
        if (!sprat__to_size(want, &bytes))
            return sprat__fail(err, SPRAT_NO_MEMORY, "%s: a directory of %llu bytes", o->label,
                               (unsigned long long)want);
        uint8_t *head = sprat__new_raw(gguf->mem, bytes, 1, SPRAT_PURPOSE_DIRECTORY, err);
        if (!head)
            return err->status;
        if (have)
            memcpy(head, gguf->head, have);
        sprat__free(gguf->mem, gguf->head);
        gguf->head = head;
        SPRAT_TRY(sprat__file_read(file, have, head + have, bytes - have, err));
        have = bytes;
        status = sprat__gguf_read_head(shard, head, have, file->bytes, o->label, &need, err);
        want = need > 2 * (uint64_t)have ? need : 2 * (uint64_t)have;
    } while (need != 0);
    SPRAT_TRY(status);
    if (shard->end < have) {
        uint8_t *head =
            sprat__new_raw(gguf->mem, (size_t)shard->end, 1, SPRAT_PURPOSE_DIRECTORY, err);
        if (!head)
            return err->status;
        memcpy(head, gguf->head, (size_t)shard->end);
        sprat__free(gguf->mem, gguf->head);
        gguf->head = head;
    }
    return SPRAT_OK;
}

static const uint8_t *gguf_head_of(const struct sprat__gguf *gguf, size_t shard)
{
    return gguf->files[shard].data ? gguf->files[shard].data : gguf->head;
}

/* Opens the next shard and walks its directory. */
static sprat_status gguf_add_shard(struct gguf_opening *o, const struct sprat_source *source,
                                   struct sprat__err *err)
{
    struct sprat__gguf *gguf = o->gguf;
    void *files = gguf->files, *shards = o->shards;
    size_t n = gguf->n_files;
    sprat_status status = sprat__grow(gguf->mem, &files, n, &o->files_capacity, n + 1,
                                      sizeof *gguf->files, SPRAT_PURPOSE_DIRECTORY, err);
    gguf->files = files;
    SPRAT_TRY(status);
    status = sprat__grow(gguf->mem, &shards, n, &o->shards_capacity, n + 1, sizeof *o->shards,
                         SPRAT_PURPOSE_DIRECTORY, err);
    o->shards = shards;
    SPRAT_TRY(status);

    gguf_set_label(o->label, source);
    struct sprat__file *file = &gguf->files[n];
    struct sprat__gguf_shard *shard = &o->shards[n];
    SPRAT_TRY(sprat__file_open(file, source, err));
    gguf->n_files++;
    gguf->mapped_bytes += file->map ? file->bytes : 0;
    gguf->file_bytes += file->bytes;
    if (!file->data)
        return gguf_fetch_head(o, file, shard, err);
    uint64_t need;
    return sprat__gguf_read_head(shard, file->data, (size_t)file->bytes, file->bytes, o->label,
                                 &need, err);
}

/* Reads a shard's keys into part, whose keys and key_order are the caller's to free. */
static sprat_status gguf_read_part(struct gguf_opening *o, size_t number, struct sprat__gguf *part,
                                   struct sprat__err *err)
{
    const struct sprat__gguf_shard *shard = &o->shards[number];
    part->keys = sprat__new(part->mem, (size_t)shard->n_keys, sizeof *part->keys,
                            SPRAT_PURPOSE_DIRECTORY, err);
    if (!part->keys)
        return err->status;
    SPRAT_TRY(
        sprat__gguf_read_keys(shard, gguf_head_of(o->gguf, number), part->keys, o->label, err));
    part->n_keys = (size_t)shard->n_keys;
    part->key_order = gguf_new_order(part, part->n_keys, gguf_key_less, err);
    if (!part->key_order)
        return err->status;
    for (size_t i = 1; i < part->n_keys; i++) {
        const struct sprat__gguf_key *a = &part->keys[part->key_order[i - 1]];
        const struct sprat__gguf_key *b = &part->keys[part->key_order[i]];
        char name[80];
        if (gguf_compare_names(a->name, a->name_len, b->name, b->name_len) == 0)
            return sprat__fail(err, SPRAT_BAD_FORMAT, "%s: key '%s' is there twice", o->label,
                               sprat__quote(name, sizeof name, a->name, a->name_len));
    }
    return SPRAT_OK;
}

/* ---- split models ---------------------------------------------------------------------------- */

/* Writes n as five digits. */
static void gguf_write_digits(char *out, uint32_t n)
{
    for (int i = 4; i >= 0; i--, n /= 10)
        out[i] = (char)('0' + n % 10);
}

/* "-00002-of-00005.gguf", shard from 0. */
static void gguf_split_suffix(char out[21], uint32_t shard, uint32_t count)
{
    memcpy(out, "-00000-of-00000.gguf", 21);
    gguf_write_digits(out + 1, shard + 1);
    gguf_write_digits(out + 10, count);
}

/* Copies the first shard's path, whose name must end as a split model's does. */
static sprat_status gguf_begin_split(struct gguf_opening *o, const struct sprat_source *source,
                                     uint32_t count, struct sprat__err *err)
{
    char suffix[21];
    if (count > GGUF_SHARDS_MOST)
        return sprat__fail(err, SPRAT_BAD_FORMAT, "%s: split.count is %u, at most %d are allowed",
                           o->label, (unsigned)count, GGUF_SHARDS_MOST);
    if (source->kind != SPRAT_SOURCE_PATH)
        return sprat__fail(err, SPRAT_UNSUPPORTED,
                           "%s holds one of %u shards; a split model must be opened by its path",
                           o->label, (unsigned)count);
    if (!o->gguf->files[0].data)
        return sprat__fail(err, SPRAT_UNSUPPORTED,
                           "%s holds one of %u shards; a split model must be mapped, and this "
                           "system maps no files",
                           o->label, (unsigned)count);
    gguf_split_suffix(suffix, 0, count);
    size_t len = strlen(source->path);
    if (len < 20 || memcmp(source->path + len - 20, suffix, 20) != 0)
        return sprat__fail(err, SPRAT_BAD_FORMAT,
                           "%s is the first of %u shards; expected a name that ends in %s",
                           o->label, (unsigned)count, suffix);
    o->path = sprat__new_raw(o->gguf->mem, len + 1, 1, SPRAT_PURPOSE_DIRECTORY, err);
    if (!o->path)
        return err->status;
    memcpy(o->path, source->path, len + 1);
    return SPRAT_OK;
}

/* Holds what a shard says of itself against where it was found. */
static sprat_status gguf_check_shard(struct gguf_opening *o, const struct sprat__gguf *part,
                                     uint32_t number, uint32_t count, struct sprat__err *err)
{
    uint32_t no = 0, its_count = 0;
    bool has_no, has_count;
    SPRAT_TRY(sprat__gguf_u32(part, "split.no", &no, &has_no, err));
    SPRAT_TRY(sprat__gguf_u32(part, "split.count", &its_count, &has_count, err));
    if (!has_no || !has_count)
        return sprat__fail(err, SPRAT_BAD_FORMAT, "%s: a shard without key %s", o->label,
                           has_no ? "split.count" : "split.no");
    if (its_count != count)
        return sprat__fail(err, SPRAT_BAD_FORMAT, "%s: split.count is %u, the first shard's is %u",
                           o->label, (unsigned)its_count, (unsigned)count);
    if (no != number)
        return sprat__fail(err, SPRAT_BAD_FORMAT, "%s: split.no is %u, expected %u", o->label,
                           (unsigned)no, (unsigned)number);
    return SPRAT_OK;
}

static sprat_status gguf_add_split(struct gguf_opening *o, uint32_t number, uint32_t count,
                                   struct sprat__err *err)
{
    struct sprat__gguf part = {.mem = o->gguf->mem};
    struct sprat_source source = {
        .size = sizeof source, .kind = SPRAT_SOURCE_PATH, .path = o->path};
    gguf_split_suffix(o->path + strlen(o->path) - 20, number, count);
    sprat_status status = gguf_add_shard(o, &source, err);
    if (status == SPRAT_OK)
        status = gguf_read_part(o, number, &part, err);
    if (status == SPRAT_OK)
        status = gguf_check_shard(o, &part, number, count, err);
    sprat__free(part.mem, part.key_order);
    sprat__free(part.mem, part.keys);
    return status;
}

/* Adds the shards that the first one's keys speak of. */
static sprat_status gguf_add_splits(struct gguf_opening *o, const struct sprat_source *source,
                                    struct sprat__err *err)
{
    const struct sprat__gguf *gguf = o->gguf;
    uint32_t count = 0, no = 0, expected = 0;
    bool found, has_total;
    uint64_t total = 0;
    SPRAT_TRY(sprat__gguf_u32(gguf, "split.no", &no, &found, err));
    SPRAT_TRY(sprat__gguf_u32(gguf, "split.count", &count, &found, err));
    if (no != 0)
        return sprat__fail(err, SPRAT_BAD_FORMAT,
                           "%s: this is shard %llu of %u; a split model is opened by its first",
                           o->label, (unsigned long long)no + 1, (unsigned)count);
    if (count <= 1)
        return SPRAT_OK;
    SPRAT_TRY(sprat__gguf_u32(gguf, "split.tensors.count", &expected, &has_total, err));
    SPRAT_TRY(gguf_begin_split(o, source, count, err));
    for (uint32_t i = 1; i < count; i++)
        SPRAT_TRY(gguf_add_split(o, i, count, err));
    gguf_set_label(o->label, source);
    for (uint32_t i = 0; i < count; i++)
        total += o->shards[i].n_tensors;
    if (!has_total || total != expected)
        return sprat__fail(err, SPRAT_BAD_FORMAT,
                           "%s: the %u shards hold %llu tensors, split.tensors.count is %s%u",
                           o->label, (unsigned)count, (unsigned long long)total,
                           has_total ? "" : "missing, ", (unsigned)expected);
    return SPRAT_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Two tensors, the second found to clash with the first. */
static sprat_status gguf_fail_pair(const struct gguf_opening *o, const struct sprat__gguf_tensor *a,
                                   const struct sprat__gguf_tensor *b, const char *how,
                                   struct sprat__err *err)
{
    char first[64], second[64];
    return sprat__fail(err, SPRAT_BAD_FORMAT, "%s: tensors '%s' and '%s' %s", o->label,
                       sprat__quote(first, sizeof first, a->name, a->name_len),
                       sprat__quote(second, sizeof second, b->name, b->name_len), how);
}

/* Sorts tensors by place, then by name, looking at neighbours. */
static sprat_status gguf_check_tensors(const struct gguf_opening *o, struct sprat__err *err)
{
    struct sprat__gguf *gguf = o->gguf;
    gguf->tensor_order = gguf_new_order(gguf, gguf->n_tensors, gguf_place_less, err);
    if (!gguf->tensor_order)
        return err->status;
    for (size_t i = 1; i < gguf->n_tensors; i++) {
        const struct sprat__gguf_tensor *a = &gguf->tensors[gguf->tensor_order[i - 1]];
        const struct sprat__gguf_tensor *b = &gguf->tensors[gguf->tensor_order[i]];
        if (a->shard == b->shard && b->offset - a->offset < a->bytes)
            return gguf_fail_pair(o, a, b, "overlap", err);
    }
    gguf_sort(gguf->tensor_order, gguf->n_tensors, gguf_tensor_less, gguf);
    for (size_t i = 1; i < gguf->n_tensors; i++) {
        const struct sprat__gguf_tensor *a = &gguf->tensors[gguf->tensor_order[i - 1]];
        const struct sprat__gguf_tensor *b = &gguf->tensors[gguf->tensor_order[i]];
        if (gguf_compare_names(a->name, a->name_len, b->name, b->name_len) == 0)
            return gguf_fail_pair(o, a, b, "have the same name", err);
    }
    return SPRAT_OK;
}

static sprat_status gguf_read_all_tensors(struct gguf_opening *o, const struct sprat_source *source,
                                          struct sprat__err *err)
{
    struct sprat__gguf *gguf = o->gguf;
    uint64_t total = 0;
    for (size_t i = 0; i < gguf->n_files; i++)
        total += o->shards[i].n_tensors;
    if (total >= UINT32_MAX)
        return sprat__fail(err, SPRAT_BAD_FORMAT, "%s: %llu tensors are too many", o->label,
                           (unsigned long long)total);
    gguf->tensors =
        sprat__new(gguf->mem, (size_t)total, sizeof *gguf->tensors, SPRAT_PURPOSE_DIRECTORY, err);
    if (!gguf->tensors)
        return err->status;
    size_t n = 0;
    for (size_t i = 0; i < gguf->n_files; i++) {
        struct sprat_source shard_source = *source;
        if (o->path) {
            gguf_split_suffix(o->path + strlen(o->path) - 20, (uint32_t)i, gguf->n_files);
            shard_source.path = o->path;
        }
        gguf_set_label(o->label, &shard_source);
        SPRAT_TRY(sprat__gguf_read_tensors(&o->shards[i], gguf_head_of(gguf, i),
                                           gguf->files[i].data, (uint16_t)i, gguf->tensors + n,
                                           o->label, err));
        n += (size_t)o->shards[i].n_tensors;
    }
    gguf->n_tensors = n;
    gguf_set_label(o->label, source);
    return gguf_check_tensors(o, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

static sprat_status gguf_open_all(struct gguf_opening *o, const struct sprat_source *source,
                                  struct sprat__err *err)
{
    SPRAT_TRY(gguf_add_shard(o, source, err));
    o->gguf->version = o->shards[0].version;
    o->gguf->alignment = o->shards[0].alignment;
    SPRAT_TRY(gguf_read_part(o, 0, o->gguf, err));
    SPRAT_TRY(gguf_add_splits(o, source, err));
    return gguf_read_all_tensors(o, source, err);
}

sprat_status sprat__gguf_open(struct sprat__gguf *gguf, struct sprat__mem *mem,
                              const struct sprat_source *source, struct sprat__err *err)
{
    struct gguf_opening opening = {.gguf = gguf};
    memset(gguf, 0, sizeof *gguf);
    gguf->mem = mem;
    sprat_status status = gguf_open_all(&opening, source, err);
    sprat__free(mem, opening.shards);
    sprat__free(mem, opening.path);
    if (status != SPRAT_OK)
        sprat__gguf_close(gguf);
    return status;
}

void sprat__gguf_close(struct sprat__gguf *gguf)
{
    struct sprat__mem *mem = gguf->mem;
    for (size_t i = 0; i < gguf->n_files; i++)
        sprat__file_close(&gguf->files[i]);
    if (mem) {
        sprat__free(mem, gguf->files);
        sprat__free(mem, gguf->head);
        sprat__free(mem, gguf->keys);
        sprat__free(mem, gguf->key_order);
        sprat__free(mem, gguf->tensors);
        sprat__free(mem, gguf->tensor_order);
        sprat__free(mem, gguf->weights);
    }
    memset(gguf, 0, sizeof *gguf);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* Where the tensors of a one-shard file begin and end. False: there are none to load. */
static bool gguf_load_span(const struct sprat__gguf *gguf, uint64_t *begin, uint64_t *end)
{
    if (gguf->n_files != 1 || gguf->files[0].data || gguf->n_tensors == 0)
        return false;
    *begin = UINT64_MAX;
    *end = 0;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const struct sprat__gguf_tensor *t = &gguf->tensors[i];
        if (t->offset < *begin)
            *begin = t->offset;
        if (t->offset + t->bytes > *end)
            *end = t->offset + t->bytes;
    }
    return true;
}

uint64_t sprat__gguf_load_bytes(const struct sprat__gguf *gguf)
{
    uint64_t begin, end;
    size_t bytes;
    if (!gguf_load_span(gguf, &begin, &end))
        return 0;
    return sprat__to_size(end - begin, &bytes) ? sprat__block_bytes(bytes, 1) : UINT64_MAX;
}

static sprat_status
gguf_load_steps(const struct sprat__gguf *gguf, uint8_t *weights, uint64_t begin, size_t bytes,
                int32_t (*progress)(void *user, uint64_t done_bytes, uint64_t total_bytes),
                void *user, struct sprat__err *err)
{
    for (size_t done = 0; done < bytes;) {
        if (progress && progress(user, done, bytes) != 0)
            return sprat__fail(err, SPRAT_CANCELLED, "opening was cancelled after %zu of %zu bytes",
                               done, bytes);
        size_t step = bytes - done < GGUF_LOAD_STEP ? bytes - done : GGUF_LOAD_STEP;
        SPRAT_TRY(sprat__file_read(&gguf->files[0], begin + done, weights + done, step, err));
        done += step;
    }
    if (progress && progress(user, bytes, bytes) != 0)
        return sprat__fail(err, SPRAT_CANCELLED, "opening was cancelled after %zu bytes", bytes);
    return SPRAT_OK;
}

sprat_status sprat__gguf_load(struct sprat__gguf *gguf,
                              int32_t (*progress)(void *user, uint64_t done_bytes,
                                                  uint64_t total_bytes),
                              void *user, struct sprat__err *err)
{
    uint64_t begin, end;
    size_t bytes;
    if (gguf->weights || !gguf_load_span(gguf, &begin, &end))
        return SPRAT_OK;
    if (!sprat__to_size(end - begin, &bytes))
        return sprat__fail(err, SPRAT_NO_MEMORY, "weights of %llu bytes do not fit memory",
                           (unsigned long long)(end - begin));
    uint8_t *weights = sprat__new_raw(gguf->mem, bytes, 1, SPRAT_PURPOSE_WEIGHTS, err);
    if (!weights)
        return err->status;
    sprat_status status = gguf_load_steps(gguf, weights, begin, bytes, progress, user, err);
    if (status != SPRAT_OK) {
        sprat__free(gguf->mem, weights);
        return status;
    }
    gguf->weights = weights;
    for (size_t i = 0; i < gguf->n_tensors; i++)
        gguf->tensors[i].data = weights + (size_t)(gguf->tensors[i].offset - begin);
    return SPRAT_OK;
}
