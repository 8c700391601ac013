/* Owns products with weight matrices: how activations are prepared for them, how rows of weights
 * are cut into tiles, and what is done with a result while it is in cache. A tile is a range of the
 * weights' rows for all rows of the step, so that a weight is read once. Invariant: tiles cut rows,
 * never a sum, so neither their sizes nor the number of threads can change a bit. */
#include "model/step.h"

#include <string.h>

/* Tiles are made of units of so many rows: what the kernels compute side by side fits whole. */
enum { LINEAR_UNIT_ROWS = 32 };

/* A tile takes no less than about a microsecond, else handing it out costs more than it evens out,
 * and no more than some hundred, so that a cancelled step ends soon. */
enum { LINEAR_LEAST_BYTES = 24 * 1024, LINEAR_MOST_PRODUCTS = 32 * 1024 * 1024 };

enum sprat__form sprat__form_of(uint32_t type)
{
    if (type == SPRAT__F32 || type == SPRAT__NVFP4)
        return SPRAT__FORM_FLOAT;
    if (type == SPRAT__F16)
        return SPRAT__FORM_F16;
    if (type == SPRAT__BF16)
        return SPRAT__FORM_BF16;
    return sprat__dtype_info(type)->block_elements == 256 ? SPRAT__FORM_256 : SPRAT__FORM_32;
}

static enum sprat__form linear_form(const struct sprat__step *step,
                                    const struct sprat__weight *weight)
{
    return step->int8 ? sprat__form_of(weight->type) : SPRAT__FORM_FLOAT;
}

uint32_t sprat__step_forms(const struct sprat__model *model)
{
    uint32_t forms = 1u << sprat__form_of(model->output.type);
    for (uint32_t i = 0; i < model->config.n_layers; i++) {
        const struct sprat__layer *w = &model->layers[i];
        const struct sprat__weight *weights[] = {&w->q,
                                                 &w->k,
                                                 &w->v,
                                                 &w->o,
                                                 &w->gate,
                                                 &w->up,
                                                 &w->down,
                                                 &w->q_a,
                                                 &w->q_b,
                                                 &w->kv_a,
                                                 &w->kv_b,
                                                 &w->k_b,
                                                 &w->v_b,
                                                 &w->router,
                                                 &w->gate_experts,
                                                 &w->up_experts,
                                                 &w->down_experts,
                                                 &w->gate_shared,
                                                 &w->up_shared,
                                                 &w->down_shared};
        for (size_t j = 0; j < sizeof weights / sizeof *weights; j++)
            forms |= 1u << sprat__form_of(weights[j]->type);
    }
    return forms;
}

struct linear_job {
    const struct sprat__step *step;
    const struct sprat__input *in;
    const struct sprat__product *products;
    const float *bias[SPRAT__MAX_PRODUCTS];
    size_t n_products;
    const float *norm; /* the norm's weight; NULL: x goes in as it is */
    size_t n_k;        /* columns of every weight */
    /* Of the weights, as bits; of those of fine products, for which rows n to 2n - 1 of the
     * activations are the rest. */
    uint32_t forms, fine_forms;
    size_t n_units; /* of all products, one behind the other */
    struct sprat__cut cut;
};

/* ---- activations ----------------------------------------------------------------------------- */

struct sprat__acts sprat__acts_from(const struct sprat__step *step, enum sprat__form form,
                                    size_t n_k, size_t row)
{
    const struct sprat__acts *acts = &step->acts[form];
    size_t at = row * n_k, n_scales = at / (form == SPRAT__FORM_32 ? 32 : 256);
    return (struct sprat__acts){acts->q + at, acts->scale + n_scales, acts->sums + at / 16,
                                acts->shift + at / 32};
}

static void linear_quantize(const struct sprat__kernels *kernels, enum sprat__form form,
                            const struct sprat__acts *out, const float *x, size_t n)
{
    if (form == SPRAT__FORM_32)
        kernels->quantize_32(out->q, out->scale, out->sums, x, n);
    else
        kernels->quantize_256(out->q, out->scale, out->sums, out->shift, x, n);
}

void sprat__round_row(const struct sprat__step *step, enum sprat__form form, size_t n_k,
                      const float *x, size_t row)
{
    if (form == SPRAT__FORM_32 || form == SPRAT__FORM_256) {
        struct sprat__acts acts = sprat__acts_from(step, form, n_k, row);
        linear_quantize(step->kernels, form, &acts, x, n_k);
        return;
    }
    float *rounded = step->rounded[form] + row * n_k;
    memcpy(rounded, x, n_k * sizeof *x);
    if (form != SPRAT__FORM_FLOAT)
        step->kernels->round_f32(rounded, n_k, form == SPRAT__FORM_F16 ? 13 : 16);
}

