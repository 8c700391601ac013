/* Owns the check of JSON text in pieces. Building values is left to others. Invariant: no
 * recursion, no allocation; one step a byte. UTF-8 inside strings is not looked at. */
#include "chat/json_check.h"

#include <string.h>

enum json_state {
    JSON_VALUE,         /* a value must come */
    JSON_FIRST_ITEM,    /* a value, or the end of an empty array */
    JSON_FIRST_KEY,     /* a key, or the end of an empty object */
    JSON_KEY,           /* a key must come */
    JSON_COLON,         /* after a key */
    JSON_AFTER,         /* after a value inside an array or object */
    JSON_STRING,        /* in a string */
    JSON_ESCAPE,        /* after its backslash */
    JSON_HEX,           /* in its \u escape */
    JSON_MINUS,         /* numbers: after "-" */
    JSON_ZERO,          /* after a leading 0 */
    JSON_DIGITS,        /* in the whole part */
    JSON_POINT,         /* after "." */
    JSON_FRACTION,      /* in the fraction */
    JSON_EXPONENT,      /* after "e" */
    JSON_EXPONENT_SIGN, /* after its sign */
    JSON_POWER,         /* in the exponent */
    JSON_WORD,          /* in true, false or null */
    JSON_WHOLE_VALUE,
    JSON_FAILED
};

static const char *const json_words[] = {"true", "false", "null"};
static const char *const json_keys[] = {"name", "arguments"};

void sprat__json_check_begin(struct sprat__json_check *check)
{
    memset(check, 0, sizeof *check);
    check->state = JSON_VALUE;
    check->key = check->member = SPRAT__JSON_NO_KEY;
}

static bool json_in_object(const struct sprat__json_check *check)
{
    uint32_t level = check->depth - 1;
    return check->is_object[level / 64] >> (level % 64) & 1;
}

static enum json_state json_open(struct sprat__json_check *check, bool object)
{
    if (check->depth == SPRAT__JSON_DEPTH)
        return JSON_FAILED;
    uint64_t bit = (uint64_t)1 << (check->depth % 64);
    uint64_t *bits = &check->is_object[check->depth / 64];
    *bits = object ? *bits | bit : *bits & ~bit;
    check->depth++;
    return object ? JSON_FIRST_KEY : JSON_FIRST_ITEM;
}

static enum json_state json_ended(const struct sprat__json_check *check)
{
    return check->depth == 0 ? JSON_WHOLE_VALUE : JSON_AFTER;
}

static enum json_state json_close(struct sprat__json_check *check, char byte)
{
    if (json_in_object(check) != (byte == '}'))
        return JSON_FAILED;
    check->depth--;
    return json_ended(check);
}

static enum json_state json_begin_value(struct sprat__json_check *check, char c)
{
    if (check->key != SPRAT__JSON_NO_KEY)
        check->member = check->key;
    check->key = SPRAT__JSON_NO_KEY;
    if (c == '{' || c == '[')
        return json_open(check, c == '{');
    if (c == '"') {
        check->in_key = false;
        return JSON_STRING;
    }
    if (c == '-')
        return JSON_MINUS;
    if (c == '0')
        return JSON_ZERO;
    if (c >= '1' && c <= '9')
        return JSON_DIGITS;
    for (uint8_t i = 0; i < 3; i++) {
        if (c == json_words[i][0]) {
            check->word = i;
            check->n_word = 1;
            return JSON_WORD;
        }
    }
    return JSON_FAILED;
}

static enum json_state json_begin_key(struct sprat__json_check *check)
{
    check->in_key = true;
    check->candidates = check->depth == 1 ? (1 << SPRAT__JSON_N_KEYS) - 1 : 0;
    check->key_len = 0;
    check->key = SPRAT__JSON_NO_KEY;
    return JSON_STRING;
}

/* One character (or UTF-16 unit of an escape) of a key: which known keys it can still be. */
static void json_key_unit(struct sprat__json_check *check, uint32_t unit)
{
    if (!check->in_key || check->candidates == 0)
        return;
    for (unsigned i = 0; i < SPRAT__JSON_N_KEYS; i++)
        if (check->key_len >= strlen(json_keys[i]) ||
            unit != (unsigned char)json_keys[i][check->key_len])
            check->candidates = (uint8_t)(check->candidates & ~(1u << i));
    check->key_len++;
}

static enum json_state json_end_string(struct sprat__json_check *check)
{
    if (!check->in_key)
        return json_ended(check);
    for (uint8_t i = 0; i < SPRAT__JSON_N_KEYS; i++)
        if (check->candidates >> i & 1 && check->key_len == strlen(json_keys[i]))
            check->key = i;
    return JSON_COLON;
}

