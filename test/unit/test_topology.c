/* os/topology: counts from file trees made here. */
#define _GNU_SOURCE
#include "os/topology.h"

#include "run_suite.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void make_root(void)
{
    const char *base = "/tmp/sprat-topology-XXXXXX";
    memcpy(root, base, strlen(base) + 1);
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_root(void)
{
    ck_assert_int_eq(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(full, 0777);
        *slash = '/';
    }
    FILE *file = fopen(full, "wb");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static uint32_t cores(uint64_t mask)
{
    return sprat__topology_cores(root, &mask, 1);
}

START_TEST(counts_the_mask)
{
    ck_assert_uint_eq(cores(0xff), 8);
    ck_assert_uint_eq(cores(0xa5), 4);
    ck_assert_uint_eq(cores(0), 1);
    uint64_t many[8];
    memset(many, 0xff, sizeof many);
    ck_assert_uint_eq(sprat__topology_cores(root, many, 8), 256);
}
END_TEST

START_TEST(counts_fast_processors_only)
{
    static const char *const capacities[8] = {"300\n", "300\n", "300\n", "300\n",
                                              "800\n", "800\n", "800\n", "1024\n"};
    for (int i = 0; i < 8; i++) {
        char path[64];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpu_capacity", i);
        put(path, capacities[i]);
    }
    ck_assert_uint_eq(cores(0xff), 4);
    ck_assert_uint_eq(cores(0x8f), 1);
    ck_assert_uint_eq(cores(0x0f), 4); /* nothing faster is allowed */
    put("/sys/devices/system/cpu/cpu5/cpu_capacity", "fast\n");
    ck_assert_uint_eq(cores(0xff), 8);
}
END_TEST

START_TEST(applies_the_quota_of_version_2)
{
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    ck_assert_uint_eq(cores(0xff), 8);
    put("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    ck_assert_uint_eq(cores(0xff), 3);
    put("/sys/fs/cgroup/a/b/cpu.max", "20000 100000\n");
    ck_assert_uint_eq(cores(0xff), 1);
    put("/sys/fs/cgroup/a/b/cpu.max", "1600000 100000\n");
    ck_assert_uint_eq(cores(0xff), 3);
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    ck_assert_uint_eq(cores(0xff), 2);
    put("/proc/self/cgroup", "0::/../../elsewhere");
    ck_assert_uint_eq(cores(0xff), 2);
    put("/proc/self/cgroup", "0::/of/the/host/");
    ck_assert_uint_eq(cores(0xff), 2);
}
END_TEST

START_TEST(applies_the_quota_of_version_1)
{
    put("/proc/self/cgroup", "9:memory:/x\n4:cpuacct,cpu:/x/y\n0::/\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(cores(0xff), 8);
    put("/sys/fs/cgroup/cpu/x/y/cpu.cfs_quota_us", "410000\n");
    put("/sys/fs/cgroup/cpu/x/y/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(cores(0xff), 5);
    put("/proc/self/cgroup", "9:memory:/x/y\n4:cpuset:/x/y\n");
    ck_assert_uint_eq(cores(0xff), 8);
}
END_TEST

START_TEST(survives_any_content)
{
    static const char *const contents[] = {"",
                                           "\n",
                                           ":",
                                           "::",
                                           "0::",
                                           "0::\n",
                                           "0:",
                                           "99999999999999999999999 1",
                                           "1 0",
                                           "0 1",
                                           "-1",
                                           "1",
                                           "1 ",
                                           " 1 1",
                                           "18446744073709551615 1",
                                           "100 99999999999999999999999",
                                           "max",
                                           "0:://///////",
                                           "a:cpu:/..",
                                           ":::::::::",
                                           "\xff\xfe",
                                           "0::/a\n0::/a\n0::/a"};
    size_t n = sizeof contents / sizeof contents[0];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            put("/proc/self/cgroup", i % 2 ? contents[i] : "1:cpu:/a\n0::/a");
            put("/sys/fs/cgroup/cpu.max", contents[j]);
            put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", contents[i]);
            put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", contents[j]);
            put("/sys/devices/system/cpu/cpu0/cpu_capacity", contents[j]);
            uint32_t found = cores(0xff);
            ck_assert(found >= 1 && found <= 8);
        }
    }
    char *large = malloc(100001);
    ck_assert_ptr_nonnull(large);
    memset(large, 'a', 100000);
    large[100000] = '\0';
    memcpy(large, "0::/", 4);
    put("/proc/self/cgroup", large);
    put("/sys/fs/cgroup/cpu.max", "100 100");
    ck_assert_uint_ge(cores(0xff), 1);
    free(large);
    char far[400];
    memset(far, 'x', sizeof far);
    far[sizeof far - 1] = '\0';
    uint64_t mask = 3;
    ck_assert_uint_eq(sprat__topology_cores(far, &mask, 1), 2);
}
END_TEST

START_TEST(answers_for_this_machine)
{
    uint32_t found = sprat__available_cores();
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    ck_assert(found >= 1 && (long)found <= online);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("topology");
    TCase *tests = tcase_create("topology");
    tcase_add_checked_fixture(tests, make_root, remove_root);
    tcase_add_test(tests, counts_the_mask);
    tcase_add_test(tests, counts_fast_processors_only);
    tcase_add_test(tests, applies_the_quota_of_version_2);
    tcase_add_test(tests, applies_the_quota_of_version_1);
    tcase_add_test(tests, survives_any_content);
    tcase_add_test(tests, answers_for_this_machine);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
