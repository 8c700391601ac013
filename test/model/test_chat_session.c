/* Chat through a session: the model's dialect, tokens before running, reasoning apart from text,
 * and that every other change of the session ends the chat's answer. The model says the same four
 * pieces after every newline. */
#define SPRAT_EXPERIMENTAL
#include "run_suite.h"
#include "fixture.h"

#include <sprat/experimental.h>

static const char *model_path, *plain_path;

struct conversation {
    sprat_chat chat;
    sprat_message messages[4];
    const sprat_message *list[4];
};

static void say(struct conversation *c, const char *role, const char *content)
{
    sprat_message *message = &c->messages[c->chat.n_messages];
    sprat_init(message, sizeof *message);
    message->role = role;
    message->content = content;
    message->content_len = strlen(content);
    c->list[c->chat.n_messages++] = message;
    c->chat.messages = c->list;
}

static void ask(struct conversation *c, const char *dialect)
{
    sprat_init(&c->chat, sizeof c->chat);
    c->chat.dialect = dialect;
    say(c, "user", "Is it?");
}

/* The session's next events, at most n of them, as "R:hm " and so on. */
static const char *told(sprat_session *session, size_t n, char *out)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        sprat_event event;
        sprat_init(&event, sizeof event);
        ck_assert_msg(sprat_session_next(session, &event) == SPRAT_OK, "%s",
                      sprat_session_error(session));
        const char *name = event.type == SPRAT_EVENT_TEXT        ? "T"
                           : event.type == SPRAT_EVENT_REASONING ? "R"
                           : event.type == SPRAT_EVENT_WARNING   ? "W"
                           : event.type == SPRAT_EVENT_USAGE     ? "U"
                                                                 : "D";
        int text_len = event.type == SPRAT_EVENT_WARNING ? 0 : (int)event.text_len;
        len += (size_t)sprintf(out + len, "%s%s:%.*s", i ? " " : "", name, text_len,
                               event.text ? event.text : "");
        if (event.type == SPRAT_EVENT_DONE) {
            ck_assert_int_eq(event.reason, SPRAT_DONE_END);
            break;
        }
    }
    return out;
}

START_TEST(reasoning_comes_apart)
{
    char out[512];
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 0, 0);
    struct conversation c = {.chat = {0}};
    const char *dialect;
    ck_assert_int_eq(sprat_chat_dialect(&dialect, fixture.model, NULL), SPRAT_OK);
    ck_assert_str_eq(dialect, "chatml-smollm2");

    ask(&c, "r1-distill-qwen"); /* its prompt opens the reasoning */
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_OK);
    ck_assert_str_eq(told(session, 99, out), "R:hm T:Yes T:<tool_call> U: D:");
    c.chat.dialect = "qwen3"; /* its does not */
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_OK);
    ck_assert_str_eq(told(session, 99, out), "T:hm T:</think> W: T:Yes W: U: D:");
    c.chat.dialect = NULL; /* the model's own knows neither reasoning nor tools */
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_OK);
    ck_assert_str_eq(told(session, 99, out), "T:hm T:</think> T:Yes T:<tool_call> U: D:");
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

START_TEST(tokens_are_told_before)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 0, 0);
    struct conversation c = {.chat = {0}};
    sprat_token tokens[512], held[512];
    size_t n, n_held, n_reused;
    ask(&c, NULL);
    ck_assert_int_eq(sprat_chat_tokenize(&n, fixture.model, &c.chat, NULL, 0, NULL),
                     SPRAT_BUFFER_TOO_SMALL);
    size_t counted = n;
    ck_assert_int_eq(sprat_chat_tokenize(&n, fixture.model, &c.chat, tokens, 512, NULL), SPRAT_OK);
    ck_assert_uint_eq(n, counted);
    ck_assert_int_eq(sprat_session_chat(&n_reused, session, &c.chat), SPRAT_OK);
    ck_assert_uint_eq(n_reused, 0);
    ck_assert_int_eq(sprat_session_tokens(&n_held, session, held, 512), SPRAT_OK);
    ck_assert_uint_eq(n_held, n);
    ck_assert_int_eq(memcmp(tokens, held, n * sizeof *tokens), 0);
    /* The next turn computes what is new. */
    say(&c, "assistant", "Yes");
    say(&c, "user", "Why?");
    ck_assert_int_eq(sprat_session_chat(&n_reused, session, &c.chat), SPRAT_OK);
    ck_assert_uint_eq(n_reused, n);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

