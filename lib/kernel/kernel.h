/* The kernels: one table, filled once per context from the sets this CPU can run. doc/kernels.md.
 */
#ifndef SPRAT__KERNEL_H
#define SPRAT__KERNEL_H

#include "os/cpu.h"
#include "tensor/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void sprat__dequant_fn(float *y, const void *x, size_t n);

struct sprat__kernels {
    const char *set; /* the best set that any kernel is from, by name */
#define SPRAT__KERNEL(name, result, parameters) result(*name) parameters;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
    sprat__dequant_fn *dequant[SPRAT__N_DTYPES]; /* by type; NULL: no weights of that type */
};

#define SPRAT__KERNEL(name, result, parameters) result sprat__##name##_scalar parameters;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL

/* Some kernels for one set of instructions. Several may have the same name: one per source file. */
struct sprat__kernel_set {
    const char *name;
    uint32_t need; /* SPRAT__CPU_... it runs on, all of them */
    const struct sprat__kernels
        *functions; /* a NULL entry: as without this set. NULL: none at all */
};

/* Every set, each better than those before it, in every build: a set of another processor has no
 * functions. The last has no name. */
extern const struct sprat__kernel_set sprat__kernel_sets[];
/* The names of all sets, separated by spaces, for messages. */
extern const char sprat__kernel_set_names[];

/* Fills the table: the scalar C, overlaid with every set that the CPU has all of, in order, up to
 * the cap. A set is a cap, never a demand. cap: the last set allowed, by name; NULL: any. false: no
 * such set. A pure function. */
bool sprat__kernels_init(struct sprat__kernels *kernels, const struct sprat__cpu *cpu,
                         const char *cap);

#endif
