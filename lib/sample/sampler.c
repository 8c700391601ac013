/* Owns the choice of a token: bias, penalties, temperature, top-k, top-p, min-p, the draw, and the
 * model's own log-probabilities. Leaves the list of the most likely to order.c,
 * randomness to random.c, stop texts to
 * stops.c. The steps are defined in doc/sampling.md.
 *
 * Invariant: the same arguments give the same token on every platform. Adjusted logits are
 * binary32; a token's weight at the temperature is a whole number, 2^62 / n_vocab at most, so that
 * sums of weights are exact and have no order; what is kept after each cut is a beginning of the
 * total order. */
#include "sample/sampler.h"

#include "base/checked.h"
#include "kernel/math64.h"
#include "os/thread.h"
#include "sample/order.h"
#include "sample/random.h"
#include "sample/settings.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { SAMPLER_WINDOW = 64, SAMPLER_ALIGNMENT = 16 };

/* Below this the weight of a token, relative to the most likely one, is 0 in every vocabulary, and
 * its part in the sum of probabilities is lost in rounding. */
static const double sampler_least_exponent = -60.0;

struct sprat__sampler {
    struct sprat__mem *mem;
    const struct sprat__kernels *kernels;
    struct sprat_sampling settings; /* its pointers lie in this block */
    uint32_t n_vocab;
    double scale;    /* the weight of the most likely token: a power of two, times n_vocab < 2^63 */
    float *values;   /* adjusted logits; NULL: no setting changes a logit */
    int32_t *counts; /* of tokens in the window; NULL: no penalties */
    sprat_token top_tokens[SPRAT__MOST_LOGPROBS];
    float top_logprobs[SPRAT__MOST_LOGPROBS];
};

/* ---- set-up ---------------------------------------------------------------------------------- */

/* Where the parts of a sampler's block begin. */
struct sampler_layout {
    size_t values, counts, bias_tokens, bias_values, stops, texts, bytes;
    uint32_t n_values, n_counts;
};

static bool sampler_has_penalties(const struct sprat_sampling *settings)
{
    float repetition = settings->repetition_penalty;
    return (repetition != 0 && repetition != 1) || settings->presence_penalty != 0 ||
           settings->frequency_penalty != 0;
}

/* Appends n × size bytes to the block; false where they do not fit. */
static bool sampler_place(struct sampler_layout *layout, size_t n, size_t size, size_t *offset)
{
    uint64_t bytes, end;
    *offset = layout->bytes;
    return sprat__mul_u64(n, size, &bytes) && sprat__add_u64(layout->bytes, bytes, &end) &&
           sprat__align_u64(end, SAMPLER_ALIGNMENT, &end) && sprat__to_size(end, &layout->bytes);
}

static bool sampler_lay_out(struct sampler_layout *layout, const struct sprat_sampling *settings,
                            uint32_t n_vocab)
{
    bool penalties = sampler_has_penalties(settings);
    memset(layout, 0, sizeof *layout);
    layout->n_values = penalties || settings->n_bias > 0 ? n_vocab : 0;
    layout->n_counts = penalties ? n_vocab : 0;
    size_t text_bytes = 0, start;
    for (uint32_t i = 0; i < settings->n_stops; i++)
        text_bytes += strlen(settings->stops[i]) + 1;
    return sampler_place(layout, 1, sizeof(struct sprat__sampler), &start) &&
           sampler_place(layout, layout->n_values, sizeof(float), &layout->values) &&
           sampler_place(layout, layout->n_counts, sizeof(int32_t), &layout->counts) &&
           sampler_place(layout, settings->n_bias, sizeof(sprat_token), &layout->bias_tokens) &&
           sampler_place(layout, settings->n_bias, sizeof(float), &layout->bias_values) &&
           sampler_place(layout, settings->n_stops, sizeof(char *), &layout->stops) &&
           sampler_place(layout, text_bytes, 1, &layout->texts);
}

