/* os/file: each kind of source, odd offsets, each failure with its status and line. */
#define _DEFAULT_SOURCE
#include "os/file.h"

#include "run_suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/sprat-file-XXXXXX";
static char path[64];
static uint8_t bytes[20000];
static struct sprat__file file;
static struct sprat__err err;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a\nfile", folder);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, sizeof bytes, f), sizeof bytes);
    fclose(f);
    memset(&err, 0, sizeof err);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(folder);
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

static sprat_status open_path(const char *name)
{
    struct sprat_source source = {.size = sizeof source, .kind = SPRAT_SOURCE_PATH, .path = name};
    return sprat__file_open(&file, &source, &err);
}

static sprat_status open_fd(int fd, uint64_t offset, uint64_t length)
{
    struct sprat_source source = {.size = sizeof source,
                                  .kind = SPRAT_SOURCE_FD,
                                  .fd = fd,
                                  .offset = offset,
                                  .length = length};
    return sprat__file_open(&file, &source, &err);
}

START_TEST(by_path)
{
    uint8_t some[10];
    ck_assert_int_eq(open_path(path), SPRAT_OK);
    ck_assert_uint_eq(file.bytes, sizeof bytes);
    ck_assert_mem_eq(file.data, bytes, sizeof bytes);
    ck_assert_ptr_nonnull(file.map);
    ck_assert_int_eq(sprat__file_read(&file, sizeof bytes - 10, some, 10, &err), SPRAT_OK);
    ck_assert_mem_eq(some, bytes + sizeof bytes - 10, 10);
    ck_assert_int_eq(sprat__file_read(&file, sizeof bytes - 9, some, 10, &err), SPRAT_TRUNCATED);
    ck_assert_int_eq(sprat__file_read(&file, UINT64_MAX, some, 10, &err), SPRAT_TRUNCATED);
    ck_assert_int_eq(sprat__file_read(&file, sizeof bytes, some, 0, &err), SPRAT_OK);
    sprat__file_close(&file);
    ck_assert_ptr_null(file.data);
}
END_TEST

START_TEST(by_descriptor)
{
    static const uint64_t offsets[] = {0, 1, 17, 4095, 4096, 4097, 12345, 19999};
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        uint64_t rest = sizeof bytes - offsets[i];
        for (uint64_t length = 0; length <= rest; length += rest) {
            ck_assert_int_eq(open_fd(fd, offsets[i], length), SPRAT_OK);
            ck_assert_uint_eq(file.bytes, rest);
            ck_assert_mem_eq(file.data, bytes + offsets[i], rest);
            sprat__file_close(&file);
        }
        ck_assert_int_eq(open_fd(fd, offsets[i], 1), SPRAT_OK);
        ck_assert_uint_eq(file.bytes, 1);
        sprat__file_close(&file);
        ck_assert_int_eq(open_fd(fd, offsets[i], rest + 1), SPRAT_TRUNCATED);
        ck_assert_int_eq(open_fd(fd, offsets[i], UINT64_MAX), SPRAT_TRUNCATED);
    }
    ck_assert_int_eq(open_fd(fd, sizeof bytes, 0), SPRAT_EMPTY_FILE);
    ck_assert_int_eq(open_fd(fd, sizeof bytes + 1, 0), SPRAT_TRUNCATED);
    ck_assert_ptr_nonnull(strstr(err.message, "offset 20001, the file has 20000 bytes"));
    ck_assert_int_eq(open_fd(fd, 5, 0), SPRAT_OK);
    close(fd);
    ck_assert_mem_eq(file.data, bytes + 5, 100); /* the mapping outlives the descriptor */
    sprat__file_close(&file);
    ck_assert_int_eq(open_fd(-1, 0, 0), SPRAT_IO);
}
END_TEST

static int32_t reads_even(void *user, uint64_t offset, void *buffer, size_t n)
{
    (void)user;
    if (offset % 2)
        return 7;
    memcpy(buffer, bytes + offset, n);
    return 0;
}

