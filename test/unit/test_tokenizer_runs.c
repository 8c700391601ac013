/* tokenizer: one character, repeated 16 million times, for characters of all classes: the work per
 * byte and the memory per byte stay under fixed bounds. Vocabularies: of $SPRAT_TEST_DATA/tokenizer
 * where that is set (16 million on deepseek-v3), else the committed ones (on deepseek-v4, which has
 * the same merges); shorter runs on the others, and everywhere under sanitizers. */
#include "run_suite.h"
#include "tokenizer_data.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RUNS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define RUNS_SANITIZED 1
#endif
#endif
#ifdef RUNS_SANITIZED
enum { RUNS_LONG = 40000, RUNS_SHORT = 4000 };
#else
enum { RUNS_LONG = 16 << 20, RUNS_SHORT = 1 << 18 };
#endif

/* What is repeated, and its class. */
static const struct run_atom {
    const char *text;
    size_t len;
} atoms[] = {
    {"a", 1},
    {"Z", 1}, /* letters */
    {"\xc3\xa9", 2},
    {"\xc5\xbf", 2}, /* é, long s */
    {"\xce\xb1", 2},
    {"\xd0\xb6", 2}, /* Greek, Cyrillic */
    {"\xd7\xa9", 2},
    {"\xd8\xb9", 2}, /* Hebrew, Arabic */
    {"\xe0\xa4\x95", 3},
    {"\xe0\xb8\x81", 3}, /* Devanagari, Thai */
    {"\xe4\xb8\xad", 3},
    {"\xe3\x81\x82", 3}, /* CJK, hiragana */
    {"\xe3\x82\xab", 3},
    {"\xed\x95\x9c", 3}, /* katakana, hangul */
    {"\xcc\x81", 2},
    {"\xef\xb8\x8f", 3}, /* combining mark, variation selector */
    {"0", 1},
    {"7", 1}, /* digits */
    {"\xc2\xbd", 2},
    {"\xf0\x9d\x9f\x98", 4}, /* other numbers */
    {".", 1},
    {"-", 1}, /* punctuation */
    {"'", 1},
    {"\xe3\x80\x82", 3}, /* apostrophe, ideographic stop */
    {"<", 1},
    {"$", 1}, /* symbols */
    {"\xef\xbd\x9c", 3},
    {"\xf0\x9f\x98\x80", 4}, /* full-width bar, emoji */
    {" ", 1},
    {"\t", 1}, /* spaces */
    {"\n", 1},
    {"\r", 1}, /* line ends */
    {"\xc2\xa0", 2},
    {"\xe3\x80\x80", 3}, /* no-break, ideographic space */
    {"\xe2\x80\x8d", 3},
    {"\0", 1}, /* zero-width joiner, NUL */
    {"\x7f", 1},
    {"\xee\x80\x80", 3}, /* DEL, private use */
    {"\xff", 1},
    {"\xe2\x82", 2}, /* no UTF-8 */
    {"\xe2\x96\x81", 3},
    {"\xf0\x90\x80", 3}, /* SPM's space, cut character */
};
enum { N_ATOMS = sizeof atoms / sizeof atoms[0] };

static struct sprat__mem mem;
static struct sprat__err err;

/* Each byte is joined at most once. A join looks at one block per level of the tree to find the
 * pair and, for each of three keys it changes, at one block per level above. */
static uint64_t most_merge_steps(size_t len)
{
    uint64_t levels = 1;
    for (size_t n = len / 16; n > 1; n /= 16)
        levels++;
    return (4 * levels + 6) * (uint64_t)len + 64;
}

static void check_run(const struct td_vocab *vocab, const char *name, size_t i, size_t n)
{
    const size_t len = n * atoms[i].len;
    char *text = malloc(len);
    ck_assert_ptr_nonnull(text);
    for (size_t k = 0; k < n; k++)
        memcpy(text + k * atoms[i].len, atoms[i].text, atoms[i].len);
    const struct sprat_segment segment = {text, len, SPRAT_TEXT_TEMPLATE, 0};
    struct sprat__tokenize_work work;
    size_t n_ids;
    sprat_status status = sprat__tokenize_counted(&n_ids, vocab->tokenizer, &mem, &segment, 1, 0,
                                                  NULL, 0, &work, &err);
    ck_assert_msg(status == SPRAT_BUFFER_TOO_SMALL || (status == SPRAT_OK && n_ids == 0),
                  "%s, atom %zu: %s", name, i, err.message);
    ck_assert_msg(work.scan_steps <= 24 * (uint64_t)len + 24, "%s, atom %zu: %llu scan steps", name,
                  i, (unsigned long long)work.scan_steps);
    ck_assert_msg(work.merge_steps <= most_merge_steps(len), "%s, atom %zu: %llu merge steps", name,
                  i, (unsigned long long)work.merge_steps);
    ck_assert_msg(work.scratch_bytes <= len / 10 * 83 + 17000, "%s, atom %zu: %zu bytes", name, i,
                  work.scratch_bytes);
    free(text);
}

static const char *folder(void)
{
    static char path[512];
    const char *given = getenv("SPRAT_TEST_DATA");
    if (!given)
        return SPRAT_TEST_GOLDEN "/tokenizer";
    snprintf(path, sizeof path, "%s/tokenizer", given);
    return path;
}

static void check_runs(const char *name, size_t first, size_t last, size_t n)
{
    struct td_vocab vocab;
    sprat__mem_init(&mem, NULL, 0);
    ck_assert_msg(td_open(&vocab, &mem, folder(), name), "%s is missing", name);
    for (size_t i = first; i < last; i++)
        check_run(&vocab, name, i, n);
    td_close(&vocab);
    ck_assert_uint_eq(mem.now, 0);
}

/* One test per atom, so that each has its own time limit. */
START_TEST(sixteen_million)
{
    check_runs(getenv("SPRAT_TEST_DATA") ? "deepseek-v3" : "deepseek-v4", (size_t)_i,
               (size_t)_i + 1, RUNS_LONG);
}
END_TEST

START_TEST(other_vocabularies)
{
    static const char *const names[] = {"smollm2",      "llama3.1",       "r1-qwen",
                                        "deepseek-llm", "deepseek-coder", "llama2-spm"};
    check_runs(names[_i], 0, N_ATOMS, RUNS_SHORT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_runs");
    TCase *tests = tcase_create("tokenizer_runs");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, sixteen_million, 0, N_ATOMS);
    tcase_add_loop_test(tests, other_vocabularies, 0, 6);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
