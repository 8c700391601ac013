/* sample/stops: streams cut at random against a search in the whole text. */
#include "sample/sampler.h"

#include "sample/random.h"

#include "run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct sprat__mem mem;
static struct sprat__err err;
static uint64_t random_counter;

static uint32_t random_number(uint32_t n)
{
    return (uint32_t)sprat__random_below(sprat__random_at(54321, random_counter++), n);
}

static struct sprat__stops *new_stops(const char *const *texts, uint32_t n)
{
    struct sprat__stops *stops;
    sprat__mem_init(&mem, NULL, 0);
    sprat_status status = sprat__stops_create(&stops, &mem, texts, n, &err);
    ck_assert_msg(status == SPRAT_OK, "%s", err.message);
    return stops;
}

static void end_stops(struct sprat__stops *stops)
{
    sprat__stops_destroy(stops);
    ck_assert_uint_eq(mem.now, 0);
}

/* The place where the answer ends by the definition: at the first byte that ends a stop, before the
 * longest stop that ends there. */
static size_t naive_end(const char *text, size_t len, const char *const *stops, uint32_t n,
                        bool *stopped)
{
    for (size_t end = 1; end <= len; end++) {
        size_t longest = 0;
        for (uint32_t i = 0; i < n; i++) {
            size_t stop_len = strlen(stops[i]);
            if (stop_len <= end && stop_len > longest &&
                memcmp(text + end - stop_len, stops[i], stop_len) == 0)
                longest = stop_len;
        }
        if (longest > 0) {
            *stopped = true;
            return end - longest;
        }
    }
    *stopped = false;
    return len;
}

/* How many bytes at the end of text could begin a stop: the most that may be held back. */
static size_t naive_held(const char *text, size_t len, const char *const *stops, uint32_t n)
{
    size_t held = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (size_t part = 1; part < strlen(stops[i]) && part <= len; part++) {
            if (memcmp(text + len - part, stops[i], part) == 0 && part > held)
                held = part;
        }
    }
    return held;
}

static void check_stream(struct sprat__stops *stops, const char *const *texts, uint32_t n_texts,
                         const char *text, size_t len)
{
    char answer[600];
    size_t n_answer = 0, fed = 0;
    bool expected_stop, stopped = false;
    size_t expected = naive_end(text, len, texts, n_texts, &expected_stop);
    while (!stopped) {
        size_t piece = random_number(8) ? random_number(9) : random_number(100), n_out;
        if (piece > len - fed)
            piece = len - fed;
        bool last = fed + piece == len && random_number(2);
        const char *out;
        ck_assert_int_eq(
            sprat__stops_feed(stops, text + fed, piece, last, &out, &n_out, &stopped, &err),
            SPRAT_OK);
        fed += piece;
        ck_assert_uint_le(n_answer + n_out, sizeof answer);
        if (n_out > 0)
            memcpy(answer + n_answer, out, n_out);
        n_answer += n_out;
        if (!stopped) /* nothing is held that need not be */
            ck_assert_uint_eq(fed - n_answer, last ? 0 : naive_held(text, fed, texts, n_texts));
        if (last)
            break;
    }
    ck_assert_int_eq(stopped, expected_stop);
    ck_assert_uint_eq(n_answer, expected);
    ck_assert_mem_eq(answer, text, n_answer);
    const char *out;
    size_t n_out;
    if (stopped) {
        ck_assert_int_eq(sprat__stops_feed(stops, "more", 4, true, &out, &n_out, &stopped, &err),
                         SPRAT_OK);
        ck_assert(stopped && n_out == 0);
    }
    sprat__stops_reset(stops);
}

START_TEST(splits_do_not_matter)
{
    for (int round = 0; round < 4000; round++) {
        char room[16][257];
        const char *texts[16];
        uint32_t n = random_number(17), letters = 1 + random_number(3);
        for (uint32_t i = 0; i < n; i++) {
            size_t len = 1 + random_number(random_number(4) ? 7 : 256);
            for (size_t j = 0; j < len; j++)
                room[i][j] = (char)('a' + random_number(letters));
            room[i][len] = '\0';
            texts[i] = room[i];
        }
        struct sprat__stops *stops = new_stops(texts, n);
        for (int stream = 0; stream < 3; stream++) {
            char text[600];
            size_t len = random_number(sizeof text + 1);
            for (size_t i = 0; i < len; i++)
                text[i] = (char)('a' + random_number(letters + 1));
            /* Random letters seldom hold a long stop. */
            if (n > 0 && strlen(texts[0]) <= len)
                memcpy(text + random_number((uint32_t)(len - strlen(texts[0]) + 1)), texts[0],
                       strlen(texts[0]));
            check_stream(stops, texts, n, text, len);
        }
        end_stops(stops);
    }
}
END_TEST

