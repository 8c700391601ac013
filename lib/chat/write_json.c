/* Owns writing JSON text anew into a prompt, as Python's json.dumps would. Invariant: one pass, no
 * recursion; memory only for the prompt. */
#include "chat/json_text.h"

#include <string.h>

enum { WJSON_INDENT = 4 };

static void wjson_put(struct sprat__writer *writer, const char *text)
{
    sprat__write_user(writer, (struct sprat__span){text, strlen(text)});
}

/* A character of a string, escaped where JSON asks for it. */
static void wjson_character(struct sprat__writer *writer, const char *c, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)c[0];
    char escape[] = "\\u0000";
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
        sprat__write_user(writer, (struct sprat__span){c, n});
        return;
    }
    escape[2] = '\0';
    switch (byte) {
    case '\b':
        escape[1] = 'b';
        break;
    case '\f':
        escape[1] = 'f';
        break;
    case '\n':
        escape[1] = 'n';
        break;
    case '\r':
        escape[1] = 'r';
        break;
    case '\t':
        escape[1] = 't';
        break;
    case '"':
    case '\\':
        escape[1] = c[0];
        break;
    default:
        escape[2] = '0';
        escape[4] = digits[byte >> 4];
        escape[5] = digits[byte & 15];
        break;
    }
    wjson_put(writer, escape);
}

void sprat__write_json_string(struct sprat__writer *writer, struct sprat__span text)
{
    wjson_put(writer, "\"");
    for (size_t i = 0; i < text.len;) {
        size_t n = 0;
        while (i + n < text.len && (unsigned char)text.text[i + n] >= 0x20 &&
               text.text[i + n] != '"' && text.text[i + n] != '\\')
            n++;
        if (n == 0)
            n = 1;
        wjson_character(writer, text.text + i, n);
        i += n;
    }
    wjson_put(writer, "\"");
}

void sprat__write_json_decoded(struct sprat__writer *writer, struct sprat__span string)
{
    struct sprat__span inside = sprat__json_inside(string);
    char c[4];
    for (size_t n; (n = sprat__json_character(&inside, c)) > 0;)
        sprat__write_user(writer, (struct sprat__span){c, n});
}

/* A string at the front of text, read and written; its bytes. */
static size_t wjson_copy_string(struct sprat__writer *writer, struct sprat__span text)
{
    size_t len = 1;
    while (len < text.len && text.text[len] != '"')
        len += text.text[len] == '\\' ? 2 : 1;
    len = len < text.len ? len + 1 : text.len;
    struct sprat__span inside = sprat__json_inside(sprat__span_first(text, len));
    char c[4];
    wjson_put(writer, "\"");
    for (size_t n; (n = sprat__json_character(&inside, c)) > 0;)
        wjson_character(writer, c, n);
    wjson_put(writer, "\"");
    return len;
}

/* A float in parts: its digits without zeros round them, and where the point stands in front of
 * which: value = 0.DIGITS times ten to the point. */
struct wjson_float {
    struct sprat__span digits; /* may hold the decimal point */
    long long point;
};

static struct wjson_float wjson_read_float(struct sprat__span number)
{
    struct wjson_float x = {.digits = {number.text, 0}};
    long long exponent = 0;
    size_t mantissa = 0;
    while (mantissa < number.len && (number.text[mantissa] | 0x20) != 'e')
        mantissa++;
    bool negative = false;
    for (size_t i = mantissa + 1; i < number.len; i++) {
        if (number.text[i] == '-')
            negative = true;
        else if (number.text[i] != '+' && exponent < 1000000000)
            exponent = exponent * 10 + (number.text[i] - '0');
    }
    size_t first = 0, end = mantissa, dot = 0;
    while (dot < mantissa && number.text[dot] != '.')
        dot++;
    while (first < end && (number.text[first] == '0' || number.text[first] == '.'))
        first++;
    while (end > first && (number.text[end - 1] == '0' || number.text[end - 1] == '.'))
        end--;
    x.digits = (struct sprat__span){number.text + first, end - first};
    x.point = (negative ? -exponent : exponent) + (long long)dot - (long long)first +
              (first > dot ? 1 : 0);
    return x;
}

static void wjson_zeros(struct sprat__writer *writer, long long n)
{
    for (; n > 0; n--)
        wjson_put(writer, "0");
}

