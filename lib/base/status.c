/* Owns the texts of statuses and the writing of error lines. */
#include "base/status.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>

#ifdef SPRAT_TEST_BUILD
#include <stdlib.h>
void sprat__assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    abort();
}
#endif

sprat_status sprat__fail(struct sprat__err *err, sprat_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    err->status = status;
    return status;
}

const char *sprat__quote(char *out, size_t n_out, const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = c >= 0x20 && c != 0x7f && c != '\\' && c < 0x80;
        size_t need = plain ? 1 : 4;
        if (n + need + 4 > n_out) {
            for (int dots = 0; dots < 3 && n + 1 < n_out; dots++)
                out[n++] = '.';
            break;
        }
        if (plain) {
            out[n++] = (char)c;
        } else {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    out[n] = '\0';
    return out;
}

const char *sprat__number(char out[SPRAT__NUMBER_BYTES], double x)
{
    size_t n = 0;
    if (x != x || x > DBL_MAX || x < -DBL_MAX) {
        const char *name = x != x ? "nan" : x > 0 ? "inf" : "-inf";
        do
            out[n] = name[n];
        while (name[n++]);
        return out;
    }
    if (x < 0) {
        out[n++] = '-';
        x = -x;
    }
    int exponent = 0;
    for (; x >= 1e9; exponent++)
        x /= 10;
    for (; x > 0 && x < 1e-3; exponent--)
        x *= 10;
    uint64_t millionths = (uint64_t)(x * 1e6 + 0.5);
    char digits[24];
    size_t n_digits = 0;
    for (uint64_t rest = millionths; rest > 0 || n_digits < 7; rest /= 10)
        digits[n_digits++] = (char)('0' + rest % 10);
    size_t end = 0; /* zeros at the end say nothing */
    while (end < 6 && digits[end] == '0')
        end++;
    while (n_digits > end) {
        if (n_digits == 6)
            out[n++] = '.';
        out[n++] = digits[--n_digits];
    }
    if (exponent != 0) {
        unsigned size = (unsigned)(exponent < 0 ? -exponent : exponent);
        out[n++] = 'e';
        if (exponent < 0)
            out[n++] = '-';
        if (size >= 100)
            out[n++] = (char)('0' + size / 100);
        if (size >= 10)
            out[n++] = (char)('0' + size / 10 % 10);
        out[n++] = (char)('0' + size % 10);
    }
    out[n] = '\0';
    return out;
}

const char *sprat_status_name(sprat_status status)
{
    switch (status) {
#define CASE(name, value, text)                                                                    \
    case value:                                                                                    \
        return #name;
        SPRAT_STATUS_LIST(CASE)
#undef CASE
    default:
        return "UNKNOWN";
    }
}

const char *sprat_status_text(sprat_status status)
{
    switch (status) {
#define CASE(name, value, text)                                                                    \
    case value:                                                                                    \
        return text;
        SPRAT_STATUS_LIST(CASE)
#undef CASE
    default:
        return "no status of this library";
    }
}
