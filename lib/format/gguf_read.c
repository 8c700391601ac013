/* Owns the reading of one shard's directory: counts, keys, tensor list. UNTRUSTED INPUT. Leaves
 * names held twice, overlapping tensors and split files to gguf.c.
 * Invariant: every byte is taken through the cursor, every number is held against the bytes of the
 * file before it is used, and nothing is allocated. Format:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#include "format/gguf_read.h"

#include "base/checked.h"
#include "base/cursor.h"
#include "tensor/dtype.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    GGUF_KEY_LEAST = 8 + 1 + 4 + 1,            /* bytes of the smallest key */
    GGUF_TENSOR_LEAST = 8 + 1 + 4 + 8 + 4 + 8, /* bytes of the smallest tensor entry */
    GGUF_NAME_MOST = 65535,
    GGUF_ALIGNMENT_MOST = 1 << 20
};

/* A walk: where it is, and what it is at, for messages. */
struct gguf_reader {
    struct sprat__cursor at;
    uint64_t file_bytes;
    const char *label;
    const char *item; /* "key", "tensor", or NULL for the header */
    uint64_t number;  /* of the item, from 0 */
    const char *name; /* NULL while not yet read */
    size_t name_len;
    uint64_t need; /* see sprat__gguf_read_head */
    struct sprat__err *err;
};

uint32_t sprat__gguf_width(uint32_t type)
{
    static const uint8_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof widths ? widths[type] : 0;
}

const char *sprat__gguf_type_name(uint32_t type)
{
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return type < sizeof names / sizeof names[0] ? names[type] : "?";
}

static uint64_t gguf_left(const struct gguf_reader *r)
{
    return r->file_bytes - sprat__cursor_offset(&r->at);
}

/* Fails with a line such as "file: key 3 'general.name', byte 99: its value needs 8 bytes". */
static sprat_status gguf_fail(const struct gguf_reader *r, sprat_status status, const char *format,
                              ...) SPRAT__PRINTF(3, 4);
static sprat_status gguf_fail(const struct gguf_reader *r, sprat_status status, const char *format,
                              ...)
{
    char detail[112], name[56];
    unsigned long long byte = sprat__cursor_offset(&r->at), number = r->number;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    if (!r->item)
        return sprat__fail(r->err, status, "%s: %s", r->label, detail);
    if (!r->name)
        return sprat__fail(r->err, status, "%s: %s %llu, byte %llu: %s", r->label, r->item, number,
                           byte, detail);
    return sprat__fail(r->err, status, "%s: %s %llu '%s', byte %llu: %s", r->label, r->item, number,
                       sprat__quote(name, sizeof name, r->name, r->name_len), byte, detail);
}

/* What to say when n bytes were not at hand. */
static sprat_status gguf_take_failed(struct gguf_reader *r, uint64_t n, const char *what)
{
    if (n <= gguf_left(r)) {
        r->need = sprat__cursor_offset(&r->at) + n;
        return SPRAT_TRUNCATED;
    }
    return gguf_fail(r, SPRAT_TRUNCATED, "%s needs %llu bytes, %llu are left", what,
                     (unsigned long long)n, (unsigned long long)gguf_left(r));
}

/* The next n bytes. what: of the item, for the message. */
static inline sprat_status gguf_take(struct gguf_reader *r, uint64_t n, const uint8_t **out,
                                     const char *what)
{
    return sprat__cursor_take(&r->at, n, out) ? SPRAT_OK : gguf_take_failed(r, n, what);
}

static sprat_status gguf_take_u32(struct gguf_reader *r, uint32_t *out, const char *what)
{
    const uint8_t *p = NULL;
    SPRAT_TRY(gguf_take(r, 4, &p, what));
    *out = sprat__le32(p);
    return SPRAT_OK;
}

static inline sprat_status gguf_take_u64(struct gguf_reader *r, uint64_t *out, const char *what)
{
    const uint8_t *p = NULL;
    SPRAT_TRY(gguf_take(r, 8, &p, what));
    *out = sprat__le64(p);
    return SPRAT_OK;
}

/* A key's or tensor's name, which the reader then shows in messages. */
static sprat_status gguf_take_name(struct gguf_reader *r, const char **name, uint16_t *name_len)
{
    uint64_t len;
    const uint8_t *p;
    SPRAT_TRY(gguf_take_u64(r, &len, "the length of its name"));
    if (len == 0)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "its name is empty");
    if (len > gguf_left(r))
        return gguf_take(r, len, &p, "its name");
    if (len > GGUF_NAME_MOST)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "its name is %llu bytes long, at most %d are allowed",
                         (unsigned long long)len, GGUF_NAME_MOST);
    SPRAT_TRY(gguf_take(r, len, &p, "its name"));
    *name = r->name = (const char *)p;
    *name_len = (uint16_t)len;
    r->name_len = (size_t)len;
    return SPRAT_OK;
}

