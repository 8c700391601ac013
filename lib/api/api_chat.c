/* The public entry points of chat: conversations imported, dialects chosen, prompts written, turned
 * into tokens and synced; the parser alone. Dialects are the chat module's. */
#include "api/import.h"
#include "chat/chat.h"
#include "engine/session.h"

#include <string.h>

/* A conversation taken over from the caller; its texts stay the caller's. */
struct chat_import {
    struct sprat__mem *mem;
    struct sprat_chat chat;
    struct sprat_message *messages;
    const struct sprat_message **list;
    struct sprat_tool_call *calls; /* of all messages */
    const struct sprat_tool_call **call_list;
};

static void chat_import_end(struct chat_import *import)
{
    sprat__free(import->mem, import->messages);
    sprat__free(import->mem, import->list);
    sprat__free(import->mem, import->calls);
    sprat__free(import->mem, import->call_list);
}

/* The calls of all messages, which are imported already. */
static sprat_status chat_import_calls(struct chat_import *import, struct sprat__err *err)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < import->chat.n_messages; i++) {
        const struct sprat_message *message = &import->messages[i];
        if (message->n_calls > 0 && !message->calls)
            return sprat__fail(err, SPRAT_INVALID, "messages[%zu].calls is NULL, n_calls is %zu", i,
                               message->n_calls);
        if (message->n_calls > SIZE_MAX - n)
            return sprat__fail(err, SPRAT_INVALID, "messages[%zu].n_calls is %zu", i,
                               message->n_calls);
        n += message->n_calls;
    }
    if (n == 0)
        return SPRAT_OK;
    import->calls = sprat__new(import->mem, n, sizeof *import->calls, SPRAT_PURPOSE_TEXT, err);
    import->call_list =
        sprat__new(import->mem, n, sizeof *import->call_list, SPRAT_PURPOSE_TEXT, err);
    if (!import->calls || !import->call_list)
        return err->status;
    for (size_t i = 0; i < import->chat.n_messages; i++) {
        struct sprat_message *message = &import->messages[i];
        const sprat_tool_call *const *calls = message->calls;
        message->calls = &import->call_list[at];
        for (size_t k = 0; k < message->n_calls; k++, at++) {
            if (!calls[k])
                return sprat__fail(err, SPRAT_INVALID, "messages[%zu].calls[%zu] is NULL", i, k);
            SPRAT_TRY(sprat__import(&import->calls[at], sizeof import->calls[at],
                                    SPRAT__END_OF(sprat_tool_call, arguments_len), calls[k],
                                    "sprat_tool_call", err));
            import->call_list[at] = &import->calls[at];
        }
    }
    return SPRAT_OK;
}

static sprat_status chat_import_messages(struct chat_import *import, struct sprat__err *err)
{
    struct sprat_chat *chat = &import->chat;
    size_t n = chat->n_messages;
    if (n > 0 && !chat->messages)
        return sprat__fail(err, SPRAT_INVALID, "chat.messages is NULL, n_messages is %zu", n);
    import->messages =
        sprat__new(import->mem, n, sizeof *import->messages, SPRAT_PURPOSE_TEXT, err);
    import->list = sprat__new(import->mem, n, sizeof *import->list, SPRAT_PURPOSE_TEXT, err);
    if (!import->messages || !import->list)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        if (!chat->messages[i])
            return sprat__fail(err, SPRAT_INVALID, "messages[%zu] is NULL", i);
        SPRAT_TRY(sprat__import(&import->messages[i], sizeof import->messages[i],
                                SPRAT__END_OF(sprat_message, reasoning_len), chat->messages[i],
                                "sprat_message", err));
        if (import->messages[i].reserved != 0)
            return sprat__fail(err, SPRAT_UNSUPPORTED,
                               "sprat_message.reserved: expected 0, found %u",
                               import->messages[i].reserved);
        import->list[i] = &import->messages[i];
    }
    chat->messages = import->list;
    return chat_import_calls(import, err);
}

