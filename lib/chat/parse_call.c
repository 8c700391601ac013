/* Owns the reading of a block of calls: where each call begins and ends, its name and its
 * arguments, given out as they come. Where blocks begin is left to parse_answer.c. Invariants: each
 * CALL gets one CALL_END; the arguments given out with a WHOLE end are one JSON object, byte for
 * byte what the model wrote.
 *
 * One thing cannot be known before its time: whether the text of a block's end, seen inside a call,
 * ends the block or belongs to the call. It belongs to the call if that is well formed when its own
 * end comes; else what followed it is read anew as what it then is. No call begins in that text
 * (one would have shown that the first is malformed), so it is read anew once at most. */
#include "chat/json_text.h"
#include "chat/parse.h"

#include <string.h>

static const char call_fence[] = "\n```json\n";

/* ---- what is said of a call ---- */

sprat_status sprat__parse_call(struct sprat__parser *parser, struct sprat__span string,
                               struct sprat__err *err)
{
    struct sprat__buffer name = {.mem = parser->mem};
    struct sprat__span inside = sprat__json_inside(string);
    sprat_status status = SPRAT_OK;
    char c[4];
    for (size_t n; status == SPRAT_OK && (n = sprat__json_character(&inside, c)) > 0;)
        status = sprat__buffer_add(&name, c, n, err);
    if (status == SPRAT_OK)
        status = sprat__parse_say(&parser->queue, SPRAT_EVENT_CALL, 0,
                                  (struct sprat__span){name.len ? name.data : "", name.len}, err);
    sprat__buffer_end(&name);
    parser->state.begun = true;
    return status;
}

sprat_status sprat__parse_call_over(struct sprat__parser *parser, int32_t reason,
                                    struct sprat__err *err)
{
    if (!parser->state.begun)
        return SPRAT_OK;
    parser->state.begun = false;
    return sprat__parse_say(&parser->queue, SPRAT_EVENT_CALL_END, reason,
                            (struct sprat__span){"", 0}, err);
}

static sprat_status call_bad(struct sprat__parser *parser, struct sprat__err *err)
{
    SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_BAD_CALL, err));
    return sprat__parse_call_over(parser, SPRAT_CALL_BAD, err);
}

/* ---- between calls ---- */

static void call_go(struct sprat__parse_state *state, enum sprat__parse_place place)
{
    state->place = place;
    state->n_space_part = 0;
}

void sprat__call_enter(struct sprat__parser *parser)
{
    bool tagged = parser->dialect->tools == SPRAT__TOOLS_TAGGED;
    call_go(&parser->state, tagged ? SPRAT__AT_TAGGED : SPRAT__AT_BETWEEN);
    parser->state.json = SPRAT__JSON_LEAD;
    parser->state.n_arguments = 0;
    parser->state.has_arguments = parser->state.begun = false;
}

/* A call's opening tag came. */
static void call_begin(struct sprat__parser *parser)
{
    struct sprat__parse_state *state = &parser->state;
    bool fenced = parser->dialect->tools == SPRAT__TOOLS_FENCED;
    call_go(state, fenced ? SPRAT__AT_TYPE : SPRAT__AT_NAME);
    sprat__parse_forget(parser);
    state->n_fence = 0;
    state->n_ticks = 0;
    state->rereads = state->ticks_shut = false;
    state->json = SPRAT__JSON_LEAD;
}

static sprat_status call_junk(struct sprat__parser *parser, struct sprat__err *err)
{
    call_go(&parser->state, SPRAT__AT_JUNK);
    return sprat__parse_warn(parser, SPRAT__WARN_BAD_CALL, err);
}

/* ---- names and arguments ---- */

/* The name is held, with n_after bytes of the format behind it. */
static sprat_status call_named(struct sprat__parser *parser, size_t n_after, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    struct sprat__span name = sprat__parse_held(parser);
    name = sprat__span_trim(sprat__span_first(name, name.len - n_after));
    SPRAT_TRY(sprat__parse_say(&parser->queue, SPRAT_EVENT_CALL, 0, name, err));
    state->begun = true;
    if (!state->rereads)
        sprat__parse_forget(parser);
    call_go(state, SPRAT__AT_ARGUMENTS);
    return SPRAT_OK;
}

