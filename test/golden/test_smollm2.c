/* A real model, SmolLM2-135M-Instruct in Q4_1, against transformers on the same weights unpacked to
 * float32: 20 prompts of 64 greedy tokens, and a text of 4096 tokens. Numerics F32: every token and
 * every likelihood. Numerics INT8, fed with the reference's tokens: each argmax whose margin is
 * above 0.4, and no further from the reference than llama.cpp, whose activations have 8 bits too;
 * the divergence needs the reference's distributions, which lie in SPRAT_TEST_DATA. The model is
 * named by SPRAT_TEST_MODEL (test/run.sh fetches it). Arguments: the folder; "f32" or "int8". */
#include "golden.h"
#include "run_suite.h"

#include <math.h>
#include <stdbool.h>
#include <sprat/sprat.h>

enum { STEPS = 64, CHUNK = 128 };

static const char *folder;
static sprat_context *context;
static sprat_model *model;
static size_t n_vocab;

static void open_model(void)
{
    sprat_error error;
    sprat_source source;
    sprat_model_info info;
    sprat_init(&error, sizeof error);
    sprat_init(&source, sizeof source);
    sprat_init(&info, sizeof info);
    source.path = getenv("SPRAT_TEST_MODEL");
    ck_assert_int_eq(sprat_context_create(&context, NULL, &error), SPRAT_OK);
    sprat_status status = sprat_model_open(&model, context, &source, NULL, &error);
    ck_assert_msg(status == SPRAT_OK, "%s", error.message);
    ck_assert_int_eq(sprat_model_get_info(model, &info), SPRAT_OK);
    n_vocab = info.n_vocab;
}

static void close_model(void)
{
    sprat_model_close(model);
    sprat_context_destroy(context);
}

static sprat_session *new_session(uint32_t numerics)
{
    sprat_session *session;
    sprat_session_options options;
    sprat_init(&options, sizeof options);
    options.numerics = numerics;
    options.n_chunk = CHUNK;
    options.n_kept = CHUNK;
    ck_assert_int_eq(sprat_session_create(&session, model, &options, NULL), SPRAT_OK);
    return session;
}

/* One prompt and its 64 greedy tokens; *at moves behind them. false: no further case. */
static bool check_prompt(const char **at, size_t number)
{
    size_t n_ids, n_greedy;
    double *ids = golden_numbers(at, "ids", &n_ids);
    if (!ids)
        return false;
    double *greedy = golden_numbers(at, "greedy", &n_greedy);
    ck_assert_uint_eq(n_greedy, STEPS);
    sprat_token *tokens = malloc(n_ids * sizeof *tokens);
    for (size_t i = 0; i < n_ids; i++)
        tokens[i] = (sprat_token)ids[i];
    sprat_session *session = new_session(SPRAT_NUMERICS_F32);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, n_ids), SPRAT_OK);
    for (size_t i = 0; i < STEPS; i++) {
        sprat_sample sample;
        sprat_init(&sample, sizeof sample);
        ck_assert_int_eq(sprat_session_sample(session, &sample), SPRAT_OK);
        ck_assert_msg(sample.token == (sprat_token)greedy[i], "prompt %zu, step %zu: %d, not %d",
                      number, i, sample.token, (int)greedy[i]);
        ck_assert_int_eq(sprat_session_accept(session, sample.token), SPRAT_OK);
    }
    sprat_session_destroy(session);
    free(tokens);
    free(greedy);
    free(ids);
    return true;
}

START_TEST(greedy_tokens)
{
    char *json = golden_read(folder, "cases.json", NULL);
    const char *at = json;
    size_t n = 0;
    open_model();
    while (check_prompt(&at, n))
        n++;
    ck_assert_uint_eq(n, 20);
    close_model();
    free(json);
}
END_TEST

static double log_sum(const float *logits)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n_vocab; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum);
}

/* What is measured on the text at one position: logits, and log Σ exp of them. */
typedef void at_position(void *user, size_t position, const float *logits, double log_of_sum);

