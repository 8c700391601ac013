/* Owns the tokens of a session and their way through the model. Invariant: the cache's positions
 * below n_tokens hold exactly what tokens[0 … n_tokens) give; a call that fails leaves n_tokens
 * where it was, or, a sync that was cancelled, at a whole chunk further. */
#include "engine/session.h"

#include "base/checked.h"
#include "kernel/half.h"
#include "os/clock.h"

#include <string.h>

enum { SESSION_CHUNK = 256, SESSION_MAX_CHUNK = 4096 };

static sprat_status session_limit(const char *name, uint32_t value, uint32_t fallback, uint32_t max,
                                  size_t *out, struct sprat__err *err)
{
    if (value > max)
        return sprat__fail(err, SPRAT_INVALID, "%s: expected at most %u, found %u", name, max,
                           value);
    *out = value ? value : fallback;
    return SPRAT_OK;
}

sprat_status sprat__session_shape(struct sprat__session_shape *shape,
                                  const struct sprat__model *model,
                                  const struct sprat_session_options *options,
                                  struct sprat__err *err)
{
    if (!model->family)
        return sprat__fail(err, SPRAT_NO_WEIGHTS,
                           "the model file holds a vocabulary only: a session needs weights");
    if (options->reserved != 0)
        return sprat__fail(err, SPRAT_UNSUPPORTED,
                           "sprat_session_options.reserved: expected 0, found %u",
                           options->reserved);
    uint32_t n_trained = model->config.n_ctx_train;
    SPRAT_TRY(session_limit("n_ctx", options->n_ctx, n_trained, n_trained, &shape->n_ctx, err));
    SPRAT_TRY(session_limit("n_chunk", options->n_chunk, SESSION_CHUNK, SESSION_MAX_CHUNK,
                            &shape->n_chunk, err));
    SPRAT_TRY(session_limit("n_kept", options->n_kept, 1, SESSION_MAX_CHUNK, &shape->n_kept, err));
    if (options->numerics > SPRAT_NUMERICS_F32)
        return sprat__fail(err, SPRAT_INVALID, "numerics: expected 0 to 2, found %u",
                           options->numerics);
    if (options->kv_type > SPRAT_KV_F32)
        return sprat__fail(err, SPRAT_INVALID, "kv_type: expected 0 to 2, found %u",
                           options->kv_type);
    bool f32 = options->kv_type == SPRAT_KV_F32 ||
               (options->kv_type == SPRAT_KV_DEFAULT && options->numerics == SPRAT_NUMERICS_F32);
    shape->element_bytes = f32 ? 4 : 2;
    shape->int8 = options->numerics != SPRAT_NUMERICS_F32;
    return SPRAT_OK;
}

/* ---- the scratch block: one allocation, laid out here and nowhere else */

struct session_layout {
    uint64_t bytes;
    uint8_t *base; /* NULL while only counting */
    bool fits;
};

static void *session_place(struct session_layout *layout, uint64_t n, uint64_t size)
{
    uint64_t at = layout->bytes, bytes;
    if (!layout->fits || !sprat__mul_u64(n, size, &bytes) || !sprat__align_u64(bytes, 64, &bytes) ||
        !sprat__add_u64(at, bytes, &layout->bytes)) {
        layout->fits = false;
        return NULL;
    }
    return layout->base ? layout->base + at : NULL;
}

static float *session_rows(struct session_layout *layout, uint64_t n, uint64_t width)
{
    uint64_t values = 0;
    layout->fits = layout->fits && sprat__mul_u64(n, width, &values);
    return session_place(layout, values, sizeof(float));
}

struct session_buffers {
    struct sprat__step step;
    double *frequency;
    float *kept, *gathered, *logits;
};

static size_t session_gathered_rows(const struct sprat__session_shape *shape)
{
    return shape->n_kept < shape->n_chunk ? shape->n_kept : shape->n_chunk;
}

