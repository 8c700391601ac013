/* Any bytes as text, for every pre-tokeniser and for SPM: the bytes come back, cuts into segments
 * change nothing, user text becomes no added token, and the work is linear. The vocabularies have
 * all 256 bytes, some merges and some added tokens. */
#include "format/gguf.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocab.h"

#include "../unit/gguf_writer.h"

#define FUZZ_CHECK(e)                                                                              \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #e);                              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_PRES = 8, N_VOCABULARIES = N_PRES + 1, FIRST_ADDED = 256, MOST_PARTS = 64 };

static const char *const pres[N_PRES] = {"default",        "gpt-2",      "smollm",
                                         "llama3",         "qwen2",      "deepseek-llm",
                                         "deepseek-coder", "deepseek-v3"};
static const char *const added[] = {"<|a|>", "<|a|>\n", "<", "\xef\xbd\x9c", "aaa"};
static const char *const merges[] = {"a a",
                                     "aa aa",
                                     "e r",
                                     "\xc4\xa0 a",
                                     "\xc4\xa0 \xc4\xa0",
                                     "1 1",
                                     "\xc3\xa4 \xc2\xb8",
                                     "\xc4\x8a \xc4\x8a",
                                     ". ."};
enum { N_ADDED = sizeof added / sizeof added[0], N_MERGES = sizeof merges / sizeof merges[0] };

static struct vocabulary {
    struct gw w;
    struct sprat__mem mem;
    struct sprat__gguf gguf;
    struct sprat__tokenizer *t;
} vocabularies[N_VOCABULARIES];

static void write_bpe(struct gw *w, const char *pre)
{
    gw_str(w, "tokenizer.ggml.model", "gpt2");
    gw_str(w, "tokenizer.ggml.pre", pre);
    gw_array(w, "tokenizer.ggml.tokens", GW_STRING, 256 + N_ADDED + N_MERGES);
    for (uint32_t byte = 0; byte < 256; byte++) {
        const uint32_t point = sprat__byte_to_point(byte);
        const char text[2] = {(char)(point < 0x80 ? point : 0xc0 | point >> 6),
                              (char)(0x80 | (point & 0x3f))};
        gw_text(&w->keys, text, point < 0x80 ? 1 : 2);
    }
    for (size_t i = 0; i < N_ADDED; i++)
        gw_text(&w->keys, added[i], strlen(added[i]));
    for (size_t i = 0; i < N_MERGES; i++) {
        char text[16];
        const size_t left = strcspn(merges[i], " ");
        memcpy(text, merges[i], left);
        strcpy(text + left, merges[i] + left + 1);
        gw_text(&w->keys, text, strlen(text));
    }
    gw_strs(w, "tokenizer.ggml.merges", merges, N_MERGES);
    gw_array(w, "tokenizer.ggml.token_type", GW_I32, 256 + N_ADDED + N_MERGES);
    for (size_t i = 0; i < 256 + N_ADDED + N_MERGES; i++)
        gw_int(&w->keys, i >= FIRST_ADDED && i < FIRST_ADDED + N_ADDED ? SPRAT_TOKEN_CONTROL : 1,
               4);
}

static void write_spm(struct gw *w)
{
    static const char *const pieces[] = {
        "\xe2\x96\x81", "a", "aa", "\342\226\201a", "\xe2\x96\x81\xe2\x96\x81", "er", "."};
    enum { N_PIECES = sizeof pieces / sizeof pieces[0] };
    gw_str(w, "tokenizer.ggml.model", "llama");
    gw_array(w, "tokenizer.ggml.tokens", GW_STRING, 256 + N_ADDED + N_PIECES);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        gw_text(&w->keys, text, (size_t)snprintf(text, sizeof text, "<0x%02X>", byte));
    }
    for (size_t i = 0; i < N_ADDED; i++)
        gw_text(&w->keys, added[i], strlen(added[i]));
    for (size_t i = 0; i < N_PIECES; i++)
        gw_text(&w->keys, pieces[i], strlen(pieces[i]));
    gw_array(w, "tokenizer.ggml.token_type", GW_I32, 256 + N_ADDED + N_PIECES);
    for (size_t i = 0; i < 256 + N_ADDED + N_PIECES; i++)
        gw_int(&w->keys,
               i < 256             ? SPRAT_TOKEN_BYTE
               : i < 256 + N_ADDED ? SPRAT_TOKEN_CONTROL
                                   : 1,
               4);
}

