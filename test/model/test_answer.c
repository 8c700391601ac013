/* The answer as events: no byte is lost where one ends and the next goes on, the counts fit the
 * session, and after reserve nothing is allocated. The model says " one", " two", " three" after
 * every newline, then ends its turn. */
#include "run_suite.h"
#include "fixture.h"

static const char *model_path;

static sprat_event next(sprat_session *session)
{
    sprat_event event;
    sprat_init(&event, sizeof event);
    ck_assert_msg(sprat_session_next(session, &event) == SPRAT_OK, "%s",
                  sprat_session_error(session));
    return event;
}

static void expect_text(sprat_session *session, const char *text)
{
    sprat_event event = next(session);
    ck_assert_int_eq(event.type, SPRAT_EVENT_TEXT);
    ck_assert_uint_eq(event.text_len, strlen(text));
    ck_assert_int_eq(memcmp(event.text, text, event.text_len), 0);
}

static void expect_end(sprat_session *session, uint64_t n_prompt, uint64_t n_generated,
                       int32_t reason)
{
    sprat_event event = next(session);
    ck_assert_int_eq(event.type, SPRAT_EVENT_USAGE);
    ck_assert_uint_eq(event.n_prompt, n_prompt);
    ck_assert_uint_eq(event.n_generated, n_generated);
    ck_assert_uint_le(event.n_reused, event.n_prompt);
    event = next(session);
    ck_assert_int_eq(event.type, SPRAT_EVENT_DONE);
    ck_assert_int_eq(event.reason, reason);
}

/* A session that holds n newlines. */
static sprat_session *begin(const struct fixture *fixture, size_t n, uint32_t max_tokens)
{
    sprat_session *session = fixture_session(fixture, 0, 0);
    sprat_token newline, tokens[8];
    sprat_sampling sampling;
    sprat_init(&sampling, sizeof sampling);
    sampling.max_tokens = max_tokens;
    ck_assert_int_eq(sprat_session_set_sampling(session, &sampling), SPRAT_OK);
    ck_assert_int_eq(sprat_model_find_token(&newline, fixture->model, "<0x0A>", 6), SPRAT_OK);
    for (size_t i = 0; i < 8; i++)
        tokens[i] = newline;
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, n), SPRAT_OK);
    return session;
}

START_TEST(an_answer_goes_on_after_its_length)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = begin(&fixture, 2, 1);
    expect_text(session, " one");
    expect_end(session, 2, 1, SPRAT_DONE_LENGTH);
    expect_text(session, " two");
    expect_end(session, 3, 1, SPRAT_DONE_LENGTH);
    expect_text(session, " three");
    expect_end(session, 4, 1, SPRAT_DONE_LENGTH);
    expect_end(session, 5, 1, SPRAT_DONE_END);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

START_TEST(reuse_is_of_the_prompt)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = begin(&fixture, 4, 1);
    sprat_token held[4];
    size_t n;
    ck_assert_int_eq(sprat_session_tokens(&n, session, held, 4), SPRAT_OK);
    ck_assert_int_eq(sprat_session_sync(&n, session, held, 4), SPRAT_OK);
    ck_assert_uint_eq(n, 4);
    ck_assert_int_eq(sprat_session_rewind(session, 1), SPRAT_OK);
    expect_text(session, " one");
    expect_end(session, 1, 1, SPRAT_DONE_LENGTH);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

START_TEST(nothing_is_allocated_after_reserve)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = begin(&fixture, 1, 0);
    sprat_session_stats before, after;
    sprat_init(&before, sizeof before);
    sprat_init(&after, sizeof after);
    ck_assert_int_eq(sprat_session_reserve(session, 64), SPRAT_OK);
    ck_assert_int_eq(sprat_session_get_stats(session, &before), SPRAT_OK);
    expect_text(session, " one");
    expect_text(session, " two");
    expect_text(session, " three");
    expect_end(session, 1, 4, SPRAT_DONE_END);
    ck_assert_int_eq(sprat_session_get_stats(session, &after), SPRAT_OK);
    ck_assert_uint_eq(after.heap_bytes, before.heap_bytes);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

START_TEST(flags_of_newer_releases)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    const sprat_segment segment = {"x", 1, SPRAT_TEXT_USER, 0};
    const sprat_token token = 1;
    size_t n = 1;
    ck_assert_int_eq(sprat_model_tokenize(&n, fixture.model, &segment, 1, 2, NULL, 0, NULL),
                     SPRAT_UNSUPPORTED);
    ck_assert_uint_eq(n, 0);
    n = 1;
    ck_assert_int_eq(sprat_model_detokenize(&n, NULL, fixture.model, &token, 1, 4, NULL, 0),
                     SPRAT_UNSUPPORTED);
    ck_assert_uint_eq(n, 0);
    fixture_close(&fixture);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "spaces.gguf";
    Suite *suite = suite_create("answer");
    TCase *tests = tcase_create("answer");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_answer_goes_on_after_its_length);
    tcase_add_test(tests, reuse_is_of_the_prompt);
    tcase_add_test(tests, nothing_is_allocated_after_reserve);
    tcase_add_test(tests, flags_of_newer_releases);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