/* Room for activations in every form that the model's weights ask for. */
static void session_lay_out_forms(struct session_layout *layout, struct sprat__step *step,
                                  const struct sprat__model *model, uint64_t n)
{
    uint64_t width = sprat__step_row_len(model);
    uint32_t forms = sprat__step_forms(model);
    for (enum sprat__form form = SPRAT__FORM_F16; form < SPRAT__N_FORMS; form++) {
        if (!(forms >> form & 1))
            continue;
        if (form == SPRAT__FORM_32 || form == SPRAT__FORM_256) {
            struct sprat__acts *acts = &step->acts[form];
            uint64_t n_scales = n * (width / 32);
            acts->q = session_place(layout, n * width, 1);
            acts->scale = session_place(layout, n_scales, sizeof(float));
            acts->sums = session_place(layout, 2 * n_scales, sizeof(int16_t));
            acts->shift = session_place(layout, n_scales, 1);
        } else {
            step->rounded[form] = session_rows(layout, n, width);
        }
    }
}

static uint64_t session_more(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What latent attention and experts need besides. */
static void session_lay_out_grouped(struct session_layout *layout, struct sprat__step *step,
                                    const struct sprat__model *model, uint64_t n)
{
    const struct sprat__config *config = &model->config;
    const struct sprat__mla *mla = &config->mla;
    const struct sprat__moe *moe = &config->moe;
    uint64_t slots = n * session_more(config->n_heads, moe->n_used);
    step->q_rank = session_rows(layout, n, mla->q_rank);
    step->heads = session_rows(layout, n * config->n_heads,
                               session_more(mla->nope_dim + mla->rope_dim, mla->value_dim));
    step->router = session_rows(layout, n, moe->n_experts);
    step->expert = session_place(layout, n * moe->n_used, sizeof *step->expert);
    step->expert_weight = session_rows(layout, n, moe->n_used);
    step->slot_of = session_place(layout, n * moe->n_used, sizeof *step->slot_of);
    step->expert_y = session_rows(layout, n * moe->n_used, config->n_embd);
    step->shared_y = session_rows(layout, n, moe->n_shared ? config->n_embd : 0);
    step->slot_first = session_place(layout, session_more(config->n_heads, moe->n_experts) + 1,
                                     sizeof *step->slot_first);
    step->slot_row = session_place(layout, slots, sizeof *step->slot_row);
    step->rounded[SPRAT__FORM_FLOAT] = session_rows(layout, n, sprat__step_row_len(model));
}

static void session_lay_out_parts(struct session_layout *layout, struct sprat__step *step,
                                  const struct sprat__model *model, size_t n_ctx)
{
    const struct sprat__config *config = &model->config;
    struct sprat__attend_parts *parts = &step->parts;
    parts->n_tiles = sprat__attend_tiles(config, n_ctx);
    uint64_t n = (uint64_t)parts->n_tiles * config->n_heads;
    parts->o = session_rows(layout, n, config->value_dim);
    parts->max = session_rows(layout, n + config->n_heads, 1);
    parts->sum = session_rows(layout, n + config->n_heads, 1);
    parts->stored = session_place(layout, n, sizeof *parts->stored);
    parts->units = session_place(layout, config->n_heads, sizeof *parts->units);
}

static void session_lay_out(struct session_layout *layout, struct session_buffers *buffers,
                            const struct sprat__model *model,
                            const struct sprat__session_shape *shape)
{
    const struct sprat__config *config = &model->config;
    struct sprat__step *step = &buffers->step;
    uint64_t n = shape->n_chunk;
    uint64_t n_heads = config->n_heads, n_kv_heads = config->n_kv_heads;
    uint64_t n_pairs = config->rope.n_dims / 2;
    buffers->frequency = session_place(layout, n_pairs, sizeof(double));
    step->x = session_rows(layout, n, config->n_embd);
    step->normed = session_rows(layout, n, config->n_embd);
    step->q = session_rows(layout, n, n_heads * config->key_dim);
    step->k = session_rows(layout, n, n_kv_heads * config->key_dim);
    step->v = session_rows(layout, n, n_kv_heads * config->value_dim);
    step->attended = session_rows(layout, n, n_heads * config->value_dim);
    session_lay_out_parts(layout, step, model, shape->n_ctx);
    uint64_t n_experts = (uint64_t)config->moe.n_used + config->moe.n_shared;
    uint64_t n_ff = session_more(config->n_ff, n_experts * config->moe.n_ff);
    step->gate = session_rows(layout, n, n_ff);
    step->up = session_rows(layout, n, n_ff);
    step->cosine = session_rows(layout, n, n_pairs);
    step->sine = session_rows(layout, n, n_pairs);
    if (config->mla.kv_rank > 0)
        session_lay_out_grouped(layout, step, model, n);
    if (shape->int8)
        session_lay_out_forms(layout, step, model, n);
    step->vector = session_rows(layout, 1, sprat__step_vector_len(model));
    buffers->kept = session_rows(layout, shape->n_kept, config->n_embd);
    buffers->gathered = session_rows(layout, session_gathered_rows(shape), config->n_embd);
    buffers->logits = session_rows(layout, 1, config->n_vocab);
}

static sprat_status session_scratch_bytes(const struct sprat__model *model,
                                          const struct sprat__session_shape *shape, size_t *out,
                                          struct sprat__err *err)
{
    struct session_layout layout = {.fits = true};
    struct session_buffers buffers = {0};
    session_lay_out(&layout, &buffers, model, shape);
    if (!layout.fits || !sprat__to_size(layout.bytes, out))
        return sprat__fail(err, SPRAT_BAD_CONFIG,
                           "scratch of %zu rows of this model does not fit the address space",
                           shape->n_chunk);
    return SPRAT_OK;
}

sprat_status sprat__session_bytes(const struct sprat__model *model,
                                  const struct sprat__session_shape *shape, uint64_t *all,
                                  uint64_t *cache, struct sprat__err *err)
{
    size_t scratch = 0;
    SPRAT_TRY(session_scratch_bytes(model, shape, &scratch, err));
    struct sprat__kv_shape kv_shape = sprat__model_kv_shape(model, shape->element_bytes);
    *cache = sprat__kv_bytes(&kv_shape, shape->n_ctx);
    uint64_t parts[] = {*cache,
                        sprat__block_bytes(scratch, 1),
                        sprat__block_bytes(1, sizeof(struct sprat_session)),
                        sprat__block_bytes(shape->n_ctx, sizeof(sprat_token)),
                        sprat__sampler_bytes(NULL, model->config.n_vocab),
                        sprat__answer_bytes()};
    *all = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!sprat__add_u64(*all, parts[i], all) || parts[i] == SIZE_MAX)
            return sprat__fail(err, SPRAT_BAD_CONFIG,
                               "a session of %zu tokens does not fit the address space",
                               shape->n_ctx);
    }
    return SPRAT_OK;
}

