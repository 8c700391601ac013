/* The choice of kernels: a pure function of the features of a CPU and a cap. */
#include "kernel/kernel.h"

#include "run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct sprat__cpu none = {0};
/* As if every set could run; only tables are made, nothing is called. */
static const struct sprat__cpu all = {UINT32_MAX};

static const char *const names[] = {"scalar",     "sse41", "avx2",    "avxvnni", "avx512",
                                    "avx512vnni", "neon",  "dotprod", "i8mm",    "wasm"};
enum { N_NAMES = sizeof names / sizeof *names };

START_TEST(every_name_is_a_cap_everywhere)
{
    char joined[128] = "";
    for (size_t i = 0; i < N_NAMES; i++) {
        struct sprat__kernels kernels;
        ck_assert_msg(sprat__kernels_init(&kernels, &none, names[i]), "%s", names[i]);
        ck_assert_str_eq(kernels.set, "scalar");
        ck_assert(sprat__kernels_init(&kernels, &all, names[i]));
        strcat(strcat(joined, i ? " " : ""), names[i]);
    }
    ck_assert_str_eq(sprat__kernel_set_names, joined);
}
END_TEST

START_TEST(other_names_are_refused)
{
    const char *const wrong[] = {"", " ", "abacus", "avx", "AVX2", "avx2 ", "scalar sse41", "avx5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sprat__kernels kernels;
        ck_assert_msg(!sprat__kernels_init(&kernels, &all, wrong[i]), "\"%s\"", wrong[i]);
    }
}
END_TEST

/* The table of sets: the names in order, sets of one name side by side, features to need. */
START_TEST(sets_are_in_order)
{
    size_t at = 0;
    for (const struct sprat__kernel_set *set = sprat__kernel_sets; set->name; set++) {
        if (strcmp(set->name, names[at]) != 0)
            at++;
        ck_assert_uint_lt(at, N_NAMES);
        ck_assert_str_eq(set->name, names[at]);
        ck_assert_int_eq(set->need != 0, at > 0);
    }
    ck_assert_uint_eq(at, N_NAMES - 1);
}
END_TEST

static size_t n_functions(const struct sprat__kernels *functions)
{
    size_t n = 0;
#define SPRAT__KERNEL(name, result, parameters) n += functions->name != NULL;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
    return n;
}

static size_t n_equal(const struct sprat__kernels *a, const struct sprat__kernels *b)
{
    size_t n = 0;
#define SPRAT__KERNEL(name, result, parameters) n += a->name == b->name;
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
    return n;
}

/* Whatever the CPU, no function is missing, and none is of a set beyond the CPU or the cap. */
START_TEST(tables_are_whole)
{
    struct sprat__kernels scalar;
    size_t n_rows;
    ck_assert(sprat__kernels_init(&scalar, &all, "scalar"));
    n_rows = n_functions(&scalar);
    ck_assert_uint_gt(n_rows, 40);
    for (uint32_t features = 0; features < 1u << 9; features++) {
        for (size_t cap = 0; cap <= N_NAMES; cap++) {
            const struct sprat__cpu cpu = {features};
            struct sprat__kernels kernels;
            ck_assert(sprat__kernels_init(&kernels, &cpu, cap < N_NAMES ? names[cap] : NULL));
            ck_assert_uint_eq(n_functions(&kernels), n_rows);
            size_t best = 0;
            while (strcmp(kernels.set, names[best]) != 0)
                best++;
            ck_assert_uint_le(best, cap);
            ck_assert_int_eq(best == 0, n_equal(&kernels, &scalar) == n_rows);
        }
    }
}
END_TEST

START_TEST(overlay_goes_by_need)
{
    for (const struct sprat__kernel_set *set = sprat__kernel_sets; set->name; set++) {
        struct sprat__cpu cpu = {set->need};
        struct sprat__kernels kernels, scalar;
        ck_assert(sprat__kernels_init(&scalar, &none, NULL));
        ck_assert(sprat__kernels_init(&kernels, &cpu, set->name));
        if (!set->functions)
            continue;
        ck_assert_str_eq(kernels.set, set->name);
        /* Without any one of the features it needs, nothing is taken from it. */
        for (uint32_t bit = 1; bit; bit <<= 1) {
            if (!(set->need & bit))
                continue;
            cpu.features = ~bit;
            ck_assert(sprat__kernels_init(&kernels, &cpu, set->name));
            ck_assert_str_ne(kernels.set, set->name);
        }
    }
}
END_TEST

#if defined(__x86_64__)
START_TEST(x86_sets)
{
    struct sprat__kernels kernels;
    struct sprat__cpu cpu = {SPRAT__CPU_SSE41 | SPRAT__CPU_AVX2};
    ck_assert(sprat__kernels_init(&kernels, &cpu, NULL));
    ck_assert_str_eq(kernels.set, "avx2");
    ck_assert(kernels.matmul_f32 != sprat__matmul_f32_scalar);
    ck_assert(sprat__kernels_init(&kernels, &all, "scalar"));
    ck_assert_str_eq(kernels.set, "scalar");
    ck_assert(kernels.matmul_f32 == sprat__matmul_f32_scalar);
    ck_assert(kernels.dequant[SPRAT__Q4_K] == sprat__dequant_q4_k_scalar);
    ck_assert(sprat__kernels_init(&kernels, &all, "avxvnni"));
    ck_assert_str_ne(kernels.set, "avx512");
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("sets");
    TCase *tests = tcase_create("sets");
    tcase_add_test(tests, every_name_is_a_cap_everywhere);
    tcase_add_test(tests, other_names_are_refused);
    tcase_add_test(tests, sets_are_in_order);
    tcase_add_test(tests, tables_are_whole);
    tcase_add_test(tests, overlay_goes_by_need);
#if defined(__x86_64__)
    tcase_add_test(tests, x86_sets);
#endif
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
