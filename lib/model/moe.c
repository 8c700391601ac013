/* Owns the mixture of experts: x += Σ w_e · E_e(norm(x)) + shared(norm(x)). Rows are gathered by
 * expert, so that each expert's weights are read once for all rows routed to it. A row's experts
 * are added in ascending id, then the shared ones, which are one feed-forward part with weight 1
 * (doc/numerics.md). */
#include "model/step.h"

#include "model/route.h"

#include <string.h>

struct moe_job {
    const struct sprat__step *step;
    const struct sprat__layer *weights;
    const float *bias;
};

static void moe_route_row(void *argument, size_t row)
{
    const struct moe_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__moe *moe = &step->model->config.moe;
    sprat__route(moe, step->kernels, step->router + row * moe->n_experts, job->bias,
                 step->expert + row * moe->n_used, step->expert_weight + row * moe->n_used);
}

/* Slots of expert after expert, rows ascending in each: from row to slots and back. */
static void moe_slots(struct sprat__step *step)
{
    const struct sprat__moe *moe = &step->model->config.moe;
    uint32_t *first = step->slot_first;
    size_t n = step->n * moe->n_used;
    memset(first, 0, (moe->n_experts + 1) * sizeof *first);
    for (size_t i = 0; i < n; i++)
        first[step->expert[i] + 1]++;
    for (size_t e = 0; e < moe->n_experts; e++)
        first[e + 1] += first[e];
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = first[step->expert[i]]++;
        step->slot_row[slot] = (uint32_t)(i / moe->n_used);
        step->slot_of[i] = slot;
    }
    for (size_t e = moe->n_experts; e > 0; e--)
        first[e] = first[e - 1];
    first[0] = 0;
}

/* Row row's results, in the order of the experts. */
static void moe_sum_row(void *argument, size_t row)
{
    const struct moe_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__kernels *kernels = step->kernels;
    size_t n_embd = step->model->config.n_embd, n_used = step->model->config.moe.n_used;
    float *sum = step->normed + row * n_embd;
    memset(sum, 0, n_embd * sizeof *sum);
    for (size_t i = row * n_used; i < (row + 1) * n_used; i++)
        kernels->axpy_f32(sum, step->expert_weight[i], step->expert_y + step->slot_of[i] * n_embd,
                          n_embd);
    if (job->weights->down_shared.data)
        kernels->add_f32(sum, step->shared_y + row * n_embd, n_embd);
    kernels->add_f32(step->x + row * n_embd, sum, n_embd);
}

/* The shared experts' part of every row into shared_y. */
static sprat_status moe_shared(struct sprat__step *step, const struct sprat__layer *w)
{
    size_t n_embd = step->model->config.n_embd, width = w->gate_shared.n_rows;
    const struct sprat__input outer = {.x = step->normed, .x_stride = n_embd};
    const struct sprat__product gated = {.weight = &w->gate_shared,
                                         .y = step->gate,
                                         .y_stride = width,
                                         .factor = &w->up_shared,
                                         .factor_y = step->up};
    SPRAT_TRY(sprat__linear(step, &outer, &gated, 1));
    const struct sprat__input inner = {.x = step->gate, .x_stride = width};
    const struct sprat__product down = {
        .weight = &w->down_shared, .y = step->shared_y, .y_stride = n_embd};
    return sprat__linear(step, &inner, &down, 1);
}

static sprat_status moe_experts(struct sprat__step *step, const struct sprat__layer *w)
{
    size_t n_embd = step->model->config.n_embd;
    const struct sprat__moe *moe = &step->model->config.moe;
    const struct sprat__grouped gated = {.weight = &w->gate_experts,
                                         .factor = &w->up_experts,
                                         .n_parts = moe->n_experts,
                                         .part_rows = moe->n_ff,
                                         .part_stride = w->expert_rows,
                                         .first = step->slot_first,
                                         .rows = step->slot_row,
                                         .x = step->normed,
                                         .x_stride = n_embd,
                                         .y = step->gate,
                                         .factor_y = step->up,
                                         .y_stride = moe->n_ff};
    SPRAT_TRY(sprat__grouped(step, &gated));
    const struct sprat__grouped down = {.weight = &w->down_experts,
                                        .n_parts = moe->n_experts,
                                        .part_rows = n_embd,
                                        .part_stride = n_embd,
                                        .first = step->slot_first,
                                        .x = step->gate,
                                        .x_stride = moe->n_ff,
                                        .y = step->expert_y,
                                        .y_stride = n_embd};
    return sprat__grouped(step, &down);
}

sprat_status sprat__moe(struct sprat__step *step, uint32_t layer)
{
    const struct sprat__layer *w = &step->model->layers[layer];
    const struct sprat__config *config = &step->model->config;
    size_t n_embd = config->n_embd, n_experts = config->moe.n_experts;
    const struct sprat__input outer = {step->x, n_embd, &w->ffn_norm, step->normed};
    const struct sprat__product scores = {
        .weight = &w->router, .y = step->router, .y_stride = n_experts, .fine = true};
    SPRAT_TRY(sprat__linear(step, &outer, &scores, 1));
    float *vector = step->vector;
    struct moe_job job = {step, w, sprat__step_vector(step, &w->router_bias, &vector)};
    SPRAT_TRY(sprat__rows(step, moe_route_row, &job, n_experts));
    moe_slots(step);
    SPRAT_TRY(moe_experts(step, w));
    if (w->down_shared.data)
        SPRAT_TRY(moe_shared(step, w));
    return sprat__rows(step, moe_sum_row, &job, n_embd * (config->moe.n_used + 2));
}
