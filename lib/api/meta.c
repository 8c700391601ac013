/* Owns the translation of GGUF values into sprat_meta. The directory has checked every length. */
#include "api/meta.h"

#include "base/cursor.h"

#include <string.h>

static uint32_t meta_type(uint32_t gguf_type)
{
    switch (gguf_type) {
    case SPRAT__GGUF_F32:
    case SPRAT__GGUF_F64:
        return SPRAT_META_FLOAT;
    case SPRAT__GGUF_BOOL:
        return SPRAT_META_BOOL;
    case SPRAT__GGUF_STRING:
        return SPRAT_META_STRING;
    case SPRAT__GGUF_ARRAY:
        return SPRAT_META_ARRAY;
    case SPRAT__GGUF_I8:
    case SPRAT__GGUF_I16:
    case SPRAT__GGUF_I32:
    case SPRAT__GGUF_I64:
        return SPRAT_META_INT;
    default:
        return SPRAT_META_UINT;
    }
}

static size_t meta_bytes(uint32_t gguf_type)
{
    switch (gguf_type) {
    case SPRAT__GGUF_U8:
    case SPRAT__GGUF_I8:
    case SPRAT__GGUF_BOOL:
        return 1;
    case SPRAT__GGUF_U16:
    case SPRAT__GGUF_I16:
        return 2;
    case SPRAT__GGUF_U32:
    case SPRAT__GGUF_I32:
    case SPRAT__GGUF_F32:
        return 4;
    default:
        return 8;
    }
}

static void meta_integer(struct sprat_meta *meta, uint32_t gguf_type, const uint8_t *value)
{
    uint64_t bits = 0;
    size_t n = meta_bytes(gguf_type);
    for (size_t i = 0; i < n; i++)
        bits |= (uint64_t)value[i] << (8 * i);
    if (meta->type == SPRAT_META_INT) {
        if (n < 8 && (bits >> (8 * n - 1)) & 1)
            bits |= UINT64_MAX << (8 * n);
        memcpy(&meta->i, &bits, sizeof meta->i);
        meta->f = (double)meta->i;
        return;
    }
    meta->u = bits;
    meta->i = bits <= INT64_MAX ? (int64_t)bits : 0;
    meta->f = (double)bits;
}

static void meta_scalar(struct sprat_meta *meta, uint32_t gguf_type, const uint8_t *value)
{
    meta->type = meta_type(gguf_type);
    if (gguf_type == SPRAT__GGUF_F32)
        meta->f = (double)sprat__lef32(value);
    else if (gguf_type == SPRAT__GGUF_F64)
        meta->f = sprat__lef64(value);
    else
        meta_integer(meta, gguf_type, value);
}

static void meta_begin(struct sprat_meta *meta, const struct sprat__gguf_key *key)
{
    memset(meta, 0, sizeof *meta);
    meta->size = sizeof *meta;
    meta->key = key->name;
    meta->key_len = key->name_len;
}

static void meta_string(struct sprat_meta *meta, const char *text, size_t len)
{
    meta->type = SPRAT_META_STRING;
    meta->text = text;
    meta->text_len = len;
}

void sprat__meta_of(struct sprat_meta *meta, const struct sprat__gguf_key *key)
{
    meta_begin(meta, key);
    if (key->type == SPRAT__GGUF_ARRAY) {
        meta->type = SPRAT_META_ARRAY;
        meta->element_type = meta_type(key->element);
        meta->n_elements = key->count;
    } else if (key->type == SPRAT__GGUF_STRING) {
        meta_string(meta, (const char *)key->value, (size_t)key->count);
    } else {
        meta_scalar(meta, key->type, key->value);
    }
}

bool sprat__meta_item(struct sprat_meta *meta, const struct sprat__gguf_key *key, uint64_t item)
{
    meta_begin(meta, key);
    if (item >= key->count)
        return false;
    if (key->element != SPRAT__GGUF_STRING) {
        meta_scalar(meta, key->element, key->value + item * meta_bytes(key->element));
        return true;
    }
    size_t cursor = 0, len = 0;
    const char *text = "";
    for (uint64_t i = 0; i <= item; i++) {
        if (!sprat__gguf_next_string(key, &cursor, &text, &len))
            return false;
    }
    meta_string(meta, text, len);
    return true;
}
