/* The option table and its reader. Owns the meaning and range of every option; leaves defaults
 * that depend on the model to the subcommands. Invariant: a value outside its range never gets
 * into struct options. */
#include "program_options.h"

#include "program.h"

#include <limits.h>
#include <string.h>

enum option_kind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_U32,
    KIND_U64,
    KIND_SIZE,
    KIND_FLOAT,
    KIND_CHOICE,
    KIND_STOP,
    KIND_LIST
};

struct choice {
    const char *name;
    uint32_t value;
};

static const struct choice numerics_choices[] = {
    {"int8", SPRAT_NUMERICS_INT8}, {"f32", SPRAT_NUMERICS_F32}, {NULL, 0}};
static const struct choice kv_choices[] = {{"f16", SPRAT_KV_F16}, {"f32", SPRAT_KV_F32}, {NULL, 0}};
static const struct choice think_choices[] = {
    {"on", SPRAT_THINKING_ON}, {"off", SPRAT_THINKING_OFF}, {NULL, 0}};

struct option_row {
    const char *name, *value, *help;
    enum option_kind kind;
    size_t at; /* of the field in struct options */
    double min, max;
    const struct choice *choices;
};

#define AT(field) offsetof(struct options, field)
static const struct option_row option_rows[N_OPTIONS] = {
    [OPT_THREADS] = {"--threads", "N", "threads that compute (default: one per core)", KIND_U32,
                     AT(threads), 1, 256, NULL},
    [OPT_CPU] = {"--cpu", "SET", "the best instruction set to use, by name", KIND_TEXT, AT(cpu), 0,
                 0, NULL},
    [OPT_BUDGET] = {"--budget", "SIZE", "hard cap on allocated memory: bytes, or with K, M, G",
                    KIND_SIZE, AT(budget), 1, 1e15, NULL},
    [OPT_CTX] = {"--ctx", "N", "the most tokens a session may hold (default: the model's)",
                 KIND_U32, AT(ctx), 1, INT32_MAX, NULL},
    [OPT_NUMERICS] = {"--numerics", "int8|f32", "how it computes", KIND_CHOICE, AT(numerics), 0, 0,
                      numerics_choices},
    [OPT_KV] = {"--kv", "f16|f32", "how keys and values are stored", KIND_CHOICE, AT(kv), 0, 0,
                kv_choices},
    [OPT_CHUNK] = {"--chunk", "N", "tokens computed together in a prompt (default: 256)", KIND_U32,
                   AT(chunk), 1, 4096, NULL},
    [OPT_TEMP] = {"--temp", "X", "temperature; 0 takes the likeliest token", KIND_FLOAT, AT(temp),
                  0, 100, NULL},
    [OPT_TOP_K] = {"--top-k", "N", "keep the N likeliest tokens; 0: off", KIND_U32, AT(top_k), 0,
                   INT32_MAX, NULL},
    [OPT_TOP_P] = {"--top-p", "X", "keep the likeliest tokens up to this share; 0 or 1: off",
                   KIND_FLOAT, AT(top_p), 0, 1, NULL},
    [OPT_MIN_P] = {"--min-p", "X", "drop tokens below this share of the likeliest; 0: off",
                   KIND_FLOAT, AT(min_p), 0, 1, NULL},
    [OPT_SEED] = {"--seed", "N", "the same seed gives the same answer (default: 0)", KIND_U64,
                  AT(seed), 0, 0, NULL},
    [OPT_MAX_TOKENS] = {"--max-tokens", "N", "end the answer after N tokens", KIND_U32,
                        AT(max_tokens), 1, INT32_MAX, NULL},
    [OPT_STOP] = {"--stop", "TEXT", "end the answer before this text; may be repeated", KIND_STOP,
                  AT(stops), 0, 0, NULL},
    [OPT_SYSTEM] = {"--system", "TEXT", "the system message", KIND_TEXT, AT(system), 0, 0, NULL},
    [OPT_TOOLS] = {"--tools", "FILE", "a JSON array of tools that the model may call", KIND_TEXT,
                   AT(tools), 0, 0, NULL},
    [OPT_THINK] = {"--think", "on|off", "whether to reason, where the model has the choice",
                   KIND_CHOICE, AT(think), 0, 0, think_choices},
    [OPT_RAW] = {"--raw", NULL, "no chat: go on with the text as it is", KIND_FLAG, 0, 0, 0, NULL},
    [OPT_QUIET] = {"--quiet", NULL, "neither reasoning nor figures on stderr", KIND_FLAG, 0, 0, 0,
                   NULL},
    [OPT_SPECIAL] = {"--special", NULL, "recognise control tokens in the text", KIND_FLAG, 0, 0, 0,
                     NULL},
    [OPT_META] = {"--meta", NULL, "list the file's metadata as well", KIND_FLAG, 0, 0, 0, NULL},
    [OPT_TOKENS] = {"--tokens", "FILE", "token ids, decimal, between white space; -: stdin",
                    KIND_TEXT, AT(tokens), 0, 0, NULL},
    [OPT_OUT] = {"--out", "FILE", "where the logits go", KIND_TEXT, AT(out), 0, 0, NULL},
    [OPT_N] = {"-n", "N", "how many tokens to generate", KIND_U32, AT(n), 1, INT32_MAX, NULL},
    [OPT_WINDOW] = {"--window", "N", "an empty session every N tokens", KIND_U32, AT(window), 2,
                    INT32_MAX, NULL},
    [OPT_THREADS_LIST] = {"--threads", "N,N...", "threads that compute, one figure for each",
                          KIND_LIST, AT(thread_list), 1, 256, NULL},
    [OPT_CHUNK_LIST] = {"--chunk", "N,N...", "tokens of a prompt computed together, likewise",
                        KIND_LIST, AT(chunk_list), 1, 4096, NULL},
    [OPT_DEPTH_LIST] = {"--depth", "N,N...", "tokens held before, likewise (default: 0)", KIND_LIST,
                        AT(depth_list), 0, INT32_MAX, NULL},
    [OPT_PREFILL] = {"--prefill", "N", "tokens of the prompt (default: 512); 0: none", KIND_U32,
                     AT(prefill), 0, INT32_MAX, NULL},
    [OPT_DECODE] = {"--decode", "N", "tokens one by one (default: 64); 0: none", KIND_U32,
                    AT(decode), 0, INT32_MAX, NULL},
    [OPT_REPEATS] = {"--repeats", "N", "measure so often (default: 5)", KIND_U32, AT(repeats), 1,
                     1000, NULL},
    [OPT_BUFFER] = {"--buffer", "SIZE", "memory that is read to find its speed (default: 256M+)",
                    KIND_SIZE, AT(buffer), 1, 1e12, NULL},
    [OPT_JSON] = {"--json", NULL, "figures for programs instead of a table", KIND_FLAG, 0, 0, 0,
                  NULL},
    [OPT_COMPARE] = {"--compare", "FILE", "ratios to what --json wrote earlier", KIND_TEXT,
                     AT(compare), 0, 0, NULL},
    [OPT_TOLERANCE] = {"--tolerance", "X", "with --compare: fail if slower by more than X percent",
                       KIND_FLOAT, AT(tolerance), 0, 100, NULL},
    [OPT_SVG] = {"--svg", "FILE", "draw the roofline and the figures", KIND_TEXT, AT(svg), 0, 0,
                 NULL},
    [OPT_KERNELS] = {"--kernels", NULL, "every kernel of every set of instructions instead",
                     KIND_FLAG, 0, 0, 0, NULL},
    [OPT_TYPE] = {"--type", "TYPE", "of a named shape's weights (default: q4_k_m)", KIND_TEXT,
                  AT(type), 0, 0, NULL},
    [OPT_MEMORY] = {"--memory", NULL, "tell the memory only, and at once", KIND_FLAG, 0, 0, 0,
                    NULL},
    [OPT_DEPTH] = {"--depth", "N", "tokens held before (default: 0)", KIND_U32, AT(depth), 0,
                   INT32_MAX, NULL},
};

