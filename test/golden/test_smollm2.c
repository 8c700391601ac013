/* A real model, SmolLM2-135M-Instruct in Q4_1, against transformers on the same weights unpacked to
 * float32: every greedy token of 20 prompts, and the likelihood of a text of 4096 tokens. The file
 * is named by SPRAT_TEST_MODEL (test/run.sh fetches it). */
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

static sprat_session *new_session(void)
{
    sprat_session *session;
    sprat_session_options options;
    sprat_init(&options, sizeof options);
    options.numerics = SPRAT_NUMERICS_F32;
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
    sprat_session *session = new_session();
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

static double minus_log_p(const float *logits, sprat_token token)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n_vocab; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum) - (double)logits[token];
}

START_TEST(likelihood_of_a_text)
{
    size_t bytes, nll_bytes;
    sprat_token *tokens = (sprat_token *)(void *)golden_read(folder, "text.ids.u32", &bytes);
    float *expected = (float *)(void *)golden_read(folder, "text.nll.f32", &nll_bytes);
    size_t n = bytes / sizeof *tokens;
    ck_assert_uint_eq(nll_bytes, (n - 1) * sizeof *expected);
    open_model();
    float *logits = malloc(CHUNK * n_vocab * sizeof *logits);
    sprat_session *session = new_session();
    double sum = 0, sum_expected = 0;
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t positions[CHUNK], rows = n - first < CHUNK ? n - first : CHUNK;
        for (size_t i = 0; i < rows; i++)
            positions[i] = first + i;
        ck_assert_int_eq(sprat_session_append(session, tokens + first, rows), SPRAT_OK);
        ck_assert_int_eq(sprat_session_logits(session, positions, rows, logits, CHUNK * n_vocab),
                         SPRAT_OK);
        for (size_t i = 0; i < rows && first + i + 1 < n; i++) {
            double nll = minus_log_p(logits + i * n_vocab, tokens[first + i + 1]);
            ck_assert_msg(fabs(nll - (double)expected[first + i]) < 5e-3,
                          "position %zu: %g, not %g", first + i, nll, (double)expected[first + i]);
            sum += nll;
            sum_expected += (double)expected[first + i];
        }
    }
    double mean = sum / (double)(n - 1), mean_expected = sum_expected / (double)(n - 1);
    ck_assert_msg(fabs(mean - mean_expected) < 1e-4, "mean %.6f, not %.6f", mean, mean_expected);
    sprat_session_destroy(session);
    close_model();
    free(logits);
    free(expected);
    free(tokens);
}
END_TEST

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : ".";
    if (!getenv("SPRAT_TEST_MODEL")) {
        fprintf(stderr, "SPRAT_TEST_MODEL: not set; test/run.sh fetches the model and sets it\n");
        return EXIT_FAILURE;
    }
    Suite *suite = suite_create("smollm2");
    TCase *tests = tcase_create("smollm2");
    tcase_set_timeout(tests, 900);
    tcase_add_test(tests, greedy_tokens);
    tcase_add_test(tests, likelihood_of_a_text);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
