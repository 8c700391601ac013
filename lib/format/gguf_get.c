/* Owns the finding of keys and tensors by name, and the typed reading of values. Invariant: a value
 * is only read as what its type says it is, and only where it fits what is asked for. */
#include "format/gguf_read.h"

#include "base/cursor.h"

#include <float.h>
#include <string.h>

/* A number of any type: an integer as magnitude and sign, or a float. */
struct gguf_number {
    bool is_float, negative;
    uint64_t magnitude;
    double value;
};

/* false: type is no number. Bools are numbers 0 and 1. */
static bool gguf_take_number(const uint8_t *p, uint32_t type, struct gguf_number *out)
{
    int64_t i = 0;
    memset(out, 0, sizeof *out);
    switch (type) {
    case SPRAT__GGUF_U8:
    case SPRAT__GGUF_BOOL:
        out->magnitude = p[0];
        break;
    case SPRAT__GGUF_U16:
        out->magnitude = sprat__le16(p);
        break;
    case SPRAT__GGUF_U32:
        out->magnitude = sprat__le32(p);
        break;
    case SPRAT__GGUF_U64:
        out->magnitude = sprat__le64(p);
        break;
    case SPRAT__GGUF_I8:
        i = (int8_t)p[0];
        break;
    case SPRAT__GGUF_I16:
        i = (int16_t)sprat__le16(p);
        break;
    case SPRAT__GGUF_I32:
        i = (int32_t)sprat__le32(p);
        break;
    case SPRAT__GGUF_I64:
        i = (int64_t)sprat__le64(p);
        break;
    case SPRAT__GGUF_F32:
        out->is_float = true;
        out->value = (double)sprat__lef32(p);
        return true;
    case SPRAT__GGUF_F64:
        out->is_float = true;
        out->value = sprat__lef64(p);
        return true;
    default:
        return false;
    }
    if (i < 0) {
        out->negative = true;
        out->magnitude = 0 - (uint64_t)i;
    } else if (i > 0) {
        out->magnitude = (uint64_t)i;
    }
    out->value = out->negative ? -(double)out->magnitude : (double)out->magnitude;
    return true;
}

/* The lowest position in order whose name is not before the one sought, for either kind of list. */
static size_t gguf_bisect(const struct sprat__gguf *gguf, bool tensors, const char *name,
                          size_t len)
{
    size_t low = 0, high = tensors ? gguf->n_tensors : gguf->n_keys;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t at = tensors ? gguf->tensor_order[middle] : gguf->key_order[middle];
        const char *its = tensors ? gguf->tensors[at].name : gguf->keys[at].name;
        size_t its_len = tensors ? gguf->tensors[at].name_len : gguf->keys[at].name_len;
        bool before = its_len != len ? its_len < len : memcmp(its, name, len) < 0;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct sprat__gguf_tensor *sprat__gguf_tensor(const struct sprat__gguf *gguf,
                                                    const char *name)
{
    size_t len = strlen(name), at = gguf_bisect(gguf, true, name, len);
    if (at == gguf->n_tensors)
        return NULL;
    const struct sprat__gguf_tensor *t = &gguf->tensors[gguf->tensor_order[at]];
    return t->name_len == len && memcmp(t->name, name, len) == 0 ? t : NULL;
}

const struct sprat__gguf_key *sprat__gguf_key(const struct sprat__gguf *gguf, const char *name)
{
    size_t len = strlen(name), at = gguf_bisect(gguf, false, name, len);
    if (at == gguf->n_keys)
        return NULL;
    const struct sprat__gguf_key *k = &gguf->keys[gguf->key_order[at]];
    return k->name_len == len && memcmp(k->name, name, len) == 0 ? k : NULL;
}

/* The key, or NULL with *status OK (missing and found given) or BAD_CONFIG. */
static const struct sprat__gguf_key *gguf_want(const struct sprat__gguf *gguf, const char *name,
                                               bool *found, sprat_status *status,
                                               struct sprat__err *err)
{
    const struct sprat__gguf_key *key = sprat__gguf_key(gguf, name);
    *status = SPRAT_OK;
    if (found)
        *found = key != NULL;
    else if (!key)
        *status = sprat__fail(err, SPRAT_BAD_CONFIG, "key '%s' is missing", name);
    return key;
}

static sprat_status gguf_wrong_type(const struct sprat__gguf_key *key, const char *name,
                                    const char *expected, struct sprat__err *err)
{
    if (key->type == SPRAT__GGUF_ARRAY)
        return sprat__fail(err, SPRAT_BAD_CONFIG, "key '%s': expected %s, found an array of %s",
                           name, expected, sprat__gguf_type_name(key->element));
    return sprat__fail(err, SPRAT_BAD_CONFIG, "key '%s': expected %s, found type %s", name,
                       expected, sprat__gguf_type_name(key->type));
}

/* A value at p as an unsigned 32-bit number. */
static sprat_status gguf_to_u32(const struct sprat__gguf_key *key, const uint8_t *p, uint32_t type,
                                const char *name, uint32_t *out, struct sprat__err *err)
{
    struct gguf_number n;
    if (type == SPRAT__GGUF_BOOL || !gguf_take_number(p, type, &n) || n.is_float)
        return gguf_wrong_type(key, name, "an integer", err);
    if (n.negative || n.magnitude > UINT32_MAX)
        return sprat__fail(err, SPRAT_BAD_CONFIG, "key '%s': expected 0 to %lu, found %s%llu", name,
                           (unsigned long)UINT32_MAX, n.negative ? "-" : "",
                           (unsigned long long)n.magnitude);
    *out = (uint32_t)n.magnitude;
    return SPRAT_OK;
}

sprat_status sprat__gguf_u32(const struct sprat__gguf *gguf, const char *name, uint32_t *out,
                             bool *found, struct sprat__err *err)
{
    sprat_status status;
    const struct sprat__gguf_key *key = gguf_want(gguf, name, found, &status, err);
    return key ? gguf_to_u32(key, key->value, key->type, name, out, err) : status;
}

sprat_status sprat__gguf_u32_at(const struct sprat__gguf *gguf, const char *name, size_t index,
                                uint32_t *out, bool *found, struct sprat__err *err)
{
    sprat_status status;
    const struct sprat__gguf_key *key = gguf_want(gguf, name, found, &status, err);
    if (!key)
        return status;
    if (key->type != SPRAT__GGUF_ARRAY)
        return gguf_to_u32(key, key->value, key->type, name, out, err);
    if (index >= key->count)
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "key '%s': its array has %llu elements, number %zu is wanted", name,
                           (unsigned long long)key->count, index);
    const uint8_t *p = key->value + index * sprat__gguf_width(key->element);
    return gguf_to_u32(key, p, key->element, name, out, err);
}

