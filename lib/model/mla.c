/* Owns multi-head latent attention in its absorbed form (arXiv 2405.04434, section 2.1). What the
 * cache keeps of a position is one row: the latent c after its norm, then the rotated channels that
 * all heads share. With K_h and V_h the halves of kv_b for head h:
 *
 *   score = (K_hᵀ q_nope · c + q_rope · k_rope) · scale,   out_h = V_h · Σ p·c
 *
 * so that keys and values are never expanded: attention.c sees one head of keys whose values are
 * their first kv_rank channels. */
#include "model/step.h"

#include <string.h>

struct mla_job {
    const struct sprat__step *step;
    const struct sprat__layer *weights;
    const float *norm; /* of the latent */
    uint32_t layer;
};

/* One row: the latent's norm, rotations, and what of a query needs no absorbing. */
static void mla_enter(void *argument, size_t row)
{
    const struct mla_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    const struct sprat__mla *mla = &config->mla;
    size_t key = mla->nope_dim + mla->rope_dim;
    float *latent = step->k + row * config->key_dim;
    float *heads = step->heads + row * config->n_heads * key;
    float *q = step->q + row * config->n_heads * config->key_dim;
    step->kernels->rms_norm_f32(latent, latent, job->norm, mla->kv_rank, config->epsilon);
    sprat__rope_rotate(step, row, latent + mla->kv_rank, 1, mla->rope_dim);
    sprat__rope_rotate(step, row, heads + mla->nope_dim, config->n_heads, key);
    for (size_t head = 0; head < config->n_heads; head++)
        memcpy(q + head * config->key_dim + mla->kv_rank, heads + head * key + mla->nope_dim,
               mla->rope_dim * sizeof *q);
    sprat__attention_store(step, job->layer, row);
}

static sprat_status mla_project(struct sprat__step *step, const struct sprat__layer *w)
{
    const struct sprat__config *config = &step->model->config;
    const struct sprat__mla *mla = &config->mla;
    size_t n_q = (size_t)config->n_heads * (mla->nope_dim + mla->rope_dim);
    const struct sprat__input outer = {step->x, config->n_embd, &w->attn_norm, step->normed};
    const struct sprat__product latent = {
        .weight = &w->kv_a, .y = step->k, .y_stride = config->key_dim, .fine = true};
    const struct sprat__product both[] = {latent,
                                          {.weight = mla->q_rank ? &w->q_a : &w->q,
                                           .y = mla->q_rank ? step->q_rank : step->heads,
                                           .y_stride = mla->q_rank ? mla->q_rank : n_q}};
    SPRAT_TRY(sprat__linear(step, &outer, both, 2));
    if (mla->q_rank == 0)
        return SPRAT_OK;
    const struct sprat__input inner = {step->q_rank, mla->q_rank, &w->q_a_norm, step->q_rank};
    const struct sprat__product queries = {.weight = &w->q_b, .y = step->heads, .y_stride = n_q};
    return sprat__linear(step, &inner, &queries, 1);
}

/* Head h of an old file: K_hᵀ q as a sum of K_h's rows, for K_h is not stored transposed. */
static void mla_absorb_head(void *argument, size_t head)
{
    const struct mla_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    const struct sprat__mla *mla = &config->mla;
    const struct sprat__weight *kv_b = &job->weights->kv_b;
    size_t key = mla->nope_dim + mla->rope_dim, stride = config->n_heads * (size_t)config->key_dim;
    float *q = step->q + head * config->key_dim, row[SPRAT__MAX_HEAD_DIM];
    for (size_t r = 0; r < step->n; r++)
        memset(q + r * stride, 0, mla->kv_rank * sizeof *q);
    for (size_t i = 0; i < mla->nope_dim; i++) {
        size_t at = head * (mla->nope_dim + mla->value_dim) + i;
        step->kernels->dequant[kv_b->type](row, kv_b->data + at * kv_b->row_bytes, mla->kv_rank);
        for (size_t r = 0; r < step->n; r++)
            step->kernels->axpy_f32(q + r * stride,
                                    step->heads[(r * config->n_heads + head) * key + i], row,
                                    mla->kv_rank);
    }
}

