/* Any bytes as a model, through the public interface: an error with a line, or a model that takes
 * text, computes and answers. Opening never holds more than four times the bytes plus 1 MiB;
 * nothing is held afterwards. */
#define _GNU_SOURCE
#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(e)                                                                              \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #e);                              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* What a session of a damaged model may take: its numbers decide how large its scratch is. */
enum { SESSION_BYTES = 8 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_status(sprat_status status, const char *line)
{
    FUZZ_CHECK(status <= 0);
    if (status != SPRAT_OK)
        FUZZ_CHECK(line[0] && !strchr(line, '\n'));
}

static void answer(sprat_session *session)
{
    sprat_sampling sampling;
    sprat_init(&sampling, sizeof sampling);
    sampling.temperature = 1.0f;
    sampling.max_tokens = 3;
    check_status(sprat_session_set_sampling(session, &sampling), sprat_session_error(session));
    int ended = 0;
    for (int i = 0; i < 32 && !ended; i++) {
        sprat_event event;
        sprat_init(&event, sizeof event);
        sprat_status status = sprat_session_next(session, &event);
        check_status(status, sprat_session_error(session));
        ended = status != SPRAT_OK || event.type == SPRAT_EVENT_DONE;
    }
    FUZZ_CHECK(ended); /* three tokens are fewer events than that */
}

static void chat(sprat_session *session)
{
    sprat_message message;
    const sprat_message *messages[] = {&message};
    sprat_chat conversation;
    sprat_init(&message, sizeof message);
    sprat_init(&conversation, sizeof conversation);
    message.role = "user";
    message.content = "Hi";
    message.content_len = 2;
    conversation.messages = messages;
    conversation.n_messages = 1;
    sprat_status status = sprat_session_chat(NULL, session, &conversation);
    check_status(status, sprat_session_error(session));
    if (status == SPRAT_OK)
        answer(session);
}

static void use_text(const sprat_model *model)
{
    static const char text[] = "The sea, 2026 <|im_end|>\n\xff";
    const sprat_segment segments[] = {{text, sizeof text - 1, SPRAT_TEXT_USER, 0},
                                      {text, sizeof text - 1, SPRAT_TEXT_TEMPLATE, 0}};
    sprat_token tokens[256];
    char bytes[4096];
    size_t n, n_bytes;
    sprat_error error;
    sprat_init(&error, sizeof error);
    sprat_status status =
        sprat_model_tokenize(&n, model, segments, 2, SPRAT_TOKENIZE_BOS, tokens, 256, &error);
    check_status(status, error.message);
    if (status == SPRAT_OK)
        sprat_model_detokenize(&n_bytes, NULL, model, tokens, n, SPRAT_DETOKENIZE_SPECIAL, bytes,
                               sizeof bytes);
}

/* A second session from the same tokens, and both cut back. */
static void fork_and_rewind(sprat_session *session)
{
    sprat_session *fork;
    sprat_error error;
    size_t n = 0;
    sprat_init(&error, sizeof error);
    sprat_status status = sprat_session_fork(&fork, session, &error);
    check_status(status, error.message);
    if (status != SPRAT_OK)
        return;
    sprat_session_tokens(&n, fork, NULL, 0);
    FUZZ_CHECK(sprat_session_rewind(fork, n / 2) == SPRAT_OK);
    check_status(sprat_session_accept(fork, 1), sprat_session_error(fork));
    FUZZ_CHECK(sprat_session_rewind(session, n / 2) == SPRAT_OK);
    check_status(sprat_session_accept(session, 2), sprat_session_error(session));
    sprat_session_destroy(fork);
}

static void use_session(sprat_model *model)
{
    static const sprat_token tokens[] = {1, 2, 3, 5, 8, 13};
    sprat_session_options options;
    sprat_session *session;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&error, sizeof error);
    options.n_chunk = 4;
    sprat_status status = sprat_session_create(&session, model, &options, &error);
    check_status(status, error.message);
    if (status != SPRAT_OK)
        return;
    status = sprat_session_sync(NULL, session, tokens, 6);
    check_status(status, sprat_session_error(session));
    if (status == SPRAT_OK) {
        answer(session);
        fork_and_rewind(session);
    }
    chat(session);
    sprat_session_destroy(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprat_context *context;
    sprat_model *model;
    sprat_context_options options;
    sprat_context_info info;
    sprat_source source;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&info, sizeof info);
    sprat_init(&source, sizeof source);
    sprat_init(&error, sizeof error);
    options.n_threads = 1;
    options.memory_budget = 4 * (uint64_t)size + (1 << 20) + SESSION_BYTES;
    source.kind = SPRAT_SOURCE_MEMORY;
    source.data = data;
    source.length = size;
    FUZZ_CHECK(sprat_context_create(&context, &options, &error) == SPRAT_OK);
    sprat_status status = sprat_model_open(&model, context, &source, NULL, &error);
    check_status(status, error.message);
    FUZZ_CHECK(sprat_context_get_info(context, &info) == SPRAT_OK);
    FUZZ_CHECK(info.memory_peak <= 4 * (uint64_t)size + (1 << 20));
    if (status == SPRAT_OK) {
        use_text(model);
        use_session(model);
        sprat_model_close(model);
    }
    sprat_context_destroy(context);
    return 0;
}