static sprat_status gguf_check_bools(struct gguf_reader *r, const uint8_t *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (values[i] > 1) {
            return gguf_fail(r, SPRAT_BAD_FORMAT, "a bool must be 0 or 1, found %u",
                             (unsigned)values[i]);
        }
    }
    return SPRAT_OK;
}

static sprat_status gguf_take_array(struct gguf_reader *r, struct sprat__gguf_key *key)
{
    uint32_t element;
    uint64_t count;
    SPRAT_TRY(gguf_take_u32(r, &element, "its element type"));
    SPRAT_TRY(gguf_take_u64(r, &count, "its count"));
    if (element == SPRAT__GGUF_ARRAY)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "an array of arrays is not allowed");
    if (element > SPRAT__GGUF_F64)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "element type %u is none of 0 to 12",
                         (unsigned)element);
    uint64_t least = element == SPRAT__GGUF_STRING ? 8 : sprat__gguf_width(element);
    if (count > gguf_left(r) / least)
        return gguf_fail(
            r, SPRAT_TRUNCATED, "%llu elements of at least %llu bytes, %llu bytes are left",
            (unsigned long long)count, (unsigned long long)least, (unsigned long long)gguf_left(r));
    key->element = (uint8_t)element;
    key->count = count;
    if (element != SPRAT__GGUF_STRING) {
        SPRAT_TRY(gguf_take(r, count * least, &key->value, "its array"));
        return element == SPRAT__GGUF_BOOL ? gguf_check_bools(r, key->value, count) : SPRAT_OK;
    }
    key->value = r->at.at;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t len;
        const uint8_t *p;
        SPRAT_TRY(gguf_take_u64(r, &len, "the length of a string in its array"));
        SPRAT_TRY(gguf_take(r, len, &p, "a string in its array"));
    }
    uint64_t bytes = (uint64_t)(r->at.at - key->value);
    if (bytes > UINT32_MAX)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "its strings are %llu bytes, at most %lu are allowed",
                         (unsigned long long)bytes, (unsigned long)UINT32_MAX);
    key->strings_bytes = (uint32_t)bytes;
    return SPRAT_OK;
}

static sprat_status gguf_take_key(struct gguf_reader *r, struct sprat__gguf_key *key)
{
    uint32_t type;
    r->name = NULL;
    SPRAT_TRY(gguf_take_name(r, &key->name, &key->name_len));
    SPRAT_TRY(gguf_take_u32(r, &type, "its type"));
    if (type > SPRAT__GGUF_F64)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "value type %u is none of 0 to 12", (unsigned)type);
    key->type = (uint8_t)type;
    key->element = 0;
    key->strings_bytes = 0;
    key->count = 1;
    if (type == SPRAT__GGUF_ARRAY)
        return gguf_take_array(r, key);
    uint64_t bytes = sprat__gguf_width(type);
    if (type == SPRAT__GGUF_STRING) {
        SPRAT_TRY(gguf_take_u64(r, &bytes, "the length of its value"));
        key->count = bytes;
    }
    SPRAT_TRY(gguf_take(r, bytes, &key->value, "its value"));
    return type == SPRAT__GGUF_BOOL ? gguf_check_bools(r, key->value, 1) : SPRAT_OK;
}

/* Takes the alignment of the data section from its key. */
static sprat_status gguf_set_alignment(struct gguf_reader *r, const struct sprat__gguf_key *key,
                                       uint32_t *alignment)
{
    static const char name[] = "general.alignment";
    if (key->name_len != sizeof name - 1 || memcmp(key->name, name, sizeof name - 1) != 0)
        return SPRAT_OK;
    if (key->type != SPRAT__GGUF_U32)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "expected type u32, found %s",
                         sprat__gguf_type_name(key->type));
    uint32_t value = sprat__le32(key->value);
    if (value == 0 || (value & (value - 1)) != 0 || value > GGUF_ALIGNMENT_MOST)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "expected a power of two up to %d, found %u",
                         GGUF_ALIGNMENT_MOST, (unsigned)value);
    *alignment = value;
    return SPRAT_OK;
}

