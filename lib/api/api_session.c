/* The public entry points of a session. Every failure's reason stays in the session. */
#include "api/import.h"
#include "engine/session.h"

#include <string.h>

static sprat_status session_open(sprat_session **out, sprat_model *model,
                                 const sprat_session_options *options, struct sprat__err *err)
{
    struct sprat_session_options imported;
    if (!out)
        return sprat__fail(err, SPRAT_INVALID, "out: expected an address, found NULL");
    *out = NULL;
    if (!model)
        return sprat__fail(err, SPRAT_INVALID, "model: expected a model, found NULL");
    SPRAT_TRY(sprat__import(&imported, sizeof imported,
                            SPRAT__END_OF(sprat_session_options, reserved), options,
                            "sprat_session_options", err));
    return sprat__session_create(out, model, &imported, err);
}

sprat_status sprat_session_create(sprat_session **out, sprat_model *model,
                                  const sprat_session_options *options, sprat_error *err)
{
    struct sprat__err inner = {0};
    return sprat__report(err, &inner, session_open(out, model, options, &inner));
}

sprat_status sprat_session_fork(sprat_session **out, const sprat_session *session, sprat_error *err)
{
    struct sprat__err inner = {0};
    if (out)
        *out = NULL;
    if (!out || !session)
        return sprat__report(err, &inner,
                             sprat__fail(&inner, SPRAT_INVALID, "%s: expected %s, found NULL",
                                         out ? "session" : "out",
                                         out ? "a session" : "an address"));
    return sprat__report(err, &inner, sprat__session_fork(out, session, &inner));
}

void sprat_session_destroy(sprat_session *session)
{
    if (session)
        sprat__session_destroy(session);
}

const char *sprat_session_error(const sprat_session *session)
{
    return session ? session->err.message : "";
}

/* The reason of a call that was refused at the door. */
static sprat_status session_refuse(sprat_session *session, const char *what)
{
    if (!session)
        return SPRAT_INVALID;
    return sprat__fail(&session->err, SPRAT_INVALID, "%s", what);
}

sprat_status sprat_session_reserve(sprat_session *session, size_t n_tokens)
{
    return session ? sprat__session_reserve(session, n_tokens) : SPRAT_INVALID;
}

sprat_status sprat_session_sync(size_t *n_reused, sprat_session *session, const sprat_token *tokens,
                                size_t n)
{
    if (n_reused)
        *n_reused = 0;
    if (!session || (!tokens && n > 0))
        return session_refuse(session, "tokens: expected ids, found NULL");
    return sprat__session_sync(session, tokens, n, n_reused);
}

sprat_status sprat_session_append(sprat_session *session, const sprat_token *tokens, size_t n)
{
    if (!session || (!tokens && n > 0))
        return session_refuse(session, "tokens: expected ids, found NULL");
    SPRAT_TRY(sprat__session_append(session, tokens, n));
    sprat__answer_parse(session, NULL);
    return SPRAT_OK;
}

sprat_status sprat_session_accept(sprat_session *session, sprat_token token)
{
    return sprat_session_append(session, &token, 1);
}

sprat_status sprat_session_tokens(size_t *n_tokens, const sprat_session *session,
                                  sprat_token *tokens, size_t capacity)
{
    if (!n_tokens)
        return SPRAT_INVALID;
    *n_tokens = 0;
    if (!session || (!tokens && capacity > 0))
        return SPRAT_INVALID;
    *n_tokens = session->n_tokens;
    if (session->n_tokens > capacity)
        return SPRAT_BUFFER_TOO_SMALL;
    if (session->n_tokens > 0)
        memcpy(tokens, session->tokens, session->n_tokens * sizeof *tokens);
    return SPRAT_OK;
}

sprat_status sprat_session_logits(sprat_session *session, const size_t *positions, size_t n,
                                  float *logits, size_t n_floats)
{
    if (!session || (n > 0 && (!positions || !logits)))
        return session_refuse(session, "positions or logits: found NULL");
    size_t n_vocab = session->model->model.config.n_vocab;
    if (n > n_floats / n_vocab)
        return sprat__fail(&session->err, SPRAT_INVALID,
                           "logits: expected room for %zu rows of %zu, found %zu floats", n,
                           n_vocab, n_floats);
    return sprat__session_logits(session, positions, n, logits);
}

sprat_status sprat_session_set_sampling(sprat_session *session, const sprat_sampling *sampling)
{
    struct sprat_sampling imported;
    if (!session)
        return SPRAT_INVALID;
    SPRAT_TRY(sprat__import(&imported, sizeof imported, SPRAT__END_OF(sprat_sampling, reserved),
                            sampling, "sprat_sampling", &session->err));
    return sprat__answer_set_sampling(session, &imported);
}

sprat_status sprat_session_sample(sprat_session *session, sprat_sample *out)
{
    if (!session)
        return SPRAT_INVALID;
    struct sprat_sample inner = {.size = sizeof inner};
    SPRAT_TRY(sprat__session_last_logits(session));
    SPRAT_TRY(sprat__sampler_draw(session->sampler, session->logits, session->tokens,
                                  session->n_tokens, &inner, &session->err));
    return sprat__export(out, &inner, sizeof inner, SPRAT__END_OF(sprat_sample, top_logprobs),
                         "sprat_sample", &session->err);
}

sprat_status sprat_session_rewind(sprat_session *session, size_t n_tokens)
{
    if (!session)
        return SPRAT_INVALID;
    SPRAT_TRY(sprat__session_rewind(session, n_tokens));
    sprat__answer_parse(session, NULL);
    return SPRAT_OK;
}

sprat_status sprat_session_next(sprat_session *session, sprat_event *event)
{
    if (!session)
        return SPRAT_INVALID;
    struct sprat_event inner;
    /* The event must be fit to receive before anything is told through it. */
    SPRAT_TRY(sprat__export_check(event, SPRAT__END_OF(sprat_event, n_generated), "sprat_event",
                                  &session->err));
    SPRAT_TRY(sprat__answer_next(session, &inner));
    return sprat__export(event, &inner, sizeof inner, SPRAT__END_OF(sprat_event, n_generated),
                         "sprat_event", &session->err);
}

void sprat_session_cancel(sprat_session *session, int32_t on)
{
    if (session)
        atomic_store_explicit(&session->cancel, on ? 1 : 0, memory_order_release);
}

sprat_status sprat_session_get_stats(const sprat_session *session, sprat_session_stats *stats)
{
    struct sprat__err err = {0};
    if (!session)
        return SPRAT_INVALID;
    struct sprat_session_stats inner = session->stats;
    sprat__session_stats(session, &inner);
    return sprat__export(stats, &inner, sizeof inner, SPRAT__END_OF(sprat_session_stats, kv_bytes),
                         "sprat_session_stats", &err);
}

size_t sprat_session_context_left(const sprat_session *session)
{
    return session ? session->shape.n_ctx - session->n_tokens : 0;
}
