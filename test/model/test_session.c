/* Sessions: every way to the same tokens gives the same bits; every refusal leaves the session
 * where it was; memory is taken when the header says so. */
#define _GNU_SOURCE
#include "run_suite.h"
#include "fixture.h"

#include <pthread.h>
#include <time.h>

static const char *model_path;

/* Sanitizers take ten times as long; they look at memory and threads, not at every length. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
enum { LENGTH_STEP = 23 };
#define LENGTH_STEP_SET
#endif
#endif
#ifndef LENGTH_STEP_SET
enum { LENGTH_STEP = 1 };
#endif

static float *fresh_last(const struct fixture *fixture, const sprat_token *tokens, size_t n,
                         uint32_t kv_type)
{
    sprat_session *session = fixture_session(fixture, 0, kv_type);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, n), SPRAT_OK);
    float *logits = fixture_last(fixture, session);
    sprat_session_destroy(session);
    return logits;
}

static void check_equal(const struct fixture *fixture, sprat_session *session, float *expected,
                        const char *what, size_t n)
{
    float *logits = fixture_last(fixture, session);
    ck_assert_msg(memcmp(logits, expected, fixture->n_vocab * sizeof *logits) == 0,
                  "%s, %zu tokens: other bits", what, n);
    free(logits);
}

START_TEST(every_way_gives_the_same_bits)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_token tokens[200], other[200];
    fixture_tokens(tokens, 200, fixture.n_vocab, 1);
    fixture_tokens(other, 200, fixture.n_vocab, 2);
    for (uint32_t kv = SPRAT_KV_F16; kv <= SPRAT_KV_F32; kv++) {
        sprat_session *rewound = fixture_session(&fixture, 0, kv);
        sprat_session *stepped = fixture_session(&fixture, 0, kv);
        ck_assert_int_eq(sprat_session_sync(NULL, rewound, tokens, 200), SPRAT_OK);
        for (size_t n = 1; n <= 200; n++) {
            ck_assert_int_eq(sprat_session_accept(stepped, tokens[n - 1]), SPRAT_OK);
            if ((n - 1) % LENGTH_STEP != 0)
                continue;
            float *expected = fresh_last(&fixture, tokens, n, kv);
            check_equal(&fixture, stepped, expected, "step by step", n);
            ck_assert_int_eq(sprat_session_rewind(rewound, n), SPRAT_OK);
            check_equal(&fixture, rewound, expected, "rewound", n);
            size_t reused = 0;
            memcpy(other, tokens, n * sizeof *tokens);
            ck_assert_int_eq(sprat_session_append(rewound, other + n, 200 - n), SPRAT_OK);
            ck_assert_int_eq(sprat_session_sync(&reused, rewound, tokens, 200), SPRAT_OK);
            ck_assert_uint_ge(reused, n);
            free(expected);
        }
        sprat_session_destroy(rewound);
        sprat_session_destroy(stepped);
    }
    fixture_close(&fixture);
}
END_TEST

START_TEST(logits_of_any_positions)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 0, SPRAT_KV_F16);
    sprat_token tokens[100];
    fixture_tokens(tokens, 100, fixture.n_vocab, 3);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 100), SPRAT_OK);
    const size_t positions[] = {99, 0, 42, 42, 63, 64};
    float *logits = malloc(6 * fixture.n_vocab * sizeof *logits);
    ck_assert_int_eq(sprat_session_logits(session, positions, 6, logits, 6 * fixture.n_vocab),
                     SPRAT_OK);
    for (size_t i = 0; i < 6; i++) {
        float *expected = fresh_last(&fixture, tokens, positions[i] + 1, SPRAT_KV_F16);
        ck_assert_int_eq(
            memcmp(logits + i * fixture.n_vocab, expected, fixture.n_vocab * sizeof *logits), 0);
        free(expected);
    }
    const size_t beyond = 100;
    ck_assert_int_eq(sprat_session_logits(session, &beyond, 1, logits, fixture.n_vocab),
                     SPRAT_INVALID);
    ck_assert_int_eq(sprat_session_logits(session, positions, 2, logits, fixture.n_vocab),
                     SPRAT_INVALID);
    free(logits);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

/* Checks that the session is as it was: its tokens and, bit for bit, its logits. */
static void check_unmoved(const struct fixture *fixture, sprat_session *session,
                          const sprat_token *tokens, size_t n, float *logits)
{
    size_t now;
    sprat_token held[512];
    ck_assert_int_eq(sprat_session_tokens(&now, session, held, 512), SPRAT_OK);
    ck_assert_uint_eq(now, n);
    ck_assert_int_eq(memcmp(held, tokens, n * sizeof *held), 0);
    check_equal(fixture, session, logits, "after a refusal", n);
}

