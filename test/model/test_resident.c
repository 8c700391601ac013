/* What a process that runs a model holds in memory, as the kernel counts it: the file once, mapped,
 * and beside it no more than plan() told. So nothing is repacked at load, neither for good nor for
 * a moment. The model is an argument, else SPRAT_TEST_MODEL too. Linux only: /proc tells. */
#define _POSIX_C_SOURCE 200809L
#include "run_suite.h"
#include "fixture.h"

#include <unistd.h>

enum {
    STEPS = 64,
    PROMPT = 128,
    STACKS_BYTES = 1 << 20, /* what the threads and the C library hold beside the allocator */
    ABOVE_BYTES = 64 << 20, /* what all may take above the file and the keys and values */
};

static const char *model_paths[2];

/* A line of a file of /proc/self, in bytes: these two count pages one by one. */
static uint64_t held(const char *path, const char *key)
{
    char line[256];
    uint64_t n_bytes = UINT64_MAX;
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            n_bytes = strtoull(line + strlen(key), NULL, 10) * 1024;
    fclose(file);
    ck_assert_msg(n_bytes != UINT64_MAX, "%s does not tell %s", path, key);
    return n_bytes;
}

static uint64_t held_now(const char *key)
{
    return held("/proc/self/smaps_rollup", key);
}

static sprat_plan plan_of(const struct fixture *fixture, const char *path,
                          const sprat_session_options *options)
{
    sprat_plan plan;
    sprat_error error;
    sprat_init(&plan, sizeof plan);
    sprat_init(&error, sizeof error);
    sprat_source source = fixture_source(path);
    ck_assert_msg(sprat_model_plan(&plan, fixture->context, &source, NULL, options, &error) ==
                      SPRAT_OK,
                  "%s", error.message);
    return plan;
}

/* A prompt, then greedy steps. */
static void answer(const struct fixture *fixture, sprat_session *session)
{
    sprat_token prompt[PROMPT];
    fixture_tokens(prompt, PROMPT, fixture->n_vocab, 1);
    ck_assert_msg(sprat_session_append(session, prompt, PROMPT) == SPRAT_OK, "%s",
                  sprat_session_error(session));
    for (int i = 0; i < STEPS; i++) {
        sprat_sample sample;
        sprat_init(&sample, sizeof sample);
        ck_assert_int_eq(sprat_session_sample(session, &sample), SPRAT_OK);
        ck_assert_int_eq(sprat_session_accept(session, sample.token), SPRAT_OK);
    }
}

static void check_model(const char *path, uint32_t numerics)
{
    uint64_t anonymous = held_now("Anonymous:"), all = held_now("Rss:");
    sprat_context_options machine;
    sprat_session_options options;
    sprat_model_info info;
    sprat_session *session;
    sprat_init(&machine, sizeof machine);
    sprat_init(&options, sizeof options);
    sprat_init(&info, sizeof info);
    machine.n_threads = 2;
    options.n_ctx = PROMPT + STEPS;
    options.n_chunk = PROMPT;
    options.numerics = numerics;
    struct fixture fixture = fixture_open(path, &machine);
    sprat_plan plan = plan_of(&fixture, path, &options);
    ck_assert_int_eq(sprat_model_get_info(fixture.model, &info), SPRAT_OK);
    ck_assert_int_eq(sprat_session_create(&session, fixture.model, &options, NULL), SPRAT_OK);
    answer(&fixture, session);
    uint64_t own = held_now("Anonymous:") - anonymous;
    uint64_t now = held_now("Rss:") - all;
    uint64_t most = held("/proc/self/status", "VmHWM:") - all;
    fprintf(stderr,
            "# %s: %llu bytes of file, %llu of keys and values, plan %llu; held: %llu in all, %llu "
            "of its own; at most %llu\n",
            path, (unsigned long long)info.file_bytes, (unsigned long long)plan.kv_bytes,
            (unsigned long long)plan.peak_bytes, (unsigned long long)now, (unsigned long long)own,
            (unsigned long long)most);
    ck_assert_uint_le(own, plan.peak_bytes + STACKS_BYTES);
    /* Most of the file has been read, so what is counted is what is there. */
    ck_assert_uint_ge(now, info.file_bytes / 2);
    ck_assert_uint_le(most, info.file_bytes + plan.peak_bytes + 2 * STACKS_BYTES);
    ck_assert_uint_le(most, info.file_bytes + plan.kv_bytes + ABOVE_BYTES);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}

START_TEST(made_int8)
{
    check_model(model_paths[0], SPRAT_NUMERICS_INT8);
}
END_TEST

START_TEST(made_f32)
{
    check_model(model_paths[0], SPRAT_NUMERICS_F32);
}
END_TEST

START_TEST(real_int8)
{
    if (model_paths[1] && *model_paths[1])
        check_model(model_paths[1], SPRAT_NUMERICS_INT8);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("resident");
    TCase *tcase = tcase_create("resident");
    if (argc < 2)
        return EXIT_FAILURE;
    model_paths[0] = argv[1];
    model_paths[1] = getenv("SPRAT_TEST_MODEL");
    tcase_add_test(tcase, made_int8);
    tcase_add_test(tcase, made_f32);
    tcase_add_test(tcase, real_int8);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
