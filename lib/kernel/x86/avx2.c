/* Owns the kernels for AVX2 with F16C: two registers hold an output's 16 lanes. Bit for bit what
 * the scalar C computes: products are rounded, then added; the target has no FMA. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/tiles.h"
#include "kernel/x86/x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* 16 elements beginning at [16 - n] are n times all bits set, then zeros. */
static const int32_t avx2_mask[32] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                      -1, -1, -1, -1, -1, -1, -1, -1};

static inline SPRAT__AVX2 __m256i mask_avx2(size_t n, size_t half)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(avx2_mask + 16 - n + 8 * half));
}

/* (i + (i+8)), then (i + (i+4)): four sums are left. */
static inline SPRAT__AVX2 __m128 fold_avx2(__m256 low, __m256 high)
{
    __m256 eight = _mm256_add_ps(low, high);
    return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

/* 8 of 16 lanes, one step of k for n_rows × n_columns outputs. The mask says which of the columns'
 * elements there are; NULL: all. */
static inline SPRAT__AVX2 __attribute__((always_inline)) void
step_avx2(__m256 sum[2][3][4], size_t half, const float *w, const float *x, size_t x_stride,
          size_t n_rows, size_t n_columns, const __m256i *mask)
{
    SPRAT__UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        const float *at = x + c * x_stride + 8 * half;
        __m256 column = mask ? _mm256_maskload_ps(at, *mask) : _mm256_loadu_ps(at);
        SPRAT__UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            __m256 weights = _mm256_load_ps(w + r * SPRAT__TILE_K + 8 * half);
            sum[half][c][r] = _mm256_add_ps(sum[half][c][r], _mm256_mul_ps(weights, column));
        }
    }
}

/* A tile of n_rows × n_columns outputs, both constants once this is inlined, so that the lanes
 * stand in registers. In the last, partial step a lane without an element gets +0 added, which
 * changes none, as none is -0. */
static inline SPRAT__AVX2 __attribute__((always_inline)) void
part_avx2(float *lanes, const float *w, const float *x, size_t x_stride, size_t n, size_t n_rows,
          size_t n_columns)
{
    __m256 sum[2][3][4];
    SPRAT__UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        SPRAT__UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            sum[0][c][r] = _mm256_load_ps(SPRAT__TILE_LANES(lanes, c, r));
            sum[1][c][r] = _mm256_load_ps(SPRAT__TILE_LANES(lanes, c, r) + 8);
        }
    }
    size_t k = 0;
    for (; n - k >= 16; k += 16) {
        step_avx2(sum, 0, w + k, x + k, x_stride, n_rows, n_columns, NULL);
        step_avx2(sum, 1, w + k, x + k, x_stride, n_rows, n_columns, NULL);
    }
    if (k < n) {
        __m256i low = mask_avx2(n - k, 0), high = mask_avx2(n - k, 1);
        step_avx2(sum, 0, w + k, x + k, x_stride, n_rows, n_columns, &low);
        step_avx2(sum, 1, w + k, x + k, x_stride, n_rows, n_columns, &high);
    }
    SPRAT__UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        SPRAT__UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            _mm256_store_ps(SPRAT__TILE_LANES(lanes, c, r), sum[0][c][r]);
            _mm256_store_ps(SPRAT__TILE_LANES(lanes, c, r) + 8, sum[1][c][r]);
        }
    }
}

/* Of 16 registers, 2 rows × 3 columns take 12, 4 rows × 1 column take 8. */
static SPRAT__AVX2 void tile_avx2(float *lanes, const float *w, const float *x, size_t x_stride,
                                  size_t n_columns, size_t n)
{
    size_t c = 0;
    for (; n_columns - c >= 3; c += 3) {
        part_avx2(SPRAT__TILE_LANES(lanes, c, 0), w, x + c * x_stride, x_stride, n, 2, 3);
        part_avx2(SPRAT__TILE_LANES(lanes, c, 2), w + 2 * SPRAT__TILE_K, x + c * x_stride, x_stride,
                  n, 2, 3);
    }
    for (; c < n_columns; c++)
        part_avx2(SPRAT__TILE_LANES(lanes, c, 0), w, x + c * x_stride, x_stride, n, 4, 1);
}

/* Four outputs at once: their sums of four, turned, give (0 + 2) + (1 + 3). */
static SPRAT__AVX2 void tile_sum_avx2(float *y, size_t y_stride, const float *lanes, size_t n_rows,
                                      size_t n_columns)
{
    for (size_t c = 0; c < n_columns; c++) {
        __m128 row[4];
        for (size_t r = 0; r < 4; r++) {
            const float *lane = SPRAT__TILE_LANES(lanes, c, r);
            row[r] = fold_avx2(_mm256_load_ps(lane), _mm256_load_ps(lane + 8));
        }
        _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
        __m128 sums = _mm_add_ps(_mm_add_ps(row[0], row[2]), _mm_add_ps(row[1], row[3]));
        if (n_rows == 4) {
            _mm_storeu_ps(y + c * y_stride, sums);
            continue;
        }
        float some[4];
        _mm_storeu_ps(some, sums);
        for (size_t r = 0; r < n_rows; r++)
            y[c * y_stride + r] = some[r];
    }
}

static void matmul_f32_avx2(float *y, size_t y_stride, const uint8_t *w, size_t row_bytes,
                            size_t block_bytes, size_t block_elements,
                            void (*dequant)(float *, const void *, size_t), size_t n_rows,
                            const float *x, size_t x_stride, size_t n_columns, size_t n_k)
{
    const struct sprat__tiled job = {.y = y,
                                     .y_stride = y_stride,
                                     .w = w,
                                     .row_bytes = row_bytes,
                                     .block_bytes = block_bytes,
                                     .block_elements = block_elements,
                                     .dequant = dequant,
                                     .n_rows = n_rows,
                                     .x = x,
                                     .x_stride = x_stride,
                                     .n_columns = n_columns,
                                     .n_k = n_k};
    sprat__tiled_matmul(&job, tile_avx2, tile_sum_avx2);
}

const struct sprat__kernels sprat__kernels_avx2 = {
    .matmul_f32 = matmul_f32_avx2,
};

#endif
