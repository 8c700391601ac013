/* sprat tokenize and detokenize: text to ids and back, nothing added and nothing dropped. Also the
 * reader of token ids. Nothing is written before everything is known to be right. */
#include "cmd_tokens.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct command_form tokenize_form = {
    "tokenize MODEL [--special] < TEXT", "Token ids of stdin, one per line. No BOS is added.\n",
    OPTS_MACHINE | OPT_BIT(OPT_SPECIAL), 1, 1};

static const struct command_form detokenize_form = {
    "detokenize MODEL < IDS", "The bytes of the token ids on stdin.\n", OPTS_MACHINE, 1, 1};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The error of one word: which it is, where, and what was expected. */
static int bad_word(const char *name, const char *text, size_t at, size_t len, size_t word,
                    uint32_t n_vocab)
{
    char shown[48];
    size_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return fail("%s: word %zu (line %zu), \"%s\", is not a token id from 0 to %" PRIu32, name, word,
                line, printable(shown, sizeof shown, text + at, len), n_vocab - 1);
}

int tokens_parse(struct token_list *out, const struct bytes *text, const char *name,
                 uint32_t n_vocab)
{
    memset(out, 0, sizeof *out);
    if (n_vocab == 0)
        return fail("the model has no vocabulary");
    /* Each id but the last needs a separator. */
    out->ids = calloc(text->len / 2 + 1, sizeof *out->ids);
    if (!out->ids)
        return fail("no memory for the token ids of %s", name);
    for (size_t i = 0; i < text->len;) {
        if (is_space(text->data[i])) {
            i++;
            continue;
        }
        size_t end = i;
        uint64_t id;
        while (end < text->len && !is_space(text->data[end]))
            end++;
        if (!parse_number(&id, text->data + i, end - i, 0, n_vocab - 1))
            return bad_word(name, text->data, i, end - i, out->n + 1, n_vocab);
        out->ids[out->n++] = (sprat_token)id;
        i = end;
    }
    return 0;
}

int tokens_read(struct token_list *out, const char *path, uint32_t n_vocab)
{
    struct bytes text = {0};
    memset(out, 0, sizeof *out);
    int bad = read_all(&text, path) || tokens_parse(out, &text, path ? path : "stdin", n_vocab);
    bytes_end(&text);
    return bad;
}

int tokens_print(const sprat_token *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char line[16];
        int len = snprintf(line, sizeof line, "%" PRId32 "\n", ids[i]);
        if (out_write(line, (size_t)len))
            return 1;
    }
    return out_end();
}

void tokens_end(struct token_list *t)
{
    free(t->ids);
    memset(t, 0, sizeof *t);
}

static int tokenize(const struct loaded *l, const struct bytes *text, uint32_t kind)
{
    sprat_error error;
    sprat_segment segment = {text->data, text->len, kind, 0};
    size_t n = 0;
    sprat_init(&error, sizeof error);
    sprat_status status = sprat_model_tokenize(&n, l->model, &segment, 1, 0, NULL, 0, &error);
    if (status != SPRAT_OK && status != SPRAT_BUFFER_TOO_SMALL)
        return fail_status(status, error.message);
    sprat_token *ids = calloc(n ? n : 1, sizeof *ids);
    if (!ids)
        return fail("no memory for %zu token ids", n);
    status = sprat_model_tokenize(&n, l->model, &segment, 1, 0, ids, n, &error);
    int bad = status == SPRAT_OK ? tokens_print(ids, n) : fail_status(status, error.message);
    free(ids);
    return bad;
}

int tokenize_main(int argc, char **argv)
{
    struct options o;
    struct loaded l = {0};
    struct bytes text = {0};
    int parsed = options_parse(&o, &tokenize_form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 1;
    uint32_t kind = o.given & OPT_BIT(OPT_SPECIAL) ? SPRAT_TEXT_TEMPLATE : SPRAT_TEXT_USER;
    int bad =
        load_model(&l, &o, o.arguments[0]) || read_all(&text, NULL) || tokenize(&l, &text, kind);
    bytes_end(&text);
    loaded_end(&l);
    return bad;
}

static int detokenize(const struct loaded *l, const struct token_list *t)
{
    const uint32_t flags = SPRAT_DETOKENIZE_SPECIAL | SPRAT_DETOKENIZE_START;
    size_t n = 0;
    sprat_status status = sprat_model_detokenize(&n, NULL, l->model, t->ids, t->n, flags, NULL, 0);
    if (status != SPRAT_OK && status != SPRAT_BUFFER_TOO_SMALL)
        return fail_status(status, NULL);
    char *text = malloc(n ? n : 1);
    if (!text)
        return fail("no memory for %zu bytes of text", n);
    status = sprat_model_detokenize(&n, NULL, l->model, t->ids, t->n, flags, text, n);
    int bad = status == SPRAT_OK ? out_write(text, n) || out_end() : fail_status(status, NULL);
    free(text);
    return bad;
}

int detokenize_main(int argc, char **argv)
{
    struct options o;
    struct loaded l = {0};
    struct token_list t = {0};
    int parsed = options_parse(&o, &detokenize_form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 1;
    int bad = load_model(&l, &o, o.arguments[0]) || tokens_read(&t, NULL, l.info.n_vocab) ||
              detokenize(&l, &t);
    tokens_end(&t);
    loaded_end(&l);
    return bad;
}
