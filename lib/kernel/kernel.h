/* The kernels: one table, filled once per context from the sets this CPU can run. doc/kernels.md.
 */
#ifndef SPRAT__KERNEL_H
#define SPRAT__KERNEL_H

#include "tensor/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void sprat__dequant_fn(float *y, const void *x, size_t n);

struct sprat__kernels {
    const char *set; /* the best set in use, by name */
#define SPRAT__KERNEL(name, result, parameters) result(*name) parameters;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
    sprat__dequant_fn *dequant[SPRAT__N_DTYPES]; /* by type; NULL: no weights of that type */
};

#define SPRAT__KERNEL(name, result, parameters) result sprat__##name##_scalar parameters;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL

/* Fills the table. cap: the best set allowed, by name; NULL: any. false: no such set. A pure
 * function. */
bool sprat__kernels_init(struct sprat__kernels *kernels, const char *cap);
/* The names of all sets, separated by spaces, for messages. */
extern const char sprat__kernel_set_names[];

#endif
