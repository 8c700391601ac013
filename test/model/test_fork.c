/* Forks: a second session on the same tokens. What either does afterwards never reaches the other,
 * and both give the bits of a session that was never forked. */
#include "fixture.h"
#include "run_suite.h"

#include <pthread.h>

static const char *model_path;

enum { N_TOKENS = 200 };

/* Every how many lengths: sanitizers look at memory and threads, not at every length. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LENGTH_STEP = 37 };
#else
enum { LENGTH_STEP = 7 };
#endif

static sprat_session *new_session(const struct fixture *fixture, uint32_t numerics)
{
    sprat_session *session;
    sprat_session_options options;
    sprat_init(&options, sizeof options);
    options.n_chunk = 32;
    options.numerics = numerics;
    ck_assert_int_eq(sprat_session_create(&session, fixture->model, &options, NULL), SPRAT_OK);
    return session;
}

static sprat_session *fork_of(const sprat_session *session)
{
    sprat_session *out;
    sprat_error error;
    sprat_init(&error, sizeof error);
    ck_assert_msg(sprat_session_fork(&out, session, &error) == SPRAT_OK, "%s", error.message);
    return out;
}

/* Logits after exactly these tokens, by a session of its own. */
static float *expected(const struct fixture *fixture, uint32_t numerics, const sprat_token *tokens,
                       size_t n)
{
    sprat_session *session = new_session(fixture, numerics);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, n), SPRAT_OK);
    float *logits = fixture_last(fixture, session);
    sprat_session_destroy(session);
    return logits;
}

static void check_last(const struct fixture *fixture, sprat_session *session, const float *wanted,
                       const char *what, size_t n)
{
    float *logits = fixture_last(fixture, session);
    ck_assert_msg(memcmp(logits, wanted, fixture->n_vocab * sizeof *logits) == 0,
                  "%s, forked at %zu tokens: other bits", what, n);
    free(logits);
}

START_TEST(both_go_on_to_the_same_bits)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_token tokens[N_TOKENS], other[N_TOKENS];
    for (uint32_t numerics = SPRAT_NUMERICS_INT8; numerics <= SPRAT_NUMERICS_F32; numerics++) {
        fixture_tokens(tokens, N_TOKENS, fixture.n_vocab, 1);
        fixture_tokens(other, N_TOKENS, fixture.n_vocab, 2);
        float *straight = expected(&fixture, numerics, tokens, N_TOKENS);
        sprat_session *trunk = new_session(&fixture, numerics);
        ck_assert_int_eq(sprat_session_sync(NULL, trunk, tokens, N_TOKENS), SPRAT_OK);
        for (size_t n = 1; n <= N_TOKENS; n += LENGTH_STEP) {
            ck_assert_int_eq(sprat_session_rewind(trunk, n), SPRAT_OK);
            sprat_session *fork = fork_of(trunk);
            memcpy(other, tokens, n * sizeof *tokens);
            size_t n_other = n + 5 < N_TOKENS ? n + 5 : N_TOKENS;
            ck_assert_int_eq(sprat_session_append(fork, other + n, n_other - n), SPRAT_OK);
            ck_assert_int_eq(sprat_session_append(trunk, tokens + n, N_TOKENS - n), SPRAT_OK);
            check_last(&fixture, trunk, straight, "the first", n);
            float *branch = expected(&fixture, numerics, other, n_other);
            check_last(&fixture, fork, branch, "the fork", n);
            ck_assert_int_eq(sprat_session_sync(NULL, fork, tokens, N_TOKENS), SPRAT_OK);
            check_last(&fixture, fork, straight, "the fork, back on the way", n);
            free(branch);
            sprat_session_destroy(fork);
        }
        sprat_session_destroy(trunk);
        free(straight);
    }
    fixture_close(&fixture);
}
END_TEST

/* Logits of a position that is no longer kept are computed again, which writes. */
START_TEST(looking_back_does_not_reach_the_other)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_token tokens[N_TOKENS];
    fixture_tokens(tokens, N_TOKENS, fixture.n_vocab, 3);
    float *straight = expected(&fixture, SPRAT_NUMERICS_INT8, tokens, 70);
    sprat_session *first = new_session(&fixture, SPRAT_NUMERICS_INT8);
    ck_assert_int_eq(sprat_session_sync(NULL, first, tokens, N_TOKENS), SPRAT_OK);
    sprat_session *fork = fork_of(first);
    float *logits = malloc(fixture.n_vocab * sizeof *logits);
    size_t position = 69;
    sprat_session *both[] = {fork, first};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(sprat_session_logits(both[i], &position, 1, logits, fixture.n_vocab),
                         SPRAT_OK);
        ck_assert(memcmp(logits, straight, fixture.n_vocab * sizeof *logits) == 0);
    }
    free(logits);
    free(straight);
    sprat_session_destroy(first);
    sprat_session_destroy(fork);
    fixture_close(&fixture);
}
END_TEST

