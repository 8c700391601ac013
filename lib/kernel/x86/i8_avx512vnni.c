/* Owns the products of numerics INT8 for AVX-512 with its dot products of bytes: 16 rows to a
 * register, four products of a byte added to 32 bits at once. The loops are kernel/i8_body.inc. */
#include "kernel/i8.h"
#include "kernel/scalar/blocks.h"
#include "kernel/scalar/unpack.h"
#include "kernel/x86/x86.h"

#if defined(__x86_64__) && SPRAT__I8_SETS
#include <immintrin.h>
#include <string.h>

#define I8(name)       i8_##name##_avx512vnni
#define I8_MARK        SPRAT__AVX512VNNI
#define I8_INLINE      inline __attribute__((always_inline)) SPRAT__AVX512VNNI
#define I8_LANES       16
#define I8_PANEL       32
#define I8_COLUMNS     6
#define I8_DOTS_IN_32  1
#define I8_WIDE_OFFSET 128
#define I8_STREAM      1
#define I8_FEW(row)    sprat__kernels_i8_avx2.matmul_i8_##row
#define I8_SCALE(s)    ((int32_t)(s))

#define I8_VEC       __m512i
#define I8_FLOATS    __m512
#define I8_SHL(v, n) _mm512_slli_epi32(v, n)
#define I8_SHR(v, n) _mm512_srli_epi32(v, n)
#define I8_SRA(v, n) _mm512_srai_epi32(v, n)

#include "kernel/x86/i8_zmm.inc"

static I8_INLINE __m512i I8(wide)(__m512i v)
{
    return _mm512_xor_si512(v, _mm512_set1_epi8(-128));
}

/* As text, because gcc moves sums of the intrinsic function through memory. */
static I8_INLINE __m512i I8(dot_next)(__m512i sum, __m512i w, __m512i a)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(a));
    return sum;
}

static I8_INLINE __m512i I8(dot_first)(__m512i w, __m512i a)
{
    return I8(dot_next)(_mm512_setzero_si512(), w, a);
}

static I8_INLINE __m512i I8(dot_wide)(__m512i w, __m512i a)
{
    return I8(dot_first)(w, a);
}

static I8_INLINE __m512i I8(dot_total)(__m512i sum)
{
    return sum;
}

static I8_INLINE __m512i I8(scale)(__m512i s)
{
    return s;
}

static I8_INLINE __m512i I8(scaled)(__m512i scale, const int32_t *factor)
{
    return _mm512_sllv_epi32(scale, _mm512_set1_epi32(*factor));
}

static I8_INLINE __m512i I8(dot_scale)(__m512i total, __m512i sum, __m512i scale)
{
    return _mm512_add_epi32(total, _mm512_mullo_epi32(sum, scale));
}

static I8_INLINE __m512i I8(add_pairs)(__m512i total, __m512i least, __m512i pair)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(total) : "v"(least), "v"(pair));
    return total;
}

#include "kernel/i8_body.inc"

const struct sprat__kernels sprat__kernels_i8_avx512vnni = {I8_KERNELS};

#endif
