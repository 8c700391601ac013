/* Owns products with many small matrices that lie in one tensor, each with rows of activations of
 * its own: the heads of latent attention, the experts of a mixture. All of them are prepared and
 * handed out together, so that a layer waits for the threads once and not once for each. Invariant:
 * a row's result depends on that row and its matrix alone. */
#include "model/step.h"

/* Rows of weights in a tile. */
enum { GROUPED_TILE_ROWS = 64 };

struct grouped_job {
    const struct sprat__step *step;
    const struct sprat__grouped *grouped;
    uint32_t forms;
    size_t n_k;
    size_t part_tiles;
};

static enum sprat__form grouped_form(const struct sprat__step *step, uint32_t type)
{
    return step->int8 ? sprat__form_of(type) : SPRAT__FORM_FLOAT;
}

/* The activations of one slot, in every form that the weights ask for. */
static void grouped_prepare(void *argument, size_t slot)
{
    const struct grouped_job *job = argument;
    const struct sprat__grouped *grouped = job->grouped;
    size_t row = grouped->rows ? grouped->rows[slot] : slot;
    const float *x = grouped->x + row * grouped->x_stride;
    for (enum sprat__form form = SPRAT__FORM_FLOAT; form < SPRAT__N_FORMS; form++) {
        if (job->forms >> form & 1)
            sprat__round_row(job->step, form, job->n_k, x, slot);
    }
}

static void grouped_multiply(const struct grouped_job *job, const struct sprat__weight *weight,
                             size_t part, size_t first, size_t n_rows, float *y)
{
    const struct sprat__step *step = job->step;
    const struct sprat__grouped *grouped = job->grouped;
    const struct sprat__dtype_info *info = sprat__dtype_info(weight->type);
    size_t slot = grouped->first[part], n = grouped->first[part + 1] - slot;
    const uint8_t *data = weight->data + (part * grouped->part_stride + first) * weight->row_bytes;
    enum sprat__form form = grouped_form(step, weight->type);
    if (form == SPRAT__FORM_32 || form == SPRAT__FORM_256) {
        struct sprat__acts acts = sprat__acts_from(step, form, job->n_k, slot);
        step->kernels->matmul_i8[weight->type](y, grouped->y_stride, data, weight->row_bytes,
                                               n_rows, &acts, n, job->n_k);
        return;
    }
    step->kernels->matmul_f32(y, grouped->y_stride, data, weight->row_bytes, info->block_bytes,
                              info->block_elements, step->kernels->dequant[weight->type], n_rows,
                              step->rounded[form] + slot * job->n_k, job->n_k, n, job->n_k);
}

static void grouped_tile(void *argument, size_t i)
{
    const struct grouped_job *job = argument;
    const struct sprat__grouped *grouped = job->grouped;
    size_t part = i / job->part_tiles, first = i % job->part_tiles * GROUPED_TILE_ROWS;
    size_t slot = grouped->first[part], n = grouped->first[part + 1] - slot;
    if (n == 0)
        return;
    size_t left = grouped->part_rows - first;
    size_t n_rows = left < GROUPED_TILE_ROWS ? left : GROUPED_TILE_ROWS;
    size_t at = (grouped->y_part ? part * grouped->y_part : slot * grouped->y_stride) + first;
    grouped_multiply(job, grouped->weight, part, first, n_rows, grouped->y + at);
    if (!grouped->factor)
        return;
    grouped_multiply(job, grouped->factor, part, first, n_rows, grouped->factor_y + at);
    for (size_t c = 0; c < n; c++)
        job->step->kernels->silu_mul_f32(grouped->y + at + c * grouped->y_stride,
                                         grouped->factor_y + at + c * grouped->y_stride, n_rows);
}

sprat_status sprat__grouped(struct sprat__step *step, const struct sprat__grouped *grouped)
{
    struct grouped_job job = {.step = step, .grouped = grouped, .n_k = grouped->weight->n_cols};
    job.forms = 1u << grouped_form(step, grouped->weight->type);
    if (grouped->factor)
        job.forms |= 1u << grouped_form(step, grouped->factor->type);
    job.part_tiles = (grouped->part_rows + GROUPED_TILE_ROWS - 1) / GROUPED_TILE_ROWS;
    SPRAT_TRY(sprat__pool_run(step->pool, grouped_prepare, &job, grouped->first[grouped->n_parts],
                              step->cancel));
    return sprat__pool_run(step->pool, grouped_tile, &job, grouped->n_parts * job.part_tiles,
                           step->cancel);
}
