/* Choosing a token from logits. Pure: the result depends on its arguments alone; nothing here
 * allocates but set-up. The order of candidates is total (logit descending, then id), randomness is
 * f(seed, position). doc/numerics.md. */
#ifndef SPRAT__SAMPLER_H
#define SPRAT__SAMPLER_H

#include "base/alloc.h"

/* Settings, copied and checked, with the scratch a draw needs. */
struct sprat__sampler;

/* settings: imported, zero tail; may be NULL (greedy). n_vocab > 0. INVALID names the field, its
 * range and the value. */
sprat_status sprat__sampler_create(struct sprat__sampler **out, struct sprat__mem *mem,
                                   const struct sprat_sampling *settings, uint32_t n_vocab,
                                   struct sprat__err *err);
void sprat__sampler_destroy(struct sprat__sampler *sampler);
const struct sprat_sampling *sprat__sampler_settings(const struct sprat__sampler *sampler);

/* history: the session's n tokens so far; position = n. logits: n_vocab values, not changed.
 * Any bit pattern gives an id below n_vocab or NUMERIC (all NaN or -inf, or a +inf / NaN: see
 * sampler.c). out's arrays are the sampler's, until the next draw. Allocates nothing. */
sprat_status sprat__sampler_draw(struct sprat__sampler *sampler, const float *logits,
                                 const sprat_token *history, size_t n, struct sprat_sample *out,
                                 struct sprat__err *err);

/* Stop texts over a stream: text that may be the beginning of a stop is held back. */
struct sprat__stops;
sprat_status sprat__stops_create(struct sprat__stops **out, struct sprat__mem *mem,
                                 const char *const *texts, uint32_t n, struct sprat__err *err);
void sprat__stops_destroy(struct sprat__stops *stops);
void sprat__stops_reset(struct sprat__stops *stops);
/* Feeds bytes; *out, *n_out: what may go out now (the stops' own, until its next call); *stopped: a
 * stop text was met: out is what stood before it, and the rest is dropped. last: nothing follows,
 * so nothing is held back. */
sprat_status sprat__stops_feed(struct sprat__stops *stops, const char *bytes, size_t n, bool last,
                               const char **out, size_t *n_out, bool *stopped,
                               struct sprat__err *err);

#endif
