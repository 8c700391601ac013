/* A GGUF written in memory, for tests: keys of all types, arrays, tensors with data, alignment,
 * splits. Everything is put down in the order of the calls, so that a test can also write files
 * that break the rules: gw_raw adds any bytes, the counts and each tensor's place can be set. The
 * writer aborts when memory is short; nothing of it is for the library.
 *
 *     struct gw w;
 *     gw_begin(&w);
 *     gw_str(&w, "general.architecture", "llama");
 *     gw_u32(&w, "llama.block_count", 2);
 *     const char *words[] = {"a", "b"};
 *     gw_strs(&w, "tokenizer.ggml.tokens", words, 2);
 *     gw_tensor(&w, "output_norm.weight", 0, 1, (uint64_t[]){64}, floats, 64 * 4);
 *     gw_end(&w);              w.file.data, w.file.len
 *     gw_free(&w);
 */
#ifndef SPRAT_TEST_GGUF_WRITER_H
#define SPRAT_TEST_GGUF_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GW_U8,
    GW_I8,
    GW_U16,
    GW_I16,
    GW_U32,
    GW_I32,
    GW_F32,
    GW_BOOL,
    GW_STRING,
    GW_ARRAY,
    GW_U64,
    GW_I64,
    GW_F64
};

struct gw_bytes {
    uint8_t *data;
    size_t len, capacity;
};

struct gw {
    struct gw_bytes keys, tensors, data; /* the three parts, before gw_end */
    struct gw_bytes file;                /* all, after it */
    uint32_t version;
    uint32_t alignment; /* of the data; gw_alignment sets the key too */
    uint64_t n_keys, n_tensors;
    uint64_t data_at; /* where the data section begins, after gw_end */
};

static inline void gw_raw(struct gw_bytes *b, const void *bytes, size_t n)
{
    if (b->len + n > b->capacity) {
        b->capacity = (b->len + n) * 2;
        b->data = realloc(b->data, b->capacity);
        if (!b->data)
            abort();
    }
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
}

/* The n low bytes of a number, little-endian. */
static inline void gw_int(struct gw_bytes *b, uint64_t value, size_t n)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    gw_raw(b, bytes, n);
}

/* Length and bytes. */
static inline void gw_text(struct gw_bytes *b, const char *text, size_t len)
{
    gw_int(b, len, 8);
    gw_raw(b, text, len);
}

static inline void gw_begin(struct gw *w)
{
    memset(w, 0, sizeof *w);
    w->version = 3;
    w->alignment = 32;
}

static inline void gw_key(struct gw *w, const char *name, uint32_t type)
{
    gw_text(&w->keys, name, strlen(name));
    gw_int(&w->keys, type, 4);
    w->n_keys++;
}

/* Any scalar type; value: its bits. */
static inline void gw_scalar(struct gw *w, const char *name, uint32_t type, uint64_t value)
{
    static const uint8_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    gw_key(w, name, type);
    gw_int(&w->keys, value, widths[type]);
}

static inline void gw_u32(struct gw *w, const char *name, uint32_t value)
{
    gw_scalar(w, name, GW_U32, value);
}

static inline void gw_i32(struct gw *w, const char *name, int32_t value)
{
    gw_scalar(w, name, GW_I32, (uint32_t)value);
}

static inline void gw_u16(struct gw *w, const char *name, uint16_t value)
{
    gw_scalar(w, name, GW_U16, value);
}

static inline void gw_u64(struct gw *w, const char *name, uint64_t value)
{
    gw_scalar(w, name, GW_U64, value);
}

static inline void gw_bool(struct gw *w, const char *name, int value)
{
    gw_scalar(w, name, GW_BOOL, value != 0);
}

static inline void gw_f32(struct gw *w, const char *name, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    gw_scalar(w, name, GW_F32, bits);
}

static inline void gw_f64(struct gw *w, const char *name, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    gw_scalar(w, name, GW_F64, bits);
}

