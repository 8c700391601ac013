/* How much a step of a model reads and computes: from its tensors, as the library binds them. */
#include "probe.h"

#include "engine/session.h"

#include <string.h>

void work_of(struct work *out, const sprat_session *session)
{
    const struct sprat__model *model = &session->model->model;
    const struct sprat__config *config = &model->config;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < model->gguf.n_tensors; i++) {
        const struct sprat__gguf_tensor *tensor = &model->gguf.tensors[i];
        if (!tensor->is_used || tensor->data == model->output.data ||
            tensor->data == model->embedding.data)
            continue;
        out->layer_bytes += tensor->bytes;
        if (tensor->n_dims > 1)
            out->layer_products += tensor->ne[0] * tensor->ne[1];
    }
    out->output_bytes = (uint64_t)model->output.row_bytes * model->output.n_rows;
    out->output_products = (uint64_t)model->output.n_cols * model->output.n_rows;
    uint64_t per_head = (uint64_t)config->key_dim + config->value_dim;
    out->kv_bytes = config->n_layers * config->n_kv_heads * per_head * session->shape.element_bytes;
    out->attention_products = config->n_layers * config->n_heads * per_head;
    out->chunk = (uint32_t)session->shape.n_chunk;
    out->int8 = session->shape.int8;
    out->kv_f32 = session->shape.element_bytes == sizeof(float);
}

/* The sum over n tokens after n_held others of how many each looks back to, itself included. */
static double pairs(uint64_t n_held, uint64_t n)
{
    return (double)n * (double)n_held + (double)n * (double)(n + 1) / 2;
}

struct traffic work_decode(const struct work *work, uint64_t n_held, uint64_t n)
{
    double seen = pairs(n_held, n);
    struct traffic traffic;
    traffic.operations = 2 * ((double)n * (double)(work->layer_products + work->output_products) +
                              seen * (double)work->attention_products);
    traffic.bytes = (double)n * (double)(work->layer_bytes + work->output_bytes) +
                    seen * (double)work->kv_bytes;
    return traffic;
}

struct traffic work_prefill(const struct work *work, uint64_t n_held, uint64_t n)
{
    struct traffic traffic = {0, (double)work->output_bytes};
    traffic.operations =
        2 * ((double)n * (double)work->layer_products + (double)work->output_products +
             pairs(n_held, n) * (double)work->attention_products);
    for (uint64_t at = 0; at < n; at += work->chunk) {
        uint64_t end = n - at < work->chunk ? n : at + work->chunk;
        traffic.bytes +=
            (double)work->layer_bytes + (double)(n_held + end) * (double)work->kv_bytes;
    }
    return traffic;
}
