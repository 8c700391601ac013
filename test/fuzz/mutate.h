/* Damaged copies of a file, each handed to a function: the loop that every fuzz replay shares. The
 * same seed gives the same copies everywhere. Each copy is a block of exactly its length, so that a
 * sanitizer sees the first byte read beyond it. */
#ifndef SPRAT_TEST_MUTATE_H
#define SPRAT_TEST_MUTATE_H

#include <stddef.h>
#include <stdint.h>

typedef void fuzz_one_fn(void *user, const uint8_t *data, size_t len);

/* The first 0 to len - 1 bytes, in steps of step. */
void fuzz_truncations(const uint8_t *data, size_t len, size_t step, fuzz_one_fn *one, void *user);

/* Copies `first` to `first + n - 1` of the seed, each with one to four edits in its first `window`
 * bytes: bits, bytes, numbers of 1 to 8 bytes near a limit, runs copied, taken out or put in. */
void fuzz_edits(const uint8_t *data, size_t len, size_t window, uint64_t seed, uint64_t first,
                uint64_t n, fuzz_one_fn *one, void *user);

/* What is being run, for the message of a crash: "truncation" or "edit", and its number. */
extern const char *volatile fuzz_at_kind;
extern volatile uint64_t fuzz_at_number;

#endif
