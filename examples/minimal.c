/* The smallest program that asks a model a question: open, ask, print.
 *     cc -std=c11 minimal.c -lsprat && ./a.out MODEL.gguf "What is the capital of Australia?" */
#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include <stdio.h>
#include <string.h>

static sprat_status ask(sprat_session *session, const char *text)
{
    sprat_message question;
    const sprat_message *messages[] = {&question};
    sprat_chat chat;
    sprat_event event;
    sprat_init(&question, sizeof question);
    sprat_init(&chat, sizeof chat);
    sprat_init(&event, sizeof event);
    question.role = "user";
    question.content = text;
    question.content_len = strlen(text);
    chat.messages = messages;
    chat.n_messages = 1;

    sprat_status status = sprat_session_chat(NULL, session, &chat);
    while (status == SPRAT_OK && event.type != SPRAT_EVENT_DONE) {
        status = sprat_session_next(session, &event);
        if (status == SPRAT_OK && event.type == SPRAT_EVENT_TEXT)
            fwrite(event.text, 1, event.text_len, stdout);
    }
    return status;
}

int main(int argc, char **argv)
{
    sprat_context *context = NULL;
    sprat_model *model = NULL;
    sprat_session *session = NULL;
    sprat_source source;
    sprat_error error;
    if (argc != 3)
        return fprintf(stderr, "usage: minimal MODEL QUESTION\n"), 1;
    sprat_init(&source, sizeof source);
    sprat_init(&error, sizeof error);
    source.path = argv[1];
    if (sprat_context_create(&context, NULL, &error) == SPRAT_OK &&
        sprat_model_open(&model, context, &source, NULL, &error) == SPRAT_OK)
        sprat_session_create(&session, model, NULL, &error);
    int good = session && ask(session, argv[2]) == SPRAT_OK;
    if (!good)
        fprintf(stderr, "%s\n", session ? sprat_session_error(session) : error.message);
    sprat_session_destroy(session);
    sprat_model_close(model);
    sprat_context_destroy(context);
    return good && puts("") >= 0 ? 0 : 1;
}
