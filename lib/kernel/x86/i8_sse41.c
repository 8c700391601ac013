/* Owns the products of numerics INT8 for SSE4.1: 4 rows to a register, products of bytes added in
 * pairs of 16 bits for a run of quads, then widened and scaled at once. The loops are
 * kernel/i8_body.inc. */
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/x86/x86.h"

#if defined(__x86_64__) && SPRAT__I8_SETS
#include <immintrin.h>
#include <string.h>

#define I8(name)       i8_##name##_sse41
#define I8_MARK        SPRAT__SSE41
#define I8_INLINE      inline __attribute__((always_inline)) SPRAT__SSE41
#define I8_LANES       4
#define I8_PANEL       8
#define I8_COLUMNS     4
#define I8_DOTS_IN_32  0
#define I8_WIDE_OFFSET 0
#define I8_FEW(row)    sprat__matmul_i8_##row##_scalar
#define I8_SCALE(s)    (((s)&0xffff) * 0x10001)

#define I8_VEC       __m128i
#define I8_FLOATS    __m128
#define I8_SHL(v, n) _mm_slli_epi32(v, n)
#define I8_SHR(v, n) _mm_srli_epi32(v, n)
#define I8_SRA(v, n) _mm_srai_epi32(v, n)

#include "kernel/x86/i8_x86.inc"

static I8_INLINE __m128i I8(load)(const void *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

static I8_INLINE void I8(store)(void *at, __m128i v)
{
    _mm_storeu_si128((__m128i *)at, v);
}

static I8_INLINE __m128i I8(set)(int32_t value)
{
    return _mm_set1_epi32(value);
}

static I8_INLINE __m128i I8(fill)(const void *at)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    return _mm_set1_epi32(value);
}

static I8_INLINE __m128i I8 (and)(__m128i a, __m128i b)
{
    return _mm_and_si128(a, b);
}

static I8_INLINE __m128i I8(or)(__m128i a, __m128i b)
{
    return _mm_or_si128(a, b);
}

static I8_INLINE __m128i I8(add)(__m128i a, __m128i b)
{
    return _mm_add_epi32(a, b);
}

static I8_INLINE __m128i I8(sub)(__m128i a, __m128i b)
{
    return _mm_sub_epi32(a, b);
}

static I8_INLINE __m128i I8(codes)(__m128i v, const int8_t *table)
{
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)table), v);
}

/* Bit i, times 2^(7i + 4), is bit 4 of byte i; no other product reaches one of these. */
static I8_INLINE __m128i I8(fifth_bits)(__m128i v)
{
    __m128i bits = _mm_and_si128(v, _mm_set1_epi32(15));
    __m128i spread = _mm_mullo_epi32(bits, _mm_set1_epi32(0x02040810));
    return _mm_and_si128(spread, _mm_set1_epi32(0x10101010));
}

static I8_INLINE void I8(quads)(__m128i out[4], const uint8_t *at, size_t stride)
{
    __m128i a = I8(load)(at), b = I8(load)(at + stride);
    __m128i c = I8(load)(at + 2 * stride), d = I8(load)(at + 3 * stride);
    __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
    out[0] = _mm_unpacklo_epi64(ab, cd);
    out[1] = _mm_unpackhi_epi64(ab, cd);
    ab = _mm_unpackhi_epi32(a, b);
    cd = _mm_unpackhi_epi32(c, d);
    out[2] = _mm_unpacklo_epi64(ab, cd);
    out[3] = _mm_unpackhi_epi64(ab, cd);
}

static I8_INLINE __m128 I8(load_floats)(const float *at)
{
    return _mm_loadu_ps(at);
}

static I8_INLINE void I8(put_floats)(float *at, __m128 v)
{
    _mm_storeu_ps(at, v);
}

static I8_INLINE __m128 I8(no_floats)(void)
{
    return _mm_setzero_ps();
}

static I8_INLINE __m128 I8(fill_float)(const float *at)
{
    return _mm_set1_ps(*at);
}

static I8_INLINE __m128 I8(mul_floats)(__m128 a, __m128 b)
{
    return _mm_mul_ps(a, b);
}

