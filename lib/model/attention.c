/* Owns causal grouped-query attention over the cache. The step's keys and values are written to the
 * cache first and read back from it in its precision, so that neither chunking nor rewinding can
 * change a bit.
 *
 * Order (doc/numerics.md): keys are taken in tiles of 64 at absolute positions. Each tile alone
 * gives m = the largest score, l = Σ exp(score − m), o = Σ exp(score − m)·v; tiles are combined
 * from left to right; what a query may not see is skipped, never multiplied. */
#include "model/step.h"

#include <string.h>

/* Rows of a block, which share each tile of keys and values. */
enum { ATTENTION_ROWS = 32 };

/* Significant bits of a binary32 whose product with a binary16 is exact. */
enum { ATTENTION_BITS = 13 };

struct attention_job {
    const struct sprat__step *step;
    uint32_t layer;
    float scale;
    const float *q_norm, *k_norm; /* NULL: the model has none */
    size_t n_positions;           /* of a block: a power of two, at most a tile */
    size_t n_heads;               /* of a block, which read the same keys and values */
    size_t n_slices;              /* blocks that the heads of one KV head are cut into */
};

/* Some query heads of one KV head at some positions, and what they have of the tiles so far. */
struct attention_block {
    uint32_t kv_head;
    size_t n;
    size_t end; /* behind the last position */
    size_t position[ATTENTION_ROWS];
    const float *q[ATTENTION_ROWS];
    float *out[ATTENTION_ROWS];
    float max[ATTENTION_ROWS], sum[ATTENTION_ROWS];
};

/* Numerics INT8 round q and p beside a binary16 cache, so that each product with it is exact. */
static bool attention_rounds(const struct sprat__step *step)
{
    return step->int8 && step->kv->shape.element_bytes == sizeof(uint16_t);
}

/* How many keys of the tile at first a query at position, which is not before it, sees. */
static size_t attention_visible(size_t first, size_t position)
{
    size_t n = position - first + 1;
    return n < SPRAT__KV_TILE ? n : SPRAT__KV_TILE;
}

static void attention_scores(const struct attention_job *job, const struct attention_block *block,
                             size_t first, float *scores)
{
    const struct sprat__step *step = job->step;
    size_t dim = step->model->config.key_dim;
    size_t n_keys = attention_visible(first, block->end - 1);
    const void *keys = sprat__kv_keys(step->kv, job->layer, block->kv_head, first);
    if (step->kv->shape.element_bytes == sizeof(float))
        step->kernels->attend_scores_f32(scores, block->q, block->n, keys, dim, n_keys, dim,
                                         job->scale);
    else
        step->kernels->attend_scores_f16(scores, block->q, block->n, keys, dim, n_keys, dim,
                                         job->scale);
}

/* Adds the tile of keys that begins at first, of which each query of the block sees one or more. */
static void attention_tile(const struct attention_job *job, struct attention_block *block,
                           size_t first)
{
    const struct sprat__step *step = job->step;
    const struct sprat__kernels *kernels = step->kernels;
    size_t dim = step->model->config.value_dim, n_keys[ATTENTION_ROWS];
    float scores[ATTENTION_ROWS * SPRAT__ATTEND_KEYS];
    float max[ATTENTION_ROWS], sum[ATTENTION_ROWS], old[ATTENTION_ROWS], new[ATTENTION_ROWS];
    bool is_first = first == 0;
    for (size_t i = 0; i < block->n; i++)
        n_keys[i] = attention_visible(first, block->position[i]);
    attention_scores(job, block, first, scores);
    kernels->attend_weights_f32(scores, n_keys, block->n,
                                attention_rounds(step) ? ATTENTION_BITS : 0,
                                is_first ? block->max : max, is_first ? block->sum : sum);
    if (!is_first)
        kernels->attend_combine_f32(block->max, block->sum, max, sum, old, new, block->n);
    bool is_latent = step->kv->shape.value_dim == 0; /* a value is the beginning of its key */
    const void *values = is_latent ? sprat__kv_keys(step->kv, job->layer, block->kv_head, first)
                                   : sprat__kv_values(step->kv, job->layer, block->kv_head, first);
    size_t stride = is_latent ? step->model->config.key_dim : dim;
    if (step->kv->shape.element_bytes == sizeof(float))
        kernels->attend_values_f32(block->out, is_first ? NULL : old, new, scores, n_keys, block->n,
                                   values, stride, dim);
    else
        kernels->attend_values_f16(block->out, is_first ? NULL : old, new, scores, n_keys, block->n,
                                   values, stride, dim);
}

