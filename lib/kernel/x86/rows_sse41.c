/* Owns the vocabulary of SSE4.1 for the kernels on rows and on tiles of keys, whose bodies stand in
 * lib/kernel/body: four registers hold 16 lanes. Halves are converted by the steps of
 * kernel/half.h. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/scalar/rows.h"
#include "kernel/x86/x86.h"

#include <string.h>

#if defined(__x86_64__)
#include <smmintrin.h>

#define VEC_MARK       SPRAT__SSE41
#define VEC_NAME(name) name##_sse41
#define VEC_TABLE      sprat__kernels_rows_sse41

/* The first n < 4 elements; the rest +0. */
static inline SPRAT__SSE41 __m128 load_some_sse41(const float *p, size_t n)
{
    __m128 low = n >= 2 ? _mm_castpd_ps(_mm_load_sd((const void *)p)) : _mm_setzero_ps();
    if (!(n & 1))
        return low;
    __m128 last = _mm_load_ss(p + (n & 2));
    return n & 2 ? _mm_movelh_ps(low, last) : last;
}

static inline SPRAT__SSE41 void store_some_sse41(float *p, __m128 v, size_t n)
{
    if (n & 2) {
        _mm_storel_pi((void *)p, v);
        v = _mm_movehl_ps(v, v);
    }
    if (n & 1)
        _mm_store_ss(p + (n & 2), v);
}

static inline SPRAT__SSE41 __m128 of_halves_sse41(const uint16_t *p)
{
    __m128i half = _mm_cvtepu16_epi32(_mm_loadl_epi64((const void *)p));
    __m128i sign = _mm_slli_epi32(_mm_and_si128(half, _mm_set1_epi32(0x8000)), 16);
    __m128i magnitude = _mm_slli_epi32(_mm_and_si128(half, _mm_set1_epi32(0x7fff)), 13);
    __m128i bits = _mm_add_epi32(magnitude, _mm_set1_epi32(112 << 23));
    /* Subnormal: 2^-14 · (1 + m/1024) - 2^-14. */
    __m128 tiny = _mm_sub_ps(_mm_castsi128_ps(_mm_add_epi32(bits, _mm_set1_epi32(1 << 23))),
                             _mm_castsi128_ps(_mm_set1_epi32(113 << 23)));
    __m128i is_tiny = _mm_cmplt_epi32(magnitude, _mm_set1_epi32(0x00800000));
    bits = _mm_blendv_epi8(bits, _mm_castps_si128(tiny), is_tiny);
    /* Infinity; a NaN besides becomes quiet. */
    __m128i is_special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x0f7fffff));
    __m128i is_nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x0f800000));
    bits = _mm_add_epi32(bits, _mm_and_si128(is_special, _mm_set1_epi32(112 << 23)));
    bits = _mm_or_si128(bits, _mm_and_si128(is_nan, _mm_set1_epi32(0x00400000)));
    return _mm_castsi128_ps(_mm_or_si128(bits, sign));
}

static inline SPRAT__SSE41 void store_halves_sse41(uint16_t *p, __m128 v)
{
    __m128i all = _mm_castps_si128(v);
    __m128i sign = _mm_and_si128(_mm_srli_epi32(all, 16), _mm_set1_epi32(0x8000));
    __m128i bits = _mm_and_si128(all, _mm_set1_epi32(0x7fffffff));
    __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 13), _mm_set1_epi32(1));
    __m128i normal = _mm_add_epi32(_mm_add_epi32(bits, _mm_set1_epi32(0xfff)), odd);
    normal = _mm_sub_epi32(_mm_srli_epi32(normal, 13), _mm_set1_epi32(112 << 10));
    /* Below 2^-14: a sum with 0.5 leaves a multiple of 2^-24 in the low bits, rounded. */
    __m128 sum = _mm_add_ps(_mm_castsi128_ps(bits), _mm_set1_ps(0.5f));
    __m128i tiny = _mm_sub_epi32(_mm_castps_si128(sum), _mm_set1_epi32(0x3f000000));
    __m128i half = _mm_blendv_epi8(normal, tiny, _mm_cmplt_epi32(bits, _mm_set1_epi32(0x38800000)));
    /* 2^16 and above, infinity; NaN keeps its upper payload. */
    __m128i is_nan = _mm_cmpgt_epi32(bits, _mm_set1_epi32(0x7f800000));
    __m128i payload = _mm_and_si128(_mm_srli_epi32(bits, 13), _mm_set1_epi32(0x3ff));
    payload = _mm_and_si128(is_nan, _mm_or_si128(payload, _mm_set1_epi32(0x200)));
    __m128i special = _mm_or_si128(_mm_set1_epi32(0x7c00), payload);
    half = _mm_blendv_epi8(half, special, _mm_cmpgt_epi32(bits, _mm_set1_epi32(0x477fffff)));
    half = _mm_or_si128(half, sign);
    _mm_storel_epi64((void *)p, _mm_packus_epi32(half, half));
}

/* (i + (i+8)), then (i + (i+4)): four sums are left. */
static inline SPRAT__SSE41 __m128 lanes_four_sse41(const __m128 *lanes)
{
    return _mm_add_ps(_mm_add_ps(lanes[0], lanes[2]), _mm_add_ps(lanes[1], lanes[3]));
}

