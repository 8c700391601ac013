/* tokenizer: wrong arguments, short memory, and vocabularies that break the rules: each refused
 * with the line that names the thing, nothing held. */
#include "run_suite.h"
#include "made_vocab.h"

/* ---- arguments, memory ----------------------------------------------------------------------- */

START_TEST(arguments_are_checked)
{
    begin_chat("qwen2");
    finish();
    const struct sprat_segment good = {"hehe x", 6, SPRAT_TEXT_USER, 0};
    const struct sprat_segment kind = {"x", 1, 2, 0}, null = {NULL, 1, 0, 0};
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, &good, 1, 0, NULL, 0, &err),
                     SPRAT_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n_ids, 4);
    ids[3] = 77;
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, &good, 1, 0, ids, 3, &err),
                     SPRAT_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n_ids, 4);
    ck_assert_int_eq(ids[3], 77);
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, &good, 1, 2, ids, 9, &err), SPRAT_INVALID);
    ck_assert_uint_eq(n_ids, 0);
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, &good, 1, 0, NULL, 9, &err), SPRAT_INVALID);
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, NULL, 1, 0, ids, 9, &err), SPRAT_INVALID);
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, &kind, 1, 0, ids, 9, &err), SPRAT_INVALID);
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, &null, 1, 0, ids, 9, &err), SPRAT_INVALID);
    const struct sprat_segment huge[] = {good, {"x", 0x7fffffff, 0, 0}};
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, huge, 2, 0, ids, 9, &err), SPRAT_INVALID);
    ck_assert_str_eq(err.message, "text of more than 2147483646 bytes at once");
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, NULL, 0, 0, NULL, 0, &err), SPRAT_OK);
    ck_assert_uint_eq(n_ids, 0);
}
END_TEST

static int allocations_left;
static bool from_then_on;

static void *counting_alloc(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    (void)user;
    (void)purpose;
    if (allocations_left == 0) {
        allocations_left = from_then_on ? 0 : -1;
        return NULL;
    }
    if (allocations_left > 0)
        allocations_left--;
    return aligned_alloc(alignment, (bytes + 63) / 64 * 64);
}

static void counting_free(void *user, void *ptr, size_t bytes, uint32_t purpose)
{
    (void)user;
    (void)bytes;
    (void)purpose;
    free(ptr);
}

/* Fails each allocation of making a tokeniser and of a long text, once and from then on. */
START_TEST(every_allocation_may_fail)
{
    static char text[5000];
    memset(text, 'h', sizeof text);
    const struct sprat_segment parts[] = {{text, 100, 0, 0}, {text, sizeof text, 0, 0}};
    const struct sprat_allocator allocator = {
        .size = sizeof allocator, .alloc = counting_alloc, .free = counting_free};
    begin_chat("qwen2");
    add_merge("q x"); /* no token: the list of such texts grows */
    finish();
    int succeeded = 0;
    for (int mode = 0; mode < 2; mode++) {
        from_then_on = mode == 1;
        for (int i = 0; i < 40; i++) {
            struct sprat__mem own;
            struct sprat__tokenizer *t;
            sprat__mem_init(&own, &allocator, 0);
            allocations_left = i;
            sprat_status status = sprat__tokenizer_create(&t, &own, &gguf, &err);
            if (status == SPRAT_OK) {
                status = sprat__tokenize(&n_ids, t, &own, parts, 2, 0, NULL, 0, &err);
                sprat__tokenizer_destroy(t);
            }
            ck_assert(status == SPRAT_BUFFER_TOO_SMALL || status == SPRAT_NO_MEMORY);
            succeeded += status == SPRAT_BUFFER_TOO_SMALL;
            ck_assert_uint_eq(own.now, 0);
        }
    }
    allocations_left = -1;
    ck_assert_int_gt(succeeded, 40);
}
END_TEST

/* ---- vocabularies that are wrong ------------------------------------------------------------- */

