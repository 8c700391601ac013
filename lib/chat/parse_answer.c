/* Owns the reading of a model's answer as it arrives: reasoning apart from content, and warnings.
 * Which tags a dialect has is in its struct; writing prompts is left to the renderers. Rules:
 * doc/chat.md. Invariants: the result does not depend on how the text is cut; what was given out
 * is never taken back; a feed that fails has changed nothing; time is linear in the text. Held back
 * are at most one unfinished tag, the white space before a first tag, and a count of newlines. */
#include "chat/dialect.h"
#include "chat/json_check.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

enum { PARSE_TAG_MAX = 40 };

/* What a tag means. Tags of all meanings are content where they change nothing. */
enum parse_meaning { PARSE_OPEN, PARSE_CLOSE, PARSE_CALLS, PARSE_CONTROL };

struct parse_tag {
    const char *text;
    enum parse_meaning meaning;
};

static const struct parse_tag parse_think_tags[] = {
    {"<think>", PARSE_OPEN}, {"</think>", PARSE_CLOSE}, {NULL, PARSE_OPEN}};
static const struct parse_tag parse_tagged_calls[] = {{"<tool_call>", PARSE_CALLS},
                                                      {NULL, PARSE_OPEN}};
static const struct parse_tag parse_fenced_calls[] = {{"<｜tool▁calls▁begin｜>", PARSE_CALLS},
                                                      {"<｜tool▁calls▁end｜>", PARSE_CONTROL},
                                                      {"<｜tool▁call▁begin｜>", PARSE_CONTROL},
                                                      {"<｜tool▁call▁end｜>", PARSE_CONTROL},
                                                      {"<｜tool▁sep｜>", PARSE_CONTROL},
                                                      {"｜DSML｜", PARSE_CONTROL},
                                                      {NULL, PARSE_OPEN}};
static const struct parse_tag parse_no_tags[] = {{NULL, PARSE_OPEN}};

static const char parse_think_start[] = "<think>";
static const char parse_python_start[] = "<|python_tag|>";

enum parse_warning {
    PARSE_UNCLOSED,
    PARSE_CALL_IN_REASONING,
    PARSE_STRAY_THINK,
    PARSE_CALL_AS_TEXT,
    PARSE_STRAY_CONTROL,
    PARSE_PYTHON_TAG,
    PARSE_BROKEN_JSON,
    PARSE_N_WARNINGS
};

static const char *const parse_warnings[] = {
    "the reasoning has no end",
    "a tool call began inside the reasoning and ended it",
    "a <think> or </think> tag stands where none belongs; it is left in the text",
    "the answer calls a tool; this version gives the call as text",
    "a control token of tool calls stands in the text",
    "the answer began with <|python_tag|>, which was left out",
    "the answer begins like JSON and is none",
};

enum parse_section { PARSE_START, PARSE_REASONING, PARSE_CONTENT };

/* Where the check of an answer that may be one JSON object stands. */
enum parse_json { PARSE_JSON_OFF, PARSE_JSON_LEAD, PARSE_JSON_INSIDE, PARSE_JSON_TAIL };

/* All that a failed feed must put back. */
struct parse_state {
    enum parse_section section;
    bool reasoning;  /* what follows START is reasoning */
    bool skip_lines; /* newlines at the start of the section belong to the format */
    bool finished;   /* the last text was fed */
    size_t newlines; /* of the end of the reasoning so far, not yet given out */
    size_t n_space;  /* START: bytes of held that are white space */
    uint32_t n_warnings;
    uint8_t warnings[PARSE_N_WARNINGS]; /* enum parse_warning, each once, as they came */
    size_t n_tag;                       /* bytes in tag */
    char tag[PARSE_TAG_MAX];            /* the text's end, while it may be the beginning of a tag */
    enum parse_json json;
    size_t n_space_part;
    char space_part[3]; /* the beginning of a white-space character around the JSON text */
    struct sprat__json_check check;
};

struct sprat__parser {
    struct sprat__mem *mem;
    const struct sprat__dialect *dialect;
    const struct parse_tag *tags[2];
    const char *start_tag; /* may stand at the start, after white space; NULL if none may */
    struct parse_state state;
    struct sprat__buffer held;               /* START */
    struct sprat__buffer reasoning, content; /* to be given out */
    size_t given_reasoning, given_content;   /* of their bytes, given by the last event */
    uint32_t given_warnings;
    bool given_done;
};

