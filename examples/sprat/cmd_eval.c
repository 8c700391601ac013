/* sprat eval: what the model makes of given tokens, for tests and measurements. Adds no BOS,
 * chooses nothing, hides nothing. Invariant: a run that fails leaves no output behind, neither on
 * stdout nor as a file. */
#define _POSIX_C_SOURCE 200809L
#include "term.h"
#include "cmd_tokens.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EVAL_CHUNK = 256, /* tokens computed together if --chunk does not say */
    EVAL_ROWS = 32,   /* rows of logits held at once */
};

#define OPTS_EVAL (OPTS_MACHINE | OPTS_SESSION | OPT_BIT(OPT_TOKENS))

struct eval {
    struct options options;
    struct loaded loaded;
    struct token_list tokens;
    float *rows;  /* EVAL_ROWS of n_vocab */
    size_t chunk; /* tokens appended at once */
};

/* Takes n rows of logits, those after tokens first … first + n - 1. 0, or 1 after fail. */
typedef int (*row_taker)(void *user, const struct eval *e, const float *rows, size_t first,
                         size_t n);

static int eval_start(struct eval *e, const struct command_form *form, int argc, char **argv)
{
    struct options *o = &e->options;
    int parsed = options_parse(o, form, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed;
    if (!o->tokens)
        return fail("--tokens FILE is missing; usage: sprat %s", form->usage);
    bool from_stdin = strcmp(o->tokens, "-") == 0;
    e->chunk = o->chunk ? o->chunk : EVAL_CHUNK;
    if (load_model(&e->loaded, o, o->arguments[0]) ||
        tokens_read(&e->tokens, from_stdin ? NULL : o->tokens, e->loaded.info.n_vocab))
        return 1;
    if (e->tokens.n == 0)
        return fail("%s holds no token", from_stdin ? "stdin" : o->tokens);
    return 0;
}

/* The session for n_tokens in all, and room for logits. */
static int eval_session(struct eval *e, size_t n_tokens)
{
    const struct options *o = &e->options;
    if (n_tokens > INT32_MAX)
        return fail("%zu tokens are more than a session can hold", n_tokens);
    uint32_t n_ctx = o->given & OPT_BIT(OPT_CTX) ? o->ctx : (uint32_t)n_tokens;
    if (n_tokens > n_ctx)
        return fail("--ctx %u does not hold %zu tokens", (unsigned)n_ctx, n_tokens);
    if (load_session(&e->loaded, o, n_ctx, (uint32_t)e->chunk))
        return 1;
    size_t n_vocab = e->loaded.info.n_vocab;
    e->rows = calloc(n_vocab, EVAL_ROWS * sizeof *e->rows);
    return e->rows ? 0 : fail("no memory for %d rows of logits", EVAL_ROWS);
}

static void eval_end(struct eval *e)
{
    free(e->rows);
    tokens_end(&e->tokens);
    loaded_end(&e->loaded);
}

static int session_failed(const struct eval *e, sprat_status status)
{
    return fail_status(status, sprat_session_error(e->loaded.session));
}

/* The tokens from first to end on an empty session, each with its logits. */
static int eval_span(struct eval *e, size_t first, size_t end, row_taker take, void *user)
{
    sprat_session *session = e->loaded.session;
    size_t n_vocab = e->loaded.info.n_vocab;
    sprat_status status = sprat_session_rewind(session, 0);
    for (size_t at = first; at < end && status == SPRAT_OK;) {
        size_t n = end - at < e->chunk ? end - at : e->chunk;
        status = sprat_session_append(session, e->tokens.ids + at, n);
        for (size_t i = 0; i < n && status == SPRAT_OK;) {
            size_t positions[EVAL_ROWS];
            size_t n_rows = n - i < EVAL_ROWS ? n - i : EVAL_ROWS;
            for (size_t row = 0; row < n_rows; row++)
                positions[row] = at - first + i + row;
            status = sprat_session_logits(session, positions, n_rows, e->rows, n_rows * n_vocab);
            if (status == SPRAT_OK && take(user, e, e->rows, at + i, n_rows))
                return 1;
            i += n_rows;
        }
        at += n;
    }
    return status == SPRAT_OK ? 0 : session_failed(e, status);
}

/* ---- logits -------------------------------------------------------------------------------- */

static const struct command_form logits_form = {
    "eval logits MODEL --tokens FILE --out FILE",
    "The logits after every token: little-endian float32, tokens x vocabulary.\n",
    OPTS_EVAL | OPT_BIT(OPT_OUT), 1, 1};

struct logits_file {
    FILE *stream;
    const char *path;
    char *part; /* the name it has until it is complete; NULL: written in place */
};

static int logits_take(void *user, const struct eval *e, const float *rows, size_t first, size_t n)
{
    struct logits_file *f = user;
    unsigned char block[4096];
    size_t n_values = n * e->loaded.info.n_vocab;
    (void)first;
    for (size_t i = 0; i < n_values;) {
        size_t len = 0;
        for (; len < sizeof block && i < n_values; i++) {
            uint32_t bits;
            memcpy(&bits, &rows[i], sizeof bits);
            for (int byte = 0; byte < 4; byte++)
                block[len++] = (unsigned char)(bits >> (8 * byte));
        }
        if (fwrite(block, 1, len, f->stream) != len)
            return fail("cannot write %s: %s", f->path, strerror(errno));
    }
    return 0;
}

/* A regular file is written under another name beside it; a device or pipe in place. */
static int logits_open(struct logits_file *f, const char *path)
{
    struct stat info;
    memset(f, 0, sizeof *f);
    f->path = path;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return fail("cannot write %s: it is a directory", path);
    bool in_place = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    if (!in_place) {
        size_t room = strlen(path) + 32;
        f->part = malloc(room);
        if (!f->part)
            return fail("no memory for the name of %s", path);
        (void)snprintf(f->part, room, "%s.%ld.part", path, (long)getpid());
    }
    f->stream = fopen(in_place ? path : f->part, "wb");
    return f->stream ? 0 : fail("cannot write %s: %s", path, strerror(errno));
}

/* Completes the file if all went well, removes it if not. */
static int logits_close(struct logits_file *f, int bad)
{
    if (f->stream && fclose(f->stream) != 0 && !bad)
        bad = fail("cannot write %s: %s", f->path, strerror(errno));
    if (f->stream && f->part && !bad && rename(f->part, f->path) != 0)
        bad = fail("cannot write %s: %s", f->path, strerror(errno));
    if (f->stream && f->part && bad)
        (void)unlink(f->part);
    free(f->part);
    return bad;
}

static int eval_logits(struct eval *e)
{
    struct logits_file file;
    if (!e->options.out)
        return fail("--out FILE is missing; usage: sprat %s", logits_form.usage);
    if (eval_session(e, e->tokens.n))
        return 1;
    int bad =
        logits_open(&file, e->options.out) || eval_span(e, 0, e->tokens.n, logits_take, &file);
    return logits_close(&file, bad);
}

/* ---- generate ------------------------------------------------------------------------------ */

static const struct command_form generate_form = {
    "eval generate MODEL --tokens FILE -n N",
    "The N likeliest tokens, one after the other, one per line. Stops at nothing else.\n",
    OPTS_EVAL | OPT_BIT(OPT_N), 1, 1};

static int eval_generate(struct eval *e)
{
    size_t n = e->options.n;
    if (n == 0)
        return fail("-n N is missing; usage: sprat %s", generate_form.usage);
    if (eval_session(e, e->tokens.n + n))
        return 1;
    sprat_session *session = e->loaded.session;
    sprat_token *ids = calloc(n, sizeof *ids);
    if (!ids)
        return fail("no memory for %zu token ids", n);
    sprat_status status = sprat_session_append(session, e->tokens.ids, e->tokens.n);
    for (size_t i = 0; i < n && status == SPRAT_OK; i++) {
        sprat_sample sample;
        sprat_init(&sample, sizeof sample);
        status = sprat_session_sample(session, &sample);
        ids[i] = sample.token;
        if (status == SPRAT_OK && i + 1 < n)
            status = sprat_session_accept(session, sample.token);
    }
    int bad = status == SPRAT_OK ? tokens_print(ids, n) : session_failed(e, status);
    free(ids);
    return bad;
}

/* ---- likelihood ---------------------------------------------------------------------------- */

static const struct command_form nll_form = {
    "eval nll MODEL --tokens FILE [--window N]",
    "The mean of -log p of every token but the first of a window, and its exponential.\n",
    OPTS_EVAL | OPT_BIT(OPT_WINDOW), 1, 1};

struct nll {
    double sum, lost; /* the sum, and what its rounding left out (Kahan) */
    size_t n, end;    /* tokens predicted; where the window ends */
};

static int nll_take(void *user, const struct eval *e, const float *rows, size_t first, size_t n)
{
    struct nll *t = user;
    size_t n_vocab = e->loaded.info.n_vocab;
    for (size_t row = 0; row < n && first + row + 1 < t->end; row++) {
        const float *logits = rows + row * n_vocab;
        double max = (double)logits[0], sum = 0;
        for (size_t i = 1; i < n_vocab; i++)
            if ((double)logits[i] > max)
                max = (double)logits[i];
        for (size_t i = 0; i < n_vocab; i++)
            sum += exp((double)logits[i] - max);
        double nll = max + log(sum) - (double)logits[e->tokens.ids[first + row + 1]];
        double next = nll - t->lost, total = t->sum + next;
        t->lost = (total - t->sum) - next;
        t->sum = total;
        t->n++;
    }
    return 0;
}

static int eval_nll(struct eval *e)
{
    struct nll t = {0};
    char text[128];
    size_t n = e->tokens.n;
    size_t window = e->options.window && e->options.window < n ? e->options.window : n;
    if (n < 2)
        return fail("%s holds one token: there is nothing to predict", e->options.tokens);
    if (eval_session(e, window))
        return 1;
    for (size_t at = 0; at + 1 < n; at += window) {
        t.end = n - at < window ? n : at + window;
        if (eval_span(e, at, t.end, nll_take, &t))
            return 1;
    }
    double mean = t.sum / (double)t.n;
    int len = snprintf(text, sizeof text, "nll %.6f\nperplexity %.6f\n", mean, exp(mean));
    return out_write(text, (size_t)len) || out_end();
}

/* ---- the three ----------------------------------------------------------------------------- */

struct eval_form {
    const char *name;
    const struct command_form *form;
    int (*run)(struct eval *e);
};

int eval_main(int argc, char **argv)
{
    static const struct eval_form forms[] = {{"logits", &logits_form, eval_logits},
                                             {"generate", &generate_form, eval_generate},
                                             {"nll", &nll_form, eval_nll}};
    static const char help[] = "usage: sprat eval logits|generate|nll MODEL --tokens FILE\n"
                               "sprat eval logits --help and so on tell more.\n";
    struct eval e = {0};
    if (argc < 1)
        return fail("eval needs logits, generate or nll; sprat eval --help tells more");
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return out_write(help, sizeof help - 1) || out_end();
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(forms[i].name, argv[0]) != 0)
            continue;
        int started = eval_start(&e, forms[i].form, argc - 1, argv + 1);
        int bad = started == OPTIONS_HELP ? 0 : started || forms[i].run(&e);
        eval_end(&e);
        return bad;
    }
    return fail("unknown form \"%s\": eval needs logits, generate or nll", argv[0]);
}