static void refused(sprat_status status, const char *message)
{
    ck_assert_int_eq(open_written(), status);
    ck_assert_ptr_null(tok);
    ck_assert_str_eq(err.message, message);
    again();
}

START_TEST(kinds_that_are_not_known)
{
    gw_str(&w, "general.architecture", "llama");
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_ptr_null(tok);
    again();
    gw_str(&w, "tokenizer.ggml.model", "no_vocab");
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_ptr_null(tok);
    again();
    gw_str(&w, "tokenizer.ggml.model", "bert\n");
    refused(SPRAT_UNKNOWN_TOKENIZER,
            "tokenizer.ggml.model: \"bert\\x0a\", expected \"gpt2\" or \"llama\"");
    gw_strs(&w, "tokenizer.ggml.tokens", NULL, 0);
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.model: missing, though there are tokens");
    begin_bpe("qwen99");
    write_vocabulary();
    refused(SPRAT_UNKNOWN_TOKENIZER,
            "tokenizer.ggml.pre: \"qwen99\" is no pre-tokeniser this version knows");
    gw_u32(&w, "tokenizer.ggml.model", 5);
    ck_assert_int_eq(open_written(), SPRAT_BAD_CONFIG);
    again();
    begin_bpe(NULL);
    finish();
    encode_user("x 12345");
    ck_assert_uint_eq(n_ids, 7);
}
END_TEST

START_TEST(arrays_that_are_wrong)
{
    static const char *const merge[] = {"a b"};
    gw_str(&w, "tokenizer.ggml.model", "gpt2");
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.tokens: missing");
    gw_str(&w, "tokenizer.ggml.model", "gpt2");
    gw_strs(&w, "tokenizer.ggml.tokens", NULL, 0);
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.tokens: 0 tokens, expected 1 to 16777216");
    gw_str(&w, "tokenizer.ggml.model", "gpt2");
    gw_i32s(&w, "tokenizer.ggml.tokens", (int32_t[]){1, 2}, 2);
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.tokens: not an array of strings");
    gw_str(&w, "tokenizer.ggml.model", "gpt2");
    gw_strs(&w, "tokenizer.ggml.tokens", merge, 1);
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.merges: missing");
    begin_bpe("gpt-2");
    v.no_types = true;
    write_vocabulary();
    gw_i32s(&w, "tokenizer.ggml.token_type", (int32_t[]){1, 2}, 2);
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.token_type: 2 values for 256 tokens");
    begin_bpe("gpt-2");
    v.no_types = true;
    write_vocabulary();
    gw_array(&w, "tokenizer.ggml.token_type", GW_U8, 256);
    gw_raw(&w.keys, v.texts, 256);
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.token_type: not an array of 32-bit integers");
    begin_bpe("gpt-2");
    write_vocabulary();
    gw_array(&w, "tokenizer.ggml.scores", GW_U8, 256);
    gw_raw(&w.keys, v.texts, 256);
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.scores: not an array of 32-bit floats");
}
END_TEST

START_TEST(entries_that_are_wrong)
{
    begin_bpe("gpt-2");
    v.types[7] = 77;
    write_vocabulary();
    refused(SPRAT_BAD_CONFIG, "tokenizer.ggml.token_type: token 7 has type 77, expected 1 to 6");
    begin_bpe("gpt-2");
    v.types[7] = -1;
    write_vocabulary();
    refused(SPRAT_BAD_CONFIG,
            "tokenizer.ggml.token_type: token 7 has type 4294967295, expected 1 to 6");
    static const char *const bytes[] = {"<0x-1>", "<0x1>",  "<0xGG>", "<0x+1>",
                                        "<0x 1>", "<0X11>", "<0x111>"};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        char message[128];
        begin_spm();
        add_token(bytes[i], BYTE);
        write_vocabulary();
        snprintf(message, sizeof message,
                 "tokenizer.ggml.tokens: byte token 259 is \"%s\", expected <0xXX>", bytes[i]);
        refused(SPRAT_BAD_CONFIG, message);
    }
    static const char *const merges[] = {"ab", "a ", "", " ", "abc "};
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        char message[128];
        begin_bpe("gpt-2");
        add_merge("a b");
        add_merge(merges[i]);
        write_vocabulary();
        snprintf(message, sizeof message,
                 "tokenizer.ggml.merges: merge 1 is \"%s\", expected two texts with a space "
                 "between them",
                 merges[i]);
        refused(SPRAT_BAD_CONFIG, message);
    }
}
END_TEST

