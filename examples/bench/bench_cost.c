/* How much a step of a model reads and computes: from its tensors, as the library binds them. */
#include "probe.h"

#include "engine/session.h"

#include <string.h>

/* Whether the model computes with the tensor in its layers: not one of a layer behind the last. */
static bool is_of_layers(const struct sprat__model *model, const struct sprat__gguf_tensor *tensor)
{
    uint32_t layer = 0;
    if (!tensor->is_used || tensor->data == model->output.data ||
        tensor->data == model->embedding.data)
        return false;
    if (tensor->name_len < 4 || memcmp(tensor->name, "blk.", 4) != 0)
        return true;
    for (uint16_t i = 4; i < tensor->name_len; i++) {
        if (tensor->name[i] < '0' || tensor->name[i] > '9')
            break;
        layer = layer * 10 + (uint32_t)(tensor->name[i] - '0');
    }
    return layer < model->config.n_layers;
}

/* Whether only the experts that a token is routed to are computed. */
static bool is_routed(const struct sprat__gguf_tensor *tensor)
{
    static const char mark[] = "_exps.";
    for (size_t i = 0; i + sizeof mark - 1 <= tensor->name_len; i++)
        if (memcmp(tensor->name + i, mark, sizeof mark - 1) == 0)
            return tensor->n_dims > 1;
    return false;
}

static void work_of_shape(struct work *out, const struct sprat__model *model,
                          const struct sprat__session_shape *shape)
{
    const struct sprat__config *config = &model->config;
    struct sprat__kv_shape kv = sprat__model_kv_shape(model, shape->element_bytes);
    memset(out, 0, sizeof *out);
    out->experts_used = 1;
    if (config->moe.n_experts)
        out->experts_used = (double)config->moe.n_used / config->moe.n_experts;
    for (size_t i = 0; i < model->gguf.n_tensors; i++) {
        const struct sprat__gguf_tensor *tensor = &model->gguf.tensors[i];
        if (!is_of_layers(model, tensor))
            continue;
        bool routed = is_routed(tensor);
        *(routed ? &out->expert_bytes : &out->layer_bytes) += (double)tensor->bytes;
        if (tensor->n_dims > 1)
            out->layer_products += (double)tensor->ne[0] * (double)tensor->ne[1] *
                                   (double)tensor->ne[2] * (routed ? out->experts_used : 1);
    }
    out->output_bytes = (double)model->output.row_bytes * (double)model->output.n_rows;
    out->output_products = (double)model->output.n_cols * (double)model->output.n_rows;
    out->kv_bytes =
        (double)kv.n_layers * kv.n_heads * ((double)kv.key_dim + kv.value_dim) * kv.element_bytes;
    out->attention_products =
        (double)config->n_layers * config->n_heads * ((double)config->key_dim + config->value_dim);
    out->chunk = (uint32_t)shape->n_chunk;
    out->int8 = shape->int8;
    out->kv_f32 = shape->element_bytes == sizeof(float);
}

void work_of(struct work *out, const sprat_session *session)
{
    work_of_shape(out, &session->model->model, &session->shape);
}

bool work_of_model(struct work *out, const sprat_model *model, const sprat_session_options *options)
{
    struct sprat__session_shape shape;
    struct sprat__err ignored;
    if (sprat__session_shape(&shape, &model->model, options, &ignored) != SPRAT_OK)
        return false;
    work_of_shape(out, &model->model, &shape);
    return true;
}

/* Weights of the layers that n tokens at once read: of the experts as many as chance would have. */
static double weight_bytes(const struct work *work, uint64_t n)
{
    double unused = 1;
    for (uint64_t i = 0; i < n; i++)
        unused *= 1 - work->experts_used;
    return work->layer_bytes + work->expert_bytes * (1 - unused);
}

/* The sum over n tokens after n_held others of how many each looks back to, itself included. */
static double pairs(uint64_t n_held, uint64_t n)
{
    return (double)n * (double)n_held + (double)n * (double)(n + 1) / 2;
}

struct traffic work_decode(const struct work *work, uint64_t n_held, uint64_t n)
{
    double seen = pairs(n_held, n), steps = (double)n;
    struct traffic traffic;
    traffic.operations = 2 * (steps * (work->layer_products + work->output_products) +
                              seen * work->attention_products);
    traffic.bytes = steps * (weight_bytes(work, 1) + work->output_bytes) + seen * work->kv_bytes;
    return traffic;
}

struct traffic work_prefill(const struct work *work, uint64_t n_held, uint64_t n)
{
    struct traffic traffic = {0, work->output_bytes};
    traffic.operations = 2 * ((double)n * work->layer_products + work->output_products +
                              pairs(n_held, n) * work->attention_products);
    for (uint64_t at = 0; at < n; at += work->chunk) {
        uint64_t end = n - at < work->chunk ? n : at + work->chunk;
        traffic.bytes += weight_bytes(work, end - at) + (double)(n_held + end) * work->kv_bytes;
    }
    return traffic;
}