size_t sprat__sampler_bytes(const struct sprat_sampling *settings, uint32_t n_vocab)
{
    static const struct sprat_sampling greedy = {.size = sizeof greedy};
    struct sampler_layout layout;
    if (!sampler_lay_out(&layout, settings ? settings : &greedy, n_vocab))
        return SIZE_MAX;
    return sprat__block_bytes(1, layout.bytes);
}

/* Copies what the settings point to into the block. */
static void sampler_copy(struct sprat__sampler *sampler, const struct sampler_layout *layout,
                         const struct sprat_sampling *from)
{
    char *block = (char *)sampler;
    struct sprat_sampling *settings = &sampler->settings;
    *settings = *from;
    sprat_token *tokens = (void *)(block + layout->bias_tokens);
    float *values = (void *)(block + layout->bias_values);
    const char **stops = (void *)(block + layout->stops);
    char *text = block + layout->texts;
    for (uint32_t i = 0; i < from->n_bias; i++) {
        tokens[i] = from->bias_tokens[i];
        values[i] = from->bias_values[i];
    }
    for (uint32_t i = 0; i < from->n_stops; i++) {
        size_t bytes = strlen(from->stops[i]) + 1;
        stops[i] = memcpy(text, from->stops[i], bytes);
        text += bytes;
    }
    settings->bias_tokens = from->n_bias > 0 ? tokens : NULL;
    settings->bias_values = from->n_bias > 0 ? values : NULL;
    settings->stops = from->n_stops > 0 ? stops : NULL;
    if (settings->penalty_window == 0)
        settings->penalty_window = SAMPLER_WINDOW;
}

sprat_status sprat__sampler_create(struct sprat__sampler **out, struct sprat__mem *mem,
                                   const struct sprat__kernels *kernels,
                                   const struct sprat_sampling *settings, uint32_t n_vocab,
                                   struct sprat__err *err)
{
    static const struct sprat_sampling greedy = {.size = sizeof greedy};
    *out = NULL;
    SPRAT_ASSERT(n_vocab > 0 && n_vocab <= INT32_MAX);
    if (!settings)
        settings = &greedy;
    SPRAT_TRY(sprat__settings_check(settings, n_vocab, err));
    struct sampler_layout layout;
    if (!sampler_lay_out(&layout, settings, n_vocab))
        return sprat__fail(err, SPRAT_NO_MEMORY, "sampling: %u biases and %u tokens do not fit",
                           settings->n_bias, n_vocab);
    struct sprat__sampler *sampler = sprat__new(mem, 1, layout.bytes, SPRAT_PURPOSE_SCRATCH, err);
    if (!sampler)
        return err->status;
    sampler->mem = mem;
    sampler->kernels = kernels;
    sampler->n_vocab = n_vocab;
    sampler->scale = 0x1p62;
    for (uint64_t n = 1; n < n_vocab; n *= 2)
        sampler->scale *= 0.5;
    sampler->values = layout.n_values > 0 ? (void *)((char *)sampler + layout.values) : NULL;
    sampler->counts = layout.n_counts > 0 ? (void *)((char *)sampler + layout.counts) : NULL;
    sampler_copy(sampler, &layout, settings);
    *out = sampler;
    return SPRAT_OK;
}

void sprat__sampler_destroy(struct sprat__sampler *sampler)
{
    if (sampler)
        sprat__wipe_free(sampler->mem, sampler);
}

const struct sprat_sampling *sprat__sampler_settings(const struct sprat__sampler *sampler)
{
    return &sampler->settings;
}

/* ---- adjusted logits ------------------------------------------------------------------------- */

