/* sample/: the chosen token against a plain reference that sorts everything in double, each option
 * by itself, any bit pattern, ties, repeatability, log-probabilities, settings that are refused. */
#include "sample/order.h"
#include "sample/random.h"
#include "sample/sampler.h"
#include "sample/settings.h"

#include "run_suite.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sprat__mem mem;
static struct sprat__err err;
static uint64_t random_counter;

static struct sprat__kernels kernels; /* the best of this CPU */

static uint64_t random_bits(void)
{
    return sprat__random_at(12345, random_counter++);
}

static uint32_t random_number(uint32_t n)
{
    return (uint32_t)sprat__random_below(random_bits(), n);
}

static float random_between(float low, float high)
{
    return low + (high - low) * ((float)(random_bits() >> 40) * 0x1p-24f);
}

static struct sprat__sampler *new_sampler(const struct sprat_sampling *settings, uint32_t n_vocab)
{
    struct sprat__sampler *sampler;
    sprat__mem_init(&mem, NULL, 0);
    sprat_status status = sprat__sampler_create(&sampler, &mem, &kernels, settings, n_vocab, &err);
    ck_assert_msg(status == SPRAT_OK, "%s", err.message);
    ck_assert_uint_eq(mem.now, sprat__sampler_bytes(settings, n_vocab));
    return sampler;
}

static void end_sampler(struct sprat__sampler *sampler)
{
    sprat__sampler_destroy(sampler);
    ck_assert_uint_eq(mem.now, 0);
}

static struct sprat_sampling settings_with(float temperature, uint64_t seed)
{
    return (struct sprat_sampling){
        .size = sizeof(struct sprat_sampling), .temperature = temperature, .seed = seed};
}

static sprat_token draw(struct sprat__sampler *sampler, const float *logits,
                        const sprat_token *history, size_t n)
{
    struct sprat_sample out = {.size = sizeof out};
    uint64_t before = mem.now;
    sprat_status status = sprat__sampler_draw(sampler, logits, history, n, &out, &err);
    ck_assert_msg(status == SPRAT_OK, "%s", err.message);
    ck_assert_uint_eq(mem.now, before);
    sprat_token alone;
    ck_assert_int_eq(sprat__sampler_choose(sampler, logits, history, n, &alone, &err), SPRAT_OK);
    ck_assert_int_eq(alone, out.token);
    return out.token;
}

/* The token for one call: settings, logits, a history of n equal tokens. */
static sprat_token draw_once(const struct sprat_sampling *settings, const float *logits,
                             uint32_t n_vocab, const sprat_token *history, size_t n)
{
    struct sprat__sampler *sampler = new_sampler(settings, n_vocab);
    sprat_token token = draw(sampler, logits, history, n);
    end_sampler(sampler);
    return token;
}

/* ---- the reference --------------------------------------------------------------------------- */

enum { REFERENCE_MOST = 3000 };

static float reference_values[REFERENCE_MOST];
static int reference_order[REFERENCE_MOST];
static double reference_p[REFERENCE_MOST];

static int compare_ids(const void *a, const void *b)
{
    int i = *(const int *)a, j = *(const int *)b;
    if (reference_values[i] != reference_values[j])
        return reference_values[i] > reference_values[j] ? -1 : 1;
    return i < j ? -1 : i > j;
}

static float finite_float(double x)
{
    return x > (double)FLT_MAX ? FLT_MAX : x < -(double)FLT_MAX ? -FLT_MAX : (float)x;
}

static void reference_adjust(const struct sprat_sampling *s, const float *logits, uint32_t n_vocab,
                             const sprat_token *history, size_t n)
{
    memcpy(reference_values, logits, n_vocab * sizeof *logits);
    for (uint32_t i = 0; i < s->n_bias; i++) {
        float *value = &reference_values[s->bias_tokens[i]];
        *value = isinf(*value) || isinf(s->bias_values[i])
                     ? -INFINITY
                     : finite_float((double)*value + (double)s->bias_values[i]);
    }
    size_t window = s->penalty_window ? s->penalty_window : 64;
    for (uint32_t id = 0; id < n_vocab; id++) {
        int count = 0;
        for (size_t i = n > window ? n - window : 0; i < n; i++)
            count += history[i] == (sprat_token)id;
        double v = (double)reference_values[id];
        if (count == 0 || isinf(v))
            continue;
        if (s->repetition_penalty != 0)
            v = v > 0 ? v / (double)s->repetition_penalty : v * (double)s->repetition_penalty;
        v -= (double)s->presence_penalty + (double)s->frequency_penalty * count;
        reference_values[id] = finite_float(v);
    }
}

