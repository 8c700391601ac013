/* Owns the walk over a product: columns in groups that stay in cache, rows by four, k in segments
 * that are unpacked once per group. Leaves arithmetic to the tiles. Invariant: each output has 16
 * lanes of its own and sees k in ascending order, whatever the rows and columns beside it. */
#include "kernel/tiles.h"

#include <string.h>

static void tiles_unpack(const struct sprat__tiled *job, float *segment, size_t row, size_t n_rows,
                         size_t k, size_t n)
{
    const uint8_t *blocks =
        job->w + row * job->row_bytes + k / job->block_elements * job->block_bytes;
    size_t padding = (16 - n % 16) % 16;
    for (size_t i = 0; i < n_rows; i++) {
        job->dequant(segment + i * SPRAT__TILE_K, blocks + i * job->row_bytes, n);
        memset(segment + i * SPRAT__TILE_K + n, 0, padding * sizeof *segment);
    }
}

void sprat__tiled_matmul(const struct sprat__tiled *job, sprat__tile_fn *tile,
                         sprat__tile_sum_fn *sum)
{
    _Alignas(64) float segment[SPRAT__TILE_ROWS * SPRAT__TILE_K];
    _Alignas(64) float lanes[SPRAT__TILE_COLUMNS * SPRAT__TILE_ROWS * 16];
    if (job->n_rows < SPRAT__TILE_ROWS)
        memset(segment, 0, sizeof segment); /* rows that are computed and not asked for */
    for (size_t first = 0; first < job->n_columns; first += SPRAT__TILE_COLUMNS) {
        size_t left = job->n_columns - first;
        size_t n_columns = left < SPRAT__TILE_COLUMNS ? left : SPRAT__TILE_COLUMNS;
        const float *x = job->x + first * job->x_stride;
        for (size_t row = 0; row < job->n_rows; row += SPRAT__TILE_ROWS) {
            size_t rows_left = job->n_rows - row;
            size_t n_rows = rows_left < SPRAT__TILE_ROWS ? rows_left : SPRAT__TILE_ROWS;
            memset(lanes, 0, n_columns * SPRAT__TILE_ROWS * 16 * sizeof *lanes);
            for (size_t k = 0; k < job->n_k; k += SPRAT__TILE_K) {
                size_t n = job->n_k - k < SPRAT__TILE_K ? job->n_k - k : SPRAT__TILE_K;
                tiles_unpack(job, segment, row, n_rows, k, n);
                tile(lanes, segment, x + k, job->x_stride, n_columns, n);
            }
            sum(job->y + first * job->y_stride + row, job->y_stride, lanes, n_rows, n_columns);
        }
    }
}