static void make_vocabularies(void)
{
    for (size_t i = 0; i < N_VOCABULARIES; i++) {
        struct vocabulary *v = &vocabularies[i];
        struct sprat__err err;
        gw_begin(&v->w);
        if (i < N_PRES)
            write_bpe(&v->w, pres[i]);
        else
            write_spm(&v->w);
        gw_end(&v->w);
        struct sprat_source source = {.size = sizeof source,
                                      .kind = SPRAT_SOURCE_MEMORY,
                                      .data = v->w.file.data,
                                      .length = v->w.file.len};
        sprat__mem_init(&v->mem, NULL, 0);
        FUZZ_CHECK(sprat__gguf_open(&v->gguf, &v->mem, &source, &err) == SPRAT_OK);
        FUZZ_CHECK(sprat__tokenizer_create(&v->t, &v->mem, &v->gguf, &err) == SPRAT_OK);
    }
}

/* The ids of a text; the caller frees them. */
static sprat_token *encode(struct vocabulary *v, const struct sprat_segment *segments, size_t n,
                           size_t len, size_t *n_ids)
{
    sprat_token *ids = malloc((2 * len + 2) * sizeof *ids);
    struct sprat__tokenize_work work;
    struct sprat__err err;
    FUZZ_CHECK(ids);
    FUZZ_CHECK(sprat__tokenize_counted(n_ids, v->t, &v->mem, segments, n, 0, ids, 2 * len + 2,
                                       &work, &err) == SPRAT_OK);
    FUZZ_CHECK(work.scan_steps <= 24 * (uint64_t)len + 24);
    FUZZ_CHECK(work.merge_steps <= 32 * (uint64_t)len + 64);
    return ids;
}

static void check_bytes(const struct vocabulary *v, const sprat_token *ids, size_t n,
                        const uint8_t *data, size_t size)
{
    size_t at = 0;
    const bool spm = v == &vocabularies[N_PRES];
    for (size_t i = 0; i < n; i++) {
        char bytes[16];
        const size_t len =
            sprat__token_bytes(v->t, ids[i], SPRAT_DETOKENIZE_SPECIAL, i == 0, bytes, sizeof bytes);
        for (size_t k = 0; k < len; k++) {
            /* U+2581 comes back as the space it is taken for. */
            if (spm && bytes[k] == ' ' && size - at >= 3 && !memcmp(data + at, "\xe2\x96\x81", 3))
                at += 3;
            else
                FUZZ_CHECK(at < size && data[at++] == (uint8_t)bytes[k]);
        }
    }
    FUZZ_CHECK(at == size);
}

static void use_text(struct vocabulary *v, const uint8_t *data, size_t size, uint32_t kind)
{
    const struct sprat_segment whole = {(const char *)data, size, kind, 0};
    struct sprat_segment parts[MOST_PARTS];
    size_t n, n_cut, n_parts = 0;
    sprat_token *ids = encode(v, &whole, 1, size, &n);
    for (size_t at = 0; at < size; n_parts++) {
        size_t len = 1 + (data[at] ^ data[size - 1 - at]) % 7;
        if (len > size - at || n_parts == MOST_PARTS - 1)
            len = size - at;
        parts[n_parts] = (struct sprat_segment){(const char *)data + at, len, kind, 0};
        at += len;
    }
    sprat_token *cut = encode(v, parts, n_parts, size, &n_cut);
    FUZZ_CHECK(n == n_cut && memcmp(ids, cut, n * sizeof *ids) == 0);
    if (kind == SPRAT_TEXT_USER) {
        for (size_t i = 0; i < n; i++)
            FUZZ_CHECK(ids[i] < FIRST_ADDED || ids[i] >= FIRST_ADDED + N_ADDED);
        check_bytes(v, ids, n, data, size);
    } else if (v != &vocabularies[N_PRES]) {
        check_bytes(v, ids, n, data, size);
    }
    free(cut);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!vocabularies[0].t)
        make_vocabularies();
    for (size_t i = 0; i < N_VOCABULARIES; i++) {
        const uint64_t held = vocabularies[i].mem.now;
        use_text(&vocabularies[i], data, size, SPRAT_TEXT_USER);
        use_text(&vocabularies[i], data, size, SPRAT_TEXT_TEMPLATE);
        FUZZ_CHECK(vocabularies[i].mem.now == held);
    }
    return 0;
}