/* What rounding left of row row is rounded like it, block by block. */
static void linear_quantize_rest(const struct linear_job *job, enum sprat__form form,
                                 const float *x, size_t row)
{
    enum { PART = 256 };
    const struct sprat__kernels *kernels = job->step->kernels;
    struct sprat__acts acts = sprat__acts_from(job->step, form, job->n_k, row);
    struct sprat__acts rest = sprat__acts_from(job->step, form, job->n_k, job->step->n + row);
    size_t n_block = form == SPRAT__FORM_32 ? 32 : 256;
    for (size_t i = 0; i < job->n_k; i += PART) {
        float left[PART];
        size_t n = job->n_k - i < PART ? job->n_k - i : PART;
        const int8_t *q = acts.q + i;
        const float *scale = acts.scale + i / n_block;
        if (form == SPRAT__FORM_32)
            kernels->rest_32(left, x + i, q, scale, n);
        else
            kernels->rest_256(left, x + i, q, scale, acts.shift + i / 32, n);
        const struct sprat__acts part = {rest.q + i, rest.scale + i / n_block, rest.sums + i / 16,
                                         rest.shift + i / 32};
        linear_quantize(kernels, form, &part, left, n);
    }
}

/* One row of what goes in: its norm, then every rounding that the weights ask for. */
static void linear_prepare(void *argument, size_t row)
{
    const struct linear_job *job = argument;
    const struct sprat__input *in = job->in;
    const float *x = in->x + row * in->x_stride;
    if (job->norm) {
        float *normed = in->normed + row * job->n_k;
        job->step->kernels->rms_norm_f32(normed, x, job->norm, job->n_k,
                                         job->step->model->config.epsilon);
        x = normed;
    }
    for (enum sprat__form form = SPRAT__FORM_FLOAT + 1; form < SPRAT__N_FORMS; form++) {
        if (!(job->forms >> form & 1))
            continue;
        sprat__round_row(job->step, form, job->n_k, x, row);
        if (job->fine_forms >> form & 1 && (form == SPRAT__FORM_32 || form == SPRAT__FORM_256))
            linear_quantize_rest(job, form, x, row);
    }
}

/* ---- tiles ----------------------------------------------------------------------------------- */

static size_t linear_units(const struct sprat__product *product)
{
    return (product->weight->n_rows + LINEAR_UNIT_ROWS - 1) / LINEAR_UNIT_ROWS;
}

/* Tiles of a microsecond to some hundred, by what a unit of the first weight takes. */
static void linear_cut(struct linear_job *job)
{
    const struct sprat__weight *weight = job->products[0].weight;
    size_t n_threads = sprat__pool_at_once(job->step->pool);
    size_t unit_bytes = LINEAR_UNIT_ROWS * weight->row_bytes * job->step->n;
    size_t unit_products = LINEAR_UNIT_ROWS * weight->n_cols * job->step->n;
    size_t least = LINEAR_LEAST_BYTES / unit_bytes, most = LINEAR_MOST_PRODUCTS / unit_products;
    sprat__cut_units(&job->cut, job->n_units, least ? least : 1, most ? most : 1, n_threads);
}

static void linear_multiply(const struct linear_job *job, const struct sprat__weight *weight,
                            float *y, size_t y_stride, size_t first, size_t n_rows)
{
    const struct sprat__step *step = job->step;
    const struct sprat__dtype_info *info = sprat__dtype_info(weight->type);
    const uint8_t *data = weight->data + first * weight->row_bytes;
    enum sprat__form form = linear_form(step, weight);
    if (form == SPRAT__FORM_32 || form == SPRAT__FORM_256) {
        step->kernels->matmul_i8[weight->type](y + first, y_stride, data, weight->row_bytes, n_rows,
                                               &step->acts[form], step->n, job->n_k);
        return;
    }
    const float *x = job->norm ? job->in->normed : job->in->x;
    size_t x_stride = job->norm ? job->n_k : job->in->x_stride;
    if (form != SPRAT__FORM_FLOAT) {
        x = step->rounded[form];
        x_stride = job->n_k;
    }
    step->kernels->matmul_f32(y + first, y_stride, data, weight->row_bytes, info->block_bytes,
                              info->block_elements, step->kernels->dequant[weight->type], n_rows, x,
                              x_stride, step->n, job->n_k);
}

/* The same for a fine product in integers: with what rounding left of the activations too. For few
 * rows of activations both products are one, for more the rest follows in parts. */
