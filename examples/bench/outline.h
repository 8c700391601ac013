/* What a model is made of, without its weights: keys and tensors. From a named shape (shapes.c) or
 * an open model; whole, or some layers of it. Behind the parts of sprat plan, in examples/bench. */
#ifndef SPRAT_BENCH_OUTLINE_H
#define SPRAT_BENCH_OUTLINE_H

#include "bench_inside.h"

#include "format/gguf.h"
#include "tensor/dtype.h"

#include <stddef.h>

enum { OUTLINE_NAME_BYTES = 64, OUTLINE_NO_LAYER = INT32_MAX };

struct outline_tensor {
    char name[OUTLINE_NAME_BYTES]; /* in a layer: what follows "blk.N." */
    uint32_t layer;                /* or OUTLINE_NO_LAYER */
    uint32_t n_dims, type;
    uint64_t ne[3], bytes;
};

/* Bytes that grow. */
struct outline_bytes {
    uint8_t *data;
    size_t len, room;
    bool is_bad; /* something did not fit into memory */
};

struct outline {
    char arch[32];
    struct outline_bytes keys; /* as in a file, but for those of layers, alignment and vocabulary */
    uint64_t n_keys;
    struct outline_bytes vocabulary; /* keys likewise; empty: none */
    uint64_t n_vocabulary_keys;
    struct outline_tensor *tensors;
    size_t n_tensors, tensor_room;
    uint32_t n_layers, n_dense; /* the first layers have no experts */
    uint32_t n_experts, n_used; /* 0: none */
    bool is_bad;                /* something did not fit into memory */
};

/* Little-endian numbers and texts, as GGUF has them. */
void outline_put(struct outline_bytes *b, const void *data, size_t n);
void outline_put_number(struct outline_bytes *b, uint64_t value, size_t n_bytes);
void outline_put_text(struct outline_bytes *b, const char *text, size_t len);
/* A key of the architecture, "general." and "tokenizer." apart: its name and type. */
void outline_key(struct outline *outline, const char *name, uint32_t type);

/* part: NULL-terminated; dims of 0 end the list. type: of the weights. */
void outline_tensor(struct outline *outline, uint32_t layer, const char *part, uint32_t type,
                    uint64_t n0, uint64_t n1, uint64_t n2);

/* The file's directory, with tensors at offsets that alignment divides. is_whole: with the
 * vocabulary. */
struct outline_bytes outline_directory(const struct outline *outline, uint32_t alignment,
                                       bool is_whole);
/* Bytes from one tensor to the next. */
uint64_t outline_padded(uint64_t n_bytes, uint32_t alignment);

/* n layers from first on, evenly taken from n_of, and what is of no layer. NULL: no memory. */
struct outline *outline_slice(const struct outline *from, uint32_t first, uint32_t n_of,
                              uint32_t n);

/* Bytes of a layer's weights that one token uses. */
double outline_layer_bytes(const struct outline *outline, uint32_t layer);

/* ---- memory for one: stage.c ----------------------------------------------------------------- */

/* The directory at the front, every tensor at its place, up to data_bytes of made-up weights behind
 * all of them; 0: none, so that weights must not be touched. NULL: no memory. */
struct stage *stage_make(const struct outline *outline, uint64_t data_bytes, bool is_whole);

#endif
