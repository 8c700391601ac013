/* Owns the products of weights and activations in F32 numerics: the oracle. Weights are unpacked
 * exactly, a segment at a time into cache; one accumulator of 16 lanes per output, k ascending,
 * whatever the rows, columns or threads. */
#include "kernel/kernel.h"
#include "kernel/scalar/lanes.h"

enum { MATMUL_SEGMENT = 1024, MATMUL_COLUMNS = 32 };

float sprat__dot_f32_scalar(const float *a, const float *b, size_t n)
{
    float lane[SPRAT__LANES] = {0};
    sprat__lanes_dot(lane, a, b, n);
    return sprat__lanes_sum(lane);
}

void sprat__matmul_f32_scalar(float *y, size_t y_stride, const uint8_t *w, size_t row_bytes,
                              size_t block_bytes, size_t block_elements,
                              void (*dequant)(float *, const void *, size_t), size_t n_rows,
                              const float *x, size_t x_stride, size_t n_columns, size_t n_k)
{
    float segment[MATMUL_SEGMENT];
    float lane[MATMUL_COLUMNS][SPRAT__LANES];
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t first = 0; first < n_columns; first += MATMUL_COLUMNS) {
            size_t columns =
                n_columns - first < MATMUL_COLUMNS ? n_columns - first : MATMUL_COLUMNS;
            for (size_t c = 0; c < columns; c++) {
                for (size_t i = 0; i < SPRAT__LANES; i++)
                    lane[c][i] = 0.0f;
            }
            for (size_t k = 0; k < n_k; k += MATMUL_SEGMENT) {
                size_t n = n_k - k < MATMUL_SEGMENT ? n_k - k : MATMUL_SEGMENT;
                dequant(segment, w + r * row_bytes + k / block_elements * block_bytes, n);
                for (size_t c = 0; c < columns; c++)
                    sprat__lanes_dot(lane[c], segment, x + (first + c) * x_stride + k, n);
            }
            for (size_t c = 0; c < columns; c++)
                y[(first + c) * y_stride + r] = sprat__lanes_sum(lane[c]);
        }
    }
}
