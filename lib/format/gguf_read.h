/* One shard's directory, read and checked; gguf.c puts shards together. */
#ifndef SPRAT__GGUF_READ_H
#define SPRAT__GGUF_READ_H

#include "format/gguf.h"

/* What a shard's head says, and where in it. Offsets are from the shard's first byte. */
struct sprat__gguf_shard {
    uint64_t file_bytes;
    uint64_t keys_at, tensors_at; /* where the lists begin */
    uint64_t end;                 /* of the directory */
    uint64_t data_at;             /* of the data section: end, rounded up to the alignment */
    uint64_t n_keys, n_tensors;
    uint32_t version, alignment;
};

enum { SPRAT__GGUF_LABEL_BYTES = 80 };

/* Walks the whole directory without allocating anything. head: the first head_bytes of the shard's
 * file_bytes. label: the shard's name in messages. *need: 0, or, when the directory goes on behind
 * head and the file does too, how many bytes of it must be at hand (the status is TRUNCATED then,
 * and no line is meant). Statuses as sprat__gguf_open. */
sprat_status sprat__gguf_read_head(struct sprat__gguf_shard *shard, const uint8_t *head,
                                   size_t head_bytes, uint64_t file_bytes, const char *label,
                                   uint64_t *need, struct sprat__err *err);

/* Fills keys[n_keys] of a shard whose head has been read. */
sprat_status sprat__gguf_read_keys(const struct sprat__gguf_shard *shard, const uint8_t *head,
                                   struct sprat__gguf_key *keys, const char *label,
                                   struct sprat__err *err);

/* Fills tensors[n_tensors], and checks each against the shard's data section. data: the shard's
 * first byte, or NULL where there is none in memory. */
sprat_status sprat__gguf_read_tensors(const struct sprat__gguf_shard *shard, const uint8_t *head,
                                      const uint8_t *data, uint16_t number,
                                      struct sprat__gguf_tensor *tensors, const char *label,
                                      struct sprat__err *err);

/* Bytes of a scalar of a SPRAT__GGUF_* type; 0 for strings, arrays and unknown types. */
uint32_t sprat__gguf_width(uint32_t type);
/* "u32", "string", ...; "?" for none. */
const char *sprat__gguf_type_name(uint32_t type);

#endif
