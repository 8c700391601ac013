/* Owns the reading of a model's answer as it arrives: where its reasoning, its content and its
 * blocks of calls begin and end. What a block holds is left to parse_call.c, an answer that is one
 * JSON text to parse_bare.c. Which tags a dialect has is in its struct; writing prompts is left to
 * the renderers. Rules: doc/chat.md. Invariants: the events do not depend on how the text is cut;
 * what was given out is never taken back; a feed that fails has changed nothing; time is linear in
 * the text. */
#include "chat/parse.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

static const struct sprat__parse_tag parse_think_tags[] = {
    {"<think>", SPRAT__TAG_THINK}, {"</think>", SPRAT__TAG_THINK_END}, {NULL, SPRAT__TAG_STRAY}};
static const struct sprat__parse_tag parse_tagged_calls[] = {{"\n<tool_call>", SPRAT__TAG_CALLS},
                                                             {"<tool_call>", SPRAT__TAG_CALLS},
                                                             {NULL, SPRAT__TAG_STRAY}};
static const struct sprat__parse_tag parse_tagged_block[] = {{"</tool_call>", SPRAT__TAG_CALLS_END},
                                                             {NULL, SPRAT__TAG_STRAY}};
static const struct sprat__parse_tag parse_token_calls[] = {
    {"<｜tool▁calls▁begin｜>", SPRAT__TAG_CALLS},
    {"<｜tool▁calls▁end｜>", SPRAT__TAG_STRAY},
    {"<｜tool▁call▁begin｜>", SPRAT__TAG_STRAY},
    {"<｜tool▁call▁end｜>", SPRAT__TAG_STRAY},
    {"<｜tool▁sep｜>", SPRAT__TAG_STRAY},
    {"｜DSML｜", SPRAT__TAG_STRAY},
    {NULL, SPRAT__TAG_STRAY}};
static const struct sprat__parse_tag parse_token_block[] = {
    {"<｜tool▁calls▁end｜>", SPRAT__TAG_CALLS_END},
    {"<｜tool▁call▁begin｜>", SPRAT__TAG_CALL},
    {"<｜tool▁call▁end｜>", SPRAT__TAG_CALL_END},
    {"<｜tool▁sep｜>", SPRAT__TAG_NAME},
    {NULL, SPRAT__TAG_STRAY}};
static const struct sprat__parse_tag parse_no_tags[] = {{NULL, SPRAT__TAG_STRAY}};

static const char parse_think_start[] = "<think>";
static const char parse_python_start[] = "<|python_tag|>";

static const char *const parse_warnings[SPRAT__N_WARNINGS] = {
    "the reasoning has no end",
    "a tool call began inside the reasoning and ended it",
    "a <think> or </think> tag stands where none belongs; it is left in the text",
    "a tool call is malformed and was left out",
    "the answer ends inside a tool call or its block",
    "a control token of tool calls stands in the text",
    "the answer began with <|python_tag|> and is no call; the tag was left out",
    "the answer begins like JSON and is none",
    "text follows the tool calls",
    "a second block of tool calls follows the first",
};

/* What the parser has to know of a style: its tags outside blocks and inside. */
static void parse_choose_tags(struct sprat__parser *parser)
{
    parser->tags[0] = parser->dialect->reasoning ? parse_think_tags : parse_no_tags;
    parser->tags[1] = parser->block_tags = parse_no_tags;
    switch (parser->dialect->tools) {
    case SPRAT__TOOLS_TAGGED:
        parser->tags[1] = parse_tagged_calls;
        parser->block_tags = parse_tagged_block;
        break;
    case SPRAT__TOOLS_FENCED:
    case SPRAT__TOOLS_TOKENS:
        parser->tags[1] = parse_token_calls;
        parser->block_tags = parse_token_block;
        break;
    case SPRAT__TOOLS_NONE:
    case SPRAT__TOOLS_BARE:
        break;
    }
}