START_TEST(refusals_change_nothing)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 80, SPRAT_KV_F16);
    sprat_token tokens[200];
    fixture_tokens(tokens, 200, fixture.n_vocab, 4);
    sprat_sample sample;
    sprat_event event;
    sprat_init(&sample, sizeof sample);
    sprat_init(&event, sizeof event);
    ck_assert_int_eq(sprat_session_sample(session, &sample), SPRAT_STATE);
    ck_assert_int_eq(sprat_session_next(session, &event), SPRAT_STATE);
    ck_assert_uint_gt(strlen(sprat_session_error(session)), 0);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 70), SPRAT_OK);
    float *logits = fixture_last(&fixture, session);
    ck_assert_int_eq(sprat_session_append(session, tokens + 70, 11), SPRAT_CONTEXT_FULL);
    check_unmoved(&fixture, session, tokens, 70, logits);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 81), SPRAT_PROMPT_TOO_LONG);
    ck_assert_ptr_nonnull(strstr(sprat_session_error(session), "81"));
    check_unmoved(&fixture, session, tokens, 70, logits);
    ck_assert_int_eq(sprat_session_reserve(session, 81), SPRAT_CONTEXT_FULL);
    ck_assert_int_eq(sprat_session_rewind(session, 71), SPRAT_INVALID);
    const sprat_token bad[] = {0, (sprat_token)fixture.n_vocab}, negative = -1;
    ck_assert_int_eq(sprat_session_append(session, bad, 2), SPRAT_INVALID);
    ck_assert_int_eq(sprat_session_accept(session, negative), SPRAT_INVALID);
    ck_assert_int_eq(sprat_session_sync(NULL, session, bad, 2), SPRAT_INVALID);
    check_unmoved(&fixture, session, tokens, 70, logits);
    sprat_session_cancel(session, 1);
    ck_assert_int_eq(sprat_session_append(session, tokens + 70, 10), SPRAT_CANCELLED);
    sprat_session_cancel(session, 0);
    check_unmoved(&fixture, session, tokens, 70, logits);
    ck_assert_uint_eq(sprat_session_context_left(session), 10);
    ck_assert_int_eq(sprat_session_append(session, tokens + 70, 10), SPRAT_OK);
    ck_assert_uint_eq(sprat_session_context_left(session), 0);
    free(logits);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

START_TEST(cancel_is_a_level)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 0, SPRAT_KV_F16);
    sprat_token tokens[100];
    fixture_tokens(tokens, 100, fixture.n_vocab, 5);
    sprat_session_cancel(session, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 100), SPRAT_CANCELLED);
    sprat_session_cancel(session, 0);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 100), SPRAT_OK);
    float *expected = fresh_last(&fixture, tokens, 100, SPRAT_KV_F16);
    check_equal(&fixture, session, expected, "after cancels", 100);
    sprat_session_cancel(session, 1);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens + 1, 50), SPRAT_CANCELLED);
    sprat_session_cancel(session, 0);
    check_unmoved(&fixture, session, tokens, 100, expected);
    free(expected);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

/* ---- memory */

struct counter {
    size_t n, bytes, peak;
};

static void *counting_alloc(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    struct counter *counter = user;
    void *ptr = NULL;
    (void)purpose;
    counter->n++;
    counter->bytes += bytes;
    counter->peak = counter->bytes > counter->peak ? counter->bytes : counter->peak;
    return posix_memalign(&ptr, alignment, bytes) == 0 ? ptr : NULL;
}

static void counting_free(void *user, void *ptr, size_t bytes, uint32_t purpose)
{
    struct counter *counter = user;
    (void)purpose;
    counter->bytes -= bytes;
    free(ptr);
}

static struct fixture open_counted(struct counter *counter, sprat_allocator *allocator,
                                   uint64_t budget)
{
    sprat_context_options options;
    sprat_init(&options, sizeof options);
    sprat_init(allocator, sizeof *allocator);
    allocator->user = counter;
    allocator->alloc = counting_alloc;
    allocator->free = counting_free;
    options.allocator = allocator;
    options.memory_budget = budget;
    options.n_threads = 1;
    return fixture_open(model_path, &options);
}

