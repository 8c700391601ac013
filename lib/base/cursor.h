/* The one reader of untrusted bytes: a cursor that cannot leave its range. Every parser reads
 * through it. Reads are little-endian and need no alignment. A read that does not fit returns false
 * and moves nothing. */
#ifndef SPRAT__CURSOR_H
#define SPRAT__CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sprat__cursor {
    const uint8_t *begin, *at, *end;
};

static inline struct sprat__cursor sprat__cursor_of(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    struct sprat__cursor c = {p, p, bytes ? p + bytes : p};
    return c;
}

static inline size_t sprat__cursor_left(const struct sprat__cursor *c)
{
    return (size_t)(c->end - c->at);
}
static inline size_t sprat__cursor_offset(const struct sprat__cursor *c)
{
    return (size_t)(c->at - c->begin);
}

/* The next n bytes; *out points into the range. */
static inline bool sprat__cursor_take(struct sprat__cursor *c, uint64_t n, const uint8_t **out)
{
    if (n > sprat__cursor_left(c))
        return false;
    *out = c->at;
    c->at += n;
    return true;
}

static inline uint16_t sprat__le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t sprat__le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t sprat__le64(const uint8_t *p)
{
    return (uint64_t)sprat__le32(p) | (uint64_t)sprat__le32(p + 4) << 32;
}

static inline float sprat__lef32(const uint8_t *p)
{
    uint32_t bits = sprat__le32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double sprat__lef64(const uint8_t *p)
{
    uint64_t bits = sprat__le64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline bool sprat__cursor_u64(struct sprat__cursor *c, uint64_t *out)
{
    const uint8_t *p;
    if (!sprat__cursor_take(c, 8, &p))
        return false;
    *out = sprat__le64(p);
    return true;
}

#endif
