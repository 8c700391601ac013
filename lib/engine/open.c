/* Owns opening a model for the API, its facts as text, and the plan. A plan opens the model for
 * real, with an account of its own and without its weights, so that it cannot tell other numbers
 * than an opening would. */
#include "engine/session.h"

#include "base/checked.h"

#include <stdio.h>
#include <string.h>

static char *open_text(struct sprat__mem *mem, const char *text, size_t len, struct sprat__err *err)
{
    char *copy = sprat__new(mem, len + 1, 1, SPRAT_PURPOSE_DIRECTORY, err);
    if (copy && len)
        memcpy(copy, text, len);
    return copy;
}

/* "Q4_1 210, F32 61": the types and how many tensors have each, in the order of their numbers. */
static char *open_types(const struct sprat__model *model, struct sprat__mem *mem,
                        struct sprat__err *err)
{
    size_t count[SPRAT__N_DTYPES] = {0}, len = 0;
    char text[1024] = "";
    for (size_t i = 0; i < model->gguf.n_tensors; i++)
        count[model->gguf.tensors[i].type]++;
    for (uint32_t type = 0; type < SPRAT__N_DTYPES && len + 48 < sizeof text; type++) {
        if (count[type] > 0)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s %zu", len ? ", " : "",
                                    sprat__dtype_info(type)->name, count[type]);
    }
    return open_text(mem, text, len, err);
}

static sprat_status open_texts(struct sprat_model *model, struct sprat__err *err)
{
    const char *text = "";
    size_t len = 0;
    bool found;
    const struct sprat__gguf *gguf = &model->model.gguf;
    SPRAT_TRY(sprat__gguf_string(gguf, "general.architecture", &text, &len, &found, err));
    model->arch = open_text(&model->mem, text, found ? len : 0, err);
    if (!model->arch)
        return err->status;
    SPRAT_TRY(sprat__gguf_string(gguf, "general.name", &text, &len, &found, err));
    model->name = open_text(&model->mem, text, found ? len : 0, err);
    if (!model->name)
        return err->status;
    model->types = open_types(&model->model, &model->mem, err);
    return model->types ? SPRAT_OK : err->status;
}

static void open_warn_layers(const struct sprat_model *model)
{
    const struct sprat__config *config = &model->model.config;
    char text[SPRAT__MESSAGE_BYTES];
    if (config->n_skipped > 0) {
        snprintf(text, sizeof text, "layers %u to %u draft tokens (MTP): they are not used",
                 config->n_layers, config->n_layers + config->n_skipped - 1);
        sprat__context_log(model->context, SPRAT_LOG_INFO, "model", text);
    }
    if (config->moe.groups_guessed) {
        snprintf(text, sizeof text,
                 "the file does not tell the groups of its %u experts: %u of %u are taken, as in "
                 "the model of that shape",
                 config->moe.n_experts, config->moe.n_groups_used, config->moe.n_groups);
        sprat__context_log(model->context, SPRAT_LOG_WARNING, "model", text);
    }
}

/* What works, but less well than the host may expect, goes to its log. */
static void open_warn(const struct sprat_model *model)
{
    const struct sprat__gguf *gguf = &model->model.gguf;
    struct sprat__err ignored;
    const char *text = "";
    size_t len = 0;
    bool found = false;
    open_warn_layers(model);
    if (sprat__gguf_string(gguf, "tokenizer.chat_template", &text, &len, &found, &ignored) ==
            SPRAT_OK &&
        found && !sprat__dialect_by_template(text, len))
        sprat__context_log(model->context, SPRAT_LOG_WARNING, "chat",
                           "the model's chat template is not known: it can only continue text");
    if (model->model.tokenizer && !sprat__gguf_key(gguf, "tokenizer.ggml.pre") &&
        sprat__gguf_string(gguf, "tokenizer.ggml.model", &text, &len, &found, &ignored) ==
            SPRAT_OK &&
        found && len == 4 && memcmp(text, "gpt2", 4) == 0)
        sprat__context_log(model->context, SPRAT_LOG_WARNING, "tokenizer",
                           "the model names no pre-tokeniser: \"default\" is taken, and tokens may "
                           "not be those it was trained on");
}

