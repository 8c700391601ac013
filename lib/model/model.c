/* Owns opening a model: directory, tokeniser, configuration, views. Leaves the layers to the
 * families. Invariant of an open model: every view lies inside its file and has the shape that the
 * configuration says, so that no step checks again. */
#include "model/model.h"

#include "model/config.h"

#include <stdio.h>
#include <string.h>

static const struct sprat__family *model_family(const char *arch, size_t len)
{
    static const struct sprat__family *const families[] = {
        &sprat__family_llama, &sprat__family_qwen2, &sprat__family_qwen3, &sprat__family_deepseek2};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strlen(families[i]->arch) == len && memcmp(families[i]->arch, arch, len) == 0)
            return families[i];
    }
    return NULL;
}

/* The view of a tensor of n_cols × n_rows × n_parts. */
static sprat_status model_bind_parts(struct sprat__model *model, const char *name, uint64_t n_cols,
                                     uint64_t n_rows, uint64_t n_parts, bool optional,
                                     struct sprat__weight *out, struct sprat__err *err)
{
    memset(out, 0, sizeof *out);
    const struct sprat__gguf_tensor *tensor = sprat__gguf_tensor(&model->gguf, name);
    if (!tensor)
        return optional ? SPRAT_OK
                        : sprat__fail(err, SPRAT_MISSING_TENSOR, "tensor %s: missing", name);
    const uint64_t *ne = tensor->ne;
    if (ne[0] != n_cols || ne[1] != n_rows || ne[2] != n_parts || ne[3] != 1)
        return sprat__fail(err, SPRAT_BAD_SHAPE,
                           "tensor %s: expected shape {%llu, %llu, %llu}, found {%llu, %llu, %llu, "
                           "%llu}",
                           name, (unsigned long long)n_cols, (unsigned long long)n_rows,
                           (unsigned long long)n_parts, (unsigned long long)ne[0],
                           (unsigned long long)ne[1], (unsigned long long)ne[2],
                           (unsigned long long)ne[3]);
    const struct sprat__dtype_info *info = sprat__dtype_info(tensor->type);
    if (tensor->type >= SPRAT__I8 && tensor->type <= SPRAT__F64)
        return sprat__fail(err, SPRAT_UNKNOWN_TYPE, "tensor %s: weights cannot be of type %s", name,
                           info->name);
    uint64_t row_bytes;
    if (!sprat__dtype_row_bytes(tensor->type, n_cols, &row_bytes))
        return sprat__fail(err, SPRAT_BAD_SHAPE, "tensor %s: rows of %llu are no whole %s blocks",
                           name, (unsigned long long)n_cols, info->name);
    model->gguf.tensors[tensor - model->gguf.tensors].is_used = true;
    *out = (struct sprat__weight){tensor->data, (size_t)row_bytes, (size_t)(n_rows * n_parts),
                                  (size_t)n_cols, tensor->type};
    return SPRAT_OK;
}

sprat_status sprat__bind(struct sprat__model *model, const char *name, uint64_t n_cols,
                         uint64_t n_rows, bool optional, struct sprat__weight *out,
                         struct sprat__err *err)
{
    return model_bind_parts(model, name, n_cols, n_rows, 1, optional, out, err);
}

enum { MODEL_NAME_BYTES = 64 };

static const char *model_layer_name(char *out, uint32_t layer, const char *part)
{
    snprintf(out, MODEL_NAME_BYTES, "blk.%u.%s", layer, part);
    return out;
}

sprat_status sprat__bind_layer(struct sprat__model *model, uint32_t layer, const char *part,
                               uint64_t n_cols, uint64_t n_rows, bool optional,
                               struct sprat__weight *out, struct sprat__err *err)
{
    char name[MODEL_NAME_BYTES];
    return sprat__bind(model, model_layer_name(name, layer, part), n_cols, n_rows, optional, out,
                       err);
}

sprat_status sprat__bind_parts(struct sprat__model *model, uint32_t layer, const char *part,
                               uint64_t n_cols, uint64_t n_rows, uint64_t n_parts,
                               struct sprat__weight *out, struct sprat__err *err)
{
    char name[MODEL_NAME_BYTES];
    return model_bind_parts(model, model_layer_name(name, layer, part), n_cols, n_rows, n_parts,
                            false, out, err);
}

bool sprat__has_layer(const struct sprat__model *model, uint32_t layer, const char *part)
{
    char name[MODEL_NAME_BYTES];
    return sprat__gguf_tensor(&model->gguf, model_layer_name(name, layer, part)) != NULL;
}

/* Layers behind the last are there to draft tokens, which nothing here does yet. */
static void model_skip_layers(struct sprat__model *model)
{
    const struct sprat__config *config = &model->config;
    for (uint32_t i = 0; i < config->n_skipped; i++) {
        char prefix[MODEL_NAME_BYTES];
        size_t len = strlen(model_layer_name(prefix, config->n_layers + i, ""));
        for (size_t k = 0; k < model->gguf.n_tensors; k++) {
            struct sprat__gguf_tensor *tensor = &model->gguf.tensors[k];
            if (tensor->name_len > len && memcmp(tensor->name, prefix, len) == 0)
                tensor->is_used = true;
        }
    }
}

/* A tensor that no part of the model uses would change what the model computes, elsewhere. */
static sprat_status model_check_used(const struct sprat__model *model, struct sprat__err *err)
{
    for (size_t i = 0; i < model->gguf.n_tensors; i++) {
        const struct sprat__gguf_tensor *tensor = &model->gguf.tensors[i];
        char quoted[96];
        if (!tensor->is_used)
            return sprat__fail(err, SPRAT_UNSUPPORTED,
                               "tensor %s: not known for the architecture %s",
                               sprat__quote(quoted, sizeof quoted, tensor->name, tensor->name_len),
                               model->family->arch);
    }
    return SPRAT_OK;
}