/* The token a plain implementation chooses, or -1 where rounding might decide otherwise. */
static int reference_choose(const struct sprat_sampling *s, uint32_t n_vocab, size_t position)
{
    const double unsure = 1e-9;
    for (uint32_t i = 0; i < n_vocab; i++)
        reference_order[i] = (int)i;
    qsort(reference_order, n_vocab, sizeof *reference_order, compare_ids);
    if (s->temperature == 0)
        return reference_order[0];
    double best = (double)reference_values[reference_order[0]], total = 0;
    for (uint32_t i = 0; i < n_vocab; i++)
        reference_p[i] = exp(((double)reference_values[i] - best) / (double)s->temperature);
    uint32_t n = s->top_k > 0 && s->top_k < n_vocab ? s->top_k : n_vocab;
    for (uint32_t i = 0; i < n; i++)
        total += reference_p[reference_order[i]];
    if (s->top_p > 0 && s->top_p < 1) {
        double sum = 0;
        for (uint32_t i = 0; i < n; i++) {
            sum += reference_p[reference_order[i]];
            if (fabs(sum - (double)s->top_p * total) < unsure * total)
                return -1;
            if (sum >= (double)s->top_p * total)
                n = i + 1;
        }
    }
    for (uint32_t i = n; i < n_vocab; i++)
        reference_p[reference_order[i]] = 0;
    total = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        if (fabs(reference_p[i] - (double)s->min_p) < unsure && s->min_p > 0)
            return -1;
        if (reference_p[i] < (double)s->min_p)
            reference_p[i] = 0;
        total += reference_p[i];
    }
    double point = (double)sprat__random_at(s->seed, position) * 0x1p-64 * total, sum = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        sum += reference_p[i];
        if (fabs(point - sum) < unsure * total)
            return -1;
        if (point < sum)
            return (int)i;
    }
    return -1;
}

static void fill_logits(float *logits, uint32_t n_vocab, uint32_t kind)
{
    for (uint32_t i = 0; i < n_vocab; i++) {
        float x = random_between(-1, 1) + random_between(-1, 1) + random_between(-1, 1);
        switch (kind) {
        case 0:
            logits[i] = 5 * x;
            break;
        case 1: /* many ties */
            logits[i] = (float)((int)(4 * x));
            break;
        case 2: /* flat */
            logits[i] = 0.01f * x;
            break;
        case 3: /* some forbidden */
            logits[i] = random_number(3) == 0 ? -INFINITY : 3 * x;
            break;
        default: /* one far ahead, one at the very end */
            logits[i] = i == 7 ? 60 : i == 11 ? -FLT_MAX : 8 * x;
            break;
        }
    }
    logits[n_vocab / 2] = 1; /* at least one is allowed */
}

static void choose_settings(struct sprat_sampling *s, uint32_t n_vocab, sprat_token *tokens,
                            float *values)
{
    static const float temperatures[] = {0, 0.2f, 0.7f, 1, 1.5f, 30};
    uint64_t seed = random_bits();
    *s = settings_with(temperatures[random_number(6)], seed);
    if (random_number(2))
        s->top_k = 1 + random_number(random_number(2) ? 50 : n_vocab + 10);
    if (random_number(2))
        s->top_p = random_between(0.01f, 1);
    if (random_number(3) == 0)
        s->min_p = random_between(0, 0.5f);
    if (random_number(3) == 0)
        s->repetition_penalty = random_between(0.5f, 2);
    if (random_number(3) == 0)
        s->presence_penalty = random_between(-2, 2);
    if (random_number(3) == 0)
        s->frequency_penalty = random_between(-1, 1);
    s->penalty_window = random_number(3) * 20;
    s->n_bias = random_number(2) ? random_number(8) : 0;
    s->bias_tokens = tokens;
    s->bias_values = values;
    for (uint32_t i = 0; i < s->n_bias; i++) {
        tokens[i] = (sprat_token)random_number(n_vocab / 2);
        values[i] = random_number(3) ? random_between(-5, 5) : -INFINITY;
    }
}

START_TEST(equals_the_reference)
{
    static float logits[REFERENCE_MOST];
    int n_sure = 0;
    for (int round = 0; round < 3000; round++) {
        uint32_t n_vocab = random_number(10) ? 20 + random_number(300) : 2900;
        sprat_token history[100], tokens[8];
        float values[8];
        size_t n = random_number(101);
        for (size_t i = 0; i < n; i++)
            history[i] = (sprat_token)random_number(20);
        fill_logits(logits, n_vocab, random_number(5));
        struct sprat_sampling s;
        choose_settings(&s, n_vocab, tokens, values);
        reference_adjust(&s, logits, n_vocab, history, n);
        int expected = reference_choose(&s, n_vocab, n);
        sprat_token token = draw_once(&s, logits, n_vocab, history, n);
        if (expected >= 0)
            ck_assert_msg(token == expected, "round %d: %d, not %d", round, token, expected);
        n_sure += expected >= 0;
    }
    ck_assert_int_gt(n_sure, 2900);
}
END_TEST

