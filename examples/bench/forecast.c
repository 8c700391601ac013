/* How fast a model would be here, from some of its layers: those are computed for real, with
 * weights made up (stage.c), and their time is multiplied. Owns the choice of layers and the
 * measuring. Invariant: what a token reads is far more than the caches hold, or all of the model.
 */
#include "outline.h"
#include "probe.h"

#include "engine/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORECAST_ROUNDS = 4, FORECAST_STEPS = 64 };

/* A kind of layers takes about so long in all; one round's steps take the other. */
static const double forecast_seconds = 0.7, steps_seconds = 0.08;

/* Times of one slice: chunks of a prompt, tokens, and rows of logits. */
struct slice_times {
    double chunks[FORECAST_ROUNDS];
    double steps[FORECAST_STEPS], logits[FORECAST_STEPS];
    size_t n_chunks, n_steps;
    uint32_t chunk; /* tokens of one */
};

struct slicing {
    const struct forecast_ask *ask;
    sprat_error *error;
    sprat_session *session;
    float *logits;
    sprat_token *tokens; /* of a chunk */
    size_t n_vocab;
    uint32_t chunk;
};

static int compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle_of(double *seconds, size_t n)
{
    qsort(seconds, n, sizeof *seconds, compare_seconds);
    return n ? (seconds[(n - 1) / 2] + seconds[n / 2]) / 2 : 0;
}

/* Makes the session one of depth tokens, with numbers in the cache that nobody has computed. */
static sprat_status pretend_tokens(sprat_session *session, size_t depth, size_t more)
{
    sprat_status status = sprat_session_reserve(session, depth + more);
    if (status != SPRAT_OK)
        return status;
    for (size_t i = 0; i < session->kv.n_pages; i++)
        memset(session->kv.pages[i], 0x2c, session->kv.page_bytes);
    if (depth > 0)
        memset(session->tokens, 0, depth * sizeof *session->tokens);
    session->n_tokens = depth;
    session->kept_from = session->kept_to = depth;
    session->logits_at = SIZE_MAX;
    return SPRAT_OK;
}

static sprat_status slice_failed(struct slicing *s, sprat_status status)
{
    (void)snprintf(s->error->message, sizeof s->error->message, "%s",
                   sprat_session_error(s->session));
    return status;
}

static sprat_token largest_place(const float *row, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (row[i] > row[best])
            best = i;
    return (sprat_token)best;
}

/* A chunk in the middle of the prompt stands for all of them: what it looks back to is as much as
 * the others have on average. */
static sprat_status time_chunk(struct slicing *s, double *seconds)
{
    size_t depth = s->ask->depth + (s->ask->n_prefill - s->chunk) / 2;
    sprat_status status = pretend_tokens(s->session, depth, s->chunk);
    double begin = probe_now();
    if (status == SPRAT_OK)
        status = sprat_session_append(s->session, s->tokens, s->chunk);
    *seconds = probe_now() - begin;
    return status == SPRAT_OK ? SPRAT_OK : slice_failed(s, status);
}

/* Steps and the logits after each; the first one warms up. */
static sprat_status time_steps(struct slicing *s, struct slice_times *times, size_t n_most)
{
    size_t depth = s->ask->depth + s->ask->n_decode / 2, last = depth;
    sprat_status status = pretend_tokens(s->session, depth, 1);
    double begin = probe_now();
    for (size_t i = 0; status == SPRAT_OK && i <= n_most; i++) {
        double at = probe_now(), *step = &times->steps[times->n_steps];
        status = sprat_session_accept(s->session, s->tokens[(times->n_steps + i) % s->chunk]);
        *step = probe_now() - at;
        if (status == SPRAT_OK)
            status = sprat_session_logits(s->session, &last, 1, s->logits, s->n_vocab);
        s->tokens[0] = largest_place(s->logits, s->n_vocab);
        times->logits[times->n_steps] = probe_now() - at - *step;
        times->n_steps += i > 0;
        if (status == SPRAT_OK)
            status = sprat_session_rewind(s->session, depth);
        if (i >= 3 && probe_now() - begin > steps_seconds)
            break;
    }
    return status == SPRAT_OK ? SPRAT_OK : slice_failed(s, status);
}

/* In turns, so that a machine that is slow for a moment is not slow in all of one kind. */
static sprat_status time_rounds(struct slicing *s, struct slice_times *times)
{
    double begin = probe_now(), seconds;
    sprat_status status = time_chunk(s, &seconds); /* to warm up */
    while (status == SPRAT_OK && times->n_chunks < FORECAST_ROUNDS &&
           (times->n_chunks == 0 || probe_now() - begin < forecast_seconds)) {
        status = time_chunk(s, &times->chunks[times->n_chunks++]);
        if (status == SPRAT_OK)
            status = time_steps(s, times, FORECAST_STEPS / FORECAST_ROUNDS);
    }
    return status;
}

