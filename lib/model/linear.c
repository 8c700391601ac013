/* Owns the parts of a step that go row by row: products with a weight matrix, norms, the residual
 * sum, the embedding. A tile of a product is a range of the weight's rows for all rows of the step,
 * so that a weight is read once. */
#include "model/step.h"

#include <string.h>

/* Rows of a weight that one tile computes: small enough for an even share, big enough to be worth a
 * hand-out. */
enum { LINEAR_TILE_ROWS = 32 };

static const float *linear_unpack(const struct sprat__step *step,
                                  const struct sprat__weight *weight)
{
    step->kernels->dequant[weight->type](step->vector, weight->data, weight->n_cols);
    return step->vector;
}

struct linear_job {
    const struct sprat__step *step;
    const struct sprat__weight *weight;
    const float *bias;
    const float *x;
    float *y;
    size_t x_stride, y_stride;
};

static void linear_tile(void *argument, size_t i)
{
    const struct linear_job *job = argument;
    const struct sprat__weight *weight = job->weight;
    const struct sprat__dtype_info *info = sprat__dtype_info(weight->type);
    size_t first = i * LINEAR_TILE_ROWS;
    size_t left = weight->n_rows - first;
    size_t n_rows = left < LINEAR_TILE_ROWS ? left : LINEAR_TILE_ROWS;
    job->step->kernels->matmul_f32(
        job->y + first, job->y_stride, weight->data + first * weight->row_bytes, weight->row_bytes,
        info->block_bytes, info->block_elements, job->step->kernels->dequant[weight->type], n_rows,
        job->x, job->x_stride, job->step->n, weight->n_cols);
    if (job->bias) {
        for (size_t row = 0; row < job->step->n; row++)
            job->step->kernels->add_f32(job->y + row * job->y_stride + first, job->bias + first,
                                        n_rows);
    }
}

sprat_status sprat__linear(struct sprat__step *step, const struct sprat__weight *weight,
                           const struct sprat__weight *bias, const float *x, size_t x_stride,
                           float *y, size_t y_stride)
{
    struct linear_job job = {.step = step,
                             .weight = weight,
                             .bias = bias && bias->data ? linear_unpack(step, bias) : NULL,
                             .x = x,
                             .y = y,
                             .x_stride = x_stride,
                             .y_stride = y_stride};
    size_t n_tiles = (weight->n_rows + LINEAR_TILE_ROWS - 1) / LINEAR_TILE_ROWS;
    return sprat__pool_run(step->pool, linear_tile, &job, n_tiles, step->cancel);
}

struct norm_job {
    const struct sprat__step *step;
    const float *weight, *in;
    float *out;
    size_t n_parts, width;
};

static void norm_tile(void *argument, size_t row)
{
    const struct norm_job *job = argument;
    for (size_t part = 0; part < job->n_parts; part++) {
        size_t at = (row * job->n_parts + part) * job->width;
        job->step->kernels->rms_norm_f32(job->out + at, job->in + at, job->weight, job->width,
                                         job->step->model->config.epsilon);
    }
}

sprat_status sprat__norm(struct sprat__step *step, const struct sprat__weight *weight,
                         const float *in, float *out, size_t n_parts)
{
    struct norm_job job = {step, linear_unpack(step, weight), in, out, n_parts, weight->n_cols};
    return sprat__pool_run(step->pool, norm_tile, &job, step->n, step->cancel);
}

struct residual_job {
    const struct sprat__step *step;
    const float *y;
};

static void residual_tile(void *argument, size_t row)
{
    const struct residual_job *job = argument;
    size_t width = job->step->model->config.n_embd;
    job->step->kernels->add_f32(job->step->x + row * width, job->y + row * width, width);
}

sprat_status sprat__residual(struct sprat__step *step, const float *y)
{
    struct residual_job job = {step, y};
    return sprat__pool_run(step->pool, residual_tile, &job, step->n, step->cancel);
}

void sprat__embed(struct sprat__step *step, const sprat_token *tokens)
{
    const struct sprat__weight *embedding = &step->model->embedding;
    for (size_t row = 0; row < step->n; row++) {
        const uint8_t *data = embedding->data + (size_t)tokens[row] * embedding->row_bytes;
        step->kernels->dequant[embedding->type](step->x + row * embedding->n_cols, data,
                                                embedding->n_cols);
    }
}

size_t sprat__step_vector_len(const struct sprat__model *model)
{
    const struct sprat__config *config = &model->config;
    size_t widest = config->n_embd;
    size_t queries = (size_t)config->n_heads * config->key_dim;
    size_t values = (size_t)config->n_kv_heads * config->value_dim;
    widest = queries > widest ? queries : widest;
    return values > widest ? values : widest;
}
