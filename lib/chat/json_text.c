/* Owns looking into checked JSON text. The check is json_check.c's, writing is left to
 * write_json.c. Invariant: no recursion, no allocation; nothing outside the text is read, even if
 * it was not checked. */
#include "chat/json_text.h"

#include "chat/json_check.h"

#include <string.h>

static bool jtext_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct sprat__span jtext_skip_space(struct sprat__span text)
{
    while (text.len > 0 && jtext_is_space(text.text[0]))
        text = sprat__span_after(text, 1);
    return text;
}

bool sprat__json_whole(struct sprat__span text, struct sprat__span *value)
{
    struct sprat__json_check check;
    enum sprat__json_verdict verdict = SPRAT__JSON_MORE;
    text = jtext_skip_space(text);
    while (text.len > 0 && jtext_is_space(text.text[text.len - 1]))
        text.len--;
    sprat__json_check_begin(&check);
    for (size_t i = 0; i < text.len && verdict != SPRAT__JSON_BAD; i++)
        verdict = sprat__json_check_byte(&check, text.text[i]);
    *value = text;
    /* A number is whole only once something follows it. */
    return verdict != SPRAT__JSON_BAD && sprat__json_check_byte(&check, ' ') == SPRAT__JSON_WHOLE;
}

/* The bytes of the string at the front of text, quotes included. */
static size_t jtext_string_len(struct sprat__span text)
{
    size_t i = 1;
    while (i < text.len && text.text[i] != '"')
        i += text.text[i] == '\\' ? 2 : 1;
    return i < text.len ? i + 1 : text.len;
}

/* The bytes of the value at the front of text. */
static size_t jtext_value_len(struct sprat__span text)
{
    size_t depth = 0, i = 0;
    while (i < text.len) {
        char c = text.text[i];
        if (c == '"') {
            i += jtext_string_len(sprat__span_after(text, i));
            if (depth == 0)
                return i;
            continue;
        }
        bool closes = c == '}' || c == ']';
        if (depth == 0 && (closes || c == ',' || jtext_is_space(c)))
            return i;
        i++;
        if (c == '{' || c == '[')
            depth++;
        else if (closes && --depth == 0)
            return i;
    }
    return i;
}

bool sprat__json_item(struct sprat__span *rest, struct sprat__span *item)
{
    if (rest->len == 0)
        return false;
    /* What stands before an item: the array's bracket, or the comma after the one before. */
    struct sprat__span text = jtext_skip_space(sprat__span_after(*rest, 1));
    *rest = sprat__span_first(text, 0);
    if (text.len == 0 || text.text[0] == ']')
        return false;
    size_t n = jtext_value_len(text);
    *item = sprat__span_first(text, n);
    *rest = jtext_skip_space(sprat__span_after(text, n));
    return true;
}

struct sprat__span sprat__json_inside(struct sprat__span string)
{
    if (string.len < 2 || string.text[0] != '"')
        return sprat__span_first(string, 0);
    return (struct sprat__span){string.text + 1, string.len - 2};
}

static uint32_t jtext_hex(const char *digits)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        uint32_t digit =
            c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 0x20) - 'a') + 10;
        unit = unit << 4 | (digit & 15);
    }
    return unit;
}

static size_t jtext_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(heads[n] | c);
    return n;
}

/* A \u escape at the front of *inside, which has at least six bytes; two of them may make one
 * character. */
static size_t jtext_unicode(struct sprat__span *inside, char out[4])
{
    uint32_t c = jtext_hex(inside->text + 2);
    *inside = sprat__span_after(*inside, 6);
    if (c < 0xd800 || c > 0xdfff)
        return jtext_utf8(c, out);
    if (c < 0xdc00 && inside->len >= 6 && sprat__span_begins(*inside, "\\u")) {
        uint32_t low = jtext_hex(inside->text + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *inside = sprat__span_after(*inside, 6);
            return jtext_utf8(0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00), out);
        }
    }
    return jtext_utf8(0xfffd, out);
}

size_t sprat__json_character(struct sprat__span *inside, char out[4])
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    if (inside->len == 0)
        return 0;
    char c = inside->text[0];
    if (c != '\\' || inside->len < 2) {
        out[0] = c;
        *inside = sprat__span_after(*inside, 1);
        return 1;
    }
    c = inside->text[1];
    if (c == 'u' && inside->len >= 6)
        return jtext_unicode(inside, out);
    const char *letter = memchr(letters, c, sizeof letters - 1);
    out[0] = letter ? meanings[letter - letters] : c;
    *inside = sprat__span_after(*inside, 2);
    return 1;
}

static bool jtext_key_is(struct sprat__span string, const char *key)
{
    struct sprat__span inside = sprat__json_inside(string);
    size_t at = 0, n, len = strlen(key);
    char c[4];
    while ((n = sprat__json_character(&inside, c)) > 0) {
        if (n > len - at || memcmp(key + at, c, n) != 0)
            return false;
        at += n;
    }
    return at == len;
}

bool sprat__json_member(struct sprat__span object, const char *key, struct sprat__span *value)
{
    bool found = false;
    if (object.len == 0 || object.text[0] != '{')
        return false;
    struct sprat__span text = jtext_skip_space(sprat__span_after(object, 1));
    while (text.len > 0 && text.text[0] == '"') {
        struct sprat__span name = sprat__span_first(text, jtext_string_len(text));
        text = jtext_skip_space(sprat__span_after(text, name.len));
        if (text.len == 0) /* a ":", where the text was checked */
            break;
        text = jtext_skip_space(sprat__span_after(text, 1));
        size_t n = jtext_value_len(text);
        if (jtext_key_is(name, key)) {
            *value = sprat__span_first(text, n);
            found = true;
        }
        text = jtext_skip_space(sprat__span_after(text, n));
        if (text.len > 0)
            text = jtext_skip_space(sprat__span_after(text, 1));
    }
    return found;
}