/* Text of a name, held until all of it is known; how much of it was the name's. */
static sprat_status call_name_text(struct sprat__parser *parser, struct sprat__span text,
                                   size_t *n_taken, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool fenced = parser->dialect->tools == SPRAT__TOOLS_FENCED, whole = false;
    size_t n = 0;
    for (; n < text.len && fenced && !whole; n++) {
        if (text.text[n] == call_fence[state->n_fence])
            state->n_fence++;
        else
            state->n_fence = text.text[n] == call_fence[0];
        whole = call_fence[state->n_fence] == '\0';
    }
    *n_taken = fenced ? n : text.len;
    SPRAT_TRY(sprat__parse_hold(parser, sprat__span_first(text, *n_taken), err));
    return whole ? call_named(parser, sizeof call_fence - 1, err) : SPRAT_OK;
}

/* Counts the backticks that the text ends with, white space aside: the fence that closes. */
static void call_tick(struct sprat__parse_state *state, char byte, bool space)
{
    if (byte == '`') {
        if (state->ticks_shut)
            state->n_ticks = 0;
        state->n_ticks = (uint8_t)(state->n_ticks < 4 ? state->n_ticks + 1 : 4);
        state->ticks_shut = false;
    } else if (space) {
        state->ticks_shut = state->n_ticks > 0;
    } else {
        state->n_ticks = 0;
    }
}

/* One byte of the arguments outside the JSON value. */
static void call_argument_edge(struct sprat__parser *parser, char byte)
{
    struct sprat__parse_state *state = &parser->state;
    bool space = sprat__parse_space(state, byte);
    bool fenced = parser->dialect->tools == SPRAT__TOOLS_FENCED;
    bool shut = state->ticks_shut || state->n_ticks >= 3;
    if (!space) {
        if (state->json != SPRAT__JSON_TAIL || !fenced || byte != '`' || shut)
            state->json = SPRAT__JSON_BROKEN;
    }
    call_tick(state, byte, space);
}

/* Arguments: white space, the JSON object, and FENCED: the closing fence. */
static sprat_status call_argument_text(struct sprat__parser *parser, struct sprat__span text,
                                       struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    if (state->rereads)
        SPRAT_TRY(sprat__parse_hold(parser, text, err));
    for (size_t i = 0; i < text.len;) {
        if (state->json == SPRAT__JSON_LEAD && text.text[i] == '{' && state->n_space_part == 0) {
            state->json = SPRAT__JSON_INSIDE;
            sprat__json_check_begin(&state->check);
        }
        size_t from = i;
        while (i < text.len && state->json == SPRAT__JSON_INSIDE) {
            enum sprat__json_verdict verdict = sprat__json_check_byte(&state->check, text.text[i]);
            if (verdict == SPRAT__JSON_BAD) {
                state->json = SPRAT__JSON_BROKEN;
                break;
            }
            i++;
            if (verdict == SPRAT__JSON_WHOLE)
                state->json = SPRAT__JSON_TAIL;
        }
        if (i > from) {
            state->n_ticks = 0;
            SPRAT_TRY(sprat__parse_say(&parser->queue, SPRAT_EVENT_ARGUMENTS, 0,
                                       (struct sprat__span){text.text + from, i - from}, err));
        } else {
            call_argument_edge(parser, text.text[i++]);
        }
    }
    return SPRAT_OK;
}

/* ---- TAGGED: one JSON object with a name and arguments ---- */

/* A byte of the arguments: given out, or held until the name is known. */
static sprat_status tagged_argument_byte(struct sprat__parser *parser, char byte,
                                         struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    struct sprat__span text = {&byte, 1};
    if (state->begun)
        return sprat__parse_say(&parser->queue, SPRAT_EVENT_ARGUMENTS, 0, text, err);
    state->n_arguments++;
    return sprat__parse_hold(parser, text, err);
}

/* The name's text is complete, held behind what arguments there are. */
static sprat_status tagged_named(struct sprat__parser *parser, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    struct sprat__span held = sprat__parse_held(parser);
    SPRAT_TRY(sprat__parse_call(parser, sprat__span_after(held, state->n_arguments), err));
    SPRAT_TRY(sprat__parse_say(&parser->queue, SPRAT_EVENT_ARGUMENTS, 0,
                               sprat__span_first(held, state->n_arguments), err));
    sprat__parse_forget(parser);
    return SPRAT_OK;
}

/* A byte of a value that matters. first: the value's first. */
static sprat_status tagged_member_byte(struct sprat__parser *parser, uint8_t member, bool first,
                                       bool last, char byte, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool is_name = member == SPRAT__JSON_NAME;
    /* Of another kind, or a second one: no call. */
    if (first && (byte != (is_name ? '"' : '{') || (is_name ? state->begun : state->has_arguments)))
        state->json = SPRAT__JSON_BROKEN;
    if (state->json == SPRAT__JSON_BROKEN)
        return SPRAT_OK;
    if (!is_name) {
        state->has_arguments = true;
        return tagged_argument_byte(parser, byte, err);
    }
    SPRAT_TRY(sprat__parse_hold(parser, (struct sprat__span){&byte, 1}, err));
    return last ? tagged_named(parser, err) : SPRAT_OK;
}