/* Whatever else changes the session, the answer that follows begins anew and is raw text. */
START_TEST(other_calls_end_the_chat)
{
    char out[512];
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 0, 0);
    struct conversation c = {.chat = {0}};
    sprat_token prompt[512], newline;
    size_t n;
    ck_assert_int_eq(sprat_model_find_token(&newline, fixture.model, "\xc4\x8a", 2), SPRAT_OK);
    ask(&c, "r1-distill-qwen");
    ck_assert_int_eq(sprat_chat_tokenize(&n, fixture.model, &c.chat, prompt, 512, NULL), SPRAT_OK);
    for (int way = 0; way < 4; way++) {
        ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_OK);
        ck_assert_str_eq(told(session, 1, out), "R:hm");
        if (way == 0)
            ck_assert_int_eq(sprat_session_sync(NULL, session, prompt, n), SPRAT_OK);
        else if (way == 1)
            ck_assert_int_eq(sprat_session_rewind(session, n), SPRAT_OK);
        else if (way == 2)
            ck_assert_int_eq(sprat_session_append(session, &newline, 1), SPRAT_OK);
        else
            ck_assert_int_eq(sprat_session_accept(session, newline), SPRAT_OK);
        ck_assert_str_eq(told(session, 99, out), "T:hm T:</think> T:Yes T:<tool_call> U: D:");
    }
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

/* The answer that max_tokens cut: all its tokens stand in the session, and the next goes on. */
static void check_cut(sprat_session *session, const sprat_token *tokens, size_t n)
{
    sprat_event event;
    sprat_token held[64];
    size_t n_held;
    sprat_init(&event, sizeof event);
    do {
        ck_assert_int_eq(sprat_session_next(session, &event), SPRAT_OK);
        if (event.type == SPRAT_EVENT_TEXT && n == 3) { /* called off before the last is added */
            sprat_session_cancel(session, 1);
            ck_assert_int_eq(sprat_session_next(session, &event), SPRAT_CANCELLED);
            sprat_session_cancel(session, 0);
        }
    } while (event.type != SPRAT_EVENT_DONE);
    ck_assert_int_eq(event.reason, SPRAT_DONE_LENGTH);
    ck_assert_int_eq(sprat_session_tokens(&n_held, session, held, 64), SPRAT_OK);
    ck_assert_uint_eq(n_held, n);
    ck_assert_int_eq(memcmp(held, tokens, n * sizeof *held), 0);
}

START_TEST(a_cut_answer_is_held_whole)
{
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 8, 0);
    sprat_sampling sampling;
    sprat_sample sample;
    sprat_event event;
    sprat_token tokens[8];
    sprat_init(&sampling, sizeof sampling);
    sprat_init(&sample, sizeof sample);
    sprat_init(&event, sizeof event);
    ck_assert_int_eq(sprat_model_find_token(tokens, fixture.model, "\xc4\x8a", 2), SPRAT_OK);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 1), SPRAT_OK);
    for (size_t n = 1; n < 8; n++) {
        ck_assert_int_eq(sprat_session_sample(session, &sample), SPRAT_OK);
        tokens[n] = sample.token;
        ck_assert_int_eq(sprat_session_accept(session, sample.token), SPRAT_OK);
    }
    ck_assert_int_eq(sprat_session_rewind(session, 1), SPRAT_OK);
    sampling.ignore_end = 1;
    sampling.max_tokens = 2;
    ck_assert_int_eq(sprat_session_set_sampling(session, &sampling), SPRAT_OK);
    for (size_t n = 3; n < 8; n += 2)
        check_cut(session, tokens, n);
    sampling.max_tokens = 1;
    ck_assert_int_eq(sprat_session_set_sampling(session, &sampling), SPRAT_OK);
    check_cut(session, tokens, 8);
    check_cut(session, tokens, 8); /* chosen, but there is no room to add it */
    do
        ck_assert_int_eq(sprat_session_next(session, &event), SPRAT_OK);
    while (event.type != SPRAT_EVENT_DONE);
    ck_assert_int_eq(event.reason, SPRAT_DONE_CONTEXT);
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

START_TEST(refusals_leave_the_session)
{
    char out[512];
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_session *session = fixture_session(&fixture, 0, 0);
    struct conversation c = {.chat = {0}};
    ask(&c, "r1-distill-qwen");
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_OK);
    ck_assert_str_eq(told(session, 1, out), "R:hm");
    c.chat.reserved = 1;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(sprat_session_error(session), "reserved"));
    c.chat.reserved = 0;
    c.chat.dialect = "klingon";
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_UNKNOWN_TEMPLATE);
    ck_assert_str_eq(sprat_session_error(session),
                     "no dialect of this version is called \"klingon\"");
    c.chat.dialect = "qwen3";
    c.chat.dialect = "llama3";
    c.chat.tools = "[{}]";
    c.chat.tools_len = 4;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_UNSUPPORTED);
    c.chat.tools_len = 0;
    c.messages[0].reserved = 1;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_UNSUPPORTED);
    c.messages[0].reserved = 0;
    c.messages[0].n_calls = 1;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_INVALID);
    const sprat_tool_call *call = NULL, short_call = {.size = 8};
    c.messages[0].calls = &call;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_INVALID);
    ck_assert_str_eq(sprat_session_error(session), "messages[0].calls[0] is NULL");
    call = &short_call;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_INVALID);
    c.messages[0].n_calls = 0;
    c.messages[0].size = 8;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_INVALID);
    c.list[0] = NULL;
    ck_assert_int_eq(sprat_session_chat(NULL, session, &c.chat), SPRAT_INVALID);
    ck_assert_str_eq(sprat_session_error(session), "messages[0] is NULL");
    ck_assert_int_eq(sprat_session_chat(NULL, session, NULL), SPRAT_INVALID);
    ck_assert_str_eq(told(session, 99, out), "T:Yes T:<tool_call> U: D:");
    sprat_session_destroy(session);
    fixture_close(&fixture);
}
END_TEST

