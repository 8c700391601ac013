/* tokenizer: merging, segments and added tokens, SPM, the way back, on vocabularies made in code.
 * Pre-tokenisers are in test_tokenizer_split.c, wrong vocabularies and short memory in
 * test_tokenizer_bad.c, equality with the reference on real vocabularies in test_tokenizer_data.c,
 * work and memory on long runs in test_tokenizer_runs.c. */
#include "run_suite.h"
#include "made_vocab.h"

#include <math.h>

/* ---- merging --------------------------------------------------------------------------------- */

START_TEST(lowest_rank_first_then_leftmost)
{
    begin_bpe("gpt-2");
    const sprat_token bc = add_token("bc", NORMAL), ab = add_token("ab", NORMAL);
    const sprat_token aa = add_token("aa", NORMAL), abc = add_token("abc", NORMAL);
    add_merge("b c");
    add_merge("a b");
    add_merge("a a");
    add_merge("a bc");
    add_merge("a b"); /* the first of two equal merges counts */
    finish();
    encode_user("abc");
    IDS_ARE(abc);
    encode_user("bab");
    IDS_ARE('b', ab);
    encode_user("aaa");
    IDS_ARE(aa, 'a');
    encode_user("aaaaa");
    IDS_ARE(aa, aa, 'a');
    encode_user("aabbc");
    IDS_ARE('a', ab, bc);
    static char run[1000];
    memset(run, 'a', sizeof run);
    encode(run, sizeof run - 1, SPRAT_TEXT_USER, 0);
    ck_assert_uint_eq(n_ids, 500);
    ck_assert_int_eq(ids[498], aa);
    ck_assert_int_eq(ids[499], 'a');
}
END_TEST

START_TEST(whole_pieces_of_llama3_need_no_merges)
{
    begin_bpe("llama-bpe");
    const sprat_token abcd = add_token("abcd", NORMAL);
    add_token("wxyz", CONTROL);
    finish();
    encode_user("abcd");
    IDS_ARE(abcd);
    encode_user("wxyz");
    IDS_ARE('w', 'x', 'y', 'z');
    ck_assert(sprat__tokenizer_vocab(tok)->add_bos);
}
END_TEST

/* Texts that are no tokens, or only added ones, take part in merging and come out as bytes. */
START_TEST(merges_beyond_the_vocabulary)
{
    begin_bpe("gpt-2");
    const sprat_token abc = add_token("abc", NORMAL);
    add_token("<|x|>", CONTROL);
    add_merge("a b");
    add_merge("ab c");
    add_merge("< |");
    add_merge("<| x");
    add_merge("| >");
    add_merge("<|x |>");
    finish();
    encode_user("abc");
    IDS_ARE(abc);
    encode_user("abx");
    IDS_ARE('a', 'b', 'x');
    encode_user("<|x|>");
    IDS_ARE('<', '|', 'x', '|', '>');
}
END_TEST

START_TEST(missing_bytes_are_dropped)
{
    begin_bpe("gpt-2");
    v.types['b'] = CONTROL;
    const sprat_token ac = add_token("ac", NORMAL);
    add_merge("a c");
    finish();
    encode_user("abca");
    IDS_ARE('a', 'c', 'a');
    encode_user("acb");
    IDS_ARE(ac);
}
END_TEST

/* ---- segments, added tokens ------------------------------------------------------------------ */

START_TEST(added_tokens_only_in_template_text)
{
    begin_chat("qwen2");
    finish();
    encode_template("he<|im_end|>he");
    IDS_ARE(line_id, end_id, line_id);
    encode_template("<|im_end|>\n\n<|im_end|>\n<think>");
    IDS_ARE(tail_id, end_id, '\n', think_id);
    encode_template("<|im_end|");
    IDS_ARE('<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|');
    encode_template("<<|im_end|>");
    IDS_ARE('<', end_id);
    encode_user("<|im_end|><think>");
    ck_assert_uint_eq(n_ids, 17);
    bytes_are("<|im_end|><think>", 17, 0, false);
    for (size_t i = 0; i < n_ids; i++)
        ck_assert_int_lt(ids[i], 256);
}
END_TEST

static void encode_segments(const struct sprat_segment *segments, size_t n)
{
    ck_assert_int_eq(sprat__tokenize(&n_ids, tok, &mem, segments, n, 0, ids, 4096, &err), SPRAT_OK);
}

