/* DeepSeek V2, V2-Lite, V2.5, Coder-V2, V3, R1 and V3.1: latent attention, and a mixture of experts
 * in all layers but the first. Rotated channels are adjacent pairs. Files have the two halves of
 * kv_b as k_b, transposed, and v_b; those of before 2025 have kv_b as released. Stored layers that
 * draft tokens (MTP) are skipped. Where the official code and the papers differ, the code is
 * followed: arXiv 2405.04434, 2412.19437. */
#include "model/config.h"
#include "model/step.h"

static sprat_status deepseek2_bind_attention(struct sprat__model *model, uint32_t layer,
                                             struct sprat__err *err)
{
    const struct sprat__config *config = &model->config;
    const struct sprat__mla *mla = &config->mla;
    struct sprat__layer *w = &model->layers[layer];
    uint64_t n_embd = config->n_embd, n_heads = config->n_heads;
    uint64_t n_q = n_heads * (mla->nope_dim + mla->rope_dim);
    SPRAT_TRY(
        sprat__bind_layer(model, layer, "attn_norm.weight", n_embd, 1, false, &w->attn_norm, err));
    if (mla->q_rank > 0) {
        SPRAT_TRY(sprat__bind_layer(model, layer, "attn_q_a.weight", n_embd, mla->q_rank, false,
                                    &w->q_a, err));
        SPRAT_TRY(sprat__bind_layer(model, layer, "attn_q_a_norm.weight", mla->q_rank, 1, false,
                                    &w->q_a_norm, err));
        SPRAT_TRY(sprat__bind_layer(model, layer, "attn_q_b.weight", mla->q_rank, n_q, false,
                                    &w->q_b, err));
    } else {
        SPRAT_TRY(sprat__bind_layer(model, layer, "attn_q.weight", n_embd, n_q, false, &w->q, err));
    }
    SPRAT_TRY(sprat__bind_layer(model, layer, "attn_kv_a_mqa.weight", n_embd, config->key_dim,
                                false, &w->kv_a, err));
    SPRAT_TRY(sprat__bind_layer(model, layer, "attn_kv_a_norm.weight", mla->kv_rank, 1, false,
                                &w->kv_a_norm, err));
    if (sprat__has_layer(model, layer, "attn_kv_b.weight")) {
        SPRAT_TRY(sprat__bind_layer(model, layer, "attn_kv_b.weight", mla->kv_rank,
                                    n_heads * (mla->nope_dim + mla->value_dim), false, &w->kv_b,
                                    err));
    } else {
        SPRAT_TRY(sprat__bind_parts(model, layer, "attn_k_b.weight", mla->nope_dim, mla->kv_rank,
                                    n_heads, &w->k_b, err));
        SPRAT_TRY(sprat__bind_parts(model, layer, "attn_v_b.weight", mla->kv_rank, mla->value_dim,
                                    n_heads, &w->v_b, err));
    }
    return sprat__bind_layer(model, layer, "attn_output.weight", n_heads * mla->value_dim, n_embd,
                             false, &w->o, err);
}

static sprat_status deepseek2_bind_experts(struct sprat__model *model, uint32_t layer,
                                           struct sprat__err *err)
{
    const struct sprat__moe *moe = &model->config.moe;
    struct sprat__layer *w = &model->layers[layer];
    uint64_t n_embd = model->config.n_embd, n_ff = moe->n_ff, n = moe->n_experts;
    SPRAT_TRY(
        sprat__bind_layer(model, layer, "ffn_gate_inp.weight", n_embd, n, false, &w->router, err));
    SPRAT_TRY(
        sprat__bind_layer(model, layer, "exp_probs_b.bias", n, 1, true, &w->router_bias, err));
    w->expert_rows = (size_t)n_ff;
    if (sprat__has_layer(model, layer, "ffn_gate_up_exps.weight")) {
        SPRAT_TRY(sprat__bind_parts(model, layer, "ffn_gate_up_exps.weight", n_embd, 2 * n_ff, n,
                                    &w->gate_experts, err));
        w->up_experts = w->gate_experts;
        w->up_experts.data += n_ff * w->up_experts.row_bytes;
        w->expert_rows = (size_t)(2 * n_ff);
    } else {
        SPRAT_TRY(sprat__bind_parts(model, layer, "ffn_gate_exps.weight", n_embd, n_ff, n,
                                    &w->gate_experts, err));
        SPRAT_TRY(sprat__bind_parts(model, layer, "ffn_up_exps.weight", n_embd, n_ff, n,
                                    &w->up_experts, err));
    }
    SPRAT_TRY(sprat__bind_parts(model, layer, "ffn_down_exps.weight", n_ff, n_embd, n,
                                &w->down_experts, err));
    if (moe->n_shared == 0)
        return SPRAT_OK;
    uint64_t n_all = n_ff * moe->n_shared;
    SPRAT_TRY(sprat__bind_layer(model, layer, "ffn_gate_shexp.weight", n_embd, n_all, false,
                                &w->gate_shared, err));
    SPRAT_TRY(sprat__bind_layer(model, layer, "ffn_up_shexp.weight", n_embd, n_all, false,
                                &w->up_shared, err));
    return sprat__bind_layer(model, layer, "ffn_down_shexp.weight", n_all, n_embd, false,
                             &w->down_shared, err);
}

static bool deepseek2_is_dense(const struct sprat__config *config, uint32_t layer)
{
    return config->moe.n_experts == 0 || layer < config->moe.n_dense;
}

static sprat_status deepseek2_bind(struct sprat__model *model, uint32_t layer,
                                   struct sprat__err *err)
{
    struct sprat__layer *w = &model->layers[layer];
    SPRAT_TRY(deepseek2_bind_attention(model, layer, err));
    SPRAT_TRY(sprat__bind_layer(model, layer, "ffn_norm.weight", model->config.n_embd, 1, false,
                                &w->ffn_norm, err));
    return deepseek2_is_dense(&model->config, layer) ? sprat__ffn_bind(model, layer, err)
                                                     : deepseek2_bind_experts(model, layer, err);
}

static sprat_status deepseek2_forward(struct sprat__step *step, uint32_t layer)
{
    SPRAT_TRY(sprat__mla(step, layer));
    return deepseek2_is_dense(&step->model->config, layer) ? sprat__ffn(step, layer)
                                                           : sprat__moe(step, layer);
}

const struct sprat__family sprat__family_deepseek2 = {
    "deepseek2", SPRAT__ROPE_ADJACENT, sprat__config_read_mla, deepseek2_bind, deepseek2_forward};
