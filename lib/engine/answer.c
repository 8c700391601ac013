/* Owns the answer: choosing tokens, turning them into text, ending. Invariant: the token chosen
 * last is not in the session until the next one is wanted or max_tokens ends the answer, so that
 * the model's own end is never computed for nothing, and a token is chosen again, the same, where
 * anything after the choice failed. */
#include "engine/session.h"

#include <string.h>

/* The longest stop text, held back by the stops; room that answers need in all known vocabularies,
 * whose tokens have a few hundred bytes at most. */
enum { ANSWER_HELD_BYTES = 256, ANSWER_ROOM = 2048 };

sprat_status sprat__answer_init(struct sprat_session *session, struct sprat__err *err)
{
    struct sprat__answer *answer = &session->answer;
    answer->pending = -1;
    answer->bytes.mem = answer->text.mem = &session->mem;
    SPRAT_TRY(sprat__buffer_reserve(&answer->bytes, ANSWER_ROOM, err));
    return sprat__buffer_reserve(&answer->text, ANSWER_ROOM, err);
}

size_t sprat__answer_bytes(void)
{
    return 2 * sprat__block_bytes(ANSWER_ROOM, 1);
}

sprat_status sprat__answer_set_sampling(struct sprat_session *session,
                                        const struct sprat_sampling *sampling)
{
    struct sprat__err *err = &session->err;
    struct sprat__sampler *sampler = NULL;
    struct sprat__stops *stops = NULL;
    uint32_t n_vocab = session->model->model.config.n_vocab;
    SPRAT_TRY(sprat__sampler_create(&sampler, &session->mem, session->step.kernels, sampling,
                                    n_vocab, err));
    if (sampling && sampling->n_stops > 0 &&
        sprat__stops_create(&stops, &session->mem, sampling->stops, sampling->n_stops, err) !=
            SPRAT_OK) {
        sprat__sampler_destroy(sampler);
        return err->status;
    }
    if (session->answer.active)
        sprat__answer_parse(session, NULL);
    sprat__sampler_destroy(session->sampler);
    sprat__stops_destroy(session->answer.stops);
    session->sampler = sampler;
    session->answer.stops = stops;
    return SPRAT_OK;
}

static void answer_end(struct sprat__answer *answer)
{
    answer->active = false;
    answer->bytes.len = 0;
    answer->text.len = 0;
    answer->n_text_out = 0;
}

void sprat__answer_drop(struct sprat_session *session)
{
    answer_end(&session->answer);
    session->answer.pending = -1;
}

void sprat__answer_parse(struct sprat_session *session, struct sprat__parser *parser)
{
    sprat__answer_drop(session);
    sprat__parser_destroy(session->answer.parser);
    session->answer.parser = parser;
}

static sprat_status answer_begin(struct sprat_session *session)
{
    struct sprat__answer *answer = &session->answer;
    if (!session->model->model.tokenizer)
        return sprat__fail(&session->err, SPRAT_UNKNOWN_TOKENIZER,
                           "the model file has no vocabulary: sample tokens instead");
    if (session->n_tokens == 0)
        return sprat__fail(&session->err, SPRAT_STATE, "the session is empty: sync a prompt first");
    answer->active = true;
    answer->stops_closed = answer->text_closed = answer->usage_told = false;
    answer->reason = 0;
    answer->n_prompt = session->n_tokens + (answer->pending >= 0);
    answer->n_generated = 0;
    if (answer->stops)
        sprat__stops_reset(answer->stops);
    return SPRAT_OK;
}

/* In a chat, a token that opens another turn ends the answer: the model has run on. */
static bool answer_opens_turn(const struct sprat__tokenizer *tokenizer, sprat_token token)
{
    static const char *const openers[] = {"<｜User｜>", "<|im_start|>", "<|start_header_id|>"};
    const char *text;
    size_t len;
    uint32_t type;
    float score;
    sprat__token(tokenizer, token, &text, &len, &type, &score);
    if (type == SPRAT_TOKEN_NORMAL)
        return false;
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
        if (strlen(openers[i]) == len && memcmp(openers[i], text, len) == 0)
            return true;
    }
    return false;
}

static bool answer_is_end(const struct sprat_session *session, sprat_token token)
{
    const struct sprat__tokenizer *tokenizer = session->model->model.tokenizer;
    if (sprat__sampler_settings(session->sampler)->ignore_end)
        return false;
    return sprat__token_is_end(tokenizer, token) ||
           (session->answer.parser && answer_opens_turn(tokenizer, token));
}

/* The token's bytes become answer->bytes. None begins a text: the prompt stands before them all, so
 * a space that SentencePiece puts before a word is part of the answer. */
static sprat_status answer_spell(struct sprat_session *session, sprat_token token)
{
    struct sprat__answer *answer = &session->answer;
    const struct sprat__tokenizer *tokenizer = session->model->model.tokenizer;
    uint32_t flags = answer->parser ? SPRAT_DETOKENIZE_SPECIAL : 0;
    size_t n = sprat__token_bytes(tokenizer, token, flags, false, NULL, 0);
    answer->bytes.len = 0;
    SPRAT_TRY(sprat__buffer_reserve(&answer->bytes, n, &session->err));
    sprat__token_bytes(tokenizer, token, flags, false, answer->bytes.data, n);
    answer->bytes.len = n;
    return SPRAT_OK;
}

