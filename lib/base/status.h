/* Statuses inside the library: every call that can fail returns a sprat_status and, where it fails,
 * has written one line into the sprat__err it was handed. Text from files goes through
 * sprat__quote, so that a line stays one line. */
#ifndef SPRAT__STATUS_H
#define SPRAT__STATUS_H

#include <sprat/sprat.h>

#include <stdbool.h>

#define SPRAT__MESSAGE_BYTES 240

struct sprat__err {
    sprat_status status;
    char message[SPRAT__MESSAGE_BYTES];
};

#if defined(__GNUC__)
#define SPRAT__PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SPRAT__PRINTF(f, a)
#endif

/* Writes status and line into err and returns status. err is never NULL. */
sprat_status sprat__fail(struct sprat__err *err, sprat_status status, const char *format, ...)
    SPRAT__PRINTF(3, 4);

/* Copies bytes that may be anything into out as one printable line: other bytes become \xNN; cut
 * with "..." where out is full. Returns out, always NUL-terminated; n_out > 3. */
const char *sprat__quote(char *out, size_t n_out, const char *text, size_t len);

/* A number for an error line, about six digits, "nan" and "inf" included; writes no locale's
 * decimal sign. out is NUL-terminated and returned. */
enum { SPRAT__NUMBER_BYTES = 32 };
const char *sprat__number(char out[SPRAT__NUMBER_BYTES], double x);

/* Forwards a failing status. */
#define SPRAT_TRY(expression)                                                                      \
    do {                                                                                           \
        sprat_status try_status_ = (expression);                                                   \
        if (try_status_ != SPRAT_OK)                                                               \
            return try_status_;                                                                    \
    } while (0)

/* Our own bugs, never input. Compiled in test builds only: a release imports no abort. */
#ifdef SPRAT_TEST_BUILD
void sprat__assert_failed(const char *expression, const char *file, int line);
#define SPRAT_ASSERT(e) ((e) ? (void)0 : sprat__assert_failed(#e, __FILE__, __LINE__))
#else
#define SPRAT_ASSERT(e) ((void)0)
#endif

#endif