sprat_status sprat__parser_create(struct sprat__parser **out, struct sprat__mem *mem,
                                  const struct sprat__dialect *dialect, bool in_reasoning,
                                  struct sprat__err *err)
{
    *out = NULL;
    struct sprat__parser *parser = sprat__new(mem, 1, sizeof *parser, SPRAT_PURPOSE_TEXT, err);
    if (!parser)
        return err->status;
    parser->mem = mem;
    parser->dialect = dialect;
    parser->held.mem = parser->reasoning.mem = parser->content.mem = mem;
    parser->tags[0] = dialect->reasoning ? parse_think_tags : parse_no_tags;
    parser->tags[1] = dialect->tools == SPRAT__TOOLS_TAGGED   ? parse_tagged_calls
                      : dialect->tools == SPRAT__TOOLS_FENCED ? parse_fenced_calls
                                                              : parse_no_tags;
    parser->start_tag = dialect->reasoning                    ? parse_think_start
                        : dialect->tools == SPRAT__TOOLS_BARE ? parse_python_start
                                                              : NULL;
    parser->state.section = parser->start_tag ? PARSE_START : PARSE_CONTENT;
    parser->state.reasoning = dialect->reasoning && in_reasoning;
    parser->state.json = dialect->tools == SPRAT__TOOLS_BARE ? PARSE_JSON_LEAD : PARSE_JSON_OFF;
    *out = parser;
    return SPRAT_OK;
}

void sprat__parser_destroy(struct sprat__parser *parser)
{
    if (!parser)
        return;
    sprat__buffer_end(&parser->held);
    sprat__buffer_end(&parser->reasoning);
    sprat__buffer_end(&parser->content);
    sprat__wipe_free(parser->mem, parser);
}

static void parse_warn(struct parse_state *state, enum parse_warning warning)
{
    for (uint32_t i = 0; i < state->n_warnings; i++)
        if (state->warnings[i] == warning)
            return;
    if (state->n_warnings < PARSE_N_WARNINGS) /* always: each is there once; gcc -O3 asks */
        state->warnings[state->n_warnings++] = (uint8_t)warning;
}

/* Notes whether bytes, with those in space_part, are white space; false once they are not. */
static bool parse_space_byte(struct parse_state *state, char byte)
{
    state->space_part[state->n_space_part++] = byte;
    int n = sprat__space_at(state->space_part, state->n_space_part);
    if (n > 0)
        state->n_space_part = 0;
    return n != 0;
}

/* One byte of content, where the whole content may be one JSON object. */
static void parse_json_byte(struct parse_state *state, char byte)
{
    if (state->json == PARSE_JSON_LEAD) {
        if (parse_space_byte(state, byte))
            return;
        state->json = byte == '{' && state->n_space_part == 1 ? PARSE_JSON_INSIDE : PARSE_JSON_OFF;
        state->n_space_part = 0;
        sprat__json_check_begin(&state->check);
    }
    if (state->json == PARSE_JSON_INSIDE) {
        enum sprat__json_verdict verdict = sprat__json_check_byte(&state->check, byte);
        if (verdict == SPRAT__JSON_WHOLE)
            state->json = PARSE_JSON_TAIL;
        if (verdict != SPRAT__JSON_BAD)
            return;
    } else if (state->json == PARSE_JSON_OFF || parse_space_byte(state, byte)) {
        return;
    }
    parse_warn(state, PARSE_BROKEN_JSON);
    state->json = PARSE_JSON_OFF;
}

static void parse_json_end(struct parse_state *state)
{
    if (state->json == PARSE_JSON_INSIDE ||
        (state->json == PARSE_JSON_TAIL && state->n_space_part > 0))
        parse_warn(state, PARSE_BROKEN_JSON);
    else if (state->json == PARSE_JSON_TAIL && sprat__json_check_is_call(&state->check))
        parse_warn(state, PARSE_CALL_AS_TEXT);
}

/* Gives the newlines held back, now that other text follows them. */
static sprat_status parse_put_newlines(struct sprat__parser *parser, struct sprat__err *err)
{
    static const char lines[] = "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";
    struct parse_state *state = &parser->state;
    while (state->newlines > 0) {
        size_t n = state->newlines < sizeof lines - 1 ? state->newlines : sizeof lines - 1;
        SPRAT_TRY(sprat__buffer_add(&parser->reasoning, lines, n, err));
        state->newlines -= n;
    }
    return SPRAT_OK;
}

