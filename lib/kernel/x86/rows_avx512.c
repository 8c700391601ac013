/* Owns the vocabulary of AVX-512 for the kernels on rows and on tiles of keys, whose bodies stand
 * in lib/kernel/body: one register holds 16 lanes. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/scalar/rows.h"
#include "kernel/x86/x86.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_MARK       SPRAT__AVX512
#define VEC_NAME(name) name##_avx512
#define VEC_TABLE      sprat__kernels_rows_avx512

/* Lets the first n of 16 elements through, all from 16 on. */
static inline SPRAT__AVX512 __mmask16 some_avx512(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1);
}

/* The tree over 16 lanes. */
static inline SPRAT__AVX512 float lanes_sum_avx512(__m512 lanes)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* (i + (i+8)) of a and of b, side by side. */
static inline SPRAT__AVX512 __m512 lanes_fold_avx512(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, _MM_SHUFFLE(1, 0, 1, 0)),
                         _mm512_shuffle_f32x4(a, b, _MM_SHUFFLE(3, 2, 3, 2)));
}

/* The trees over four outputs' lanes, side by side in each quarter until the last step. */
static inline SPRAT__AVX512 __m128 lanes_sum4_avx512(__m512 (*lanes)[1])
{
    __m512 low = lanes_fold_avx512(lanes[0][0], lanes[1][0]);
    __m512 high = lanes_fold_avx512(lanes[2][0], lanes[3][0]);
    __m512 four = _mm512_add_ps(_mm512_shuffle_f32x4(low, high, _MM_SHUFFLE(2, 0, 2, 0)),
                                _mm512_shuffle_f32x4(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
    __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, _MM_SHUFFLE(1, 0, 3, 2)));
    __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, _MM_SHUFFLE(2, 3, 0, 1)));
    const __m512i firsts = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, one));
}

static inline SPRAT__AVX512 void store_halves_avx512(uint16_t *p, __m512 v)
{
    __m256i halves = _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256((void *)p, halves);
}

/* Each of the lower or upper half twice. */
static inline SPRAT__AVX512 __m512 twice_low_avx512(__m512 v)
{
    const __m512i index = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(index, v);
}

static inline SPRAT__AVX512 __m512 twice_high_avx512(__m512 v)
{
    return twice_low_avx512(_mm512_shuffle_f32x4(v, v, _MM_SHUFFLE(3, 2, 3, 2)));
}

#define VEC          __m512
#define BITS         __m512i
#define VEC_LEN      ((size_t)16)
#define VEC_PARTS    1
#define VEC_QUERIES  6
#define VEC_WIDTH    2
#define VEC_HAS_HALF 1

#define VEC_ZERO()               _mm512_setzero_ps()
#define VEC_SET(x)               _mm512_set1_ps(x)
#define VEC_LOAD(p)              _mm512_loadu_ps(p)
#define VEC_STORE(p, v)          _mm512_storeu_ps(p, v)
#define VEC_LOAD_SOME(p, n)      _mm512_maskz_loadu_ps(some_avx512(n), p)
#define VEC_STORE_SOME(p, v, n)  _mm512_mask_storeu_ps(p, some_avx512(n), v)
#define VEC_OF_HALVES(p)         _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p)))
#define VEC_STORE_HALVES(p, v)   store_halves_avx512(p, v)
#define VEC_ADD(a, b)            _mm512_add_ps(a, b)
#define VEC_SUB(a, b)            _mm512_sub_ps(a, b)
#define VEC_MUL(a, b)            _mm512_mul_ps(a, b)
#define VEC_DIV(a, b)            _mm512_div_ps(a, b)
#define VEC_LARGER(a, b)         _mm512_max_ps(a, b)
#define VEC_SMALLER(a, b)        _mm512_min_ps(a, b)
#define VEC_AT_MOST(a, b)        _mm512_movm_epi32(_mm512_cmp_ps_mask(a, b, _CMP_LE_OQ))
#define VEC_LARGEST(v)           _mm512_reduce_max_ps(v)
#define VEC_SUM(lanes)           lanes_sum_avx512((lanes)[0])
#define VEC_STORE_SUM4(p, lanes) _mm_storeu_ps(p, lanes_sum4_avx512(lanes))
#define VEC_SWAP(v)              _mm512_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1))
#define VEC_TWICE_LOW(v)         twice_low_avx512(v)
#define VEC_TWICE_HIGH(v)        twice_high_avx512(v)
#define VEC_NEAREST(v)           _mm512_cvtps_epi32(v)
#define VEC_OF_INTS(i)           _mm512_cvtepi32_ps(i)
#define VEC_OF_BITS(i)           _mm512_castsi512_ps(i)
#define BITS_OF_VEC(v)           _mm512_castps_si512(v)
#define BITS_SET(x)              _mm512_set1_epi32(x)
#define BITS_ADD(a, b)           _mm512_add_epi32(a, b)
#define BITS_SUB(a, b)           _mm512_sub_epi32(a, b)
#define BITS_AND(a, b)           _mm512_and_si512(a, b)
#define BITS_ANDNOT(a, b)        _mm512_andnot_si512(a, b)
#define BITS_OR(a, b)            _mm512_or_si512(a, b)
#define BITS_XOR(a, b)           _mm512_xor_si512(a, b)
#define BITS_EQUAL(a, b)         _mm512_movm_epi32(_mm512_cmpeq_epi32_mask(a, b))
#define BITS_MAX(a, b)           _mm512_max_epi32(a, b)
#define BITS_SHL(a, n)           _mm512_slli_epi32(a, n)
#define BITS_SAR(a, n)           _mm512_srai_epi32(a, n)
#define BITS_SHR(a, n)           _mm512_srl_epi32(a, _mm_cvtsi32_si128((int)(n)))
#define BITS_LARGEST(a)          _mm512_reduce_max_epi32(a)
#define BITS_SUM(a)              _mm512_reduce_add_epi32(a)
#define BITS_STORE_BYTES(p, a)   _mm_storeu_si128((void *)(p), _mm512_cvtepi32_epi8(a))
#define BITS_OF_BYTES(p)         _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(p)))

#include "kernel/body/basics.inc"
#include "kernel/body/rows.inc"
#include "kernel/body/keys.inc"
#include "kernel/body/table.inc"

#endif