/* ---- each option by itself ------------------------------------------------------------------- */

START_TEST(greedy_takes_the_first_of_equals)
{
    float logits[6] = {1, 3, -0.0f, 3, 0, 3};
    ck_assert_int_eq(draw_once(NULL, logits, 6, NULL, 0), 1);
    float zeros[3] = {-0.0f, 0.0f, 0.0f};
    ck_assert_int_eq(draw_once(NULL, zeros, 3, NULL, 0), 0);
    struct sprat_sampling cut = settings_with(1, 0);
    cut.top_k = 1;
    ck_assert_int_eq(draw_once(&cut, zeros, 3, NULL, 0), 0);
    float one[1] = {-FLT_MAX};
    ck_assert_int_eq(draw_once(NULL, one, 1, NULL, 0), 0);
    /* Only what changes logits takes memory by the vocabulary. */
    struct sprat_sampling s = settings_with(1, 0);
    s.top_k = 1000;
    s.top_p = 0.9f;
    ck_assert_uint_le(sprat__sampler_bytes(NULL, 1000000), 2048);
    ck_assert_uint_le(sprat__sampler_bytes(&s, 1000000), 2048);
}
END_TEST

START_TEST(bias_moves_and_forbids)
{
    float logits[4] = {1, 4, 3, 2};
    sprat_token tokens[3] = {1, 2, 2};
    float values[3] = {-INFINITY, 0.5f, -2};
    struct sprat_sampling s = settings_with(0, 0);
    s.bias_tokens = tokens;
    s.bias_values = values;
    s.n_bias = 1;
    ck_assert_int_eq(draw_once(&s, logits, 4, NULL, 0), 2);
    s.n_bias = 3; /* two for the same token add up */
    ck_assert_int_eq(draw_once(&s, logits, 4, NULL, 0), 3);
    float large[2] = {FLT_MAX, 1};
    tokens[0] = 0;
    values[0] = FLT_MAX;
    s.n_bias = 1;
    ck_assert_int_eq(draw_once(&s, large, 2, NULL, 0), 0);
    values[0] = -INFINITY;
    ck_assert_int_eq(draw_once(&s, large, 2, NULL, 0), 1);
}
END_TEST

START_TEST(forbidding_all_is_an_error)
{
    float logits[2] = {1, -INFINITY};
    sprat_token token = 0;
    float value = -INFINITY;
    struct sprat_sampling s = settings_with(1, 0);
    s.n_bias = 1;
    s.bias_tokens = &token;
    s.bias_values = &value;
    struct sprat__sampler *sampler = new_sampler(&s, 2);
    struct sprat_sample out = {.size = sizeof out};
    ck_assert_int_eq(sprat__sampler_draw(sampler, logits, NULL, 0, &out, &err), SPRAT_NUMERIC);
    ck_assert_int_eq(out.token, -1);
    end_sampler(sampler);
}
END_TEST

START_TEST(penalties_look_at_the_window)
{
    float logits[3] = {4, 3.5f, -1};
    sprat_token history[70];
    for (int i = 0; i < 70; i++)
        history[i] = 2;
    history[3] = 0; /* the 67th from the end */
    struct sprat_sampling s = settings_with(0, 0);
    s.repetition_penalty = 2;
    ck_assert_int_eq(draw_once(&s, logits, 3, history, 70), 0);
    ck_assert_int_eq(draw_once(&s, logits, 3, history, 60), 1);
    s.penalty_window = 67;
    ck_assert_int_eq(draw_once(&s, logits, 3, history, 70), 1);
    s.penalty_window = UINT32_MAX;
    ck_assert_int_eq(draw_once(&s, logits, 3, history, 70), 1);
    s.penalty_window = 66;
    ck_assert_int_eq(draw_once(&s, logits, 3, history, 70), 0);
    s = settings_with(0, 0);
    s.presence_penalty = 0.4f;
    ck_assert_int_eq(draw_once(&s, logits, 3, (sprat_token[]){0, 0}, 2), 0);
    s.presence_penalty = 0;
    s.frequency_penalty = 0.3f;
    ck_assert_int_eq(draw_once(&s, logits, 3, (sprat_token[]){0}, 1), 0);
    ck_assert_int_eq(draw_once(&s, logits, 3, (sprat_token[]){0, 0}, 2), 1);
    /* Ids that are none change nothing. */
    ck_assert_int_eq(draw_once(&s, logits, 3, (sprat_token[]){-1, 3, INT32_MAX}, 3), 0);
}
END_TEST

