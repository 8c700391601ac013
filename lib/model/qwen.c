/* Qwen2 and Qwen2.5 (R1-Distill-Qwen): biases on q, k and v. Qwen3 (R1-0528-Qwen3-8B): no biases,
 * and each head of q and k goes through an RMS norm before it is rotated. Rotated channels stand
 * half a head apart. Qwen2's sliding_window is off in every released model and has no GGUF key. */
#include "model/config.h"
#include "model/step.h"

static sprat_status qwen2_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err)
{
    SPRAT_TRY(sprat__dense_bind(model, layer, err));
    return sprat__dense_bind_biases(model, layer, false, err);
}

static sprat_status qwen3_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err)
{
    uint32_t dim = model->config.key_dim;
    struct sprat__layer *weights = &model->layers[layer];
    SPRAT_TRY(sprat__dense_bind(model, layer, err));
    SPRAT_TRY(sprat__bind_layer(model, layer, "attn_q_norm.weight", dim, 1, false, &weights->q_norm,
                                err));
    return sprat__bind_layer(model, layer, "attn_k_norm.weight", dim, 1, false, &weights->k_norm,
                             err);
}

const struct sprat__family sprat__family_qwen2 = {
    "qwen2", SPRAT__ROPE_HALVES, sprat__config_read_dense, qwen2_bind, sprat__dense_forward};
const struct sprat__family sprat__family_qwen3 = {
    "qwen3", SPRAT__ROPE_HALVES, sprat__config_read_dense, qwen3_bind, sprat__dense_forward};