START_TEST(memory_and_callback)
{
    struct sprat_source source = {.size = sizeof source, .kind = SPRAT_SOURCE_MEMORY};
    uint8_t some[4];
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_EMPTY_FILE);
    source.length = 100;
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_INVALID);
    source.data = bytes + 3;
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_OK);
    ck_assert_ptr_eq(file.data, bytes + 3);
    ck_assert_ptr_null(file.map);
    sprat__file_close(&file);

    source.kind = SPRAT_SOURCE_CALLBACK;
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_INVALID);
    source.read = reads_even;
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_OK);
    ck_assert_ptr_null(file.data);
    ck_assert_int_eq(sprat__file_read(&file, 96, some, 4, &err), SPRAT_OK);
    ck_assert_mem_eq(some, bytes + 96, 4);
    ck_assert_int_eq(sprat__file_read(&file, 98, some, 4, &err), SPRAT_TRUNCATED);
    ck_assert_int_eq(sprat__file_read(&file, 1, some, 4, &err), SPRAT_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "gave 7 for 4 bytes at offset 1"));
    source.length = 0;
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_EMPTY_FILE);
    source.kind = 4;
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_INVALID);
    source.kind = SPRAT_SOURCE_PATH;
    ck_assert_int_eq(sprat__file_open(&file, &source, &err), SPRAT_INVALID);
}
END_TEST

/* The name in a line is printable, and its end is shown. */
START_TEST(wrong_paths)
{
    char other[400];
    snprintf(other, sizeof other, "%s/none.gguf", folder);
    ck_assert_int_eq(open_path(other), SPRAT_NO_FILE);
    ck_assert_ptr_nonnull(strstr(err.message, "/none.gguf: there is no such file"));
    snprintf(other, sizeof other, "%s/below", path);
    ck_assert_int_eq(open_path(other), SPRAT_NO_FILE);
    ck_assert_ptr_nonnull(strstr(err.message, "/a\\x0afile/below: "));
    ck_assert_int_eq(open_path(""), SPRAT_NO_FILE);
    ck_assert_int_eq(open_path(folder), SPRAT_NOT_A_FILE);
    ck_assert_ptr_nonnull(strstr(err.message, "found a directory"));
    ck_assert_int_eq(open_path("/dev/null"), SPRAT_NOT_A_FILE);
    ck_assert_ptr_nonnull(strstr(err.message, "found a device"));

    snprintf(other, sizeof other, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    ck_assert_int_eq(open_path(other), SPRAT_NOT_A_FILE); /* and does not wait for a writer */
    ck_assert_ptr_nonnull(strstr(err.message, "found a pipe"));
    unlink(other);

    snprintf(other, sizeof other, "%s/empty", folder);
    fclose(fopen(other, "wb"));
    ck_assert_int_eq(open_path(other), SPRAT_EMPTY_FILE);
    ck_assert_ptr_nonnull(strstr(err.message, "/empty: the file is empty"));
    unlink(other);

    memset(other, 'x', sizeof other - 1);
    other[sizeof other - 1] = '\0';
    ck_assert_int_eq(open_path(other), SPRAT_IO);
    if (geteuid() != 0) {
        ck_assert_int_eq(chmod(path, 0), 0);
        ck_assert_int_eq(open_path(path), SPRAT_IO);
        ck_assert_ptr_nonnull(strstr(err.message, "not permitted"));
    }
}
END_TEST

/* Nothing stays open: the next descriptor is the same one as before. */
START_TEST(no_descriptor_left)
{
    int before = dup(0);
    close(before);
    ck_assert_int_eq(open_path(path), SPRAT_OK);
    int after = dup(0);
    close(after);
    ck_assert_int_eq(after, before);
    sprat__file_close(&file);
    ck_assert_int_eq(open_path(folder), SPRAT_NOT_A_FILE);
    after = dup(0);
    close(after);
    ck_assert_int_eq(after, before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, by_path);
    tcase_add_test(tests, by_descriptor);
    tcase_add_test(tests, memory_and_callback);
    tcase_add_test(tests, wrong_paths);
    tcase_add_test(tests, no_descriptor_left);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
