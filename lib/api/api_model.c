/* The public entry points of a model: plan, open, facts, metadata, text. */
#include "api/import.h"
#include "api/meta.h"
#include "engine/session.h"

#include <string.h>

static sprat_status model_import_source(struct sprat_source *to, const sprat_source *from,
                                        struct sprat__err *err)
{
    if (!from)
        return sprat__fail(err, SPRAT_INVALID, "source: expected a struct, found NULL");
    SPRAT_TRY(sprat__import(to, sizeof *to, SPRAT__END_OF(sprat_source, read_user), from,
                            "sprat_source", err));
    if (to->kind > SPRAT_SOURCE_CALLBACK)
        return sprat__fail(err, SPRAT_INVALID, "source: expected a kind from 0 to 3, found %u",
                           to->kind);
    if (to->kind == SPRAT_SOURCE_PATH && !to->path)
        return sprat__fail(err, SPRAT_INVALID, "source: expected a path, found NULL");
    if (to->kind == SPRAT_SOURCE_MEMORY && !to->data && to->length > 0)
        return sprat__fail(err, SPRAT_INVALID, "source: expected data, found NULL");
    if (to->kind == SPRAT_SOURCE_CALLBACK && !to->read)
        return sprat__fail(err, SPRAT_INVALID, "source: expected a read function, found NULL");
    return SPRAT_OK;
}

static sprat_status model_plan(struct sprat_plan *plan, sprat_context *context,
                               const sprat_source *source, const sprat_model_options *model_options,
                               const sprat_session_options *session_options, struct sprat__err *err)
{
    struct sprat_source from;
    struct sprat_model_options model;
    struct sprat_session_options session;
    if (!context)
        return sprat__fail(err, SPRAT_INVALID, "context: expected a context, found NULL");
    SPRAT_TRY(model_import_source(&from, source, err));
    SPRAT_TRY(sprat__import(&model, sizeof model, SPRAT__END_OF(sprat_model_options, progress_user),
                            model_options, "sprat_model_options", err));
    SPRAT_TRY(sprat__import(&session, sizeof session,
                            SPRAT__END_OF(sprat_session_options, reserved), session_options,
                            "sprat_session_options", err));
    return sprat__plan(plan, context, &from, &session, err);
}

sprat_status sprat_model_plan(sprat_plan *out, sprat_context *context, const sprat_source *source,
                              const sprat_model_options *model_options,
                              const sprat_session_options *session_options, sprat_error *err)
{
    struct sprat__err inner = {0};
    struct sprat_plan plan = {.size = sizeof plan};
    const size_t first = SPRAT__END_OF(sprat_plan, kv_bytes_per_token);
    sprat_status status = sprat__export_check(out, first, "sprat_plan", &inner);
    if (status != SPRAT_OK)
        return sprat__report(err, &inner, status);
    status = model_plan(&plan, context, source, model_options, session_options, &inner);
    if (status != SPRAT_OK)
        plan = (struct sprat_plan){.size = sizeof plan};
    (void)sprat__export(out, &plan, sizeof plan, first, "sprat_plan", &inner);
    return sprat__report(err, &inner, status);
}

static sprat_status model_open(sprat_model **out, sprat_context *context,
                               const sprat_source *source, const sprat_model_options *options,
                               struct sprat__err *err)
{
    struct sprat_source from;
    struct sprat_model_options imported;
    if (!out)
        return sprat__fail(err, SPRAT_INVALID, "out: expected an address, found NULL");
    *out = NULL;
    if (!context)
        return sprat__fail(err, SPRAT_INVALID, "context: expected a context, found NULL");
    SPRAT_TRY(model_import_source(&from, source, err));
    SPRAT_TRY(sprat__import(&imported, sizeof imported,
                            SPRAT__END_OF(sprat_model_options, progress_user), options,
                            "sprat_model_options", err));
    return sprat__model_create(out, context, &context->mem, &from, true, &imported, err);
}

sprat_status sprat_model_open(sprat_model **out, sprat_context *context, const sprat_source *source,
                              const sprat_model_options *options, sprat_error *err)
{
    struct sprat__err inner = {0};
    return sprat__report(err, &inner, model_open(out, context, source, options, &inner));
}

void sprat_model_close(sprat_model *model)
{
    if (model)
        sprat__model_drop(model);
}

