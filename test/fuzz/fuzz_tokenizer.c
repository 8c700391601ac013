/* Any bytes as a vocabulary: an error with a line, or a tokeniser that turns any text, here some of
 * its own bytes too, into ids of its vocabulary and back. User text never becomes an added token.
 * Never more heap than four times the bytes plus 1 MiB; nothing held afterwards. */
#include "format/gguf.h"
#include "tokenizer/tokenizer.h"

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

enum { MOST_IDS = 1 << 13, OWN_BYTES = 600 };

static const char sample[] =
    "<s>hello  hell aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaa<|im_end|>\n\xc3\xa6 1234\t'll \xe4\xb8\xad\xff"
    "<think>\xef\xbd\x9c"
    "DSML\xef\xbd\x9c\r\n";

static uint32_t type_of(const struct sprat__tokenizer *t, sprat_token id)
{
    const char *text;
    size_t len;
    uint32_t type;
    float score;
    sprat__token(t, id, &text, &len, &type, &score);
    FUZZ_CHECK(type >= SPRAT_TOKEN_NORMAL && type <= SPRAT_TOKEN_BYTE);
    const sprat_token first = sprat__token_find(t, text, len);
    FUZZ_CHECK(len == 0 ? first == -1 : first >= 0 && first <= id);
    return type;
}

/* The letters of DeepSeek-LLM, which any text may become. */
static bool is_letter(const struct sprat__tokenizer *t, sprat_token id)
{
    const char *text;
    size_t len;
    uint32_t type;
    float score;
    sprat__token(t, id, &text, &len, &type, &score);
    return type == SPRAT_TOKEN_USER_DEFINED && len == 2 && (unsigned char)text[0] == 0xc3;
}

static void use_text(const struct sprat__tokenizer *t, struct sprat__mem *mem,
                     const struct sprat_segment *segments, size_t n_segments, bool user)
{
    static sprat_token ids[MOST_IDS];
    static char bytes[64];
    struct sprat__err err;
    const struct sprat__vocab *vocab = sprat__tokenizer_vocab(t);
    size_t n, counted;
    sprat_status status =
        sprat__tokenize(&n, t, mem, segments, n_segments, SPRAT_TOKENIZE_BOS, ids, MOST_IDS, &err);
    FUZZ_CHECK(status == SPRAT_OK);
    status =
        sprat__tokenize(&counted, t, mem, segments, n_segments, SPRAT_TOKENIZE_BOS, NULL, 0, &err);
    FUZZ_CHECK(counted == n && status == (n ? SPRAT_BUFFER_TOO_SMALL : SPRAT_OK));
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(ids[i] >= 0 && (uint32_t)ids[i] < vocab->n_tokens);
        const uint32_t type = type_of(t, ids[i]);
        const bool bos = i == 0 && ids[i] == vocab->bos;
        FUZZ_CHECK(!user || bos || type == SPRAT_TOKEN_NORMAL || type == SPRAT_TOKEN_BYTE ||
                   type == SPRAT_TOKEN_UNKNOWN || is_letter(t, ids[i]));
        sprat__token_bytes(t, ids[i], (uint32_t)i & 1, i == 0, bytes, sizeof bytes);
    }
}

static void use_tokenizer(const struct sprat__tokenizer *t, struct sprat__mem *mem,
                          const uint8_t *data, size_t size)
{
    static char bytes[16];
    const struct sprat__vocab *vocab = sprat__tokenizer_vocab(t);
    const char *own = (const char *)data;
    const size_t n_own = size < OWN_BYTES ? size : OWN_BYTES;
    FUZZ_CHECK(vocab->n_tokens > 0);
    for (uint32_t id = 0; id < vocab->n_tokens; id++) {
        const uint32_t type = type_of(t, (sprat_token)id);
        const size_t n = sprat__token_bytes(t, (sprat_token)id, SPRAT_DETOKENIZE_SPECIAL, false,
                                            bytes, sizeof bytes);
        FUZZ_CHECK(n > 0 || type == SPRAT_TOKEN_UNUSED);
        sprat__utf8_open(bytes, n < sizeof bytes ? n : sizeof bytes);
        sprat__token_is_end(t, (sprat_token)id);
    }
    const struct sprat_segment user[] = {{sample, sizeof sample - 1, SPRAT_TEXT_USER, 0},
                                         {own, n_own, SPRAT_TEXT_USER, 0}};
    const struct sprat_segment mixed[] = {{sample, 100, SPRAT_TEXT_TEMPLATE, 0},
                                          {own + size - n_own, n_own, SPRAT_TEXT_TEMPLATE, 0},
                                          {sample, 20, SPRAT_TEXT_USER, 0},
                                          {sample + 20, 90, SPRAT_TEXT_TEMPLATE, 0}};
    use_text(t, mem, user, 2, true);
    use_text(t, mem, mixed, 4, false);
    use_text(t, mem, mixed, 0, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sprat_source source = {
        .size = sizeof source, .kind = SPRAT_SOURCE_MEMORY, .data = data, .length = size};
    struct sprat__mem mem;
    struct sprat__err err = {.status = SPRAT_OK};
    struct sprat__gguf gguf;
    struct sprat__tokenizer *t;
    sprat__mem_init(&mem, NULL, 0);
    if (sprat__gguf_open(&gguf, &mem, &source, &err) != SPRAT_OK)
        return 0;
    const sprat_status status = sprat__tokenizer_create(&t, &mem, &gguf, &err);
    if (status == SPRAT_OK && t)
        use_tokenizer(t, &mem, data, size);
    else if (status != SPRAT_OK)
        FUZZ_CHECK(!t && err.status == status && err.message[0] && !strchr(err.message, '\n'));
    sprat__tokenizer_destroy(t);
    sprat__gguf_close(&gguf);
    FUZZ_CHECK(mem.now == 0);
    FUZZ_CHECK(mem.peak <= 4 * (uint64_t)size + (1 << 20));
    return 0;
}
