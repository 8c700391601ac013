/* Owns the keys of DeepSeek V2, V3 and R1: latent attention and experts. Names: doc/formats.md.
 * Invariant of what was read: nope_dim + rope_dim is a head's key, groups divide the experts
 * evenly, and the groups that are used hold at least as many experts as are used.
 *
 * Files differ by age. Newer ones describe the cache's row in key_length (latent and rotated
 * channels) and the heads in key_length_mla; those of before 2025 describe the heads in key_length.
 * V3's before 2025 do not tell the groups of experts; the official shapes do. */
#include "model/config.h"

#include "kernel/math64.h"

#include <math.h>
#include <stdio.h>

/* DeepSeek's YaRN leaves cos and sin alone and scales queries times keys instead:
 * 1/sqrt(key) · (0.1 · mscale · ln factor + 1)². The key stores mscale / 10; files without it are
 * of models with mscale 1. */
static sprat_status config_mla_rope(struct sprat__config *config,
                                    struct sprat__config_reader *reader)
{
    struct sprat__rope *rope = &config->rope;
    float log_multiplier;
    SPRAT_TRY(sprat__config_read_rope(config, reader));
    SPRAT_TRY(sprat__config_f32(reader, "rope.scaling.yarn_log_multiplier", 0.1f, 0.0f, 1e3f,
                                &log_multiplier));
    double scale = 1.0 / sqrt((double)config->mla.nope_dim + (double)config->mla.rope_dim);
    if (rope->scaling == SPRAT__ROPE_YARN && rope->factor > 1.0f) {
        double grown = (double)log_multiplier * sprat__log64((double)rope->factor) + 1.0;
        scale *= grown * grown;
    }
    rope->is_plain = true;
    config->attention_scale = (float)scale;
    return SPRAT_OK;
}

static sprat_status config_mla_heads(struct sprat__config *config,
                                     struct sprat__config_reader *reader)
{
    struct sprat__mla *mla = &config->mla;
    uint32_t key = 0;
    bool is_new = sprat__config_has(reader, "attention.key_length_mla");
    SPRAT_TRY(sprat__config_u32(reader, "attention.kv_lora_rank", 0, 1, SPRAT__MAX_HEAD_DIM,
                                &mla->kv_rank));
    if (sprat__config_has(reader, "attention.q_lora_rank"))
        SPRAT_TRY(sprat__config_u32(reader, "attention.q_lora_rank", 0, 0, 1u << 20, &mla->q_rank));
    SPRAT_TRY(sprat__config_u32(reader, "rope.dimension_count", 0, 2, SPRAT__MAX_HEAD_DIM,
                                &mla->rope_dim));
    SPRAT_TRY(sprat__config_u32(reader,
                                is_new ? "attention.key_length_mla" : "attention.key_length", 0,
                                mla->rope_dim + 1, SPRAT__MAX_HEAD_DIM, &key));
    SPRAT_TRY(sprat__config_u32(reader,
                                is_new ? "attention.value_length_mla" : "attention.value_length", 0,
                                1, SPRAT__MAX_HEAD_DIM, &mla->value_dim));
    mla->nope_dim = key - mla->rope_dim;
    config->n_kv_heads = 1;
    config->key_dim = mla->kv_rank + mla->rope_dim;
    config->value_dim = mla->kv_rank;
    if (config->key_dim > SPRAT__MAX_HEAD_DIM)
        return sprat__fail(reader->err, SPRAT_UNSUPPORTED,
                           "key %s.attention.kv_lora_rank: %u and %u rotated channels: expected at "
                           "most %u together",
                           reader->arch, mla->kv_rank, mla->rope_dim, SPRAT__MAX_HEAD_DIM);
    uint32_t row = config->key_dim;
    if (is_new && sprat__config_has(reader, "attention.key_length"))
        SPRAT_TRY(sprat__config_u32(reader, "attention.key_length", 0, row, row, &row));
    return SPRAT_OK;
}