sprat_status sprat_model_get_info(const sprat_model *model, sprat_model_info *info)
{
    struct sprat__err err = {0};
    if (!model)
        return SPRAT_INVALID;
    const struct sprat__model *inside = &model->model;
    struct sprat_model_info inner = {.size = sizeof inner, .bos = -1, .eos = -1};
    inner.architecture = model->arch;
    inner.name = model->name;
    inner.types = model->types;
    inner.n_parameters = inside->n_parameters;
    inner.file_bytes = inside->gguf.file_bytes;
    inner.mapped_bytes = inside->gguf.mapped_bytes;
    inner.heap_bytes =
        atomic_load(&model->mem.now) + sprat__block_bytes(1, sizeof(struct sprat_model));
    inner.n_layers = inside->config.n_layers;
    inner.n_embd = inside->config.n_embd;
    inner.n_vocab = inside->config.n_vocab;
    inner.n_ctx_train = inside->config.n_ctx_train;
    inner.n_meta = (uint32_t)inside->gguf.n_keys;
    inner.n_tensors = (uint32_t)inside->gguf.n_tensors;
    inner.has_weights = inside->family != NULL;
    if (inside->tokenizer) {
        const struct sprat__vocab *vocab = sprat__tokenizer_vocab(inside->tokenizer);
        inner.n_vocab = vocab->n_tokens;
        inner.bos = vocab->bos;
        inner.eos = vocab->eos;
        inner.add_bos = vocab->add_bos;
    }
    return sprat__export(info, &inner, sizeof inner, SPRAT__END_OF(sprat_model_info, types),
                         "sprat_model_info", &err);
}

/* ---- metadata */

static sprat_status model_export_meta(sprat_meta *out, const struct sprat_meta *meta)
{
    struct sprat__err err = {0};
    return sprat__export(out, meta, sizeof *meta, SPRAT__END_OF(sprat_meta, text_len), "sprat_meta",
                         &err);
}

sprat_status sprat_model_meta(const sprat_model *model, const char *key, sprat_meta *out)
{
    if (!model || !key)
        return SPRAT_INVALID;
    const struct sprat__gguf_key *entry = sprat__gguf_key(&model->model.gguf, key);
    if (!entry)
        return SPRAT_NOT_FOUND;
    struct sprat_meta meta;
    sprat__meta_of(&meta, entry);
    return model_export_meta(out, &meta);
}

sprat_status sprat_model_meta_at(const sprat_model *model, uint32_t index, sprat_meta *out)
{
    if (!model)
        return SPRAT_INVALID;
    if (index >= model->model.gguf.n_keys)
        return SPRAT_NOT_FOUND;
    struct sprat_meta meta;
    sprat__meta_of(&meta, &model->model.gguf.keys[index]);
    return model_export_meta(out, &meta);
}

sprat_status sprat_model_meta_item(const sprat_model *model, const char *key, uint64_t item,
                                   sprat_meta *out)
{
    if (!model || !key)
        return SPRAT_INVALID;
    const struct sprat__gguf_key *entry = sprat__gguf_key(&model->model.gguf, key);
    if (!entry)
        return SPRAT_NOT_FOUND;
    struct sprat_meta meta;
    if (entry->type != SPRAT__GGUF_ARRAY)
        return SPRAT_INVALID;
    if (!sprat__meta_item(&meta, entry, item))
        return SPRAT_NOT_FOUND;
    return model_export_meta(out, &meta);
}

/* ---- text */

static sprat_status model_tokenize(size_t *n_tokens, const sprat_model *model,
                                   const sprat_segment *segments, size_t n_segments, uint32_t flags,
                                   sprat_token *tokens, size_t capacity, struct sprat__err *err)
{
    if (!n_tokens)
        return sprat__fail(err, SPRAT_INVALID, "n_tokens: expected an address, found NULL");
    *n_tokens = 0;
    if (!model || (!segments && n_segments > 0) || (!tokens && capacity > 0))
        return sprat__fail(err, SPRAT_INVALID, "model, segments or tokens: found NULL");
    if (flags & ~(uint32_t)SPRAT_TOKENIZE_BOS)
        return sprat__fail(err, SPRAT_UNSUPPORTED, "flags: expected 0 or 1, found %u", flags);
    for (size_t i = 0; i < n_segments; i++) {
        if ((!segments[i].text && segments[i].len > 0) || segments[i].kind > SPRAT_TEXT_TEMPLATE ||
            segments[i].reserved != 0)
            return sprat__fail(err, SPRAT_INVALID,
                               "segment %zu: no text, or an unknown kind %u, or reserved not 0", i,
                               segments[i].kind);
    }
    if (!model->model.tokenizer)
        return sprat__fail(err, SPRAT_UNKNOWN_TOKENIZER, "the model file has no vocabulary");
    return sprat__tokenize(n_tokens, model->model.tokenizer, &model->context->mem, segments,
                           n_segments, flags, tokens, capacity, err);
}

