/* Products of weights and activations from tiles that a set of instructions computes: what is the
 * same for every such set. */
#ifndef SPRAT__TILES_H
#define SPRAT__TILES_H

#include <stddef.h>
#include <stdint.h>

/* A tile is 4 rows of weights times up to 36 columns of activations: with 256 unpacked weights of
 * each row and 16 lanes of each output it takes 13 KiB of stack. Every block divides 256. */
enum { SPRAT__TILE_ROWS = 4, SPRAT__TILE_COLUMNS = 36, SPRAT__TILE_K = 256 };

/* Where lanes of an output stand: column by column, 4 rows each, 16 lanes each. */
#define SPRAT__TILE_LANES(lanes, column, row)                                                      \
    ((lanes) + ((size_t)(column)*SPRAT__TILE_ROWS + (row)) * 16)

/* lane[k mod 16] += w[row][k] · x[column][k] for k < n, ascending, multiply then add, for all 4
 * rows. w: rows of SPRAT__TILE_K floats, aligned to 64, zero from n to the next multiple of 16; x:
 * n floats each, x_stride apart, not to be read beyond; lanes: aligned to 64. */
typedef void sprat__tile_fn(float *lanes, const float *w, const float *x, size_t x_stride,
                            size_t n_columns, size_t n);
/* y[c · y_stride + r] = the tree over the lanes, for r < n_rows <= 4. */
typedef void sprat__tile_sum_fn(float *y, size_t y_stride, const float *lanes, size_t n_rows,
                                size_t n_columns);

/* What stands in the rows of kernel.def for matmul_f32, as one object. */
struct sprat__tiled {
    float *y;
    size_t y_stride;
    const uint8_t *w;
    size_t row_bytes, block_bytes, block_elements;
    void (*dequant)(float *, const void *, size_t);
    size_t n_rows;
    const float *x;
    size_t x_stride, n_columns, n_k;
};

void sprat__tiled_matmul(const struct sprat__tiled *job, sprat__tile_fn *tile,
                         sprat__tile_sum_fn *sum);

#endif
