/* Owns the generator: Philox4x32 with ten rounds, a counter-based generator (J. K. Salmon and
 * others, "Parallel random numbers: as easy as 1, 2, 3", 2011). Counter: the position; key: the
 * seed. Invariant: no state, so a draw can be repeated, skipped or made out of order. */
#include "sample/random.h"

/* The upper and lower half of a · b. */
static uint32_t random_multiply(uint32_t a, uint32_t b, uint32_t *low)
{
    uint64_t product = (uint64_t)a * b;
    *low = (uint32_t)product;
    return (uint32_t)(product >> 32);
}

void sprat__random_block(uint32_t counter[4], const uint32_t key[2])
{
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint32_t low0, low1;
        uint32_t high0 = random_multiply(UINT32_C(0xd2511f53), counter[0], &low0);
        uint32_t high1 = random_multiply(UINT32_C(0xcd9e8d57), counter[2], &low1);
        counter[0] = high1 ^ counter[1] ^ k0;
        counter[1] = low1;
        counter[2] = high0 ^ counter[3] ^ k1;
        counter[3] = low0;
        k0 += UINT32_C(0x9e3779b9);
        k1 += UINT32_C(0xbb67ae85);
    }
}

uint64_t sprat__random_at(uint64_t seed, uint64_t position)
{
    uint32_t counter[4] = {(uint32_t)position, (uint32_t)(position >> 32), 0, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    sprat__random_block(counter, key);
    return (uint64_t)counter[1] << 32 | counter[0];
}

uint64_t sprat__random_below(uint64_t bits, uint64_t n)
{
    uint64_t bits_low = bits & UINT32_MAX, bits_high = bits >> 32;
    uint64_t n_low = n & UINT32_MAX, n_high = n >> 32;
    uint64_t middle = bits_high * n_low + ((bits_low * n_low) >> 32);
    uint64_t other = bits_low * n_high + (middle & UINT32_MAX);
    return bits_high * n_high + (middle >> 32) + (other >> 32);
}
