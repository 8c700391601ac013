/* Owns the reading of hyper-parameters. Invariant of a config that was read: every number is in
 * range, heads divide evenly, and products of two of them fit 64 bits. Keys: doc/formats.md. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *sprat__config_key(struct sprat__config_reader *reader, const char *name)
{
    snprintf(reader->key, sizeof reader->key, "%s.%s", reader->arch, name);
    return reader->key;
}

bool sprat__config_has(struct sprat__config_reader *reader, const char *name)
{
    return sprat__gguf_key(reader->gguf, sprat__config_key(reader, name)) != NULL;
}

sprat_status sprat__config_u32(struct sprat__config_reader *reader, const char *name,
                               uint32_t fallback, uint32_t low, uint32_t high, uint32_t *out)
{
    const char *key = sprat__config_key(reader, name);
    const struct sprat__gguf_key *entry = sprat__gguf_key(reader->gguf, key);
    if (!entry && fallback != 0) {
        *out = fallback;
        return SPRAT_OK;
    }
    if (entry && entry->type == SPRAT__GGUF_ARRAY && entry->count < reader->n_layers)
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG,
                           "key %s: expected %u elements, one per layer, found %llu", key,
                           reader->n_layers, (unsigned long long)entry->count);
    bool found;
    SPRAT_TRY(sprat__gguf_u32_at(reader->gguf, key, 0, out, &found, reader->err));
    if (!found)
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG, "key %s: missing", key);
    uint64_t n = entry && entry->type == SPRAT__GGUF_ARRAY ? entry->count : 1;
    for (size_t i = 1; i < n; i++) {
        uint32_t other;
        SPRAT_TRY(sprat__gguf_u32_at(reader->gguf, key, i, &other, &found, reader->err));
        if (other != *out)
            return sprat__fail(reader->err, SPRAT_UNSUPPORTED,
                               "key %s: layer 0 has %u, layer %zu has %u; layers must be alike",
                               key, *out, i, other);
    }
    if (*out < low || *out > high)
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG, "key %s: expected %u to %u, found %u",
                           key, low, high, *out);
    return SPRAT_OK;
}

sprat_status sprat__config_f32(struct sprat__config_reader *reader, const char *name,
                               float fallback, float low, float high, float *out)
{
    const char *key = sprat__config_key(reader, name);
    bool found;
    SPRAT_TRY(sprat__gguf_f32(reader->gguf, key, out, &found, reader->err));
    if (!found) {
        *out = fallback;
        return SPRAT_OK;
    }
    char text[3][SPRAT__NUMBER_BYTES];
    if (!(*out >= low && *out <= high))
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG, "key %s: expected %s to %s, found %s",
                           key, sprat__number(text[0], (double)low),
                           sprat__number(text[1], (double)high),
                           sprat__number(text[2], (double)*out));
    return SPRAT_OK;
}

static sprat_status config_scaling(struct sprat__config_reader *reader, struct sprat__rope *rope)
{
    const char *text = "";
    size_t len = 0;
    bool found;
    SPRAT_TRY(sprat__gguf_string(reader->gguf, sprat__config_key(reader, "rope.scaling.type"),
                                 &text, &len, &found, reader->err));
    SPRAT_TRY(sprat__config_f32(reader, "rope.scaling.factor", 0.0f, 0.0f, 1e6f, &rope->factor));
    if (rope->factor == 0.0f) /* the name before 2024 */
        SPRAT_TRY(sprat__config_f32(reader, "rope.scale_linear", 1.0f, 0.0f, 1e6f, &rope->factor));
    if (rope->factor == 0.0f)
        rope->factor = 1.0f;
    if (!found || (len == 6 && memcmp(text, "linear", 6) == 0)) {
        rope->scaling = SPRAT__ROPE_LINEAR;
    } else if (len == 4 && memcmp(text, "yarn", 4) == 0) {
        rope->scaling = SPRAT__ROPE_YARN;
    } else if (len == 4 && memcmp(text, "none", 4) == 0) {
        rope->scaling = SPRAT__ROPE_PLAIN;
    } else {
        char quoted[48];
        return sprat__fail(reader->err, SPRAT_UNSUPPORTED,
                           "key %s.rope.scaling.type: expected none, linear or yarn, found \"%s\"",
                           reader->arch, sprat__quote(quoted, sizeof quoted, text, len));
    }
    return SPRAT_OK;
}