static sprat_status chat_import_begin(struct chat_import *import, struct sprat__mem *mem,
                                      const sprat_chat *chat, struct sprat__err *err)
{
    memset(import, 0, sizeof *import);
    import->mem = mem;
    if (!chat)
        return sprat__fail(err, SPRAT_INVALID, "chat: expected a struct, found NULL");
    SPRAT_TRY(sprat__import(&import->chat, sizeof import->chat, SPRAT__END_OF(sprat_chat, reserved),
                            chat, "sprat_chat", err));
    if (import->chat.reserved != 0)
        return sprat__fail(err, SPRAT_UNSUPPORTED, "sprat_chat.reserved: expected 0, found %u",
                           import->chat.reserved);
    sprat_status status = chat_import_messages(import, err);
    if (status != SPRAT_OK)
        chat_import_end(import);
    return status;
}

static sprat_status chat_named_dialect(const struct sprat__dialect **out, const char *name,
                                       struct sprat__err *err)
{
    char quoted[64];
    *out = sprat__dialect_by_name(name);
    if (*out)
        return SPRAT_OK;
    return sprat__fail(err, SPRAT_UNKNOWN_TEMPLATE, "no dialect of this version is called \"%s\"",
                       sprat__quote(quoted, sizeof quoted, name, strlen(name)));
}

static sprat_status chat_model_dialect(const struct sprat__dialect **out, const sprat_model *model,
                                       struct sprat__err *err)
{
    const char *text = "";
    size_t len = 0;
    bool found;
    char quoted[80];
    *out = NULL;
    SPRAT_TRY(sprat__gguf_string(&model->model.gguf, "tokenizer.chat_template", &text, &len, &found,
                                 err));
    if (!found)
        return sprat__fail(err, SPRAT_UNKNOWN_TEMPLATE,
                           "the model has no tokenizer.chat_template; name a dialect");
    *out = sprat__dialect_by_template(text, len);
    if (*out)
        return SPRAT_OK;
    return sprat__fail(err, SPRAT_UNKNOWN_TEMPLATE,
                       "tokenizer.chat_template, %zu bytes, is none that this version knows; it "
                       "begins \"%s\"",
                       len, sprat__quote(quoted, sizeof quoted, text, len));
}

static sprat_status chat_find_dialect(const struct sprat__dialect **out, const sprat_model *model,
                                      const char *name, struct sprat__err *err)
{
    if (name)
        return chat_named_dialect(out, name, err);
    if (model)
        return chat_model_dialect(out, model, err);
    return sprat__fail(err, SPRAT_INVALID, "chat names no dialect and there is no model");
}

/* The conversation as segments. prompt: zero; empty after a failure. */
static sprat_status chat_write(struct sprat__prompt *prompt, struct sprat__mem *mem,
                               const struct sprat__dialect **dialect, const sprat_model *model,
                               const sprat_chat *chat, struct sprat__err *err)
{
    struct chat_import import;
    prompt->text.mem = mem;
    SPRAT_TRY(chat_import_begin(&import, mem, chat, err));
    sprat_status status = chat_find_dialect(dialect, model, import.chat.dialect, err);
    if (status == SPRAT_OK)
        status = sprat__chat_render(prompt, *dialect, &import.chat, err);
    chat_import_end(&import);
    return status;
}

sprat_status sprat_chat_dialect(const char **name, const sprat_model *model, sprat_error *err)
{
    struct sprat__err inner = {0};
    const struct sprat__dialect *dialect = NULL;
    if (!name || !model)
        return sprat__report(
            err, &inner,
            sprat__fail(&inner, SPRAT_INVALID, "name or model: expected an address, found NULL"));
    sprat_status status = chat_model_dialect(&dialect, model, &inner);
    *name = dialect ? sprat__dialect_name(dialect) : NULL;
    return sprat__report(err, &inner, status);
}

