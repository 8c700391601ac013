/* Owns the binary64 functions whose C library versions differ by platform. Leaves binary32 ones to
 * the kernels. Invariant: every operation is one IEEE binary64 + - * /, none is fused and none
 * is reordered, so equal arguments give equal bits everywhere. The polynomials are Taylor series
 * cut where the rest is below 2^-58 of the result; their coefficients are correctly rounded
 * quotients. Argument reduction is that of W. J. Cody and W. Waite, "Software Manual for the
 * Elementary Functions" (1980); exact sums and products are T. J. Dekker's (1971). */
#include "kernel/math64.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

/* ln 2 in two parts, the first of 33 bits, so that its product with an exponent is exact. */
static const double math64_ln2_high = 0x1.62e42fefp-1;
static const double math64_ln2_low = 0x1.473de6af278edp-34;

/* A value as the unevaluated sum of two, the second at most half an ulp of the first. */
struct math64_pair {
    double high, low;
};

static uint64_t math64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double math64_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double math64_infinity(void)
{
    return math64_from_bits(UINT64_C(0x7ff) << 52);
}

static double math64_nan(void)
{
    return math64_from_bits(UINT64_C(0x7ff8) << 48);
}

/* a + b without error, whatever their sizes. */
static struct math64_pair math64_two_sum(double a, double b)
{
    double s = a + b;
    double part = s - a;
    return (struct math64_pair){s, (a - (s - part)) + (b - part)};
}

/* a · b without error; both below 2^970 in size, the product not near the subnormals. */
static struct math64_pair math64_two_product(double a, double b)
{
    const double splitter = 0x1p27 + 1.0;
    double ta = splitter * a, tb = splitter * b;
    double a1 = ta - (ta - a), b1 = tb - (tb - b);
    double a2 = a - a1, b2 = b - b1;
    double p = a * b;
    return (struct math64_pair){p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2};
}

/* 2^k for -1022 <= k <= 1023. */
static double math64_power_of_two(int k)
{
    return math64_from_bits((uint64_t)(k + 1023) << 52);
}

/* e to the (x + tail), |x| < 800, |tail| at most an ulp of x. With k the integer nearest x / ln 2
 * and r = x - k ln 2, |r| < 0.347: e^x = 2^k (1 + r + r²/2! + … + r^13/13!). */
static double math64_exp_core(double x, double tail)
{
    double scaled = x * 0x1.71547652b82fep+0;
    int k = (int)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    double r = x - (double)k * math64_ln2_high;
    r = r - ((double)k * math64_ln2_low - tail);
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    double y = 1.0 + (r + r * r * p);
    /* Two steps, because 2^k alone may be no normal number; only the second can round. */
    int half = k / 2;
    return y * math64_power_of_two(half) * math64_power_of_two(k - half);
}

double sprat__exp64(double x)
{
    if (x != x)
        return x;
    if (x > 709.79)
        return math64_infinity();
    if (x < -745.14)
        return 0.0;
    return math64_exp_core(x, 0.0);
}

/* Takes a positive finite x apart into 2^e · m with sqrt(1/2) <= m < sqrt(2), about. */
static double math64_split(double x, int *e)
{
    int k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits = math64_bits(x);
    k += (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | (UINT64_C(1023) << 52);
    double m = math64_from_bits(bits);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        k++;
    }
    *e = k;
    return m;
}

/* (2 atanh(s) - 2s) / s from z = s², |s| < 0.1716: 2/3 z + 2/5 z² + … + 2/21 z^10. */
static double math64_atanh_rest(double z)
{
    double p = 2.0 / 21.0;
    p = p * z + 2.0 / 19.0;
    p = p * z + 2.0 / 17.0;
    p = p * z + 2.0 / 15.0;
    p = p * z + 2.0 / 13.0;
    p = p * z + 2.0 / 11.0;
    p = p * z + 2.0 / 9.0;
    p = p * z + 2.0 / 7.0;
    p = p * z + 2.0 / 5.0;
    p = p * z + 2.0 / 3.0;
    return p * z;
}

/* log x = e ln 2 + log(1 + f), f = m - 1, and with s = f / (2 + f): log(1 + f) = 2 atanh(s) =
 * 2s + s R. As 2s = f - s f, that is f - (f²/2 - s (f²/2 + R)), whose large part f is exact. */
double sprat__log64(double x)
{
    if (x != x)
        return x;
    if (x == 0)
        return -math64_infinity();
    if (x < 0)
        return math64_nan();
    if (x == math64_infinity())
        return x;
    int e;
    double f = math64_split(x, &e) - 1.0;
    double s = f / (2.0 + f);
    double rest = math64_atanh_rest(s * s);
    double half_square = 0.5 * f * f;
    double correction = s * (half_square + rest) + (double)e * math64_ln2_low;
    return (double)e * math64_ln2_high - ((half_square - correction) - f);
}

