/* A GGUF value as the API shows it. */
#ifndef SPRAT__META_H
#define SPRAT__META_H

#include "format/gguf.h"

void sprat__meta_of(struct sprat_meta *meta, const struct sprat__gguf_key *key);

/* Element item of an array; false beyond its end. */
bool sprat__meta_item(struct sprat_meta *meta, const struct sprat__gguf_key *key, uint64_t item);

#endif