/* One more token, or the reason why there is none. */
static sprat_status answer_choose(struct sprat_session *session)
{
    struct sprat__answer *answer = &session->answer;
    if (answer->pending >= 0) {
        if (session->n_tokens == session->shape.n_ctx) {
            answer->reason = SPRAT_DONE_CONTEXT;
            return SPRAT_OK;
        }
        SPRAT_TRY(sprat__session_append(session, &answer->pending, 1));
        answer->pending = -1;
    }
    SPRAT_TRY(sprat__session_last_logits(session));
    sprat_token token;
    SPRAT_TRY(sprat__sampler_choose(session->sampler, session->logits, session->tokens,
                                    session->n_tokens, &token, &session->err));
    if (answer_is_end(session, token)) {
        answer->n_generated++;
        answer->reason = SPRAT_DONE_END;
        return SPRAT_OK;
    }
    SPRAT_TRY(answer_spell(session, token));
    answer->n_generated++;
    answer->pending = token;
    uint32_t max_tokens = sprat__sampler_settings(session->sampler)->max_tokens;
    if (max_tokens > 0 && answer->n_generated >= max_tokens)
        answer->reason = SPRAT_DONE_LENGTH;
    return SPRAT_OK;
}

/* bytes → stops → text. */
static sprat_status answer_filter(struct sprat_session *session)
{
    struct sprat__answer *answer = &session->answer;
    bool last = answer->reason != 0, stopped = false;
    const char *out = answer->bytes.data;
    size_t n = answer->bytes.len;
    SPRAT_TRY(sprat__buffer_reserve(&answer->text, n + ANSWER_HELD_BYTES, &session->err));
    if (answer->stops)
        SPRAT_TRY(sprat__stops_feed(answer->stops, answer->bytes.data, n, last, &out, &n, &stopped,
                                    &session->err));
    SPRAT_TRY(sprat__buffer_add(&answer->text, out, n, &session->err));
    answer->bytes.len = 0;
    answer->stops_closed = last || stopped;
    if (stopped) {
        answer->reason = SPRAT_DONE_STOP;
        answer->pending = -1;
    }
    return SPRAT_OK;
}

/* text → parser, or straight to the host: *n bytes from n_text_out on may go out. */
static sprat_status answer_release(struct sprat_session *session, size_t *n)
{
    struct sprat__answer *answer = &session->answer;
    const char *text = answer->text.len ? answer->text.data + answer->n_text_out : "";
    *n = answer->text.len - answer->n_text_out;
    if (!answer->stops_closed)
        *n -= sprat__utf8_open(text, *n);
    if (answer->parser && (*n > 0 || answer->stops_closed)) {
        SPRAT_TRY(
            sprat__parser_feed(answer->parser, text, *n, answer->stops_closed, &session->err));
        answer->n_text_out += *n;
        *n = 0;
    }
    answer->text_closed = answer->stops_closed;
    return SPRAT_OK;
}

/* Moves the pipeline by one stage; *told: event is set. */
static sprat_status answer_advance(struct sprat_session *session, struct sprat_event *event,
                                   bool *told)
{
    struct sprat__answer *answer = &session->answer;
    if (answer->n_text_out > 0) { /* what the host has seen may go */
        answer->text.len -= answer->n_text_out;
        memmove(answer->text.data, answer->text.data + answer->n_text_out, answer->text.len);
        answer->n_text_out = 0;
    }
    if (answer->reason == 0 && answer->bytes.len == 0)
        SPRAT_TRY(answer_choose(session));
    if (!answer->stops_closed)
        SPRAT_TRY(answer_filter(session));
    size_t n;
    SPRAT_TRY(answer_release(session, &n));
    if (n > 0) {
        event->type = SPRAT_EVENT_TEXT;
        event->text = answer->text.data;
        event->text_len = n;
        answer->n_text_out = n;
        *told = true;
    }
    return SPRAT_OK;
}

static sprat_status answer_close(struct sprat_session *session, struct sprat_event *event)
{
    struct sprat__answer *answer = &session->answer;
    /* What was cut by max_tokens can be gone on with: the session holds all that was told. */
    if (answer->reason == SPRAT_DONE_LENGTH && answer->pending >= 0 &&
        session->n_tokens < session->shape.n_ctx) {
        SPRAT_TRY(sprat__session_append(session, &answer->pending, 1));
        answer->pending = -1;
    }
    if (!answer->usage_told) {
        event->type = SPRAT_EVENT_USAGE;
        event->n_prompt = answer->n_prompt;
        event->n_reused = session->n_reused;
        event->n_generated = answer->n_generated;
        answer->usage_told = true;
        return SPRAT_OK;
    }
    event->type = SPRAT_EVENT_DONE;
    event->reason = answer->reason;
    answer_end(answer);
    sprat__parser_destroy(answer->parser);
    answer->parser = NULL;
    return SPRAT_OK;
}

sprat_status sprat__answer_next(struct sprat_session *session, struct sprat_event *event)
{
    struct sprat__answer *answer = &session->answer;
    if (!answer->active)
        SPRAT_TRY(answer_begin(session));
    for (;;) {
        bool told = false;
        memset(event, 0, sizeof *event);
        event->size = sizeof *event;
        if (answer->parser && sprat__parser_next(answer->parser, event)) {
            if (event->type != SPRAT_EVENT_DONE)
                return SPRAT_OK;
            continue;
        }
        if (answer->text_closed)
            return answer_close(session, event);
        SPRAT_TRY(answer_advance(session, event, &told));
        if (told)
            return SPRAT_OK;
    }
}