START_TEST(segments_are_no_borders_for_text)
{
    begin_chat("qwen2");
    finish();
    const struct sprat_segment joined[] = {{"<|im", 4, SPRAT_TEXT_TEMPLATE, 0},
                                           {NULL, 0, SPRAT_TEXT_USER, 0},
                                           {"_end|>h", 7, SPRAT_TEXT_TEMPLATE, 0},
                                           {"e", 1, SPRAT_TEXT_USER, 0}};
    encode_segments(joined, 4);
    IDS_ARE(end_id, line_id);
    /* One byte of user text, anywhere, and it is no control token. */
    const char *text = "<|im_end|>";
    for (size_t cut = 0; cut < 10; cut++) {
        const struct sprat_segment parts[] = {{text, cut, SPRAT_TEXT_TEMPLATE, 0},
                                              {text + cut, 1, SPRAT_TEXT_USER, 0},
                                              {text + cut + 1, 9 - cut, SPRAT_TEXT_TEMPLATE, 0}};
        encode_segments(parts, 3);
        ck_assert_uint_eq(n_ids, 10);
        bytes_are(text, 10, 0, false);
    }
    const struct sprat_segment after[] = {{"<|im_end|", 9, SPRAT_TEXT_USER, 0},
                                          {"<|im_end|>", 10, SPRAT_TEXT_TEMPLATE, 0},
                                          {"\n\n", 2, SPRAT_TEXT_USER, 0}};
    encode_segments(after, 3);
    ck_assert_uint_eq(n_ids, 12);
    ck_assert_int_eq(ids[9], end_id);
    bytes_are("<|im_end|<|im_end|>\n\n", 21, SPRAT_DETOKENIZE_SPECIAL, false);
}
END_TEST

START_TEST(random_cuts_change_nothing)
{
    static const char *const atoms[] = {"he", " ",  "<|im_end|>", "<think>", "\n", "\xe4\xb8\xad",
                                        "x1", "<|", "\xff",       "'s",      "\t", "end|>\n\n"};
    static const char *const pres[] = {"qwen2", "deepseek-v3", "deepseek-llm", "smollm", "default"};
    for (size_t p = 0; p < 5; p++) {
        begin_chat(pres[p]);
        finish();
        for (int round = 0; round < 300; round++) {
            char text[400];
            size_t len = 0;
            while (len < 300)
                len += (size_t)snprintf(text + len, sizeof text - len, "%s",
                                        atoms[random_below(sizeof atoms / sizeof atoms[0])]);
            const uint32_t kind = random_below(2);
            encode(text, len, kind, 0);
            static sprat_token whole[4096];
            const size_t n_whole = n_ids;
            memcpy(whole, ids, n_ids * sizeof *ids);
            struct sprat_segment parts[400];
            size_t n = 0;
            for (size_t at = 0; at < len; n++) {
                const size_t step = random_below(2) ? random_below(4) : random_below(40);
                parts[n] =
                    (struct sprat_segment){text + at, step < len - at ? step : len - at, kind, 0};
                at += parts[n].len;
                if (n == 398)
                    parts[++n] = (struct sprat_segment){text + at, len - at, kind, 0}, at = len;
            }
            encode_segments(parts, n);
            ck_assert_uint_eq(n_ids, n_whole);
            ck_assert_mem_eq(ids, whole, n_ids * sizeof *ids);
        }
        again();
    }
}
END_TEST

START_TEST(letters_of_deepseek_llm)
{
    begin_bpe("deepseek-llm");
    v.types[0xf8] = USER_DEFINED; /* its text is the letter that stands for the byte */
    const sprat_token think = add_token("<think>", USER_DEFINED);
    finish();
    encode_user("a\xc3\xb8<think>");
    ck_assert_uint_eq(n_ids, 9);
    ck_assert_int_eq(ids[1], 0xf8);
    bytes_are("a\xc3\xb8<think>", 10, 0, false);
    encode_template("\xc3\xb8<think>");
    IDS_ARE(0xf8, think);
    const struct sprat_segment parts[] = {{"\xc3", 1, SPRAT_TEXT_USER, 0},
                                          {"\xb8", 1, SPRAT_TEXT_TEMPLATE, 0}};
    encode_segments(parts, 2);
    IDS_ARE(0xf8);
    encode_user("\xf8"); /* the byte has no token */
    ck_assert_uint_eq(n_ids, 0);
    again();
    begin_bpe("deepseek-coder");
    v.types[0xf8] = USER_DEFINED;
    finish();
    encode_user("\xc3\xb8");
    IDS_ARE(0xf8);
    again();
    begin_bpe("qwen2");
    v.types[0xf8] = USER_DEFINED;
    finish();
    encode_user("\xc3\xb8");
    IDS_ARE(0xc3, 0xb8);
}
END_TEST

