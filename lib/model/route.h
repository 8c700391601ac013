/* Which experts a token goes to, and with what weights. */
#ifndef SPRAT__ROUTE_H
#define SPRAT__ROUTE_H

#include "kernel/kernel.h"
#include "model/model.h"

/* score: n_experts of the router's products; overwritten. bias: as many, or NULL; it takes part in
 * the choice, not in the weights. chosen: moe->n_used ids, ascending; weight: theirs. Scores
 * that are not finite give weights that are not, of some experts. */
void sprat__route(const struct sprat__moe *moe, const struct sprat__kernels *kernels, float *score,
                  const float *bias, uint32_t *chosen, float *weight);

#endif