/* The logarithm of a positive finite x to about 2^-58 of its size. s = f / (2 + f) is carried in
 * two parts; the rest of the series is small enough to be carried in one. */
static struct math64_pair math64_log_pair(double x)
{
    int e;
    double f = math64_split(x, &e) - 1.0;
    struct math64_pair divisor = math64_two_sum(2.0, f);
    double s = f / divisor.high;
    struct math64_pair product = math64_two_product(s, divisor.high);
    double s_low = (((f - product.high) - product.low) - s * divisor.low) / divisor.high;
    double rest = 2.0 * s_low + s * math64_atanh_rest(s * s);
    struct math64_pair sum = math64_two_sum((double)e * math64_ln2_high, 2.0 * s);
    return math64_two_sum(sum.high, sum.low + ((double)e * math64_ln2_low + rest));
}

double sprat__pow64(double x, double y)
{
    if (y == 0 || x == 1.0)
        return 1.0;
    if (x != x || y != y || x < 0)
        return math64_nan();
    if (x == 0 || x == math64_infinity())
        return (x == 0) == (y < 0) ? math64_infinity() : 0.0;
    struct math64_pair l = math64_log_pair(x);
    double rough = y * l.high;
    if (!(rough < 710.0))
        return math64_infinity();
    if (!(rough > -746.0))
        return 0.0;
    if (rough < 0x1p-60 && rough > -0x1p-60)
        return 1.0;
    struct math64_pair product = math64_two_product(y, l.high);
    double power = product.high;
    double tail = product.low + y * l.low;
    if (power > 709.79)
        return math64_infinity();
    if (power < -745.14)
        return 0.0;
    return math64_exp_core(power, tail);
}

/* x - n π/2 for the nearest integer n, at most π/4 in size and a little more, as two parts; returns
 * n mod 4. π/2 is cut into three parts of 30 bits, whose products with n < 2^23 are exact, and one
 * of 53: with |x| up to SPRAT__ANGLE_MAX no double comes so near a multiple of π/2 that this shows.
 */
static unsigned math64_reduce(double x, struct math64_pair *r)
{
    double scaled = x * 0x1.45f306dc9c883p-1;
    int32_t n = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    double k = (double)n;
    double first = x - k * 0x1.921fb54p+0; /* exact */
    struct math64_pair second = math64_two_sum(first, -(k * 0x1.10b46118p-30));
    struct math64_pair third = math64_two_sum(second.high, -(k * 0x1.313198ap-61));
    double low = (second.low + third.low) - k * 0x1.701b839a25205p-92;
    *r = math64_two_sum(third.high, low);
    return (uint32_t)n & 3u;
}

/* sin(r + t), |r| < 0.79: r - r³/3! + … + r^17/17!, and t cos r for the tail. */
static double math64_sin_core(struct math64_pair r)
{
    double z = r.high * r.high;
    double p = 1.0 / 355687428096000.0;
    p = p * z - 1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800.0;
    p = p * z + 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return r.high + (r.high * z * p + r.low * (1.0 - 0.5 * z));
}

/* cos(r + t), |r| < 0.79: 1 - r²/2! + … + r^16/16!, and -t r for the tail; what 1 - r²/2 loses in
 * rounding is added again. */
static double math64_cos_core(struct math64_pair r)
{
    double z = r.high * r.high;
    double p = 1.0 / 20922789888000.0;
    p = p * z - 1.0 / 87178291200.0;
    p = p * z + 1.0 / 479001600.0;
    p = p * z - 1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    double half = 0.5 * z;
    double w = 1.0 - half;
    return w + (((1.0 - w) - half) + (z * z * p - r.high * r.low));
}

static bool math64_angle_allowed(double x)
{
    return x >= -SPRAT__ANGLE_MAX && x <= SPRAT__ANGLE_MAX;
}

double sprat__sin64(double x)
{
    if (!math64_angle_allowed(x))
        return math64_nan();
    if (x < 0x1p-27 && x > -0x1p-27)
        return x;
    struct math64_pair r;
    unsigned quadrant = math64_reduce(x, &r);
    double y = quadrant & 1 ? math64_cos_core(r) : math64_sin_core(r);
    return quadrant & 2 ? -y : y;
}

double sprat__cos64(double x)
{
    if (!math64_angle_allowed(x))
        return math64_nan();
    struct math64_pair r;
    unsigned quadrant = math64_reduce(x, &r);
    double y = quadrant & 1 ? math64_sin_core(r) : math64_cos_core(r);
    return quadrant == 1 || quadrant == 2 ? -y : y;
}