/* Refuses what is no logit: NaN and +infinity. */
static sprat_status sampler_check_logits(const struct sprat__sampler *sampler, const float *logits,
                                         struct sprat__err *err)
{
    if (sampler->kernels->all_at_most_f32(logits, FLT_MAX, sampler->n_vocab))
        return SPRAT_OK;
    char number[SPRAT__NUMBER_BYTES];
    uint32_t i = 0;
    while (logits[i] <= FLT_MAX)
        i++;
    return sprat__fail(err, SPRAT_NUMERIC, "sampling: the logit of token %u is %s", i,
                       sprat__number(number, (double)logits[i]));
}

static int32_t sampler_first(const struct sprat__sampler *sampler, const float *values)
{
    return (int32_t)sampler->kernels->first_f32(values, sampler->n_vocab);
}

/* Rounds to binary32, but a finite number stays finite: only a bias of -infinity forbids. */
static float sampler_to_float(double x)
{
    if (x > (double)FLT_MAX)
        return FLT_MAX;
    if (x < -(double)FLT_MAX)
        return -FLT_MAX;
    return (float)x;
}

static void sampler_add_bias(const struct sprat_sampling *settings, float *values)
{
    for (uint32_t i = 0; i < settings->n_bias; i++) {
        float *value = &values[settings->bias_tokens[i]];
        float bias = settings->bias_values[i];
        if (bias < -FLT_MAX || *value < -FLT_MAX)
            *value = bias < *value ? bias : *value;
        else
            *value = sampler_to_float((double)*value + (double)bias);
    }
}

static float sampler_penalise(const struct sprat_sampling *settings, float value, int32_t count)
{
    double v = (double)value;
    double repetition = (double)settings->repetition_penalty;
    if (value < -FLT_MAX)
        return value;
    if (repetition != 0)
        v = v > 0 ? v / repetition : v * repetition;
    v -= (double)settings->presence_penalty + (double)settings->frequency_penalty * count;
    return sampler_to_float(v);
}

/* Each token of the window is penalised once, with the number of its occurrences there. */
static void sampler_add_penalties(struct sprat__sampler *sampler, const sprat_token *history,
                                  size_t n)
{
    int32_t *counts = sampler->counts;
    size_t window = sampler->settings.penalty_window;
    const sprat_token *begin = n > window ? history + (n - window) : history;
    memset(counts, 0, sampler->n_vocab * sizeof *counts);
    for (const sprat_token *token = begin; token < history + n; token++) {
        if (*token >= 0 && (uint32_t)*token < sampler->n_vocab && counts[*token] < INT32_MAX)
            counts[*token]++;
    }
    for (const sprat_token *token = begin; token < history + n; token++) {
        if (*token < 0 || (uint32_t)*token >= sampler->n_vocab || counts[*token] == 0)
            continue;
        float *value = &sampler->values[*token];
        *value = sampler_penalise(&sampler->settings, *value, counts[*token]);
        counts[*token] = 0;
    }
}

/* The logits after bias and penalties: the caller's own where nothing changes them. */
static const float *sampler_adjust(struct sprat__sampler *sampler, const float *logits,
                                   const sprat_token *history, size_t n)
{
    if (!sampler->values)
        return logits;
    memcpy(sampler->values, logits, sampler->n_vocab * sizeof *logits);
    sampler_add_bias(&sampler->settings, sampler->values);
    if (n > 0 && sampler_has_penalties(&sampler->settings))
        sampler_add_penalties(sampler, history, n);
    return sampler->values;
}

/* ---- the draw -------------------------------------------------------------------------------- */

/* A distribution, and the part of it that is kept: the beginning of the order up to (value, id),
 * without what weighs less than least. */
struct sampler_draw {
    const float *values;
    uint32_t n;
    double best, temperature, scale;
    float value;
    int32_t id;
    uint64_t least;
};

static uint64_t sampler_weight(const struct sampler_draw *draw, int32_t id)
{
    double exponent = ((double)draw->values[id] - draw->best) / draw->temperature;
    if (!(exponent > sampler_least_exponent))
        return 0;
    return (uint64_t)(sprat__exp64(exponent) * draw->scale);
}

