/* Vocabularies made in code, for the tokeniser's tests: begin_bpe, begin_spm or begin_chat,
 * add_token and add_merge, then finish; encode_user and others fill ids, IDS_ARE and bytes_are look
 * at them. set_up and tear_down go round each test. */
#ifndef SPRAT_TEST_MADE_VOCAB_H
#define SPRAT_TEST_MADE_VOCAB_H

#include "tokenizer/tokenizer.h"
#include "tokenizer/vocab.h"
#include "gguf_writer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };
#define BAR  "\xef\xbd\x9c"
#define LINE "\xe2\x96\x81"

static struct sprat__mem mem;
static struct sprat__err err;
static struct gw w;
static struct sprat__gguf gguf;
static struct sprat__tokenizer *tok;

static uint32_t random_state;
static inline uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* ---- a vocabulary in the making -------------------------------------------------------------- */

enum { MAX_TOKENS = 600, MAX_MERGES = 64 };
static struct {
    const char *model, *pre;
    char texts[MAX_TOKENS][24];
    size_t lens[MAX_TOKENS];
    int32_t types[MAX_TOKENS];
    float scores[MAX_TOKENS];
    size_t n;
    const char *merges[MAX_MERGES];
    size_t n_merges;
    bool no_types;
} v;

static inline sprat_token add_token(const char *text, int32_t type)
{
    v.lens[v.n] = strlen(text);
    memcpy(v.texts[v.n], text, v.lens[v.n] + 1);
    v.types[v.n] = type;
    v.scores[v.n] = 0;
    return (sprat_token)v.n++;
}

static inline void add_merge(const char *merge)
{
    v.merges[v.n_merges++] = merge;
}

/* The 256 bytes of byte-level BPE: token i is byte i. */
static inline void begin_bpe(const char *pre)
{
    memset(&v, 0, sizeof v);
    v.model = "gpt2";
    v.pre = pre;
    for (uint32_t byte = 0; byte < 256; byte++) {
        const uint32_t point = sprat__byte_to_point(byte);
        char text[3] = {(char)point, 0, 0};
        if (point >= 0x80) {
            text[0] = (char)(0xc0 | point >> 6);
            text[1] = (char)(0x80 | (point & 0x3f));
        }
        add_token(text, NORMAL);
    }
}

/* <unk> <s> </s>, then the bytes as tokens 3 to 258. */
static inline void begin_spm(void)
{
    memset(&v, 0, sizeof v);
    v.model = "llama";
    add_token("<unk>", UNKNOWN);
    add_token("<s>", CONTROL);
    add_token("</s>", CONTROL);
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        add_token(text, BYTE);
    }
}

static inline void write_vocabulary(void)
{
    gw_str(&w, "general.architecture", "llama");
    gw_str(&w, "tokenizer.ggml.model", v.model);
    if (v.pre)
        gw_str(&w, "tokenizer.ggml.pre", v.pre);
    gw_array(&w, "tokenizer.ggml.tokens", GW_STRING, v.n);
    for (size_t i = 0; i < v.n; i++)
        gw_text(&w.keys, v.texts[i], v.lens[i]);
    if (!v.no_types)
        gw_i32s(&w, "tokenizer.ggml.token_type", v.types, v.n);
    if (strcmp(v.model, "llama") == 0)
        gw_f32s(&w, "tokenizer.ggml.scores", v.scores, v.n);
    else
        gw_strs(&w, "tokenizer.ggml.merges", v.merges, v.n_merges);
}

static inline sprat_status open_written(void)
{
    gw_end(&w);
    struct sprat_source source = {.size = sizeof source,
                                  .kind = SPRAT_SOURCE_MEMORY,
                                  .data = w.file.data,
                                  .length = w.file.len};
    ck_assert_int_eq(sprat__gguf_open(&gguf, &mem, &source, &err), SPRAT_OK);
    return sprat__tokenizer_create(&tok, &mem, &gguf, &err);
}

static inline void finish(void)
{
    write_vocabulary();
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_ptr_nonnull(tok);
}

static inline void set_up(void)
{
    sprat__mem_init(&mem, NULL, 0);
    memset(&err, 0, sizeof err);
    gw_begin(&w);
    memset(&gguf, 0, sizeof gguf);
    tok = NULL;
    random_state = 12345;
}

static inline void tear_down(void)
{
    sprat__tokenizer_destroy(tok);
    sprat__gguf_close(&gguf);
    gw_free(&w);
    ck_assert_uint_eq(mem.now, 0);
}

static inline void again(void)
{
    tear_down();
    set_up();
}

static sprat_token ids[4096];
static size_t n_ids;

static inline void encode(const char *text, size_t len, uint32_t kind, uint32_t flags)
{
    const struct sprat_segment segment = {text, len, kind, 0};
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, &segment, 1, flags, ids, 4096, &err),
                     SPRAT_OK);
}

static inline void encode_user(const char *text)
{
    encode(text, strlen(text), SPRAT_TEXT_USER, 0);
}

static inline void encode_template(const char *text)
{
    encode(text, strlen(text), SPRAT_TEXT_TEMPLATE, 0);
}

/* The ids are exactly these; the list ends with -1. */
static inline void ids_are(const sprat_token *list)
{
    size_t n = 0;
    while (list[n] >= 0)
        n++;
    ck_assert_uint_eq(n_ids, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(ids[i], list[i]);
}
#define IDS_ARE(...) ids_are((const sprat_token[]){__VA_ARGS__, -1})

/* What the ids stand for is this text. */
static inline void bytes_are(const char *text, size_t len, uint32_t flags, bool start)
{
    static char out[8192];
    size_t n = 0;
    for (size_t i = 0; i < n_ids; i++)
        n += sprat__token_bytes(tok, ids[i], flags, start && i == 0, out + n, sizeof out - n);
    ck_assert_uint_eq(n, len);
    ck_assert_mem_eq(out, text, len);
}

static sprat_token end_id, think_id, tail_id, line_id;

static inline void begin_chat(const char *pre)
{
    begin_bpe(pre);
    end_id = add_token("<|im_end|>", CONTROL);
    think_id = add_token("<think>", USER_DEFINED);
    tail_id = add_token("<|im_end|>\n\n", CONTROL);
    line_id = add_token("he", NORMAL);
    add_merge("h e");
}

static inline void add_piece(const char *text, float score)
{
    v.scores[add_token(text, NORMAL)] = score;
}

#endif
