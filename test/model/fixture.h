/* What the tests of sessions share: a model of the repository, opened, and sessions on it. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <check.h>
#include <sprat/sprat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    sprat_context *context;
    sprat_model *model;
    size_t n_vocab;
};

static inline sprat_source fixture_source(const char *path)
{
    sprat_source source;
    sprat_init(&source, sizeof source);
    source.path = path;
    return source;
}

static inline struct fixture fixture_open(const char *path, const sprat_context_options *options)
{
    struct fixture fixture;
    sprat_error error;
    sprat_model_info info;
    sprat_init(&error, sizeof error);
    sprat_init(&info, sizeof info);
    ck_assert_msg(sprat_context_create(&fixture.context, options, &error) == SPRAT_OK, "%s",
                  error.message);
    sprat_source source = fixture_source(path);
    ck_assert_msg(sprat_model_open(&fixture.model, fixture.context, &source, NULL, &error) ==
                      SPRAT_OK,
                  "%s", error.message);
    ck_assert_int_eq(sprat_model_get_info(fixture.model, &info), SPRAT_OK);
    fixture.n_vocab = info.n_vocab;
    return fixture;
}

static inline void fixture_close(struct fixture *fixture)
{
    sprat_model_close(fixture->model);
    sprat_context_destroy(fixture->context);
}

static inline sprat_session *fixture_session(const struct fixture *fixture, uint32_t n_ctx,
                                             uint32_t kv_type)
{
    sprat_session *session;
    sprat_session_options options;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&error, sizeof error);
    options.n_ctx = n_ctx;
    options.n_chunk = 32;
    options.kv_type = kv_type;
    ck_assert_msg(sprat_session_create(&session, fixture->model, &options, &error) == SPRAT_OK,
                  "%s", error.message);
    return session;
}

/* A sequence of ids that depends on seed. */
static inline void fixture_tokens(sprat_token *tokens, size_t n, size_t n_vocab, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        tokens[i] = (sprat_token)((seed >> 8) % n_vocab);
    }
}

/* Logits after the last token; the caller frees. */
static inline float *fixture_last(const struct fixture *fixture, sprat_session *session)
{
    size_t n;
    sprat_session_tokens(&n, session, NULL, 0);
    size_t last = n - 1;
    float *logits = malloc(fixture->n_vocab * sizeof *logits);
    ck_assert_msg(sprat_session_logits(session, &last, 1, logits, fixture->n_vocab) == SPRAT_OK,
                  "%s", sprat_session_error(session));
    return logits;
}

#endif
