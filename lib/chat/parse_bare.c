/* Owns the answers of dialects whose call is the whole answer, one JSON object: nothing says so
 * before its end, so such an answer is held until it is a call or cannot be one. */
#include "chat/json_text.h"
#include "chat/parse.h"

/* Takes one byte that is held; false once the answer can be no call. */
static bool bare_byte(struct sprat__parse_state *state, char byte)
{
    if (state->json == SPRAT__JSON_LEAD) {
        bool begins = byte == '{' && state->n_space_part == 0;
        if (sprat__parse_space(state, byte))
            return true;
        if (!begins)
            return false;
        state->json = SPRAT__JSON_INSIDE;
        sprat__json_check_begin(&state->check);
    }
    if (state->json == SPRAT__JSON_TAIL)
        return sprat__parse_space(state, byte);
    enum sprat__json_verdict verdict = sprat__json_check_byte(&state->check, byte);
    if (verdict == SPRAT__JSON_WHOLE)
        state->json = SPRAT__JSON_TAIL;
    return verdict != SPRAT__JSON_BAD;
}

/* What is held is content after all. broken: it began like JSON and is none. */
static sprat_status bare_give(struct sprat__parser *parser, bool broken, struct sprat__err *err)
{
    parser->state.json = SPRAT__JSON_OFF;
    if (parser->state.python_tag)
        SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_PYTHON_TAG, err));
    if (broken)
        SPRAT_TRY(sprat__parse_warn(parser, SPRAT__WARN_BROKEN_JSON, err));
    SPRAT_TRY(
        sprat__parse_say(&parser->queue, SPRAT_EVENT_TEXT, 0, sprat__parse_held(parser), err));
    sprat__parse_forget(parser);
    return SPRAT_OK;
}

sprat_status sprat__bare_text(struct sprat__parser *parser, struct sprat__span text,
                              struct sprat__err *err)
{
    struct sprat__parse_state *state = &parser->state;
    SPRAT_TRY(sprat__parse_hold(parser, text, err));
    struct sprat__span held = sprat__parse_held(parser);
    while (state->n_space < held.len)
        if (!bare_byte(state, held.text[state->n_space++]))
            return bare_give(parser, state->json != SPRAT__JSON_LEAD, err);
    return SPRAT_OK;
}

sprat_status sprat__bare_end(struct sprat__parser *parser, struct sprat__err *err)
{
    const struct sprat__parse_state *state = &parser->state;
    struct sprat__span value, name, arguments;
    struct sprat__span held = sprat__span_trim(sprat__parse_held(parser));
    bool whole = state->json == SPRAT__JSON_TAIL && state->n_space_part == 0;
    if (!whole || !sprat__json_whole(held, &value) || !sprat__json_member(value, "name", &name) ||
        name.text[0] != '"')
        return bare_give(parser, !whole && state->json != SPRAT__JSON_LEAD, err);
    if ((!sprat__json_member(value, "parameters", &arguments) || arguments.text[0] != '{') &&
        (!sprat__json_member(value, "arguments", &arguments) || arguments.text[0] != '{'))
        return bare_give(parser, false, err);
    SPRAT_TRY(sprat__parse_call(parser, name, err));
    SPRAT_TRY(sprat__parse_say(&parser->queue, SPRAT_EVENT_ARGUMENTS, 0, arguments, err));
    return sprat__parse_call_over(parser, SPRAT_CALL_WHOLE, err);
}
