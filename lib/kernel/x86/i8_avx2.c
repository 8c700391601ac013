/* Owns the products of numerics INT8 for AVX2: 8 rows to a register, products of bytes added in
 * pairs of 16 bits for a run of quads, then widened and scaled at once. The loops are
 * kernel/i8_body.inc. */
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/x86/x86.h"

#if defined(__x86_64__) && SPRAT__I8_SETS
#include <immintrin.h>
#include <string.h>

#define I8(name)       i8_##name##_avx2
#define I8_MARK        SPRAT__AVX2
#define I8_INLINE      inline __attribute__((always_inline)) SPRAT__AVX2
#define I8_LANES       8
#define I8_PANEL       16
#define I8_COLUMNS     4
#define I8_DOTS_IN_32  0
#define I8_WIDE_OFFSET 0
#define I8_STREAM      1
#define I8_FEW(row)    sprat__kernels_i8_sse41.matmul_i8_##row
#define I8_SCALE(s)    (((s)&0xffff) * 0x10001)

#define I8_VEC       __m256i
#define I8_FLOATS    __m256
#define I8_SHL(v, n) _mm256_slli_epi32(v, n)
#define I8_SHR(v, n) _mm256_srli_epi32(v, n)
#define I8_SRA(v, n) _mm256_srai_epi32(v, n)

#include "kernel/x86/i8_ymm.inc"

static I8_INLINE __m256i I8(wide)(__m256i v)
{
    return v;
}

static I8_INLINE __m256i I8(dot_first)(__m256i w, __m256i a)
{
    return _mm256_maddubs_epi16(w, a);
}

/* The empty statement keeps gcc from adding the products in another order, with more registers
 * than there are. */
static I8_INLINE __m256i I8(dot_next)(__m256i sum, __m256i w, __m256i a)
{
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, a));
    __asm__("" : "+x"(sum));
    return sum;
}

static I8_INLINE __m256i I8(dot_wide)(__m256i w, __m256i a)
{
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
}

static I8_INLINE __m256i I8(dot_total)(__m256i sum)
{
    return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

/* Twice in a lane, for both pairs. */
static I8_INLINE __m256i I8(scale)(__m256i s)
{
    return _mm256_blend_epi16(s, _mm256_slli_epi32(s, 16), 0xaa);
}

static I8_INLINE __m256i I8(scaled)(__m256i scale, const int32_t *factor)
{
    return _mm256_mullo_epi16(scale, _mm256_set1_epi32(*factor));
}

static I8_INLINE __m256i I8(dot_scale)(__m256i total, __m256i sum, __m256i scale)
{
    return _mm256_add_epi32(total, _mm256_madd_epi16(sum, scale));
}

static I8_INLINE __m256i I8(add_pairs)(__m256i total, __m256i least, __m256i pair)
{
    return _mm256_add_epi32(total, _mm256_madd_epi16(least, pair));
}

#include "kernel/i8_body.inc"

const struct sprat__kernels sprat__kernels_i8_avx2 = {I8_KERNELS};

#endif
