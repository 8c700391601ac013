/* Checked arithmetic for sizes, counts and offsets: the only arithmetic allowed on numbers that
 * came from outside. Each returns false, and leaves *out alone, where the true result does not fit.
 */
#ifndef SPRAT__CHECKED_H
#define SPRAT__CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool sprat__add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a > UINT64_MAX - b)
        return false;
    *out = a + b;
    return true;
}

static inline bool sprat__mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *out = a * b;
    return true;
}

static inline bool sprat__add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

static inline bool sprat__mul_size(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

static inline bool sprat__to_size(uint64_t a, size_t *out)
{
    if (a > SIZE_MAX)
        return false;
    *out = (size_t)a;
    return true;
}

/* Rounds up to a multiple of alignment, a power of two. */
static inline bool sprat__align_u64(uint64_t a, uint64_t alignment, uint64_t *out)
{
    uint64_t sum;
    if (!sprat__add_u64(a, alignment - 1, &sum))
        return false;
    *out = sum & ~(alignment - 1);
    return true;
}

#endif