/* How often each of n tokens comes at positions 0 … draws - 1. */
static void count_draws(const struct sprat_sampling *s, const float *logits, uint32_t n, int draws,
                        int *counts)
{
    static sprat_token history[20000];
    struct sprat__sampler *sampler = new_sampler(s, n);
    memset(counts, 0, n * sizeof *counts);
    for (int i = 0; i < draws; i++)
        counts[draw(sampler, logits, history, (size_t)i)]++;
    end_sampler(sampler);
}

START_TEST(draws_follow_the_distribution)
{
    enum { N = 5, DRAWS = 20000 };
    const double p[N] = {0.4, 0.3, 0.2, 0.08, 0.02};
    float logits[N];
    int counts[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)log(p[i]);
    struct sprat_sampling s = settings_with(1, 99);
    count_draws(&s, logits, N, DRAWS, counts);
    double chi = 0;
    for (int i = 0; i < N; i++)
        chi += pow(counts[i] - DRAWS * p[i], 2) / (DRAWS * p[i]);
    ck_assert_double_lt(chi, 18.5); /* 4 degrees of freedom: one in a thousand seeds is beyond */
    s.temperature = 0.5f;           /* squares, made to sum to 1 again */
    count_draws(&s, logits, N, DRAWS, counts);
    chi = 0;
    for (int i = 0; i < N; i++) {
        double expected = DRAWS * p[i] * p[i] / 0.2968;
        chi += pow(counts[i] - expected, 2) / expected;
    }
    ck_assert_double_lt(chi, 18.5);
}
END_TEST

START_TEST(cuts_keep_a_beginning_of_the_order)
{
    enum { N = 6, DRAWS = 2000 };
    const double p[N] = {0.1, 0.3, 0.1, 0.3, 0.15, 0.05};
    float logits[N];
    int counts[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)log(p[i]);
    struct sprat_sampling s = settings_with(1, 5);
    s.top_k = 4; /* of the two with 0.1 the lower id is in */
    count_draws(&s, logits, N, DRAWS, counts);
    ck_assert(counts[0] && counts[1] && !counts[2] && counts[3] && counts[4] && !counts[5]);
    s.top_k = 1;
    count_draws(&s, logits, N, DRAWS, counts);
    ck_assert_int_eq(counts[1], DRAWS);
    s.top_k = 0;
    s.top_p = 0.7f;
    count_draws(&s, logits, N, DRAWS, counts);
    ck_assert(!counts[0] && counts[1] && !counts[2] && counts[3] && counts[4] && !counts[5]);
    s.top_k = 4;
    s.top_p = 0.7f; /* of 0.85: 0.595 */
    count_draws(&s, logits, N, DRAWS, counts);
    ck_assert(counts[1] && counts[3] && counts[1] + counts[3] == DRAWS);
    s.top_k = 0;
    s.top_p = 1e-30f;
    count_draws(&s, logits, N, DRAWS, counts);
    ck_assert_int_eq(counts[1], DRAWS);
    s.top_p = 1;
    s.min_p = 0.4f;
    count_draws(&s, logits, N, DRAWS, counts);
    ck_assert(!counts[0] && counts[1] && !counts[2] && counts[3] && counts[4] && !counts[5]);
    s.min_p = 0;
    count_draws(&s, logits, N, DRAWS, counts);
    for (int i = 0; i < N; i++)
        ck_assert_int_gt(counts[i], 0);
}
END_TEST

START_TEST(seed_and_position_alone_decide)
{
    enum { N = 1000 };
    float logits[N];
    sprat_token other[N] = {0}, history[N] = {0}, tokens[N];
    for (int i = 0; i < N; i++) {
        logits[i] = random_between(-2, 2);
        other[i] = (sprat_token)random_number(N);
    }
    struct sprat_sampling s = settings_with(1, 7);
    struct sprat__sampler *sampler = new_sampler(&s, N);
    for (size_t i = 0; i < N; i++)
        tokens[i] = draw(sampler, logits, history, i);
    int n_same = 0;
    for (size_t i = N; i-- > 0;) {
        ck_assert_int_eq(draw(sampler, logits, other, i), tokens[i]);
        n_same += i > 0 && tokens[i] == tokens[i - 1];
    }
    ck_assert_int_lt(n_same, 20);
    end_sampler(sampler);
    s.seed = UINT64_C(7) << 32 | 7;
    sampler = new_sampler(&s, N);
    n_same = 0;
    for (size_t i = 0; i < N; i++)
        n_same += draw(sampler, logits, history, i) == tokens[i];
    ck_assert_int_lt(n_same, 20);
    end_sampler(sampler);
}
END_TEST

