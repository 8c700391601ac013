/* api/import: structs that are shorter, equal and longer than the library knows, both ways. The
 * caller's structs lie at the end of a heap block of exactly their size, so that AddressSanitizer
 * sees a byte too far. */
#include "api/import.h"

#include "run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* As a first release, this one, and a later one would have it. */
struct first {
    size_t size;
    uint64_t a;
};
struct known {
    size_t size;
    uint64_t a, b;
};
struct later {
    size_t size;
    uint64_t a, b, c;
};

static void *block(const void *from, size_t bytes)
{
    void *copy = malloc(bytes);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, from, bytes);
    return copy;
}

static sprat_status take(struct known *to, const void *from, size_t bytes, struct sprat__err *err)
{
    void *copy = block(from, bytes);
    sprat_status status = sprat__import(to, sizeof *to, sizeof(struct first), copy, "options", err);
    free(copy);
    return status;
}

START_TEST(null_is_all_defaults)
{
    struct sprat__err err;
    struct known to = {1, 2, 3};
    ck_assert_int_eq(sprat__import(&to, sizeof to, sizeof(struct first), NULL, "options", &err),
                     SPRAT_OK);
    ck_assert_uint_eq(to.size, sizeof to);
    ck_assert_uint_eq(to.a, 0);
    ck_assert_uint_eq(to.b, 0);
}
END_TEST

START_TEST(imports_shorter_equal_longer)
{
    struct sprat__err err;
    struct known to;
    struct first older = {sizeof older, 7};
    memset(&to, 0x88, sizeof to);
    ck_assert_int_eq(take(&to, &older, sizeof older, &err), SPRAT_OK);
    ck_assert_uint_eq(to.size, sizeof to);
    ck_assert_uint_eq(to.a, 7);
    ck_assert_uint_eq(to.b, 0);

    struct known same = {sizeof same, 7, 8};
    ck_assert_int_eq(take(&to, &same, sizeof same, &err), SPRAT_OK);
    ck_assert_uint_eq(to.b, 8);

    struct later newer = {sizeof newer, 7, 9, 0};
    ck_assert_int_eq(take(&to, &newer, sizeof newer, &err), SPRAT_OK);
    ck_assert_uint_eq(to.size, sizeof to);
    ck_assert_uint_eq(to.b, 9);
}
END_TEST

START_TEST(import_refuses)
{
    struct sprat__err err;
    struct known to;
    struct later newer = {sizeof newer, 7, 9, (uint64_t)1 << 56};
    ck_assert_int_eq(take(&to, &newer, sizeof newer, &err), SPRAT_UNSUPPORTED);
    ck_assert_int_eq(err.status, SPRAT_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "options"));

    struct first small = {sizeof small - 1, 7};
    ck_assert_int_eq(take(&to, &small, sizeof small, &err), SPRAT_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "options.size is"));
    small.size = 0;
    ck_assert_int_eq(take(&to, &small, sizeof small, &err), SPRAT_INVALID);
    small.size = SPRAT__STRUCT_MAX + 1;
    ck_assert_int_eq(take(&to, &small, sizeof small, &err), SPRAT_INVALID);
    small.size = SIZE_MAX;
    ck_assert_int_eq(take(&to, &small, sizeof small, &err), SPRAT_INVALID);
}
END_TEST

START_TEST(import_takes_the_largest)
{
    struct sprat__err err;
    struct known to;
    unsigned char *large = calloc(1, SPRAT__STRUCT_MAX);
    ck_assert_ptr_nonnull(large);
    struct known head = {SPRAT__STRUCT_MAX, 1, 2};
    memcpy(large, &head, sizeof head);
    ck_assert_int_eq(sprat__import(&to, sizeof to, sizeof(struct first), large, "options", &err),
                     SPRAT_OK);
    large[SPRAT__STRUCT_MAX - 1] = 1;
    ck_assert_int_eq(sprat__import(&to, sizeof to, sizeof(struct first), large, "options", &err),
                     SPRAT_UNSUPPORTED);
    free(large);
}
END_TEST

START_TEST(exports_shorter_equal_longer)
{
    struct sprat__err err;
    const struct known from = {sizeof from, 5, 6};
    struct later start;
    memset(&start, 0x88, sizeof start);
    start.size = sizeof(struct first);
    struct first *older = block(&start, sizeof *older);
    ck_assert_int_eq(sprat__export(older, &from, sizeof from, sizeof *older, "info", &err),
                     SPRAT_OK);
    ck_assert_uint_eq(older->size, sizeof *older);
    ck_assert_uint_eq(older->a, 5);
    free(older);

    start.size = sizeof start;
    struct later *newer = block(&start, sizeof start);
    ck_assert_int_eq(sprat__export(newer, &from, sizeof from, sizeof(struct first), "info", &err),
                     SPRAT_OK);
    ck_assert_uint_eq(newer->size, sizeof *newer);
    ck_assert_uint_eq(newer->a, 5);
    ck_assert_uint_eq(newer->b, 6);
    ck_assert_uint_eq(newer->c, 0);

    newer->size = sizeof(struct first) - 1;
    ck_assert_int_eq(sprat__export(newer, &from, sizeof from, sizeof(struct first), "info", &err),
                     SPRAT_INVALID);
    ck_assert_uint_eq(newer->a, 5);
    free(newer);
    ck_assert_int_eq(sprat__export(NULL, &from, sizeof from, sizeof(struct first), "info", &err),
                     SPRAT_INVALID);
}
END_TEST

START_TEST(reports)
{
    struct sprat__err err;
    sprat_error caller;
    memset(&caller, 0x88, sizeof caller);
    caller.size = sizeof caller;
    sprat__fail(&err, SPRAT_BAD_SHAPE, "a line");
    ck_assert_int_eq(sprat__report(&caller, &err, SPRAT_BAD_SHAPE), SPRAT_BAD_SHAPE);
    ck_assert_int_eq(caller.status, SPRAT_BAD_SHAPE);
    ck_assert_str_eq(caller.message, "a line");
    ck_assert_int_eq(sprat__report(&caller, &err, SPRAT_OK), SPRAT_OK);
    ck_assert_int_eq(caller.status, SPRAT_OK);
    ck_assert_str_eq(caller.message, "");
    ck_assert_int_eq(sprat__report(NULL, &err, SPRAT_BAD_SHAPE), SPRAT_BAD_SHAPE);

    /* A struct of a size that is not allowed is not touched. */
    caller.size = 8;
    caller.message[0] = 'x';
    ck_assert_int_eq(sprat__report(&caller, &err, SPRAT_BAD_SHAPE), SPRAT_BAD_SHAPE);
    ck_assert_int_eq(caller.message[0], 'x');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("import");
    TCase *tests = tcase_create("import");
    tcase_add_test(tests, null_is_all_defaults);
    tcase_add_test(tests, imports_shorter_equal_longer);
    tcase_add_test(tests, import_refuses);
    tcase_add_test(tests, import_takes_the_largest);
    tcase_add_test(tests, exports_shorter_equal_longer);
    tcase_add_test(tests, reports);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