sprat_status sprat__parser_create(struct sprat__parser **out, struct sprat__mem *mem,
                                  const struct sprat__dialect *dialect, bool in_reasoning,
                                  struct sprat__err *err)
{
    *out = NULL;
    struct sprat__parser *parser = sprat__new(mem, 1, sizeof *parser, SPRAT_PURPOSE_TEXT, err);
    if (!parser)
        return err->status;
    bool bare = dialect->tools == SPRAT__TOOLS_BARE;
    parser->mem = mem;
    parser->dialect = dialect;
    parser->held.mem = parser->queue.text.mem = mem;
    parse_choose_tags(parser);
    parser->start_tag = dialect->reasoning ? parse_think_start : bare ? parse_python_start : NULL;
    parser->state.section = parser->start_tag ? SPRAT__IN_START : SPRAT__IN_CONTENT;
    parser->state.reasoning = dialect->reasoning && in_reasoning;
    parser->state.json = bare ? SPRAT__JSON_LEAD : SPRAT__JSON_OFF;
    *out = parser;
    return SPRAT_OK;
}

void sprat__parser_destroy(struct sprat__parser *parser)
{
    if (!parser)
        return;
    sprat__buffer_end(&parser->held);
    sprat__parse_queue_end(&parser->queue);
    sprat__wipe_free(parser->mem, parser);
}

sprat_status sprat__parse_warn(struct sprat__parser *parser, enum sprat__parse_warning warning,
                               struct sprat__err *err)
{
    uint32_t bit = (uint32_t)1 << warning;
    if (parser->state.warned & bit)
        return SPRAT_OK;
    parser->state.warned |= bit;
    return sprat__parse_say(&parser->queue, SPRAT_EVENT_WARNING, (int32_t)warning,
                            (struct sprat__span){"", 0}, err);
}

bool sprat__parse_space(struct sprat__parse_state *state, char byte)
{
    state->space_part[state->n_space_part++] = byte;
    int n = sprat__space_at(state->space_part, state->n_space_part);
    if (n >= 0)
        state->n_space_part = 0;
    return n != 0;
}

struct sprat__span sprat__parse_held(const struct sprat__parser *parser)
{
    size_t from = parser->state.held_from;
    if (parser->held.len == from)
        return (struct sprat__span){"", 0};
    return (struct sprat__span){parser->held.data + from, parser->held.len - from};
}

void sprat__parse_forget(struct sprat__parser *parser)
{
    parser->state.held_from = parser->held.len;
}

sprat_status sprat__parse_hold(struct sprat__parser *parser, struct sprat__span text,
                               struct sprat__err *err)
{
    return sprat__buffer_add(&parser->held, text.text, text.len, err);
}

/* Gives the newlines held back, now that other text follows them. */
static sprat_status parse_put_newlines(struct sprat__parser *parser, struct sprat__err *err)
{
    static const char lines[] = "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";
    struct sprat__parse_state *state = &parser->state;
    while (state->newlines > 0) {
        size_t n = state->newlines < sizeof lines - 1 ? state->newlines : sizeof lines - 1;
        SPRAT_TRY(sprat__parse_say(&parser->queue, SPRAT_EVENT_REASONING, 0,
                                   (struct sprat__span){lines, n}, err));
        state->newlines -= n;
    }
    return SPRAT_OK;
}

/* Reasoning, whose last newlines may be the format's. */
static sprat_status parse_put_reasoning(struct sprat__parser *parser, struct sprat__span text,
                                        struct sprat__err *err)
{
    size_t end = text.len;
    while (end > 0 && text.text[end - 1] == '\n' && !parser->dialect->exact_reasoning)
        end--;
    if (end > 0) {
        SPRAT_TRY(parse_put_newlines(parser, err));
        SPRAT_TRY(sprat__parse_say(&parser->queue, SPRAT_EVENT_REASONING, 0,
                                   sprat__span_first(text, end), err));
    }
    parser->state.newlines += text.len - end;
    return SPRAT_OK;
}

