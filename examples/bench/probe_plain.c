/* The probes' loops in plain C, for every processor: the limit of the scalar set. */
#include "probe.h"

enum { PLAIN_VALUES = 4096 };

/* Eight sums side by side, which a compiler can make vectors of. */
static void read_block(uint64_t sum[8], const void *data)
{
    const uint64_t *words = data;
    for (int i = 0; i < 8; i++)
        sum[i] ^= words[i];
}

static uint64_t read_joined(const uint64_t sum[8])
{
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

static uint64_t read_one_plain(const uint8_t *data, size_t n)
{
    uint64_t sum[8] = {0};
    for (size_t i = 0; i < n; i += sizeof sum)
        read_block(sum, data + i);
    return read_joined(sum);
}

static uint64_t read_four_plain(const uint8_t *data, size_t n)
{
    uint64_t sum[8] = {0};
    size_t part = n / 4;
    for (size_t i = 0; i < part; i += sizeof sum)
        for (size_t stream = 0; stream < 4; stream++)
            read_block(sum, data + stream * part + i);
    return read_joined(sum);
}

/* A dot product of 8-bit integers as a compiler makes it, in the first cache. */
static uint64_t peak_plain(size_t n)
{
    int8_t values[2][PLAIN_VALUES];
    uint32_t sum = 0;
    size_t n_rounds = n / PLAIN_VALUES + 1;
    for (size_t i = 0; i < PLAIN_VALUES; i++)
        values[0][i] = values[1][i] = (int8_t)((n + i) % 127);
    for (size_t round = 0; round < n_rounds; round++) {
        values[0][round % PLAIN_VALUES] = (int8_t)(sum % 127);
        for (size_t i = 0; i < PLAIN_VALUES; i++)
            sum += (uint32_t)(values[0][i] * values[1][i]);
    }
    return (uint64_t)n_rounds * PLAIN_VALUES + (sum == 1);
}

/* Sums of products side by side, which a compiler can make vectors of. */
static uint64_t float_plain(size_t n)
{
    float sums[64] = {0}, factor = 1.0f + (float)(n == 0);
    for (size_t i = 0; i < n; i++)
        for (int j = 0; j < 64; j++)
            sums[j] = sums[j] * factor + 1.0f;
    float sum = 0;
    for (int j = 0; j < 64; j++)
        sum += sums[j];
    return (uint64_t)n * 64 + (sum < 0.0f);
}

const struct probe_loops probe_loops_plain[] = {
    {"scalar", "plain C", 0, read_one_plain, read_four_plain, peak_plain, float_plain},
    {NULL, NULL, 0, NULL, NULL, NULL, NULL},
};
