/* The probes' loops for AArch64. The instructions of sets beyond ASIMD are written as their codes,
 * so that no compiler or assembler has to know them; their registers hold whatever they hold: the
 * time does not depend on it. */
#include "probe.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#define PROBE_TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define PROBE_REGISTERS                                                                            \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v16", "v17", "memory"

enum { ARM_CHAINS = 12 };

static uint64_t read_one_neon(const uint8_t *data, size_t n)
{
    uint8x16_t sum[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};
    for (size_t i = 0; i < n; i += 64)
        for (size_t j = 0; j < 4; j++)
            sum[j] = veorq_u8(sum[j], vld1q_u8(data + i + 16 * j));
    sum[0] = veorq_u8(veorq_u8(sum[0], sum[1]), veorq_u8(sum[2], sum[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(sum[0]), 0) ^
           vgetq_lane_u64(vreinterpretq_u64_u8(sum[0]), 1);
}

static uint64_t read_four_neon(const uint8_t *data, size_t n)
{
    uint8x16_t sum[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};
    size_t part = n / 4;
    for (size_t i = 0; i < part; i += 16)
        for (size_t j = 0; j < 4; j++)
            sum[j] = veorq_u8(sum[j], vld1q_u8(data + j * part + i));
    sum[0] = veorq_u8(veorq_u8(sum[0], sum[1]), veorq_u8(sum[2], sum[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(sum[0]), 0) ^
           vgetq_lane_u64(vreinterpretq_u64_u8(sum[0]), 1);
}

#define PROBE_PEAK(name, begin, chain, products)                                                   \
    static uint64_t name(size_t n)                                                                 \
    {                                                                                              \
        __asm__ volatile(begin::: PROBE_REGISTERS);                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            __asm__ volatile(PROBE_TWELVE(chain)::: PROBE_REGISTERS);                              \
        return (uint64_t)n * ARM_CHAINS * (products);                                              \
    }

#define CHAIN_NEON(j)    "smlal v" #j ".8h, v16.8b, v17.8b\n\t"
#define CHAIN_DOTPROD(j) ".inst 0x4e919600 + " #j "\n\t" /* sdot vj.4s, v16.16b, v17.16b */
#define CHAIN_I8MM(j)    ".inst 0x4e91a600 + " #j "\n\t" /* smmla vj.4s, v16.16b, v17.16b */

PROBE_PEAK(peak_neon, "", CHAIN_NEON, 8)
PROBE_PEAK(peak_dotprod, "", CHAIN_DOTPROD, 16)
PROBE_PEAK(peak_i8mm, "", CHAIN_I8MM, 32)

/* Binary32: here the registers are cleared first, for some numbers take longer. */
#define FLOAT_NEON(j) "fmul v18.4s, v16.4s, v17.4s\n\tfadd v" #j ".4s, v" #j ".4s, v18.4s\n\t"
#define CLEAR_ONE(j)  "movi v" #j ".4s, #0\n\t"

PROBE_PEAK(float_neon, PROBE_TWELVE(CLEAR_ONE) CLEAR_ONE(16) CLEAR_ONE(17), FLOAT_NEON, 4)

const struct probe_loops probe_loops_arm[] = {
    {"neon", "smlal", SPRAT__CPU_NEON, read_one_neon, read_four_neon, peak_neon, float_neon},
    {"dotprod", "sdot", SPRAT__CPU_NEON | SPRAT__CPU_DOTPROD, read_one_neon, read_four_neon,
     peak_dotprod, float_neon},
    {"i8mm", "smmla", SPRAT__CPU_NEON | SPRAT__CPU_DOTPROD | SPRAT__CPU_I8MM, read_one_neon,
     read_four_neon, peak_i8mm, float_neon},
    {NULL, NULL, 0, NULL, NULL, NULL, NULL},
};

#else

const struct probe_loops probe_loops_arm[] = {{NULL, NULL, 0, NULL, NULL, NULL, NULL}};

#endif
