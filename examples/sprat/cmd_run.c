/* sprat run: one question, one answer. Owns how the question is put together; the answer goes to
 * stdout, all else to stderr. */
#include "reply.h"
#include "term.h"

#include <stdlib.h>
#include <string.h>

static const struct command_form run_form = {
    "run MODEL [QUESTION] [-]",
    "Answers one question on stdout. \"-\", or no question at all, reads stdin; with both, stdin\n"
    "follows the question after an empty line.\n",
    OPTS_MACHINE | OPTS_SESSION | OPTS_SAMPLING | OPT_BIT(OPT_SYSTEM) | OPT_BIT(OPT_TOOLS) |
        OPT_BIT(OPT_THINK) | OPT_BIT(OPT_RAW) | OPT_BIT(OPT_QUIET),
    1, MAX_ARGUMENTS};

/* The question from the arguments and stdin. 0, or 1 after fail. */
static int run_question(struct bytes *out, const struct options *o)
{
    const char *text = NULL;
    bool from_stdin = o->n_arguments == 1;
    for (int i = 1; i < o->n_arguments; i++) {
        if (strcmp(o->arguments[i], "-") == 0)
            from_stdin = true;
        else if (text)
            return fail("more than one question: put it in quotation marks");
        else
            text = o->arguments[i];
    }
    if (o->n_arguments == 1 && term_is_terminal(stdin))
        return fail("no question: give one as an argument, or pipe it in");
    if (text && !bytes_add(out, text, strlen(text)))
        return fail("no memory for the question");
    if (text && from_stdin && !bytes_add(out, "\n\n", 2))
        return fail("no memory for the question");
    if (from_stdin && read_all(out, NULL))
        return 1;
    /* A pipe's last newline is the shell's, not the question's. */
    if (from_stdin && !(o->given & OPT_BIT(OPT_RAW)) && out->len > 0 &&
        out->data[out->len - 1] == '\n')
        out->len--;
    return out->len > 0 ? 0 : fail("the question is empty");
}

static int prompt_raw(struct loaded *l, const struct bytes *text)
{
    sprat_error error;
    sprat_segment segment = {text->data, text->len, SPRAT_TEXT_USER, 0};
    size_t n = 0;
    sprat_init(&error, sizeof error);
    sprat_status status =
        sprat_model_tokenize(&n, l->model, &segment, 1, SPRAT_TOKENIZE_BOS, NULL, 0, &error);
    if (status != SPRAT_OK && status != SPRAT_BUFFER_TOO_SMALL)
        return fail_status(status, error.message);
    if (n == 0)
        return fail("the text gives no token");
    sprat_token *tokens = calloc(n, sizeof *tokens);
    if (!tokens)
        return fail("no memory for the prompt's tokens");
    int bad = 0;
    status = sprat_model_tokenize(&n, l->model, &segment, 1, SPRAT_TOKENIZE_BOS, tokens, n, &error);
    if (status != SPRAT_OK)
        bad = fail_status(status, error.message);
    else if ((status = sprat_session_sync(NULL, l->session, tokens, n)) != SPRAT_OK)
        bad = fail_status(status, sprat_session_error(l->session));
    free(tokens);
    return bad;
}

static int prompt_chat(struct loaded *l, const struct options *o, const struct bytes *question,
                       const struct bytes *tools)
{
    sprat_message messages[2];
    const sprat_message *list[2] = {&messages[0], &messages[1]};
    sprat_chat chat;
    size_t n = 0;
    sprat_init(&chat, sizeof chat);
    if (o->system) {
        sprat_init(&messages[n], sizeof messages[n]);
        messages[n].role = "system";
        messages[n].content = o->system;
        messages[n].content_len = strlen(o->system);
        n++;
    }
    sprat_init(&messages[n], sizeof messages[n]);
    messages[n].role = "user";
    messages[n].content = question->data;
    messages[n].content_len = question->len;
    chat.messages = list;
    chat.n_messages = n + 1;
    chat.thinking = o->think;
    chat.tools = tools->data;
    chat.tools_len = tools->len;
    sprat_status status = sprat_session_chat(NULL, l->session, &chat);
    return status == SPRAT_OK ? 0 : fail_status(status, sprat_session_error(l->session));
}

static int run_answer(struct loaded *l, const struct options *o, const struct bytes *question,
                      const struct bytes *tools)
{
    const char *dialect = NULL;
    bool raw = o->given & OPT_BIT(OPT_RAW), quiet = o->given & OPT_BIT(OPT_QUIET);
    struct reply a;
    char line[256];
    sprat_error error;
    sprat_init(&error, sizeof error);
    sprat_status status = raw ? SPRAT_OK : sprat_chat_dialect(&dialect, l->model, &error);
    if (status != SPRAT_OK)
        return fail("%s; --raw goes on with the text as it is", error.message);
    if (load_session(l, o, o->ctx, 0) || reply_sampling(l, o, dialect))
        return 1;
    reply_begin(&a, l);
    int bad = raw ? prompt_raw(l, question) : prompt_chat(l, o, question, tools);
    if (!bad)
        switch (reply_show(&a, l, quiet)) {
        case REPLY_DONE:
            break;
        case REPLY_CANCELLED:
            bad = fail_status(SPRAT_CANCELLED, NULL);
            break;
        case REPLY_FAILED:
            bad = 1;
            break;
        }
    if (!bad && reply_cut(&a)[0] != '\0')
        (void)fprintf(stderr, "sprat: %s\n", reply_cut(&a));
    if (!bad && !quiet) {
        (void)term_write(stderr, STYLE_DIM, line, strlen(reply_stats(line, &a, l)));
        (void)term_write(stderr, STYLE_PLAIN, "\n", 1);
    }
    reply_end(&a);
    return bad;
}

int run_main(int argc, char **argv)
{
    struct options o;
    struct loaded l = {0};
    struct bytes question = {0}, tools = {0};
    int parsed = options_parse(&o, &run_form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 1;
    if (o.given & OPT_BIT(OPT_RAW) &&
        o.given & (OPT_BIT(OPT_SYSTEM) | OPT_BIT(OPT_TOOLS) | OPT_BIT(OPT_THINK)))
        return fail("--raw has no messages: --system, --tools and --think do not go with it");
    int bad = run_question(&question, &o) || (o.tools && read_all(&tools, o.tools)) ||
              load_model(&l, &o, o.arguments[0]) || run_answer(&l, &o, &question, &tools);
    loaded_end(&l);
    bytes_end(&question);
    bytes_end(&tools);
    return bad;
}