/* The cache is held together until somebody writes, and a page is copied then, not all. */
START_TEST(memory_is_shared)
{
    enum { LONG = 256 };
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_token tokens[LONG];
    sprat_context_info before, after, written;
    sprat_session_stats stats;
    fixture_tokens(tokens, LONG, fixture.n_vocab, 4);
    sprat_init(&before, sizeof before);
    sprat_init(&after, sizeof after);
    sprat_init(&written, sizeof written);
    sprat_init(&stats, sizeof stats);
    sprat_session *empty = new_session(&fixture, 0);
    sprat_session *first = new_session(&fixture, 0);
    ck_assert_int_eq(sprat_session_sync(NULL, first, tokens, LONG - 1), SPRAT_OK);
    ck_assert_int_eq(sprat_session_get_stats(first, &stats), SPRAT_OK);
    uint64_t cache = stats.kv_bytes;
    ck_assert_int_eq(sprat_session_get_stats(empty, &stats), SPRAT_OK);
    ck_assert_int_eq(sprat_context_get_info(fixture.context, &before), SPRAT_OK);
    sprat_session *fork = fork_of(first);
    ck_assert_int_eq(sprat_context_get_info(fixture.context, &after), SPRAT_OK);
    ck_assert_uint_le(after.memory_now - before.memory_now, stats.heap_bytes + LONG * 64);
    ck_assert_int_eq(sprat_session_accept(fork, tokens[LONG - 1]), SPRAT_OK);
    ck_assert_int_eq(sprat_context_get_info(fixture.context, &written), SPRAT_OK);
    ck_assert_uint_ge(written.memory_now - after.memory_now, cache / 4);
    ck_assert_uint_le(written.memory_now - after.memory_now, cache / 4 + LONG * 64);
    sprat_session_destroy(first);
    ck_assert_int_eq(sprat_session_accept(fork, 1), SPRAT_OK);
    sprat_session_destroy(fork);
    sprat_session_destroy(empty);
    fixture_close(&fixture);
}
END_TEST

START_TEST(sampling_goes_along)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_token tokens[20];
    sprat_sampling sampling;
    sprat_sample one, two;
    fixture_tokens(tokens, 20, fixture.n_vocab, 5);
    sprat_init(&sampling, sizeof sampling);
    sampling.temperature = 1.5f;
    sampling.seed = 42;
    sprat_session *first = new_session(&fixture, 0);
    ck_assert_int_eq(sprat_session_set_sampling(first, &sampling), SPRAT_OK);
    ck_assert_int_eq(sprat_session_sync(NULL, first, tokens, 20), SPRAT_OK);
    sprat_session *fork = fork_of(first);
    for (size_t i = 0; i < 20; i++) {
        sprat_init(&one, sizeof one);
        sprat_init(&two, sizeof two);
        ck_assert_int_eq(sprat_session_sample(first, &one), SPRAT_OK);
        ck_assert_int_eq(sprat_session_sample(fork, &two), SPRAT_OK);
        ck_assert_int_eq(one.token, two.token);
        ck_assert_int_eq(sprat_session_accept(first, one.token), SPRAT_OK);
        ck_assert_int_eq(sprat_session_accept(fork, two.token), SPRAT_OK);
    }
    sprat_session_destroy(fork);
    sprat_session_destroy(first);
    fixture_close(&fixture);
}
END_TEST

struct branch {
    const struct fixture *fixture;
    sprat_session *session;
    sprat_token tokens[N_TOKENS];
    float *logits;
};

static void *go_on(void *argument)
{
    struct branch *branch = argument;
    if (sprat_session_sync(NULL, branch->session, branch->tokens, N_TOKENS) == SPRAT_OK)
        branch->logits = fixture_last(branch->fixture, branch->session);
    sprat_session_destroy(branch->session);
    return NULL;
}

START_TEST(forks_on_threads_of_their_own)
{
    enum { N = 4 };
    struct fixture fixture = fixture_open(model_path, NULL);
    struct branch branches[N];
    pthread_t threads[N];
    sprat_token trunk[N_TOKENS];
    fixture_tokens(trunk, N_TOKENS, fixture.n_vocab, 6);
    sprat_session *first = new_session(&fixture, 0);
    ck_assert_int_eq(sprat_session_sync(NULL, first, trunk, 100), SPRAT_OK);
    for (size_t i = 0; i < N; i++) {
        branches[i] = (struct branch){.fixture = &fixture, .session = i ? fork_of(first) : first};
        fixture_tokens(branches[i].tokens, N_TOKENS, fixture.n_vocab, 10 + (uint32_t)i);
        memcpy(branches[i].tokens, trunk, 100 * sizeof *trunk);
    }
    for (size_t i = 0; i < N; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, go_on, &branches[i]), 0);
    for (size_t i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_ptr_nonnull(branches[i].logits);
        float *straight = expected(&fixture, 0, branches[i].tokens, N_TOKENS);
        ck_assert(memcmp(straight, branches[i].logits, fixture.n_vocab * sizeof *straight) == 0);
        free(straight);
        free(branches[i].logits);
    }
    fixture_close(&fixture);
}
END_TEST

START_TEST(refusals)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = new_session(&fixture, 0), *out = session;
    sprat_error error;
    sprat_init(&error, sizeof error);
    ck_assert_int_eq(sprat_session_fork(NULL, session, &error), SPRAT_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "out"));
    ck_assert_int_eq(sprat_session_fork(&out, NULL, &error), SPRAT_INVALID);
    ck_assert_ptr_null(out);
    sprat_session *fork = fork_of(session); /* of an empty one */
    ck_assert_int_eq(sprat_session_accept(fork, 1), SPRAT_OK);
    sprat_session_destroy(fork);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "model.gguf";
    Suite *suite = suite_create("fork");
    TCase *tests = tcase_create("fork");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, both_go_on_to_the_same_bits);
    tcase_add_test(tests, looking_back_does_not_reach_the_other);
    tcase_add_test(tests, memory_is_shared);
    tcase_add_test(tests, sampling_goes_along);
    tcase_add_test(tests, forks_on_threads_of_their_own);
    tcase_add_test(tests, refusals);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
