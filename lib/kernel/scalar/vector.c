/* Owns the scalar kernels on rows of activations: norms, SiLU, softmax sums, rotations. Element by
 * element, in the order of doc/numerics.md. */
#include "kernel/kernel.h"
#include "kernel/scalar/exp32.h"
#include "kernel/scalar/lanes.h"
#include "kernel/scalar/rows.h"

float sprat__sum_squares_f32_scalar(const float *x, size_t n)
{
    float lane[SPRAT__LANES] = {0};
    sprat__lanes_dot(lane, x, x, n);
    return sprat__lanes_sum(lane);
}

void sprat__rms_norm_f32_scalar(float *y, const float *x, const float *weight, size_t n,
                                float epsilon)
{
    float scale = sprat__rms_scale(sprat__sum_squares_f32_scalar(x, n), n, epsilon);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

void sprat__silu_mul_f32_scalar(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + sprat__exp32(-gate[i])) * up[i];
}

void sprat__add_f32_scalar(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void sprat__axpy_f32_scalar(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

void sprat__scale_f32_scalar(float *y, float a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= a;
}

float sprat__exp_sum_f32_scalar(float *x, float shift, size_t n)
{
    float lane[SPRAT__LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        x[i] = sprat__exp32(x[i] - shift);
        lane[i % SPRAT__LANES] += x[i];
    }
    return sprat__lanes_sum(lane);
}

float sprat__max_f32_scalar(const float *x, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max + 0.0f;
}

size_t sprat__first_f32_scalar(const float *x, size_t n)
{
    float max = -INFINITY;
    size_t first = 0;
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (any ? x[i] > max : x[i] >= max) {
            max = x[i];
            first = i;
            any = true;
        }
    }
    return first;
}

bool sprat__all_at_most_f32_scalar(const float *x, float limit, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(x[i] <= limit))
            return false;
    }
    return true;
}

void sprat__rope_adjacent_f32_scalar(float *x, const float *cosine, const float *sine, size_t n)
{
    for (size_t i = 0; i < n / 2; i++)
        sprat__rotate(&x[2 * i], &x[2 * i + 1], cosine[i], sine[i]);
}

void sprat__rope_halves_f32_scalar(float *x, const float *cosine, const float *sine, size_t n)
{
    for (size_t i = 0; i < n / 2; i++)
        sprat__rotate(&x[i], &x[i + n / 2], cosine[i], sine[i]);
}
