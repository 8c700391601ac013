/* The probes' loops for x86-64. As in the library, functions that use a set's instructions are
 * marked for it and have names that end in its name, and nothing needs an -m flag. The
 * chains are assembly, whose registers hold whatever they hold: the time does not depend on it. */
#include "probe.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define PROBE_SSE41  __attribute__((target("sse4.1,ssse3")))
#define PROBE_AVX2   __attribute__((target("avx2")))
#define PROBE_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))

/* The vectors of one kind: how it is loaded, joined, and summed up to one number. */
#define PROBE_READS(set, MARK, vector, load, join, clear, low)                                     \
    MARK static uint64_t read_one_##set(const uint8_t *data, size_t n)                             \
    {                                                                                              \
        vector a = clear(), b = clear(), c = clear(), d = clear();                                 \
        for (size_t i = 0; i < n; i += 4 * sizeof(vector)) {                                       \
            const vector *at = (const void *)(data + i);                                           \
            a = join(a, load(at));                                                                 \
            b = join(b, load(at + 1));                                                             \
            c = join(c, load(at + 2));                                                             \
            d = join(d, load(at + 3));                                                             \
        }                                                                                          \
        return (uint64_t)low(join(join(a, b), join(c, d)));                                        \
    }                                                                                              \
    MARK static uint64_t read_four_##set(const uint8_t *data, size_t n)                            \
    {                                                                                              \
        vector a = clear(), b = clear(), c = clear(), d = clear();                                 \
        size_t part = n / 4;                                                                       \
        for (size_t i = 0; i < part; i += sizeof(vector)) {                                        \
            a = join(a, load((const void *)(data + i)));                                           \
            b = join(b, load((const void *)(data + part + i)));                                    \
            c = join(c, load((const void *)(data + 2 * part + i)));                                \
            d = join(d, load((const void *)(data + 3 * part + i)));                                \
        }                                                                                          \
        return (uint64_t)low(join(join(a, b), join(c, d)));                                        \
    }

#define PROBE_LOW_128(x) _mm_cvtsi128_si64(x)
#define PROBE_LOW_256(x)                                                                           \
    _mm_cvtsi128_si64(_mm_or_si128(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)))
#define PROBE_LOW_512(x) PROBE_LOW_256(_mm512_castsi512_si256(x))

PROBE_READS(sse41, PROBE_SSE41, __m128i, _mm_loadu_si128, _mm_xor_si128, _mm_setzero_si128,
            PROBE_LOW_128)
PROBE_READS(avx2, PROBE_AVX2, __m256i, _mm256_loadu_si256, _mm256_xor_si256, _mm256_setzero_si256,
            PROBE_LOW_256)
PROBE_READS(avx512, PROBE_AVX512, __m512i, _mm512_loadu_si512, _mm512_xor_si512,
            _mm512_setzero_si512, PROBE_LOW_512)

/* Twelve chains, enough to hide a latency of five at two a clock. "memory" stands for all they
 * change beside the registers named: nothing, but the loop must stay. */
#define PROBE_TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define PROBE_REGISTERS                                                                            \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory"

enum { X86_CHAINS = 12 };

/* A function that runs the chains n times; products: multiply-adds of one step of a chain. */
#define PROBE_PEAK(name, MARK, begin, chain, end, products)                                        \
    MARK static uint64_t name(size_t n)                                                            \
    {                                                                                              \
        __asm__ volatile(begin::: PROBE_REGISTERS);                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            __asm__ volatile(PROBE_TWELVE(chain)::: PROBE_REGISTERS);                              \
        __asm__ volatile(end::: PROBE_REGISTERS);                                                  \
        return (uint64_t)n * X86_CHAINS * (products);                                              \
    }

/* Old registers are overwritten by a product, so it is computed in a copy, which is free. */
#define CHAIN_SSE41(j)                                                                             \
    "movdqa %%xmm12, %%xmm13\n\tpmaddubsw %%xmm14, %%xmm13\n\tpaddw %%xmm13, %%xmm" #j "\n\t"