static sprat_status tagged_byte(struct sprat__parser *parser, char byte, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    if (state->json == SPRAT__JSON_LEAD) {
        bool object = byte == '{' && state->n_space_part == 0;
        if (sprat__parse_space(state, byte))
            return SPRAT_OK;
        state->json = object ? SPRAT__JSON_INSIDE : SPRAT__JSON_BROKEN;
        sprat__json_check_begin(&state->check);
    }
    if (state->json == SPRAT__JSON_TAIL && !sprat__parse_space(state, byte))
        state->json = SPRAT__JSON_BROKEN;
    if (state->json != SPRAT__JSON_INSIDE)
        return SPRAT_OK;
    uint8_t before = state->check.member;
    enum sprat__json_verdict verdict = sprat__json_check_byte(&state->check, byte);
    uint8_t after = state->check.member;
    if (verdict == SPRAT__JSON_BAD)
        state->json = SPRAT__JSON_BROKEN;
    else if (verdict == SPRAT__JSON_WHOLE)
        state->json = SPRAT__JSON_TAIL;
    if (state->json == SPRAT__JSON_BROKEN ||
        (before == SPRAT__JSON_NO_KEY && after == SPRAT__JSON_NO_KEY))
        return SPRAT_OK;
    return tagged_member_byte(parser, before != SPRAT__JSON_NO_KEY ? before : after,
                              before == SPRAT__JSON_NO_KEY, after == SPRAT__JSON_NO_KEY, byte, err);
}

/* The call's end; cut: the answer's instead. */
static sprat_status tagged_end(struct sprat__parser *parser, bool cut, struct sprat__err *err)
{
    const struct sprat__parse_state *state = &parser->state;
    bool whole = state->json == SPRAT__JSON_TAIL && state->n_space_part == 0 && state->begun &&
                 state->has_arguments;
    if (cut)
        SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_CUT_CALL, err));
    else if (!whole)
        SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_BAD_CALL, err));
    SPRAT_TRY(sprat__parse_call_over(parser,
                                     whole ? SPRAT_CALL_WHOLE
                                     : cut ? SPRAT_CALL_CUT
                                           : SPRAT_CALL_BAD,
                                     err));
    sprat__parse_leave_block(parser);
    return SPRAT_OK;
}

/* ---- the block ---- */

sprat_status sprat__call_text(struct sprat__parser *parser, struct sprat__span text,
                              struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    while (text.len > 0) {
        size_t n = 1;
        switch (state->place) {
        case SPRAT__AT_BETWEEN:
            if (!sprat__parse_space(state, text.text[0]))
                SPRAT_TRY(call_junk(parser, err));
            break;
        case SPRAT__AT_JUNK:
            return SPRAT_OK;
        case SPRAT__AT_TYPE:
            if (text.text[0] == '<')
                SPRAT_TRY(call_junk(parser, err));
            break;
        case SPRAT__AT_NAME:
            SPRAT_TRY(call_name_text(parser, text, &n, err));
            break;
        case SPRAT__AT_ARGUMENTS:
            return call_argument_text(parser, text, err);
        case SPRAT__AT_TAGGED:
            SPRAT_TRY(tagged_byte(parser, text.text[0], err));
            break;
        }
        text = sprat__span_after(text, n);
    }
    return SPRAT_OK;
}

/* The open call is none, and the block ended inside it: what followed is read anew. */
static sprat_status call_reread(struct sprat__parser *parser, struct sprat__err *err)
{
    SPRAT_TRY(call_bad(parser, err));
    struct sprat__span text = sprat__parse_held(parser);
    text = sprat__span_after(text, parser->state.reread);
    size_t at = parser->held.len - text.len;
    /* Reading holds no more than it reads: with this room the text stays where it is. */
    SPRAT_TRY(sprat__buffer_reserve(&parser->held, text.len, err));
    sprat__parse_leave_block(parser);
    if (text.len > 0)
        text.text = parser->held.data + at;
    SPRAT_TRY(sprat__parse_text(parser, text, err));
    /* A tag that has begun there is none: another tag follows, or the end. */
    char tag[SPRAT__PARSE_TAG_MAX];
    size_t n = parser->state.n_tag;
    memcpy(tag, parser->state.tag, n);
    parser->state.n_tag = 0;
    return sprat__parse_plain(parser, (struct sprat__span){tag, n}, err);
}

