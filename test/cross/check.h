/* Stands in for Check where the tests are built for another machine, for which no libcheck is
 * installed: the macros the tests use, TAP on the standard output. Leaves out what a cross build
 * can do without: every test runs in this one process, so the first failure ends the program, and
 * time limits are the runner's. */
#ifndef STAND_IN_CHECK_H
#define STAND_IN_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_MOST_TESTS = 256, CHECK_MOST_CASES = 32 };
enum print_output { CK_SILENT };

typedef struct TCase {
    struct {
        void (*run)(int _i);
        const char *name;
        int first, end; /* of _i */
    } tests[CHECK_MOST_TESTS];
    size_t n_tests;
    void (*setup)(void);
    void (*teardown)(void);
} TCase;

typedef struct Suite {
    TCase *cases[CHECK_MOST_CASES];
    size_t n_cases;
} Suite;

typedef struct SRunner {
    Suite *suite;
} SRunner;

#define START_TEST(name)                                                                           \
    static void name(int _i)                                                                       \
    {                                                                                              \
        (void)_i;
#define END_TEST }

/* Ends the program: what follows in a test relies on what it has asserted. */
static _Noreturn inline void check_fail(void)
{
    printf("\nBail out!\n");
    fflush(stdout);
    exit(EXIT_FAILURE);
}
#define ck_abort_msg(...)                                                                          \
    (printf("not ok # %s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), check_fail())
#define ck_assert_msg(expression, ...)                                                             \
    do {                                                                                           \
        if (!(expression))                                                                         \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)
#define ck_assert(expression) ck_assert_msg(expression, "%s", #expression)

#define CHECK_COMPARE(type, format, a, op, b)                                                      \
    do {                                                                                           \
        type check_a = (a), check_b = (b);                                                         \
        ck_assert_msg(check_a op check_b, "%s %s %s: " format ", " format, #a, #op, #b, check_a,   \
                      check_b);                                                                    \
    } while (0)
#define CHECK_INT(a, op, b)  CHECK_COMPARE(intmax_t, "%jd", a, op, b)
#define CHECK_UINT(a, op, b) CHECK_COMPARE(uintmax_t, "%ju", a, op, b)
#define CHECK_REAL(a, op, b) CHECK_COMPARE(double, "%.17g", a, op, b)

#define ck_assert_int_eq(a, b)    CHECK_INT(a, ==, b)
#define ck_assert_int_ne(a, b)    CHECK_INT(a, !=, b)
#define ck_assert_int_lt(a, b)    CHECK_INT(a, <, b)
#define ck_assert_int_le(a, b)    CHECK_INT(a, <=, b)
#define ck_assert_int_gt(a, b)    CHECK_INT(a, >, b)
#define ck_assert_int_ge(a, b)    CHECK_INT(a, >=, b)
#define ck_assert_uint_eq(a, b)   CHECK_UINT(a, ==, b)
#define ck_assert_uint_ne(a, b)   CHECK_UINT(a, !=, b)
#define ck_assert_uint_lt(a, b)   CHECK_UINT(a, <, b)
#define ck_assert_uint_le(a, b)   CHECK_UINT(a, <=, b)
#define ck_assert_uint_gt(a, b)   CHECK_UINT(a, >, b)
#define ck_assert_uint_ge(a, b)   CHECK_UINT(a, >=, b)
#define ck_assert_float_eq(a, b)  CHECK_REAL(a, ==, b)
#define ck_assert_double_eq(a, b) CHECK_REAL(a, ==, b)
#define ck_assert_double_lt(a, b) CHECK_REAL(a, <, b)
#define ck_assert_double_le(a, b) CHECK_REAL(a, <=, b)
#define ck_assert_double_gt(a, b) CHECK_REAL(a, >, b)
#define ck_assert_double_ge(a, b) CHECK_REAL(a, >=, b)
#define ck_assert_ptr_eq(a, b)                                                                     \
    ck_assert_msg((const void *)(a) == (const void *)(b), "%s == %s", #a, #b)
#define ck_assert_ptr_ne(a, b)                                                                     \
    ck_assert_msg((const void *)(a) != (const void *)(b), "%s != %s", #a, #b)
#define ck_assert_ptr_null(a)    ck_assert_ptr_eq(a, NULL)
#define ck_assert_ptr_nonnull(a) ck_assert_ptr_ne(a, NULL)
#define ck_assert_mem_eq(a, b, n)                                                                  \
    ck_assert_msg(memcmp(a, b, n) == 0, "the bytes of %s and %s", #a, #b)
#define ck_assert_str_eq(a, b)                                                                     \
    do {                                                                                           \
        const char *check_a = (a), *check_b = (b);                                                 \
        ck_assert_msg(strcmp(check_a, check_b) == 0, "%s == %s: \"%s\", \"%s\"", #a, #b, check_a,  \
                      check_b);                                                                    \
    } while (0)
#define ck_assert_str_ne(a, b) ck_assert_msg(strcmp(a, b) != 0, "%s != %s", #a, #b)

static inline void *check_new(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        exit(EXIT_FAILURE);
    return memory;
}

static inline Suite *suite_create(const char *name)
{
    (void)name;
    return check_new(sizeof(Suite));
}

static inline TCase *tcase_create(const char *name)
{
    (void)name;
    return check_new(sizeof(TCase));
}

static inline void suite_add_tcase(Suite *suite, TCase *tcase)
{
    ck_assert(suite->n_cases < CHECK_MOST_CASES);
    suite->cases[suite->n_cases++] = tcase;
}

static inline void check_add(TCase *tcase, void (*run)(int _i), const char *name, int first,
                             int end)
{
    ck_assert(tcase->n_tests < CHECK_MOST_TESTS);
    tcase->tests[tcase->n_tests].run = run;
    tcase->tests[tcase->n_tests].name = name;
    tcase->tests[tcase->n_tests].first = first;
    tcase->tests[tcase->n_tests++].end = end;
}
#define tcase_add_test(tcase, test)                  check_add(tcase, test, #test, 0, 1)
#define tcase_add_loop_test(tcase, test, first, end) check_add(tcase, test, #test, first, end)

static inline void tcase_add_checked_fixture(TCase *tcase, void (*setup)(void),
                                             void (*teardown)(void))
{
    tcase->setup = setup;
    tcase->teardown = teardown;
}

static inline void tcase_set_timeout(TCase *tcase, double seconds)
{
    (void)tcase;
    (void)seconds;
}

static inline SRunner *srunner_create(Suite *suite)
{
    SRunner *runner = check_new(sizeof *runner);
    runner->suite = suite;
    return runner;
}

static inline void srunner_set_tap(SRunner *runner, const char *file)
{
    (void)runner;
    (void)file;
}

static inline void srunner_run_all(SRunner *runner, enum print_output output)
{
    int n_run = 0;
    (void)output;
    for (size_t c = 0; c < runner->suite->n_cases; c++) {
        const TCase *tcase = runner->suite->cases[c];
        for (size_t t = 0; t < tcase->n_tests; t++) {
            for (int i = tcase->tests[t].first; i < tcase->tests[t].end; i++) {
                if (tcase->setup)
                    tcase->setup();
                tcase->tests[t].run(i);
                if (tcase->teardown)
                    tcase->teardown();
                printf("ok %d - %s:%d\n", ++n_run, tcase->tests[t].name, i);
                fflush(stdout);
            }
        }
    }
    printf("1..%d\n", n_run);
}

static inline int srunner_ntests_failed(const SRunner *runner)
{
    (void)runner;
    return 0;
}

static inline void srunner_free(SRunner *runner)
{
    for (size_t c = 0; c < runner->suite->n_cases; c++)
        free(runner->suite->cases[c]);
    free(runner->suite);
    free(runner);
}

#endif