static uint32_t type_of(sprat_token id)
{
    const char *text;
    size_t len;
    uint32_t type;
    float score;
    sprat__token(tok, id, &text, &len, &type, &score);
    ck_assert_uint_eq(len, v.lens[id]);
    ck_assert_mem_eq(text, v.texts[id], len);
    return type;
}

START_TEST(types_are_put_right)
{
    begin_bpe("qwen2");
    static const struct {
        const char *text;
        uint32_t type;
    } rows[] = {
        {"[PAD256]", UNUSED},
        {"[PAD0]", USER_DEFINED},
        {"[PAD]", USER_DEFINED},
        {"<|User|>", CONTROL},
        {"<" BAR "User" BAR ">", CONTROL},
        {"<" BAR "/table>" BAR, USER_DEFINED},
        {"<pad>", CONTROL},
        {"<think>", USER_DEFINED},
        {"<|>", USER_DEFINED},
        {"", UNUSED},
        {"[PAD26x]", USER_DEFINED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        add_token(rows[i].text, USER_DEFINED);
    finish();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_uint_eq(type_of((sprat_token)(256 + i)), rows[i].type);
    ck_assert_int_eq(sprat__token_find(tok, "<think>", 7), 263);
    ck_assert_int_eq(sprat__token_find(tok, "<think", 6), -1);
    ck_assert_int_eq(sprat__token_find(tok, "", 0), -1);
    encode_template("[PAD256]");
    ck_assert_uint_eq(n_ids, 8);
}
END_TEST

START_TEST(of_equal_texts_the_first_counts)
{
    begin_bpe("qwen2");
    const sprat_token first = add_token("<a>", CONTROL);
    add_token("<a>", USER_DEFINED);
    add_token("a", NORMAL);
    finish();
    encode_template("a<a>b");
    IDS_ARE('a', first, 'b');
}
END_TEST

START_TEST(bos_comes_once)
{
    begin_chat("qwen2");
    const sprat_token bos = add_token("<bos>", CONTROL);
    write_vocabulary();
    gw_u32(&w, "tokenizer.ggml.bos_token_id", (uint32_t)bos);
    gw_bool(&w, "tokenizer.ggml.add_bos_token", 1);
    gw_u32(&w, "tokenizer.ggml.eos_token_id", 100000);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_int_eq(sprat__tokenizer_vocab(tok)->eos, -1);
    encode("he", 2, SPRAT_TEXT_TEMPLATE, SPRAT_TOKENIZE_BOS);
    IDS_ARE(bos, line_id);
    encode("he", 2, SPRAT_TEXT_TEMPLATE, 0);
    IDS_ARE(line_id);
    encode("", 0, SPRAT_TEXT_TEMPLATE, SPRAT_TOKENIZE_BOS);
    IDS_ARE(bos);
    encode("<bos>he", 7, SPRAT_TEXT_TEMPLATE, SPRAT_TOKENIZE_BOS);
    IDS_ARE(bos, line_id);
    encode("<bos>", 5, SPRAT_TEXT_USER, SPRAT_TOKENIZE_BOS);
    IDS_ARE(bos, '<', 'b', 'o', 's', '>');
    encode("<think><bos>", 12, SPRAT_TEXT_TEMPLATE, SPRAT_TOKENIZE_BOS);
    IDS_ARE(bos, think_id, bos);
    again();
    begin_chat("qwen2"); /* asked for, but there is none */
    write_vocabulary();
    gw_bool(&w, "tokenizer.ggml.add_bos_token", 1);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    encode("he", 2, SPRAT_TEXT_USER, SPRAT_TOKENIZE_BOS);
    IDS_ARE(line_id);
}
END_TEST

START_TEST(tokens_that_end_a_turn)
{
    begin_chat("qwen2");
    const sprat_token slash = add_token("</s>", NORMAL), eot = add_token("<|eot_id|>", CONTROL);
    const sprat_token eos = add_token("<eos>", CONTROL), pad = add_token("<|fim_pad|>", CONTROL);
    const sprat_token deep = add_token("<" BAR "end" LINE "of" LINE "sentence" BAR ">", CONTROL);
    write_vocabulary();
    gw_u32(&w, "tokenizer.ggml.eos_token_id", (uint32_t)eos);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert(sprat__token_is_end(tok, eos));
    ck_assert(sprat__token_is_end(tok, eot));
    ck_assert(sprat__token_is_end(tok, pad));
    ck_assert(sprat__token_is_end(tok, deep));
    ck_assert(sprat__token_is_end(tok, end_id));
    ck_assert(!sprat__token_is_end(tok, slash));
    ck_assert(!sprat__token_is_end(tok, think_id));
    ck_assert(!sprat__token_is_end(tok, 'a'));
}
END_TEST

/* ---- SPM, detokeniser ------------------------------------------------------------------------ */

START_TEST(spm_merges_by_score)
{
    begin_spm();
    add_piece(LINE, -10);
    add_piece("a", -11);
    add_piece("b", -12);
    add_piece("ab", -2);
    add_piece(LINE "a", -1);
    add_piece("bb", -3);
    add_piece("bbb", -3);
    finish();
    encode_user("ab");
    IDS_ARE(263, 261); /* _a b: the best score wins over what is left of it */
    encode_user("xab");
    IDS_ARE(259, 3 + 'x', 262);
    encode_user("bbbb");
    IDS_ARE(259, 265, 261); /* equal scores: bb at the left, then bbb before bb */
    encode_user("\xc3\xa9\xff");
    IDS_ARE(259, 3 + 0xc3, 3 + 0xa9, 3 + 0xff);
    encode_user("");
    ck_assert_uint_eq(n_ids, 0);
    encode_template("<s>a</s>");
    IDS_ARE(1, 263, 2);
    encode_user("<s>");
    IDS_ARE(259, 3 + '<', 3 + 's', 3 + '>');
    encode_user("<0x41>");
    ck_assert_int_eq(ids[1], 3 + '<');
    ck_assert(sprat__tokenizer_vocab(tok)->add_bos);
    ck_assert_int_eq(sprat__tokenizer_vocab(tok)->bos, 1);
    ck_assert_int_eq(sprat__tokenizer_vocab(tok)->eos, 2);
    ck_assert(sprat__token_is_end(tok, 2));
}
END_TEST

START_TEST(spm_scores_have_a_total_order)
{
    static const struct {
        float ab, bc;
        bool left;
    } rows[] = {{-0.0f, 0.0f, true},      {0.0f, -0.0f, true},     {-1.0f, -0.5f, false},
                {-1.0f, -INFINITY, true}, {NAN, -INFINITY, false}, {NAN, NAN, true},
                {1.0f, INFINITY, false},  {2.0f, 1.0f, true},      {-3e-45f, 1e-45f, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin_spm();
        add_piece(LINE, -10);
        add_piece("ab", rows[i].ab);
        add_piece("bc", rows[i].bc);
        finish();
        encode_user("abc");
        if (rows[i].left)
            IDS_ARE(259, 260, 3 + 'c');
        else
            IDS_ARE(259, 3 + 'a', 261);
        again();
    }
}
END_TEST

START_TEST(spm_spaces_inside_tokens)
{
    begin_spm();
    add_piece(LINE, -10);
    add_piece("a", -11);
    add_piece("a" LINE, -1);
    write_vocabulary();
    gw_bool(&w, "tokenizer.ggml.add_space_prefix", 0);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    encode_user("a a");
    IDS_ARE(261, 260);
    encode_user(" a" LINE);
    IDS_ARE(259, 261);
    bytes_are(" a ", 3, 0, true); /* no space was put, none is dropped */
}
END_TEST

START_TEST(spm_without_byte_tokens)
{
    memset(&v, 0, sizeof v);
    v.model = "llama";
    add_token("<unk>", UNKNOWN);
    add_piece(LINE, -1);
    finish();
    encode_user("\xe4\xb8\xad");
    IDS_ARE(1, 0);
    again();
    memset(&v, 0, sizeof v);
    v.model = "llama";
    add_token("</s>", CONTROL); /* taken for unknown, as the file names none */
    add_piece(LINE, -1);
    finish();
    encode_user("\xe4\xb8\xad");
    IDS_ARE(1);
}
END_TEST

START_TEST(tokens_become_bytes)
{
    begin_bpe("gpt-2");
    const sprat_token raw = add_token("\xe4\xb8\xad!", NORMAL);
    const sprat_token control = add_token("<|c|>", CONTROL);
    const sprat_token user = add_token("\xc3\xb8", USER_DEFINED);
    const sprat_token pad = add_token("[PAD259]", UNUSED);
    const sprat_token byte = add_token("<0xC0>", BYTE);
    finish();
    for (sprat_token id = 0; id < 256; id++) {
        char out[4];
        ck_assert_uint_eq(sprat__token_bytes(tok, id, 0, false, out, 4), 1);
        ck_assert_int_eq((unsigned char)out[0], id);
    }
    n_ids = 0;
    ids[n_ids++] = raw;
    ids[n_ids++] = control;
    ids[n_ids++] = user;
    ids[n_ids++] = pad;
    ids[n_ids++] = byte;
    bytes_are("\xe4\xb8\xad!\xc3\xb8\xc0", 7, 0, false);
    bytes_are("\xe4\xb8\xad!<|c|>\xc3\xb8\xc0", 12, SPRAT_DETOKENIZE_SPECIAL, false);
    char out[3] = "xxx";
    ck_assert_uint_eq(sprat__token_bytes(tok, control, SPRAT_DETOKENIZE_SPECIAL, false, out, 2), 5);
    ck_assert_mem_eq(out, "<|x", 3);
    ck_assert_uint_eq(sprat__token_bytes(tok, raw, 0, false, NULL, 0), 4);
}
END_TEST

START_TEST(spm_start_drops_one_space)
{
    begin_spm();
    add_piece(LINE, -10);
    add_piece(LINE LINE "a", -1);
    finish();
    n_ids = 1;
    ids[0] = 260;
    bytes_are("  a", 3, 0, false);
    bytes_are(" a", 2, 0, true);
    ids[0] = 3 + ' ';
    bytes_are(" ", 1, 0, true); /* a byte token is no space that was put */
}
END_TEST

START_TEST(open_characters)
{
    static const struct {
        const char *text;
        size_t len, open;
    } rows[] = {
        {"", 0, 0},
        {"a", 1, 0},
        {"\xc3", 1, 1},
        {"\xc3\xa9", 2, 0},
        {"\xe2", 1, 1},
        {"\xe2\x82", 2, 2},
        {"\xe2\x82\xac", 3, 0},
        {"x\xf0\x9f\x98", 4, 3},
        {"\xf0\x9f", 2, 2},
        {"\xff", 1, 0},
        {"\x80", 1, 0},
        {"\x80\x80\x80", 3, 0},
        {"\xc1", 1, 0},
        {"\xe0\x80", 2, 0},
        {"\xed\xa0", 2, 0},
        {"\xf0\x80", 2, 0},
        {"\xf4\x90", 2, 0},
        {"\xf4\x8f\xbf", 3, 3},
        {"\xf5", 1, 0},
        {"\xe2\x82\x41", 3, 0},
        {"\xc3\x80\x80", 3, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(sprat__utf8_open(rows[i].text, rows[i].len) == rows[i].open, "row %zu", i);
}
END_TEST

START_TEST(random_bytes_come_back)
{
    static const char *const pres[] = {"default",      "gpt-2",          "smollm",     "llama3",
                                       "deepseek-llm", "deepseek-coder", "deepseek-v3"};
    for (int p = -1; p < 7; p++) {
        if (p < 0) {
            begin_spm();
            add_piece(LINE, -1);
            add_piece("e", -3);
            add_piece(LINE "e", -2);
        } else {
            begin_chat(pres[p]);
        }
        finish();
        for (int round = 0; round < 200; round++) {
            char text[200];
            const size_t len = random_below(sizeof text);
            const bool ascii = random_below(2);
            for (size_t i = 0; i < len; i++)
                text[i] = (char)(ascii ? random_below(128) : random_below(256));
            encode(text, len, random_below(2), 0);
            bytes_are(text, len, SPRAT_DETOKENIZE_SPECIAL, true);
        }
        again();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *tests = tcase_create("tokenizer");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, lowest_rank_first_then_leftmost);
    tcase_add_test(tests, whole_pieces_of_llama3_need_no_merges);
    tcase_add_test(tests, merges_beyond_the_vocabulary);
    tcase_add_test(tests, missing_bytes_are_dropped);
    tcase_add_test(tests, added_tokens_only_in_template_text);
    tcase_add_test(tests, segments_are_no_borders_for_text);
    tcase_add_test(tests, random_cuts_change_nothing);
    tcase_add_test(tests, letters_of_deepseek_llm);
    tcase_add_test(tests, types_are_put_right);
    tcase_add_test(tests, of_equal_texts_the_first_counts);
    tcase_add_test(tests, bos_comes_once);
    tcase_add_test(tests, tokens_that_end_a_turn);
    tcase_add_test(tests, spm_merges_by_score);
    tcase_add_test(tests, spm_scores_have_a_total_order);
    tcase_add_test(tests, spm_spaces_inside_tokens);
    tcase_add_test(tests, spm_without_byte_tokens);
    tcase_add_test(tests, tokens_become_bytes);
    tcase_add_test(tests, spm_start_drops_one_space);
    tcase_add_test(tests, open_characters);
    tcase_add_test(tests, random_bytes_come_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