static sprat_status config_groups(struct sprat__moe *moe, struct sprat__config_reader *reader)
{
    bool is_said = sprat__config_has(reader, "expert_group_count");
    moe->groups_guessed = !is_said && (moe->n_experts == 256 || moe->n_experts == 160);
    uint32_t groups = moe->groups_guessed ? 8 : 1;
    uint32_t used = !moe->groups_guessed ? 1 : moe->n_experts == 256 ? 4 : 3;
    uint32_t most =
        moe->n_experts < SPRAT__MAX_EXPERT_GROUPS ? moe->n_experts : SPRAT__MAX_EXPERT_GROUPS;
    SPRAT_TRY(sprat__config_u32(reader, "expert_group_count", groups, 1, most, &moe->n_groups));
    SPRAT_TRY(sprat__config_u32(reader, "expert_group_used_count", is_said ? moe->n_groups : used,
                                1, moe->n_groups, &moe->n_groups_used));
    if (moe->n_experts % moe->n_groups != 0)
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG,
                           "key %s.expert_group_count: %u experts do not divide into %u groups",
                           reader->arch, moe->n_experts, moe->n_groups);
    uint32_t n_open = moe->n_experts / moe->n_groups * moe->n_groups_used;
    if (moe->n_used > n_open)
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG,
                           "key %s.expert_used_count: expected at most %u, the experts of %u "
                           "groups, found %u",
                           reader->arch, n_open, moe->n_groups_used, moe->n_used);
    return SPRAT_OK;
}

/* 0, or no key: what the correction of the scores tells, which only sigmoid gates have. */
static sprat_status config_gate(struct sprat__moe *moe, struct sprat__config_reader *reader)
{
    uint32_t gate = 0;
    if (sprat__config_has(reader, "expert_gating_func"))
        SPRAT_TRY(sprat__config_u32(reader, "expert_gating_func", 0, 0, UINT32_MAX, &gate));
    if (gate > 2)
        return sprat__fail(
            reader->err, SPRAT_UNSUPPORTED,
            "key %s.expert_gating_func: expected 1, softmax, or 2, sigmoid, found %u", reader->arch,
            gate);
    char name[64];
    snprintf(name, sizeof name, "blk.%u.exp_probs_b.bias", moe->n_dense);
    bool corrected = sprat__gguf_tensor(reader->gguf, name) != NULL;
    moe->is_softmax = gate == 1 || (gate == 0 && !corrected);
    bool found;
    SPRAT_TRY(sprat__gguf_bool(reader->gguf, sprat__config_key(reader, "expert_weights_norm"),
                               &moe->is_normalised, &found, reader->err));
    if (!found)
        moe->is_normalised = false;
    SPRAT_TRY(sprat__config_f32(reader, "expert_weights_scale", 1.0f, 0.0f, 1e6f, &moe->scale));
    if (moe->scale == 0.0f) /* how some writers spell "none" */
        moe->scale = 1.0f;
    return SPRAT_OK;
}

static sprat_status config_experts(struct sprat__config *config,
                                   struct sprat__config_reader *reader)
{
    struct sprat__moe *moe = &config->moe;
    if (sprat__config_has(reader, "expert_count"))
        SPRAT_TRY(
            sprat__config_u32(reader, "expert_count", 0, 0, SPRAT__MAX_EXPERTS, &moe->n_experts));
    if (moe->n_experts == 0)
        return SPRAT_OK;
    SPRAT_TRY(sprat__config_u32(reader, "expert_used_count", 0, 1, moe->n_experts, &moe->n_used));
    SPRAT_TRY(sprat__config_u32(reader, "expert_feed_forward_length", 0, 1, 1u << 24, &moe->n_ff));
    if (sprat__config_has(reader, "expert_shared_count"))
        SPRAT_TRY(sprat__config_u32(reader, "expert_shared_count", 0, 0, 1024, &moe->n_shared));
    if (sprat__config_has(reader, "leading_dense_block_count"))
        SPRAT_TRY(sprat__config_u32(reader, "leading_dense_block_count", 0, 0, config->n_layers,
                                    &moe->n_dense));
    SPRAT_TRY(config_gate(moe, reader));
    return config_groups(moe, reader);
}

sprat_status sprat__config_read_mla(struct sprat__config *config,
                                    struct sprat__config_reader *reader)
{
    if (sprat__config_has(reader, "nextn_predict_layers"))
        SPRAT_TRY(sprat__config_u32(reader, "nextn_predict_layers", 0, 0, config->n_layers - 1,
                                    &config->n_skipped));
    config->n_layers -= config->n_skipped;
    SPRAT_TRY(config_mla_heads(config, reader));
    SPRAT_TRY(config_mla_rope(config, reader));
    return config_experts(config, reader);
}
