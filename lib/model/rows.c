/* Owns what a step does row by row outside products: handing rows to the threads, vectors of
 * weights as floats, embeddings. Rows are independent, so how they are handed out changes nothing.
 */
#include "model/step.h"

/* Below so many floats a pass is over sooner than the threads would have come. */
enum { ROWS_ALONE_FLOATS = 16384 };

/* Rows of one hand-out. */
enum { ROWS_TOGETHER = 4 };

struct rows_job {
    void (*row)(void *argument, size_t i);
    void *argument;
    size_t n;
};

static void rows_tile(void *argument, size_t i)
{
    const struct rows_job *job = argument;
    size_t end = (i + 1) * ROWS_TOGETHER < job->n ? (i + 1) * ROWS_TOGETHER : job->n;
    for (size_t row = i * ROWS_TOGETHER; row < end; row++)
        job->row(job->argument, row);
}

sprat_status sprat__rows_of(struct sprat__step *step, size_t n,
                            void (*row)(void *argument, size_t i), void *argument, size_t width)
{
    if (n <= ROWS_ALONE_FLOATS / width) {
        for (size_t i = 0; i < n; i++)
            row(argument, i);
        return SPRAT_OK;
    }
    struct rows_job job = {row, argument, n};
    size_t n_tiles = (n + ROWS_TOGETHER - 1) / ROWS_TOGETHER;
    return sprat__pool_run(step->pool, rows_tile, &job, n_tiles, step->cancel);
}

sprat_status sprat__rows(struct sprat__step *step, void (*row)(void *argument, size_t i),
                         void *argument, size_t width)
{
    return sprat__rows_of(step, step->n, row, argument, width);
}

const float *sprat__step_vector(const struct sprat__step *step, const struct sprat__weight *weight,
                                float **scratch)
{
    if (!weight || !weight->data)
        return NULL;
    if (weight->type == SPRAT__F32 && (uintptr_t)weight->data % _Alignof(float) == 0)
        return (const float *)(const void *)weight->data;
    float *out = *scratch;
    step->kernels->dequant[weight->type](out, weight->data, weight->n_cols);
    *scratch += weight->n_cols;
    return out;
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
    size_t heads = 2 * (size_t)config->key_dim;
    size_t inner = config->n_embd + (biases > config->n_embd ? biases : config->n_embd);
    return inner > heads ? inner : heads;
}

size_t sprat__step_row_len(const struct sprat__model *model)
{
    const struct sprat__config *config = &model->config;
    size_t attended = (size_t)config->n_heads * config->value_dim;
    size_t fine = 2 * (size_t)config->n_embd;
    const struct sprat__mla *mla = &config->mla;
    const struct sprat__moe *moe = &config->moe;
    size_t widths[] = {attended,
                       fine,
                       config->n_ff,
                       mla->q_rank,
                       (size_t)config->n_heads * mla->nope_dim,
                       (size_t)config->n_heads * mla->value_dim,
                       (size_t)(moe->n_used + 1) * config->n_embd,
                       (size_t)(moe->n_used + moe->n_shared) * moe->n_ff};
    size_t widest = 0;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        widest = widths[i] > widest ? widths[i] : widest;
    return widest;
}