static void expect(struct sprat__stops *stops, const char *piece, bool last, const char *expected,
                   bool expected_stop)
{
    const char *out;
    size_t n_out;
    bool stopped;
    ck_assert_int_eq(
        sprat__stops_feed(stops, piece, strlen(piece), last, &out, &n_out, &stopped, &err),
        SPRAT_OK);
    ck_assert_uint_eq(n_out, strlen(expected));
    ck_assert(n_out == 0 || memcmp(out, expected, n_out) == 0);
    ck_assert_int_eq(stopped, expected_stop);
}

START_TEST(says_what_the_doc_says)
{
    struct sprat__stops *stops = new_stops((const char *const[]){"\nUser:", "###"}, 2);
    expect(stops, "Hello", false, "Hello", false);
    expect(stops, "\nUs", false, "", false);
    expect(stops, "e it.\n", false, "\nUse it.", false);
    expect(stops, "User: no", false, "", true);
    expect(stops, "dropped", false, "", true);
    sprat__stops_reset(stops);
    expect(stops, "a##", false, "a", false);
    expect(stops, "", false, "", false);
    expect(stops, "", true, "##", false);
    expect(stops, "#b", true, "#b", false); /* what went out last time is forgotten */
    end_stops(stops);
    /* The first end counts; of equal ends the longest. */
    stops = new_stops((const char *const[]){"abcd", "bc", "xbc"}, 3);
    expect(stops, "-abcd", false, "-a", true);
    sprat__stops_reset(stops);
    expect(stops, "-xbcd", false, "-", true);
    end_stops(stops);
    stops = new_stops(NULL, 0);
    expect(stops, "as it is", false, "as it is", false);
    end_stops(stops);
}
END_TEST

START_TEST(takes_large_pieces)
{
    enum { LARGE = 300000 };
    struct sprat__stops *stops = new_stops((const char *const[]){"aaaaaaab"}, 1);
    char *text = malloc(LARGE);
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', LARGE);
    const char *out;
    size_t n_out;
    bool stopped;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sprat__stops_feed(stops, text, LARGE, false, &out, &n_out, &stopped, &err),
                         SPRAT_OK);
        ck_assert_uint_eq(n_out, i ? LARGE : LARGE - 7);
    }
    free(text);
    end_stops(stops);
}
END_TEST

START_TEST(failures_change_nothing)
{
    struct sprat__stops *stops = (void *)&mem;
    const char *texts[1] = {"stop"};
    for (uint64_t budget = 1; budget < 1600; budget += 16) {
        sprat__mem_init(&mem, NULL, budget);
        if (sprat__stops_create(&stops, &mem, texts, 1, &err) != SPRAT_OK) {
            ck_assert_int_eq(err.status, SPRAT_OVER_BUDGET);
            ck_assert_ptr_null(stops);
        } else {
            sprat__stops_destroy(stops);
        }
        ck_assert_uint_eq(mem.now, 0);
    }
    stops = new_stops(texts, 1);
    mem.budget = mem.now;
    expect(stops, "go st", false, "go ", false);
    char large[3000];
    memset(large, 'x', sizeof large);
    const char *out;
    size_t n_out = 1;
    bool stopped = true;
    ck_assert_int_eq(
        sprat__stops_feed(stops, large, sizeof large, false, &out, &n_out, &stopped, &err),
        SPRAT_OVER_BUDGET);
    ck_assert(n_out == 0 && !stopped);
    expect(stops, "op", false, "", true);
    end_stops(stops);
    sprat__stops_destroy(NULL);
}
END_TEST

START_TEST(refuses_what_is_no_stop)
{
    struct sprat__stops *stops;
    char text[258];
    memset(text, 'x', 257);
    text[257] = '\0';
    sprat__mem_init(&mem, NULL, 0);
    const char *const cases[] = {"", text, NULL};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sprat__stops_create(&stops, &mem, &cases[i], 1, &err), SPRAT_INVALID);
    ck_assert_int_eq(sprat__stops_create(&stops, &mem, cases, 17, &err), SPRAT_INVALID);
    ck_assert_int_eq(sprat__stops_create(&stops, &mem, NULL, 1, &err), SPRAT_INVALID);
    ck_assert_uint_eq(mem.now, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stops");
    TCase *tests = tcase_create("stops");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, splits_do_not_matter);
    tcase_add_test(tests, says_what_the_doc_says);
    tcase_add_test(tests, takes_large_pieces);
    tcase_add_test(tests, failures_change_nothing);
    tcase_add_test(tests, refuses_what_is_no_stop);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