sprat_status sprat__config_read_rope(struct sprat__config *config,
                                     struct sprat__config_reader *reader)
{
    struct sprat__rope *rope = &config->rope;
    SPRAT_TRY(sprat__config_f32(reader, "rope.freq_base", 10000.0f, 1.001f, 1e12f, &rope->base));
    SPRAT_TRY(sprat__config_u32(reader, "rope.dimension_count", config->key_dim, 2, config->key_dim,
                                &rope->n_dims));
    if (rope->n_dims % 2 != 0)
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG,
                           "key %s.rope.dimension_count: expected an even number, found %u",
                           reader->arch, rope->n_dims);
    SPRAT_TRY(config_scaling(reader, rope));
    SPRAT_TRY(sprat__config_u32(reader, "rope.scaling.original_context_length", config->n_ctx_train,
                                1, UINT32_MAX, &rope->n_ctx_original));
    SPRAT_TRY(sprat__config_f32(reader, "rope.scaling.attn_factor", 1.0f, 0.0f, 1e3f,
                                &rope->attn_factor));
    SPRAT_TRY(sprat__config_f32(reader, "rope.scaling.yarn_attn_factor", 1.0f, 0.0f, 1e3f,
                                &rope->yarn_attn_factor));
    SPRAT_TRY(sprat__config_f32(reader, "rope.scaling.yarn_ext_factor", 1.0f, -1.0f, 1e3f,
                                &rope->yarn_ext_factor));
    if (rope->yarn_ext_factor < 0.0f) /* how some writers spell "the default" */
        rope->yarn_ext_factor = 1.0f;
    SPRAT_TRY(sprat__config_f32(reader, "rope.scaling.yarn_beta_fast", 32.0f, 1e-6f, 1e6f,
                                &rope->beta_fast));
    return sprat__config_f32(reader, "rope.scaling.yarn_beta_slow", 1.0f, 1e-6f, 1e6f,
                             &rope->beta_slow);
}

sprat_status sprat__config_read_dense(struct sprat__config *config,
                                      struct sprat__config_reader *reader)
{
    SPRAT_TRY(sprat__config_u32(reader, "attention.head_count_kv", config->n_heads, 1,
                                config->n_heads, &config->n_kv_heads));
    if (config->n_heads % config->n_kv_heads != 0)
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG,
                           "key %s.attention.head_count: %u heads are no multiple of %u kv heads",
                           reader->arch, config->n_heads, config->n_kv_heads);
    uint32_t usual = config->n_embd / config->n_heads;
    if (!sprat__config_has(reader, "attention.key_length") &&
        (usual == 0 || config->n_embd % config->n_heads != 0))
        return sprat__fail(reader->err, SPRAT_BAD_CONFIG,
                           "key %s: missing, and %u channels do not divide into %u heads",
                           reader->key, config->n_embd, config->n_heads);
    if (usual == 0)
        usual = 1;
    SPRAT_TRY(sprat__config_u32(reader, "attention.key_length", usual, 2, SPRAT__MAX_HEAD_DIM,
                                &config->key_dim));
    SPRAT_TRY(sprat__config_u32(reader, "attention.value_length", usual, 1, SPRAT__MAX_HEAD_DIM,
                                &config->value_dim));
    config->attention_scale = 1.0f / sqrtf((float)config->key_dim);
    return sprat__config_read_rope(config, reader);
}

sprat_status sprat__config_read(struct sprat__config *config, const struct sprat__gguf *gguf,
                                const struct sprat__family *family, struct sprat__err *err)
{
    struct sprat__config_reader reader = {.gguf = gguf, .arch = family->arch, .err = err};
    const uint32_t wide = 1u << 24;
    SPRAT_TRY(sprat__config_u32(&reader, "block_count", 0, 1, 4096, &config->n_layers));
    reader.n_layers = config->n_layers;
    SPRAT_TRY(sprat__config_u32(&reader, "embedding_length", 0, 1, wide, &config->n_embd));
    SPRAT_TRY(sprat__config_u32(&reader, "feed_forward_length", 0, 1, wide, &config->n_ff));
    SPRAT_TRY(sprat__config_u32(&reader, "context_length", 0, 1, 1u << 23, &config->n_ctx_train));
    SPRAT_TRY(sprat__config_u32(&reader, "attention.head_count", 0, 1, 4096, &config->n_heads));
    /* No fallback: the families differ, and a wrong one goes unseen. */
    if (!sprat__config_has(&reader, "attention.layer_norm_rms_epsilon"))
        return sprat__fail(err, SPRAT_BAD_CONFIG, "key %s: missing", reader.key);
    SPRAT_TRY(sprat__config_f32(&reader, "attention.layer_norm_rms_epsilon", 0.0f, 0.0f, 1.0f,
                                &config->epsilon));
    return family->configure(config, &reader);
}