/* Text after a block: held while it is white space; else all that is held is content. */
static sprat_status parse_after_block(struct sprat__parser *parser, struct sprat__span *text,
                                      struct sprat__err *err)
{
    size_t n = 0;
    bool space = true;
    while (n < text->len && space)
        space = sprat__parse_space(&parser->state, text->text[n++]);
    SPRAT_TRY(sprat__parse_hold(parser, sprat__span_first(*text, n), err));
    *text = sprat__span_after(*text, n);
    if (space)
        return SPRAT_OK;
    parser->state.after_block = false;
    SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_TEXT_AFTER_CALLS, err));
    struct sprat__span held = sprat__parse_held(parser);
    while (parser->state.skip_lines && held.len > 0 && held.text[0] == '\n')
        held = sprat__span_after(held, 1);
    parser->state.skip_lines = false;
    SPRAT_TRY(sprat__parse_say(&parser->queue, SPRAT_EVENT_TEXT, 0, held, err));
    sprat__parse_forget(parser);
    return SPRAT_OK;
}

sprat_status sprat__parse_plain(struct sprat__parser *parser, struct sprat__span text,
                                struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    if (state->section == SPRAT__IN_BLOCK)
        return sprat__call_text(parser, text, err);
    if (state->after_block && text.len > 0)
        SPRAT_TRY(parse_after_block(parser, &text, err));
    if (state->after_block)
        return SPRAT_OK;
    while (state->skip_lines && text.len > 0 && text.text[0] == '\n')
        text = sprat__span_after(text, 1);
    if (text.len == 0)
        return SPRAT_OK;
    state->skip_lines = false;
    if (state->section == SPRAT__IN_REASONING)
        return parse_put_reasoning(parser, text, err);
    if (state->json != SPRAT__JSON_OFF)
        return sprat__bare_text(parser, text, err);
    return sprat__parse_say(&parser->queue, SPRAT_EVENT_TEXT, 0, text, err);
}

static void parse_enter(struct sprat__parse_state *state, enum sprat__parse_section section,
                        bool skip_lines)
{
    state->section = section;
    state->skip_lines = skip_lines;
    state->newlines = 0;
}

void sprat__parse_leave_block(struct sprat__parser *parser)
{
    parser->state.section = SPRAT__IN_CONTENT;
    parser->state.after_block = true;
    parser->state.json = SPRAT__JSON_OFF;
    parser->state.n_space_part = 0;
    sprat__parse_forget(parser);
}

/* A block of calls opens. */
static sprat_status parse_open_block(struct sprat__parser *parser, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool tagged = parser->dialect->tools == SPRAT__TOOLS_TAGGED;
    if (state->section == SPRAT__IN_REASONING) {
        SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_CALL_IN_REASONING, err));
        parse_enter(state, SPRAT__IN_CONTENT, false);
    }
    if (state->any_block && !tagged)
        SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_SECOND_BLOCK, err));
    state->any_block = true;
    state->after_block = false;
    state->n_space_part = 0;
    state->section = SPRAT__IN_BLOCK;
    sprat__parse_forget(parser);
    sprat__call_enter(parser);
    return SPRAT_OK;
}

/* A tag that is complete. */
static sprat_status parse_act(struct sprat__parser *parser, const struct sprat__parse_tag *tag,
                              struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    if (state->section == SPRAT__IN_BLOCK)
        return sprat__call_tag(parser, tag, err);
    if (tag->meaning == SPRAT__TAG_CALLS)
        return parse_open_block(parser, err);
    if (state->section == SPRAT__IN_REASONING && tag->meaning == SPRAT__TAG_THINK_END) {
        parse_enter(state, SPRAT__IN_CONTENT, !parser->dialect->exact_reasoning);
        return SPRAT_OK;
    }
    SPRAT_TRY(sprat__parse_plain(parser, (struct sprat__span){tag->text, strlen(tag->text)}, err));
    return sprat__parse_warn(parser,
                             tag->meaning == SPRAT__TAG_STRAY ? SPRAT__WARN_STRAY_CONTROL
                                                              : SPRAT__WARN_STRAY_THINK,
                             err);
}

