/* kernel/math64: errors in ulp against the C library's long double, special values, and the bits
 * themselves, which must be the same on every platform. */
#include "kernel/math64.h"

#include "run_suite.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where long double is no wider than double the reference itself may be off by an ulp. */
static const double allowed_extra = LDBL_MANT_DIG > 53 ? 0.0 : 1.0;

static uint64_t random_state = 1;

static uint64_t random_bits(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double random_between(double low, double high)
{
    return low + (high - low) * ((double)(random_bits() >> 11) * 0x1p-53);
}

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t to_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* |y - reference| in units of the last place of the reference. */
static double error_in_ulp(double y, long double reference)
{
    if (isnan(y) || isinf(y))
        return y == (double)reference ? 0 : HUGE_VAL;
    int e;
    frexpl(reference, &e);
    if (e < -1021)
        e = -1021;
    return (double)(fabsl((long double)y - reference) / ldexpl(1.0L, e - 53));
}

static double worst_exp(double low, double high, int n)
{
    double worst = 0;
    for (int i = 0; i < n; i++) {
        double x = random_between(low, high);
        worst = fmax(worst, error_in_ulp(sprat__exp64(x), expl((long double)x)));
    }
    return worst;
}

START_TEST(exp_is_close)
{
    ck_assert_double_lt(worst_exp(-1, 1, 200000), 1.0 + allowed_extra);
    ck_assert_double_lt(worst_exp(-100, 100, 200000), 1.0 + allowed_extra);
    ck_assert_double_lt(worst_exp(-708, 709.78, 200000), 1.0 + allowed_extra);
    ck_assert_double_lt(worst_exp(-745.13, -708, 100000), 2.0 + allowed_extra);
    ck_assert_double_lt(worst_exp(-1e-8, 1e-8, 10000), 1.0 + allowed_extra);
}
END_TEST

START_TEST(exp_has_its_specials)
{
    ck_assert(sprat__exp64(0.0) == 1.0);
    ck_assert(sprat__exp64(-0.0) == 1.0);
    ck_assert(isnan(sprat__exp64(NAN)));
    ck_assert(isinf(sprat__exp64(INFINITY)));
    ck_assert(sprat__exp64(-INFINITY) == 0);
    ck_assert(isinf(sprat__exp64(709.783)));
    ck_assert(isinf(sprat__exp64(DBL_MAX)));
    ck_assert(isfinite(sprat__exp64(709.782712893383)));
    ck_assert(sprat__exp64(-745.2) == 0);
    ck_assert(sprat__exp64(-745.1) == 0x1p-1074);
    ck_assert(sprat__exp64(-DBL_MAX) == 0);
    ck_assert(sprat__exp64(0x1p-1074) == 1.0);
}
END_TEST

START_TEST(log_is_close)
{
    double worst = 0;
    for (int i = 0; i < 300000; i++) {
        double x = random_between(0.5, 2);
        worst = fmax(worst, error_in_ulp(sprat__log64(x), logl((long double)x)));
        x = random_between(1 - 1e-6, 1 + 1e-6);
        worst = fmax(worst, error_in_ulp(sprat__log64(x), logl((long double)x)));
        x = from_bits(random_bits() >> 1);
        if (isfinite(x) && x > 0)
            worst = fmax(worst, error_in_ulp(sprat__log64(x), logl((long double)x)));
        x = from_bits(random_bits() >> (12 + i % 50)); /* subnormal */
        if (x > 0)
            worst = fmax(worst, error_in_ulp(sprat__log64(x), logl((long double)x)));
    }
    ck_assert_double_lt(worst, 1.0 + allowed_extra);
}
END_TEST

START_TEST(log_has_its_specials)
{
    ck_assert(sprat__log64(1.0) == 0);
    ck_assert(sprat__log64(0.0) == -INFINITY);
    ck_assert(sprat__log64(-0.0) == -INFINITY);
    ck_assert(isnan(sprat__log64(-1.0)));
    ck_assert(isnan(sprat__log64(-INFINITY)));
    ck_assert(isnan(sprat__log64(NAN)));
    ck_assert(sprat__log64(INFINITY) == INFINITY);
}
END_TEST

START_TEST(pow_is_close)
{
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double x = exp(random_between(-30, 30));
        double y = random_between(-20, 20);
        worst = fmax(worst, error_in_ulp(sprat__pow64(x, y), powl((long double)x, (long double)y)));
        x = random_between(1e3, 1e7); /* as rope's bases */
        y = -random_between(0, 1);
        worst = fmax(worst, error_in_ulp(sprat__pow64(x, y), powl((long double)x, (long double)y)));
        x = random_between(1 - 1e-9, 1 + 1e-9);
        y = random_between(-1e9, 1e9);
        worst = fmax(worst, error_in_ulp(sprat__pow64(x, y), powl((long double)x, (long double)y)));
    }
    ck_assert_double_lt(worst, 2.0 + allowed_extra);
}
END_TEST