static int32_t stop_at_second(void *user, const sprat_segment *segment)
{
    (void)segment;
    return ++*(int *)user == 2;
}

START_TEST(templates_and_segments)
{
    struct fixture fixture = fixture_open(plain_path, NULL);
    struct conversation c = {.chat = {0}};
    const char *dialect = "";
    sprat_error error;
    int n = 0;
    sprat_init(&error, sizeof error);
    ck_assert_int_eq(sprat_chat_dialect(&dialect, fixture.model, &error), SPRAT_UNKNOWN_TEMPLATE);
    ck_assert_ptr_null(dialect);
    ck_assert_str_eq(error.message, "the model has no tokenizer.chat_template; name a dialect");
    ask(&c, NULL);
    ck_assert_int_eq(sprat_chat_render(NULL, fixture.model, &c.chat, stop_at_second, &n, NULL),
                     SPRAT_UNKNOWN_TEMPLATE);
    ck_assert_int_eq(n, 0);
    c.chat.dialect = "qwen3";
    ck_assert_int_eq(sprat_chat_render(NULL, fixture.model, &c.chat, stop_at_second, &n, &error),
                     SPRAT_CANCELLED);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(sprat_chat_render(NULL, NULL, &c.chat, stop_at_second, &n, &error),
                     SPRAT_INVALID);
    ck_assert_int_eq(sprat_chat_render(fixture.context, NULL, &c.chat, NULL, &n, &error),
                     SPRAT_INVALID);
    fixture_close(&fixture);
}
END_TEST

START_TEST(parser_alone)
{
    struct fixture fixture = fixture_open(plain_path, NULL);
    sprat_chat_parser *parser;
    sprat_event event;
    sprat_error error;
    sprat_init(&event, sizeof event);
    sprat_init(&error, sizeof error);
    ck_assert_int_eq(sprat_chat_parser_create(&parser, fixture.context, "klingon", 0, &error),
                     SPRAT_UNKNOWN_TEMPLATE);
    ck_assert_ptr_null(parser);
    ck_assert_int_eq(sprat_chat_parser_create(&parser, fixture.context, "qwen3", 2, &error),
                     SPRAT_INVALID);
    ck_assert_int_eq(sprat_chat_parser_create(&parser, fixture.context, "qwen3", 1, &error),
                     SPRAT_OK);
    fixture_close(&fixture); /* the parser holds the context */
    ck_assert_int_eq(sprat_chat_parser_feed(parser, NULL, 1, 0), SPRAT_INVALID);
    ck_assert_int_eq(sprat_chat_parser_feed(parser, "hm</think>a", 11, 1), SPRAT_OK);
    ck_assert_int_eq(sprat_chat_parser_feed(parser, NULL, 0, 1), SPRAT_STATE);
    event.size = 8;
    ck_assert_int_eq(sprat_chat_parser_next(parser, &event), SPRAT_INVALID);
    sprat_init(&event, sizeof event);
    static const int32_t types[] = {SPRAT_EVENT_REASONING, SPRAT_EVENT_TEXT, SPRAT_EVENT_DONE};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sprat_chat_parser_next(parser, &event), SPRAT_OK);
        ck_assert_int_eq(event.type, types[i]);
    }
    ck_assert_int_eq(sprat_chat_parser_next(parser, &event), SPRAT_NOT_FOUND);
    sprat_chat_parser_destroy(parser);
    sprat_chat_parser_destroy(NULL);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 3)
        return EXIT_FAILURE;
    model_path = argv[1];
    plain_path = argv[2];
    Suite *suite = suite_create("chat_session");
    TCase *tests = tcase_create("chat_session");
    tcase_add_test(tests, reasoning_comes_apart);
    tcase_add_test(tests, tokens_are_told_before);
    tcase_add_test(tests, other_calls_end_the_chat);
    tcase_add_test(tests, a_cut_answer_is_held_whole);
    tcase_add_test(tests, refusals_leave_the_session);
    tcase_add_test(tests, templates_and_segments);
    tcase_add_test(tests, parser_alone);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