/* The tag that text is, or is the beginning of; those that may stand here. */
static const struct sprat__parse_tag *parse_find_tag(const struct sprat__parser *parser,
                                                     const char *text, size_t len)
{
    const struct sprat__parse_tag *const lists[] = {parser->tags[0], parser->tags[1],
                                                    parser->block_tags};
    bool block = parser->state.section == SPRAT__IN_BLOCK;
    for (size_t list = block ? 2 : 0; list < (block ? 3u : 2u); list++)
        for (const struct sprat__parse_tag *tag = lists[list]; tag->text; tag++)
            if (strncmp(tag->text, text, len) == 0)
                return tag;
    return NULL;
}

/* Takes one byte that may belong to a tag: gives out from the front what cannot. */
static sprat_status parse_tag_byte(struct sprat__parser *parser, char byte, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    state->tag[state->n_tag++] = byte;
    size_t skip = 0;
    const struct sprat__parse_tag *tag = NULL;
    while (skip < state->n_tag &&
           !(tag = parse_find_tag(parser, state->tag + skip, state->n_tag - skip)))
        skip++;
    SPRAT_TRY(sprat__parse_plain(parser, (struct sprat__span){state->tag, skip}, err));
    state->n_tag -= skip;
    memmove(state->tag, state->tag + skip, state->n_tag);
    if (tag && tag->text[state->n_tag] == '\0') {
        state->n_tag = 0;
        return parse_act(parser, tag, err);
    }
    return SPRAT_OK;
}

sprat_status sprat__parse_text(struct sprat__parser *parser, struct sprat__span text,
                               struct sprat__err *err)
{
    if (!parser->tags[0]->text && !parser->tags[1]->text)
        return sprat__parse_plain(parser, text, err);
    for (size_t i = 0; i < text.len;) {
        /* Every tag begins with "<", a newline or the first byte of "｜". */
        size_t plain = i;
        while (parser->state.n_tag == 0 && plain < text.len && text.text[plain] != '<' &&
               text.text[plain] != '\n' && text.text[plain] != '\xef')
            plain++;
        SPRAT_TRY(sprat__parse_plain(parser, (struct sprat__span){text.text + i, plain - i}, err));
        i = plain;
        if (i < text.len)
            SPRAT_TRY(parse_tag_byte(parser, text.text[i++], err));
    }
    return SPRAT_OK;
}

/* START is over: either its tag came, and all that was held belongs to the format, or not. */
static sprat_status parse_leave_start(struct sprat__parser *parser, bool tag_came,
                                      struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool think = tag_came && parser->dialect->reasoning;
    bool reasoning = state->reasoning || think;
    parse_enter(state, reasoning ? SPRAT__IN_REASONING : SPRAT__IN_CONTENT,
                reasoning && !parser->dialect->exact_reasoning);
    if (!tag_came && parser->dialect->tools != SPRAT__TOOLS_BARE) {
        /* At most white space and half a tag: nothing in it is held anew. */
        struct sprat__span held = sprat__parse_held(parser);
        sprat__parse_forget(parser);
        return sprat__parse_text(parser, held, err);
    }
    state->n_space = 0;
    if (!tag_came)
        return sprat__bare_text(parser, (struct sprat__span){"", 0}, err);
    sprat__parse_forget(parser);
    state->python_tag = !think;
    return SPRAT_OK;
}

