/* What the products of numerics INT8 share between sets of instructions: the traits of the types of
 * weights, the shape of a job, and what a column of activations brings into a slice of k besides
 * its values. The loops are the same for all sets: i8_blocks.inc unpacks, i8_tile.inc computes
 * chunks, i8_gemv.inc single columns, i8_body.inc puts them together. */
#ifndef SPRAT__I8_H
#define SPRAT__I8_H

#include "kernel/kernel.h"

/* Without optimisation a compiler keeps every value of the inlined loops on the stack, up to half a
 * megabyte for one function, more than a thread of the pool has: such builds have the scalar C. */
#if defined(__OPTIMIZE__)
#define SPRAT__I8_SETS 1
#else
#define SPRAT__I8_SETS 0
#endif

/* A slice is 256 values of k: one block of 256, or up to eight of 32. */
enum { SPRAT__I8_SLICE = 256, SPRAT__I8_COLUMNS_MOST = 6 };

/* What the row of kernel.def is given. */
struct sprat__i8_job {
    float *y;
    size_t y_stride;
    const uint8_t *w;
    size_t row_bytes, n_rows;
    const struct sprat__acts *x;
    size_t n_columns, n_k;
};

/* One column's side of a slice. start: the sums that pay for the offset of the weights, in the form
 * the set's dot products start from, by sub-block or block of 32. factor: 2^shift by 32 values, in
 * the form that the set scales with. pairs: two sums, shifted, of 16 bits each, beside the pairs of
 * minima. sums: of blocks of 32, for types with a minimum that is added. */
struct sprat__i8_side {
    int32_t start[16];
    int32_t factor[8];
    int32_t pairs[8];
    float scale[8];
    float sums[8];
};

/* Bytes of a block, as a constant once inlined. */
static inline size_t sprat__i8_block_bytes(uint32_t type)
{
    switch (type) {
#define SPRAT__I8_BYTES(name, id, elements, bytes)                                                 \
    case SPRAT__##name:                                                                            \
        return bytes;
        SPRAT__DTYPES(SPRAT__I8_BYTES)
#undef SPRAT__I8_BYTES
    default:
        return 0;
    }
}

/* Weights in a block of theirs. */
static inline size_t sprat__i8_block_elements(uint32_t type)
{
    switch (type) {
#define SPRAT__I8_ELEMENTS(name, id, elements, bytes)                                              \
    case SPRAT__##name:                                                                            \
        return elements;
        SPRAT__DTYPES(SPRAT__I8_ELEMENTS)
#undef SPRAT__I8_ELEMENTS
    default:
        return 1;
    }
}

/* Types in blocks of 256. Others have blocks of 32, or parts of 32. */
static inline bool sprat__i8_is_256(uint32_t type)
{
    return sprat__i8_block_elements(type) == 256;
}

/* Four values of k are a quad. Quads that share a scale: 8, or 4 in types scaled per 16. */
static inline unsigned sprat__i8_quads(uint32_t type)
{
    switch (type) {
    case SPRAT__Q4_K:
    case SPRAT__Q5_K:
    case SPRAT__IQ4_XS:
    case SPRAT__Q4_0:
    case SPRAT__Q4_1:
    case SPRAT__Q5_0:
    case SPRAT__Q5_1:
    case SPRAT__Q8_0:
    case SPRAT__IQ4_NL:
    case SPRAT__MXFP4:
    case SPRAT__Q1_0:
    case SPRAT__Q2_0:
        return 8;
    default:
        return 4;
    }
}

/* Quads whose products, each of 8 bits with sign times 0 .. most + offset, may be added in pairs of
 * 16 bits with a sign. 1: weights need all of 8 bits with a sign. */
static inline unsigned sprat__i8_run(uint32_t type)
{
    switch (type) {
    case SPRAT__Q4_0: /* 15 · 127 · 16 < 2^15 */
    case SPRAT__Q4_1:
    case SPRAT__Q4_K:
        return 8;
    case SPRAT__Q5_0: /* 31 · 127 · 8 < 2^15 */
    case SPRAT__Q5_1:
    case SPRAT__Q5_K:
    case SPRAT__MXFP4:
    case SPRAT__Q2_K:
    case SPRAT__Q3_K:
        return 4;
    case SPRAT__Q6_K: /* 63 · 127 · 4 < 2^15 */
        return 2;
    default:
        return 1;
    }
}

/* What is added to a weight so that none is below 0; wide: for types that need all of 8 bits. */
static inline int sprat__i8_offset(uint32_t type, int wide)
{
    switch (type) {
    case SPRAT__Q4_1:
    case SPRAT__Q5_1:
    case SPRAT__Q2_K:
    case SPRAT__Q4_K:
    case SPRAT__Q5_K:
        return 0;
    case SPRAT__Q3_K:
        return 4;
    case SPRAT__Q4_0:
        return 8;
    case SPRAT__MXFP4:
        return 12;
    case SPRAT__Q5_0:
        return 16;
    case SPRAT__Q6_K:
        return 32;
    default:
        return wide;
    }
}

/* Sums of two minima each that a block of 256 asks for; 0 in types without. */
static inline unsigned sprat__i8_pairs(uint32_t type)
{
    return type == SPRAT__Q2_K ? 8 : type == SPRAT__Q4_K || type == SPRAT__Q5_K ? 4 : 0;
}

static inline bool sprat__i8_adds_min(uint32_t type)
{
    return type == SPRAT__Q4_1 || type == SPRAT__Q5_1;
}

#endif
