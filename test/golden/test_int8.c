/* Numerics INT8 against the float32 references: its mean KL divergence on every quantised model is
 * not above that of llama.cpp on the same file, as stored in case.json. And its own bits: the same
 * for any threads and chunk. */
#include "golden.h"
#include "run_suite.h"

#include <math.h>
#include <stdbool.h>
#include <sprat/sprat.h>

static const char *golden_root;

struct run {
    sprat_context *context;
    sprat_model *model;
    sprat_session *session;
    sprat_token tokens[512];
    size_t n, n_vocab;
    float *reference;
    char *json;
};

static void run_open(struct run *run, const char *folder, uint32_t n_threads, uint32_t chunk)
{
    char path[GOLDEN_PATH];
    sprat_error error;
    sprat_context_options options;
    sprat_session_options session_options;
    sprat_source source;
    sprat_model_info info;
    sprat_init(&error, sizeof error);
    sprat_init(&options, sizeof options);
    sprat_init(&session_options, sizeof session_options);
    sprat_init(&source, sizeof source);
    sprat_init(&info, sizeof info);
    options.n_threads = n_threads;
    int len = snprintf(path, sizeof path, "%s/model.gguf", folder);
    ck_assert(len > 0 && len < (int)sizeof path);
    source.path = path;
    ck_assert_int_eq(sprat_context_create(&run->context, &options, &error), SPRAT_OK);
    sprat_status status = sprat_model_open(&run->model, run->context, &source, NULL, &error);
    ck_assert_msg(status == SPRAT_OK, "%s: %s", folder, error.message);
    sprat_model_get_info(run->model, &info);
    run->n_vocab = info.n_vocab;
    session_options.numerics = SPRAT_NUMERICS_INT8;
    session_options.kv_type = SPRAT_KV_F32; /* as the stored figures were taken */
    session_options.n_chunk = chunk;
    session_options.n_kept = 512;
    ck_assert_int_eq(sprat_session_create(&run->session, run->model, &session_options, &error),
                     SPRAT_OK);
    run->json = golden_read(folder, "case.json", NULL);
    run->reference = (float *)(void *)golden_read(folder, "logits.f32", NULL);
    const char *at = run->json;
    double *numbers = golden_numbers(&at, "tokens", &run->n);
    ck_assert_uint_le(run->n, 512);
    for (size_t i = 0; i < run->n; i++)
        run->tokens[i] = (sprat_token)numbers[i];
    free(numbers);
}

static float *run_logits(struct run *run)
{
    size_t positions[512];
    float *logits = malloc(run->n * run->n_vocab * sizeof *logits);
    for (size_t i = 0; i < run->n; i++)
        positions[i] = i;
    ck_assert_msg(sprat_session_sync(NULL, run->session, run->tokens, run->n) == SPRAT_OK, "%s",
                  sprat_session_error(run->session));
    ck_assert_msg(sprat_session_logits(run->session, positions, run->n, logits,
                                       run->n * run->n_vocab) == SPRAT_OK,
                  "%s", sprat_session_error(run->session));
    return logits;
}

static void run_close(struct run *run)
{
    sprat_session_destroy(run->session);
    sprat_model_close(run->model);
    sprat_context_destroy(run->context);
    free(run->reference);
    free(run->json);
}

static double log_sum(const float *logits, size_t n)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum);
}

/* Mean over positions of Σ p (log p − log q), p the reference. */
static double mean_kl(const struct run *run, const float *ours)
{
    double sum = 0;
    for (size_t i = 0; i < run->n; i++) {
        const float *p = run->reference + i * run->n_vocab, *q = ours + i * run->n_vocab;
        double log_p = log_sum(p, run->n_vocab), log_q = log_sum(q, run->n_vocab);
        for (size_t k = 0; k < run->n_vocab; k++) {
            double lp = (double)p[k] - log_p, lq = (double)q[k] - log_q;
            sum += exp(lp) * (lp - lq);
        }
    }
    return sum / (double)run->n;
}

static void check_quality(const char *folder)
{
    struct run run;
    run_open(&run, folder, 2, 0);
    const char *peer = strstr(run.json, "\"peer\"");
    ck_assert_msg(peer != NULL, "%s: no figure of a peer", folder);
    peer = strstr(peer, "\"mean_kl\": ");
    ck_assert_ptr_nonnull(peer);
    double bar = strtod(peer + strlen("\"mean_kl\": "), NULL);
    float *logits = run_logits(&run);
    double kl = mean_kl(&run, logits);
    ck_assert_msg(kl <= bar, "%s: mean KL %.3e, at most %.3e", folder, kl, bar);
    free(logits);
    run_close(&run);
}

static const char *const quantised[] = {"q128_", "q256_", "q256ds"};

START_TEST(not_above_the_peer)
{
    char path[GOLDEN_PATH];
    snprintf(path, sizeof path, "%s/models", golden_root);
    ck_assert_uint_ge(golden_each(path, quantised, 3, check_quality), 17);
}
END_TEST

START_TEST(not_above_the_peer_whole_set)
{
    char path[GOLDEN_PATH];
    snprintf(path, sizeof path, "%s/golden", getenv("SPRAT_TEST_DATA"));
    ck_assert_uint_ge(golden_each(path, quantised, 3, check_quality), 28);
}
END_TEST

START_TEST(same_bits_for_any_threads_and_chunk)
{
    static const char *const names[] = {"q256_Q4_K_M", "q256_Q8_0",     "q256_Q4_1",
                                        "q128_F16",    "q256ds_Q4_K_M", "q256dskv_Q2_K"};
    static const uint32_t threads[] = {1, 2, 3}, chunks[] = {1, 7, 64};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char folder[GOLDEN_PATH];
        float *first = NULL;
        snprintf(folder, sizeof folder, "%s/models/%s", golden_root, names[i]);
        for (size_t k = 0; k < 9; k++) {
            struct run run;
            run_open(&run, folder, threads[k / 3], chunks[k % 3]);
            float *logits = run_logits(&run);
            if (first) {
                ck_assert_msg(memcmp(first, logits, run.n * run.n_vocab * sizeof *logits) == 0,
                              "%s: %u threads, chunk %u: other bits", names[i], threads[k / 3],
                              chunks[k % 3]);
                free(logits);
            } else {
                first = logits;
            }
            run_close(&run);
        }
        free(first);
    }
}
END_TEST

int main(int argc, char **argv)
{
    golden_root = argc > 1 ? argv[1] : ".";
    Suite *suite = suite_create("int8");
    TCase *tests = tcase_create("int8");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, not_above_the_peer);
    if (getenv("SPRAT_TEST_DATA"))
        tcase_add_test(tests, not_above_the_peer_whole_set);
    tcase_add_test(tests, same_bits_for_any_threads_and_chunk);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