/* ---- any bits -------------------------------------------------------------------------------- */

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Bit patterns of one kind: all, no NaN, extremes. */
static float any_float(uint32_t kind)
{
    static const uint32_t extremes[] = {0,          0x80000000, 1,          0x80000001, 0x7f7fffff,
                                        0xff7fffff, 0xff800000, 0x7f800000, 0x7fc00000, 0x3f800000};
    float x = float_of((uint32_t)random_bits());
    if (kind == 0)
        return x;
    if (kind == 1)
        return isnan(x) || isinf(x) ? -INFINITY : x;
    return float_of(extremes[random_number(kind == 2 ? 7 : 10)]);
}

START_TEST(any_bits_give_an_id_or_an_error)
{
    enum { MOST = 200 };
    int n_ok = 0, n_numeric = 0;
    for (int round = 0; round < 20000; round++) {
        uint32_t n = 1 + random_number(random_number(2) ? 3 : MOST), kind = random_number(4);
        float logits[MOST], values[2] = {any_float(1), any_float(2)};
        sprat_token history[50], tokens[2] = {0, (sprat_token)random_number(n)};
        bool refuse = false, any = false;
        for (uint32_t i = 0; i < n; i++) {
            logits[i] = any_float(kind);
            refuse = refuse || isnan(logits[i]) || logits[i] == INFINITY;
            any = any || isfinite(logits[i]);
        }
        for (int i = 0; i < 50; i++)
            history[i] = (sprat_token)random_bits();
        history[49] = (sprat_token)random_number(n);
        struct sprat_sampling s = settings_with(fabsf(any_float(1)), random_bits());
        if (!isfinite(s.temperature))
            s.temperature = random_number(2) ? FLT_MAX : FLT_TRUE_MIN;
        s.top_k = random_number(4) ? 0 : 1 + random_number(MOST);
        s.top_p = random_number(4) ? 0 : random_between(0, 1);
        s.min_p = random_number(4) ? 0 : random_between(0, 0.999f);
        s.repetition_penalty = random_number(4) ? 0 : fabsf(any_float(1));
        if (!isfinite(s.repetition_penalty))
            s.repetition_penalty = FLT_MAX;
        s.presence_penalty = random_number(4) ? 0 : random_between(-FLT_MAX / 2, FLT_MAX / 2);
        s.frequency_penalty = random_number(4) ? 0 : FLT_MAX;
        s.n_bias = random_number(3);
        s.bias_tokens = tokens;
        s.bias_values = values;
        s.n_logprobs = random_number(3) * 32;
        struct sprat__sampler *sampler = new_sampler(&s, n);
        struct sprat_sample out = {.size = sizeof out};
        sprat_status status = sprat__sampler_draw(sampler, logits, history, 50, &out, &err);
        if (status == SPRAT_OK) {
            ck_assert(!refuse && any);
            ck_assert(out.token >= 0 && (uint32_t)out.token < n);
            ck_assert(isfinite(logits[out.token]));
            ck_assert(isfinite(out.logprob) && out.logprob <= 0);
            n_ok++;
        } else {
            ck_assert_int_eq(status, SPRAT_NUMERIC);
            ck_assert_int_eq(out.token, -1);
            ck_assert(refuse || !any || s.n_bias > 0);
            n_numeric++;
        }
        end_sampler(sampler);
    }
    ck_assert_int_gt(n_ok, 5000);
    ck_assert_int_gt(n_numeric, 2000);
}
END_TEST

START_TEST(refuses_what_is_no_logit)
{
    float logits[3] = {0, 1, 2};
    struct sprat__sampler *sampler = new_sampler(NULL, 3);
    struct sprat_sample out = {.size = sizeof out};
    static const char *const names[] = {"token 0 is nan", "token 1 is inf", "token 2 is nan"};
    const float bad[] = {NAN, INFINITY, -NAN};
    for (int i = 0; i < 3; i++) {
        float kept = logits[i];
        logits[i] = bad[i];
        ck_assert_int_eq(sprat__sampler_draw(sampler, logits, NULL, 0, &out, &err), SPRAT_NUMERIC);
        ck_assert_ptr_nonnull(strstr(err.message, names[i]));
        logits[i] = kept;
    }
    for (int i = 0; i < 3; i++)
        logits[i] = -INFINITY;
    ck_assert_int_eq(sprat__sampler_draw(sampler, logits, NULL, 0, &out, &err), SPRAT_NUMERIC);
    ck_assert_ptr_nonnull(strstr(err.message, "the logits of all 3 tokens are -infinity"));
    logits[2] = -FLT_MAX;
    ck_assert_int_eq(sprat__sampler_draw(sampler, logits, NULL, 0, &out, &err), SPRAT_OK);
    ck_assert_int_eq(out.token, 2);
    end_sampler(sampler);
}
END_TEST

