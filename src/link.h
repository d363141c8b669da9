/* SPDX-License-Identifier: BSD-3-Clause */
/* The transcendental half of the link: exp and log1p where logistic regression needs them.
 *
 * Everything follows from e = exp(-|z|), which lies in [0, 1] and never overflows, so two
 * functions on short ranges suffice. They are branch-free so that a loop over a block
 * vectorises; libm's scalar calls are what makes a pass over few columns slow.
 * Accuracy: at most 2 units in the last place, tested on every instruction set.
 */
#ifndef LOGREG_LINK_H
#define LOGREG_LINK_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A difference that must stay as it is written: -fassociative-math would turn (u - k A) - k B,
 * whose parts are exact, into u - k (A + B), 700 units in the last place off at k = 1000. (GCC's
 * __builtin_assoc_barrier does not survive vectorisation.) No compiler sees through a trip to the
 * integers that drops the last bit, here a quarter of a unit in the last place of the result. */
static inline double logreg_as_written(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= ~(uint64_t)1;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* Nearest integer of x <= 0. Without SSE4.1 floor() is a library call, which would keep the
 * loop scalar; the conversion to int truncates towards zero, which for x - 0.5 rounds. */
static inline double logreg_nearest(double x) {
#if (defined(__x86_64__) || defined(_M_X64)) && !defined(__SSE4_1__) && !defined(__AVX__)
    return (double)(int)(x - 0.5);
#else
    return floor(x + 0.5);
#endif
}

/* 2^k for an integer k in [-1022, 1023]: adding 1.5 * 2^52 leaves k + 1023 in the low bits,
 * and the shift moves them into the exponent field. */
static inline double logreg_power_of_two(double k) {
    double shifted = k + (6755399441055744.0 + 1023.0);
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= 52;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

/* exp(t) for t <= 0, subnormal results, -inf and NaN included.
 * t = k log 2 + r with |r| <= log(2)/2, exp(r) by its Taylor polynomial of degree 13
 * (remainder below 2^-57), and 2^k in two factors because k reaches -1076. */
static inline double logreg_exp_nonpositive(double t) {
    double u = t > -746.0 ? t : -746.0;
    double k = logreg_nearest(u * 1.4426950408889634);
    double half = logreg_nearest(k * 0.5);
    /* log 2 in two parts, the first with zeros at its end so that k times it is exact. */
    double r = logreg_as_written(u - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
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
    p = p * r + 1.0;
    p = p * r + 1.0;
    p = p * logreg_power_of_two(half) * logreg_power_of_two(k - half);
    return t == t ? p : t;
}

/* log(1 + e) for e in [0, 1]: 2 atanh(s) = 2 s + 2 s (s^2/3 + s^4/5 + ...) with s = e / (2 + e),
 * at most 1/3, and 2 s written as e - s e, whose first term is exact. */
static inline double logreg_log1p_unit(double e) {
    double s = e / (2.0 + e);
    double q = s * s;
    double p = 1.0 / 31.0;
    p = p * q + 1.0 / 29.0;
    p = p * q + 1.0 / 27.0;
    p = p * q + 1.0 / 25.0;
    p = p * q + 1.0 / 23.0;
    p = p * q + 1.0 / 21.0;
    p = p * q + 1.0 / 19.0;
    p = p * q + 1.0 / 17.0;
    p = p * q + 1.0 / 15.0;
    p = p * q + 1.0 / 13.0;
    p = p * q + 1.0 / 11.0;
    p = p * q + 1.0 / 9.0;
    p = p * q + 1.0 / 7.0;
    p = p * q + 1.0 / 5.0;
    p = p * q + 1.0 / 3.0;
    return e - s * (e - 2.0 * q * p);
}

#endif
