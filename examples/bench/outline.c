/* Owns the description of a model that need not be there: what of an open model goes into it, how
 * some layers are taken out of it, how it is written as a GGUF directory. Leaves the named shapes
 * to shapes.c, and memory behind the directory to stage.c. */
#include "outline.h"

#include "engine/session.h"
#include "format/gguf_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ----------------------------------------------------------------------------------- */

void outline_put(struct outline_bytes *b, const void *data, size_t n)
{
    if (b->is_bad || n > SIZE_MAX / 4 - b->len) {
        b->is_bad = true;
        return;
    }
    if (b->len + n > b->room) {
        size_t room = 2 * (b->len + n);
        uint8_t *larger = realloc(b->data, room);
        if (!larger) {
            b->is_bad = true;
            return;
        }
        b->data = larger;
        b->room = room;
    }
    if (n > 0)
        memcpy(b->data + b->len, data, n);
    b->len += n;
}

void outline_put_number(struct outline_bytes *b, uint64_t value, size_t n_bytes)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    outline_put(b, bytes, n_bytes);
}

void outline_put_text(struct outline_bytes *b, const char *text, size_t len)
{
    outline_put_number(b, len, 8);
    outline_put(b, text, len);
}

/* ---- keys and tensors ------------------------------------------------------------------------ */

static void put_key(struct outline_bytes *b, const char *arch, const char *name, uint32_t type)
{
    char text[128];
    int len = snprintf(text, sizeof text, "%s%s%s", arch, arch[0] ? "." : "", name);
    outline_put_text(b, text, (size_t)len);
    outline_put_number(b, type, 4);
}

void outline_key(struct outline *outline, const char *name, uint32_t type)
{
    put_key(&outline->keys, outline->arch, name, type);
    outline->n_keys++;
}

static struct outline_tensor *new_tensor(struct outline *outline)
{
    if (outline->n_tensors == outline->tensor_room) {
        size_t room = 2 * outline->tensor_room + 64;
        struct outline_tensor *larger = realloc(outline->tensors, room * sizeof *larger);
        if (!larger) {
            outline->is_bad = true;
            return NULL;
        }
        outline->tensors = larger;
        outline->tensor_room = room;
    }
    struct outline_tensor *tensor = &outline->tensors[outline->n_tensors++];
    memset(tensor, 0, sizeof *tensor);
    return tensor;
}

void outline_tensor(struct outline *outline, uint32_t layer, const char *part, uint32_t type,
                    uint64_t n0, uint64_t n1, uint64_t n2)
{
    struct outline_tensor *tensor = new_tensor(outline);
    if (!tensor)
        return;
    uint64_t row = 0;
    (void)snprintf(tensor->name, sizeof tensor->name, "%s", part);
    tensor->layer = layer;
    tensor->type = type;
    tensor->n_dims = n2 ? 3 : n1 ? 2 : 1;
    tensor->ne[0] = n0;
    tensor->ne[1] = n1 ? n1 : 1;
    tensor->ne[2] = n2 ? n2 : 1;
    outline->is_bad |= !sprat__dtype_row_bytes(type, n0, &row);
    tensor->bytes = row * tensor->ne[1] * tensor->ne[2];
}

void outline_destroy(struct outline *outline)
{
    if (!outline)
        return;
    free(outline->keys.data);
    free(outline->vocabulary.data);
    free(outline->tensors);
    free(outline);
}

/* ---- of an open model ------------------------------------------------------------------------ */

/* Whether the key is written anew, or plays no part in computing. */
static bool is_left_out(const struct sprat__gguf_key *key, const char *arch)
{
    static const char *const of_layers[] = {"block_count", "leading_dense_block_count",
                                            "nextn_predict_layers"};
    size_t len = strlen(arch);
    if (key->name_len <= len + 1 || memcmp(key->name, arch, len) != 0 || key->name[len] != '.')
        return true;
    for (size_t i = 0; i < sizeof of_layers / sizeof *of_layers; i++)
        if (strlen(of_layers[i]) == key->name_len - len - 1 &&
            memcmp(key->name + len + 1, of_layers[i], key->name_len - len - 1) == 0)
            return true;
    return false;
}

