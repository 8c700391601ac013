/* Figures of an earlier run, read from what --json wrote, and the judgement whether this one is
 * slower. The file may be anything: a reader of all of JSON, by recursion of a bounded depth, that
 * remembers the runs' numbers and passes over the rest. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX_DEPTH = 32 };

struct json {
    const char *at, *end;
    struct bench_list *list;
    size_t room;
    int depth;
};

/* What a value was: a number, or a text that lies in the file as it is. */
struct json_value {
    double number;
    const char *text;
    size_t len;
};

static bool json_value(struct json *j, struct json_value *out, bool is_runs);

static void json_space(struct json *j)
{
    while (j->at < j->end && strchr(" \t\r\n", *j->at) && *j->at != '\0')
        j->at++;
}

/* Goes past c, with white space around it. */
static bool json_take(struct json *j, char c)
{
    json_space(j);
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    json_space(j);
    return true;
}

static bool json_string(struct json *j, struct json_value *out)
{
    const char *start = ++j->at;
    for (; j->at < j->end && *j->at != '"'; j->at++) {
        if ((unsigned char)*j->at < 32)
            return false;
        if (*j->at == '\\' && ++j->at == j->end)
            return false;
    }
    if (j->at == j->end)
        return false;
    out->text = start;
    out->len = (size_t)(j->at++ - start);
    return true;
}

static double json_digits(struct json *j, int *n)
{
    double value = 0;
    for (*n = 0; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++, (*n)++)
        value = value * 10 + (*j->at - '0');
    return value;
}

static bool json_number(struct json *j, struct json_value *out)
{
    int n = 0;
    bool minus = *j->at == '-';
    j->at += minus;
    out->number = json_digits(j, &n);
    if (n == 0)
        return false;
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        double part = json_digits(j, &n);
        if (n == 0)
            return false;
        out->number += part / pow(10, n);
    }
    if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        j->at++;
        bool small = j->at < j->end && *j->at == '-';
        if (j->at < j->end && (*j->at == '-' || *j->at == '+'))
            j->at++;
        double power = json_digits(j, &n);
        if (n == 0)
            return false;
        out->number *= pow(10, small ? -power : power);
    }
    out->number = minus ? -out->number : out->number;
    return isfinite(out->number);
}

static bool json_word(struct json *j)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(j->end - j->at) >= len && memcmp(j->at, words[i], len) == 0) {
            j->at += len;
            return true;
        }
    }
    return false;
}

static bool is_text(const struct json_value *value, const char *text)
{
    return value->text && value->len == strlen(text) && memcmp(value->text, text, value->len) == 0;
}

/* A member of a run: what it is called, what it is. */
static void run_member(struct bench_earlier *run, const struct json_value *name,
                       const struct json_value *value)
{
    const struct {
        const char *name;
        double *to;
    } numbers[] = {{"tokens", &run->tokens},   {"depth", &run->depth}, {"threads", &run->threads},
                   {"chunk", &run->chunk},     {"tok_s", &run->tok_s}, {"tok_s_low", &run->low},
                   {"tok_s_high", &run->high}, {"share", &run->share}};
    if (is_text(name, "what"))
        run->what = is_text(value, "decode") ? BENCH_DECODE : BENCH_PREFILL;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (is_text(name, numbers[i].name))
            *numbers[i].to = value->number;
}

static bool run_keep(struct json *j, const struct bench_earlier *run)
{
    struct bench_list *list = j->list;
    if (!(run->tok_s > 0) || !(run->low > 0) || !(run->high > 0))
        return false;
    if (list->n == j->room) {
        size_t room = j->room ? 2 * j->room : 16;
        struct bench_earlier *grown = realloc(list->runs, room * sizeof *grown);
        if (!grown)
            return false;
        list->runs = grown;
        j->room = room;
    }
    list->runs[list->n++] = *run;
    return true;
}

