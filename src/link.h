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

/* The whole number k in the last bits, for the exponent field of a double to be made of: that is
 * where adding 1.5 * 2^52 leaves it. */
static inline uint64_t logreg_integer(double k) {
    double shifted = k + 6755399441055744.0;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits;
}

/* 1023 more than the k of 2^k <= v < 2^(k + 1), and 0 for 0 and what is subnormal; v >= 0. */
static inline double logreg_biased_exponent(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (double)(int)(bits >> 52);
}

static inline double logreg_power_of_two(uint64_t biased) {
    double power;
    biased <<= 52;
    memcpy(&power, &biased, sizeof power);
    return power;
}

/* exp(t) for t <= 0, subnormal results, -inf and NaN included.
 * t = k log 2 + r with |r| <= log(2)/2, exp(r) = 1 + r + r^2 P(r), and 2^k in two factors because
 * k reaches -1076. P has degree 9 and interpolates at Chebyshev nodes, 0.07 units in the last place
 * from the true one. Even and odd powers are summed apart: in one chain each sum waits for the one
 * before. Both together make a pass over 10 columns 15 % faster than Taylor series by Horner. */
static inline double logreg_exp_nonpositive(double t) {
    double u = t < -746.0 ? -746.0 : t; /* NaN stays */
    double k = logreg_nearest(u * 1.4426950408889634);
    uint64_t half = logreg_integer(k * 0.5 + 1023.0), rest = logreg_integer(k + 2046.0) - half;
    /* log 2 in two parts, the first with zeros at its end so that k times it is exact. */
    double r = logreg_as_written(u - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
    double q = r * r, even, odd, p;
    even = 0x1.2891d4ffbb0f9p-22;
    odd = 0x1.af390ba7e6f47p-26;
    even = even * q + 0x1.a019b8ca26fcfp-16;
    odd = odd * q + 0x1.71de0d85293b8p-19;
    even = even * q + 0x1.6c16c1789d1d7p-10;
    odd = odd * q + 0x1.a01a01a7cebcdp-13;
    even = even * q + 0x1.5555555553d37p-5;
    odd = odd * q + 0x1.11111111109a6p-7;
    even = even * q + 0x1.0000000000001p-1;
    odd = odd * q + 0x1.5555555555556p-3;
    p = odd * r + even;
    p = p * r + 1.0;
    p = p * r + 1.0;
    return p * logreg_power_of_two(half) * logreg_power_of_two(rest);
}

/* log(1 + e) for e in [0, 1]: 2 atanh(s) with s = e / (2 + e) <= 1/3, and 2 s written as e - s e,
 * whose first term is exact. The rest, atanh(s) / s - 1, is s^2 times a polynomial of degree 9 in
 * s^2 that interpolates at Chebyshev nodes: 0.04 units in the last place from the true one. (Its
 * first two coefficients are nudged by that much so that log 2 comes out as the nearest double.) */
static inline double logreg_log1p_unit(double e) {
    double s = e / (2.0 + e);
    double q = s * s, qq = q * q, even, odd;
    even = 0x1.687a6e7c95176p-5;
    odd = 0x1.4b0a26c5f2aefp-4;
    even = even * qq + 0x1.10ac75dc602b1p-4;
    odd = odd * qq + 0x1.eb905e8575054p-5;
    even = even * qq + 0x1.745cf0b0e03bdp-4;
    odd = odd * qq + 0x1.3b18b294bebf9p-4;
    even = even * qq + 0x1.24924923d44c6p-3;
    odd = odd * qq + 0x1.c71c727143318p-4;
    even = even * qq + 0x1.5555555555556p-2;
    odd = odd * qq + 0x1.999999999a39dp-3;
    return e - s * (e - 2.0 * q * (odd * q + even));
}

/* log(x) for a finite x >= 1: the exponent times log 2, and log1p of the rest. Below 2 the rest is
 * `above`, x - 1 as exactly as it is known. */
static inline double logreg_log_given(double x, double above) {
    uint64_t bits, exponent;
    double m, k;
    memcpy(&bits, &x, sizeof bits);
    /* As the last bits of 2^52 + k + 1023, which makes k a double without a conversion. */
    exponent = (bits >> 52) | 0x4330000000000000u;
    memcpy(&k, &exponent, sizeof k);
    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    memcpy(&m, &bits, sizeof m);
    k = logreg_as_written(k - (4503599627370496.0 + 1023.0)); /* a whole number, not k log 2 - ... */
    return k * 0x1.62e42fefa39efp-1 + logreg_log1p_unit(x < 2.0 ? above : m - 1.0);
}

static inline double logreg_log_from_one(double x) { return logreg_log_given(x, x - 1.0); }

/* log(1 + p) for a finite p >= 0. */
static inline double logreg_log1p(double p) { return logreg_log_given(1.0 + p, p); }

#endif