/* ---- log-probabilities ----------------------------------------------------------------------- */

START_TEST(logprobs_are_the_models_own)
{
    enum { N = 500 };
    static float logits[N];
    for (uint32_t kind = 0; kind < 5; kind++) {
        fill_logits(logits, N, kind);
        sprat_token token = (sprat_token)random_number(100);
        float value = -INFINITY;
        struct sprat_sampling s = settings_with(0.3f, 3);
        s.top_k = 5;
        s.n_bias = 1;
        s.bias_tokens = &token;
        s.bias_values = &value;
        s.n_logprobs = 64;
        struct sprat__sampler *sampler = new_sampler(&s, N);
        struct sprat_sample out = {.size = sizeof out};
        ck_assert_int_eq(sprat__sampler_draw(sampler, logits, NULL, 0, &out, &err), SPRAT_OK);
        memcpy(reference_values, logits, sizeof logits);
        double sum = 0;
        for (int i = 0; i < N; i++) {
            reference_order[i] = i;
            sum += exp((double)logits[i]);
        }
        qsort(reference_order, N, sizeof *reference_order, compare_ids);
        ck_assert_uint_eq(out.n_top, 64);
        ck_assert_ptr_nonnull(out.top_tokens);
        for (int i = 0; i < 64; i++) {
            ck_assert_int_eq(out.top_tokens[i], reference_order[i]);
            ck_assert_double_le(
                fabs((double)out.top_logprobs[i] - ((double)logits[reference_order[i]] - log(sum))),
                1e-5);
        }
        ck_assert_double_le(fabs((double)out.logprob - ((double)logits[out.token] - log(sum))),
                            1e-5);
        end_sampler(sampler);
    }
    struct sprat_sampling s = settings_with(0, 0);
    s.n_logprobs = 64;
    struct sprat__sampler *sampler = new_sampler(&s, 2);
    struct sprat_sample out = {.size = sizeof out};
    float two[2] = {0, -INFINITY};
    ck_assert_int_eq(sprat__sampler_draw(sampler, two, NULL, 0, &out, &err), SPRAT_OK);
    ck_assert_uint_eq(out.n_top, 2);
    ck_assert(out.logprob == 0 && out.top_logprobs[0] == 0 && out.top_logprobs[1] == -FLT_MAX);
    end_sampler(sampler);
}
END_TEST

/* ---- parts ----------------------------------------------------------------------------------- */

/* The known answers of the Random123 distribution (kat_vectors, philox4x32 10). */
START_TEST(random_is_philox)
{
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        uint32_t counter[4];
        memcpy(counter, cases[i], sizeof counter);
        sprat__random_block(counter, cases[i] + 4);
        ck_assert_mem_eq(counter, cases[i] + 6, sizeof counter);
    }
    ck_assert_uint_eq(sprat__random_at(0, 0), UINT64_C(0xe169c58d6627e8d5));
    ck_assert_uint_eq(sprat__random_below(UINT64_MAX, UINT64_MAX), UINT64_MAX - 1);
    ck_assert_uint_eq(sprat__random_below(UINT64_C(1) << 63, 10), 5);
    ck_assert_uint_eq(sprat__random_below(0, 1), 0);
    ck_assert_uint_eq(sprat__random_below(UINT64_MAX, 1), 0);
    ck_assert_uint_eq(
        sprat__random_below(UINT64_C(0x123456789abcdef0), UINT64_C(0xfedcba9876543210)),
        UINT64_C(0x121fa00ad77d7422));
}
END_TEST

START_TEST(order_is_total)
{
    enum { N = 300 };
    for (int round = 0; round < 300; round++) {
        uint32_t n = 1 + random_number(N), k = 1 + random_number(n);
        int32_t ids[N];
        for (uint32_t i = 0; i < n; i++) {
            reference_values[i] = (float)random_number(1 + random_number(50)) - 5;
            if (random_number(10) == 0)
                reference_values[i] = random_number(2) ? -INFINITY : -0.0f;
            reference_order[i] = (int)i;
        }
        qsort(reference_order, n, sizeof *reference_order, compare_ids);
        ck_assert_int_eq((int)kernels.first_f32(reference_values, n), reference_order[0]);
        sprat__order_select(reference_values, n, ids, k);
        ck_assert_int_eq(ids[0], reference_order[k - 1]);
        sprat__order_sort(reference_values, ids, k);
        for (uint32_t i = 0; i < k; i++)
            ck_assert_int_eq(ids[i], reference_order[i]);
    }
}
END_TEST

