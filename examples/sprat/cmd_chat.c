/* sprat chat: a conversation in a terminal. Owns the turns and the /commands. The whole
 * conversation is stated anew for each answer; the library computes only what is new. Invariant:
 * an answer that failed, or was stopped before its first word, leaves no trace in the turns. */
#include "reply.h"
#include "term.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct command_form chat_form = {
    "chat MODEL",
    "A conversation. Ctrl-C stops an answer; at the prompt, Ctrl-C twice, Ctrl-D or /quit end it.\n"
    "A line that ends with \\ goes on with the next. /help lists the commands.\n",
    OPTS_MACHINE | OPTS_SESSION | OPTS_SAMPLING | OPT_BIT(OPT_SYSTEM) | OPT_BIT(OPT_THINK) |
        OPT_BIT(OPT_QUIET),
    1, 1};

struct turn {
    const char *role;
    struct bytes content, reasoning;
};

struct chat {
    struct loaded loaded;
    struct options options;
    const char *dialect;
    struct bytes system; /* empty: none */
    struct turn *turns;
    size_t n_turns, capacity;
    bool interactive; /* someone types */
    bool interrupted; /* the last prompt ended by Ctrl-C */
};

static void note(const char *text)
{
    (void)term_write(stderr, STYLE_DIM, text, strlen(text));
    (void)term_write(stderr, STYLE_PLAIN, "\n", 1);
}

/* Adds a turn and takes over its bytes. false: no memory; the caller keeps them. */
static bool chat_add(struct chat *c, const char *role, const struct bytes *content,
                     const struct bytes *reasoning)
{
    if (c->n_turns == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 16;
        struct turn *grown = realloc(c->turns, capacity * sizeof *grown);
        if (!grown)
            return false;
        c->turns = grown;
        c->capacity = capacity;
    }
    struct turn *turn = &c->turns[c->n_turns++];
    memset(turn, 0, sizeof *turn);
    turn->role = role;
    turn->content = *content;
    if (reasoning)
        turn->reasoning = *reasoning;
    return true;
}

static void chat_drop(struct chat *c, size_t n_turns)
{
    while (c->n_turns > n_turns) {
        c->n_turns--;
        bytes_end(&c->turns[c->n_turns].content);
        bytes_end(&c->turns[c->n_turns].reasoning);
    }
}

static void message_set(sprat_message *m, const char *role, const struct bytes *content,
                        const struct bytes *reasoning)
{
    sprat_init(m, sizeof *m);
    m->role = role;
    m->content = content->data ? content->data : "";
    m->content_len = content->len;
    if (reasoning && reasoning->len) {
        m->reasoning = reasoning->data;
        m->reasoning_len = reasoning->len;
    }
}

/* Hands the conversation to the session. NO_MEMORY also if there is none for the list. */
static sprat_status chat_prompt(struct chat *c)
{
    size_t n = 0, room = c->n_turns + 1;
    sprat_message *messages = calloc(room, sizeof *messages);
    const sprat_message **list = calloc(room, sizeof *list);
    sprat_status status = SPRAT_NO_MEMORY;
    if (messages && list) {
        sprat_chat chat;
        sprat_init(&chat, sizeof chat);
        if (c->system.len > 0)
            message_set(&messages[n++], "system", &c->system, NULL);
        for (size_t i = 0; i < c->n_turns; i++)
            message_set(&messages[n++], c->turns[i].role, &c->turns[i].content,
                        &c->turns[i].reasoning);
        for (size_t i = 0; i < n; i++)
            list[i] = &messages[i];
        chat.messages = list;
        chat.n_messages = n;
        chat.thinking = c->options.think;
        status = sprat_session_chat(NULL, c->loaded.session, &chat);
    }
    free(messages);
    free(list);
    return status;
}

/* The answer to the turns as they are. */
static enum reply_end chat_answer(struct chat *c, struct reply *a, bool quiet)
{
    reply_begin(a, &c->loaded);
    sprat_status status = chat_prompt(c);
    if (status == SPRAT_OK)
        return reply_show(a, &c->loaded, quiet);
    if (status == SPRAT_CANCELLED)
        return REPLY_CANCELLED;
    (void)fail_status(status, sprat_session_error(c->loaded.session));
    return REPLY_FAILED;
}