#define CHAIN_AVX2(j)                                                                              \
    "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\n\tvpaddw %%ymm14, %%ymm" #j ", %%ymm" #j "\n\t"
#define CHAIN_AVXVNNI(j) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #j "\n\t"
#define CHAIN_AVX512(j)                                                                            \
    "vpmaddubsw %%zmm12, %%zmm13, %%zmm14\n\tvpaddw %%zmm14, %%zmm" #j ", %%zmm" #j "\n\t"
#define CHAIN_AVX512VNNI(j) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #j "\n\t"

PROBE_PEAK(peak_sse41, PROBE_SSE41, "", CHAIN_SSE41, "", 16)
PROBE_PEAK(peak_avx2, PROBE_AVX2, "", CHAIN_AVX2, "vzeroupper", 32)
PROBE_PEAK(peak_avxvnni, PROBE_AVX2, "", CHAIN_AVXVNNI, "vzeroupper", 32)
PROBE_PEAK(peak_avx512, PROBE_AVX512, "", CHAIN_AVX512, "vzeroupper", 64)
PROBE_PEAK(peak_avx512vnni, PROBE_AVX512, "", CHAIN_AVX512VNNI, "vzeroupper", 64)

/* Binary32: here the registers are cleared first, for some numbers take longer. */
#define FLOAT_SSE41(j)                                                                             \
    "movaps %%xmm12, %%xmm13\n\tmulps %%xmm14, %%xmm13\n\taddps %%xmm13, %%xmm" #j "\n\t"
#define FLOAT_AVX2(j)                                                                              \
    "vmulps %%ymm12, %%ymm13, %%ymm14\n\tvaddps %%ymm14, %%ymm" #j ", %%ymm" #j "\n\t"
#define FLOAT_AVX512(j)                                                                            \
    "vmulps %%zmm12, %%zmm13, %%zmm14\n\tvaddps %%zmm14, %%zmm" #j ", %%zmm" #j "\n\t"

/* Zeros in all registers. */
#define CLEAR_ONE(j) "xorps %%xmm" #j ", %%xmm" #j "\n\t"
#define CLEAR_SSE41  PROBE_TWELVE(CLEAR_ONE) CLEAR_ONE(12) CLEAR_ONE(13) CLEAR_ONE(14) CLEAR_ONE(15)

PROBE_PEAK(float_sse41, PROBE_SSE41, CLEAR_SSE41, FLOAT_SSE41, "", 4)
PROBE_PEAK(float_avx2, PROBE_AVX2, "vzeroall", FLOAT_AVX2, "vzeroupper", 8)
PROBE_PEAK(float_avx512, PROBE_AVX512, "vzeroall", FLOAT_AVX512, "vzeroupper", 16)

const struct probe_loops probe_loops_x86[] = {
    {"sse41", "pmaddubsw xmm", SPRAT__CPU_SSE41, read_one_sse41, read_four_sse41, peak_sse41,
     float_sse41},
    {"avx2", "vpmaddubsw ymm", SPRAT__CPU_AVX2, read_one_avx2, read_four_avx2, peak_avx2,
     float_avx2},
    {"avxvnni", "vpdpbusd ymm", SPRAT__CPU_AVX2 | SPRAT__CPU_AVXVNNI, read_one_avx2, read_four_avx2,
     peak_avxvnni, float_avx2},
    {"avx512", "vpmaddubsw zmm", SPRAT__CPU_AVX512, read_one_avx512, read_four_avx512, peak_avx512,
     float_avx512},
    {"avx512vnni", "vpdpbusd zmm", SPRAT__CPU_AVX512 | SPRAT__CPU_AVX512VNNI, read_one_avx512,
     read_four_avx512, peak_avx512vnni, float_avx512},
    {NULL, NULL, 0, NULL, NULL, NULL, NULL},
};

#else

const struct probe_loops probe_loops_x86[] = {{NULL, NULL, 0, NULL, NULL, NULL, NULL}};

#endif