/* The vocabulary's size is the number of the embedding's rows; the tokeniser must agree. */
static sprat_status model_count_vocab(struct sprat__model *model, struct sprat__err *err)
{
    struct sprat__config *config = &model->config;
    const struct sprat__gguf_tensor *embedding =
        sprat__gguf_tensor(&model->gguf, "token_embd.weight");
    if (!embedding)
        return sprat__fail(err, SPRAT_MISSING_TENSOR, "tensor token_embd.weight: missing");
    uint64_t n = embedding->ne[1];
    if (model->tokenizer) {
        uint32_t tokens = sprat__tokenizer_vocab(model->tokenizer)->n_tokens;
        if (n != tokens)
            return sprat__fail(
                err, SPRAT_BAD_SHAPE,
                "tensor token_embd.weight: expected %u rows, one per token, found %llu", tokens,
                (unsigned long long)n);
    }
    if (n > 1u << 24)
        return sprat__fail(err, SPRAT_BAD_SHAPE,
                           "tensor token_embd.weight: expected at most %u rows, found %llu",
                           1u << 24, (unsigned long long)n);
    config->n_vocab = (uint32_t)n;
    return SPRAT_OK;
}

static sprat_status model_bind(struct sprat__model *model, struct sprat__err *err)
{
    struct sprat__config *config = &model->config;
    SPRAT_TRY(model_count_vocab(model, err));
    SPRAT_TRY(sprat__bind(model, "token_embd.weight", config->n_embd, config->n_vocab, false,
                          &model->embedding, err));
    SPRAT_TRY(sprat__bind(model, "output_norm.weight", config->n_embd, 1, false,
                          &model->output_norm, err));
    SPRAT_TRY(sprat__bind(model, "output.weight", config->n_embd, config->n_vocab, true,
                          &model->output, err));
    if (!sprat__gguf_tensor(&model->gguf, "output.weight"))
        model->output = model->embedding;
    SPRAT_TRY(sprat__bind(model, "rope_freqs.weight", config->rope.n_dims / 2, 1, true,
                          &config->rope.divisors, err));
    if (config->n_layers > model->gguf.n_tensors)
        return sprat__fail(err, SPRAT_BAD_CONFIG, "key %s.block_count: %u layers of %zu tensors",
                           model->family->arch, config->n_layers, model->gguf.n_tensors);
    model->layers = sprat__new(model->mem, config->n_layers, sizeof *model->layers,
                               SPRAT_PURPOSE_DIRECTORY, err);
    if (!model->layers)
        return err->status;
    for (uint32_t i = 0; i < config->n_layers; i++)
        SPRAT_TRY(model->family->bind(model, i, err));
    model_skip_layers(model);
    return model_check_used(model, err);
}

static sprat_status model_find_family(struct sprat__model *model, struct sprat__err *err)
{
    const char *arch = "";
    size_t len = 0;
    SPRAT_TRY(sprat__gguf_string(&model->gguf, "general.architecture", &arch, &len, NULL, err));
    model->family = model_family(arch, len);
    if (!model->family) {
        char quoted[64];
        return sprat__fail(
            err, SPRAT_UNKNOWN_ARCH,
            "key general.architecture: expected llama, qwen2, qwen3 or deepseek2, found \"%s\"",
            sprat__quote(quoted, sizeof quoted, arch, len));
    }
    return SPRAT_OK;
}

static sprat_status model_fill(struct sprat__model *model, bool load,
                               const struct sprat_model_options *options, struct sprat__err *err)
{
    if (model->gguf.n_tensors > 0)
        SPRAT_TRY(model_find_family(model, err));
    SPRAT_TRY(sprat__tokenizer_create(&model->tokenizer, model->mem, &model->gguf, err));
    if (model->gguf.n_tensors == 0) {
        if (model->tokenizer)
            return SPRAT_OK;
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "the file holds neither tensors nor a vocabulary");
    }
    SPRAT_TRY(sprat__config_read(&model->config, &model->gguf, model->family, err));
    if (load)
        SPRAT_TRY(sprat__gguf_load(&model->gguf, options->progress, options->progress_user, err));
    for (size_t i = 0; i < model->gguf.n_tensors; i++) {
        const uint64_t *ne = model->gguf.tensors[i].ne;
        model->n_parameters += ne[0] * ne[1] * ne[2] * ne[3];
    }
    return model_bind(model, err);
}

sprat_status sprat__model_open(struct sprat__model *model, struct sprat__mem *mem,
                               const struct sprat_source *source, bool load,
                               const struct sprat_model_options *options, struct sprat__err *err)
{
    memset(model, 0, sizeof *model);
    model->mem = mem;
    SPRAT_TRY(sprat__gguf_open(&model->gguf, mem, source, err));
    sprat_status status = model_fill(model, load, options, err);
    if (status != SPRAT_OK)
        sprat__model_end(model);
    return status;
}

void sprat__model_end(struct sprat__model *model)
{
    sprat__free(model->mem, model->layers);
    sprat__tokenizer_destroy(model->tokenizer);
    sprat__gguf_close(&model->gguf);
    model->layers = NULL;
    model->tokenizer = NULL;
}

struct sprat__kv_shape sprat__model_kv_shape(const struct sprat__model *model,
                                             uint32_t element_bytes)
{
    const struct sprat__config *config = &model->config;
    return (struct sprat__kv_shape){config->n_layers, config->n_kv_heads, config->key_dim,
                                    config->mla.kv_rank ? 0 : config->value_dim, element_bytes};
}
