/* tokenizer: ids equal to the reference's, for every vocabulary and every chunk of the fixtures:
 * user text, template text, round trips. The fixtures are the committed ones, and those in
 * $SPRAT_TEST_DATA/tokenizer where that is set. */
#include "run_suite.h"
#include "tokenizer_data.h"

static struct sprat__mem mem;
static struct sprat__err err;

/* The first ones are committed; the last two have the texts and merges of others. */
static const char *const names[] = {"smollm2",     "deepseek-coder", "deepseek-llm", "deepseek-v4",
                                    "gpt2",        "llama2-spm",     "llama3.1",     "r1-qwen",
                                    "deepseek-v3", "qwen3"};
enum { N_NAMES = sizeof names / sizeof names[0], N_COMMITTED = N_NAMES - 2 };

static size_t encode(const struct td_vocab *vocab, const struct td_chunk *chunk, uint32_t kind,
                     sprat_token *ids, size_t capacity)
{
    const struct sprat_segment segment = {chunk->text, chunk->len, kind, 0};
    size_t n;
    ck_assert_int_eq(
        sprat__tokenize(&n, vocab->tokenizer, &mem, &segment, 1, 0, ids, capacity, &err), SPRAT_OK);
    return n;
}

static size_t decode(const struct td_vocab *vocab, const sprat_token *ids, size_t n, char *out,
                     size_t capacity)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += sprat__token_bytes(vocab->tokenizer, ids[i], SPRAT_DETOKENIZE_SPECIAL, i == 0,
                                  out + len, capacity - len);
    ck_assert_uint_le(len, capacity);
    return len;
}

/* What the reference cannot write, its vocabulary lacks: the bytes dropped. */
static bool lacks(const char *name, unsigned char byte)
{
    if (strcmp(name, "smollm2") == 0)
        return memchr("\x04\x06\x13\x14\x16\x1d\xc0\xc1\xf1\xf2", byte, 10) || byte >= 0xf5;
    if (strncmp(name, "deepseek-llm", 12) == 0 || strncmp(name, "deepseek-coder", 14) == 0)
        return byte == 0xc0 || byte == 0xc1 || byte >= 0xf5;
    return false;
}

/* detokenize(ids) is the text without the bytes that the vocabulary lacks; for SPM, U+2581 has
 * become a space. */
static void check_round_trip(const char *name, const struct td_vocab *vocab, size_t number,
                             const struct td_chunk *chunk, const sprat_token *ids, size_t n,
                             char *room, char *wanted, size_t capacity)
{
    const bool spm = strcmp(name, "llama2-spm") == 0;
    size_t len = 0;
    for (size_t i = 0; i < chunk->len; i++) {
        if (spm && chunk->len - i >= 3 && memcmp(chunk->text + i, "\xe2\x96\x81", 3) == 0) {
            wanted[len++] = ' ';
            i += 2;
        } else if (!lacks(name, (unsigned char)chunk->text[i])) {
            wanted[len++] = chunk->text[i];
        }
    }
    const size_t got = decode(vocab, ids, n, room, capacity);
    ck_assert_msg(got == len && memcmp(room, wanted, len) == 0, "%s chunk %zu: round trip", name,
                  number);
}

/* Compares a chunk's ids with the first row of those sets that is there. */
static void check_row(const char *name, size_t number, const struct td_row rows[TD_SETS],
                      const int *sets, const sprat_token *ids, size_t n)
{
    int i = 0;
    while (sets[i] != TD_PLAIN && !rows[sets[i]].there)
        i++;
    const struct td_row *row = &rows[sets[i]];
    if (!row->there) /* the vocabulary has no row for this chunk */
        return;
    ck_assert_msg(n == row->n_tokens && td_hash(ids, n) == row->hash,
                  "%s chunk %zu set %d: %zu ids, expected %zu", name, number, sets[i], n,
                  row->n_tokens);
}

static void check_vocabulary(const char *folder, const char *name, const struct td_corpus *corpus)
{
    static const int template_sets[] = {TD_RAW_SPECIAL, TD_SPECIAL, TD_RAW, TD_PLAIN};
    static const int plain_sets[] = {TD_RAW, TD_PLAIN};
    static const int letter_sets[] = {TD_USER, TD_PLAIN};
    const bool letters = strstr(name, "deepseek-llm") || strstr(name, "deepseek-coder");
    struct td_vocab vocab;
    ck_assert_msg(td_open(&vocab, &mem, folder, name), "%s is missing", name);
    struct td_row(*rows)[TD_SETS] = td_open_rows(folder, name, corpus->n_chunks);
    ck_assert_ptr_nonnull(rows);
    const size_t capacity = 1 << 18;
    sprat_token *ids = malloc(capacity * sizeof *ids);
    char *room = malloc(capacity), *wanted = malloc(capacity);
    for (size_t i = 0; i < corpus->n_chunks; i++) {
        const struct td_chunk *chunk = &corpus->chunks[i];
        ck_assert_uint_lt(chunk->len, capacity);
        size_t n = encode(&vocab, chunk, SPRAT_TEXT_USER, ids, capacity);
        check_row(name, i, rows[i], letters ? letter_sets : plain_sets, ids, n);
        check_round_trip(name, &vocab, i, chunk, ids, n, room, wanted, capacity);
        /* Without added tokens in it, the same text again: now and then is enough. */
        if (!rows[i][TD_SPECIAL].there && i % 4 != 0)
            continue;
        n = encode(&vocab, chunk, SPRAT_TEXT_TEMPLATE, ids, capacity);
        check_row(name, i, rows[i], template_sets, ids, n);
        /* SPM has put spaces behind the added tokens; without any, the ids are those of before. */
        if (rows[i][TD_SPECIAL].there && strcmp(name, "llama2-spm") != 0)
            check_round_trip(name, &vocab, i, chunk, ids, n, room, wanted, capacity);
    }
    free(ids);
    free(room);
    free(wanted);
    free(rows);
    td_close(&vocab);
}

static void check_folder(const char *folder, const char *name)
{
    struct td_corpus corpus = td_open_corpus(folder);
    sprat__mem_init(&mem, NULL, 0);
    check_vocabulary(folder, name, &corpus);
    td_close_corpus(&corpus);
    ck_assert_uint_eq(mem.now, 0);
}

static const char *given_folder(void)
{
    static char folder[512];
    if (!getenv("SPRAT_TEST_DATA"))
        return NULL;
    snprintf(folder, sizeof folder, "%s/tokenizer", getenv("SPRAT_TEST_DATA"));
    return folder;
}

static bool same_file(const char *name, const char *end)
{
    char file[128];
    snprintf(file, sizeof file, "%s%s", name, end);
    struct td_bytes a = td_read(SPRAT_TEST_GOLDEN "/tokenizer", file);
    struct td_bytes b = td_read(given_folder(), file);
    const bool same = a.data && b.data && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
    free(a.data);
    free(b.data);
    return same;
}

/* What is given with the same bytes is checked by given_fixtures, once. */
START_TEST(committed_fixtures)
{
    const char *name = names[_i];
    if (given_folder() && same_file(name, ".vocab.gguf") && same_file(name, ".expect.txt") &&
        same_file("corpus", ".txt") && same_file("corpus", ".bin"))
        return;
    check_folder(SPRAT_TEST_GOLDEN "/tokenizer", name);
}
END_TEST

START_TEST(given_fixtures)
{
    check_folder(given_folder(), names[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_data");
    TCase *tests = tcase_create("tokenizer_data");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, committed_fixtures, 0, N_COMMITTED);
    if (given_folder())
        tcase_add_loop_test(tests, given_fixtures, 0, N_NAMES);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