/* is_run: an element of the outermost object's "runs". */
static bool json_object(struct json *j, bool is_run)
{
    struct bench_earlier run = {0};
    if (!json_take(j, '{'))
        return false;
    while (!json_take(j, '}')) {
        struct json_value name = {0}, value = {0};
        if (j->at == j->end || *j->at != '"' || !json_string(j, &name) || !json_take(j, ':') ||
            !json_value(j, &value, j->depth == 1 && is_text(&name, "runs")))
            return false;
        if (is_run)
            run_member(&run, &name, &value);
        if (!json_take(j, ',') && (j->at == j->end || *j->at != '}'))
            return false;
    }
    return !is_run || run_keep(j, &run);
}

static bool json_array(struct json *j, bool is_runs)
{
    if (!json_take(j, '['))
        return false;
    while (!json_take(j, ']')) {
        struct json_value value = {0};
        bool good = is_runs ? json_object(j, true) : json_value(j, &value, false);
        if (!good || (!json_take(j, ',') && (j->at == j->end || *j->at != ']')))
            return false;
    }
    return true;
}

static bool json_value(struct json *j, struct json_value *out, bool is_runs)
{
    json_space(j);
    if (j->at == j->end || j->depth == JSON_MAX_DEPTH)
        return false;
    bool good;
    j->depth++;
    if (*j->at == '{')
        good = json_object(j, false);
    else if (*j->at == '[')
        good = json_array(j, is_runs);
    else if (*j->at == '"')
        good = json_string(j, out);
    else if (*j->at == '-' || (*j->at >= '0' && *j->at <= '9'))
        good = json_number(j, out);
    else
        good = json_word(j);
    j->depth--;
    return good;
}

int bench_list_read(struct bench_list *list, const char *path)
{
    struct bytes text = {0};
    memset(list, 0, sizeof *list);
    if (read_all(&text, path)) {
        bytes_end(&text);
        return 1;
    }
    struct json j = {text.data, text.data, list, 0, 0};
    struct json_value value = {0};
    if (text.len > 0)
        j.end += text.len;
    bool good = text.len > 0 && json_value(&j, &value, false);
    json_space(&j);
    long long at = text.len > 0 ? (long long)(j.at - text.data) : 0;
    good = good && j.at == j.end;
    bytes_end(&text);
    if (!good)
        return fail("%s: no figures of sprat bench --json, at byte %lld", path, at);
    return list->n > 0 ? 0 : fail("%s: it has no \"runs\" of sprat bench --json", path);
}

void bench_list_end(struct bench_list *list)
{
    free(list->runs);
    memset(list, 0, sizeof *list);
}

static bool is_same(double then, uint32_t now)
{
    return fabs(then - (double)now) < 0.5;
}

const struct bench_earlier *bench_find(const struct bench_list *list, const struct bench_run *run)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct bench_earlier *then = &list->runs[i];
        if (then->what == run->what && is_same(then->tokens, run->tokens) &&
            is_same(then->depth, run->depth) && is_same(then->threads, run->threads) &&
            is_same(then->chunk, run->chunk))
            return then;
    }
    return NULL;
}

int bench_judge(const struct bench *bench, const struct bench_list *list, double tolerance)
{
    size_t n_slower = 0, n_found = 0;
    const struct bench_run *worst = NULL;
    double least = 1 - tolerance / 100;
    for (size_t i = 0; i < bench->n_runs; i++) {
        const struct bench_run *run = &bench->runs[i];
        const struct bench_earlier *then = bench_find(list, run);
        if (!then)
            continue;
        n_found++;
        double ratio = run->tok_s / then->tok_s;
        double share = then->share > 0 ? bench_share(run) / then->share : ratio;
        double better = share > ratio ? share : ratio;
        if (better >= 1 - tolerance / 100)
            continue;
        n_slower++;
        if (better < least) {
            least = better;
            worst = run;
        }
    }
    if (n_found == 0)
        return fail("--compare: nothing that was measured now was measured then");
    if (!worst)
        return 0;
    return fail(
        "slower than then by more than %g %%: %zu of %zu figures; %s of %u at depth %u with %u "
        "threads is at %.2f",
        tolerance, n_slower, n_found, bench_what_name(worst->what), worst->tokens, worst->depth,
        worst->threads, least);
}