/* ---- life */

static sprat_status session_fill(struct sprat_session *session, struct sprat__err *err)
{
    const struct sprat__model *model = &session->model->model;
    struct sprat__kv_shape kv_shape = sprat__model_kv_shape(model, session->shape.element_bytes);
    SPRAT_TRY(sprat__kv_create(&session->kv, &session->mem, session->mem.parent, &kv_shape,
                               session->shape.n_ctx, err));
    size_t bytes = 0;
    SPRAT_TRY(session_scratch_bytes(model, &session->shape, &bytes, err));
    session->scratch = sprat__new(&session->mem, bytes, 1, SPRAT_PURPOSE_SCRATCH, err);
    if (!session->scratch)
        return err->status;
    struct session_layout layout = {.fits = true, .base = session->scratch};
    struct session_buffers buffers = {0};
    session_lay_out(&layout, &buffers, model, &session->shape);
    session->step = buffers.step;
    session->kept = buffers.kept;
    session->gathered = buffers.gathered;
    session->n_gathered = session_gathered_rows(&session->shape);
    session->logits = buffers.logits;
    session->step.model = model;
    session->step.int8 = session->shape.int8;
    session->step.kernels = &session->model->context->kernels;
    session->step.kv = &session->kv;
    session->step.pool = session->model->context->pool;
    session->step.cancel = &session->cancel;
    session->step.frequency = buffers.frequency;
    struct sprat__fpstate saved;
    sprat__fpstate_enter(&saved);
    sprat_status status = sprat__rope_frequencies(model, session->step.kernels, buffers.frequency,
                                                  &session->step.magnitude, err);
    sprat__fpstate_leave(&saved);
    SPRAT_TRY(status);
    SPRAT_TRY(sprat__sampler_create(&session->sampler, &session->mem, session->step.kernels,
                                    NULL, model->config.n_vocab, err));
    return sprat__answer_init(session, err);
}

