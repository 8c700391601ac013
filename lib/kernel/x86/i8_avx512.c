/* Owns the products of numerics INT8 for AVX-512 without dot products of bytes: 16 rows to a
 * register, else as AVX2. The loops are kernel/i8_body.inc. */
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/x86/x86.h"

#if defined(__x86_64__) && SPRAT__I8_SETS
#include <immintrin.h>
#include <string.h>

#define I8(name)       i8_##name##_avx512
#define I8_MARK        SPRAT__AVX512
#define I8_INLINE      inline __attribute__((always_inline)) SPRAT__AVX512
#define I8_LANES       16
#define I8_PANEL       32
#define I8_COLUMNS     4
#define I8_DOTS_IN_32  0
#define I8_WIDE_OFFSET 0
#define I8_STREAM      1
#define I8_FEW(row)    sprat__kernels_i8_avx2.matmul_i8_##row
#define I8_SCALE(s)    (((s)&0xffff) * 0x10001)

#define I8_VEC       __m512i
#define I8_FLOATS    __m512
#define I8_SHL(v, n) _mm512_slli_epi32(v, n)
#define I8_SHR(v, n) _mm512_srli_epi32(v, n)
#define I8_SRA(v, n) _mm512_srai_epi32(v, n)

#include "kernel/x86/i8_zmm.inc"

static I8_INLINE __m512i I8(wide)(__m512i v)
{
    return v;
}

static I8_INLINE __m512i I8(dot_first)(__m512i w, __m512i a)
{
    return _mm512_maddubs_epi16(w, a);
}

/* The empty statement keeps gcc from adding the products in another order, with more registers
 * than there are. */
static I8_INLINE __m512i I8(dot_next)(__m512i sum, __m512i w, __m512i a)
{
    sum = _mm512_add_epi16(sum, _mm512_maddubs_epi16(w, a));
    __asm__("" : "+v"(sum));
    return sum;
}

static I8_INLINE __m512i I8(dot_wide)(__m512i w, __m512i a)
{
    __mmask64 negative = _mm512_movepi8_mask(w);
    __m512i turned = _mm512_mask_sub_epi8(a, negative, _mm512_setzero_si512(), a);
    return _mm512_maddubs_epi16(_mm512_abs_epi8(w), turned);
}

static I8_INLINE __m512i I8(dot_total)(__m512i sum)
{
    return _mm512_madd_epi16(sum, _mm512_set1_epi16(1));
}

/* Twice in a lane, for both pairs. */
static I8_INLINE __m512i I8(scale)(__m512i s)
{
    return _mm512_mask_blend_epi16(0xaaaaaaaau, s, _mm512_slli_epi32(s, 16));
}

static I8_INLINE __m512i I8(scaled)(__m512i scale, const int32_t *factor)
{
    return _mm512_mullo_epi16(scale, _mm512_set1_epi32(*factor));
}

static I8_INLINE __m512i I8(dot_scale)(__m512i total, __m512i sum, __m512i scale)
{
    return _mm512_add_epi32(total, _mm512_madd_epi16(sum, scale));
}

static I8_INLINE __m512i I8(add_pairs)(__m512i total, __m512i least, __m512i pair)
{
    return _mm512_add_epi32(total, _mm512_madd_epi16(least, pair));
}

#include "kernel/i8_body.inc"

const struct sprat__kernels sprat__kernels_i8_avx512 = {I8_KERNELS};

#endif