static I8_INLINE __m128 I8(add_floats)(__m128 a, __m128 b)
{
    return _mm_add_ps(a, b);
}

static I8_INLINE __m128 I8(sub_floats)(__m128 a, __m128 b)
{
    return _mm_sub_ps(a, b);
}

static I8_INLINE __m128 I8(to_floats)(__m128i v)
{
    return _mm_cvtepi32_ps(v);
}

/* binary16 as the bits of a float 2^112 times too small, which may be a subnormal one; times 2^112
 * is exact. Infinities and NaN get their exponent back. */
static I8_INLINE __m128 I8(low_half)(__m128i v)
{
    __m128i magnitude = _mm_and_si128(v, _mm_set1_epi32(0x7fff));
    __m128i sign = _mm_slli_epi32(_mm_and_si128(v, _mm_set1_epi32(0x8000)), 16);
    __m128i is_special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff));
    __m128 small = _mm_castsi128_ps(_mm_slli_epi32(magnitude, 13));
    __m128 value = _mm_mul_ps(small, _mm_castsi128_ps(_mm_set1_epi32((127 + 112) << 23)));
    __m128i extra = _mm_or_si128(sign, _mm_and_si128(is_special, _mm_set1_epi32(0x7f800000)));
    return _mm_or_ps(value, _mm_castsi128_ps(extra));
}

static I8_INLINE __m128 I8(high_half)(__m128i v)
{
    return I8(low_half)(_mm_srli_epi32(v, 16));
}

/* The bits of 2^(v - 128): below 2^-126 those of a subnormal, half as many for each step. */
static I8_INLINE __m128 I8(e8m0)(__m128i v)
{
    __m128i one = _mm_set1_epi32(1), tiny = _mm_set1_epi32(0x00200000);
    __m128i normal = _mm_slli_epi32(_mm_sub_epi32(v, one), 23);
    __m128i is_one = _mm_cmpeq_epi32(v, one);
    tiny = _mm_add_epi32(tiny, _mm_and_si128(tiny, is_one));
    return _mm_castsi128_ps(_mm_blendv_epi8(tiny, normal, _mm_cmpgt_epi32(v, one)));
}

static I8_INLINE __m128i I8(wide)(__m128i v)
{
    return v;
}

static I8_INLINE __m128i I8(dot_first)(__m128i w, __m128i a)
{
    return _mm_maddubs_epi16(w, a);
}

/* The empty statement keeps gcc from adding the products in another order, with more registers
 * than there are. */
static I8_INLINE __m128i I8(dot_next)(__m128i sum, __m128i w, __m128i a)
{
    sum = _mm_add_epi16(sum, _mm_maddubs_epi16(w, a));
    __asm__("" : "+x"(sum));
    return sum;
}

static I8_INLINE __m128i I8(dot_wide)(__m128i w, __m128i a)
{
    return _mm_maddubs_epi16(_mm_abs_epi8(w), _mm_sign_epi8(a, w));
}

static I8_INLINE __m128i I8(dot_total)(__m128i sum)
{
    return _mm_madd_epi16(sum, _mm_set1_epi16(1));
}

/* Twice in a lane, for both pairs. */
static I8_INLINE __m128i I8(scale)(__m128i s)
{
    return _mm_blend_epi16(s, _mm_slli_epi32(s, 16), 0xaa);
}

static I8_INLINE __m128i I8(scaled)(__m128i scale, const int32_t *factor)
{
    return _mm_mullo_epi16(scale, _mm_set1_epi32(*factor));
}

static I8_INLINE __m128i I8(dot_scale)(__m128i total, __m128i sum, __m128i scale)
{
    return _mm_add_epi32(total, _mm_madd_epi16(sum, scale));
}

static I8_INLINE __m128i I8(add_pairs)(__m128i total, __m128i least, __m128i pair)
{
    return _mm_add_epi32(total, _mm_madd_epi16(least, pair));
}

#include "kernel/i8_body.inc"

const struct sprat__kernels sprat__kernels_i8_sse41 = {I8_KERNELS};

#endif