/* One question, taken over, and its answer. 0, or 1 if the program should end: fail was called. */
static int chat_ask(struct chat *c, struct bytes *question)
{
    bool quiet = c->options.given & OPT_BIT(OPT_QUIET);
    char line[256];
    size_t n_before = c->n_turns;
    struct reply a;
    if (!chat_add(c, "user", question, NULL))
        return fail("no memory for the conversation");
    memset(question, 0, sizeof *question);
    term_clear();
    enum reply_end end = chat_answer(c, &a, quiet);
    if (end == REPLY_CANCELLED && c->interactive)
        note(a.content.len ? "(stopped)" : "(stopped; the question is forgotten)");
    if (end == REPLY_DONE && reply_cut(&a)[0] != '\0')
        note(reply_cut(&a));
    if (end == REPLY_DONE && !quiet)
        note(reply_stats(line, &a, &c->loaded));
    bool kept = end == REPLY_DONE || (end == REPLY_CANCELLED && a.content.len > 0);
    if (kept && chat_add(c, "assistant", &a.content, &a.reasoning)) {
        memset(&a.content, 0, sizeof a.content);
        memset(&a.reasoning, 0, sizeof a.reasoning);
    } else {
        chat_drop(c, n_before);
    }
    reply_end(&a);
    if (end == REPLY_CANCELLED && (!c->interactive || term_signal() != SIGINT))
        return fail_status(SPRAT_CANCELLED, NULL);
    return end == REPLY_FAILED && (!c->interactive || ferror(stdout));
}

static void chat_stats(const struct chat *c)
{
    sprat_session_stats s;
    char line[256], kv[32], heap[32], peak[32];
    sprat_context_info info;
    sprat_init(&s, sizeof s);
    sprat_init(&info, sizeof info);
    (void)sprat_session_get_stats(c->loaded.session, &s);
    (void)sprat_context_get_info(c->loaded.context, &info);
    (void)snprintf(line, sizeof line, "context: %llu of %llu tokens, %s of keys and values",
                   (unsigned long long)s.n_tokens, (unsigned long long)s.n_ctx,
                   size_text(kv, s.kv_bytes));
    note(line);
    (void)snprintf(line, sizeof line, "prompts: %llu tokens in %.2f s; answers: %llu in %.2f s",
                   (unsigned long long)s.n_prefill, (double)s.prefill_ns * 1e-9,
                   (unsigned long long)s.n_decode, (double)s.decode_ns * 1e-9);
    note(line);
    (void)snprintf(line, sizeof line, "RAM: %s at most, %s of it allocated; %u threads, %s",
                   size_text(peak, term_peak_memory()), size_text(heap, info.memory_peak),
                   (unsigned)info.n_threads, info.cpu ? info.cpu : "");
    note(line);
}

/* Takes the wish only if the dialect can fulfil it: a question is written on trial. */
static void chat_think(struct chat *c, const char *rest)
{
    sprat_message message;
    const sprat_message *list[] = {&message};
    sprat_chat trial;
    sprat_error error;
    size_t n = 0;
    uint32_t wish = strcmp(rest, "on") == 0    ? SPRAT_THINKING_ON
                    : strcmp(rest, "off") == 0 ? SPRAT_THINKING_OFF
                                               : SPRAT_THINKING_DEFAULT;
    if (wish == SPRAT_THINKING_DEFAULT) {
        note("/think on or /think off");
        return;
    }
    sprat_init(&message, sizeof message);
    sprat_init(&trial, sizeof trial);
    sprat_init(&error, sizeof error);
    message.role = "user";
    message.content = "?";
    message.content_len = 1;
    trial.messages = list;
    trial.n_messages = 1;
    trial.thinking = wish;
    sprat_status status = sprat_chat_tokenize(&n, c->loaded.model, &trial, NULL, 0, &error);
    if (status != SPRAT_OK && status != SPRAT_BUFFER_TOO_SMALL) {
        note(error.message);
        return;
    }
    c->options.think = wish;
    note(wish == SPRAT_THINKING_ON ? "it will reason" : "it will not reason");
}

static void chat_system(struct chat *c, const char *rest)
{
    c->system.len = 0;
    if (!bytes_add(&c->system, rest, strlen(rest)))
        note("no memory for the system message; there is none now");
    else
        note(rest[0] ? "the system message is set" : "there is no system message");
}

static void chat_help(void)
{
    note("/clear        forget the conversation\n"
         "/system TEXT  set the system message; without TEXT, none\n"
         "/think on|off whether to reason, where the model has the choice\n"
         "/stats        what was computed and what it took\n"
         "/quit         end\n"
         "//TEXT        a question that begins with a slash");
}