/* n_dims and ne, with the bytes they come to. */
static sprat_status gguf_check_shape(struct gguf_reader *r, struct sprat__gguf_tensor *tensor)
{
    const struct sprat__dtype_info *info = sprat__dtype_info(tensor->type);
    uint64_t bytes;
    if (tensor->ne[0] % info->block_elements != 0)
        return gguf_fail(
            r, SPRAT_BAD_SHAPE, "rows of %llu elements are no multiple of %s's blocks of %u",
            (unsigned long long)tensor->ne[0], info->name, (unsigned)info->block_elements);
    bool fits = sprat__dtype_row_bytes(tensor->type, tensor->ne[0], &bytes);
    for (int i = 1; i < 4; i++)
        fits = fits && sprat__mul_u64(bytes, tensor->ne[i], &bytes);
    if (!fits)
        return gguf_fail(r, SPRAT_BAD_SHAPE, "%llu x %llu x %llu x %llu elements are too many",
                         (unsigned long long)tensor->ne[0], (unsigned long long)tensor->ne[1],
                         (unsigned long long)tensor->ne[2], (unsigned long long)tensor->ne[3]);
    tensor->bytes = bytes;
    return SPRAT_OK;
}

static sprat_status gguf_take_tensor(struct gguf_reader *r, struct sprat__gguf_tensor *tensor)
{
    uint32_t n_dims, type;
    r->name = NULL;
    SPRAT_TRY(gguf_take_name(r, &tensor->name, &tensor->name_len));
    SPRAT_TRY(gguf_take_u32(r, &n_dims, "its number of dimensions"));
    if (n_dims == 0 || n_dims > 4)
        return gguf_fail(r, SPRAT_BAD_SHAPE, "expected 1 to 4 dimensions, found %u",
                         (unsigned)n_dims);
    for (uint32_t i = 0; i < 4; i++) {
        tensor->ne[i] = 1;
        if (i < n_dims)
            SPRAT_TRY(gguf_take_u64(r, &tensor->ne[i], "its shape"));
        if (tensor->ne[i] == 0)
            return gguf_fail(r, SPRAT_BAD_SHAPE, "dimension %u is 0", (unsigned)i);
    }
    SPRAT_TRY(gguf_take_u32(r, &type, "its type"));
    if (!sprat__dtype_info(type))
        return gguf_fail(r, SPRAT_UNKNOWN_TYPE, "type id %u is not known", (unsigned)type);
    tensor->n_dims = (uint8_t)n_dims;
    tensor->type = (uint8_t)type;
    SPRAT_TRY(gguf_check_shape(r, tensor));
    return gguf_take_u64(r, &tensor->offset, "its offset");
}

static sprat_status gguf_read_version(struct gguf_reader *r, uint32_t *version)
{
    static const char magic[] = "GGUF";
    size_t shown = sprat__cursor_left(&r->at) < 4 ? sprat__cursor_left(&r->at) : 4;
    char found[24];
    const uint8_t *p;
    if (memcmp(r->at.at, magic, shown) != 0)
        return gguf_fail(r, SPRAT_BAD_MAGIC,
                         "not a GGUF file: it begins with '%s', expected 'GGUF'",
                         sprat__quote(found, sizeof found, (const char *)r->at.at, shown));
    SPRAT_TRY(gguf_take(r, 4, &p, "the magic number"));
    SPRAT_TRY(gguf_take_u32(r, version, "the version"));
    if (*version != 0 && (*version & 0xffff) == 0)
        return gguf_fail(r, SPRAT_BAD_VERSION,
                         "a big-endian GGUF; only little-endian files are read");
    if (*version != 2 && *version != 3)
        return gguf_fail(r, SPRAT_BAD_VERSION, "GGUF version %u, expected 2 or 3",
                         (unsigned)*version);
    return SPRAT_OK;
}

/* The two counts, which the rest of the file must be able to hold. */
static sprat_status gguf_read_counts(struct gguf_reader *r, struct sprat__gguf_shard *shard)
{
    SPRAT_TRY(gguf_take_u64(r, &shard->n_tensors, "the number of tensors"));
    SPRAT_TRY(gguf_take_u64(r, &shard->n_keys, "the number of keys"));
    uint64_t left = gguf_left(r);
    if (shard->n_tensors > left / GGUF_TENSOR_LEAST ||
        shard->n_keys > (left - shard->n_tensors * GGUF_TENSOR_LEAST) / GGUF_KEY_LEAST)
        return gguf_fail(r, SPRAT_TRUNCATED,
                         "%llu keys and %llu tensors do not fit the %llu bytes that follow",
                         (unsigned long long)shard->n_keys, (unsigned long long)shard->n_tensors,
                         (unsigned long long)left);
    if (shard->n_tensors >= UINT32_MAX || shard->n_keys >= UINT32_MAX)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "%llu keys and %llu tensors, at most %lu are allowed",
                         (unsigned long long)shard->n_keys, (unsigned long long)shard->n_tensors,
                         (unsigned long)UINT32_MAX - 1);
    return SPRAT_OK;
}