/* Slots of head after head: head h has slots h·n to h·n + n − 1, of rows r·n_heads + h. */
static void mla_slots(struct sprat__step *step)
{
    uint32_t n_heads = step->model->config.n_heads, n = (uint32_t)step->n;
    for (uint32_t head = 0; head <= n_heads; head++)
        step->slot_first[head] = head * n;
    for (uint32_t head = 0; head < n_heads; head++) {
        for (uint32_t row = 0; row < n; row++)
            step->slot_row[head * n + row] = row * n_heads + head;
    }
}

static sprat_status mla_absorb(struct sprat__step *step, struct mla_job *job)
{
    const struct sprat__config *config = &step->model->config;
    const struct sprat__mla *mla = &config->mla;
    if (job->weights->kv_b.data)
        return sprat__pool_run(step->pool, mla_absorb_head, job, config->n_heads, step->cancel);
    const struct sprat__grouped keys = {.weight = &job->weights->k_b,
                                        .n_parts = config->n_heads,
                                        .part_rows = mla->kv_rank,
                                        .part_stride = mla->kv_rank,
                                        .first = step->slot_first,
                                        .rows = step->slot_row,
                                        .x = step->heads,
                                        .x_stride = mla->nope_dim + mla->rope_dim,
                                        .y = step->q,
                                        .y_part = config->key_dim,
                                        .y_stride = (size_t)config->n_heads * config->key_dim};
    return sprat__grouped(step, &keys, 1);
}

/* Each head's Σ p·c becomes its values. */
static sprat_status mla_values(struct sprat__step *step, const struct sprat__layer *w)
{
    const struct sprat__config *config = &step->model->config;
    const struct sprat__mla *mla = &config->mla;
    bool is_split = w->v_b.data != NULL;
    struct sprat__weight old = w->kv_b;
    if (!is_split)
        old.data += mla->nope_dim * old.row_bytes;
    const struct sprat__grouped values = {.weight = is_split ? &w->v_b : &old,
                                          .n_parts = config->n_heads,
                                          .part_rows = mla->value_dim,
                                          .part_stride = is_split ? mla->value_dim
                                                                  : mla->nope_dim + mla->value_dim,
                                          .first = step->slot_first,
                                          .rows = step->slot_row,
                                          .x = step->attended,
                                          .x_stride = mla->kv_rank,
                                          .y = step->heads,
                                          .y_part = mla->value_dim,
                                          .y_stride = (size_t)config->n_heads * mla->value_dim};
    return sprat__grouped(step, &values, 1);
}

sprat_status sprat__mla(struct sprat__step *step, uint32_t layer)
{
    const struct sprat__layer *w = &step->model->layers[layer];
    const struct sprat__config *config = &step->model->config;
    size_t n_embd = config->n_embd;
    float *vector = step->vector;
    SPRAT_TRY(mla_project(step, w));
    struct mla_job job = {step, w, sprat__step_vector(step, &w->kv_a_norm, &vector), layer};
    SPRAT_TRY(sprat__rows(step, mla_enter, &job, (size_t)config->n_heads * config->key_dim));
    mla_slots(step);
    SPRAT_TRY(mla_absorb(step, &job));
    SPRAT_TRY(sprat__attend(step, layer));
    SPRAT_TRY(mla_values(step, w));
    const struct sprat__input inner = {.x = step->heads,
                                       .x_stride = (size_t)config->n_heads * config->mla.value_dim};
    const struct sprat__product output = {
        .weight = &w->o, .y = step->normed, .y_stride = n_embd, .sum = step->x};
    return sprat__linear(step, &inner, &output, 1);
}
