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

/* Experts and shared ones together: first all gates, then all of down. The shared ones are one
 * matrix that all rows go to. */
static sprat_status moe_experts(struct sprat__step *step, const struct sprat__layer *w)
{
    size_t n_embd = step->model->config.n_embd, n_shared = w->gate_shared.n_rows;
    const struct sprat__moe *moe = &step->model->config.moe;
    const uint32_t all[] = {0, (uint32_t)step->n};
    float *gate = step->gate + step->n * n_shared, *up = step->up + step->n * n_shared;
    bool has_shared = w->down_shared.data != NULL;
    const struct sprat__grouped gated[] = {{.weight = &w->gate_shared,
                                            .factor = &w->up_shared,
                                            .n_parts = 1,
                                            .part_rows = n_shared,
                                            .first = all,
                                            .x = step->normed,
                                            .x_stride = n_embd,
                                            .y = step->gate,
                                            .factor_y = step->up,
                                            .y_stride = n_shared},
                                           {.weight = &w->gate_experts,
                                            .factor = &w->up_experts,
                                            .n_parts = moe->n_experts,
                                            .part_rows = moe->n_ff,
                                            .part_stride = w->expert_rows,
                                            .first = step->slot_first,
                                            .rows = step->slot_row,
                                            .like = has_shared ? &gated[0] : NULL,
                                            .x = step->normed,
                                            .x_stride = n_embd,
                                            .y = gate,
                                            .factor_y = up,
                                            .y_stride = moe->n_ff}};
    const struct sprat__grouped down[] = {{.weight = &w->down_shared,
                                           .n_parts = 1,
                                           .part_rows = n_embd,
                                           .first = all,
                                           .x = step->gate,
                                           .x_stride = n_shared,
                                           .y = step->shared_y,
                                           .y_stride = n_embd},
                                          {.weight = &w->down_experts,
                                           .n_parts = moe->n_experts,
                                           .part_rows = n_embd,
                                           .part_stride = n_embd,
                                           .first = step->slot_first,
                                           .x = gate,
                                           .x_stride = moe->n_ff,
                                           .y = step->expert_y,
                                           .y_stride = n_embd}};
    size_t from = has_shared ? 0 : 1;
    SPRAT_TRY(sprat__grouped(step, gated + from, 2 - from));
    return sprat__grouped(step, down + from, 2 - from);
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
    return sprat__rows(step, moe_sum_row, &job, n_embd * (config->moe.n_used + 2));
}