sprat_status sprat__gguf_f32(const struct sprat__gguf *gguf, const char *name, float *out,
                             bool *found, struct sprat__err *err)
{
    sprat_status status;
    struct gguf_number n;
    const struct sprat__gguf_key *key = gguf_want(gguf, name, found, &status, err);
    if (!key)
        return status;
    if (key->type == SPRAT__GGUF_BOOL || !gguf_take_number(key->value, key->type, &n))
        return gguf_wrong_type(key, name, "a number", err);
    if (!(n.value >= -(double)FLT_MAX && n.value <= (double)FLT_MAX))
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "key '%s': expected a finite 32-bit float, found one that is not", name);
    *out = (float)n.value;
    return SPRAT_OK;
}

sprat_status sprat__gguf_bool(const struct sprat__gguf *gguf, const char *name, bool *out,
                              bool *found, struct sprat__err *err)
{
    sprat_status status;
    struct gguf_number n;
    const struct sprat__gguf_key *key = gguf_want(gguf, name, found, &status, err);
    if (!key)
        return status;
    if (!gguf_take_number(key->value, key->type, &n) || n.is_float)
        return gguf_wrong_type(key, name, "a bool", err);
    if (n.negative || n.magnitude > 1)
        return sprat__fail(err, SPRAT_BAD_CONFIG, "key '%s': expected 0 or 1, found %s%llu", name,
                           n.negative ? "-" : "", (unsigned long long)n.magnitude);
    *out = n.magnitude == 1;
    return SPRAT_OK;
}

sprat_status sprat__gguf_string(const struct sprat__gguf *gguf, const char *name, const char **out,
                                size_t *len, bool *found, struct sprat__err *err)
{
    sprat_status status;
    const struct sprat__gguf_key *key = gguf_want(gguf, name, found, &status, err);
    if (!key)
        return status;
    if (key->type != SPRAT__GGUF_STRING)
        return gguf_wrong_type(key, name, "a string", err);
    *out = (const char *)key->value;
    *len = (size_t)key->count;
    return SPRAT_OK;
}

bool sprat__gguf_next_string(const struct sprat__gguf_key *key, size_t *cursor, const char **out,
                             size_t *len)
{
    if (*cursor > key->strings_bytes)
        return false;
    struct sprat__cursor c = sprat__cursor_of(key->value + *cursor, key->strings_bytes - *cursor);
    uint64_t bytes;
    const uint8_t *p;
    if (!sprat__cursor_u64(&c, &bytes) || !sprat__cursor_take(&c, bytes, &p))
        return false;
    *out = (const char *)p;
    *len = (size_t)bytes;
    *cursor += sprat__cursor_offset(&c);
    return true;
}