sprat_status sprat_model_tokenize(size_t *n_tokens, const sprat_model *model,
                                  const sprat_segment *segments, size_t n_segments, uint32_t flags,
                                  sprat_token *tokens, size_t capacity, sprat_error *err)
{
    struct sprat__err inner = {0};
    return sprat__report(
        err, &inner,
        model_tokenize(n_tokens, model, segments, n_segments, flags, tokens, capacity, &inner));
}

static bool model_has_token(const sprat_model *model, sprat_token token)
{
    return token >= 0 && (uint32_t)token < sprat__tokenizer_vocab(model->model.tokenizer)->n_tokens;
}

sprat_status sprat_model_detokenize(size_t *n_bytes, size_t *n_open, const sprat_model *model,
                                    const sprat_token *tokens, size_t n_tokens, uint32_t flags,
                                    char *bytes, size_t capacity)
{
    if (n_open)
        *n_open = 0;
    if (!n_bytes)
        return SPRAT_INVALID;
    *n_bytes = 0;
    if (!model || (!tokens && n_tokens > 0) || (!bytes && capacity > 0))
        return SPRAT_INVALID;
    if (flags & ~(uint32_t)(SPRAT_DETOKENIZE_SPECIAL | SPRAT_DETOKENIZE_START))
        return SPRAT_UNSUPPORTED;
    if (!model->model.tokenizer)
        return SPRAT_UNKNOWN_TOKENIZER;
    for (size_t i = 0; i < n_tokens; i++) {
        if (!model_has_token(model, tokens[i]))
            return SPRAT_INVALID;
    }
    char tail[4]; /* the last bytes, to see whether a character is open */
    size_t n = 0, n_tail = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        size_t room = n < capacity ? capacity - n : 0;
        bool start = n == 0 && (flags & SPRAT_DETOKENIZE_START) != 0;
        n += sprat__token_bytes(model->model.tokenizer, tokens[i], flags, start,
                                room ? bytes + n : NULL, room);
    }
    *n_bytes = n;
    if (n > capacity)
        return SPRAT_BUFFER_TOO_SMALL;
    n_tail = n < sizeof tail ? n : sizeof tail;
    if (n_tail)
        memcpy(tail, bytes + n - n_tail, n_tail);
    if (n_open)
        *n_open = sprat__utf8_open(tail, n_tail);
    return SPRAT_OK;
}

sprat_status sprat_model_token_info(const sprat_model *model, sprat_token token,
                                    sprat_token_info *info)
{
    struct sprat__err err = {0};
    if (!model)
        return SPRAT_INVALID;
    if (!model->model.tokenizer)
        return SPRAT_UNKNOWN_TOKENIZER;
    if (!model_has_token(model, token))
        return SPRAT_INVALID;
    struct sprat_token_info inner = {.size = sizeof inner};
    sprat__token(model->model.tokenizer, token, &inner.text, &inner.text_len, &inner.type,
                 &inner.score);
    inner.is_end = sprat__token_is_end(model->model.tokenizer, token);
    return sprat__export(info, &inner, sizeof inner, SPRAT__END_OF(sprat_token_info, reserved),
                         "sprat_token_info", &err);
}

sprat_status sprat_model_find_token(sprat_token *token, const sprat_model *model, const char *text,
                                    size_t len)
{
    if (!token)
        return SPRAT_INVALID;
    *token = -1;
    if (!model || (!text && len > 0))
        return SPRAT_INVALID;
    if (!model->model.tokenizer)
        return SPRAT_UNKNOWN_TOKENIZER;
    *token = sprat__token_find(model->model.tokenizer, text, len);
    return *token >= 0 ? SPRAT_OK : SPRAT_NOT_FOUND;
}