/* Calls see with the logits at every position of the text but the last. */
static void read_text(uint32_t numerics, const sprat_token *tokens, size_t n, at_position *see,
                      void *user)
{
    float *logits = malloc(CHUNK * n_vocab * sizeof *logits);
    sprat_session *session = new_session(numerics);
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t positions[CHUNK], rows = n - first < CHUNK ? n - first : CHUNK;
        for (size_t i = 0; i < rows; i++)
            positions[i] = first + i;
        ck_assert_int_eq(sprat_session_append(session, tokens + first, rows), SPRAT_OK);
        ck_assert_int_eq(sprat_session_logits(session, positions, rows, logits, CHUNK * n_vocab),
                         SPRAT_OK);
        for (size_t i = 0; i < rows && first + i + 1 < n; i++)
            see(user, first + i, logits + i * n_vocab, log_sum(logits + i * n_vocab));
    }
    sprat_session_destroy(session);
    free(logits);
}

struct likelihood {
    sprat_token *tokens;
    float *expected; /* -log p of the next token */
    double most;     /* by which each may differ */
    double sum, sum_expected;
};

static void see_likelihood(void *user, size_t position, const float *logits, double log_of_sum)
{
    struct likelihood *at = user;
    double nll = log_of_sum - (double)logits[at->tokens[position + 1]];
    double expected = (double)at->expected[position];
    ck_assert_msg(fabs(nll - expected) < at->most, "position %zu: %g, not %g", position, nll,
                  expected);
    at->sum += nll;
    at->sum_expected += expected;
}

/* The text and its likelihoods; n: how many. free_likelihood frees. */
static struct likelihood read_likelihood(size_t *n, double most)
{
    size_t bytes, nll_bytes;
    struct likelihood at = {.most = most};
    at.tokens = (sprat_token *)(void *)golden_read(folder, "text.ids.u32", &bytes);
    at.expected = (float *)(void *)golden_read(folder, "text.nll.f32", &nll_bytes);
    *n = bytes / sizeof *at.tokens - 1;
    ck_assert_uint_eq(nll_bytes, *n * sizeof *at.expected);
    return at;
}

static void free_likelihood(struct likelihood *at)
{
    free(at->expected);
    free(at->tokens);
}

static void check_mean(const struct likelihood *at, size_t n, double most)
{
    double mean = at->sum / (double)n, expected = at->sum_expected / (double)n;
    ck_assert_msg(fabs(mean - expected) <= most, "mean %.6f, not %.6f", mean, expected);
}

START_TEST(likelihood_of_a_text)
{
    size_t n;
    struct likelihood at = read_likelihood(&n, 5e-3);
    open_model();
    read_text(SPRAT_NUMERICS_F32, at.tokens, n + 1, see_likelihood, &at);
    close_model();
    check_mean(&at, n, 1e-4);
    free_likelihood(&at);
}
END_TEST

/* ---- numerics INT8 */

/* llama.cpp on the same file and text, as the reference's cases.json has it: its mean −log p is
 * 2.262329 where the reference's is 2.256980, its divergence 2.51345e-3. */
#define PEER_NLL    5.349e-3
#define PEER_KL     2.513e-3
#define SAFE_MARGIN 0.4 /* its own argmax differs up to 0.36 */

static size_t argmax(const float *logits)
{
    size_t best = 0;
    for (size_t i = 1; i < n_vocab; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* One prompt, fed with the reference's tokens; *at moves behind them. false: no further case. */
static bool check_forced(const char **at, size_t number, size_t *n_safe)
{
    size_t n_ids, n_greedy, n_margins;
    double *ids = golden_numbers(at, "ids", &n_ids);
    if (!ids)
        return false;
    double *greedy = golden_numbers(at, "greedy", &n_greedy);
    double *margins = golden_numbers(at, "margin", &n_margins);
    ck_assert_uint_eq(n_greedy, STEPS);
    ck_assert_uint_eq(n_margins, STEPS);
    sprat_token *tokens = malloc((n_ids + STEPS) * sizeof *tokens);
    float *logits = malloc(STEPS * n_vocab * sizeof *logits);
    size_t positions[STEPS];
    for (size_t i = 0; i < n_ids + STEPS; i++)
        tokens[i] = (sprat_token)(i < n_ids ? ids[i] : greedy[i - n_ids]);
    for (size_t i = 0; i < STEPS; i++)
        positions[i] = n_ids - 1 + i;
    sprat_session *session = new_session(SPRAT_NUMERICS_INT8);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, n_ids + STEPS - 1), SPRAT_OK);
    ck_assert_int_eq(sprat_session_logits(session, positions, STEPS, logits, STEPS * n_vocab),
                     SPRAT_OK);
    for (size_t i = 0; i < STEPS; i++) {
        size_t token = argmax(logits + i * n_vocab);
        bool is_safe = margins[i] > SAFE_MARGIN;
        *n_safe += is_safe;
        ck_assert_msg(!is_safe || token == (size_t)greedy[i],
                      "prompt %zu, step %zu, margin %g: %zu, not %d", number, i, margins[i], token,
                      (int)greedy[i]);
    }
    sprat_session_destroy(session);
    free(logits);
    free(tokens);
    free(margins);
    free(greedy);
    free(ids);
    return true;
}