static sprat_status chat_render(sprat_context *context, const sprat_model *model,
                                const sprat_chat *chat, sprat_segment_fn emit, void *user,
                                struct sprat__err *err)
{
    struct sprat__prompt prompt = {0};
    const struct sprat__dialect *dialect;
    if (!emit || (!context && !model))
        return sprat__fail(err, SPRAT_INVALID, "%s is NULL",
                           emit ? "context, where there is no model," : "emit");
    struct sprat__mem *mem = context ? &context->mem : &model->context->mem;
    SPRAT_TRY(chat_write(&prompt, mem, &dialect, model, chat, err));
    sprat_status status = SPRAT_OK;
    for (size_t i = 0; i < prompt.n_segments && status == SPRAT_OK; i++)
        if (emit(user, &prompt.segments[i]) != 0)
            status = sprat__fail(err, SPRAT_CANCELLED, "emit stopped at segment %zu of %zu", i,
                                 prompt.n_segments);
    sprat__prompt_end(&prompt);
    return status;
}

sprat_status sprat_chat_render(sprat_context *context, const sprat_model *model,
                               const sprat_chat *chat, sprat_segment_fn emit, void *user,
                               sprat_error *err)
{
    struct sprat__err inner = {0};
    return sprat__report(err, &inner, chat_render(context, model, chat, emit, user, &inner));
}

static sprat_status chat_segments_to_tokens(size_t *n_tokens, const sprat_model *model,
                                            struct sprat__mem *mem,
                                            const struct sprat__prompt *prompt, sprat_token *tokens,
                                            size_t capacity, struct sprat__err *err)
{
    if (!model->model.tokenizer)
        return sprat__fail(err, SPRAT_UNKNOWN_TOKENIZER, "the model file has no vocabulary");
    return sprat__tokenize(n_tokens, model->model.tokenizer, mem, prompt->segments,
                           prompt->n_segments, 0, tokens, capacity, err);
}

sprat_status sprat_chat_tokenize(size_t *n_tokens, const sprat_model *model, const sprat_chat *chat,
                                 sprat_token *tokens, size_t capacity, sprat_error *err)
{
    struct sprat__err inner = {0};
    struct sprat__prompt prompt = {0};
    const struct sprat__dialect *dialect;
    if (n_tokens)
        *n_tokens = 0;
    if (!n_tokens || !model || (!tokens && capacity > 0))
        return sprat__report(err, &inner,
                             sprat__fail(&inner, SPRAT_INVALID,
                                         "n_tokens, model or tokens: expected an address, found "
                                         "NULL"));
    struct sprat__mem *mem = &model->context->mem;
    sprat_status status = chat_write(&prompt, mem, &dialect, model, chat, &inner);
    if (status == SPRAT_OK)
        status = chat_segments_to_tokens(n_tokens, model, mem, &prompt, tokens, capacity, &inner);
    sprat__prompt_end(&prompt);
    return sprat__report(err, &inner, status);
}

/* The prompt's tokens, counted first; *tokens is the caller's to wipe and free. */
static sprat_status chat_prompt_tokens(sprat_token **tokens, size_t *n_tokens,
                                       struct sprat_session *session,
                                       const struct sprat__prompt *prompt)
{
    struct sprat__mem *mem = &session->mem;
    struct sprat__err *err = &session->err;
    /* Counting ends in BUFFER_TOO_SMALL, which is not a failure that the session should tell of. */
    struct sprat__err counted = {0};
    *tokens = NULL;
    sprat_status status =
        chat_segments_to_tokens(n_tokens, session->model, mem, prompt, NULL, 0, &counted);
    if (status != SPRAT_OK && status != SPRAT_BUFFER_TOO_SMALL) {
        *err = counted;
        return status;
    }
    *tokens = sprat__new_raw(mem, *n_tokens, sizeof **tokens, SPRAT_PURPOSE_TEXT, err);
    if (!*tokens)
        return err->status;
    return chat_segments_to_tokens(n_tokens, session->model, mem, prompt, *tokens, *n_tokens, err);
}