static sprat_status time_session(struct slicing *s, sprat_model *model, struct slice_times *out)
{
    const struct forecast_ask *ask = s->ask;
    sprat_session_options options = *ask->options;
    uint32_t most = ask->n_prefill > ask->n_decode ? ask->n_prefill : ask->n_decode;
    options.n_ctx = ask->depth + most;
    sprat_status status = sprat_session_create(&s->session, model, &options, s->error);
    if (status != SPRAT_OK)
        return status;
    s->n_vocab = model->model.config.n_vocab;
    s->chunk = (uint32_t)s->session->shape.n_chunk;
    s->chunk = s->chunk < ask->n_prefill ? s->chunk : ask->n_prefill;
    s->tokens = calloc(s->chunk, sizeof *s->tokens);
    s->logits = calloc(s->n_vocab, sizeof *s->logits);
    status = s->tokens && s->logits ? SPRAT_OK : SPRAT_NO_MEMORY;
    uint64_t state = 1;
    for (uint32_t i = 0; i < s->chunk && status == SPRAT_OK; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        s->tokens[i] = (sprat_token)((state >> 33) % s->n_vocab);
    }
    out->chunk = s->chunk;
    if (status == SPRAT_OK)
        status = time_rounds(s, out);
    sprat_session_destroy(s->session);
    free(s->tokens);
    free(s->logits);
    return status;
}

static sprat_status time_slice(const struct forecast_ask *ask, sprat_context *context,
                               const struct outline *slice, struct slice_times *out,
                               sprat_error *error)
{
    struct slicing s = {.ask = ask, .error = error};
    struct stage *stage = stage_make(slice, ask->data_bytes, false);
    sprat_model *model = NULL;
    sprat_source source;
    if (!stage) {
        (void)snprintf(error->message, sizeof error->message,
                       "no memory, or no temporary file of %llu bytes, to try layers with",
                       (unsigned long long)ask->data_bytes);
        return SPRAT_NO_MEMORY;
    }
    stage_source(stage, &source);
    sprat_status status = sprat_model_open(&model, context, &source, NULL, error);
    if (status == SPRAT_OK)
        status = time_session(&s, model, out);
    sprat_model_close(model);
    stage_destroy(stage);
    return status;
}

/* Adds what layers first to first + n_of - 1 take. */
static sprat_status add_layers(struct forecast *out, const struct outline *outline, uint32_t first,
                               uint32_t n_of, const struct forecast_ask *ask,
                               sprat_context *context, sprat_error *error)
{
    struct slice_times times = {.chunk = 1};
    double all = 0, part = 0;
    for (uint32_t i = 0; i < n_of; i++)
        all += outline_layer_bytes(outline, first + i);
    double wanted = (double)ask->data_bytes / 2 * n_of / all;
    uint32_t n = wanted >= n_of ? n_of : (uint32_t)wanted + 1;
    struct outline *slice = outline_slice(outline, first, n_of, n);
    if (!slice)
        return SPRAT_NO_MEMORY;
    for (uint32_t i = 0; i < n; i++)
        part += outline_layer_bytes(slice, i);
    sprat_status status = time_slice(ask, context, slice, &times, error);
    outline_destroy(slice);
    double n_chunks = (double)ask->n_prefill / times.chunk;
    double logits = middle_of(times.logits, times.n_steps);
    out->n_layers += n;
    out->decode_seconds += ask->n_decode * middle_of(times.steps, times.n_steps) * all / part;
    out->prefill_seconds += n_chunks * middle_of(times.chunks, times.n_chunks) * n_of / n;
    if (first == 0) {
        out->decode_seconds += ask->n_decode * logits;
        out->prefill_seconds += logits;
    }
    return status;
}

sprat_status forecast_make(struct forecast *out, const struct outline *outline,
                           sprat_context *context, const struct forecast_ask *ask,
                           sprat_error *error)
{
    memset(out, 0, sizeof *out);
    sprat_status status = SPRAT_OK;
    if (outline->n_dense > 0)
        status = add_layers(out, outline, 0, outline->n_dense, ask, context, error);
    if (status == SPRAT_OK && outline->n_layers > outline->n_dense)
        status = add_layers(out, outline, outline->n_dense, outline->n_layers - outline->n_dense,
                            ask, context, error);
    return status;
}