static bool sampler_keeps(const struct sampler_draw *draw, int32_t id)
{
    float value = draw->values[id];
    return value > draw->value || (value == draw->value && id <= draw->id);
}

/* A whole number in the order of the values, -0 as +0. */
static uint32_t sampler_key(float value)
{
    uint32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

static uint64_t sampler_amount(const struct sampler_draw *draw, int32_t id, bool by_weight)
{
    if (!sampler_keeps(draw, id))
        return 0;
    return by_weight ? sampler_weight(draw, id) : 1;
}

/* Adds up the amounts of tokens whose keys begin with prefix by the key's next byte, the one at
 * shift. */
static void sampler_add_up(const struct sampler_draw *draw, bool by_weight, uint32_t prefix,
                           int shift, uint64_t sums[256])
{
    memset(sums, 0, 256 * sizeof sums[0]);
    for (uint32_t i = 0; i < draw->n; i++) {
        uint32_t key = sampler_key(draw->values[i]);
        if ((uint64_t)key >> (shift + 8) == prefix)
            sums[key >> shift & 255] += sampler_amount(draw, (int32_t)i, by_weight);
    }
}

/* Keeps the shortest beginning of the order whose amounts reach what is wanted: a number of tokens,
 * or a share of the weight. The key of its last token is found byte by byte, in one pass each. */
static void sampler_cut(struct sampler_draw *draw, bool by_weight, double wanted)
{
    uint64_t sums[256], total = 0;
    uint32_t key = 0;
    sampler_add_up(draw, by_weight, 0, 24, sums);
    for (size_t i = 0; i < 256; i++)
        total += sums[i];
    uint64_t left = (uint64_t)(by_weight ? wanted * (double)total : wanted);
    if (left == 0)
        left = 1;
    for (int shift = 24;; shift -= 8) {
        uint32_t byte = 255;
        while (sums[byte] < left)
            left -= sums[byte--];
        key = key << 8 | byte;
        if (shift == 0)
            break;
        sampler_add_up(draw, by_weight, key, shift - 8, sums);
    }
    for (uint32_t i = 0; i < draw->n; i++) {
        if (sampler_key(draw->values[i]) != key)
            continue;
        uint64_t amount = sampler_amount(draw, (int32_t)i, by_weight);
        if (amount >= left) {
            draw->value = draw->values[i];
            draw->id = (int32_t)i;
            return;
        }
        left -= amount;
    }
}

/* The weight of a token that is kept, else 0. */
static uint64_t sampler_kept_weight(const struct sampler_draw *draw, int32_t id)
{
    if (!sampler_keeps(draw, id))
        return 0;
    uint64_t weight = sampler_weight(draw, id);
    return weight >= draw->least ? weight : 0;
}

/* Draws among the kept tokens, which lie side by side in ascending id, each as wide as its weight.
 */
static int32_t sampler_throw(const struct sampler_draw *draw, uint64_t random)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < draw->n; i++)
        total += sampler_kept_weight(draw, (int32_t)i);
    uint64_t point = sprat__random_below(random, total);
    uint32_t i = 0;
    for (; i + 1 < draw->n; i++) {
        uint64_t weight = sampler_kept_weight(draw, (int32_t)i);
        if (point < weight)
            break;
        point -= weight;
    }
    return (int32_t)i;
}

static int32_t sampler_pick(struct sprat__sampler *sampler, const float *values, int32_t best,
                            size_t position)
{
    const struct sprat_sampling *settings = &sampler->settings;
    struct sampler_draw draw = {.values = values,
                                .n = sampler->n_vocab,
                                .best = (double)values[best],
                                .temperature = (double)settings->temperature,
                                .scale = sampler->scale,
                                .value = -INFINITY,
                                .id = INT32_MAX};
    if (settings->top_k > 0 && settings->top_k < draw.n)
        sampler_cut(&draw, false, settings->top_k);
    if (settings->top_p > 0 && settings->top_p < 1)
        sampler_cut(&draw, true, (double)settings->top_p);
    draw.least = (uint64_t)((double)settings->min_p * draw.scale);
    return sampler_throw(&draw, sprat__random_at(settings->seed, position));
}

