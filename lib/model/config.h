/* Reads a dense model's configuration out of the GGUF's keys. */
#ifndef SPRAT__CONFIG_H
#define SPRAT__CONFIG_H

#include "model/model.h"

/* Fills config from the keys "<arch>.…"; every number is checked against its range and the others.
 * n_vocab is left for the embedding to tell. BAD_CONFIG, UNSUPPORTED. */
sprat_status sprat__config_read(struct sprat__config *config, const struct sprat__gguf *gguf,
                                const char *arch, struct sprat__err *err);

#endif
