/* Randomness as a function: the same number for the same seed and position, whatever was asked
 * before. */
#ifndef SPRAT__RANDOM_H
#define SPRAT__RANDOM_H

#include <stdint.h>

/* 64 bits. Different arguments give independent values. */
uint64_t sprat__random_at(uint64_t seed, uint64_t position);

/* The block cipher behind it, in place: Philox4x32-10 of a counter under a key. */
void sprat__random_block(uint32_t counter[4], const uint32_t key[2]);

/* bits as a fraction of 2^64, times n, rounded down: a number below n. */
uint64_t sprat__random_below(uint64_t bits, uint64_t n);

#endif
