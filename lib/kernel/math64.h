/* Exponential, logarithm, power, sine and cosine in binary64, the same bits on every platform: the
 * C library's differ. Built from + - * / alone, each rounded to nearest by itself, in a fixed
 * order. Errors stay below 1 ulp (pow64: 2 ulp), 2 ulp where the result is subnormal. Pure; any
 * thread. doc/numerics.md. */
#ifndef SPRAT__MATH64_H
#define SPRAT__MATH64_H

/* e to the x. NaN for NaN; 0 and infinity where the result is beyond the format. */
double sprat__exp64(double x);

/* The natural logarithm. NaN for NaN and below 0; -infinity for ±0. */
double sprat__log64(double x);

/* x to the y for x >= 0: e to the y log x with the logarithm in twice the precision. 1 for y = 0
 * and for x = 1, whatever the other is; otherwise NaN for NaN and for x below 0. -0 is as 0. */
double sprat__pow64(double x, double y);

/* Sine and cosine of an angle in radians. NaN for NaN and beyond ±SPRAT__ANGLE_MAX, where the
 * reduction is no longer exact. */
#define SPRAT__ANGLE_MAX 8388608.0
double sprat__sin64(double x);
double sprat__cos64(double x);

#endif