static inline void gw_str_n(struct gw *w, const char *name, const char *text, size_t len)
{
    gw_key(w, name, GW_STRING);
    gw_text(&w->keys, text, len);
}

static inline void gw_str(struct gw *w, const char *name, const char *text)
{
    gw_str_n(w, name, text, strlen(text));
}

/* An array's head; its n elements are then put down with gw_int, gw_text or gw_raw on &w->keys. */
static inline void gw_array(struct gw *w, const char *name, uint32_t element, uint64_t n)
{
    gw_key(w, name, GW_ARRAY);
    gw_int(&w->keys, element, 4);
    gw_int(&w->keys, n, 8);
}

static inline void gw_strs(struct gw *w, const char *name, const char *const *texts, size_t n)
{
    gw_array(w, name, GW_STRING, n);
    for (size_t i = 0; i < n; i++)
        gw_text(&w->keys, texts[i], strlen(texts[i]));
}

static inline void gw_f32s(struct gw *w, const char *name, const float *values, size_t n)
{
    gw_array(w, name, GW_F32, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        gw_int(&w->keys, bits, 4);
    }
}

static inline void gw_i32s(struct gw *w, const char *name, const int32_t *values, size_t n)
{
    gw_array(w, name, GW_I32, n);
    for (size_t i = 0; i < n; i++)
        gw_int(&w->keys, (uint32_t)values[i], 4);
}

static inline void gw_alignment(struct gw *w, uint32_t alignment)
{
    w->alignment = alignment;
    gw_u32(w, "general.alignment", alignment);
}

/* A tensor's line alone: any type id, any offset in the data section. */
static inline void gw_tensor_at(struct gw *w, const char *name, uint32_t type, uint32_t n_dims,
                                const uint64_t *ne, uint64_t offset)
{
    gw_text(&w->tensors, name, strlen(name));
    gw_int(&w->tensors, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++)
        gw_int(&w->tensors, ne[i], 8);
    gw_int(&w->tensors, type, 4);
    gw_int(&w->tensors, offset, 8);
    w->n_tensors++;
}

/* A tensor with its data, put at the next aligned place; data NULL: zeros. Set the alignment before
 * the first. */
static inline void gw_tensor(struct gw *w, const char *name, uint32_t type, uint32_t n_dims,
                             const uint64_t *ne, const void *data, size_t n_bytes)
{
    static const uint8_t zeros[64];
    while (w->data.len % w->alignment != 0)
        gw_raw(&w->data, zeros, 1);
    gw_tensor_at(w, name, type, n_dims, ne, w->data.len);
    if (data)
        gw_raw(&w->data, data, n_bytes);
    for (size_t i = 0; !data && i < n_bytes; i += 64)
        gw_raw(&w->data, zeros, n_bytes - i < 64 ? n_bytes - i : 64);
}

/* Puts the file together: magic, version, counts, keys, tensors, padding, data. */
static inline void gw_end(struct gw *w)
{
    w->file.len = 0;
    gw_raw(&w->file, "GGUF", 4);
    gw_int(&w->file, w->version, 4);
    gw_int(&w->file, w->n_tensors, 8);
    gw_int(&w->file, w->n_keys, 8);
    gw_raw(&w->file, w->keys.data, w->keys.len);
    gw_raw(&w->file, w->tensors.data, w->tensors.len);
    if (w->data.len || w->n_tensors)
        while (w->file.len % w->alignment != 0)
            gw_int(&w->file, 0, 1);
    w->data_at = w->file.len;
    gw_raw(&w->file, w->data.data, w->data.len);
}

static inline void gw_free(struct gw *w)
{
    free(w->keys.data);
    free(w->tensors.data);
    free(w->data.data);
    free(w->file.data);
    memset(w, 0, sizeof *w);
}

/* Writes len bytes as a file; 0 for success. */
static inline int gw_save(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return -1;
    size_t n = fwrite(bytes, 1, len, f);
    return fclose(f) == 0 && n == len ? 0 : -1;
}

#endif
