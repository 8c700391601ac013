/* Owns causal grouped-query attention over the cache. The step's keys and values are written to the
 * cache first and read back from it in its precision, so that neither chunking nor rewinding can
 * change a bit.
 *
 * Order (doc/numerics.md): keys are taken in tiles of 64 at absolute positions. Each tile alone
 * gives m = the largest score, l = Σ exp(score − m), o = Σ exp(score − m)·v; tiles are combined
 * from left to right; what a query may not see is skipped, never multiplied. */
#include "model/step.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Queries that share each unpacked key and value row. */
enum { ATTENTION_QUERIES = 4 };

/* Significant bits of a binary32 whose product with a binary16 is exact. */
enum { ATTENTION_BITS = 13 };

struct attention_job {
    const struct sprat__step *step;
    uint32_t layer;
    float scale;                  /* 1 / sqrt(key_dim) */
    const float *q_norm, *k_norm; /* NULL: the model has none */
};

/* One block of queries of one head, and what it has of the tiles so far. */
struct attention_block {
    const float *q[ATTENTION_QUERIES];
    float *out[ATTENTION_QUERIES]; /* o of the tiles so far */
    float max[ATTENTION_QUERIES], sum[ATTENTION_QUERIES];
    size_t position; /* of the first query */
    size_t n;
};

static const float *attention_row(const struct sprat__step *step, const uint8_t *rows, size_t at,
                                  size_t dim, float *unpacked)
{
    if (step->kv->shape.element_bytes == sizeof(float))
        return (const float *)(const void *)rows + at;
    step->kernels->f16_to_f32(unpacked, (const uint16_t *)(const void *)rows + at, dim);
    return unpacked;
}

/* Numerics INT8 round q and p beside a binary16 cache, so that each product with it is exact. */
static bool attention_rounds(const struct sprat__step *step)
{
    return step->int8 && step->kv->shape.element_bytes == sizeof(uint16_t);
}

/* How many keys of the tile at first a query at position sees. */
static size_t attention_visible(size_t first, size_t position)
{
    if (position < first)
        return 0;
    size_t n = position - first + 1;
    return n < SPRAT__KV_TILE ? n : SPRAT__KV_TILE;
}

static void attention_combine(const struct sprat__step *step, struct attention_block *block,
                              size_t query, bool is_first, float max, float sum, const float *tile,
                              size_t dim)
{
    float *out = block->out[query];
    if (is_first) {
        memcpy(out, tile, dim * sizeof *out);
        block->max[query] = max;
        block->sum[query] = sum;
        return;
    }
    float both[2] = {block->max[query], max};
    float top = both[0] > both[1] ? both[0] : both[1];
    step->kernels->exp_sum_f32(both, top, 2);
    step->kernels->scale_f32(out, both[0], dim);
    step->kernels->axpy_f32(out, both[1], tile, dim);
    block->max[query] = top;
    block->sum[query] = block->sum[query] * both[0] + sum * both[1];
}

/* A score of -infinity would weigh 0, and its key, which overflowed, would be skipped unseen. */
static float attention_score(const struct attention_job *job, const float *q, const float *key)
{
    size_t dim = job->step->model->config.key_dim;
    float score = job->step->kernels->dot_f32(q, key, dim) * job->scale;
    return score >= -FLT_MAX ? score : NAN;
}

/* Adds the tile of keys that begins at first. */
static void attention_tile(const struct attention_job *job, struct attention_block *block,
                           uint32_t kv_head, size_t first)
{
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    const uint8_t *keys = sprat__kv_keys(step->kv, job->layer, kv_head, first);
    const uint8_t *values =
        step->kv->shape.value_dim ? sprat__kv_values(step->kv, job->layer, kv_head, first) : keys;
    size_t value_stride = step->kv->shape.value_dim ? config->value_dim : config->key_dim;
    float score[ATTENTION_QUERIES][SPRAT__KV_TILE], unpacked[SPRAT__MAX_HEAD_DIM];
    float sum[ATTENTION_QUERIES][SPRAT__MAX_HEAD_DIM];
    size_t n_keys = attention_visible(first, block->position + block->n - 1);
    for (size_t j = 0; j < n_keys; j++) {
        const float *key =
            attention_row(step, keys, j * config->key_dim, config->key_dim, unpacked);
        for (size_t i = 0; i < block->n; i++) {
            if (first + j <= block->position + i)
                score[i][j] = attention_score(job, block->q[i], key);
        }
    }
    float max[ATTENTION_QUERIES], total[ATTENTION_QUERIES];
    for (size_t i = 0; i < block->n; i++) {
        size_t n = attention_visible(first, block->position + i);
        max[i] = step->kernels->max_f32(score[i], n);
        total[i] = step->kernels->exp_sum_f32(score[i], max[i], n);
        if (attention_rounds(step))
            step->kernels->round_f32(score[i], n, ATTENTION_BITS);
        memset(sum[i], 0, config->value_dim * sizeof(float));
    }
    for (size_t j = 0; j < n_keys; j++) {
        const float *value =
            attention_row(step, values, j * value_stride, config->value_dim, unpacked);
        for (size_t i = 0; i < block->n; i++) {
            if (first + j <= block->position + i)
                step->kernels->axpy_f32(sum[i], score[i][j], value, config->value_dim);
        }
    }
    for (size_t i = 0; i < block->n; i++) {
        if (first <= block->position + i)
            attention_combine(step, block, i, first == 0, max[i], total[i], sum[i],
                              config->value_dim);
    }
}

/* Tile i: one head's block of queries. */
static void attention_queries(void *argument, size_t i)
{
    const struct attention_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    size_t head = i % config->n_heads;
    size_t row = i / config->n_heads * ATTENTION_QUERIES;
    uint32_t kv_head = (uint32_t)head / (config->n_heads / config->n_kv_heads);
    struct attention_block block = {.position = step->position + row, .n = step->n - row};
    if (block.n > ATTENTION_QUERIES)
        block.n = ATTENTION_QUERIES;
    for (size_t j = 0; j < block.n; j++) {
        size_t at = (row + j) * config->n_heads + head;
        block.q[j] = step->q + at * config->key_dim;
        block.out[j] = step->attended + at * config->value_dim;
    }
    for (size_t j = 0; j < block.n && attention_rounds(step); j++)
        step->kernels->round_f32(step->q + ((row + j) * config->n_heads + head) * config->key_dim,
                                 config->key_dim, ATTENTION_BITS);
    for (size_t first = 0; first < block.position + block.n; first += SPRAT__KV_TILE)
        attention_tile(job, &block, kv_head, first);
    for (size_t j = 0; j < block.n; j++)
        step->kernels->scale_f32(block.out[j], 1.0f / block.sum[j], config->value_dim);
}

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

sprat_status sprat__attend(struct sprat__step *step, uint32_t layer)
{
    const struct sprat__config *config = &step->model->config;
    struct attention_job job = {step, layer, config->attention_scale, NULL, NULL};
    size_t n_blocks = (step->n + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
    return sprat__pool_run(step->pool, attention_queries, &job, n_blocks * config->n_heads,
                           step->cancel);
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
    struct attention_job job = {step, layer, config->attention_scale, NULL, NULL};
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
