/* Owns the parts of a step that go row by row: products with a weight matrix, norms, the residual
 * sum, the embedding. A tile of a product is a range of the weight's rows for all rows of the step,
 * so that a weight is read once. */
#include "model/step.h"

#include <string.h>

/* Rows of a weight that one tile computes: small enough for an even share, big enough to be worth a
 * hand-out. */
enum { LINEAR_TILE_ROWS = 32 };

static const float *linear_unpack(const struct sprat__step *step,
                                  const struct sprat__weight *weight, float *out)
{
    step->kernels->dequant[weight->type](out, weight->data, weight->n_cols);
    return out;
}

/* What a product's weights ask of the activations. */
enum linear_form { LINEAR_FLOAT, LINEAR_HALF, LINEAR_BFLOAT, LINEAR_32, LINEAR_256 };

static enum linear_form linear_form(const struct sprat__step *step, uint32_t type)
{
    if (!step->int8)
        return LINEAR_FLOAT;
    if (type == SPRAT__F16)
        return LINEAR_HALF;
    if (type == SPRAT__BF16)
        return LINEAR_BFLOAT;
    if (!step->kernels->matmul_i8[type])
        return LINEAR_FLOAT;
    return sprat__dtype_info(type)->block_elements == 256 ? LINEAR_256 : LINEAR_32;
}

struct linear_job {
    const struct sprat__step *step;
    enum linear_form form;
    const struct sprat__product *products[SPRAT__MAX_PRODUCTS];
    const float *bias[SPRAT__MAX_PRODUCTS];
    size_t n_products;
    const float *x;
    size_t x_stride, n_k;
    bool is_fine; /* of some product: rows n to 2n - 1 of the activations are the rest */
};

/* The activations from row on. */
static struct sprat__acts linear_acts(const struct linear_job *job, size_t row)
{
    const struct sprat__acts *acts = &job->step->acts;
    size_t at = row * job->n_k;
    size_t n_scales = at / (job->form == LINEAR_32 ? 32 : 256);
    return (struct sprat__acts){acts->q + at, acts->scale + n_scales, acts->sums + at / 16,
                                acts->shift + at / 32};
}

static void linear_quantize(const struct linear_job *job, const struct sprat__acts *out,
                            const float *x, size_t n)
{
    const struct sprat__kernels *kernels = job->step->kernels;
    if (job->form == LINEAR_32)
        kernels->quantize_32(out->q, out->scale, out->sums, x, n);
    else
        kernels->quantize_256(out->q, out->scale, out->sums, out->shift, x, n);
}

/* What rounding left of row row is rounded like it, block by block. */
static void linear_quantize_rest(const struct linear_job *job, size_t row)
{
    enum { PART = 256 };
    const struct sprat__kernels *kernels = job->step->kernels;
    struct sprat__acts acts = linear_acts(job, row), rest = linear_acts(job, job->step->n + row);
    size_t n_block = job->form == LINEAR_32 ? 32 : 256;
    for (size_t i = 0; i < job->n_k; i += PART) {
        float left[PART];
        const float *x = job->x + row * job->x_stride + i;
        size_t n = job->n_k - i < PART ? job->n_k - i : PART;
        const int8_t *q = acts.q + i;
        const float *scale = acts.scale + i / n_block;
        if (job->form == LINEAR_32)
            kernels->rest_32(left, x, q, scale, n);
        else
            kernels->rest_256(left, x, q, scale, acts.shift + i / 32, n);
        const struct sprat__acts part = {rest.q + i, rest.scale + i / n_block, rest.sums + i / 16,
                                         rest.shift + i / 32};
        linear_quantize(job, &part, left, n);
    }
}

/* Row row of the activations, rounded as the form asks. */
static void linear_round(void *argument, size_t row)
{
    const struct linear_job *job = argument;
    const float *x = job->x + row * job->x_stride;
    if (job->form == LINEAR_32 || job->form == LINEAR_256) {
        struct sprat__acts acts = linear_acts(job, row);
        linear_quantize(job, &acts, x, job->n_k);
        if (job->is_fine)
            linear_quantize_rest(job, row);
    } else {
        float *rounded = job->step->rounded + row * job->n_k;
        memcpy(rounded, x, job->n_k * sizeof *x);
        job->step->kernels->round_f32(rounded, job->n_k, job->form == LINEAR_HALF ? 13 : 16);
    }
}

static size_t linear_tiles(const struct sprat__product *product)
{
    return (product->weight->n_rows + LINEAR_TILE_ROWS - 1) / LINEAR_TILE_ROWS;
}