static sprat_status gguf_walk(struct gguf_reader *r, struct sprat__gguf_shard *shard)
{
    struct sprat__gguf_key key;
    struct sprat__gguf_tensor tensor;
    SPRAT_TRY(gguf_read_version(r, &shard->version));
    SPRAT_TRY(gguf_read_counts(r, shard));
    shard->alignment = 32;
    shard->keys_at = sprat__cursor_offset(&r->at);
    r->item = "key";
    for (r->number = 0; r->number < shard->n_keys; r->number++) {
        SPRAT_TRY(gguf_take_key(r, &key));
        SPRAT_TRY(gguf_set_alignment(r, &key, &shard->alignment));
    }
    shard->tensors_at = sprat__cursor_offset(&r->at);
    r->item = "tensor";
    for (r->number = 0; r->number < shard->n_tensors; r->number++)
        SPRAT_TRY(gguf_take_tensor(r, &tensor));
    shard->end = sprat__cursor_offset(&r->at);
    if (!sprat__align_u64(shard->end, shard->alignment, &shard->data_at))
        return gguf_fail(r, SPRAT_BAD_FORMAT, "its directory is too long");
    return SPRAT_OK;
}

sprat_status sprat__gguf_read_head(struct sprat__gguf_shard *shard, const uint8_t *head,
                                   size_t head_bytes, uint64_t file_bytes, const char *label,
                                   uint64_t *need, struct sprat__err *err)
{
    struct gguf_reader r = {.at = sprat__cursor_of(head, head_bytes),
                            .file_bytes = file_bytes,
                            .label = label,
                            .err = err};
    memset(shard, 0, sizeof *shard);
    shard->file_bytes = file_bytes;
    sprat_status status = gguf_walk(&r, shard);
    *need = r.need;
    return status;
}

/* A reader of a head that has been walked: its end is the directory's. */
static struct gguf_reader gguf_reader_at(const struct sprat__gguf_shard *shard, const uint8_t *head,
                                         uint64_t at, const char *label, struct sprat__err *err)
{
    struct gguf_reader r = {.at = sprat__cursor_of(head, (size_t)shard->end),
                            .file_bytes = shard->end,
                            .label = label,
                            .err = err};
    r.at.at += at;
    return r;
}

sprat_status sprat__gguf_read_keys(const struct sprat__gguf_shard *shard, const uint8_t *head,
                                   struct sprat__gguf_key *keys, const char *label,
                                   struct sprat__err *err)
{
    struct gguf_reader r = gguf_reader_at(shard, head, shard->keys_at, label, err);
    r.item = "key";
    for (r.number = 0; r.number < shard->n_keys; r.number++)
        SPRAT_TRY(gguf_take_key(&r, &keys[r.number]));
    return SPRAT_OK;
}

/* Holds a tensor's place against its shard, and makes its offset one from the shard's first byte.
 */
static sprat_status gguf_place_tensor(struct gguf_reader *r, const struct sprat__gguf_shard *shard,
                                      struct sprat__gguf_tensor *tensor)
{
    uint64_t begin, end;
    if (tensor->offset % shard->alignment != 0)
        return gguf_fail(r, SPRAT_BAD_FORMAT, "offset %llu is no multiple of the alignment %u",
                         (unsigned long long)tensor->offset, (unsigned)shard->alignment);
    if (!sprat__add_u64(shard->data_at, tensor->offset, &begin) ||
        !sprat__add_u64(begin, tensor->bytes, &end) || end > shard->file_bytes)
        return gguf_fail(r, SPRAT_TRUNCATED,
                         "%llu bytes at data offset %llu, the file has %llu data bytes",
                         (unsigned long long)tensor->bytes, (unsigned long long)tensor->offset,
                         shard->data_at < shard->file_bytes
                             ? (unsigned long long)(shard->file_bytes - shard->data_at)
                             : 0ull);
    tensor->offset = begin;
    return SPRAT_OK;
}

sprat_status sprat__gguf_read_tensors(const struct sprat__gguf_shard *shard, const uint8_t *head,
                                      const uint8_t *data, uint16_t number,
                                      struct sprat__gguf_tensor *tensors, const char *label,
                                      struct sprat__err *err)
{
    struct gguf_reader r = gguf_reader_at(shard, head, shard->tensors_at, label, err);
    r.item = "tensor";
    for (r.number = 0; r.number < shard->n_tensors; r.number++) {
        struct sprat__gguf_tensor *tensor = &tensors[r.number];
        SPRAT_TRY(gguf_take_tensor(&r, tensor));
        SPRAT_TRY(gguf_place_tensor(&r, shard, tensor));
        tensor->shard = number;
        tensor->data = data ? data + (size_t)tensor->offset : NULL;
    }
    return SPRAT_OK;
}