sprat_status sprat__session_create(struct sprat_session **out, struct sprat_model *model,
                                   const struct sprat_session_options *options,
                                   struct sprat__err *err)
{
    struct sprat__session_shape shape;
    SPRAT_TRY(sprat__session_shape(&shape, &model->model, options, err));
    struct sprat__mem *parent = &model->context->mem;
    struct sprat_session *session =
        sprat__new(parent, 1, sizeof *session, SPRAT_PURPOSE_CONTEXT, err);
    if (!session)
        return err->status;
    sprat__model_hold(model);
    session->model = model;
    sprat__mem_child(&session->mem, parent);
    session->shape = shape;
    session->logits_at = SIZE_MAX;
    if (session_fill(session, err) != SPRAT_OK) {
        sprat__session_destroy(session);
        return err->status;
    }
    *out = session;
    return SPRAT_OK;
}

void sprat__session_destroy(struct sprat_session *session)
{
    struct sprat_model *model = session->model;
    struct sprat__mem *mem = &session->mem;
    sprat__answer_drop(session);
    sprat__parser_destroy(session->answer.parser);
    sprat__stops_destroy(session->answer.stops);
    sprat__buffer_end(&session->answer.bytes);
    sprat__buffer_end(&session->answer.text);
    sprat__sampler_destroy(session->sampler);
    if (session->kv.mem)
        sprat__kv_end(&session->kv);
    sprat__wipe_free(mem, session->tokens);
    sprat__wipe_free(mem, session->scratch);
    sprat__wipe_free(&model->context->mem, session);
    sprat__model_drop(model);
}

void sprat__session_stats(const struct sprat_session *session, struct sprat_session_stats *stats)
{
    size_t room = session->kv.n_pages * SPRAT__KV_TILE;
    stats->n_tokens = session->n_tokens;
    stats->n_ctx = session->shape.n_ctx;
    stats->n_reserved = room < session->token_capacity ? room : session->token_capacity;
    stats->heap_bytes = atomic_load(&session->mem.now) +
                        sprat__block_bytes(1, sizeof(struct sprat_session)) +
                        sprat__kv_held_bytes(&session->kv);
    stats->kv_bytes = session->kv.n_pages * session->kv.page_bytes;
}

/* ---- memory before effects */

static sprat_status session_reserve_tokens(struct sprat_session *session, size_t n)
{
    if (n <= session->token_capacity)
        return SPRAT_OK;
    size_t capacity = session->token_capacity * 2 > n ? session->token_capacity * 2 : n;
    capacity = capacity < session->shape.n_ctx ? capacity : session->shape.n_ctx;
    sprat_token *tokens =
        sprat__new_raw(&session->mem, capacity, sizeof *tokens, SPRAT_PURPOSE_TEXT, &session->err);
    if (!tokens)
        return session->err.status;
    if (session->n_tokens)
        memcpy(tokens, session->tokens, session->n_tokens * sizeof *tokens);
    sprat__wipe_free(&session->mem, session->tokens);
    session->tokens = tokens;
    session->token_capacity = capacity;
    return SPRAT_OK;
}

sprat_status sprat__session_reserve(struct sprat_session *session, size_t n_tokens)
{
    if (n_tokens > session->shape.n_ctx)
        return sprat__fail(&session->err, SPRAT_CONTEXT_FULL,
                           "context: %zu tokens are more than the session's %zu", n_tokens,
                           session->shape.n_ctx);
    SPRAT_TRY(session_reserve_tokens(session, n_tokens));
    SPRAT_TRY(sprat__kv_reserve(&session->kv, n_tokens, &session->err));
    return n_tokens > session->n_tokens
               ? sprat__kv_own(&session->kv, session->n_tokens, n_tokens, &session->err)
               : SPRAT_OK;
}