/* y += the product of the same rows with what rounding left of the activations. */
static void linear_rows_rest(const struct linear_job *job, const struct sprat__product *product,
                             size_t first, size_t n_rows)
{
    enum { COLUMNS = 2048 / LINEAR_TILE_ROWS };
    const struct sprat__step *step = job->step;
    const struct sprat__weight *weight = product->weight;
    float part[COLUMNS * LINEAR_TILE_ROWS];
    for (size_t row = 0; row < step->n; row += COLUMNS) {
        size_t n = step->n - row < COLUMNS ? step->n - row : COLUMNS;
        struct sprat__acts rest = linear_acts(job, step->n + row);
        step->kernels->matmul_i8[weight->type](part, LINEAR_TILE_ROWS,
                                               weight->data + first * weight->row_bytes,
                                               weight->row_bytes, n_rows, &rest, n, job->n_k);
        for (size_t c = 0; c < n; c++)
            step->kernels->add_f32(product->y + (row + c) * product->y_stride + first,
                                   part + c * LINEAR_TILE_ROWS, n_rows);
    }
}

static void linear_rows(const struct linear_job *job, const struct sprat__product *product,
                        const float *bias, size_t first, size_t n_rows)
{
    const struct sprat__step *step = job->step;
    const struct sprat__weight *weight = product->weight;
    const struct sprat__dtype_info *info = sprat__dtype_info(weight->type);
    const uint8_t *data = weight->data + first * weight->row_bytes;
    bool rounded = job->form == LINEAR_HALF || job->form == LINEAR_BFLOAT;
    if (job->form == LINEAR_32 || job->form == LINEAR_256) {
        step->kernels->matmul_i8[weight->type](product->y + first, product->y_stride, data,
                                               weight->row_bytes, n_rows, &step->acts, step->n,
                                               job->n_k);
        if (product->fine)
            linear_rows_rest(job, product, first, n_rows);
    } else {
        step->kernels->matmul_f32(product->y + first, product->y_stride, data, weight->row_bytes,
                                  info->block_bytes, info->block_elements,
                                  step->kernels->dequant[weight->type], n_rows,
                                  rounded ? step->rounded : job->x,
                                  rounded ? job->n_k : job->x_stride, step->n, job->n_k);
    }
    for (size_t row = 0; bias && row < step->n; row++)
        step->kernels->add_f32(product->y + row * product->y_stride + first, bias + first, n_rows);
}

static void linear_tile(void *argument, size_t i)
{
    const struct linear_job *job = argument;
    size_t which = 0;
    while (i >= linear_tiles(job->products[which]))
        i -= linear_tiles(job->products[which++]);
    size_t first = i * LINEAR_TILE_ROWS;
    size_t left = job->products[which]->weight->n_rows - first;
    linear_rows(job, job->products[which], job->bias[which], first,
                left < LINEAR_TILE_ROWS ? left : LINEAR_TILE_ROWS);
}

sprat_status sprat__linear(struct sprat__step *step, const struct sprat__product *products,
                           size_t n_products, const float *x, size_t x_stride)
{
    SPRAT_ASSERT(n_products <= SPRAT__MAX_PRODUCTS);
    for (enum linear_form form = LINEAR_FLOAT; form <= LINEAR_256; form++) {
        struct linear_job job = {.step = step, .form = form, .x = x, .x_stride = x_stride};
        float *vector = step->vector;
        size_t n_tiles = 0;
        for (size_t i = 0; i < n_products; i++) {
            const struct sprat__product *product = &products[i];
            if (linear_form(step, product->weight->type) != form)
                continue;
            if (product->bias && product->bias->data) {
                job.bias[job.n_products] = linear_unpack(step, product->bias, vector);
                vector += product->bias->n_cols;
            }
            job.products[job.n_products++] = product;
            job.n_k = product->weight->n_cols;
            job.is_fine |= product->fine;
            n_tiles += linear_tiles(product);
        }
        if (n_tiles == 0)
            continue;
        if (form != LINEAR_FLOAT)
            SPRAT_TRY(sprat__pool_run(step->pool, linear_round, &job, step->n, step->cancel));
        SPRAT_TRY(sprat__pool_run(step->pool, linear_tile, &job, n_tiles, step->cancel));
    }
    return SPRAT_OK;
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
    struct norm_job job = {
        step, linear_unpack(step, weight, step->vector), in, out, n_parts, weight->n_cols};
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
    size_t biases = (size_t)(config->n_heads + config->n_kv_heads) * config->key_dim +
                    (size_t)config->n_kv_heads * config->value_dim;
    return biases > config->n_embd ? biases : config->n_embd;
}

size_t sprat__step_row_len(const struct sprat__model *model)
{
    const struct sprat__config *config = &model->config;
    size_t attended = (size_t)config->n_heads * config->value_dim;
    size_t widest =
        2 * (size_t)config->n_embd > config->n_ff ? 2 * (size_t)config->n_embd : config->n_ff;
    return attended > widest ? attended : widest;
}
