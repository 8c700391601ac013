/* Any bytes as a model's answer, in any dialect: fed whole and in pieces gives the same; dialects
 * without reasoning and tools lose no byte, the others, where no tool is called, only newlines,
 * tags and white space in front of a tag; every call has its end, and the arguments of those that
 * count are a JSON object; one DONE, at the end; memory in proportion, nothing held afterwards.
 * Input: dialect, whether the prompt ended in reasoning, a seed of the cuts, then the answer. */
#include "chat/json_text.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TAG_BYTES = 15 }; /* of <think> and </think>, or of <|python_tag|>, at most */

struct result {
    char *text[2]; /* reasoning, content */
    size_t len[2];
    const char *warnings[16];
    size_t n_warnings, n_done;
    char *calls; /* names, arguments and ends, as they came */
    size_t n_calls, n_arguments;
    bool open;
};

/* A call's name, a piece of its arguments, or its end. */
static void take_call(struct result *result, const struct sprat_event *event)
{
    struct sprat__span value;
    FUZZ_CHECK(result->open == (event->type != SPRAT_EVENT_CALL));
    result->open = event->type != SPRAT_EVENT_CALL_END;
    if (event->type == SPRAT_EVENT_CALL_END && event->reason == SPRAT_CALL_WHOLE) {
        struct sprat__span arguments = {result->calls + result->n_calls - result->n_arguments,
                                        result->n_arguments};
        FUZZ_CHECK(sprat__json_whole(arguments, &value) && value.text[0] == '{');
        FUZZ_CHECK(value.len == arguments.len);
    }
    FUZZ_CHECK(event->type != SPRAT_EVENT_ARGUMENTS || event->text_len > 0);
    if (event->text_len > 0)
        memcpy(result->calls + result->n_calls, event->text, event->text_len);
    result->n_calls += event->text_len;
    result->n_arguments += event->text_len;
    if (event->type != SPRAT_EVENT_ARGUMENTS) {
        result->calls[result->n_calls++] = (char)('0' + event->type + event->reason);
        result->n_arguments = 0;
    }
}

static void take(struct sprat__parser *parser, struct result *result)
{
    struct sprat_event event = {.size = sizeof event};
    while (sprat__parser_next(parser, &event)) {
        FUZZ_CHECK(result->n_done == 0);
        if (event.type == SPRAT_EVENT_DONE) {
            result->n_done++;
        } else if (event.type == SPRAT_EVENT_WARNING) {
            FUZZ_CHECK(result->n_warnings < 16 && event.text_len > 0);
            result->warnings[result->n_warnings++] = event.text;
        } else if (event.type >= SPRAT_EVENT_CALL) {
            take_call(result, &event);
        } else {
            int which = event.type == SPRAT_EVENT_TEXT;
            FUZZ_CHECK(which || event.type == SPRAT_EVENT_REASONING);
            FUZZ_CHECK(event.text_len > 0 && (which || result->len[1] == 0));
            memcpy(result->text[which] + result->len[which], event.text, event.text_len);
            result->len[which] += event.text_len;
        }
    }
}

/* cuts: 0 for whole, else the state of a generator of piece lengths. */
static struct result parse(const struct sprat__dialect *dialect, bool thinking, const char *text,
                           size_t len, uint32_t cuts)
{
    struct sprat__mem mem;
    struct sprat__err err;
    struct sprat__parser *parser;
    struct result result = {.text = {malloc(len + 1), malloc(len + 1)},
                            .calls = malloc(4 * len + 1)};
    sprat__mem_init(&mem, NULL, 0);
    FUZZ_CHECK(result.text[0] && result.text[1] && result.calls);
    FUZZ_CHECK(sprat__parser_create(&parser, &mem, dialect, thinking, &err) == SPRAT_OK);
    size_t at = 0;
    do {
        size_t n = len - at;
        if (cuts) {
            cuts = cuts * 1664525 + 1013904223;
            size_t most = cuts >> 16 & 1 ? 3 : 40;
            if ((cuts >> 24) % most < n)
                n = (cuts >> 24) % most;
        }
        FUZZ_CHECK(sprat__parser_feed(parser, text + at, n, at + n == len, &err) == SPRAT_OK);
        at += n;
        if (!cuts || cuts & 0x1000 || at == len)
            take(parser, &result);
    } while (at < len);
    take(parser, &result);
    FUZZ_CHECK(result.n_done == 1 && !result.open);
    FUZZ_CHECK(sprat__parser_feed(parser, text, len, true, &err) == SPRAT_STATE);
    sprat__parser_destroy(parser);
    FUZZ_CHECK(mem.now == 0);
    FUZZ_CHECK(mem.peak <= 12 * (uint64_t)len + 8192);
    return result;
}

static size_t printable(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] > 0x20 && text[i] < 0x7f;
    return n;
}

static void check_kept(const struct sprat__dialect *dialect, const struct result *result,
                       const char *text, size_t len)
{
    struct sprat__span all = {text, len};
    bool calls = result->n_calls > 0 || sprat__span_find(all, "<tool_call>") != SIZE_MAX ||
                 sprat__span_find(all, "<｜tool▁calls▁begin｜>") != SIZE_MAX;
    if (!dialect->reasoning && dialect->tools == SPRAT__TOOLS_NONE) {
        FUZZ_CHECK(result->len[0] == 0 && result->len[1] == len);
        FUZZ_CHECK(memcmp(result->text[1], text, len) == 0);
    }
    /* What came out stood in the text, in this order. */
    size_t at = 0;
    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < result->len[which]; i++, at++) {
            while (at < len && text[at] != result->text[which][i])
                at++;
            FUZZ_CHECK(at < len);
        }
    }
    FUZZ_CHECK(calls || printable(text, len) <= printable(result->text[0], result->len[0]) +
                                                    printable(result->text[1], result->len[1]) +
                                                    TAG_BYTES);
}

static bool same(const struct result *a, const struct result *b)
{
    if (a->n_warnings != b->n_warnings)
        return false;
    for (size_t i = 0; i < a->n_warnings; i++)
        if (a->warnings[i] != b->warnings[i])
            return false;
    for (int which = 0; which < 2; which++)
        if (a->len[which] != b->len[which] ||
            memcmp(a->text[which], b->text[which], a->len[which]) != 0)
            return false;
    return a->n_calls == b->n_calls && memcmp(a->calls, b->calls, a->n_calls) == 0;
}

static void end(struct result *result)
{
    free(result->text[0]);
    free(result->text[1]);
    free(result->calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const struct sprat__dialect *dialect = &sprat__dialects[data[0] % sprat__n_dialects];
    const char *text = (const char *)data + 3;
    size_t len = size - 3;
    struct result whole = parse(dialect, data[1] & 1, text, len, 0);
    struct result cut = parse(dialect, data[1] & 1, text, len, data[2] + 1u);
    FUZZ_CHECK(same(&whole, &cut));
    check_kept(dialect, &whole, text, len);
    end(&whole);
    end(&cut);
    return 0;
}
