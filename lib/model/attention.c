/* Owns the way of grouped-query attention into the cache and out of it: projections, norms per
 * head, rotation, storing. Leaves what is done with the cache to attend_tiles.c. The step's keys
 * and values are written to the cache first and read back from it in its precision, so that neither
 * chunking nor rewinding can change a bit. */
#include "model/step.h"

#include <string.h>

struct attention_job {
    const struct sprat__step *step;
    uint32_t layer;
    const float *q_norm, *k_norm; /* NULL: the model has none */
};

static void attention_store_row(const struct sprat__step *step, uint8_t *rows, size_t i,
                                const float *x, size_t dim)
{
    if (step->kv->shape.element_bytes == sizeof(float))
        memcpy(rows + i * dim * sizeof(float), x, dim * sizeof(float));
    else
        step->kernels->f32_to_f16((uint16_t *)(void *)rows + i * dim, x, dim);
}

void sprat__attention_store(const struct sprat__step *step, uint32_t layer, size_t row)
{
    const struct sprat__kv_shape *shape = &step->kv->shape;
    size_t key_dim = shape->key_dim, value_dim = shape->value_dim;
    const float *k = step->k + row * shape->n_heads * key_dim;
    const float *v = step->v + row * shape->n_heads * value_dim;
    size_t position = step->position + row, i = position % SPRAT__KV_TILE;
    for (uint32_t head = 0; head < shape->n_heads; head++) {
        attention_store_row(step, sprat__kv_keys(step->kv, layer, head, position), i,
                            k + head * key_dim, key_dim);
        if (value_dim > 0)
            attention_store_row(step, sprat__kv_values(step->kv, layer, head, position), i,
                                v + head * value_dim, value_dim);
    }
}

/* One row's q, k and v on their way from the products: norms per head, rotation; then k and v are
 * written to the cache. */
static void attention_enter(void *argument, size_t row)
{
    const struct attention_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    const struct sprat__kernels *kernels = step->kernels;
    size_t key_dim = config->key_dim;
    float *q = step->q + row * config->n_heads * key_dim;
    float *k = step->k + row * config->n_kv_heads * key_dim;
    for (size_t head = 0; job->q_norm && head < config->n_heads; head++)
        kernels->rms_norm_f32(q + head * key_dim, q + head * key_dim, job->q_norm, key_dim,
                              config->epsilon);
    for (size_t head = 0; job->k_norm && head < config->n_kv_heads; head++)
        kernels->rms_norm_f32(k + head * key_dim, k + head * key_dim, job->k_norm, key_dim,
                              config->epsilon);
    sprat__rope_rotate(step, row, q, config->n_heads, key_dim);
    sprat__rope_rotate(step, row, k, config->n_kv_heads, key_dim);
    sprat__attention_store(step, job->layer, row);
}

sprat_status sprat__attention(struct sprat__step *step, uint32_t layer)
{
    const struct sprat__layer *weights = &step->model->layers[layer];
    const struct sprat__config *config = &step->model->config;
    size_t n_embd = config->n_embd, n_q = (size_t)config->n_heads * config->key_dim;
    const struct sprat__input outer = {step->x, n_embd, &weights->attn_norm, step->normed};
    const struct sprat__product products[] = {
        {.weight = &weights->q, .bias = &weights->q_bias, .y = step->q, .y_stride = n_q},
        {.weight = &weights->k,
         .bias = &weights->k_bias,
         .y = step->k,
         .y_stride = weights->k.n_rows,
         .fine = true},
        {.weight = &weights->v,
         .bias = &weights->v_bias,
         .y = step->v,
         .y_stride = weights->v.n_rows,
         .fine = true}};
    SPRAT_TRY(sprat__linear(step, &outer, products, 3));
    float *vector = step->vector;
    struct attention_job job = {.step = step, .layer = layer};
    job.q_norm = sprat__step_vector(step, &weights->q_norm, &vector);
    job.k_norm = sprat__step_vector(step, &weights->k_norm, &vector);
    SPRAT_TRY(sprat__rows(step, attention_enter, &job, n_q));
    SPRAT_TRY(sprat__attend(step, layer));
    size_t n_attended = (size_t)config->n_heads * config->value_dim;
    const struct sprat__input inner = {.x = step->attended, .x_stride = n_attended};
    const struct sprat__product output = {.weight = &weights->o,
                                          .bias = &weights->o_bias,
                                          .y = step->normed,
                                          .y_stride = n_embd,
                                          .sum = step->x};
    return sprat__linear(step, &inner, &output, 1);
}
