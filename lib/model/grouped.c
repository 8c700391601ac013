/* Owns products with many small matrices that lie in one tensor, each with rows of activations of
 * its own: the heads of latent attention, the experts of a mixture. All of them, and experts that
 * every row goes to, are handed out together, so that a layer waits for the threads once and not
 * once for each. Invariant: a row's result depends on that row and its matrix alone. */
#include "model/step.h"

#include <string.h>

/* Tiles are made of units of so many rows of weights, across matrices. */
enum { GROUPED_UNIT_ROWS = 32 };

/* A tile takes no less than a few microseconds, for what is read ahead at its end belongs to
 * another, and no more than some hundred, so that a cancelled step ends soon. */
enum { GROUPED_LEAST_BYTES = 64 * 1024, GROUPED_MOST_PRODUCTS = 32 * 1024 * 1024 };

/* One group of the call, and where its activations are. */
struct grouped_part {
    const struct sprat__grouped *grouped;
    const struct grouped_part *like;
    size_t n_k;
    size_t base;    /* its first row among rows of n_k activations */
    size_t n_slots; /* rounded here: none where there is one row, and another group has it */
    uint32_t forms; /* as bits; those of the groups that are like it too */
};

struct grouped_job {
    const struct sprat__step *step;
    struct grouped_part parts[SPRAT__MAX_GROUPED];
    size_t n_groups;
    struct sprat__cut cut;
};

static enum sprat__form grouped_form(const struct sprat__step *step, uint32_t type)
{
    return step->int8 ? sprat__form_of(type) : SPRAT__FORM_FLOAT;
}

/* ---- activations ----------------------------------------------------------------------------- */

/* Slot i of all groups that round their own. */
static void grouped_round(void *argument, size_t i)
{
    const struct grouped_job *job = argument;
    const struct grouped_part *part = job->parts;
    for (; part->like || i >= part->n_slots; part++)
        i -= part->like ? 0 : part->n_slots;
    const struct sprat__grouped *grouped = part->grouped;
    size_t row = grouped->rows ? grouped->rows[i] : i;
    for (enum sprat__form form = SPRAT__FORM_FLOAT; form < SPRAT__N_FORMS; form++) {
        if (part->forms >> form & 1)
            sprat__round_row(job->step, form, part->n_k, grouped->x + row * grouped->x_stride,
                             part->base + i);
    }
}

static void grouped_copy_row(const struct sprat__step *step, enum sprat__form form, size_t n_k,
                             size_t to, size_t from)
{
    if (form != SPRAT__FORM_32 && form != SPRAT__FORM_256) {
        memcpy(step->rounded[form] + to * n_k, step->rounded[form] + from * n_k,
               n_k * sizeof(float));
        return;
    }
    struct sprat__acts out = sprat__acts_from(step, form, n_k, to);
    struct sprat__acts in = sprat__acts_from(step, form, n_k, from);
    memcpy(out.q, in.q, n_k);
    memcpy(out.scale, in.scale, n_k / (form == SPRAT__FORM_32 ? 32 : 256) * sizeof *out.scale);
    memcpy(out.sums, in.sums, n_k / 16 * sizeof *out.sums);
    if (form == SPRAT__FORM_256)
        memcpy(out.shift, in.shift, n_k / 32);
}

/* Slot i of all groups that take theirs from another. */
static void grouped_copy(void *argument, size_t i)
{
    const struct grouped_job *job = argument;
    const struct grouped_part *part = job->parts;
    for (; !part->like || i >= part->n_slots; part++)
        i -= part->like ? part->n_slots : 0;
    size_t row = part->grouped->rows ? part->grouped->rows[i] : i;
    for (enum sprat__form form = SPRAT__FORM_FLOAT; form < SPRAT__N_FORMS; form++) {
        if (part->forms >> form & 1)
            grouped_copy_row(job->step, form, part->n_k, part->base + i, part->like->base + row);
    }
}

/* The group's place among the activations, behind those before it. */
static void grouped_place(struct grouped_job *job, const struct sprat__grouped *groups, size_t g)
{
    const struct sprat__step *step = job->step;
    const struct sprat__grouped *grouped = &groups[g];
    struct grouped_part *part = &job->parts[g];
    part->grouped = grouped;
    part->n_k = grouped->weight->n_cols;
    part->n_slots = grouped->first[grouped->n_parts];
    part->forms = 1u << grouped_form(step, grouped->weight->type);
    if (grouped->factor)
        part->forms |= 1u << grouped_form(step, grouped->factor->type);
    if (g > 0) {
        size_t used = (job->parts[g - 1].base + job->parts[g - 1].n_slots) * job->parts[g - 1].n_k;
        SPRAT_ASSERT(used % part->n_k == 0);
        part->base = used / part->n_k;
    }
    if (!grouped->like)
        return;
    struct grouped_part *like = &job->parts[grouped->like - groups];
    like->forms |= part->forms;
    part->like = like;
    if (like->n_slots == 1) { /* where each matrix has one slot at most, nothing is gathered */
        part->base = like->base;
        part->n_slots = 0;
    }
}

