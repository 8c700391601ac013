/* Owns the search for stop texts in a stream. Leaves characters to the tokeniser: this works on
 * bytes. One automaton per text (D. E. Knuth, J. H. Morris, V. R. Pratt, 1977) knows how many of
 * its bytes the stream ends with; the largest of these numbers is what must be held back.
 * Invariant: pending holds what was sent out by the last call and, after it, exactly the bytes that
 * are held. Steps: at most two per byte and text. */
#include "sample/sampler.h"

#include "base/checked.h"

#include <string.h>

enum { STOPS_MOST = 16, STOPS_MOST_BYTES = 256, STOPS_PENDING_BYTES = 1024 };

struct stops_text {
    const char *bytes;
    uint32_t len;
    uint32_t matched;  /* how many of its bytes the stream ends with, at most len - 1 */
    uint16_t *borders; /* [i]: length of the longest proper border of the first i + 1 bytes */
};

struct sprat__stops {
    struct sprat__mem *mem;
    struct sprat__buffer pending;
    size_t n_out; /* bytes at the beginning of pending that have gone out */
    bool stopped;
    uint32_t n;
    struct stops_text texts[];
};

/* The length of a text, or STOPS_MOST_BYTES + 1 where it is longer. */
static uint32_t stops_length(const char *text)
{
    uint32_t len = 0;
    while (len <= STOPS_MOST_BYTES && text[len])
        len++;
    return len;
}

sprat_status sprat__stops_check(const char *const *texts, uint32_t n, struct sprat__err *err)
{
    if (n > STOPS_MOST)
        return sprat__fail(err, SPRAT_INVALID, "sampling: n_stops must be at most %d, not %u",
                           STOPS_MOST, n);
    if (n > 0 && !texts)
        return sprat__fail(err, SPRAT_INVALID, "sampling: n_stops is %u, but stops is NULL", n);
    for (uint32_t i = 0; i < n; i++) {
        if (!texts[i])
            return sprat__fail(err, SPRAT_INVALID, "sampling: stops[%u] is NULL", i);
        uint32_t len = stops_length(texts[i]);
        if (len == 0)
            return sprat__fail(err, SPRAT_INVALID, "sampling: stops[%u] is empty", i);
        if (len > STOPS_MOST_BYTES)
            return sprat__fail(err, SPRAT_INVALID, "sampling: stops[%u] has more than %d bytes", i,
                               STOPS_MOST_BYTES);
    }
    return SPRAT_OK;
}

static void stops_fill_borders(struct stops_text *text)
{
    uint32_t border = 0;
    text->borders[0] = 0;
    for (uint32_t i = 1; i < text->len; i++) {
        while (border > 0 && text->bytes[i] != text->bytes[border])
            border = text->borders[border - 1];
        border += text->bytes[i] == text->bytes[border];
        text->borders[i] = (uint16_t)border;
    }
}

sprat_status sprat__stops_create(struct sprat__stops **out, struct sprat__mem *mem,
                                 const char *const *texts, uint32_t n, struct sprat__err *err)
{
    *out = NULL;
    SPRAT_TRY(sprat__stops_check(texts, n, err));
    size_t n_bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        n_bytes += stops_length(texts[i]);
    /* The block: the struct and its texts' heads, then all borders, then all bytes. */
    size_t head = sizeof(struct sprat__stops) + n * sizeof(struct stops_text);
    struct sprat__stops *stops =
        sprat__new(mem, 1, head + n_bytes * (sizeof(uint16_t) + 1), SPRAT_PURPOSE_TEXT, err);
    if (!stops)
        return err->status;
    stops->mem = mem;
    stops->pending.mem = mem;
    stops->n = n;
    uint16_t *borders = (void *)((char *)stops + head);
    char *bytes = (char *)(borders + n_bytes);
    for (uint32_t i = 0; i < n; i++) {
        struct stops_text *text = &stops->texts[i];
        text->len = stops_length(texts[i]);
        text->bytes = memcpy(bytes, texts[i], text->len);
        text->borders = borders;
        bytes += text->len;
        borders += text->len;
        stops_fill_borders(text);
    }
    void *room = NULL;
    sprat_status status = sprat__grow(mem, &room, 0, &stops->pending.capacity, STOPS_PENDING_BYTES,
                                      1, SPRAT_PURPOSE_TEXT, err);
    if (status != SPRAT_OK) {
        sprat__wipe_free(mem, stops);
        return status;
    }
    stops->pending.data = room;
    *out = stops;
    return SPRAT_OK;
}

void sprat__stops_destroy(struct sprat__stops *stops)
{
    if (!stops)
        return;
    sprat__buffer_end(&stops->pending);
    sprat__wipe_free(stops->mem, stops);
}

static void stops_forget(struct sprat__stops *stops)
{
    for (uint32_t i = 0; i < stops->n; i++)
        stops->texts[i].matched = 0;
}

void sprat__stops_reset(struct sprat__stops *stops)
{
    stops->pending.len = 0;
    stops->n_out = 0;
    stops->stopped = false;
    stops_forget(stops);
}

/* Moves a text's automaton over one byte; true: the text is complete. */
static bool stops_step(struct stops_text *text, char byte)
{
    uint32_t matched = text->matched;
    while (matched > 0 && text->bytes[matched] != byte)
        matched = text->borders[matched - 1];
    matched += text->bytes[matched] == byte;
    if (matched == text->len)
        return true;
    text->matched = matched;
    return false;
}

/* Moves all over one byte: the length of the longest text that is complete, or 0. */
static uint32_t stops_step_all(struct sprat__stops *stops, char byte)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < stops->n; i++) {
        if (stops_step(&stops->texts[i], byte) && stops->texts[i].len > longest)
            longest = stops->texts[i].len;
    }
    return longest;
}

static size_t stops_held(const struct sprat__stops *stops)
{
    size_t held = 0;
    for (uint32_t i = 0; i < stops->n; i++) {
        if (stops->texts[i].matched > held)
            held = stops->texts[i].matched;
    }
    return held;
}

sprat_status sprat__stops_feed(struct sprat__stops *stops, const char *bytes, size_t n, bool last,
                               const char **out, size_t *n_out, bool *stopped,
                               struct sprat__err *err)
{
    *out = stops->pending.data;
    *n_out = 0;
    *stopped = stops->stopped;
    if (stops->stopped)
        return SPRAT_OK;
    struct sprat__buffer *pending = &stops->pending;
    size_t held = pending->len - stops->n_out;
    memmove(pending->data, pending->data + stops->n_out, held);
    pending->len = held;
    stops->n_out = 0;
    SPRAT_TRY(sprat__buffer_add(pending, bytes, n, err));
    *out = pending->data;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = stops_step_all(stops, bytes[i]);
        if (len > 0) {
            *n_out = held + i + 1 - len;
            *stopped = stops->stopped = true;
            return SPRAT_OK;
        }
    }
    if (last)
        stops_forget(stops);
    *n_out = stops->n_out = pending->len - stops_held(stops);
    return SPRAT_OK;
}
