/* Owns routing (doc/numerics.md). p = softmax or sigmoid of the scores; the choice goes by p plus
 * the correction bias. Groups: V3's gate (a bias, or sigmoid) scores a group by the sum of its two
 * best, V2's by its best; the experts of other groups are out, not zero. Of equal scores the lower
 * index wins. Weights are p without the bias, times the scale; normalised first where the model
 * says so. Official code: model.py of DeepSeek-V3, modeling_deepseek.py of DeepSeek-V2. */
#include "model/route.h"

#include <math.h>
#include <string.h>

/* The index of the largest among those that are not taken; the first of equals, and the first of
 * all where none is a number. */
static size_t route_best(const float *x, const bool *is_taken, size_t n)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        if (!is_taken[i] && (best == n || x[i] > x[best] || (isnan(x[best]) && !isnan(x[i]))))
            best = i;
    }
    return best;
}

static float route_group_score(const float *score, size_t n, bool by_two)
{
    float best = score[0], second = -INFINITY;
    for (size_t i = 1; i < n; i++) {
        second = score[i] > best ? best : score[i] > second ? score[i] : second;
        best = score[i] > best ? score[i] : best;
    }
    return by_two && n > 1 ? best + second : best;
}

/* Marks the experts outside the best groups as taken. */
static void route_close_groups(const struct sprat__moe *moe, bool by_two, const float *score,
                               bool *is_taken)
{
    float group[SPRAT__MAX_EXPERT_GROUPS];
    bool is_open[SPRAT__MAX_EXPERT_GROUPS] = {false};
    size_t size = moe->n_experts / moe->n_groups;
    for (size_t i = 0; i < moe->n_groups; i++)
        group[i] = route_group_score(score + i * size, size, by_two);
    for (size_t i = 0; i < moe->n_groups_used; i++)
        is_open[route_best(group, is_open, moe->n_groups)] = true;
    for (size_t i = 0; i < moe->n_experts; i++)
        is_taken[i] = !is_open[i / size];
}

/* score becomes the gate's probabilities. */
static void route_gate(const struct sprat__moe *moe, const struct sprat__kernels *kernels,
                       float *score)
{
    size_t n = moe->n_experts;
    if (moe->is_softmax) {
        float sum = kernels->exp_sum_f32(score, kernels->max_f32(score, n), n);
        kernels->scale_f32(score, 1.0f / sum, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        score[i] = -score[i];
    kernels->exp_sum_f32(score, 0.0f, n);
    for (size_t i = 0; i < n; i++)
        score[i] = 1.0f / (1.0f + score[i]);
}

void sprat__route(const struct sprat__moe *moe, const struct sprat__kernels *kernels, float *score,
                  const float *bias, uint32_t *chosen, float *weight)
{
    float choice[SPRAT__MAX_EXPERTS];
    bool is_taken[SPRAT__MAX_EXPERTS] = {false}, is_chosen[SPRAT__MAX_EXPERTS] = {false};
    route_gate(moe, kernels, score);
    memcpy(choice, score, moe->n_experts * sizeof *choice);
    if (bias)
        kernels->add_f32(choice, bias, moe->n_experts);
    if (moe->n_groups > 1)
        route_close_groups(moe, bias || !moe->is_softmax, choice, is_taken);
    for (size_t i = 0; i < moe->n_used; i++) {
        size_t best = route_best(choice, is_taken, moe->n_experts);
        is_taken[best] = is_chosen[best] = true;
    }
    float sum = 0.0f;
    for (uint32_t i = 0, n = 0; i < moe->n_experts; i++) {
        if (!is_chosen[i])
            continue;
        chosen[n] = i;
        weight[n++] = score[i];
        sum += score[i];
    }
    /* Some of the official code normalises instead of scaling; no released model tells them apart.
     */
    float scale = moe->is_normalised ? moe->scale / (sum + 1e-20f) : moe->scale;
    kernels->scale_f32(weight, scale, moe->n_used);
}
