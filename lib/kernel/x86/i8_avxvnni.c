/* Owns the products of numerics INT8 for AVX2 with dot products of bytes in their encoding without
 * AVX-512: 8 rows to a register. The loops are kernel/i8_body.inc. */
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/x86/x86.h"

#if defined(__x86_64__) && SPRAT__I8_SETS
#include <immintrin.h>
#include <string.h>

#define I8(name)       i8_##name##_avxvnni
#define I8_MARK        SPRAT__AVXVNNI
#define I8_INLINE      inline __attribute__((always_inline)) SPRAT__AVXVNNI
#define I8_LANES       8
#define I8_PANEL       16
#define I8_COLUMNS     4
#define I8_DOTS_IN_32  1
#define I8_WIDE_OFFSET 128
#define I8_STREAM      1
#define I8_FEW(row)    sprat__kernels_i8_sse41.matmul_i8_##row
#define I8_SCALE(s)    ((int32_t)(s))

#define I8_VEC       __m256i
#define I8_FLOATS    __m256
#define I8_SHL(v, n) _mm256_slli_epi32(v, n)
#define I8_SHR(v, n) _mm256_srli_epi32(v, n)
#define I8_SRA(v, n) _mm256_srai_epi32(v, n)

#include "kernel/x86/i8_ymm.inc"

static I8_INLINE __m256i I8(wide)(__m256i v)
{
    return _mm256_xor_si256(v, _mm256_set1_epi8(-128));
}

/* As text, because gcc moves sums of the intrinsic function through memory. */
static I8_INLINE __m256i I8(dot_next)(__m256i sum, __m256i w, __m256i a)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(a));
    return sum;
}

static I8_INLINE __m256i I8(dot_first)(__m256i w, __m256i a)
{
    return I8(dot_next)(_mm256_setzero_si256(), w, a);
}

static I8_INLINE __m256i I8(dot_wide)(__m256i w, __m256i a)
{
    return I8(dot_first)(w, a);
}

static I8_INLINE __m256i I8(dot_total)(__m256i sum)
{
    return sum;
}

static I8_INLINE __m256i I8(scale)(__m256i s)
{
    return s;
}

static I8_INLINE __m256i I8(scaled)(__m256i scale, const int32_t *factor)
{
    return _mm256_sllv_epi32(scale, _mm256_set1_epi32(*factor));
}

static I8_INLINE __m256i I8(dot_scale)(__m256i total, __m256i sum, __m256i scale)
{
    return _mm256_add_epi32(total, _mm256_mullo_epi32(sum, scale));
}

static I8_INLINE __m256i I8(add_pairs)(__m256i total, __m256i least, __m256i pair)
{
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(total) : "x"(least), "x"(pair));
    return total;
}

#include "kernel/i8_body.inc"

const struct sprat__kernels sprat__kernels_i8_avxvnni = {I8_KERNELS};

#endif
