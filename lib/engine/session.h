/* What a session is inside: tokens, cache, scratch, sampler, and the answer under way. open.c:
 * models opened and planned. session.c: tokens in and out of the cache. answer.c: the answer as
 * events. Fields are changed only where a call can no longer fail. */
#ifndef SPRAT__SESSION_H
#define SPRAT__SESSION_H

#include "cache/kv.h"
#include "chat/chat.h"
#include "engine/context.h"
#include "model/step.h"
#include "sample/sampler.h"

struct sprat_model {
    struct sprat__model model;
    struct sprat_context *context;
    struct sprat__mem mem; /* the model's own account, a part of parent */
    struct sprat__mem *parent;
    _Atomic uint32_t n_references;
    char *arch, *name, *types; /* NUL-terminated, for info */
};

/* source, options: imported. load: whether callback sources' weights are read. parent: the
 * context's account, or one that a plan counts with. The model holds the context. */
sprat_status sprat__model_create(struct sprat_model **out, struct sprat_context *context,
                                 struct sprat__mem *parent, const struct sprat_source *source,
                                 bool load, const struct sprat_model_options *options,
                                 struct sprat__err *err);
/* options: imported; model options come as defaults. */
sprat_status sprat__plan(struct sprat_plan *out, struct sprat_context *context,
                         const struct sprat_source *source,
                         const struct sprat_session_options *options, struct sprat__err *err);
void sprat__model_hold(struct sprat_model *model);
void sprat__model_drop(struct sprat_model *model);

/* Session options with every default decided. */
struct sprat__session_shape {
    size_t n_ctx, n_chunk, n_kept;
    uint32_t element_bytes; /* of the cache */
    bool int8;              /* numerics INT8; else F32 */
};

/* INVALID, UNSUPPORTED, NO_WEIGHTS. options: imported. */
sprat_status sprat__session_shape(struct sprat__session_shape *shape,
                                  const struct sprat__model *model,
                                  const struct sprat_session_options *options,
                                  struct sprat__err *err);

/* Bytes the allocator is asked for by one session that is full; of these, the cache's. BAD_CONFIG
 * where they do not fit. */
sprat_status sprat__session_bytes(const struct sprat__model *model,
                                  const struct sprat__session_shape *shape, uint64_t *all,
                                  uint64_t *cache, struct sprat__err *err);

/* An answer under way: a pipeline of token → bytes → stops → text → whole characters, or parser →
 * events. Each stage has made room before the one in front of it lets go, so that a failure loses
 * nothing and the next call goes on. */
struct sprat__answer {
    bool active;
    bool stops_closed; /* nothing more comes out of the stops */
    bool text_closed;  /* nothing more goes to the parser or the host */
    bool usage_told;
    int32_t reason;      /* SPRAT_DONE_*, 0 while it goes on */
    sprat_token pending; /* chosen, but not yet in the session; -1: none */
    uint64_t n_prompt, n_generated;
    struct sprat__stops *stops;   /* NULL: none are set */
    struct sprat__parser *parser; /* NULL: raw text */
    struct sprat__buffer bytes;   /* of the last token, before the stops */
    struct sprat__buffer text;    /* what the stops let go */
    size_t n_text_out;            /* of text, already handed on */
};

struct sprat_session {
    struct sprat_model *model;
    struct sprat__mem mem; /* the session's own account, a part of the context's */
    struct sprat__err err;
    struct sprat__session_shape shape;
    struct sprat__kv kv;
    sprat_token *tokens;
    size_t n_tokens, token_capacity;
    void *scratch;             /* one block; the pointers below and in step point into it */
    struct sprat__step step;   /* buffers; position and n are set for each step */
    float *kept;               /* n_kept rows: residual stream after the last layer, by position */
    size_t kept_from, kept_to; /* positions whose rows are in kept */
    float *gathered;           /* n_gathered rows of these, on their way to logits */
    size_t n_gathered;
    float *logits;    /* n_vocab, of position logits_at */
    size_t logits_at; /* SIZE_MAX: none */
    struct sprat__sampler *sampler;
    struct sprat__answer answer;
    uint64_t n_reused; /* by the last sync */
    _Atomic int32_t cancel;
    struct sprat_session_stats stats; /* counts and times only */
};

sprat_status sprat__session_create(struct sprat_session **out, struct sprat_model *model,
                                   const struct sprat_session_options *options,
                                   struct sprat__err *err);
/* A session that holds what from holds, and no answer under way. */
sprat_status sprat__session_fork(struct sprat_session **out, const struct sprat_session *from,
                                 struct sprat__err *err);
void sprat__session_destroy(struct sprat_session *session);

/* Fills in what is not counted as it happens. */
void sprat__session_stats(const struct sprat_session *session, struct sprat_session_stats *stats);

/* The calls of the API, with the reason of a failure in session->err. */
sprat_status sprat__session_reserve(struct sprat_session *session, size_t n_tokens);
/* n_reused, if not NULL, is set once the session is cut back to the tokens it shares. */
sprat_status sprat__session_sync(struct sprat_session *session, const sprat_token *tokens, size_t n,
                                 size_t *n_reused);
sprat_status sprat__session_append(struct sprat_session *session, const sprat_token *tokens,
                                   size_t n);
sprat_status sprat__session_rewind(struct sprat_session *session, size_t n_tokens);
/* Rows of logits into out, n_vocab apart. Positions are checked. */
sprat_status sprat__session_logits(struct sprat_session *session, const size_t *positions, size_t n,
                                   float *out);
/* Makes session->logits those after the last token. STATE if there is none. */
sprat_status sprat__session_last_logits(struct sprat_session *session);

/* answer.c */
/* Takes the answer's buffers, of sprat__answer_bytes, so that no event allocates in ordinary use.
 */
sprat_status sprat__answer_init(struct sprat_session *session, struct sprat__err *err);
size_t sprat__answer_bytes(void);
sprat_status sprat__answer_set_sampling(struct sprat_session *session,
                                        const struct sprat_sampling *sampling);
/* Ends the answer under way; the host has changed the session. */
void sprat__answer_drop(struct sprat_session *session);
/* The next answer is read by parser, which becomes the session's; NULL: it is raw text. */
void sprat__answer_parse(struct sprat_session *session, struct sprat__parser *parser);
sprat_status sprat__answer_next(struct sprat_session *session, struct sprat_event *event);

#endif