/* ---- log-probabilities ----------------------------------------------------------------------- */

/* The logarithm of the sum of e to the (logit - best): sums of binary32 over parts of the
 * vocabulary, added up in ascending id. */
static double sampler_log_sum(const struct sprat__sampler *sampler, const float *logits, float best)
{
    enum { PART = 1024 };
    float part[PART];
    double sum = 0;
    for (size_t i = 0; i < sampler->n_vocab; i += PART) {
        size_t n = sampler->n_vocab - i < PART ? sampler->n_vocab - i : PART;
        memcpy(part, logits + i, n * sizeof *part);
        sum += (double)sampler->kernels->exp_sum_f32(part, best, n);
    }
    return sprat__log64(sum);
}

static void sampler_report(struct sprat__sampler *sampler, const float *logits,
                           struct sprat_sample *out)
{
    float most = logits[sampler_first(sampler, logits)];
    double best = (double)most, log_sum = sampler_log_sum(sampler, logits, most);
    out->logprob = sampler_to_float((double)logits[out->token] - best - log_sum);
    uint32_t n = sampler->settings.n_logprobs;
    if (n > sampler->n_vocab)
        n = sampler->n_vocab;
    if (n == 0)
        return;
    sprat__order_select(logits, sampler->n_vocab, sampler->top_tokens, n);
    sprat__order_sort(logits, sampler->top_tokens, n);
    for (uint32_t i = 0; i < n; i++) {
        double logit = (double)logits[sampler->top_tokens[i]];
        sampler->top_logprobs[i] = sampler_to_float(logit - best - log_sum);
    }
    out->n_top = n;
    out->top_tokens = sampler->top_tokens;
    out->top_logprobs = sampler->top_logprobs;
}

static sprat_status sampler_decide(struct sprat__sampler *sampler, const float *logits,
                                   const sprat_token *history, size_t n, sprat_token *out,
                                   struct sprat__err *err)
{
    SPRAT_TRY(sampler_check_logits(sampler, logits, err));
    const float *values = sampler_adjust(sampler, logits, history, n);
    int32_t best = sampler_first(sampler, values);
    if (values[best] < -FLT_MAX && logits[sampler_first(sampler, logits)] < -FLT_MAX)
        return sprat__fail(err, SPRAT_NUMERIC,
                           "sampling: the logits of all %u tokens are -infinity", sampler->n_vocab);
    if (values[best] < -FLT_MAX)
        return sprat__fail(err, SPRAT_NUMERIC,
                           "sampling: the biases forbid every token the logits allow");
    bool greedy = sampler->settings.temperature == 0;
    *out = greedy ? best : sampler_pick(sampler, values, best, n);
    return SPRAT_OK;
}

sprat_status sprat__sampler_choose(struct sprat__sampler *sampler, const float *logits,
                                   const sprat_token *history, size_t n, sprat_token *out,
                                   struct sprat__err *err)
{
    struct sprat__fpstate saved;
    *out = -1;
    sprat__fpstate_enter(&saved);
    sprat_status status = sampler_decide(sampler, logits, history, n, out, err);
    sprat__fpstate_leave(&saved);
    return status;
}

sprat_status sprat__sampler_draw(struct sprat__sampler *sampler, const float *logits,
                                 const sprat_token *history, size_t n, struct sprat_sample *out,
                                 struct sprat__err *err)
{
    struct sprat__fpstate saved;
    *out = (struct sprat_sample){.size = out->size};
    SPRAT_TRY(sprat__sampler_choose(sampler, logits, history, n, &out->token, err));
    sprat__fpstate_enter(&saved);
    sampler_report(sampler, logits, out);
    sprat__fpstate_leave(&saved);
    return SPRAT_OK;
}