/* Writes a BPE vocabulary of three tokens, with a fourth of len bytes of that type. */
static void write_long_token(const char *model, int32_t type, size_t len)
{
    static char text[3000];
    memset(text, 'x', sizeof text);
    gw_str(&w, "tokenizer.ggml.model", model);
    gw_array(&w, "tokenizer.ggml.tokens", GW_STRING, 4);
    gw_text(&w.keys, "a", 1);
    gw_text(&w.keys, "b", 1);
    gw_text(&w.keys, "x", 1);
    gw_text(&w.keys, text, len);
    gw_i32s(&w, "tokenizer.ggml.token_type", (int32_t[]){1, 1, 1, type}, 4);
    gw_strs(&w, "tokenizer.ggml.merges", NULL, 0);
}

START_TEST(texts_that_are_too_long)
{
    write_long_token("gpt2", CONTROL, 1025);
    ck_assert_int_eq(open_written(), SPRAT_BAD_CONFIG);
    ck_assert_ptr_null(tok);
    ck_assert_ptr_nonnull(strstr(err.message, "added token 3 "));
    ck_assert_ptr_nonnull(strstr(err.message, "has 1025 bytes, expected at most 1024"));
    again();
    write_long_token("llama", NORMAL, 1025);
    refused(SPRAT_BAD_CONFIG,
            "tokenizer.ggml.tokens: token 3 has 1025 bytes, expected at most 1024");
    write_long_token("gpt2", NORMAL, 3000);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    again();
    write_long_token("gpt2", CONTROL, 1024);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    static char text[1025];
    memset(text, 'x', sizeof text);
    encode(text, 1025, SPRAT_TEXT_TEMPLATE, 0);
    IDS_ARE(3, 2);
}
END_TEST

/* Merges of another vocabulary are refused before they fill memory. */
START_TEST(merges_of_another_vocabulary)
{
    begin_bpe("gpt-2");
    v.n_merges = 0;
    gw_str(&w, "tokenizer.ggml.model", "gpt2");
    gw_array(&w, "tokenizer.ggml.tokens", GW_STRING, v.n);
    for (size_t i = 0; i < v.n; i++)
        gw_text(&w.keys, v.texts[i], v.lens[i]);
    gw_array(&w, "tokenizer.ggml.merges", GW_STRING, 20000);
    for (unsigned i = 0; i < 20000; i++) {
        char text[16];
        gw_text(&w.keys, text, (size_t)snprintf(text, sizeof text, "%u b", i));
    }
    ck_assert_int_eq(open_written(), SPRAT_BAD_CONFIG);
    ck_assert_ptr_null(tok);
    ck_assert_ptr_nonnull(strstr(err.message, "another vocabulary's"));
    ck_assert_uint_le(mem.peak, 1 << 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_bad");
    TCase *tests = tcase_create("tokenizer_bad");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, arguments_are_checked);
    tcase_add_test(tests, every_allocation_may_fail);
    tcase_add_test(tests, kinds_that_are_not_known);
    tcase_add_test(tests, arrays_that_are_wrong);
    tcase_add_test(tests, entries_that_are_wrong);
    tcase_add_test(tests, texts_that_are_too_long);
    tcase_add_test(tests, merges_of_another_vocabulary);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
