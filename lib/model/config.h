/* Reads a model's configuration out of the GGUF's keys. */
#ifndef SPRAT__CONFIG_H
#define SPRAT__CONFIG_H

#include "model/model.h"

/* Fills config from the keys "<arch>.…" of the family; every number is checked against its range
 * and the others. n_vocab is left for the embedding to tell. BAD_CONFIG, UNSUPPORTED. */
sprat_status sprat__config_read(struct sprat__config *config, const struct sprat__gguf *gguf,
                                const struct sprat__family *family, struct sprat__err *err);

enum { SPRAT__CONFIG_KEY_BYTES = 96 };

/* For the parts of a configuration that only some families have. */
struct sprat__config_reader {
    const struct sprat__gguf *gguf;
    const char *arch;
    uint32_t n_layers; /* 0 until block_count is read */
    struct sprat__err *err;
    char key[SPRAT__CONFIG_KEY_BYTES];
};

/* "<arch>.<name>", in the reader until the next call. */
const char *sprat__config_key(struct sprat__config_reader *reader, const char *name);
bool sprat__config_has(struct sprat__config_reader *reader, const char *name);
/* A number between low and high; fallback where the key is absent, unless that is 0: then the key
 * is required. A value per layer must be the same for all. */
sprat_status sprat__config_u32(struct sprat__config_reader *reader, const char *name,
                               uint32_t fallback, uint32_t low, uint32_t high, uint32_t *out);
/* A finite number between low and high; fallback where the key is absent. */
sprat_status sprat__config_f32(struct sprat__config_reader *reader, const char *name,
                               float fallback, float low, float high, float *out);

/* What the families have of their own. config.c: heads of keys and values, each for several heads
 * of queries, all rotated. config_mla.c: a latent that all heads share, and experts. */
sprat_status sprat__config_read_dense(struct sprat__config *config,
                                      struct sprat__config_reader *reader);
sprat_status sprat__config_read_mla(struct sprat__config *config,
                                    struct sprat__config_reader *reader);
/* The keys of rotation; key_dim bounds the channels. */
sprat_status sprat__config_read_rope(struct sprat__config *config,
                                     struct sprat__config_reader *reader);

#endif