/* The block of heads from head on, at the positions from that of row on that belong to it. Its
 * queries, which no other block has, are rounded. */
static void attention_fill(const struct attention_job *job, struct attention_block *block,
                           size_t head, size_t row)
{
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    size_t group = config->n_heads / config->n_kv_heads, left = group - head % group;
    size_t n_heads = left < job->n_heads ? left : job->n_heads;
    size_t end = (step->position + row) / job->n_positions * job->n_positions + job->n_positions;
    size_t row_end = end - step->position < step->n ? end - step->position : step->n;
    block->kv_head = (uint32_t)(head / group);
    block->end = step->position + row_end;
    block->n = 0;
    for (; row < row_end; row++) {
        for (size_t i = 0; i < n_heads; i++) {
            size_t at = row * config->n_heads + head + i;
            block->position[block->n] = step->position + row;
            float *q = step->q + at * config->key_dim;
            if (attention_rounds(step))
                step->kernels->round_f32(q, config->key_dim, ATTENTION_BITS);
            block->q[block->n] = q;
            block->out[block->n++] = step->attended + at * config->value_dim;
        }
    }
}

/* Blocks of positions end at multiples of their length, so that none lies on both sides of a
 * tile's end. */
static size_t attention_blocks(const struct attention_job *job)
{
    size_t first = job->step->position / job->n_positions;
    return (job->step->position + job->step->n - 1) / job->n_positions - first + 1;
}

/* Tile i: a block. The last ones, which see most, come first. */
static void attention_queries(void *argument, size_t i)
{
    const struct attention_job *job = argument;
    const struct sprat__step *step = job->step;
    const struct sprat__config *config = &step->model->config;
    size_t n_units = config->n_kv_heads * job->n_slices, unit = i % n_units;
    size_t group = config->n_heads / config->n_kv_heads;
    size_t index = attention_blocks(job) - 1 - i / n_units;
    size_t begin = (step->position / job->n_positions + index) * job->n_positions;
    struct attention_block block;
    attention_fill(job, &block, unit / job->n_slices * group + unit % job->n_slices * job->n_heads,
                   begin > step->position ? begin - step->position : 0);
    for (size_t first = 0; first < block.end; first += SPRAT__KV_TILE)
        attention_tile(job, &block, first);
    for (size_t j = 0; j < block.n; j++)
        step->kernels->scale_f32(block.out[j], 1.0f / block.sum[j], config->value_dim);
}

/* How heads and positions are cut into blocks of at most ATTENTION_ROWS. */
static void attention_cut(struct attention_job *job)
{
    const struct sprat__config *config = &job->step->model->config;
    size_t group = config->n_heads / config->n_kv_heads;
    job->n_slices = (group + ATTENTION_ROWS - 1) / ATTENTION_ROWS;
    job->n_heads = (group + job->n_slices - 1) / job->n_slices;
    job->n_slices = (group + job->n_heads - 1) / job->n_heads;
    job->n_positions = 1;
    while (2 * job->n_positions * job->n_heads <= ATTENTION_ROWS)
        job->n_positions *= 2;
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
    struct attention_job job = {.step = step, .layer = layer, .scale = config->attention_scale};
    attention_cut(&job);
    size_t n_blocks = attention_blocks(&job) * config->n_kv_heads * job.n_slices;
    return sprat__pool_run(step->pool, attention_queries, &job, n_blocks, step->cancel);
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
    struct attention_job job = {.step = step, .layer = layer, .scale = config->attention_scale};
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