/* START: white space, then perhaps the tag. Takes bytes until that is decided. */
static sprat_status parse_start(struct sprat__parser *parser, struct sprat__span text,
                                size_t *n_taken, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    for (size_t i = 0; i < text.len; i++) {
        SPRAT_TRY(sprat__parse_hold(parser, (struct sprat__span){text.text + i, 1}, err));
        *n_taken = i + 1;
        struct sprat__span rest = sprat__span_after(sprat__parse_held(parser), state->n_space);
        int space = sprat__space_at(rest.text, rest.len);
        if (space > 0)
            state->n_space += rest.len;
        if (space != 0)
            continue;
        if (strncmp(parser->start_tag, rest.text, rest.len) != 0)
            return parse_leave_start(parser, false, err);
        if (parser->start_tag[rest.len] == '\0')
            return parse_leave_start(parser, true, err);
    }
    return SPRAT_OK;
}

static sprat_status parse_end(struct sprat__parser *parser, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    if (state->section == SPRAT__IN_START)
        SPRAT_TRY(parse_leave_start(parser, false, err));
    struct sprat__span tag = {state->tag, state->n_tag};
    bool tagged = parser->dialect->tools == SPRAT__TOOLS_TAGGED;
    state->n_tag = 0;
    if (state->section != SPRAT__IN_BLOCK || !tagged)
        SPRAT_TRY(sprat__parse_plain(parser, tag, err));
    /* Twice where the first block's text, read anew, opened another. */
    while (state->section == SPRAT__IN_BLOCK)
        SPRAT_TRY(sprat__call_end(parser, err));
    if (state->section == SPRAT__IN_REASONING)
        SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_UNCLOSED, err));
    if (state->json != SPRAT__JSON_OFF && state->section == SPRAT__IN_CONTENT)
        SPRAT_TRY(sprat__bare_end(parser, err));
    state->finished = true;
    return SPRAT_OK;
}

static sprat_status parse_feed(struct sprat__parser *parser, struct sprat__span text, bool last,
                               struct sprat__err *err)
{
    size_t n = 0;
    if (parser->state.section == SPRAT__IN_START)
        SPRAT_TRY(parse_start(parser, text, &n, err));
    SPRAT_TRY(sprat__parse_text(parser, sprat__span_after(text, n), err));
    return last ? parse_end(parser, err) : SPRAT_OK;
}

/* Moves what is held to the front, or gives the room back. */
static void parse_tidy(struct sprat__parser *parser)
{
    struct sprat__span held = sprat__parse_held(parser);
    if (parser->state.held_from == 0)
        return;
    parser->state.held_from = 0;
    if (held.len == 0) {
        sprat__buffer_end(&parser->held);
        return;
    }
    memmove(parser->held.data, held.text, held.len);
    parser->held.len = held.len;
}

sprat_status sprat__parser_feed(struct sprat__parser *parser, const char *text, size_t len,
                                bool last, struct sprat__err *err)
{
    if (parser->state.finished)
        return sprat__fail(err, SPRAT_STATE, "the parser has already had its last text");
    sprat__parse_drop(&parser->queue);
    parse_tidy(parser);
    struct sprat__parse_state before = parser->state;
    struct sprat__parse_mark mark = sprat__parse_mark(&parser->queue);
    size_t n_held = parser->held.len;
    sprat_status status = parse_feed(parser, (struct sprat__span){len ? text : "", len}, last, err);
    if (status != SPRAT_OK) {
        parser->state = before;
        parser->held.len = n_held;
        sprat__parse_unsay(&parser->queue, mark);
    }
    sprat__wipe(&before, sizeof before);
    return status;
}

bool sprat__parser_next(struct sprat__parser *parser, struct sprat_event *event)
{
    *event = (struct sprat_event){.size = event->size};
    if (sprat__parse_take(&parser->queue, !parser->state.finished, event)) {
        if (event->type == SPRAT_EVENT_WARNING) {
            event->text = parse_warnings[event->reason];
            event->text_len = strlen(event->text);
            event->reason = 0;
        }
        return true;
    }
    if (!parser->state.finished || parser->given_done)
        return false;
    parser->given_done = true;
    event->type = SPRAT_EVENT_DONE;
    return true;
}