START_TEST(no_allocation_after_reserve)
{
    struct counter counter = {0};
    sprat_allocator allocator;
    struct fixture fixture = open_counted(&counter, &allocator, 0);
    sprat_session *session = fixture_session(&fixture, 0, SPRAT_KV_F16);
    sprat_sampling sampling;
    sprat_init(&sampling, sizeof sampling);
    sampling.temperature = 0.8f;
    sampling.top_p = 0.9f;
    sampling.n_logprobs = 5;
    sampling.repetition_penalty = 1.1f;
    ck_assert_int_eq(sprat_session_set_sampling(session, &sampling), SPRAT_OK);
    ck_assert_int_eq(sprat_session_reserve(session, 128), SPRAT_OK);
    ck_assert_int_eq(sprat_session_accept(session, 1), SPRAT_OK);
    size_t before = counter.n;
    for (int i = 0; i < 64; i++) {
        sprat_sample sample;
        sprat_init(&sample, sizeof sample);
        ck_assert_int_eq(sprat_session_sample(session, &sample), SPRAT_OK);
        ck_assert_int_eq(sprat_session_accept(session, sample.token), SPRAT_OK);
    }
    ck_assert_uint_eq(counter.n, before);
    sprat_session_destroy(session);
    fixture_close(&fixture);
    ck_assert_uint_eq(counter.bytes, 0);
}
END_TEST

START_TEST(plan_tells_the_peak)
{
    struct counter counter = {0}, planned = {0};
    sprat_allocator allocator, other;
    struct fixture fixture = open_counted(&planned, &other, 0);
    sprat_source source = fixture_source(model_path);
    sprat_session_options options;
    sprat_plan plan;
    sprat_init(&options, sizeof options);
    sprat_init(&plan, sizeof plan);
    options.n_chunk = 32;
    options.n_ctx = 512;
    size_t before = planned.bytes;
    ck_assert_int_eq(sprat_model_plan(&plan, fixture.context, &source, NULL, &options, NULL),
                     SPRAT_OK);
    ck_assert_uint_eq(planned.bytes, before);
    fixture_close(&fixture);

    fixture = open_counted(&counter, &allocator, 0);
    sprat_session *session = fixture_session(&fixture, 512, SPRAT_KV_F16);
    sprat_token tokens[512];
    fixture_tokens(tokens, 512, fixture.n_vocab, 6);
    for (size_t i = 0; i < 512; i += 64)
        ck_assert_int_eq(sprat_session_append(session, tokens + i, 64), SPRAT_OK);
    double ratio = (double)plan.peak_bytes / (double)counter.peak;
    ck_assert_msg(ratio > 0.95 && ratio < 1.05, "planned %llu, held %zu",
                  (unsigned long long)plan.peak_bytes, counter.peak);
    ck_assert_uint_gt(plan.mapped_bytes, 0);
    sprat_context_info info;
    sprat_init(&info, sizeof info);
    ck_assert_int_eq(sprat_context_get_info(fixture.context, &info), SPRAT_OK);
    ck_assert_uint_eq(info.memory_peak, counter.peak);
    sprat_session_stats stats;
    sprat_init(&stats, sizeof stats);
    ck_assert_int_eq(sprat_session_get_stats(session, &stats), SPRAT_OK);
    ck_assert_uint_eq(stats.n_tokens, 512);
    ck_assert_uint_eq(stats.kv_bytes, plan.kv_bytes_per_token * 512);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

/* What a later release may say in a reserved field must not go unheard, and a plan that failed
 * tells nothing. */
START_TEST(reserved_fields_are_zero)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_source source = fixture_source(model_path);
    sprat_context_options context_options;
    sprat_session_options options;
    sprat_plan plan;
    sprat_error error;
    sprat_context *context = fixture.context;
    sprat_session *session;
    sprat_init(&context_options, sizeof context_options);
    sprat_init(&options, sizeof options);
    sprat_init(&error, sizeof error);
    context_options.reserved = 1;
    options.reserved = 1;
    memset(&plan, 0x5a, sizeof plan);
    plan.size = sizeof plan;
    ck_assert_int_eq(sprat_context_create(&context, &context_options, &error), SPRAT_UNSUPPORTED);
    ck_assert_ptr_null(context);
    ck_assert_ptr_nonnull(strstr(error.message, "reserved"));
    ck_assert_int_eq(sprat_session_create(&session, fixture.model, &options, &error),
                     SPRAT_UNSUPPORTED);
    ck_assert_ptr_null(session);
    ck_assert_ptr_nonnull(strstr(error.message, "reserved"));
    ck_assert_int_eq(sprat_model_plan(&plan, fixture.context, &source, NULL, &options, &error),
                     SPRAT_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "reserved"));
    ck_assert_uint_eq(plan.size, sizeof plan);
    ck_assert_uint_eq(plan.peak_bytes, 0);
    ck_assert_uint_eq(plan.kv_bytes_per_token, 0);
    fixture_close(&fixture);
}
END_TEST

