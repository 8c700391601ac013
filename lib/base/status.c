/* Owns the texts of statuses and the writing of error lines. */
#include "base/status.h"

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