static void copy_key(struct outline *outline, const struct sprat__gguf_key *key)
{
    struct outline_bytes *b = &outline->keys;
    outline_put_text(b, key->name, key->name_len);
    outline_put_number(b, key->type, 4);
    outline->n_keys++;
    if (key->type == SPRAT__GGUF_STRING) {
        outline_put_text(b, (const char *)key->value, (size_t)key->count);
    } else if (key->type == SPRAT__GGUF_ARRAY) {
        size_t width = sprat__gguf_width(key->element);
        outline_put_number(b, key->element, 4);
        outline_put_number(b, key->count, 8);
        outline_put(b, key->value, width ? width * (size_t)key->count : key->strings_bytes);
    } else {
        outline_put(b, key->value, sprat__gguf_width(key->type));
    }
}

/* The layer that the name begins with, and what follows; OUTLINE_NO_LAYER: none. */
static uint32_t split_name(const struct sprat__gguf_tensor *tensor, char out[OUTLINE_NAME_BYTES])
{
    uint32_t layer = 0;
    size_t at = 4, len = tensor->name_len;
    bool is_layer = len > 4 && memcmp(tensor->name, "blk.", 4) == 0;
    while (is_layer && at < len && tensor->name[at] >= '0' && tensor->name[at] <= '9')
        layer = layer * 10 + (uint32_t)(tensor->name[at++] - '0');
    at = is_layer ? at + 1 : 0;
    (void)snprintf(out, OUTLINE_NAME_BYTES, "%.*s", (int)(len - at), tensor->name + at);
    return is_layer ? layer : OUTLINE_NO_LAYER;
}

struct outline *outline_of_model(const sprat_model *model)
{
    const struct sprat__model *inside = &model->model;
    const struct sprat__config *config = &inside->config;
    struct outline *outline = calloc(1, sizeof *outline);
    if (!outline)
        return NULL;
    (void)snprintf(outline->arch, sizeof outline->arch, "%s", inside->family->arch);
    outline->n_layers = config->n_layers;
    outline->n_experts = config->moe.n_experts;
    outline->n_used = config->moe.n_used;
    outline->n_dense = config->moe.n_experts ? config->moe.n_dense : config->n_layers;
    for (size_t i = 0; i < inside->gguf.n_keys; i++)
        if (!is_left_out(&inside->gguf.keys[i], outline->arch))
            copy_key(outline, &inside->gguf.keys[i]);
    for (size_t i = 0; i < inside->gguf.n_tensors; i++) {
        const struct sprat__gguf_tensor *from = &inside->gguf.tensors[i];
        char name[OUTLINE_NAME_BYTES];
        uint32_t layer = split_name(from, name);
        if (layer != OUTLINE_NO_LAYER && layer >= config->n_layers)
            continue;
        outline_tensor(outline, layer, name, from->type, from->ne[0],
                       from->n_dims > 1 ? from->ne[1] : 0, from->n_dims > 2 ? from->ne[2] : 0);
    }
    if (outline->is_bad || outline->keys.is_bad) {
        outline_destroy(outline);
        return NULL;
    }
    return outline;
}

/* ---- some layers ----------------------------------------------------------------------------- */

