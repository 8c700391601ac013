/* What a check of a kernel is, and the memory it works on: areas that end and begin at pages nobody
 * may touch, so that one byte read or written outside is a crash, and bytes that are watched. */
#ifndef SPRAT_TEST_CHECKKERNEL_H
#define SPRAT_TEST_CHECKKERNEL_H

#include "kernel/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernels a check compares: bit for bit, but that any NaN of arithmetic equals any other. */
struct check_pair {
    const struct sprat__kernels *scalar, *tested;
};

struct check {
    const char *row; /* of kernel.def; "dequant_" stands for all that begin so */
    /* Compares all it can think of; false at the first difference, which it has told. NULL: this is
     * one more measurement of a row that another entry checks. */
    bool (*run)(const struct check_pair *pair, const char *row);
    /* One measured piece of work: returns its size, in units. NULL: not measured. */
    double (*bench)(const struct sprat__kernels *kernels);
    const char *unit;
};

/* Each file's checks end with a row of NULL. */
extern const struct check checks_f32[], checks_i8[], checks_attend[];

/* How an object lies in its area: against the end, or so many elements after the beginning. */
enum { CHECK_AT_END = -1 };
static const int check_places[] = {CHECK_AT_END, 0, 1, 5};
enum { CHECK_N_PLACES = 4, CHECK_N_AREAS = 6 };

/* bytes of an object in one of the areas, all else there filled with a pattern. place counts units
 * of unit bytes. The area's former object is gone. */
void *check_place(int area, size_t bytes, int place, size_t unit);
/* Whether the pattern around the area's object still stands. */
bool check_is_untouched(int area);

uint64_t check_random(void);

/* Fills with values of a kind. None is NaN; kinds from CHECK_FINITE on hold infinities. */
enum {
    CHECK_ORDINARY,
    CHECK_WIDE,
    CHECK_ZEROS,
    CHECK_TINY,
    CHECK_FINITE,
    CHECK_HUGE = CHECK_FINITE,
    CHECK_N_KINDS
};
void check_fill(float *x, size_t n, int kind);

bool check_floats_equal(const float *a, const float *b, size_t n);

/* Lengths that every vector kernel must meet: 0 to 2 vectors and 1 of 32 elements, then real ones.
 */
size_t check_n_lengths(void);
size_t check_length(size_t i);

/* Tells a difference; returns false. */
bool check_differs(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
