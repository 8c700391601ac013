/* base/alloc: counting, the cap, growth. */
#include "base/alloc.h"

#include "run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(counts_and_caps)
{
    struct sprat__mem mem;
    struct sprat__err err;
    sprat__mem_init(&mem, NULL, 4096);
    char *a = sprat__new(&mem, 10, 100, SPRAT_PURPOSE_CACHE, &err);
    ck_assert_ptr_nonnull(a);
    ck_assert_uint_eq((uintptr_t)a % 64, 0);
    ck_assert_uint_eq(mem.now, sprat__block_bytes(10, 100));
    ck_assert_uint_eq(mem.by_purpose[SPRAT_PURPOSE_CACHE], mem.now);
    ck_assert_ptr_null(sprat__new(&mem, 4000, 1, SPRAT_PURPOSE_OTHER, &err));
    ck_assert_int_eq(err.status, SPRAT_OVER_BUDGET);
    ck_assert_ptr_null(sprat__new(&mem, SIZE_MAX / 2, 3, SPRAT_PURPOSE_OTHER, &err));
    ck_assert_int_eq(err.status, SPRAT_NO_MEMORY);
    sprat__free(&mem, a);
    ck_assert_uint_eq(mem.now, 0);
    ck_assert_uint_eq(mem.by_purpose[SPRAT_PURPOSE_CACHE], 0);
    ck_assert_uint_eq(mem.peak, sprat__block_bytes(10, 100));
}
END_TEST

static void *refuse(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    (void)user, (void)bytes, (void)alignment, (void)purpose;
    return NULL;
}

/* Bytes that the allocator refused were never held. */
START_TEST(refused_bytes_are_no_peak)
{
    struct sprat__mem mem, child;
    struct sprat__err err;
    sprat__mem_init(&mem, NULL, 0);
    sprat__mem_child(&child, &mem);
    char *a = sprat__new(&child, 10, 100, SPRAT_PURPOSE_CACHE, &err);
    ck_assert_ptr_nonnull(a);
    child.alloc = refuse;
    ck_assert_ptr_null(sprat__new(&child, 1000, 100, SPRAT_PURPOSE_CACHE, &err));
    ck_assert_int_eq(err.status, SPRAT_NO_MEMORY);
    ck_assert_uint_eq(child.now, sprat__block_bytes(10, 100));
    ck_assert_uint_eq(mem.now, child.now);
    ck_assert_uint_eq(mem.peak, mem.now);
    sprat__free(&child, a);
    ck_assert_uint_eq(mem.now, 0);
}
END_TEST

START_TEST(buffer_grows)
{
    struct sprat__mem mem;
    struct sprat__err err;
    sprat__mem_init(&mem, NULL, 0);
    struct sprat__buffer buffer = {.mem = &mem};
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(sprat__buffer_add(&buffer, "abc", 3, &err), SPRAT_OK);
    ck_assert_uint_eq(buffer.len, 3000);
    ck_assert_int_eq(memcmp(buffer.data + 2997, "abc", 3), 0);
    sprat__buffer_end(&buffer);
    ck_assert_uint_eq(mem.now, 0);
}
END_TEST

START_TEST(quotes)
{
    char out[16];
    ck_assert_str_eq(sprat__quote(out, sizeof out, "a\nb", 3), "a\\x0ab");
    ck_assert_str_eq(sprat__quote(out, sizeof out, "0123456789abcdefgh", 18), "0123456789ab...");
    ck_assert_str_eq(sprat__quote(out, sizeof out, "", 0), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alloc");
    TCase *tests = tcase_create("alloc");
    tcase_add_test(tests, counts_and_caps);
    tcase_add_test(tests, refused_bytes_are_no_peak);
    tcase_add_test(tests, buffer_grows);
    tcase_add_test(tests, quotes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