static sprat_status grouped_prepare(struct sprat__step *step, struct grouped_job *job)
{
    size_t n_rounded = 0, n_copied = 0, width = 0;
    for (size_t g = 0; g < job->n_groups; g++) {
        const struct grouped_part *part = &job->parts[g];
        *(part->like ? &n_copied : &n_rounded) += part->n_slots;
        width = width > part->n_k ? width : part->n_k;
    }
    SPRAT_TRY(sprat__rows_of(step, n_rounded, grouped_round, job, width));
    return sprat__rows_of(step, n_copied, grouped_copy, job, width);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Some rows of one matrix, for the slots of its part. */
static void grouped_multiply(const struct grouped_job *job, const struct grouped_part *part,
                             const struct sprat__weight *weight, size_t p, size_t first,
                             size_t n_rows, float *y)
{
    const struct sprat__step *step = job->step;
    const struct sprat__grouped *grouped = part->grouped;
    const struct sprat__dtype_info *info = sprat__dtype_info(weight->type);
    size_t slot = part->n_slots ? part->base + grouped->first[p] : part->base;
    size_t n = grouped->first[p + 1] - grouped->first[p], n_k = part->n_k;
    const uint8_t *data = weight->data + (p * grouped->part_stride + first) * weight->row_bytes;
    enum sprat__form form = grouped_form(step, weight->type);
    if (form == SPRAT__FORM_32 || form == SPRAT__FORM_256) {
        struct sprat__acts acts = sprat__acts_from(step, form, n_k, slot);
        step->kernels->matmul_i8[weight->type](y, grouped->y_stride, data, weight->row_bytes,
                                               n_rows, &acts, n, n_k);
        return;
    }
    step->kernels->matmul_f32(y, grouped->y_stride, data, weight->row_bytes, info->block_bytes,
                              info->block_elements, step->kernels->dequant[weight->type], n_rows,
                              step->rounded[form] + slot * n_k, n_k, n, n_k);
}

static void grouped_rows(const struct grouped_job *job, const struct grouped_part *part, size_t p,
                         size_t first, size_t n_rows)
{
    const struct sprat__grouped *grouped = part->grouped;
    size_t slot = grouped->first[p], n = grouped->first[p + 1] - slot;
    size_t at = (grouped->y_part ? p * grouped->y_part : slot * grouped->y_stride) + first;
    grouped_multiply(job, part, grouped->weight, p, first, n_rows, grouped->y + at);
    if (!grouped->factor)
        return;
    grouped_multiply(job, part, grouped->factor, p, first, n_rows, grouped->factor_y + at);
    for (size_t c = 0; c < n; c++)
        job->step->kernels->silu_mul_f32(grouped->y + at + c * grouped->y_stride,
                                         grouped->factor_y + at + c * grouped->y_stride, n_rows);
}

static size_t grouped_units(const struct sprat__grouped *grouped)
{
    return (grouped->part_rows + GROUPED_UNIT_ROWS - 1) / GROUPED_UNIT_ROWS;
}

/* Units lie one behind the other: group by group, in it matrix by matrix; those without slots have
 * none. */
static void grouped_tile(void *argument, size_t i)
{
    const struct grouped_job *job = argument;
    size_t size, first = sprat__cut_tile(&job->cut, i, &size), end = first + size;
    for (size_t g = 0; g < job->n_groups; g++) {
        const struct grouped_part *part = &job->parts[g];
        const struct sprat__grouped *grouped = part->grouped;
        size_t n_units = grouped_units(grouped);
        for (size_t p = 0; p < grouped->n_parts; p++) {
            if (grouped->first[p] == grouped->first[p + 1])
                continue;
            if (first < n_units) {
                size_t row = first * GROUPED_UNIT_ROWS;
                size_t row_end = (end < n_units ? end : n_units) * GROUPED_UNIT_ROWS;
                row_end = row_end < grouped->part_rows ? row_end : grouped->part_rows;
                grouped_rows(job, part, p, row, row_end - row);
            }
            if (end <= n_units)
                return;
            first = first > n_units ? first - n_units : 0;
            end -= n_units;
        }
    }
}

/* Tiles by what a unit takes in the mean. */
static void grouped_cut(struct grouped_job *job)
{
    size_t n_units = 0, bytes = 0, products = 0;
    for (size_t g = 0; g < job->n_groups; g++) {
        const struct sprat__grouped *grouped = job->parts[g].grouped;
        size_t n_used = 0, n_slots = grouped->first[grouped->n_parts];
        for (size_t p = 0; p < grouped->n_parts; p++)
            n_used += grouped->first[p] < grouped->first[p + 1];
        size_t n_matrices = grouped->factor ? 2 : 1;
        n_units += n_used * grouped_units(grouped);
        bytes += n_slots * n_matrices * grouped->part_rows * grouped->weight->row_bytes;
        products += n_slots * n_matrices * grouped->part_rows * grouped->weight->n_cols;
    }
    size_t least = GROUPED_LEAST_BYTES / (bytes / n_units + 1);
    size_t most = GROUPED_MOST_PRODUCTS / (products / n_units + 1);
    sprat__cut_units(&job->cut, n_units, least ? least : 1, most ? most : 1,
                     sprat__pool_at_once(job->step->pool));
}

sprat_status sprat__grouped(struct sprat__step *step, const struct sprat__grouped *groups,
                            size_t n_groups)
{
    SPRAT_ASSERT(n_groups >= 1 && n_groups <= SPRAT__MAX_GROUPED);
    struct grouped_job job = {.step = step, .n_groups = n_groups};
    for (size_t g = 0; g < n_groups; g++)
        grouped_place(&job, groups, g);
    SPRAT_TRY(grouped_prepare(step, &job));
    grouped_cut(&job);
    return sprat__pool_run(step->pool, grouped_tile, &job, job.cut.n_tiles, step->cancel);
}