START_TEST(budget_is_a_hard_cap)
{
    struct counter counter = {0};
    sprat_allocator allocator;
    struct fixture fixture = open_counted(&counter, &allocator, 0);
    size_t opened = counter.peak;
    sprat_session *session = fixture_session(&fixture, 512, SPRAT_KV_F16);
    size_t with_session = counter.bytes;
    sprat_session_destroy(session);
    fixture_close(&fixture);
    size_t budget = (opened > with_session ? opened : with_session) + 70000;
    struct counter capped = {0};
    fixture = open_counted(&capped, &allocator, budget);
    session = fixture_session(&fixture, 512, SPRAT_KV_F16);
    sprat_token tokens[512];
    fixture_tokens(tokens, 512, fixture.n_vocab, 7);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 64), SPRAT_OK);
    float *logits = fixture_last(&fixture, session);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 512), SPRAT_OVER_BUDGET);
    ck_assert_ptr_nonnull(strstr(sprat_session_error(session), "budget"));
    check_unmoved(&fixture, session, tokens, 64, logits);
    ck_assert_uint_le(capped.peak, budget);
    free(logits);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

/* ---- threads */

struct worker {
    const struct fixture *fixture;
    sprat_session *sessions[2];
    float *expected[2];
    sprat_token tokens[96];
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            sprat_session *session = worker->sessions[i];
            size_t n = 64 + (size_t)i * 32;
            ck_assert_int_eq(sprat_session_rewind(session, 0), SPRAT_OK);
            ck_assert_int_eq(sprat_session_append(session, worker->tokens, n - 3), SPRAT_OK);
            for (size_t k = n - 3; k < n; k++)
                ck_assert_int_eq(sprat_session_accept(session, worker->tokens[k]), SPRAT_OK);
            check_equal(worker->fixture, session, worker->expected[i], "beside others", n);
        }
    }
    return NULL;
}

START_TEST(four_threads_on_eight_sessions)
{
    sprat_context_options options;
    sprat_init(&options, sizeof options);
    options.n_threads = 3;
    struct fixture fixture = fixture_open(model_path, &options);
    struct worker workers[4];
    pthread_t threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        workers[i].fixture = &fixture;
        fixture_tokens(workers[i].tokens, 96, fixture.n_vocab, 10 + i);
        for (size_t k = 0; k < 2; k++) {
            workers[i].sessions[k] = fixture_session(&fixture, 128, SPRAT_KV_F16);
            workers[i].expected[k] =
                fresh_last(&fixture, workers[i].tokens, 64 + k * 32, SPRAT_KV_F16);
        }
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++)
        ck_assert_int_eq(sprat_context_set_threads(fixture.context, n_threads), SPRAT_OK);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 2; k++) {
            sprat_session_destroy(workers[i].sessions[k]);
            free(workers[i].expected[k]);
        }
    }
    fixture_close(&fixture);
}
END_TEST

static void *cancel_soon(void *argument)
{
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
    sprat_session_cancel(argument, 1);
    return NULL;
}

START_TEST(cancel_from_another_thread)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 0, SPRAT_KV_F16);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, session), 0);
    sprat_status status = SPRAT_OK;
    for (int i = 0; i < 1000000 && status == SPRAT_OK; i++) {
        ck_assert_int_eq(sprat_session_rewind(session, 0), SPRAT_OK);
        status = sprat_session_accept(session, 1);
    }
    ck_assert_int_eq(status, SPRAT_CANCELLED);
    pthread_join(thread, NULL);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

START_TEST(handles_keep_each_other)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 64, SPRAT_KV_F16);
    sprat_context_destroy(fixture.context);
    sprat_model_close(fixture.model);
    ck_assert_int_eq(sprat_session_accept(session, 1), SPRAT_OK);
    sprat_session_destroy(session);
    sprat_session_destroy(NULL);
    sprat_model_close(NULL);
    sprat_context_destroy(NULL);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "model.gguf";
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, every_way_gives_the_same_bits);
    tcase_add_test(tests, logits_of_any_positions);
    tcase_add_test(tests, refusals_change_nothing);
    tcase_add_test(tests, cancel_is_a_level);
    tcase_add_test(tests, no_allocation_after_reserve);
    tcase_add_test(tests, plan_tells_the_peak);
    tcase_add_test(tests, reserved_fields_are_zero);
    tcase_add_test(tests, budget_is_a_hard_cap);
    tcase_add_test(tests, four_threads_on_eight_sessions);
    tcase_add_test(tests, cancel_from_another_thread);
    tcase_add_test(tests, handles_keep_each_other);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
