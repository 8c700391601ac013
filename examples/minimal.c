/* The smallest program that asks a model a question: open, ask, print.
 *     cc -std=c11 minimal.c -lsprat && ./a.out MODEL.gguf "What is the capital of Australia?" */
#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return fprintf(stderr, "usage: minimal MODEL QUESTION\n"), 1;

    sprat_context *context;
    sprat_model *model = NULL;
    sprat_session *session = NULL;
    sprat_source source;
    sprat_error error;
    sprat_init(&source, sizeof source);
    sprat_init(&error, sizeof error);
    source.path = argv[1];
    if (sprat_context_create(&context, NULL, &error) != SPRAT_OK ||
        sprat_model_open(&model, context, &source, NULL, &error) != SPRAT_OK ||
        sprat_session_create(&session, model, NULL, &error) != SPRAT_OK)
        return fprintf(stderr, "%s\n", error.message), 1;

    sprat_message question;
    const sprat_message *messages[] = {&question};
    sprat_chat chat;
    sprat_sampling sampling;
    sprat_event event;
    sprat_init(&question, sizeof question);
    sprat_init(&chat, sizeof chat);
    sprat_init(&sampling, sizeof sampling);
    sprat_init(&event, sizeof event);
    question.role = "user";
    question.content = argv[2];
    question.content_len = strlen(argv[2]);
    chat.messages = messages;
    chat.n_messages = 1;
    sampling.max_tokens = 200;

    sprat_status status = sprat_session_set_sampling(session, &sampling);
    if (status == SPRAT_OK)
        status = sprat_session_chat(NULL, session, &chat);
    while (status == SPRAT_OK && event.type != SPRAT_EVENT_DONE)
        if ((status = sprat_session_next(session, &event)) == SPRAT_OK &&
            event.type == SPRAT_EVENT_TEXT)
            fwrite(event.text, 1, event.text_len, stdout);
    if (status == SPRAT_OK)
        puts("");
    else
        fprintf(stderr, "%s\n", sprat_session_error(session));
    sprat_session_destroy(session);
    sprat_model_close(model);
    sprat_context_destroy(context);
    return status == SPRAT_OK ? 0 : 1;
}
