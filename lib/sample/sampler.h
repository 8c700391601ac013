/* Choosing a token from logits. Pure: the result depends on its arguments alone; nothing here
 * allocates but set-up. The order of candidates is total (logit descending, then id), randomness is
 * f(seed, position). doc/sampling.md. */
#ifndef SPRAT__SAMPLER_H
#define SPRAT__SAMPLER_H

#include "base/alloc.h"
#include "kernel/kernel.h"

/* Settings, copied and checked, with the scratch a draw needs. */
struct sprat__sampler;

/* kernels: of the context, which outlives the sampler. settings: imported, zero tail; may be NULL
 * (greedy). 0 < n_vocab <= INT32_MAX. INVALID names the
 * field, its range and the value. Arrays and texts are copied. */
sprat_status sprat__sampler_create(struct sprat__sampler **out, struct sprat__mem *mem,
                                   const struct sprat__kernels *kernels,
                                   const struct sprat_sampling *settings, uint32_t n_vocab,
                                   struct sprat__err *err);
void sprat__sampler_destroy(struct sprat__sampler *sampler); /* wipes; NULL is allowed */
/* What create asks the allocator for, for settings that are allowed; SIZE_MAX where it does not
 * fit.
 */
size_t sprat__sampler_bytes(const struct sprat_sampling *settings, uint32_t n_vocab);
const struct sprat_sampling *sprat__sampler_settings(const struct sprat__sampler *sampler);

/* history: the session's n tokens so far; position = n. logits: n_vocab values, not changed. Any
 * bit pattern gives an id below n_vocab, or NUMERIC: for a NaN, a +infinity, or where every token
 * is at -infinity, which means forbidden. out: token -1 after a failure; its arrays are the
 * sampler's, until the next draw. Allocates nothing. */
sprat_status sprat__sampler_draw(struct sprat__sampler *sampler, const float *logits,
                                 const sprat_token *history, size_t n, struct sprat_sample *out,
                                 struct sprat__err *err);

/* The token alone, without log-probabilities, which cost an exponential per token of the
 * vocabulary.
 */
sprat_status sprat__sampler_choose(struct sprat__sampler *sampler, const float *logits,
                                   const sprat_token *history, size_t n, sprat_token *out,
                                   struct sprat__err *err);

/* Stop texts over a stream: text that may be the beginning of a stop is held back. The stop whose
 * end comes first counts, and of those that end together the longest. doc/sampling.md. */
struct sprat__stops;
/* Whether n texts are allowed as stops: at most 16, each of 1 to 256 bytes. INVALID. */
sprat_status sprat__stops_check(const char *const *texts, uint32_t n, struct sprat__err *err);
/* texts: copied. INVALID as above. */
sprat_status sprat__stops_create(struct sprat__stops **out, struct sprat__mem *mem,
                                 const char *const *texts, uint32_t n, struct sprat__err *err);
void sprat__stops_destroy(struct sprat__stops *stops); /* wipes; NULL is allowed */
void sprat__stops_reset(struct sprat__stops *stops);
/* Feeds bytes; *out, *n_out: what may go out now (the stops' own, until its next call); *stopped: a
 * stop text was met: out is what stood before it, and the rest is dropped, as is all that comes
 * before the next reset. last: nothing follows, so nothing is held back. NO_MEMORY, OVER_BUDGET:
 * nothing was fed. Allocates only for pieces longer than any before. */
sprat_status sprat__stops_feed(struct sprat__stops *stops, const char *bytes, size_t n, bool last,
                               const char **out, size_t *n_out, bool *stopped,
                               struct sprat__err *err);

#endif
