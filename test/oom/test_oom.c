/* Every allocation of a whole life (context, plan, model, session, tokens, sampling with stops, a
 * chat and its answer, a fork) is made to fail in turn, once and from then on. Each time: a status,
 * one line, nothing leaked, and the objects that stand still work. With a dialect as the second
 * argument the chat has tools, an earlier call and its result, and the model answers with a call.
 */
#define _GNU_SOURCE
#define SPRAT_EXPERIMENTAL
#include "run_suite.h"

#include <check.h>
#include <sprat/experimental.h>
#include <stdlib.h>
#include <string.h>

static const char *model_path, *dialect; /* NULL: the model's own, without tools */

struct faults {
    size_t n, fail_at; /* allocations so far; the one that fails, from 1; 0: none */
    int persistent;
    size_t held;
};

static void *faulty_alloc(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    struct faults *faults = user;
    void *ptr = NULL;
    (void)purpose;
    faults->n++;
    if (faults->fail_at &&
        (faults->n == faults->fail_at || (faults->persistent && faults->n > faults->fail_at)))
        return NULL;
    if (posix_memalign(&ptr, alignment, bytes) != 0)
        return NULL;
    faults->held += bytes;
    return ptr;
}

static void faulty_free(void *user, void *ptr, size_t bytes, uint32_t purpose)
{
    struct faults *faults = user;
    (void)purpose;
    faults->held -= bytes;
    free(ptr);
}

/* A failure must be NO_MEMORY with a line. */
static int failed(sprat_status status, const char *line)
{
    if (status == SPRAT_OK)
        return 0;
    ck_assert_msg(status == SPRAT_NO_MEMORY, "%s: %s", sprat_status_name(status), line);
    ck_assert_uint_gt(strlen(line), 0);
    ck_assert_ptr_null(strchr(line, '\n'));
    return 1;
}

/* The whole answer, of a call its events too; a call of ours that failed for memory is made once
 * more, so that a single failure must not change what comes out. */
static int answer(sprat_session *session, char *text, size_t room)
{
    size_t n = 0;
    for (int retries = 0;;) {
        sprat_event event;
        sprat_init(&event, sizeof event);
        sprat_status status = sprat_session_next(session, &event);
        if (failed(status, sprat_session_error(session))) {
            if (++retries > 1)
                return 0;
            continue;
        }
        if (event.type == SPRAT_EVENT_DONE)
            break;
        if (event.type == SPRAT_EVENT_USAGE)
            continue;
        ck_assert_uint_lt(n + event.text_len + 1, room);
        if (event.type != SPRAT_EVENT_TEXT)
            text[n++] = (char)('A' + event.type);
        if (event.text_len > 0)
            memcpy(text + n, event.text, event.text_len);
        n += event.text_len;
    }
    text[n] = '\0';
    return 1;
}

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"see\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"a\":{\"type\":\"integer\"}}}}}]";

struct conversation {
    sprat_chat chat;
    sprat_message messages[3];
    const sprat_message *list[3];
    sprat_tool_call call;
    const sprat_tool_call *calls[1];
};

static void say(struct conversation *c, const char *role, const char *content)
{
    sprat_message *message = &c->messages[c->chat.n_messages];
    sprat_init(message, sizeof *message);
    message->role = role;
    message->content = content;
    message->content_len = strlen(content);
    c->list[c->chat.n_messages++] = message;
}

static void converse(struct conversation *c)
{
    sprat_init(&c->chat, sizeof c->chat);
    c->chat.messages = c->list;
    say(c, "user", "Tell me of the sea.");
    if (!dialect)
        return;
    c->chat.dialect = dialect;
    c->chat.tools = tools;
    c->chat.tools_len = sizeof tools - 1;
    say(c, "assistant", "");
    say(c, "tool", "blue");
    sprat_init(&c->call, sizeof c->call);
    c->call.name = "see";
    c->call.name_len = 3;
    c->call.arguments = "{\"a\": 1}";
    c->call.arguments_len = strlen(c->call.arguments);
    c->calls[0] = &c->call;
    c->messages[1].calls = c->calls;
    c->messages[1].n_calls = 1;
}

