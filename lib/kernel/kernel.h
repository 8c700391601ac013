/* The kernels: one table, filled once per context from the sets this CPU can run. doc/kernels.md.
 */
#ifndef SPRAT__KERNEL_H
#define SPRAT__KERNEL_H

#include "os/cpu.h"
#include "tensor/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most keys of a tile, and the most dimensions of a key or value, that attention kernels take.
 */
enum { SPRAT__ATTEND_KEYS = 64, SPRAT__ATTEND_DIMS = 640 };

typedef void sprat__dequant_fn(float *y, const void *x, size_t n);

/* Rows of activations in 8 bits, side by side. In blocks of 32, value = q · scale of the block. In
 * blocks of 256, value = (q << shift of its 32) · scale of the block. */
struct sprat__acts {
    int8_t *q;      /* n_k a row */
    float *scale;   /* n_k / 32 a row, or n_k / 256 */
    int16_t *sums;  /* n_k / 16 a row: of 16 q each, without the shift */
    uint8_t *shift; /* n_k / 32 a row; blocks of 256 only */
};

/* Rows of kernel.def, matmul_i8. Any ranges of rows give the same bits; multiples of 32 waste none,
 * and one column is fastest in ranges of 256 and more, as weights are asked for ahead. */
typedef void sprat__matmul_i8_fn(float *y, size_t y_stride, const uint8_t *w, size_t row_bytes,
                                 size_t n_rows, const struct sprat__acts *x, size_t n_columns,
                                 size_t n_k);

struct sprat__kernels {
    const char *set; /* the best set that any kernel is from, by name */
#define SPRAT__KERNEL(name, result, parameters) result(*name) parameters;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
    /* By type; NULL: products with that type are those of numerics F32. */
    sprat__matmul_i8_fn *matmul_i8[SPRAT__N_DTYPES];
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