static enum json_state json_escape(struct sprat__json_check *check, char c)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        check->unit = 0;
        check->n_hex = 0;
        return JSON_HEX;
    }
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        if (c == letters[i]) {
            json_key_unit(check, (unsigned char)meanings[i]);
            return JSON_STRING;
        }
    }
    return JSON_FAILED;
}

static enum json_state json_hex(struct sprat__json_check *check, char c)
{
    uint32_t digit;
    if (c >= '0' && c <= '9')
        digit = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
        digit = (uint32_t)(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F')
        digit = (uint32_t)(c - 'A') + 10;
    else
        return JSON_FAILED;
    check->unit = check->unit << 4 | digit;
    if (++check->n_hex < 4)
        return JSON_HEX;
    json_key_unit(check, check->unit);
    return JSON_STRING;
}

/* One byte inside a string, an escape or a literal. */
static enum json_state json_inside(struct sprat__json_check *check, char c)
{
    switch (check->state) {
    case JSON_STRING:
        if (c == '"')
            return json_end_string(check);
        if (c == '\\')
            return JSON_ESCAPE;
        if ((unsigned char)c < 0x20)
            return JSON_FAILED;
        json_key_unit(check, (unsigned char)c);
        return JSON_STRING;
    case JSON_ESCAPE:
        return json_escape(check, c);
    case JSON_HEX:
        return json_hex(check, c);
    default:
        if (c != json_words[check->word][check->n_word])
            return JSON_FAILED;
        check->n_word++;
        return json_words[check->word][check->n_word] ? JSON_WORD : json_ended(check);
    }
}

/* One byte of a number; ended: it belongs to what follows the number. */
static enum json_state json_number(const struct sprat__json_check *check, char c, bool *ended)
{
    bool digit = c >= '0' && c <= '9';
    bool power = c == 'e' || c == 'E';
    *ended = false;
    switch (check->state) {
    case JSON_MINUS:
        return c == '0' ? JSON_ZERO : digit ? JSON_DIGITS : JSON_FAILED;
    case JSON_POINT:
        return digit ? JSON_FRACTION : JSON_FAILED;
    case JSON_EXPONENT:
        return digit ? JSON_POWER : c == '+' || c == '-' ? JSON_EXPONENT_SIGN : JSON_FAILED;
    case JSON_EXPONENT_SIGN:
        return digit ? JSON_POWER : JSON_FAILED;
    default:
        break;
    }
    if (digit && check->state != JSON_ZERO)
        return (enum json_state)check->state;
    if (c == '.' && (check->state == JSON_ZERO || check->state == JSON_DIGITS))
        return JSON_POINT;
    if (power && check->state != JSON_POWER)
        return JSON_EXPONENT;
    *ended = true;
    return json_ended(check);
}

/* One byte between values. */
static enum json_state json_between(struct sprat__json_check *check, char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return (enum json_state)check->state;
    switch (check->state) {
    case JSON_FIRST_ITEM:
        return c == ']' ? json_close(check, c) : json_begin_value(check, c);
    case JSON_FIRST_KEY:
        if (c == '}')
            return json_close(check, c);
        return c == '"' ? json_begin_key(check) : JSON_FAILED;
    case JSON_KEY:
        return c == '"' ? json_begin_key(check) : JSON_FAILED;
    case JSON_COLON:
        return c == ':' ? JSON_VALUE : JSON_FAILED;
    case JSON_AFTER:
        if (c == ',')
            return json_in_object(check) ? JSON_KEY : JSON_VALUE;
        return c == '}' || c == ']' ? json_close(check, c) : JSON_FAILED;
    case JSON_VALUE:
        return json_begin_value(check, c);
    default:
        return JSON_FAILED;
    }
}

enum sprat__json_verdict sprat__json_check_byte(struct sprat__json_check *check, char byte)
{
    enum json_state next = JSON_FAILED;
    bool between = true;
    if (check->state >= JSON_MINUS && check->state <= JSON_POWER) {
        next = json_number(check, byte, &between);
        check->state = (uint8_t)next;
    } else if ((check->state >= JSON_STRING && check->state <= JSON_HEX) ||
               check->state == JSON_WORD) {
        next = json_inside(check, byte);
        between = false;
    }
    if (between)
        next = json_between(check, byte);
    check->state = (uint8_t)next;
    if (check->depth <= 1 && (next == JSON_AFTER || next == JSON_KEY || next >= JSON_WHOLE_VALUE))
        check->member = SPRAT__JSON_NO_KEY;
    return next == JSON_FAILED        ? SPRAT__JSON_BAD
           : next == JSON_WHOLE_VALUE ? SPRAT__JSON_WHOLE
                                      : SPRAT__JSON_MORE;
}