/* Text without a tag, of the section that is read. */
static sprat_status parse_put(struct sprat__parser *parser, const char *text, size_t len,
                              struct sprat__err *err)
{
    struct parse_state *state = &parser->state;
    for (; state->skip_lines && len > 0; text++, len--) {
        if (*text == '\n')
            continue;
        state->skip_lines = false;
        break;
    }
    if (len == 0)
        return SPRAT_OK;
    if (state->section == PARSE_CONTENT) {
        for (size_t i = 0; i < len && state->json != PARSE_JSON_OFF; i++)
            parse_json_byte(state, text[i]);
        return sprat__buffer_add(&parser->content, text, len, err);
    }
    size_t end = len;
    while (end > 0 && text[end - 1] == '\n')
        end--;
    if (end > 0) {
        SPRAT_TRY(parse_put_newlines(parser, err));
        SPRAT_TRY(sprat__buffer_add(&parser->reasoning, text, end, err));
    }
    state->newlines += len - end;
    return SPRAT_OK;
}

static void parse_enter(struct parse_state *state, enum parse_section section, bool skip_lines)
{
    state->section = section;
    state->skip_lines = skip_lines;
    state->newlines = 0;
}

/* A tag that is complete. */
static sprat_status parse_act(struct sprat__parser *parser, const struct parse_tag *tag,
                              struct sprat__err *err)
{
    struct parse_state *state = &parser->state;
    if (state->section == PARSE_REASONING && tag->meaning == PARSE_CLOSE) {
        parse_enter(state, PARSE_CONTENT, true);
        return SPRAT_OK;
    }
    if (tag->meaning == PARSE_CALLS) {
        if (state->section == PARSE_REASONING) {
            parse_warn(state, PARSE_CALL_IN_REASONING);
            parse_enter(state, PARSE_CONTENT, false);
        }
        parse_warn(state, PARSE_CALL_AS_TEXT);
    } else {
        parse_warn(state, tag->meaning == PARSE_CONTROL ? PARSE_STRAY_CONTROL : PARSE_STRAY_THINK);
    }
    return parse_put(parser, tag->text, strlen(tag->text), err);
}

/* The tag that text is, or is the beginning of. */
static const struct parse_tag *parse_find_tag(const struct sprat__parser *parser, const char *text,
                                              size_t len)
{
    for (size_t list = 0; list < 2; list++)
        for (const struct parse_tag *tag = parser->tags[list]; tag->text; tag++)
            if (strncmp(tag->text, text, len) == 0)
                return tag;
    return NULL;
}

/* Takes one byte that may belong to a tag: gives out from the front what cannot. */
static sprat_status parse_tag_byte(struct sprat__parser *parser, char byte, struct sprat__err *err)
{
    struct parse_state *state = &parser->state;
    state->tag[state->n_tag++] = byte;
    size_t skip = 0;
    const struct parse_tag *tag = NULL;
    while (skip < state->n_tag &&
           !(tag = parse_find_tag(parser, state->tag + skip, state->n_tag - skip)))
        skip++;
    SPRAT_TRY(parse_put(parser, state->tag, skip, err));
    state->n_tag -= skip;
    memmove(state->tag, state->tag + skip, state->n_tag);
    if (tag && tag->text[state->n_tag] == '\0') {
        state->n_tag = 0;
        return parse_act(parser, tag, err);
    }
    return SPRAT_OK;
}

/* Text after START. */
static sprat_status parse_text(struct sprat__parser *parser, const char *text, size_t len,
                               struct sprat__err *err)
{
    if (!parser->tags[0]->text && !parser->tags[1]->text)
        return parse_put(parser, text, len, err);
    for (size_t i = 0; i < len;) {
        /* Every tag begins with "<" or the first byte of "｜". */
        size_t plain = i;
        while (parser->state.n_tag == 0 && plain < len && text[plain] != '<' &&
               text[plain] != '\xef')
            plain++;
        SPRAT_TRY(parse_put(parser, text + i, plain - i, err));
        i = plain;
        if (i < len)
            SPRAT_TRY(parse_tag_byte(parser, text[i++], err));
    }
    return SPRAT_OK;
}

/* START is over: either its tag came, and all that was held belongs to the format, or not. */
static sprat_status parse_leave_start(struct sprat__parser *parser, bool tag_came,
                                      struct sprat__err *err)
{
    struct parse_state *state = &parser->state;
    bool reasoning = state->reasoning || (tag_came && parser->dialect->reasoning);
    parse_enter(state, reasoning ? PARSE_REASONING : PARSE_CONTENT, reasoning);
    if (!tag_came)
        return parse_text(parser, parser->held.data, parser->held.len, err);
    if (!reasoning)
        parse_warn(state, PARSE_PYTHON_TAG);
    return SPRAT_OK;
}