struct outline *outline_slice(const struct outline *from, uint32_t first, uint32_t n_of, uint32_t n)
{
    struct outline *slice = calloc(1, sizeof *slice);
    if (!slice)
        return NULL;
    memcpy(slice->arch, from->arch, sizeof slice->arch);
    outline_put(&slice->keys, from->keys.data, from->keys.len);
    slice->n_keys = from->n_keys;
    slice->n_experts = from->n_experts;
    slice->n_used = from->n_used;
    slice->n_layers = n;
    slice->n_dense = first < from->n_dense ? n : 0;
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t layer = i < n ? first + (uint32_t)((2 * (uint64_t)i + 1) * n_of / (2 * n))
                               : (uint32_t)OUTLINE_NO_LAYER;
        for (size_t k = 0; k < from->n_tensors; k++) {
            if (from->tensors[k].layer != layer)
                continue;
            struct outline_tensor *tensor = new_tensor(slice);
            if (!tensor)
                break;
            *tensor = from->tensors[k];
            tensor->layer = i < n ? i : (uint32_t)OUTLINE_NO_LAYER;
        }
    }
    if (slice->is_bad || slice->keys.is_bad) {
        outline_destroy(slice);
        return NULL;
    }
    return slice;
}

double outline_layer_bytes(const struct outline *outline, uint32_t layer)
{
    double sum = 0;
    for (size_t i = 0; i < outline->n_tensors; i++) {
        const struct outline_tensor *tensor = &outline->tensors[i];
        if (tensor->layer != layer)
            continue;
        double used = 1;
        if (strstr(tensor->name, "_exps.") && outline->n_experts)
            used = (double)outline->n_used / outline->n_experts;
        sum += (double)tensor->bytes * used;
    }
    return sum;
}

/* ---- as a file ------------------------------------------------------------------------------- */

uint64_t outline_padded(uint64_t n_bytes, uint32_t alignment)
{
    return (n_bytes + alignment - 1) / alignment * alignment;
}

static void put_u32_key(struct outline_bytes *b, const char *arch, const char *name, uint32_t value)
{
    put_key(b, arch, name, SPRAT__GGUF_U32);
    outline_put_number(b, value, 4);
}

static void put_keys(struct outline_bytes *b, const struct outline *outline, uint32_t alignment)
{
    put_key(b, "", "general.architecture", SPRAT__GGUF_STRING);
    outline_put_text(b, outline->arch, strlen(outline->arch));
    put_u32_key(b, "", "general.alignment", alignment);
    put_u32_key(b, outline->arch, "block_count", outline->n_layers);
    if (outline->n_experts)
        put_u32_key(b, outline->arch, "leading_dense_block_count", outline->n_dense);
    outline_put(b, outline->keys.data, outline->keys.len);
}

struct outline_bytes outline_directory(const struct outline *outline, uint32_t alignment,
                                       bool is_whole)
{
    struct outline_bytes b = {0};
    uint64_t n_keys = outline->n_keys + (outline->n_experts ? 4 : 3), at = 0;
    n_keys += is_whole ? outline->n_vocabulary_keys : 0;
    outline_put(&b, "GGUF", 4);
    outline_put_number(&b, 3, 4);
    outline_put_number(&b, outline->n_tensors, 8);
    outline_put_number(&b, n_keys, 8);
    put_keys(&b, outline, alignment);
    if (is_whole)
        outline_put(&b, outline->vocabulary.data, outline->vocabulary.len);
    for (size_t i = 0; i < outline->n_tensors; i++) {
        const struct outline_tensor *tensor = &outline->tensors[i];
        char name[OUTLINE_NAME_BYTES + 16];
        int len =
            tensor->layer == OUTLINE_NO_LAYER
                ? snprintf(name, sizeof name, "%s", tensor->name)
                : snprintf(name, sizeof name, "blk.%" PRIu32 ".%s", tensor->layer, tensor->name);
        outline_put_text(&b, name, (size_t)len);
        outline_put_number(&b, tensor->n_dims, 4);
        for (uint32_t k = 0; k < tensor->n_dims; k++)
            outline_put_number(&b, tensor->ne[k], 8);
        outline_put_number(&b, tensor->type, 4);
        outline_put_number(&b, at, 8);
        at += outline_padded(tensor->bytes, alignment);
    }
    static const uint8_t zeros[64];
    while (b.len % alignment != 0 && !b.is_bad) {
        size_t left = alignment - b.len % alignment;
        outline_put(&b, zeros, left < sizeof zeros ? left : sizeof zeros);
    }
    return b;
}