/* The options that shape stands for. */
static struct sprat_session_options session_options(const struct sprat__session_shape *shape)
{
    struct sprat_session_options options = {.size = sizeof options};
    options.n_ctx = (uint32_t)shape->n_ctx;
    options.n_chunk = (uint32_t)shape->n_chunk;
    options.n_kept = (uint32_t)shape->n_kept;
    options.numerics = shape->int8 ? SPRAT_NUMERICS_INT8 : SPRAT_NUMERICS_F32;
    options.kv_type = shape->element_bytes == 4 ? SPRAT_KV_F32 : SPRAT_KV_F16;
    return options;
}

sprat_status sprat__session_fork(struct sprat_session **out, const struct sprat_session *from,
                                 struct sprat__err *err)
{
    struct sprat_session_options options = session_options(&from->shape);
    struct sprat_session *session;
    SPRAT_TRY(sprat__session_create(&session, from->model, &options, err));
    sprat_status status =
        sprat__answer_set_sampling(session, sprat__sampler_settings(from->sampler));
    if (status == SPRAT_OK)
        status = session_reserve_tokens(session, from->n_tokens);
    if (status != SPRAT_OK) {
        *err = session->err;
        sprat__session_destroy(session);
        return status;
    }
    if (from->n_tokens > 0)
        memcpy(session->tokens, from->tokens, from->n_tokens * sizeof *session->tokens);
    sprat__kv_share(&session->kv, &from->kv, from->n_tokens);
    session->n_tokens = from->n_tokens;
    size_t width = from->step.model->config.n_embd;
    memcpy(session->kept, from->kept, from->shape.n_kept * width * sizeof(float));
    session->kept_from = from->kept_from;
    session->kept_to = from->kept_to;
    if (from->logits_at != SIZE_MAX)
        memcpy(session->logits, from->logits, from->step.model->config.n_vocab * sizeof(float));
    session->logits_at = from->logits_at;
    *out = session;
    return SPRAT_OK;
}

static sprat_status session_check_tokens(struct sprat_session *session, const sprat_token *tokens,
                                         size_t n)
{
    uint32_t n_vocab = session->model->model.config.n_vocab;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= n_vocab)
            return sprat__fail(&session->err, SPRAT_INVALID,
                               "token %zu: expected an id from 0 to %u, found %d", i, n_vocab - 1,
                               tokens[i]);
    }
    return SPRAT_OK;
}

/* ---- computing */

/* Sixteen at a time, so that compilers look at several at once: an exponent of all ones, and only
 * that, carries into the sign when 1 is added to it. */
static bool session_is_finite(const float *x, size_t n)
{
    uint32_t carried[16] = {0};
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        for (size_t j = 0; j < 16; j++)
            carried[j] |= (sprat__bits_of_float(x[i + j]) & 0x7fffffffu) + 0x00800000u;
    }
    for (; i < n; i++)
        carried[0] |= (sprat__bits_of_float(x[i]) & 0x7fffffffu) + 0x00800000u;
    uint32_t all = 0;
    for (size_t j = 0; j < 16; j++)
        all |= carried[j];
    return all >> 31 == 0;
}

/* One chunk through all layers; x then holds the residual stream. */
static sprat_status session_layers(struct sprat_session *session, const sprat_token *tokens)
{
    struct sprat__step *step = &session->step;
    const struct sprat__model *model = step->model;
    sprat__embed(step, tokens);
    sprat__rope_angles(step);
    for (uint32_t layer = 0; layer < model->config.n_layers; layer++) {
        if (model->family->forward(step, layer) != SPRAT_OK)
            return sprat__fail(&session->err, SPRAT_CANCELLED,
                               "cancelled at position %zu, layer %u", step->position, layer);
    }
    size_t width = model->config.n_embd;
    for (size_t row = 0; row < step->n; row++) {
        if (!session_is_finite(step->x + row * width, width))
            return sprat__fail(&session->err, SPRAT_NUMERIC,
                               "position %zu: the last layer gave a value that is not finite",
                               step->position + row);
    }
    return SPRAT_OK;
}

