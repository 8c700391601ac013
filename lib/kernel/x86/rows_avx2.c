/* Owns the vocabulary of AVX2 with F16C for the kernels on rows and on tiles of keys, whose bodies
 * stand in lib/kernel/body: two registers hold 16 lanes. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/scalar/rows.h"
#include "kernel/x86/x86.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_MARK       SPRAT__AVX2
#define VEC_NAME(name) name##_avx2
#define VEC_TABLE      sprat__kernels_rows_avx2

/* 8 elements beginning at [8 - n] are n times all bits set, then zeros. */
static const int32_t rows_avx2_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

static inline SPRAT__AVX2 __m256i some_avx2(size_t n)
{
    return _mm256_loadu_si256((const void *)(rows_avx2_mask + 8 - n));
}

/* (i + (i+8)), then (i + (i+4)): four sums are left. */
static inline SPRAT__AVX2 __m128 lanes_four_avx2(const __m256 *lanes)
{
    __m256 eight = _mm256_add_ps(lanes[0], lanes[1]);
    return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

static inline SPRAT__AVX2 float lanes_sum_avx2(const __m256 *lanes)
{
    __m128 four = lanes_four_avx2(lanes);
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline SPRAT__AVX2 __m128 lanes_sum4_avx2(__m256 (*lanes)[2])
{
    __m128 a = lanes_four_avx2(lanes[0]), b = lanes_four_avx2(lanes[1]);
    __m128 c = lanes_four_avx2(lanes[2]), d = lanes_four_avx2(lanes[3]);
    __m128 ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    __m128 cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    return _mm_add_ps(_mm_shuffle_ps(ab, cd, _MM_SHUFFLE(2, 0, 2, 0)),
                      _mm_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* v holds no NaN. */
static inline SPRAT__AVX2 float largest_avx2(__m256 v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline SPRAT__AVX2 int32_t bits_largest_avx2(__m256i v)
{
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, _MM_SHUFFLE(2, 3, 0, 1))));
}

static inline SPRAT__AVX2 int32_t bits_sum_avx2(__m256i v)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, _MM_SHUFFLE(2, 3, 0, 1))));
}

/* Eight small integers as bytes. */
static inline SPRAT__AVX2 void store_bytes_avx2(int8_t *p, __m256i v)
{
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((void *)p, _mm_packs_epi16(words, words));
}

/* Each of the lower or upper half twice. */
static inline SPRAT__AVX2 __m256 twice_low_avx2(__m256 v)
{
    return _mm256_permutevar8x32_ps(v, _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0));
}

static inline SPRAT__AVX2 __m256 twice_high_avx2(__m256 v)
{
    return _mm256_permutevar8x32_ps(v, _mm256_set_epi32(7, 7, 6, 6, 5, 5, 4, 4));
}

#define VEC          __m256
#define BITS         __m256i
#define VEC_LEN      ((size_t)8)
#define VEC_PARTS    2
#define VEC_QUERIES  2
#define VEC_WIDTH    4
#define VEC_HAS_HALF 1

#define VEC_ZERO()              _mm256_setzero_ps()
#define VEC_SET(x)              _mm256_set1_ps(x)
#define VEC_LOAD(p)             _mm256_loadu_ps(p)
#define VEC_STORE(p, v)         _mm256_storeu_ps(p, v)
#define VEC_LOAD_SOME(p, n)     _mm256_maskload_ps(p, some_avx2(n))
#define VEC_STORE_SOME(p, v, n) _mm256_maskstore_ps(p, some_avx2(n), v)
#define VEC_OF_HALVES(p)        _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p)))
#define VEC_STORE_HALVES(p, v)                                                                     \
    _mm_storeu_si128((void *)(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT))
#define VEC_ADD(a, b)            _mm256_add_ps(a, b)
#define VEC_SUB(a, b)            _mm256_sub_ps(a, b)
#define VEC_MUL(a, b)            _mm256_mul_ps(a, b)
#define VEC_DIV(a, b)            _mm256_div_ps(a, b)
#define VEC_LARGER(a, b)         _mm256_max_ps(a, b)
#define VEC_SMALLER(a, b)        _mm256_min_ps(a, b)
#define VEC_AT_MOST(a, b)        _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LE_OQ))
#define VEC_LARGEST(v)           largest_avx2(v)
#define VEC_SUM(lanes)           lanes_sum_avx2(lanes)
#define VEC_STORE_SUM4(p, lanes) _mm_storeu_ps(p, lanes_sum4_avx2(lanes))
#define VEC_SWAP(v)              _mm256_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1))
#define VEC_TWICE_LOW(v)         twice_low_avx2(v)
#define VEC_TWICE_HIGH(v)        twice_high_avx2(v)
#define VEC_NEAREST(v)           _mm256_cvtps_epi32(v)
#define VEC_OF_INTS(i)           _mm256_cvtepi32_ps(i)
#define VEC_OF_BITS(i)           _mm256_castsi256_ps(i)
#define BITS_OF_VEC(v)           _mm256_castps_si256(v)
#define BITS_SET(x)              _mm256_set1_epi32(x)
#define BITS_ADD(a, b)           _mm256_add_epi32(a, b)
#define BITS_SUB(a, b)           _mm256_sub_epi32(a, b)
#define BITS_AND(a, b)           _mm256_and_si256(a, b)
#define BITS_ANDNOT(a, b)        _mm256_andnot_si256(a, b)
#define BITS_OR(a, b)            _mm256_or_si256(a, b)
#define BITS_XOR(a, b)           _mm256_xor_si256(a, b)
#define BITS_EQUAL(a, b)         _mm256_cmpeq_epi32(a, b)
#define BITS_MAX(a, b)           _mm256_max_epi32(a, b)
#define BITS_SHL(a, n)           _mm256_slli_epi32(a, n)
#define BITS_SAR(a, n)           _mm256_srai_epi32(a, n)
#define BITS_SHR(a, n)           _mm256_srl_epi32(a, _mm_cvtsi32_si128((int)(n)))
#define BITS_LARGEST(a)          bits_largest_avx2(a)
#define BITS_SUM(a)              bits_sum_avx2(a)
#define BITS_STORE_BYTES(p, a)   store_bytes_avx2(p, a)
#define BITS_OF_BYTES(p)         _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(p)))

#include "kernel/body/basics.inc"
#include "kernel/body/rows.inc"
#include "kernel/body/keys.inc"
#include "kernel/body/table.inc"

#endif