bool parse_number(uint64_t *out, const char *text, size_t len, uint64_t min, uint64_t max)
{
    uint64_t n = 0;
    *out = 0;
    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (n < min || n > max)
        return false;
    *out = n;
    return true;
}

/* Digits with at most one point, at most 15 of them: what a double holds exactly. */
static bool parse_decimal(float *out, const char *text, double min, double max)
{
    double value = 0, unit = 1;
    int n_digits = 0;
    bool fraction = false;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (*c < '0' || *c > '9' || ++n_digits > 15)
            return false;
        value = value * 10 + (*c - '0');
        if (fraction)
            unit *= 10;
    }
    value /= unit;
    if (n_digits == 0 || value < min || value > max)
        return false;
    *out = (float)value;
    return true;
}

static bool parse_size(uint64_t *out, const char *text, const struct option_row *row)
{
    static const char units[] = "KMG";
    size_t len = strlen(text);
    unsigned shift = 0;
    const char *unit = len > 0 ? memchr(units, text[len - 1], sizeof units - 1) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        len--;
    }
    if (!parse_number(out, text, len, (uint64_t)row->min, (uint64_t)row->max >> shift))
        return false;
    *out <<= shift;
    return true;
}

/* Numbers in the row's range, commas between them, none twice. */
static bool parse_list(struct number_list *out, const char *text, const struct option_row *row)
{
    out->n = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        uint64_t number = 0;
        if (out->n == MAX_LISTED ||
            !parse_number(&number, text, len, (uint64_t)row->min, (uint64_t)row->max))
            return false;
        for (uint32_t i = 0; i < out->n; i++)
            if (out->values[i] == number)
                return false;
        out->values[out->n++] = (uint32_t)number;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

static int bad_value(const struct option_row *row, const char *value)
{
    char shown[64];
    (void)printable(shown, sizeof shown, value, strlen(value));
    switch (row->kind) {
    case KIND_CHOICE:
        return fail("%s: \"%s\" is not one of %s", row->name, shown, row->value);
    case KIND_FLOAT:
        return fail("%s: \"%s\" is not a number from %g to %g", row->name, shown, row->min,
                    row->max);
    case KIND_SIZE:
        return fail("%s: \"%s\" is not a size such as 800M", row->name, shown);
    case KIND_U64:
        return fail("%s: \"%s\" is not a whole number below 2^64", row->name, shown);
    case KIND_LIST:
        return fail(
            "%s: \"%s\" is not a list of up to %d different whole numbers from %.0f to %.0f",
            row->name, shown, MAX_LISTED, row->min, row->max);
    default:
        return fail("%s: \"%s\" is not a whole number from %.0f to %.0f", row->name, shown,
                    row->min, row->max);
    }
}

static bool set_choice(uint32_t *out, const struct choice *choices, const char *value)
{
    for (const struct choice *c = choices; c->name; c++)
        if (strcmp(c->name, value) == 0) {
            *out = c->value;
            return true;
        }
    return false;
}

static int option_set(struct options *o, const struct option_row *row, const char *value)
{
    char *field = (char *)o + row->at;
    uint64_t n = 0;
    bool good = true;
    switch (row->kind) {
    case KIND_FLAG:
        break;
    case KIND_TEXT:
        memcpy(field, &value, sizeof value);
        break;
    case KIND_U32: {
        good = parse_number(&n, value, strlen(value), (uint64_t)row->min, (uint64_t)row->max);
        uint32_t narrow = (uint32_t)n;
        memcpy(field, &narrow, sizeof narrow);
        break;
    }
    case KIND_U64:
        good = parse_number(&n, value, strlen(value), 0, UINT64_MAX);
        memcpy(field, &n, sizeof n);
        break;
    case KIND_SIZE:
        good = parse_size(&n, value, row);
        memcpy(field, &n, sizeof n);
        break;
    case KIND_FLOAT: {
        float number = 0;
        good = parse_decimal(&number, value, row->min, row->max);
        memcpy(field, &number, sizeof number);
        break;
    }
    case KIND_CHOICE: {
        uint32_t choice = 0;
        good = set_choice(&choice, row->choices, value);
        memcpy(field, &choice, sizeof choice);
        break;
    }
    case KIND_STOP:
        if (value[0] == '\0')
            return fail("--stop: the text is empty");
        if (o->n_stops == MAX_STOPS)
            return fail("--stop: more than %d texts", MAX_STOPS);
        o->stops[o->n_stops++] = value;
        break;
    case KIND_LIST: {
        struct number_list list;
        good = parse_list(&list, value, row);
        memcpy(field, &list, sizeof list);
        break;
    }
    }
    return good ? 0 : bad_value(row, value);
}

static int print_help(const struct command_form *form)
{
    char line[256];
    int len = snprintf(line, sizeof line, "usage: sprat %s\n", form->usage);
    int bad = out_write(line, (size_t)len) || out_write(form->about, strlen(form->about));
    for (int i = 0; i < N_OPTIONS && !bad; i++) {
        const struct option_row *row = &option_rows[i];
        if (!(form->takes & OPT_BIT(i)))
            continue;
        char name[64];
        (void)snprintf(name, sizeof name, "%s %s", row->name, row->value ? row->value : "");
        len = snprintf(line, sizeof line, "  %-22s %s\n", name, row->help);
        bad = out_write(line, (size_t)len);
    }
    return bad || out_end() ? OPTIONS_ERROR : OPTIONS_HELP;
}

/* The row of an option this form takes, or NULL. *value: what stands after '=', or NULL. */
static const struct option_row *find_row(const struct command_form *form, const char *word,
                                         const char **value)
{
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    *value = equals ? equals + 1 : NULL;
    for (int i = 0; i < N_OPTIONS; i++) {
        const struct option_row *row = &option_rows[i];
        if (form->takes & OPT_BIT(i) && strlen(row->name) == len &&
            memcmp(row->name, word, len) == 0)
            return row;
    }
    return NULL;
}

int options_parse(struct options *o, const struct command_form *form, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    bool options_end = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        const char *value;
        if (options_end || word[0] != '-' || word[1] == '\0') {
            if (o->n_arguments == form->max_arguments)
                return fail("unexpected argument \"%s\"; usage: sprat %s", word, form->usage);
            o->arguments[o->n_arguments++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            options_end = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return print_help(form);
        const struct option_row *row = find_row(form, word, &value);
        if (!row)
            return fail("unknown option \"%s\"; usage: sprat %s", word, form->usage);
        if (row->kind == KIND_FLAG && value)
            return fail("%s takes no value", row->name);
        if (row->kind != KIND_FLAG && !value) {
            if (i + 1 == argc)
                return fail("%s needs a value: %s %s", row->name, row->name, row->value);
            value = argv[++i];
        }
        if (option_set(o, row, value))
            return OPTIONS_ERROR;
        o->given |= OPT_BIT(row - option_rows);
    }
    if (o->n_arguments < form->min_arguments)
        return fail("an argument is missing; usage: sprat %s", form->usage);
    return OPTIONS_OK;
}