static struct sprat__span call_tag_text(const struct sprat__parse_tag *tag)
{
    return (struct sprat__span){tag->text, strlen(tag->text)};
}

/* A block's end inside a name or arguments: the call's text, as yet unsent. */
static sprat_status call_possible_end(struct sprat__parser *parser,
                                      const struct sprat__parse_tag *tag, struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool first = !state->rereads;
    SPRAT_TRY(sprat__call_text(parser, call_tag_text(tag), err));
    if (first) {
        state->rereads = true;
        state->reread = sprat__parse_held(parser).len;
    }
    return SPRAT_OK;
}

/* The call's own end. */
static sprat_status call_finish(struct sprat__parser *parser, const struct sprat__parse_tag *tag,
                                struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool fenced = parser->dialect->tools == SPRAT__TOOLS_FENCED;
    bool formed = state->place == SPRAT__AT_ARGUMENTS && (!fenced || state->n_ticks >= 3);
    if (!formed && state->rereads) {
        SPRAT_TRY(call_reread(parser, err));
        return sprat__parse_text(parser, call_tag_text(tag), err);
    }
    if (!formed)
        return call_junk(parser, err);
    bool whole = state->json == SPRAT__JSON_TAIL && state->n_space_part == 0;
    if (whole)
        SPRAT_TRY(sprat__parse_call_over(parser, SPRAT_CALL_WHOLE, err));
    else
        SPRAT_TRY(call_bad(parser, err));
    sprat__parse_forget(parser);
    call_go(state, SPRAT__AT_BETWEEN);
    return SPRAT_OK;
}

/* The next call begins, whatever became of the one before. */
static sprat_status call_next(struct sprat__parser *parser, const struct sprat__parse_tag *tag,
                              struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool inside = state->place >= SPRAT__AT_TYPE;
    if (inside && state->rereads) {
        SPRAT_TRY(call_reread(parser, err));
        return sprat__parse_text(parser, call_tag_text(tag), err);
    }
    if (inside || state->place == SPRAT__AT_JUNK || state->n_space_part > 0)
        SPRAT_TRY(call_bad(parser, err));
    call_begin(parser);
    return SPRAT_OK;
}

sprat_status sprat__call_tag(struct sprat__parser *parser, const struct sprat__parse_tag *tag,
                             struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    bool open = state->place == SPRAT__AT_NAME || state->place == SPRAT__AT_ARGUMENTS;
    bool fenced = parser->dialect->tools == SPRAT__TOOLS_FENCED;
    if (state->place == SPRAT__AT_TAGGED)
        return tagged_end(parser, false, err);
    if (tag->meaning == SPRAT__TAG_CALL)
        return call_next(parser, tag, err);
    if (tag->meaning == SPRAT__TAG_CALLS_END && open)
        return call_possible_end(parser, tag, err);
    if (tag->meaning == SPRAT__TAG_CALLS_END) {
        if (state->place != SPRAT__AT_BETWEEN || state->n_space_part > 0)
            SPRAT_TRY(call_bad(parser, err));
        sprat__parse_leave_block(parser);
        return SPRAT_OK;
    }
    if (tag->meaning == SPRAT__TAG_NAME && state->place == SPRAT__AT_TYPE) {
        call_go(state, SPRAT__AT_NAME);
        return SPRAT_OK;
    }
    if (tag->meaning == SPRAT__TAG_NAME && state->place == SPRAT__AT_NAME && !fenced) {
        SPRAT_TRY(call_named(parser, 0, err));
        return state->rereads ? sprat__parse_hold(parser, call_tag_text(tag), err) : SPRAT_OK;
    }
    if (tag->meaning == SPRAT__TAG_CALL_END && state->place >= SPRAT__AT_TYPE)
        return call_finish(parser, tag, err);
    return sprat__call_text(parser, call_tag_text(tag), err);
}

sprat_status sprat__call_end(struct sprat__parser *parser, struct sprat__err *err)
{
    const struct sprat__parse_state *state = &parser->state;
    bool open = state->place == SPRAT__AT_NAME || state->place == SPRAT__AT_ARGUMENTS;
    if (state->place == SPRAT__AT_TAGGED)
        return tagged_end(parser, true, err);
    if (open && state->rereads)
        return call_reread(parser, err);
    SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_CUT_CALL, err));
    SPRAT_TRY(sprat__parse_call_over(parser, SPRAT_CALL_CUT, err));
    sprat__parse_leave_block(parser);
    return SPRAT_OK;
}