/* The hash was taken once on x86-64; another platform, compiler or flag must give the same. */
START_TEST(choices_are_the_same_everywhere)
{
    enum { N = 2000 };
    static float logits[N];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    random_counter = 1000;
    for (int round = 0; round < 400; round++) {
        sprat_token history[64], tokens[8];
        float values[8];
        for (int i = 0; i < 64; i++)
            history[i] = (sprat_token)random_number(N);
        for (int i = 0; i < N; i++)
            logits[i] = (float)(int32_t)random_number(1u << 24) * 0x1p-20f - 8;
        struct sprat_sampling s;
        choose_settings(&s, N, tokens, values);
        s.n_logprobs = 3;
        struct sprat__sampler *sampler = new_sampler(&s, N);
        struct sprat_sample out = {.size = sizeof out};
        ck_assert_int_eq(sprat__sampler_draw(sampler, logits, history, 64, &out, &err), SPRAT_OK);
        uint32_t bits[3];
        memcpy(bits, &out.logprob, 4);
        memcpy(bits + 1, out.top_logprobs + 2, 4);
        bits[2] = (uint32_t)out.token;
        for (int i = 0; i < 12; i++)
            hash = (hash ^ ((bits[i / 4] >> (i % 4 * 8)) & 255)) * UINT64_C(0x100000001b3);
        end_sampler(sampler);
    }
    ck_assert_msg(hash == UINT64_C(0xc83d45d093a9874c), "hash 0x%016llx", (unsigned long long)hash);
}
END_TEST

/* ---- settings -------------------------------------------------------------------------------- */

static void refused(const struct sprat_sampling *s, const char *words)
{
    struct sprat__sampler *sampler = (void *)&mem;
    sprat__mem_init(&mem, NULL, 0);
    ck_assert_int_eq(sprat__sampler_create(&sampler, &mem, &kernels, s, 100, &err), SPRAT_INVALID);
    ck_assert_ptr_null(sampler);
    ck_assert_int_eq(err.status, SPRAT_INVALID);
    ck_assert_msg(strstr(err.message, words), "\"%s\" lacks \"%s\"", err.message, words);
    ck_assert_uint_eq(mem.now, 0);
}

#define REFUSED(field, value, words)                                                               \
    do {                                                                                           \
        struct sprat_sampling s_ = settings_with(1, 0);                                            \
        s_.field = value;                                                                          \
        refused(&s_, words);                                                                       \
    } while (0)

START_TEST(refuses_settings_out_of_range)
{
    REFUSED(temperature, NAN, "temperature must be finite and at least 0, not nan");
    REFUSED(temperature, INFINITY, "not inf");
    REFUSED(temperature, -0.5f, "not -0.5");
    REFUSED(top_p, 1.5f, "top_p must be from 0 to 1, not 1.5");
    REFUSED(top_p, -1, "top_p");
    REFUSED(top_p, NAN, "top_p");
    REFUSED(min_p, 1, "min_p must be at least 0 and below 1, not 1");
    REFUSED(min_p, -0.1f, "min_p");
    REFUSED(min_p, NAN, "min_p");
    REFUSED(repetition_penalty, -1, "repetition_penalty");
    REFUSED(repetition_penalty, NAN, "repetition_penalty");
    REFUSED(repetition_penalty, INFINITY, "repetition_penalty");
    REFUSED(presence_penalty, NAN, "presence_penalty must be finite, not nan");
    REFUSED(presence_penalty, -INFINITY, "not -inf");
    REFUSED(frequency_penalty, INFINITY, "frequency_penalty");
    REFUSED(n_logprobs, 65, "n_logprobs must be at most 64, not 65");
    REFUSED(ignore_end, 2, "ignore_end must be 0 or 1, not 2");
    REFUSED(reserved, 1, "reserved");
    REFUSED(n_bias, 1, "bias_tokens or bias_values is NULL");
    REFUSED(n_stops, 1, "stops is NULL");
    REFUSED(n_stops, 17, "n_stops must be at most 16, not 17");
}
END_TEST

START_TEST(refuses_bad_biases_and_stops)
{
    struct sprat_sampling s = settings_with(1, 0);
    sprat_token tokens[2] = {99, 100};
    float values[2] = {0, 0};
    s.bias_tokens = tokens;
    s.bias_values = values;
    s.n_bias = 2;
    refused(&s, "bias_tokens[1] must be from 0 to 99, not 100");
    tokens[1] = -1;
    refused(&s, "not -1");
    tokens[1] = 0;
    values[1] = NAN;
    refused(&s, "bias_values[1] must be finite or -infinity, not nan");
    values[1] = INFINITY;
    refused(&s, "not inf");
    values[1] = -INFINITY;
    char text[300];
    memset(text, 'x', sizeof text);
    text[257] = '\0';
    const char *stops[2] = {"a", text};
    s.stops = stops;
    s.n_stops = 2;
    refused(&s, "stops[1] has more than 256 bytes");
    stops[1] = "";
    refused(&s, "stops[1] is empty");
    stops[1] = NULL;
    refused(&s, "stops[1] is NULL");
}
END_TEST

