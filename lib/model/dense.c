/* Owns the layer that the dense families share: attention, then a gated feed-forward part, each
 * behind a norm and added to the residual stream. */
#include "model/step.h"

sprat_status sprat__dense_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err)
{
    const struct sprat__config *config = &model->config;
    struct sprat__layer *w = &model->layers[layer];
    uint64_t n_embd = config->n_embd;
    uint64_t n_q = (uint64_t)config->n_heads * config->key_dim;
    uint64_t n_k = (uint64_t)config->n_kv_heads * config->key_dim;
    uint64_t n_v = (uint64_t)config->n_kv_heads * config->value_dim;
    uint64_t n_o = (uint64_t)config->n_heads * config->value_dim;
    const struct {
        const char *part;
        uint64_t n_cols, n_rows;
        struct sprat__weight *out;
    } rows[] = {
        {"attn_norm.weight", n_embd, 1, &w->attn_norm},
        {"attn_q.weight", n_embd, n_q, &w->q},
        {"attn_k.weight", n_embd, n_k, &w->k},
        {"attn_v.weight", n_embd, n_v, &w->v},
        {"attn_output.weight", n_o, n_embd, &w->o},
        {"ffn_norm.weight", n_embd, 1, &w->ffn_norm},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        SPRAT_TRY(sprat__bind_layer(model, layer, rows[i].part, rows[i].n_cols, rows[i].n_rows,
                                    false, rows[i].out, err));
    return sprat__ffn_bind(model, layer, err);
}

sprat_status sprat__dense_bind_biases(struct sprat__model *model, uint32_t layer, bool optional,
                                      struct sprat__err *err)
{
    struct sprat__layer *w = &model->layers[layer];
    SPRAT_TRY(
        sprat__bind_layer(model, layer, "attn_q.bias", w->q.n_rows, 1, optional, &w->q_bias, err));
    SPRAT_TRY(
        sprat__bind_layer(model, layer, "attn_k.bias", w->k.n_rows, 1, optional, &w->k_bias, err));
    SPRAT_TRY(
        sprat__bind_layer(model, layer, "attn_v.bias", w->v.n_rows, 1, optional, &w->v_bias, err));
    return sprat__bind_layer(model, layer, "attn_output.bias", w->o.n_rows, 1, true, &w->o_bias,
                             err);
}

sprat_status sprat__dense_forward(struct sprat__step *step, uint32_t layer)
{
    SPRAT_TRY(sprat__attention(step, layer));
    return sprat__ffn(step, layer);
}