static int talk(sprat_session *session, char *text, size_t room)
{
    const char *const stops[] = {"never said"};
    struct conversation conversation;
    sprat_sampling sampling;
    converse(&conversation);
    sprat_init(&sampling, sizeof sampling);
    sampling.temperature = dialect ? 0.0f : 1.0f;
    sampling.top_p = 0.9f;
    sampling.repetition_penalty = 1.1f;
    sampling.n_logprobs = 3;
    sampling.max_tokens = 12;
    sampling.stops = stops;
    sampling.n_stops = 1;
    if (failed(sprat_session_set_sampling(session, &sampling), sprat_session_error(session)) ||
        failed(sprat_session_chat(NULL, session, &conversation.chat), sprat_session_error(session)))
        return 0;
    return answer(session, text, room);
}

/* One life; how far it came does not matter, only that it ends well. 1: an answer came. */
static int live(struct faults *faults, char *text, size_t room)
{
    sprat_allocator allocator;
    sprat_context_options options;
    sprat_error error;
    sprat_source source;
    sprat_plan plan;
    sprat_session_options session_options;
    sprat_context *context;
    sprat_model *model = NULL;
    sprat_session *session = NULL;
    int answered = 0;
    sprat_init(&allocator, sizeof allocator);
    sprat_init(&options, sizeof options);
    sprat_init(&error, sizeof error);
    sprat_init(&source, sizeof source);
    sprat_init(&plan, sizeof plan);
    sprat_init(&session_options, sizeof session_options);
    allocator.user = faults;
    allocator.alloc = faulty_alloc;
    allocator.free = faulty_free;
    options.allocator = &allocator;
    options.n_threads = 2;
    source.path = model_path;
    session_options.n_ctx = dialect ? 1024 : 256;
    if (failed(sprat_context_create(&context, &options, &error), error.message)) {
        ck_assert_ptr_null(context);
        return 0;
    }
    failed(sprat_model_plan(&plan, context, &source, NULL, &session_options, &error),
           error.message);
    if (!failed(sprat_model_open(&model, context, &source, NULL, &error), error.message) &&
        !failed(sprat_session_create(&session, model, &session_options, &error), error.message))
        answered = talk(session, text, room);
    sprat_session *fork = NULL;
    if (session && !failed(sprat_session_fork(&fork, session, &error), error.message)) {
        size_t n_before = 0;
        sprat_session_tokens(&n_before, fork, NULL, 0);
        if (n_before > 0 && failed(sprat_session_accept(fork, 1), sprat_session_error(fork))) {
            size_t n_after = 0;
            sprat_session_tokens(&n_after, fork, NULL, 0);
            ck_assert_uint_eq(n_after, n_before);
        }
    }
    failed(sprat_context_set_threads(context, 1), "threads");
    sprat_session_destroy(session);
    sprat_session_destroy(fork);
    sprat_model_close(model);
    sprat_context_destroy(context);
    return answered;
}

static void fail_each(int persistent)
{
    static char expected[4096], text[4096];
    struct faults faults = {0};
    ck_assert_int_eq(live(&faults, expected, sizeof expected), 1);
    if (dialect) /* it does call, so that the parser's memory is asked for */
        ck_assert_msg(strchr(expected, 'A' + SPRAT_EVENT_CALL) != NULL, "%s", expected);
    ck_assert_uint_eq(faults.held, 0);
    size_t n = faults.n, answered = 0;
    ck_assert_uint_gt(n, 30);
    for (size_t i = 1; i <= n; i++) {
        faults = (struct faults){.fail_at = i, .persistent = persistent};
        if (live(&faults, text, sizeof text)) {
            ck_assert_str_eq(text, expected);
            answered++;
        }
        ck_assert_msg(faults.held == 0, "allocation %zu of %zu: %zu bytes leaked", i, n,
                      faults.held);
    }
    if (!persistent)
        ck_assert_uint_gt(answered, 0);
}

START_TEST(each_fails_once)
{
    fail_each(0);
}
END_TEST

START_TEST(each_fails_from_then_on)
{
    fail_each(1);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "tiny.gguf";
    dialect = argc > 2 ? argv[2] : NULL;
    Suite *suite = suite_create("oom");
    TCase *tests = tcase_create("oom");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, each_fails_once);
    tcase_add_test(tests, each_fails_from_then_on);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