static void linear_multiply_fine(const struct linear_job *job, const struct sprat__weight *weight,
                                 float *y, size_t y_stride, size_t first, size_t n_rows)
{
    enum { FLOATS = 2048 };
    const struct sprat__kernels *kernels = job->step->kernels;
    sprat__matmul_i8_fn *matmul = kernels->matmul_i8[weight->type];
    enum sprat__form form = linear_form(job->step, weight);
    size_t n = job->step->n, end = first + n_rows;
    float part[FLOATS];
    if (2 * n * LINEAR_UNIT_ROWS <= FLOATS) {
        size_t most = FLOATS / (2 * n) / LINEAR_UNIT_ROWS * LINEAR_UNIT_ROWS;
        for (size_t row = first; row < end; row += most) {
            size_t rows = end - row < most ? end - row : most;
            matmul(part, rows, weight->data + row * weight->row_bytes, weight->row_bytes, rows,
                   &job->step->acts[form], 2 * n, job->n_k);
            for (size_t c = 0; c < n; c++) {
                memcpy(y + c * y_stride + row, part + c * rows, rows * sizeof *y);
                kernels->add_f32(y + c * y_stride + row, part + (n + c) * rows, rows);
            }
        }
        return;
    }
    linear_multiply(job, weight, y, y_stride, first, n_rows);
    for (size_t row = first; row < end; row += LINEAR_UNIT_ROWS) {
        size_t rows = end - row < LINEAR_UNIT_ROWS ? end - row : LINEAR_UNIT_ROWS;
        for (size_t c = 0; c < n; c += FLOATS / LINEAR_UNIT_ROWS) {
            size_t most = FLOATS / LINEAR_UNIT_ROWS;
            size_t n_columns = n - c < most ? n - c : most;
            struct sprat__acts rest = sprat__acts_from(job->step, form, job->n_k, n + c);
            matmul(part, rows, weight->data + row * weight->row_bytes, weight->row_bytes, rows,
                   &rest, n_columns, job->n_k);
            for (size_t i = 0; i < n_columns; i++)
                kernels->add_f32(y + (c + i) * y_stride + row, part + i * rows, rows);
        }
    }
}

/* Rows of one product, and what follows while they are in cache. */
static void linear_rows(const struct linear_job *job, size_t which, size_t first, size_t n_rows)
{
    const struct sprat__kernels *kernels = job->step->kernels;
    const struct sprat__product *product = &job->products[which];
    enum sprat__form form = linear_form(job->step, product->weight);
    if (product->fine && (form == SPRAT__FORM_32 || form == SPRAT__FORM_256))
        linear_multiply_fine(job, product->weight, product->y, product->y_stride, first, n_rows);
    else
        linear_multiply(job, product->weight, product->y, product->y_stride, first, n_rows);
    if (product->factor)
        linear_multiply(job, product->factor, product->factor_y, product->y_stride, first, n_rows);
    for (size_t row = 0; row < job->step->n; row++) {
        size_t at = row * product->y_stride + first;
        if (job->bias[which])
            kernels->add_f32(product->y + at, job->bias[which] + first, n_rows);
        if (product->factor)
            kernels->silu_mul_f32(product->y + at, product->factor_y + at, n_rows);
        if (product->sum)
            kernels->add_f32(product->sum + at, product->y + at, n_rows);
    }
}

static void linear_tile(void *argument, size_t i)
{
    const struct linear_job *job = argument;
    size_t size, first = sprat__cut_tile(&job->cut, i, &size);
    size_t end = first + size;
    for (size_t which = 0; which < job->n_products; which++) {
        size_t n_units = linear_units(&job->products[which]);
        if (first < n_units) {
            size_t row = first * LINEAR_UNIT_ROWS;
            size_t row_end = (end < n_units ? end : n_units) * LINEAR_UNIT_ROWS;
            size_t n_rows = job->products[which].weight->n_rows;
            linear_rows(job, which, row, (row_end < n_rows ? row_end : n_rows) - row);
        }
        if (end <= n_units)
            return;
        first = first > n_units ? first - n_units : 0;
        end -= n_units;
    }
}

sprat_status sprat__linear(struct sprat__step *step, const struct sprat__input *in,
                           const struct sprat__product *products, size_t n_products)
{
    SPRAT_ASSERT(n_products >= 1 && n_products <= SPRAT__MAX_PRODUCTS);
    struct linear_job job = {.step = step, .in = in, .products = products};
    float *vector = step->vector;
    job.norm = sprat__step_vector(step, in->norm, &vector);
    job.n_k = products[0].weight->n_cols;
    for (size_t i = 0; i < n_products; i++) {
        const struct sprat__product *product = &products[i];
        job.bias[i] = sprat__step_vector(step, product->bias, &vector);
        job.forms |= 1u << linear_form(step, product->weight);
        if (product->fine)
            job.fine_forms |= 1u << linear_form(step, product->weight);
        if (product->factor)
            job.forms |= 1u << linear_form(step, product->factor);
        job.n_units += linear_units(product);
    }
    job.n_products = n_products;
    if (job.norm || job.forms != 1u << SPRAT__FORM_FLOAT)
        SPRAT_TRY(sprat__rows(step, linear_prepare, &job, job.n_k));
    linear_cut(&job);
    return sprat__pool_run(step->pool, linear_tile, &job, job.cut.n_tiles, step->cancel);
}
