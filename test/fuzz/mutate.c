/* Owns the damage: see mutate.h. Invariant: copy number i of a seed depends on the file, the seed
 * and i alone. */
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

const char *volatile fuzz_at_kind = "whole";
volatile uint64_t fuzz_at_number;

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t random_below(uint64_t *state, size_t n)
{
    return (size_t)(next_random(state) % n);
}

static uint8_t *new_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    if (len)
        memcpy(copy, data, len);
    return copy;
}

void fuzz_truncations(const uint8_t *data, size_t len, size_t step, fuzz_one_fn *one, void *user)
{
    fuzz_at_kind = "truncation";
    for (size_t n = 0; n < len; n += step) {
        uint8_t *copy = new_copy(data, n);
        fuzz_at_number = n;
        one(user, copy, n);
        free(copy);
    }
}

/* A number where mistakes are likely: a small one, or one near a power of two or the length. */
static uint64_t odd_number(uint64_t *state, size_t len)
{
    uint64_t near = next_random(state) % 5 - 2;
    switch (random_below(state, 4)) {
    case 0:
        return near;
    case 1:
        return (1ull << random_below(state, 64)) + near;
    case 2:
        return len + near;
    default:
        return next_random(state) % 64;
    }
}

/* One edit in the first `window` bytes of *data; may replace the block. */
static void edit(uint8_t **data, size_t *len, size_t window, uint64_t *state)
{
    size_t n = *len < window ? *len : window;
    if (n == 0)
        return;
    size_t at = random_below(state, n), run = 1 + random_below(state, 16);
    if (run > n - at)
        run = n - at;
    uint64_t number = odd_number(state, *len);
    switch (random_below(state, 7)) {
    case 0:
        (*data)[at] ^= (uint8_t)(1u << random_below(state, 8));
        break;
    case 1:
        (*data)[at] = (uint8_t)next_random(state);
        break;
    case 2:
    case 3:
        for (size_t width = 1ull << random_below(state, 4), i = 0; i < width && at + i < n; i++)
            (*data)[at + i] = (uint8_t)(number >> 8 * i);
        break;
    case 4:
        memmove(*data + at, *data + random_below(state, n - run + 1), run);
        break;
    case 5:
        memmove(*data + at, *data + at + run, *len - at - run);
        *len -= run;
        break;
    default: {
        uint8_t *longer = malloc(*len + run);
        if (!longer)
            abort();
        memcpy(longer, *data, at);
        memset(longer + at, (int)(number & 255), run);
        memcpy(longer + at + run, *data + at, *len - at);
        free(*data);
        *data = longer;
        *len += run;
        break;
    }
    }
}

void fuzz_edits(const uint8_t *data, size_t len, size_t window, uint64_t seed, uint64_t first,
                uint64_t n, fuzz_one_fn *one, void *user)
{
    fuzz_at_kind = "edit";
    for (uint64_t i = first; i - first < n; i++) {
        uint64_t state = seed * 0x2545f4914f6cdd1du + i;
        uint8_t *copy = new_copy(data, len), *exact;
        size_t copy_len = len;
        fuzz_at_number = i;
        for (size_t edits = 1 + random_below(&state, 4); edits > 0; edits--)
            edit(&copy, &copy_len, window, &state);
        exact = new_copy(copy, copy_len);
        free(copy);
        one(user, exact, copy_len);
        free(exact);
    }
}