static inline SPRAT__SSE41 float lanes_sum_sse41(const __m128 *lanes)
{
    __m128 four = lanes_four_sse41(lanes);
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline SPRAT__SSE41 __m128 lanes_sum4_sse41(__m128 (*lanes)[4])
{
    __m128 a = lanes_four_sse41(lanes[0]), b = lanes_four_sse41(lanes[1]);
    __m128 c = lanes_four_sse41(lanes[2]), d = lanes_four_sse41(lanes[3]);
    __m128 ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    __m128 cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    return _mm_add_ps(_mm_shuffle_ps(ab, cd, _MM_SHUFFLE(2, 0, 2, 0)),
                      _mm_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* v holds no NaN. */
static inline SPRAT__SSE41 float largest_sse41(__m128 v)
{
    __m128 two = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline SPRAT__SSE41 int32_t bits_largest_sse41(__m128i v)
{
    __m128i two = _mm_max_epi32(v, _mm_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, _MM_SHUFFLE(2, 3, 0, 1))));
}

static inline SPRAT__SSE41 int32_t bits_sum_sse41(__m128i v)
{
    __m128i two = _mm_add_epi32(v, _mm_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, _MM_SHUFFLE(2, 3, 0, 1))));
}

/* Four small integers as bytes. */
static inline SPRAT__SSE41 void store_bytes_sse41(int8_t *p, __m128i v)
{
    __m128i words = _mm_packs_epi32(v, v);
    int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
    memcpy(p, &bytes, sizeof bytes);
}

static inline SPRAT__SSE41 __m128i of_bytes_sse41(const int8_t *p)
{
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return _mm_cvtepi8_epi32(_mm_cvtsi32_si128(bytes));
}

#define VEC          __m128
#define BITS         __m128i
#define VEC_LEN      ((size_t)4)
#define VEC_PARTS    4
#define VEC_QUERIES  2
#define VEC_WIDTH    4
#define VEC_HAS_HALF 0

#define VEC_ZERO()               _mm_setzero_ps()
#define VEC_SET(x)               _mm_set1_ps(x)
#define VEC_LOAD(p)              _mm_loadu_ps(p)
#define VEC_STORE(p, v)          _mm_storeu_ps(p, v)
#define VEC_LOAD_SOME(p, n)      load_some_sse41(p, n)
#define VEC_STORE_SOME(p, v, n)  store_some_sse41(p, v, n)
#define VEC_OF_HALVES(p)         of_halves_sse41(p)
#define VEC_STORE_HALVES(p, v)   store_halves_sse41(p, v)
#define VEC_ADD(a, b)            _mm_add_ps(a, b)
#define VEC_SUB(a, b)            _mm_sub_ps(a, b)
#define VEC_MUL(a, b)            _mm_mul_ps(a, b)
#define VEC_DIV(a, b)            _mm_div_ps(a, b)
#define VEC_LARGER(a, b)         _mm_max_ps(a, b)
#define VEC_SMALLER(a, b)        _mm_min_ps(a, b)
#define VEC_AT_MOST(a, b)        _mm_castps_si128(_mm_cmple_ps(a, b))
#define VEC_LARGEST(v)           largest_sse41(v)
#define VEC_SUM(lanes)           lanes_sum_sse41(lanes)
#define VEC_STORE_SUM4(p, lanes) _mm_storeu_ps(p, lanes_sum4_sse41(lanes))
#define VEC_SWAP(v)              _mm_shuffle_ps(v, v, _MM_SHUFFLE(2, 3, 0, 1))
#define VEC_TWICE_LOW(v)         _mm_unpacklo_ps(v, v)
#define VEC_TWICE_HIGH(v)        _mm_unpackhi_ps(v, v)
#define VEC_NEAREST(v)           _mm_cvtps_epi32(v)
#define VEC_OF_INTS(i)           _mm_cvtepi32_ps(i)
#define VEC_OF_BITS(i)           _mm_castsi128_ps(i)
#define BITS_OF_VEC(v)           _mm_castps_si128(v)
#define BITS_SET(x)              _mm_set1_epi32(x)
#define BITS_ADD(a, b)           _mm_add_epi32(a, b)
#define BITS_SUB(a, b)           _mm_sub_epi32(a, b)
#define BITS_AND(a, b)           _mm_and_si128(a, b)
#define BITS_ANDNOT(a, b)        _mm_andnot_si128(a, b)
#define BITS_OR(a, b)            _mm_or_si128(a, b)
#define BITS_XOR(a, b)           _mm_xor_si128(a, b)
#define BITS_EQUAL(a, b)         _mm_cmpeq_epi32(a, b)
#define BITS_MAX(a, b)           _mm_max_epi32(a, b)
#define BITS_SHL(a, n)           _mm_slli_epi32(a, n)
#define BITS_SAR(a, n)           _mm_srai_epi32(a, n)
#define BITS_SHR(a, n)           _mm_srl_epi32(a, _mm_cvtsi32_si128((int)(n)))
#define BITS_LARGEST(a)          bits_largest_sse41(a)
#define BITS_SUM(a)              bits_sum_sse41(a)
#define BITS_STORE_BYTES(p, a)   store_bytes_sse41(p, a)
#define BITS_OF_BYTES(p)         of_bytes_sse41(p)

#include "kernel/body/basics.inc"
#include "kernel/body/rows.inc"
#include "kernel/body/keys.inc"
#include "kernel/body/table.inc"

#endif