sprat_status sprat__model_create(struct sprat_model **out, struct sprat_context *context,
                                 struct sprat__mem *parent, const struct sprat_source *source,
                                 bool load, const struct sprat_model_options *options,
                                 struct sprat__err *err)
{
    struct sprat_model *model = sprat__new(parent, 1, sizeof *model, SPRAT_PURPOSE_DIRECTORY, err);
    if (!model)
        return err->status;
    sprat__mem_child(&model->mem, parent);
    if (sprat__model_open(&model->model, &model->mem, source, load, options, err) != SPRAT_OK) {
        sprat__free(parent, model);
        return err->status;
    }
    sprat__context_hold(context);
    model->context = context;
    model->parent = parent;
    model->n_references = 1;
    if (open_texts(model, err) != SPRAT_OK) {
        sprat__model_drop(model);
        return err->status;
    }
    if (load)
        open_warn(model);
    *out = model;
    return SPRAT_OK;
}

void sprat__model_hold(struct sprat_model *model)
{
    atomic_fetch_add_explicit(&model->n_references, 1, memory_order_relaxed);
}

void sprat__model_drop(struct sprat_model *model)
{
    if (atomic_fetch_sub_explicit(&model->n_references, 1, memory_order_acq_rel) != 1)
        return;
    struct sprat_context *context = model->context;
    sprat__model_end(&model->model);
    sprat__free(&model->mem, model->arch);
    sprat__free(&model->mem, model->name);
    sprat__free(&model->mem, model->types);
    sprat__free(model->parent, model);
    sprat__context_drop(context);
}

static sprat_status open_plan(struct sprat_plan *out, const struct sprat_model *model,
                              const struct sprat_session_options *options, struct sprat__err *err)
{
    const struct sprat__gguf *gguf = &model->model.gguf;
    uint64_t load = sprat__gguf_load_bytes(gguf);
    uint64_t opening = atomic_load(&model->parent->peak);
    uint64_t opened = atomic_load(&model->parent->now);
    out->mapped_bytes = gguf->mapped_bytes;
    if (!sprat__add_u64(opened, load, &out->model_bytes))
        return sprat__fail(err, SPRAT_BAD_CONFIG, "the weights do not fit the address space");
    if (model->model.family) {
        struct sprat__session_shape shape;
        uint64_t per_token;
        SPRAT_TRY(sprat__session_shape(&shape, &model->model, options, err));
        SPRAT_TRY(
            sprat__session_bytes(&model->model, &shape, &out->session_bytes, &out->kv_bytes, err));
        struct sprat__kv_shape kv = sprat__model_kv_shape(&model->model, shape.element_bytes);
        per_token = (uint64_t)kv.n_layers * kv.n_heads * (kv.key_dim + kv.value_dim);
        out->kv_bytes_per_token = per_token * kv.element_bytes;
    }
    uint64_t running;
    if (!sprat__add_u64(out->model_bytes, out->session_bytes, &running) ||
        !sprat__add_u64(opening, load, &opening))
        return sprat__fail(err, SPRAT_BAD_CONFIG, "the plan does not fit 64 bits");
    out->peak_bytes = model->context->own_bytes + (opening > running ? opening : running);
    return SPRAT_OK;
}

sprat_status sprat__plan(struct sprat_plan *out, struct sprat_context *context,
                         const struct sprat_source *source,
                         const struct sprat_session_options *options, struct sprat__err *err)
{
    struct sprat__mem mem;
    struct sprat_allocator allocator = {sizeof allocator, context->mem.user, context->mem.alloc,
                                        context->mem.free};
    struct sprat_model_options defaults = {.size = sizeof defaults};
    struct sprat_model *model;
    sprat__mem_init(&mem, &allocator, 0);
    SPRAT_TRY(sprat__model_create(&model, context, &mem, source, false, &defaults, err));
    sprat_status status = open_plan(out, model, options, err);
    sprat__model_drop(model);
    return status;
}