static sprat_status session_step(struct sprat_session *session, size_t position,
                                 const sprat_token *tokens, size_t n)
{
    struct sprat__step *step = &session->step;
    struct sprat__fpstate saved;
    SPRAT_TRY(sprat__kv_own(&session->kv, position, position + n, &session->err));
    uint64_t begin = sprat__now_ns();
    step->position = position;
    step->n = n;
    sprat__fpstate_enter(&saved);
    sprat_status status = session_layers(session, tokens);
    sprat__fpstate_leave(&saved);
    if (status != SPRAT_OK)
        return status;
    *(n > 1 ? &session->stats.prefill_ns : &session->stats.decode_ns) += sprat__now_ns() - begin;
    *(n > 1 ? &session->stats.n_prefill : &session->stats.n_decode) += n;
    return SPRAT_OK;
}

/* Keeps the last rows of the chunk at position … position + n. The chunk follows what is kept. */
static void session_keep(struct sprat_session *session, size_t position, size_t n)
{
    size_t width = session->step.model->config.n_embd, n_kept = session->shape.n_kept;
    if (session->kept_to != position)
        session->kept_from = position;
    size_t first = n > n_kept ? n - n_kept : 0;
    for (size_t row = first; row < n; row++)
        memcpy(session->kept + (position + row) % n_kept * width, session->step.x + row * width,
               width * sizeof(float));
    session->kept_to = position + n;
    if (session->kept_to - session->kept_from > n_kept)
        session->kept_from = session->kept_to - n_kept;
}

static void session_cut(struct sprat_session *session, size_t n_tokens)
{
    session->n_tokens = n_tokens;
    if (session->kept_to > n_tokens)
        session->kept_to = n_tokens;
    if (session->kept_from > session->kept_to)
        session->kept_from = session->kept_to;
    if (session->logits_at != SIZE_MAX && session->logits_at >= n_tokens)
        session->logits_at = SIZE_MAX;
    if (session->n_reused > n_tokens)
        session->n_reused = n_tokens;
}

/* Computes tokens behind the present ones, chunk by chunk; memory is there. The session grows by
 * whole chunks; on a failure it holds those that were done. */
static sprat_status session_extend(struct sprat_session *session, const sprat_token *tokens,
                                   size_t n)
{
    size_t done = 0;
    while (done < n) {
        size_t chunk = n - done < session->shape.n_chunk ? n - done : session->shape.n_chunk;
        size_t position = session->n_tokens;
        SPRAT_TRY(session_step(session, position, tokens + done, chunk));
        session_keep(session, position, chunk);
        memcpy(session->tokens + position, tokens + done, chunk * sizeof *tokens);
        session->n_tokens += chunk;
        done += chunk;
    }
    return SPRAT_OK;
}

sprat_status sprat__session_append(struct sprat_session *session, const sprat_token *tokens,
                                   size_t n)
{
    size_t before = session->n_tokens, total;
    SPRAT_TRY(session_check_tokens(session, tokens, n));
    if (!sprat__add_size(before, n, &total) || total > session->shape.n_ctx)
        return sprat__fail(&session->err, SPRAT_CONTEXT_FULL,
                           "context: %zu tokens held and %zu more exceed the session's %zu", before,
                           n, session->shape.n_ctx);
    SPRAT_TRY(sprat__session_reserve(session, total));
    sprat_status status = session_extend(session, tokens, n);
    if (status != SPRAT_OK)
        session_cut(session, before);
    return status;
}

