/* Owns attention over one tile of keys and values: the scores of some queries, their weights, the
 * sums of weighted values, and how a tile is combined with those before it. Leaves to the model
 * which keys a query sees and in which order tiles come. doc/numerics.md. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/scalar/exp32.h"
#include "kernel/scalar/lanes.h"

#include <float.h>
#include <math.h>

void sprat__attend_scores_f32_scalar(float *scores, const float *const *q, size_t n_q,
                                     const float *keys, size_t stride, size_t n_keys, size_t n_dims,
                                     float scale)
{
    for (size_t j = 0; j < n_keys; j++) {
        for (size_t i = 0; i < n_q; i++) {
            float lane[SPRAT__LANES] = {0};
            sprat__lanes_dot(lane, q[i], keys + j * stride, n_dims);
            float score = sprat__lanes_sum(lane) * scale;
            scores[i * SPRAT__ATTEND_KEYS + j] = score >= -FLT_MAX ? score : NAN;
        }
    }
}

void sprat__attend_scores_f16_scalar(float *scores, const float *const *q, size_t n_q,
                                     const uint16_t *keys, size_t stride, size_t n_keys,
                                     size_t n_dims, float scale)
{
    float key[SPRAT__ATTEND_DIMS];
    for (size_t j = 0; j < n_keys; j++) {
        sprat__f16_to_f32_scalar(key, keys + j * stride, n_dims);
        sprat__attend_scores_f32_scalar(scores + j, q, n_q, key, 0, 1, n_dims, scale);
    }
}

void sprat__attend_weights_f32_scalar(float *scores, const size_t *n_keys, size_t n_q,
                                      unsigned bits, float *max, float *sum)
{
    for (size_t i = 0; i < n_q; i++) {
        float *row = scores + i * SPRAT__ATTEND_KEYS;
        max[i] = sprat__max_f32_scalar(row, n_keys[i]);
        sum[i] = sprat__exp_sum_f32_scalar(row, max[i], n_keys[i]);
        if (bits > 0)
            sprat__round_f32_scalar(row, n_keys[i], bits);
    }
}

void sprat__attend_combine_f32_scalar(float *max, float *sum, const float *tile_max,
                                      const float *tile_sum, float *old, float *new, size_t n_q)
{
    for (size_t i = 0; i < n_q; i++) {
        float top = max[i] > tile_max[i] ? max[i] : tile_max[i];
        old[i] = sprat__exp32(max[i] - top);
        new[i] = sprat__exp32(tile_max[i] - top);
        sum[i] = sum[i] * old[i] + tile_sum[i] * new[i];
        max[i] = top;
    }
}

/* Dimensions that are summed at once: value, weight and sums lie in cache. */
enum { ATTEND_PART = 64 };

static void attend_add_up(float *sum, const float *weights, const uint16_t *halves,
                          const float *values, size_t stride, size_t n_keys, size_t n)
{
    for (size_t d = 0; d < n; d++)
        sum[d] = 0.0f;
    for (size_t j = 0; j < n_keys; j++) {
        for (size_t d = 0; d < n; d++) {
            float value =
                halves ? sprat__half_to_float(halves[j * stride + d]) : values[j * stride + d];
            sum[d] += weights[j] * value;
        }
    }
}

/* Of halves and values one is NULL. */
static void attend_values(float *out, const float *old, const float *new, const float *weights,
                          const uint16_t *halves, const float *values, size_t stride, size_t n_keys,
                          size_t n_dims)
{
    for (size_t first = 0; first < n_dims; first += ATTEND_PART) {
        float sum[ATTEND_PART];
        size_t n = n_dims - first < ATTEND_PART ? n_dims - first : ATTEND_PART;
        attend_add_up(sum, weights, halves ? halves + first : NULL, values ? values + first : NULL,
                      stride, n_keys, n);
        for (size_t d = 0; d < n; d++)
            out[first + d] = old ? out[first + d] * *old + sum[d] * *new : sum[d];
    }
}

void sprat__attend_values_f16_scalar(float *const *out, const float *old, const float *new,
                                     const float *weights, const size_t *n_keys, size_t n_q,
                                     const uint16_t *values, size_t stride, size_t n_dims)
{
    for (size_t i = 0; i < n_q; i++)
        attend_values(out[i], old ? old + i : NULL, old ? new + i : NULL,
                      weights + i * SPRAT__ATTEND_KEYS, values, NULL, stride, n_keys[i], n_dims);
}

void sprat__attend_values_f32_scalar(float *const *out, const float *old, const float *new,
                                     const float *weights, const size_t *n_keys, size_t n_q,
                                     const float *values, size_t stride, size_t n_dims)
{
    for (size_t i = 0; i < n_q; i++)
        attend_values(out[i], old ? old + i : NULL, old ? new + i : NULL,
                      weights + i * SPRAT__ATTEND_KEYS, NULL, values, stride, n_keys[i], n_dims);
}