/* START: white space, then perhaps the tag. Takes bytes until that is decided. */
static sprat_status parse_start(struct sprat__parser *parser, const char *text, size_t len,
                                size_t *n_taken, struct sprat__err *err)
{
    struct parse_state *state = &parser->state;
    for (size_t i = 0; i < len; i++) {
        SPRAT_TRY(sprat__buffer_add(&parser->held, text + i, 1, err));
        *n_taken = i + 1;
        const char *rest = parser->held.data + state->n_space;
        size_t n_rest = parser->held.len - state->n_space;
        int space = sprat__space_at(rest, n_rest);
        if (space > 0)
            state->n_space = parser->held.len;
        if (space != 0)
            continue;
        if (strncmp(parser->start_tag, rest, n_rest) != 0)
            return parse_leave_start(parser, false, err);
        if (parser->start_tag[n_rest] == '\0')
            return parse_leave_start(parser, true, err);
    }
    return SPRAT_OK;
}

static sprat_status parse_end(struct sprat__parser *parser, struct sprat__err *err)
{
    struct parse_state *state = &parser->state;
    if (state->section == PARSE_START)
        SPRAT_TRY(parse_leave_start(parser, false, err));
    size_t n = state->n_tag;
    state->n_tag = 0;
    SPRAT_TRY(parse_put(parser, state->tag, n, err));
    if (state->section == PARSE_REASONING)
        parse_warn(state, PARSE_UNCLOSED);
    parse_json_end(state);
    state->finished = true;
    return SPRAT_OK;
}

static sprat_status parse_feed(struct sprat__parser *parser, const char *text, size_t len,
                               bool last, struct sprat__err *err)
{
    size_t n = 0;
    if (parser->state.section == PARSE_START)
        SPRAT_TRY(parse_start(parser, text, len, &n, err));
    SPRAT_TRY(parse_text(parser, text + n, len - n, err));
    return last ? parse_end(parser, err) : SPRAT_OK;
}

/* Drops what the last event gave. */
static void parse_drop(struct sprat__buffer *buffer, size_t *given)
{
    if (*given == 0)
        return;
    buffer->len -= *given;
    memmove(buffer->data, buffer->data + *given, buffer->len);
    *given = 0;
}

sprat_status sprat__parser_feed(struct sprat__parser *parser, const char *text, size_t len,
                                bool last, struct sprat__err *err)
{
    if (parser->state.finished)
        return sprat__fail(err, SPRAT_STATE, "the parser has already had its last text");
    parse_drop(&parser->reasoning, &parser->given_reasoning);
    parse_drop(&parser->content, &parser->given_content);
    struct parse_state before = parser->state;
    size_t n_held = parser->held.len;
    size_t n_reasoning = parser->reasoning.len, n_content = parser->content.len;
    sprat_status status = parse_feed(parser, len ? text : "", len, last, err);
    if (status != SPRAT_OK) {
        parser->state = before;
        parser->held.len = n_held;
        parser->reasoning.len = n_reasoning;
        parser->content.len = n_content;
    } else if (parser->state.section != PARSE_START) {
        sprat__buffer_end(&parser->held);
    }
    sprat__wipe(&before, sizeof before);
    return status;
}

/* An event for the text of a buffer, without a UTF-8 character's beginning at its end if more text
 * can come. */
static bool parse_give(struct sprat__buffer *buffer, size_t *given, bool more, int32_t type,
                       struct sprat_event *event)
{
    size_t n = buffer->len;
    if (more && n > 0)
        n -= sprat__utf8_open(buffer->data, n);
    if (n == 0)
        return false;
    *given = n;
    event->type = type;
    event->text = buffer->data;
    event->text_len = n;
    return true;
}

bool sprat__parser_next(struct sprat__parser *parser, struct sprat_event *event)
{
    const struct parse_state *state = &parser->state;
    parse_drop(&parser->reasoning, &parser->given_reasoning);
    parse_drop(&parser->content, &parser->given_content);
    *event = (struct sprat_event){.size = event->size};
    if (parse_give(&parser->reasoning, &parser->given_reasoning,
                   state->section == PARSE_REASONING && !state->finished, SPRAT_EVENT_REASONING,
                   event) ||
        parse_give(&parser->content, &parser->given_content, !state->finished, SPRAT_EVENT_TEXT,
                   event))
        return true;
    if (parser->given_warnings < state->n_warnings) {
        const char *text = parse_warnings[state->warnings[parser->given_warnings++]];
        event->type = SPRAT_EVENT_WARNING;
        event->text = text;
        event->text_len = strlen(text);
        return true;
    }
    if (!state->finished || parser->given_done)
        return false;
    parser->given_done = true;
    event->type = SPRAT_EVENT_DONE;
    return true;
}