sprat_status sprat__session_sync(struct sprat_session *session, const sprat_token *tokens, size_t n,
                                 size_t *n_reused)
{
    SPRAT_TRY(session_check_tokens(session, tokens, n));
    if (n > session->shape.n_ctx)
        return sprat__fail(&session->err, SPRAT_PROMPT_TOO_LONG,
                           "prompt: %zu tokens are more than the session's context of %zu", n,
                           session->shape.n_ctx);
    SPRAT_TRY(sprat__session_reserve(session, n));
    size_t shared = 0;
    while (shared < n && shared < session->n_tokens && tokens[shared] == session->tokens[shared])
        shared++;
    if (shared < n && atomic_load_explicit(&session->cancel, memory_order_relaxed))
        return sprat__fail(&session->err, SPRAT_CANCELLED, "cancelled before the first token");
    sprat__answer_parse(session, NULL);
    session_cut(session, shared);
    session->n_reused = shared;
    if (n_reused)
        *n_reused = shared;
    return session_extend(session, tokens + shared, n - shared);
}

sprat_status sprat__session_rewind(struct sprat_session *session, size_t n_tokens)
{
    if (n_tokens > session->n_tokens)
        return sprat__fail(&session->err, SPRAT_INVALID,
                           "rewind: expected at most %zu tokens, found %zu", session->n_tokens,
                           n_tokens);
    session_cut(session, n_tokens);
    return SPRAT_OK;
}

/* ---- logits */

/* The residual stream after the last layer at position, copied to out. A row that is not
 * kept is computed again: its keys and values come out as they are. */
static sprat_status session_hidden(struct sprat_session *session, size_t position, float *out)
{
    size_t width = session->step.model->config.n_embd;
    const float *row = session->kept + position % session->shape.n_kept * width;
    if (position < session->kept_from || position >= session->kept_to) {
        SPRAT_TRY(session_step(session, position, session->tokens + position, 1));
        row = session->step.x;
    }
    memcpy(out, row, width * sizeof *out);
    return SPRAT_OK;
}

/* n rows of logits from n rows of hidden states, which become normed. */
static sprat_status session_head(struct sprat_session *session, float *hidden, size_t n, float *out)
{
    struct sprat__step *step = &session->step;
    const struct sprat__model *model = step->model;
    const struct sprat__input in = {hidden, model->config.n_embd, &model->output_norm, hidden};
    const struct sprat__product logits = {
        .weight = &model->output, .y = out, .y_stride = model->config.n_vocab, .fine = true};
    struct sprat__fpstate saved;
    step->n = n;
    sprat__fpstate_enter(&saved);
    sprat_status status = sprat__linear(step, &in, &logits, 1);
    bool is_finite = status == SPRAT_OK && session_is_finite(out, n * model->config.n_vocab);
    sprat__fpstate_leave(&saved);
    if (status != SPRAT_OK)
        return sprat__fail(&session->err, SPRAT_CANCELLED, "cancelled while computing logits");
    return is_finite ? SPRAT_OK
                     : sprat__fail(&session->err, SPRAT_NUMERIC, "logits: a value is not finite");
}

sprat_status sprat__session_logits(struct sprat_session *session, const size_t *positions, size_t n,
                                   float *out)
{
    const struct sprat__config *config = &session->step.model->config;
    for (size_t i = 0; i < n; i++) {
        if (positions[i] >= session->n_tokens)
            return sprat__fail(&session->err, SPRAT_INVALID,
                               "position %zu: expected below %zu, found %zu", i, session->n_tokens,
                               positions[i]);
    }
    float *hidden = session->gathered;
    for (size_t done = 0; done < n;) {
        size_t rows = n - done < session->n_gathered ? n - done : session->n_gathered;
        for (size_t i = 0; i < rows; i++)
            SPRAT_TRY(session_hidden(session, positions[done + i], hidden + i * config->n_embd));
        SPRAT_TRY(session_head(session, hidden, rows, out + done * config->n_vocab));
        done += rows;
    }
    return SPRAT_OK;
}

sprat_status sprat__session_last_logits(struct sprat_session *session)
{
    if (session->n_tokens == 0)
        return sprat__fail(&session->err, SPRAT_STATE, "the session is empty: sync a prompt first");
    size_t last = session->n_tokens - 1;
    if (session->logits_at == last)
        return SPRAT_OK;
    session->logits_at = SIZE_MAX;
    SPRAT_TRY(sprat__session_logits(session, &last, 1, session->logits));
    session->logits_at = last;
    return SPRAT_OK;
}