START_TEST(pow_has_its_specials)
{
    ck_assert(sprat__pow64(NAN, 0) == 1);
    ck_assert(sprat__pow64(1, NAN) == 1);
    ck_assert(isnan(sprat__pow64(NAN, 1)));
    ck_assert(isnan(sprat__pow64(2, NAN)));
    ck_assert(isnan(sprat__pow64(-2, 2)));
    ck_assert(sprat__pow64(0, 2) == 0);
    ck_assert(sprat__pow64(-0.0, 2) == 0);
    ck_assert(sprat__pow64(0, -2) == INFINITY);
    ck_assert(sprat__pow64(INFINITY, 2) == INFINITY);
    ck_assert(sprat__pow64(INFINITY, -2) == 0);
    ck_assert(sprat__pow64(2, INFINITY) == INFINITY);
    ck_assert(sprat__pow64(2, -INFINITY) == 0);
    ck_assert(sprat__pow64(0.5, INFINITY) == 0);
    ck_assert(sprat__pow64(DBL_MAX, DBL_MAX) == INFINITY);
    ck_assert(sprat__pow64(DBL_MAX, -DBL_MAX) == 0);
    ck_assert(sprat__pow64(0x1p-1074, 1) == 0x1p-1074);
    ck_assert(sprat__pow64(2, 0x1p-1074) == 1);
    ck_assert(sprat__pow64(10000, 0.5) == 100);
    for (int i = -1074; i < 1024; i++)
        ck_assert(sprat__pow64(2, i) == ldexp(1, i));
}
END_TEST

static double worst_angle(double low, double high, int n)
{
    double worst = 0;
    for (int i = 0; i < n; i++) {
        double x = random_between(low, high);
        worst = fmax(worst, error_in_ulp(sprat__sin64(x), sinl((long double)x)));
        worst = fmax(worst, error_in_ulp(sprat__cos64(x), cosl((long double)x)));
    }
    return worst;
}

START_TEST(sine_and_cosine_are_close)
{
    ck_assert_double_lt(worst_angle(-0.8, 0.8, 200000), 1.0 + allowed_extra);
    ck_assert_double_lt(worst_angle(-100, 100, 200000), 1.0 + allowed_extra);
    ck_assert_double_lt(worst_angle(-2e6, 2e6, 300000), 1.0 + allowed_extra);
    ck_assert_double_lt(worst_angle(-SPRAT__ANGLE_MAX, SPRAT__ANGLE_MAX, 200000),
                        1.0 + allowed_extra);
}
END_TEST

/* The doubles nearest to multiples of π/2 are where a careless reduction loses everything. */
START_TEST(angles_near_zeros_are_close)
{
    double worst = 0;
    for (int i = 0; i < 5340000; i += 17) {
        double x = (double)(i * 1.57079632679489661923132169163975144L);
        worst = fmax(worst, error_in_ulp(sprat__sin64(x), sinl((long double)x)));
        worst = fmax(worst, error_in_ulp(sprat__cos64(x), cosl((long double)x)));
    }
    ck_assert_double_lt(worst, 1.0 + allowed_extra);
}
END_TEST

START_TEST(angles_have_their_specials)
{
    ck_assert(sprat__sin64(0.0) == 0 && !signbit(sprat__sin64(0.0)));
    ck_assert(sprat__sin64(-0.0) == 0 && signbit(sprat__sin64(-0.0)));
    ck_assert(sprat__cos64(0.0) == 1);
    ck_assert(sprat__sin64(0x1p-1074) == 0x1p-1074);
    ck_assert(isnan(sprat__sin64(NAN)) && isnan(sprat__cos64(NAN)));
    ck_assert(isnan(sprat__sin64(INFINITY)) && isnan(sprat__cos64(-INFINITY)));
    ck_assert(isfinite(sprat__sin64(SPRAT__ANGLE_MAX)));
    ck_assert(isnan(sprat__sin64(nextafter(SPRAT__ANGLE_MAX, INFINITY))));
    ck_assert(isnan(sprat__cos64(-nextafter(SPRAT__ANGLE_MAX, INFINITY))));
}
END_TEST

static uint64_t mix(uint64_t hash, double y)
{
    uint64_t bits = isnan(y) ? UINT64_C(0x7ff8000000000000) : to_bits(y);
    for (int i = 0; i < 64; i += 8)
        hash = (hash ^ ((bits >> i) & 255)) * UINT64_C(0x100000001b3);
    return hash;
}

/* The hash was taken once on x86-64; another platform, compiler or flag must give the same. */
START_TEST(bits_are_the_same_everywhere)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    random_state = 7;
    for (int i = 0; i < 100000; i++) {
        double x = random_between(-760, 760);
        double any = from_bits(random_bits()), other = from_bits(random_bits());
        double base = random_between(0, 1e6), power = random_between(-30, 30);
        double angle = random_between(-2e6, 2e6);
        hash = mix(hash, sprat__exp64(x));
        hash = mix(hash, sprat__exp64(any));
        hash = mix(hash, sprat__log64(any));
        hash = mix(hash, sprat__log64(base));
        hash = mix(hash, sprat__pow64(base, power));
        hash = mix(hash, sprat__pow64(any, other));
        hash = mix(hash, sprat__sin64(angle));
        hash = mix(hash, sprat__cos64(angle));
        hash = mix(hash, sprat__cos64(x));
        hash = mix(hash, sprat__sin64(any));
    }
    ck_assert_msg(hash == UINT64_C(0x21162602cd080b3b), "hash 0x%016llx", (unsigned long long)hash);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("math64");
    TCase *tests = tcase_create("math64");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, exp_is_close);
    tcase_add_test(tests, exp_has_its_specials);
    tcase_add_test(tests, log_is_close);
    tcase_add_test(tests, log_has_its_specials);
    tcase_add_test(tests, pow_is_close);
    tcase_add_test(tests, pow_has_its_specials);
    tcase_add_test(tests, sine_and_cosine_are_close);
    tcase_add_test(tests, angles_near_zeros_are_close);
    tcase_add_test(tests, angles_have_their_specials);
    tcase_add_test(tests, bits_are_the_same_everywhere);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