/* The first n digits (all: SIZE_MAX), the point left out; how many there were. */
static size_t wjson_digits(struct sprat__writer *writer, struct sprat__span digits, size_t skip,
                           size_t n)
{
    size_t seen = 0, written = 0;
    for (size_t i = 0; i < digits.len && written < n; i++) {
        if (digits.text[i] == '.')
            continue;
        if (seen++ < skip)
            continue;
        sprat__write_user(writer, (struct sprat__span){digits.text + i, 1});
        written++;
    }
    return written;
}

static void wjson_exponent(struct sprat__writer *writer, long long exponent)
{
    char text[24];
    size_t at = sizeof text;
    unsigned long long n = (unsigned long long)(exponent < 0 ? -exponent : exponent);
    for (int i = 0; i < 2 || n > 0; i++, n /= 10)
        text[--at] = (char)('0' + n % 10);
    wjson_put(writer, exponent < 0 ? "e-" : "e+");
    sprat__write_user(writer, (struct sprat__span){text + at, sizeof text - at});
}

/* Python's repr: with an exponent below 1e-4 and from 1e16 on. */
static void wjson_float(struct sprat__writer *writer, struct sprat__span number)
{
    if (number.text[0] == '-') {
        wjson_put(writer, "-");
        number = sprat__span_after(number, 1);
    }
    struct wjson_float x = wjson_read_float(number);
    if (x.digits.len == 0) {
        wjson_put(writer, "0.0");
        return;
    }
    if (x.point < -3 || x.point > 16) {
        wjson_digits(writer, x.digits, 0, 1);
        if (x.digits.len > 1)
            wjson_put(writer, ".");
        wjson_digits(writer, x.digits, 1, SIZE_MAX);
        wjson_exponent(writer, x.point - 1);
        return;
    }
    size_t whole = x.point > 0 ? (size_t)x.point : 0;
    size_t n = wjson_digits(writer, x.digits, 0, whole);
    wjson_zeros(writer, x.point > 0 ? x.point - (long long)n : 1);
    wjson_put(writer, ".");
    wjson_zeros(writer, -x.point);
    if (wjson_digits(writer, x.digits, whole, SIZE_MAX) == 0)
        wjson_put(writer, "0");
}

/* A number or a word at the front of text; its bytes. */
static size_t wjson_copy_literal(struct sprat__writer *writer, struct sprat__span text)
{
    bool is_float = false;
    size_t len = 0;
    while (len < text.len && !memchr(",]} \t\n\r", text.text[len], 7))
        len++;
    struct sprat__span literal = sprat__span_first(text, len);
    bool number = literal.text[0] == '-' || (literal.text[0] >= '0' && literal.text[0] <= '9');
    for (size_t i = 0; number && i < len; i++)
        is_float = is_float || literal.text[i] == '.' || (literal.text[i] | 0x20) == 'e';
    if (is_float)
        wjson_float(writer, literal);
    else if (len == 2 && memcmp(literal.text, "-0", 2) == 0)
        wjson_put(writer, "0");
    else
        sprat__write_user(writer, literal);
    return len;
}

static void wjson_line(struct sprat__writer *writer, bool indented, size_t depth)
{
    if (!indented)
        return;
    wjson_put(writer, "\n");
    for (size_t i = 0; i < depth * WJSON_INDENT; i++)
        wjson_put(writer, " ");
}

void sprat__write_json(struct sprat__writer *writer, struct sprat__span value, bool indented)
{
    size_t depth = 0;
    bool opened = false; /* nothing stands yet in the array or object */
    for (size_t i = 0; i < value.len && writer->status == SPRAT_OK;) {
        char c = value.text[i];
        struct sprat__span rest = sprat__span_after(value, i);
        bool closes = c == ']' || c == '}';
        if (memchr(" \t\n\r", c, 4)) {
            i++;
            continue;
        }
        if (closes)
            depth -= depth > 0;
        if (opened != closes)
            wjson_line(writer, indented, depth);
        opened = c == '[' || c == '{';
        depth += opened;
        if (c == '"') {
            i += wjson_copy_string(writer, rest);
        } else if (c == ',') {
            wjson_put(writer, indented ? "," : ", ");
            wjson_line(writer, indented, depth);
            i++;
        } else if (c == ':') {
            wjson_put(writer, ": ");
            i++;
        } else if (opened || closes) {
            sprat__write_user(writer, sprat__span_first(rest, 1));
            i++;
        } else {
            i += wjson_copy_literal(writer, rest);
        }
    }
}