/* A line that begins with a slash, NUL-terminated. true: the program should end. */
static bool chat_command(struct chat *c, char *line)
{
    char *rest = strchr(line, ' ');
    if (rest)
        *rest++ = '\0';
    else
        rest = line + strlen(line);
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0)
        return true;
    if (strcmp(line, "/clear") == 0) {
        chat_drop(c, 0);
        note("the conversation is forgotten");
    } else if (strcmp(line, "/system") == 0) {
        chat_system(c, rest);
    } else if (strcmp(line, "/think") == 0) {
        chat_think(c, rest);
    } else if (strcmp(line, "/stats") == 0) {
        chat_stats(c);
    } else if (strcmp(line, "/help") == 0) {
        chat_help();
    } else {
        note("there is no such command; /help lists them");
    }
    return false;
}

/* The next message, lines joined where one ends with a backslash. */
static enum term_line chat_read(struct chat *c, struct bytes *message)
{
    struct bytes line = {0};
    enum term_line got;
    const char *prompt = "> ";
    message->len = 0;
    for (;;) {
        if (c->interactive)
            (void)term_write(stderr, STYLE_PROMPT, prompt, 2);
        got = term_read_line(&line);
        if (got != LINE_READ)
            break;
        bool more = line.len > 0 && line.data[line.len - 1] == '\\';
        if (more)
            line.data[line.len - 1] = '\n';
        if (!bytes_add(message, line.data, line.len)) {
            got = LINE_ERROR;
            break;
        }
        if (!more)
            break;
        prompt = ". ";
    }
    bytes_end(&line);
    return got;
}

/* Ctrl-C or another signal at the prompt. true: the program should end with *status. */
static bool chat_interrupted(struct chat *c, int *status)
{
    if (!c->interactive || term_signal() != SIGINT) {
        *status = fail_status(SPRAT_CANCELLED, NULL);
        return true;
    }
    (void)term_write(stderr, STYLE_PLAIN, "\n", 1);
    if (c->interrupted)
        return true;
    note("Ctrl-C again, Ctrl-D or /quit end the program");
    c->interrupted = true;
    term_clear();
    return false;
}

static int chat_loop(struct chat *c)
{
    struct bytes message = {0};
    int status = 0;
    bool end = false;
    while (!end) {
        enum term_line got = chat_read(c, &message);
        if (got == LINE_INTERRUPTED) {
            end = chat_interrupted(c, &status);
            continue;
        }
        if (got == LINE_ERROR)
            status = fail("cannot read from stdin");
        if (got == LINE_END && c->interactive)
            (void)term_write(stderr, STYLE_PLAIN, "\n", 1);
        if (got != LINE_READ)
            break;
        c->interrupted = false;
        if (message.len == 0)
            continue;
        bool command = message.data[0] == '/';
        bool slash = command && message.len > 1 && message.data[1] == '/';
        if (slash)
            memmove(message.data, message.data + 1, --message.len);
        if (command && !slash) {
            if (!bytes_add(&message, "", 1))
                status = fail("no memory for the command");
            end = status || chat_command(c, message.data);
        } else {
            status = chat_ask(c, &message);
            end = status != 0;
        }
    }
    bytes_end(&message);
    return status;
}

static int chat_start(struct chat *c)
{
    const struct options *o = &c->options;
    char name[128], line[256];
    sprat_error error;
    sprat_init(&error, sizeof error);
    if (load_model(&c->loaded, o, o->arguments[0]))
        return 1;
    sprat_status status = sprat_chat_dialect(&c->dialect, c->loaded.model, &error);
    if (status != SPRAT_OK)
        return fail("%s; sprat run --raw goes on with a text as it is", error.message);
    if (load_session(&c->loaded, o, o->ctx, 0) || reply_sampling(&c->loaded, o, c->dialect))
        return 1;
    if (o->system && !bytes_add(&c->system, o->system, strlen(o->system)))
        return fail("no memory for the system message");
    c->interactive = term_is_terminal(stdin);
    if (c->interactive) {
        const char *title = c->loaded.info.name;
        (void)snprintf(line, sizeof line, "%s, %s. /help lists the commands.",
                       printable(name, sizeof name, title, strlen(title)), c->dialect);
        note(line);
    }
    return 0;
}

int chat_main(int argc, char **argv)
{
    struct chat c = {0};
    int parsed = options_parse(&c.options, &chat_form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 1;
    int status = chat_start(&c) || chat_loop(&c);
    chat_drop(&c, 0);
    free(c.turns);
    bytes_end(&c.system);
    loaded_end(&c.loaded);
    return status;
}
