/* tokenizer: classes of code points, pre-tokenisers, and the order of merging, each by itself. */
#include "tokenizer/merge.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"
#include "tokenizer/vocab.h"

#include "run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct sprat__mem mem;
static struct sprat__err err;

static uint32_t random_state;
static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static void set_up(void)
{
    sprat__mem_init(&mem, NULL, 0);
    random_state = 12345;
}

static void tear_down(void)
{
    ck_assert_uint_eq(mem.now, 0);
}

/* ---- Unicode, pre-tokenisers ----------------------------------------------------------------- */

START_TEST(classes_of_code_points)
{
    static const struct {
        uint32_t point, bits;
    } rows[] = {
        {'A', SPRAT__UNI_LETTER | SPRAT__UNI_CASED},
        {'7', SPRAT__UNI_NUMBER | SPRAT__UNI_DIGIT},
        {'$', SPRAT__UNI_SYMBOL},
        {'!', SPRAT__UNI_PUNCTUATION},
        {'\n', SPRAT__UNI_SPACE},
        {0, 0},
        {0xa0, SPRAT__UNI_SPACE},
        {0x301, SPRAT__UNI_MARK},
        {0x660, SPRAT__UNI_NUMBER | SPRAT__UNI_DIGIT},
        {0x4e2d, SPRAT__UNI_LETTER},
        {0x200d, 0},
        {0x2581, SPRAT__UNI_SYMBOL},
        {0xff5c, SPRAT__UNI_SYMBOL},
        {0xfffd, SPRAT__UNI_SYMBOL},
        {0x1ccf0, SPRAT__UNI_NUMBER | SPRAT__UNI_DIGIT}, /* new in Unicode 16 */
        {0x11de0, SPRAT__UNI_DIGIT},                     /* new in Unicode 17 */
        {0x323af, SPRAT__UNI_LETTER},
        {0xe0100, SPRAT__UNI_MARK},
        {0xe01ef, SPRAT__UNI_MARK},
        {0xe01f0, 0},
        {0x10ffff, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(sprat__unicode_class(rows[i].point) == rows[i].bits, "U+%04X: %x",
                      rows[i].point, sprat__unicode_class(rows[i].point));
}
END_TEST

START_TEST(decoding_takes_valid_utf8_only)
{
    static const struct {
        const char *bytes;
        size_t left;
        uint32_t len, point;
    } rows[] = {
        {"a", 1, 1, 'a'},
        {"\xc3\xa9", 2, 2, 0xe9},
        {"\xc3\xa9", 1, 1, 0xfffd},
        {"\xc1\xbf", 2, 1, 0xfffd},
        {"\xe2\x82\xac", 3, 3, 0x20ac},
        {"\xe2\x82\xac", 2, 1, 0xfffd},
        {"\xe0\x9f\xbf", 3, 1, 0xfffd},
        {"\xed\xa0\x80", 3, 1, 0xfffd},
        {"\xf0\x9f\x98\x80", 4, 4, 0x1f600},
        {"\xf0\x8f\xbf\xbf", 4, 1, 0xfffd},
        {"\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff},
        {"\xf4\x90\x80\x80", 4, 1, 0xfffd},
        {"\xf5\x80\x80\x80", 4, 1, 0xfffd},
        {"\x80", 1, 1, 0xfffd},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t point;
        const uint32_t len =
            sprat__utf8_decode((const uint8_t *)rows[i].bytes, rows[i].left, &point);
        ck_assert_msg(len == rows[i].len && point == rows[i].point, "row %zu: %u, U+%04X", i, len,
                      point);
    }
}
END_TEST

/* The pieces of a text, with bars between them. */
static void pieces_are(enum sprat__split_kind kind, const char *text, const char *wanted)
{
    char got[256];
    size_t n = 0, begin, end;
    struct sprat__split split = {.steps = 0};
    sprat__split_begin(&split, kind, (const uint8_t *)text, 0, strlen(text));
    while (sprat__split_next(&split, &begin, &end)) {
        if (n)
            got[n++] = '#';
        memcpy(got + n, text + begin, end - begin);
        n += end - begin;
    }
    got[n] = '\0';
    ck_assert_str_eq(got, wanted);
}

/* The pieces that the reference's splitters give for the four patterns of "default", which no
 * vocabulary of the fixtures uses. */
START_TEST(pieces_of_default)
{
    static const char *const rows[][2] = {
        {"Hello, world!", "Hello#,# world#!"},
        {"it's 12345 o'clock", "it#'#s# #123#45# o#'#clock"},
        {"a  b   c ", "a# # b#  # c# "},
        {"x=1234567;", "x#=#123#456#7#;"},
        {"\t5 \n\n x", "\t#5# \n\n# x"},
        {"\xe2\x82\xac"
         "50 `code` ~/a_b",
         "\xe2\x82\xac#50# `#code#`# #~/#a#_#b"},
        {"\xef\xbc\x91\xef\xbc\x92 12345 \xc2\xbd", "\xef\xbc\x91\xef\xbc\x92# #123#45# #\xc2\xbd"},
        {"...---...", "...---..."},
        {"\xc3\xa9\xcc\x81"
         "a",
         "\xc3\xa9#\xcc\x81#a"},
        {"  ", "  "},
        {"$+<=>^~|!", "$+<=>^~|!"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        pieces_are(SPRAT__SPLIT_DEFAULT, rows[i][0], rows[i][1]);
    pieces_are(SPRAT__SPLIT_QWEN2, "I'LL it'\xc5\xbfx 12\t3\n\n a",
               "I#'LL# it#'\xc5\xbf#x# #1#2#\t#3#\n\n# a");
    pieces_are(SPRAT__SPLIT_QWEN2, "a  b", "a# # b");
    pieces_are(SPRAT__SPLIT_GPT2, "I'll I'LL", "I#'ll# I#'#LL");
    pieces_are(SPRAT__SPLIT_DEEPSEEK_V3, "x(ab 1234 $!\n", "x#(ab# #123#4# $!\n");
}
END_TEST

/* Pieces follow each other from end to end, and the work is linear, for any mixture of classes. */
START_TEST(pieces_tile_any_text)
{
    static const char *const atoms[] = {"a",
                                        "Z",
                                        "\xc3\xa9",
                                        "7",
                                        "\xc2\xbd",
                                        " ",
                                        "\t",
                                        "\n",
                                        "\r",
                                        "\xc2\xa0",
                                        "'",
                                        "s",
                                        "$",
                                        ".",
                                        "\xe4\xb8\xad",
                                        "\xff",
                                        "\xe2\x80\x8d",
                                        "\xe3\x80\x80",
                                        "\xcc\x81",
                                        "\xe3\x81\x82",
                                        "\x01",
                                        "\xe2\x82",
                                        "\xf0\x9f\x98\x80"};
    static char text[4096];
    for (int round = 0; round < 4000; round++) {
        const enum sprat__split_kind kind = (enum sprat__split_kind)(round % SPRAT__N_SPLITS);
        const uint32_t n_kinds = 1 + random_below(4);
        const char *chosen[4];
        for (uint32_t i = 0; i < n_kinds; i++)
            chosen[i] = atoms[random_below(sizeof atoms / sizeof atoms[0])];
        size_t len = 0;
        const size_t want = 1 + random_below(round % 50 == 0 ? 4000 : 60);
        while (len < want) {
            const char *atom = chosen[random_below(n_kinds)];
            memcpy(text + len, atom, strlen(atom));
            len += strlen(atom);
        }
        struct sprat__split split = {.steps = 0};
        size_t at = 0, begin, end;
        sprat__split_begin(&split, kind, (const uint8_t *)text, 0, len);
        while (sprat__split_next(&split, &begin, &end)) {
            ck_assert_uint_eq(begin, at);
            ck_assert_uint_gt(end, begin);
            at = end;
        }
        ck_assert_uint_eq(at, len);
        ck_assert_uint_le(split.steps, 24 * len + 24);
    }
}
END_TEST

/* ---- merging --------------------------------------------------------------------------------- */

/* A made-up rule: pairs have keys by a hash, with many ties and orders no training would give. */
struct made_up {
    uint32_t seed, n_keys;
    uint32_t symbols[512];
    size_t places[512], n;
};

static uint32_t made_up_hash(uint32_t a, uint32_t b)
{
    return ((a * 2654435761u) ^ (b * 2246822519u)) * 3266489917u >> 7;
}

static uint32_t made_up_first(const void *context, size_t at, size_t end, uint32_t *len)
{
    const struct made_up *m = context;
    *len = 1 + made_up_hash(m->seed, (uint32_t)at) % 4;
    if (*len > end - at)
        *len = (uint32_t)(end - at);
    return made_up_hash(m->seed + 1, (uint32_t)at) % 3;
}

static uint32_t made_up_key(const void *context, uint32_t left, uint32_t right, size_t at,
                            size_t len)
{
    const struct made_up *m = context;
    const uint32_t key = made_up_hash(left + 31 * m->seed, right) % m->n_keys;
    (void)at;
    (void)len;
    return key > m->n_keys / 2 ? SPRAT__NO_MERGE : key;
}

static uint32_t made_up_join(const void *context, uint32_t key, size_t at, size_t len)
{
    (void)context;
    (void)at;
    return (key + (uint32_t)len) % 5;
}

static void made_up_emit(const void *context, uint32_t symbol, size_t at, size_t len)
{
    struct made_up *m = (struct made_up *)(uintptr_t)context;
    m->symbols[m->n] = symbol;
    m->places[m->n++] = at + len;
}

START_TEST(short_and_long_words_merge_alike)
{
    static struct made_up a, b;
    struct sprat__merger merger = {.mem = &mem};
    for (uint32_t round = 0; round < 3000; round++) {
        const size_t begin = round % 7, len = 1 + random_below(SPRAT__SHORT_WORD);
        a.seed = b.seed = round;
        a.n_keys = b.n_keys = 2 + random_below(30);
        a.n = b.n = 0;
        const struct sprat__merge_rule rule_a = {&a, made_up_first, made_up_key, made_up_join,
                                                 made_up_emit};
        const struct sprat__merge_rule rule_b = {&b, made_up_first, made_up_key, made_up_join,
                                                 made_up_emit};
        sprat__merge_short(&merger, &rule_a, begin, begin + len);
        ck_assert_int_eq(sprat__merge_long(&merger, &rule_b, begin, begin + len, &err), SPRAT_OK);
        ck_assert_uint_eq(a.n, b.n);
        ck_assert_mem_eq(a.symbols, b.symbols, a.n * sizeof *a.symbols);
        ck_assert_mem_eq(a.places, b.places, a.n * sizeof *a.places);
    }
    sprat__merger_end(&merger);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_split");
    TCase *tests = tcase_create("tokenizer_split");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, classes_of_code_points);
    tcase_add_test(tests, decoding_takes_valid_utf8_only);
    tcase_add_test(tests, pieces_of_default);
    tcase_add_test(tests, pieces_tile_any_text);
    tcase_add_test(tests, short_and_long_words_merge_alike);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
