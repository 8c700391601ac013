/* Owns the kernels for AVX-512 (F, BW, DQ, VL): one register holds an output's 16 lanes. Bit for
 * bit what the scalar C computes: the target could fuse a product and a sum, so contraction is off
 * for every build (doc/kernels.md). */
#include "kernel/kernel.h"
#include "kernel/tiles.h"
#include "kernel/x86/x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Lets the first n of 16 elements through, all from 16 on. */
static inline SPRAT__AVX512 __mmask16 mask_avx512(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1);
}

/* (i + (i+8)), then (i + (i+4)): four sums are left. */
static inline SPRAT__AVX512 __m128 fold_avx512(__m512 lanes)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
    return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

/* A tile of 4 rows × n_columns outputs, a constant once this is inlined, so that the lanes stand in
 * registers. The last, partial step reads only what the mask lets through: a lane without an
 * element gets +0 added, which changes none, as none is -0. */
static inline SPRAT__AVX512 __attribute__((always_inline)) void
part_avx512(float *lanes, const float *w, const float *x, size_t x_stride, size_t n,
            size_t n_columns)
{
    __m512 sum[4][4];
    SPRAT__UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        SPRAT__UNROLL
        for (size_t r = 0; r < 4; r++)
            sum[c][r] = _mm512_load_ps(SPRAT__TILE_LANES(lanes, c, r));
    }
    for (size_t k = 0; k < n; k += 16) {
        __mmask16 mask = mask_avx512(n - k);
        __m512 weights[4];
        SPRAT__UNROLL
        for (size_t r = 0; r < 4; r++)
            weights[r] = _mm512_load_ps(w + r * SPRAT__TILE_K + k);
        SPRAT__UNROLL
        for (size_t c = 0; c < n_columns; c++) {
            __m512 column = _mm512_maskz_loadu_ps(mask, x + c * x_stride + k);
            SPRAT__UNROLL
            for (size_t r = 0; r < 4; r++)
                sum[c][r] = _mm512_add_ps(sum[c][r], _mm512_mul_ps(weights[r], column));
        }
    }
    SPRAT__UNROLL
    for (size_t c = 0; c < n_columns; c++) {
        SPRAT__UNROLL
        for (size_t r = 0; r < 4; r++)
            _mm512_store_ps(SPRAT__TILE_LANES(lanes, c, r), sum[c][r]);
    }
}

static SPRAT__AVX512 void tile_avx512(float *lanes, const float *w, const float *x, size_t x_stride,
                                      size_t n_columns, size_t n)
{
    size_t c = 0;
    for (; n_columns - c >= 4; c += 4)
        part_avx512(SPRAT__TILE_LANES(lanes, c, 0), w, x + c * x_stride, x_stride, n, 4);
    for (; c < n_columns; c++)
        part_avx512(SPRAT__TILE_LANES(lanes, c, 0), w, x + c * x_stride, x_stride, n, 1);
}

/* Four outputs at once: their sums of four, turned, give (0 + 2) + (1 + 3). */
static SPRAT__AVX512 void tile_sum_avx512(float *y, size_t y_stride, const float *lanes,
                                          size_t n_rows, size_t n_columns)
{
    for (size_t c = 0; c < n_columns; c++) {
        __m128 row[4];
        for (size_t r = 0; r < 4; r++)
            row[r] = fold_avx512(_mm512_load_ps(SPRAT__TILE_LANES(lanes, c, r)));
        _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
        __m128 sums = _mm_add_ps(_mm_add_ps(row[0], row[2]), _mm_add_ps(row[1], row[3]));
        _mm_mask_storeu_ps(y + c * y_stride, (__mmask8)((1u << n_rows) - 1), sums);
    }
}

static void matmul_f32_avx512(float *y, size_t y_stride, const uint8_t *w, size_t row_bytes,
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
    sprat__tiled_matmul(&job, tile_avx512, tile_sum_avx512);
}

const struct sprat__kernels sprat__kernels_avx512 = {
    .matmul_f32 = matmul_f32_avx512,
};

#endif