START_TEST(copies_what_it_is_given)
{
    sprat_token tokens[2] = {3, 4};
    float values[2] = {1, -INFINITY};
    char text[257], other[] = "end";
    memset(text, 'x', 256);
    text[256] = '\0';
    const char *stops[2] = {text, other};
    struct sprat_sampling s = settings_with(0.5f, 6);
    s.bias_tokens = tokens;
    s.bias_values = values;
    s.n_bias = 2;
    s.stops = stops;
    s.n_stops = 2;
    s.max_tokens = 12;
    struct sprat__sampler *sampler = new_sampler(&s, 1000);
    tokens[0] = tokens[1] = -5;
    text[0] = other[0] = 'y';
    stops[0] = NULL;
    const struct sprat_sampling *kept = sprat__sampler_settings(sampler);
    ck_assert_int_eq(kept->bias_tokens[0], 3);
    ck_assert_int_eq(kept->bias_tokens[1], 4);
    ck_assert(kept->bias_values[0] == 1);
    ck_assert_uint_eq(strlen(kept->stops[0]), 256);
    ck_assert_int_eq(kept->stops[0][0], 'x');
    ck_assert_str_eq(kept->stops[1], "end");
    ck_assert_uint_eq(kept->max_tokens, 12);
    end_sampler(sampler);
}
END_TEST

START_TEST(failing_to_allocate_leaves_nothing)
{
    struct sprat_sampling s = settings_with(1, 0);
    s.presence_penalty = 0.5f;
    struct sprat__sampler *sampler = (void *)&mem;
    sprat__mem_init(&mem, NULL, sprat__sampler_bytes(&s, 5000) - 1);
    ck_assert_int_eq(sprat__sampler_create(&sampler, &mem, &kernels, &s, 5000, &err),
                     SPRAT_OVER_BUDGET);
    ck_assert_ptr_null(sampler);
    ck_assert_uint_eq(mem.now, 0);
    sprat__sampler_destroy(NULL);
}
END_TEST

START_TEST(writes_numbers)
{
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        {0, "0"},           {1, "1"},         {-0.5, "-0.5"},           {1.5, "1.5"},
        {100, "100"},       {0.001, "0.001"}, {123456789, "123456789"}, {1e12, "100000000e4"},
        {1e-5, "0.001e-2"}, {NAN, "nan"},     {INFINITY, "inf"},        {-INFINITY, "-inf"}};
    char out[SPRAT__NUMBER_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_str_eq(sprat__number(out, cases[i].x), cases[i].text);
    ck_assert_uint_lt(strlen(sprat__number(out, -DBL_MAX)), sizeof out);
    ck_assert_uint_lt(strlen(sprat__number(out, -0x1p-1074)), sizeof out);
}
END_TEST

int main(void)
{
    struct sprat__cpu cpu;
    sprat__cpu_detect(&cpu);
    sprat__kernels_init(&kernels, &cpu, NULL);
    Suite *suite = suite_create("sampler");
    TCase *tests = tcase_create("sampler");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, equals_the_reference);
    tcase_add_test(tests, greedy_takes_the_first_of_equals);
    tcase_add_test(tests, bias_moves_and_forbids);
    tcase_add_test(tests, forbidding_all_is_an_error);
    tcase_add_test(tests, penalties_look_at_the_window);
    tcase_add_test(tests, draws_follow_the_distribution);
    tcase_add_test(tests, cuts_keep_a_beginning_of_the_order);
    tcase_add_test(tests, seed_and_position_alone_decide);
    tcase_add_test(tests, any_bits_give_an_id_or_an_error);
    tcase_add_test(tests, refuses_what_is_no_logit);
    tcase_add_test(tests, logprobs_are_the_models_own);
    tcase_add_test(tests, random_is_philox);
    tcase_add_test(tests, order_is_total);
    tcase_add_test(tests, choices_are_the_same_everywhere);
    tcase_add_test(tests, refuses_settings_out_of_range);
    tcase_add_test(tests, refuses_bad_biases_and_stops);
    tcase_add_test(tests, copies_what_it_is_given);
    tcase_add_test(tests, failing_to_allocate_leaves_nothing);
    tcase_add_test(tests, writes_numbers);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
