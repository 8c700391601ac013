/* GGUF: a model file's directory (keys, tensor list), of one file or several shards. UNTRUSTED
 * INPUT: every count is held against the bytes left before anything is allocated, every offset and
 * product against the file. Invariant of an open directory: each tensor's bytes lie inside its
 * shard's data section, and no two names or keys are equal. Format: doc/formats.md, and
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#ifndef SPRAT__GGUF_H
#define SPRAT__GGUF_H

#include "base/alloc.h"
#include "os/file.h"

enum {
    SPRAT__GGUF_U8,
    SPRAT__GGUF_I8,
    SPRAT__GGUF_U16,
    SPRAT__GGUF_I16,
    SPRAT__GGUF_U32,
    SPRAT__GGUF_I32,
    SPRAT__GGUF_F32,
    SPRAT__GGUF_BOOL,
    SPRAT__GGUF_STRING,
    SPRAT__GGUF_ARRAY,
    SPRAT__GGUF_U64,
    SPRAT__GGUF_I64,
    SPRAT__GGUF_F64
};

/* A key and where its value lies. Strings and values point into the file or, for callbacks, a copy
 * of its head. */
struct sprat__gguf_key {
    const char *name;
    const uint8_t *value;   /* first byte of the payload: scalar, string bytes, or array elements */
    uint64_t count;         /* array: elements; string: bytes; else 1 */
    uint32_t strings_bytes; /* array of strings: bytes of all of them, with their lengths */
    uint16_t name_len;
    uint8_t type;    /* SPRAT__GGUF_* */
    uint8_t element; /* array: type of its elements */
};

struct sprat__gguf_tensor {
    const char *name;
    const uint8_t *data; /* the tensor's bytes, at whatever address; NULL until loaded when the file
                            has no data */
    uint64_t offset;     /* in its shard, from the shard's first byte */
    uint64_t bytes;
    uint64_t ne[4]; /* ne[0] is the fastest; unused ones are 1 */
    uint16_t name_len;
    uint16_t shard;
    uint8_t n_dims;
    uint8_t type; /* enum sprat__dtype */
    bool is_used; /* set by whoever binds it, so that none is ignored in silence */
};

struct sprat__gguf {
    struct sprat__mem *mem;
    struct sprat__file *files; /* shards, in order */
    uint8_t *head;             /* callback sources: a copy of the directory, else NULL */
    uint32_t n_files;
    uint32_t version;
    uint32_t alignment;
    struct sprat__gguf_key *keys; /* of the first shard, in file order */
    size_t n_keys;
    struct sprat__gguf_tensor *tensors; /* of all shards, in order */
    size_t n_tensors;
    uint32_t *tensor_order; /* positions in the order of names, for finding by bisection: no crafted
                               set of names can slow it */
    uint32_t *key_order;
    uint8_t *weights; /* callback sources: the data sections read, else NULL */
    uint64_t mapped_bytes;
    uint64_t file_bytes; /* of all shards */
};

/* Opens and checks the directory. Touches no tensor data. On failure nothing is held. The further
 * shards of a split model are found beside the first by name, never by a name out of the file; only
 * PATH sources may be split. source has been imported. Statuses: those of sprat__file_open;
 * TRUNCATED BAD_MAGIC BAD_VERSION BAD_FORMAT UNKNOWN_TYPE BAD_SHAPE NO_MEMORY OVER_BUDGET, and
 * UNSUPPORTED for a split model that is not given by its path. */
sprat_status sprat__gguf_open(struct sprat__gguf *gguf, struct sprat__mem *mem,
                              const struct sprat_source *source, struct sprat__err *err);
void sprat__gguf_close(struct sprat__gguf *gguf);

/* Callback sources: reads all tensors' data into memory, with progress (may be NULL). Others:
 * nothing to do. */
sprat_status sprat__gguf_load(struct sprat__gguf *gguf,
                              int32_t (*progress)(void *user, uint64_t done_bytes,
                                                  uint64_t total_bytes),
                              void *user, struct sprat__err *err);
/* What load would allocate, as the allocator counts it. */
uint64_t sprat__gguf_load_bytes(const struct sprat__gguf *gguf);

/* NULL if there is none. name is NUL-terminated. */
const struct sprat__gguf_tensor *sprat__gguf_tensor(const struct sprat__gguf *gguf,
                                                    const char *name);
const struct sprat__gguf_key *sprat__gguf_key(const struct sprat__gguf *gguf, const char *name);

/* Typed getters. found: set to whether the key is there (may be NULL: then a missing key is
 * BAD_CONFIG). A value of the wrong type or out of range is BAD_CONFIG, with a line that names key,
 * expected and found. Integers of any width and sign are accepted where the value fits; floats
 * accept integers too; a bool may be an integer 0 or 1. */
sprat_status sprat__gguf_u32(const struct sprat__gguf *gguf, const char *key, uint32_t *out,
                             bool *found, struct sprat__err *err);
sprat_status sprat__gguf_f32(const struct sprat__gguf *gguf, const char *key, float *out,
                             bool *found, struct sprat__err *err);
sprat_status sprat__gguf_bool(const struct sprat__gguf *gguf, const char *key, bool *out,
                              bool *found, struct sprat__err *err);
sprat_status sprat__gguf_string(const struct sprat__gguf *gguf, const char *key, const char **out,
                                size_t *len, bool *found, struct sprat__err *err);
/* One number for all, or an array with one per layer: the value at index (arrays need index <
 * count). */
sprat_status sprat__gguf_u32_at(const struct sprat__gguf *gguf, const char *key, size_t index,
                                uint32_t *out, bool *found, struct sprat__err *err);

/* Walks a string array in order: begin with *cursor = 0; false at its end, and for a key that is no
 * array of strings. */
bool sprat__gguf_next_string(const struct sprat__gguf_key *key, size_t *cursor, const char **out,
                             size_t *len);

#endif
