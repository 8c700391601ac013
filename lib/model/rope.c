/* Owns rotary embeddings: frequencies from the model's scaling rule, angles, rotation. Frequencies
 * and angles are binary64, cos and sin are rounded to binary32 once. A frequency depends on the
 * model alone, never on the prompt's length.
 *
 * YaRN (Peng and others, arXiv 2309.00071): dim(r) = n·ln(L / 2πr) / (2 ln base);
 * low = max(0, floor dim(β_fast)), high = min(n − 1, ceil dim(β_slow));
 * ramp_i = clamp((i − low) / max(high − low, 0.001), 0, 1);
 * f'_i = f_i·(1 − ramp_i) + (f_i / factor)·ramp_i; cos and sin grow by 0.1·ln factor + 1. */
#include "model/step.h"

#include "kernel/math64.h"

#include <math.h>

static double rope_turns_to_dim(const struct sprat__rope *rope, double turns)
{
    const double two_pi = 6.283185307179586;
    double ratio = (double)rope->n_ctx_original / (two_pi * turns);
    return (double)rope->n_dims * sprat__log64(ratio) / (2.0 * sprat__log64((double)rope->base));
}

static void rope_yarn(const struct sprat__rope *rope, double *frequency)
{
    double low = floor(rope_turns_to_dim(rope, (double)rope->beta_fast));
    double high = ceil(rope_turns_to_dim(rope, (double)rope->beta_slow));
    low = low > 0.0 ? low : 0.0;
    high = high < (double)(rope->n_dims - 1) ? high : (double)(rope->n_dims - 1);
    double span = high - low > 0.001 ? high - low : 0.001;
    for (uint32_t i = 0; i < rope->n_dims / 2; i++) {
        double ramp = ((double)i - low) / span;
        ramp = ramp < 0.0 ? 0.0 : ramp > 1.0 ? 1.0 : ramp;
        double plain = (1.0 - ramp) * (double)rope->yarn_ext_factor;
        frequency[i] = frequency[i] * plain + frequency[i] / (double)rope->factor * (1.0 - plain);
    }
}

/* Llama 3.1 stores a divisor per pair. */
static sprat_status rope_divide(const struct sprat__rope *rope,
                                const struct sprat__kernels *kernels, double *frequency,
                                struct sprat__err *err)
{
    float divisor[SPRAT__MAX_HEAD_DIM / 2];
    char text[SPRAT__NUMBER_BYTES];
    kernels->dequant[rope->divisors.type](divisor, rope->divisors.data, rope->divisors.n_cols);
    for (uint32_t i = 0; i < rope->n_dims / 2; i++) {
        if (!(divisor[i] > 0.0f && divisor[i] <= 1e9f))
            return sprat__fail(
                err, SPRAT_BAD_CONFIG,
                "tensor rope_freqs.weight: divisor %u: expected more than 0, found %s", i,
                sprat__number(text, (double)divisor[i]));
        frequency[i] /= (double)divisor[i];
    }
    return SPRAT_OK;
}

sprat_status sprat__rope_frequencies(const struct sprat__model *model,
                                     const struct sprat__kernels *kernels, double *frequency,
                                     double *magnitude, struct sprat__err *err)
{
    const struct sprat__rope *rope = &model->config.rope;
    double log_base = sprat__log64((double)rope->base);
    for (uint32_t i = 0; i < rope->n_dims / 2; i++)
        frequency[i] = sprat__exp64(-2.0 * (double)i / (double)rope->n_dims * log_base);
    *magnitude = (double)rope->attn_factor;
    if (rope->scaling == SPRAT__ROPE_LINEAR) {
        for (uint32_t i = 0; i < rope->n_dims / 2; i++)
            frequency[i] /= (double)rope->factor;
    }
    if (rope->scaling == SPRAT__ROPE_YARN) {
        rope_yarn(rope, frequency);
        *magnitude *= (double)rope->yarn_attn_factor;
        if (rope->yarn_ext_factor != 0.0f && rope->factor > 1.0f && !rope->is_plain)
            *magnitude *= 0.1 * sprat__log64((double)rope->factor) + 1.0;
    }
    return rope->divisors.data ? rope_divide(rope, kernels, frequency, err) : SPRAT_OK;
}

void sprat__rope_angles(struct sprat__step *step)
{
    size_t n_pairs = step->model->config.rope.n_dims / 2;
    for (size_t row = 0; row < step->n; row++) {
        for (size_t i = 0; i < n_pairs; i++) {
            double angle = (double)(step->position + row) * step->frequency[i];
            step->cosine[row * n_pairs + i] = (float)(sprat__cos64(angle) * step->magnitude);
            step->sine[row * n_pairs + i] = (float)(sprat__sin64(angle) * step->magnitude);
        }
    }
}

void sprat__rope_rotate(const struct sprat__step *step, size_t row, float *heads, size_t n_heads,
                        size_t dim)
{
    size_t n_dims = step->model->config.rope.n_dims;
    const float *cosine = step->cosine + row * (n_dims / 2);
    const float *sine = step->sine + row * (n_dims / 2);
    bool adjacent = step->model->family->pairing == SPRAT__ROPE_ADJACENT;
    for (size_t head = 0; head < n_heads; head++) {
        if (adjacent)
            step->kernels->rope_adjacent_f32(heads + head * dim, cosine, sine, n_dims);
        else
            step->kernels->rope_halves_f32(heads + head * dim, cosine, sine, n_dims);
    }
}
