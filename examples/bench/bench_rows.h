/* Between bench_kernels.c and bench_rows.c: the data that kernels are measured with, and the cases
 * of kernels that are no products with weights in blocks. */
#ifndef SPRAT_BENCH_ROWS_H
#define SPRAT_BENCH_ROWS_H

#include "probe.h"

enum {
    CASE_K = 1536,      /* columns of weights: those of a 1.5B model */
    CASE_ROWS = 512,    /* rows of weights against many rows of activations */
    CASE_COLUMNS = 512, /* these */
    CASE_FLOATS = 4096, /* of rows of numbers: what the first cache holds */
};

struct area {
    struct probe *probe;
    uint32_t n_runs; /* 0: by time */
    const uint8_t *weights;
    size_t weights_bytes;
    struct sprat__acts acts; /* CASE_COLUMNS rows of CASE_K */
    float *y;                /* n_y floats */
    size_t n_y;
    float *a, *b, *c; /* CASE_COLUMNS · CASE_K, and CASE_FLOATS each */
    uint16_t *half;   /* as a */
};

/* false: no memory; area_end in both cases. */
bool area_make(struct area *area, struct probe *probe);
void area_end(struct area *area);

/* One call of a kernel: the bytes it reads and writes, or the operations it does. */
struct row_case {
    const char *name;
    double bytes, operations; /* one of them is 0 */
    void (*run)(const struct sprat__kernels *kernels, const struct area *area);
};

/* NULL: nobody has written one. */
const struct row_case *row_case_of(const char *kernel);

#endif
