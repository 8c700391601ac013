/* Any bytes as a GGUF, from memory and through callbacks: an error with a line, or a directory that
 * can be walked and whose tensors can be read. Never more heap than four times the bytes plus 1
 * MiB; nothing held afterwards; both ways agree. */
#include "format/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(e)                                                                              \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #e);                              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

struct host_bytes {
    const uint8_t *data;
    size_t len;
};

static int32_t read_host(void *user, uint64_t offset, void *buffer, size_t n)
{
    const struct host_bytes *bytes = user;
    FUZZ_CHECK(offset <= bytes->len && n <= bytes->len - offset);
    memcpy(buffer, bytes->data + offset, n);
    return 0;
}

/* Reads every value, as each thing it might be taken for. */
static void use_keys(const struct sprat__gguf *gguf)
{
    for (size_t i = 0; i < gguf->n_keys; i++) {
        const struct sprat__gguf_key *key = &gguf->keys[i];
        struct sprat__err err;
        char name[256];
        uint32_t u;
        float f;
        bool b, found;
        const char *text;
        size_t len, cursor = 0, n = 0;
        if (key->name_len >= sizeof name || memchr(key->name, 0, key->name_len))
            continue;
        memcpy(name, key->name, key->name_len);
        name[key->name_len] = '\0';
        FUZZ_CHECK(sprat__gguf_key(gguf, name) == key);
        sprat__gguf_u32(gguf, name, &u, &found, &err);
        FUZZ_CHECK(found);
        sprat__gguf_f32(gguf, name, &f, &found, &err);
        sprat__gguf_bool(gguf, name, &b, &found, &err);
        if (sprat__gguf_string(gguf, name, &text, &len, &found, &err) == SPRAT_OK && len)
            sink = (uint8_t)text[len - 1];
        sprat__gguf_u32_at(gguf, name, (size_t)key->count - 1, &u, &found, &err);
        while (sprat__gguf_next_string(key, &cursor, &text, &len)) {
            n++;
            if (len)
                sink = (uint8_t)text[len - 1];
        }
        FUZZ_CHECK(key->type != SPRAT__GGUF_ARRAY || key->element != SPRAT__GGUF_STRING ||
                   n == key->count);
    }
}

static void use_tensors(const struct sprat__gguf *gguf, uint64_t file_bytes)
{
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const struct sprat__gguf_tensor *tensor = &gguf->tensors[i];
        FUZZ_CHECK(tensor->bytes > 0 && tensor->offset <= file_bytes &&
                   tensor->bytes <= file_bytes - tensor->offset);
        for (uint64_t at = 0; at < tensor->bytes; at++)
            sink = tensor->data[at];
    }
}

static sprat_status open_as(uint32_t kind, const uint8_t *data, size_t size, uint64_t *n_things)
{
    struct host_bytes bytes = {data, size};
    struct sprat_source source = {.size = sizeof source,
                                  .kind = kind,
                                  .data = data,
                                  .length = size,
                                  .read = read_host,
                                  .read_user = &bytes};
    struct sprat__mem mem;
    struct sprat__err err = {.status = SPRAT_OK};
    struct sprat__gguf gguf;
    sprat__mem_init(&mem, NULL, 0);
    *n_things = 0;
    sprat_status status = sprat__gguf_open(&gguf, &mem, &source, &err);
    if (status == SPRAT_OK) {
        *n_things = gguf.n_keys + gguf.n_tensors;
        FUZZ_CHECK(sprat__gguf_load(&gguf, NULL, NULL, &err) == SPRAT_OK);
        use_keys(&gguf);
        use_tensors(&gguf, size);
        sprat__gguf_close(&gguf);
    } else {
        FUZZ_CHECK(err.status == status && err.message[0] && !strchr(err.message, '\n'));
    }
    FUZZ_CHECK(mem.now == 0);
    FUZZ_CHECK(mem.peak <= 4 * (uint64_t)size + (1 << 20));
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t a, b;
    sprat_status status = open_as(SPRAT_SOURCE_MEMORY, data, size, &a);
    FUZZ_CHECK(open_as(SPRAT_SOURCE_CALLBACK, data, size, &b) == status && a == b);
    return 0;
}