START_TEST(forced_tokens)
{
    char *json = golden_read(folder, "cases.json", NULL);
    const char *at = json;
    size_t n = 0, n_safe = 0;
    open_model();
    while (check_forced(&at, n, &n_safe))
        n++;
    ck_assert_uint_eq(n, 20);
    ck_assert_uint_gt(n_safe, 1000);
    close_model();
    free(json);
}
END_TEST

/* The reference's distribution at a position: the mass outside its 64 likeliest, their ids and
 * their natural log-probabilities. */
enum { TOP = 64 };
struct top {
    float rest;
    uint32_t ids[TOP];
    float log_p[TOP];
};

/* Both measures, in one pass. */
struct quality {
    struct likelihood likelihood;
    const struct top *reference; /* NULL: none at hand */
    double divergence;
};

/* Σ p (log p − log q) over the 64, and the rest as one more; both rests at least 1e-9. */
static double divergence(const struct top *top, const float *logits, double log_of_sum)
{
    double kl = 0, rest_p = fmax((double)top->rest, 1e-9), rest_q = 1;
    for (size_t i = 0; i < TOP; i++) {
        double log_p = (double)top->log_p[i];
        double log_q = (double)logits[top->ids[i]] - log_of_sum;
        kl += exp(log_p) * (log_p - log_q);
        rest_q -= exp(log_q);
    }
    return kl + rest_p * (log(rest_p) - log(fmax(rest_q, 1e-9)));
}

static void see_quality(void *user, size_t position, const float *logits, double log_of_sum)
{
    struct quality *at = user;
    see_likelihood(&at->likelihood, position, logits, log_of_sum);
    if (at->reference)
        at->divergence += divergence(&at->reference[position], logits, log_of_sum);
}

/* The reference's distributions; NULL where SPRAT_TEST_DATA is not set. The caller frees. */
static struct top *read_top(size_t n)
{
    char path[GOLDEN_PATH];
    size_t bytes;
    const char *data = getenv("SPRAT_TEST_DATA");
    if (!data)
        return NULL;
    int len = snprintf(path, sizeof path, "%s/smollm2", data);
    ck_assert(len > 0 && len < (int)sizeof path);
    struct top *top = (struct top *)(void *)golden_read(path, "text.top64.bin", &bytes);
    ck_assert_uint_eq(bytes, n * sizeof *top);
    return top;
}

START_TEST(text_not_worse_than_the_peer)
{
    size_t n;
    struct quality at = {.likelihood = read_likelihood(&n, INFINITY)};
    struct top *top = read_top(n);
    at.reference = top;
    open_model();
    read_text(SPRAT_NUMERICS_INT8, at.likelihood.tokens, n + 1, see_quality, &at);
    close_model();
    check_mean(&at.likelihood, n, PEER_NLL);
    if (top)
        ck_assert_msg(at.divergence > 0 && at.divergence <= PEER_KL * (double)n,
                      "mean KL %.4e, at most %.4e", at.divergence / (double)n, PEER_KL);
    free(top);
    free_likelihood(&at.likelihood);
}
END_TEST

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : ".";
    bool is_int8 = argc > 2 && strcmp(argv[2], "int8") == 0;
    if (!getenv("SPRAT_TEST_MODEL")) {
        fprintf(stderr, "SPRAT_TEST_MODEL: not set; test/run.sh fetches the model and sets it\n");
        return EXIT_FAILURE;
    }
    Suite *suite = suite_create("smollm2");
    TCase *tests = tcase_create("smollm2");
    tcase_set_timeout(tests, 900);
    if (is_int8) {
        tcase_add_test(tests, forced_tokens);
        tcase_add_test(tests, text_not_worse_than_the_peer);
    } else {
        tcase_add_test(tests, greedy_tokens);
        tcase_add_test(tests, likelihood_of_a_text);
    }
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