static sprat_status chat_sync(struct sprat_session *session, const struct sprat__dialect *dialect,
                              const struct sprat__prompt *prompt, size_t *n_reused)
{
    struct sprat__parser *parser = NULL;
    sprat_token *tokens;
    size_t n_tokens;
    sprat_status status = chat_prompt_tokens(&tokens, &n_tokens, session, prompt);
    if (status == SPRAT_OK)
        status = sprat__parser_create(&parser, &session->mem, dialect, prompt->in_reasoning,
                                      &session->err);
    if (status == SPRAT_OK)
        status = sprat__session_sync(session, tokens, n_tokens, n_reused);
    sprat__wipe_free(&session->mem, tokens);
    if (status == SPRAT_OK)
        sprat__answer_parse(session, parser);
    else
        sprat__parser_destroy(parser);
    return status;
}

sprat_status sprat_session_chat(size_t *n_reused, sprat_session *session, const sprat_chat *chat)
{
    struct sprat__prompt prompt = {0};
    const struct sprat__dialect *dialect;
    if (n_reused)
        *n_reused = 0;
    if (!session)
        return SPRAT_INVALID;
    SPRAT_TRY(chat_write(&prompt, &session->mem, &dialect, session->model, chat, &session->err));
    sprat_status status = chat_sync(session, dialect, &prompt, n_reused);
    sprat__prompt_end(&prompt);
    return status;
}

/* ---- the parser alone ---- */

struct sprat_chat_parser {
    struct sprat_context *context;
    struct sprat__parser *parser;
};

static sprat_status chat_parser_create(sprat_chat_parser **out, sprat_context *context,
                                       const char *name, uint32_t in_reasoning,
                                       struct sprat__err *err)
{
    const struct sprat__dialect *dialect;
    if (!out)
        return sprat__fail(err, SPRAT_INVALID, "out: expected an address, found NULL");
    *out = NULL;
    if (!context || !name)
        return sprat__fail(err, SPRAT_INVALID, "%s is NULL", context ? "dialect" : "context");
    if (in_reasoning > 1)
        return sprat__fail(err, SPRAT_INVALID, "in_reasoning is %u, expected 0 or 1",
                           (unsigned)in_reasoning);
    SPRAT_TRY(chat_named_dialect(&dialect, name, err));
    sprat_chat_parser *parser =
        sprat__new(&context->mem, 1, sizeof *parser, SPRAT_PURPOSE_TEXT, err);
    if (!parser)
        return err->status;
    sprat_status status =
        sprat__parser_create(&parser->parser, &context->mem, dialect, in_reasoning == 1, err);
    if (status != SPRAT_OK) {
        sprat__free(&context->mem, parser);
        return status;
    }
    parser->context = context;
    sprat__context_hold(context);
    *out = parser;
    return SPRAT_OK;
}

sprat_status sprat_chat_parser_create(sprat_chat_parser **out, sprat_context *context,
                                      const char *dialect, uint32_t in_reasoning, sprat_error *err)
{
    struct sprat__err inner = {0};
    return sprat__report(err, &inner,
                         chat_parser_create(out, context, dialect, in_reasoning, &inner));
}

void sprat_chat_parser_destroy(sprat_chat_parser *parser)
{
    if (!parser)
        return;
    struct sprat_context *context = parser->context;
    sprat__parser_destroy(parser->parser);
    sprat__free(&context->mem, parser);
    sprat__context_drop(context);
}

sprat_status sprat_chat_parser_feed(sprat_chat_parser *parser, const char *text, size_t len,
                                    uint32_t last)
{
    struct sprat__err err;
    if (!parser || (!text && len > 0) || last > 1)
        return SPRAT_INVALID;
    return sprat__parser_feed(parser->parser, text, len, last == 1, &err);
}

sprat_status sprat_chat_parser_next(sprat_chat_parser *parser, sprat_event *event)
{
    struct sprat__err err;
    struct sprat_event inner = {.size = sizeof inner};
    if (!parser)
        return SPRAT_INVALID;
    SPRAT_TRY(
        sprat__export_check(event, SPRAT__END_OF(sprat_event, n_generated), "sprat_event", &err));
    if (!sprat__parser_next(parser->parser, &inner))
        return SPRAT_NOT_FOUND;
    return sprat__export(event, &inner, sizeof inner, SPRAT__END_OF(sprat_event, n_generated),
                         "sprat_event", &err);
}
