/* Opening what cannot be opened: each reason has a status of its own and one line that names what,
 * where, expected and found; and the context goes on. */
#define _GNU_SOURCE
#include "run_suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sprat/sprat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *model_path;
static char folder[] = "errorsXXXXXX"; /* mkdtemp fills in the last six */
static char damaged[64];
static char *bytes;
static size_t n_bytes;
static sprat_context *context;

static void read_model(void)
{
    FILE *file = fopen(model_path, "rb");
    ck_assert_ptr_nonnull(file);
    fseek(file, 0, SEEK_END);
    n_bytes = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(n_bytes);
    ck_assert_uint_eq(fread(bytes, 1, n_bytes, file), n_bytes);
    fclose(file);
    memset(folder + strlen(folder) - 6, 'X', 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(damaged, sizeof damaged, "%s/model.gguf", folder);
    ck_assert_int_eq(sprat_context_create(&context, NULL, NULL), SPRAT_OK);
}

static void drop_model(void)
{
    sprat_context_destroy(context);
    unlink(damaged);
    rmdir(folder);
    free(bytes);
}

static void write_damaged(size_t n)
{
    FILE *file = fopen(damaged, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* Opens path, expects status and a line that names what; the context still opens the good model. */
static void expect(const char *path, sprat_status status, const char *what)
{
    sprat_model *model = (sprat_model *)(void *)bytes;
    sprat_error error;
    sprat_source source;
    sprat_init(&error, sizeof error);
    sprat_init(&source, sizeof source);
    source.path = path;
    sprat_status found = sprat_model_open(&model, context, &source, NULL, &error);
    ck_assert_msg(found == status, "%s, not %s: %s", sprat_status_name(found),
                  sprat_status_name(status), error.message);
    ck_assert_int_eq(error.status, status);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(error.message, what) != NULL, "\"%s\" does not name %s", error.message,
                  what);
    ck_assert_ptr_null(strchr(error.message, '\n'));
    source.path = model_path;
    ck_assert_int_eq(sprat_model_open(&model, context, &source, NULL, &error), SPRAT_OK);
    ck_assert_str_eq(error.message, "");
    sprat_model_close(model);
}

/* Overwrites the text old, wherever it first stands, and opens the result. */
static void expect_edit(const char *old, const char *new, sprat_status status, const char *what)
{
    size_t len = strlen(old), at = 0;
    ck_assert_uint_eq(len, strlen(new));
    while (at + len <= n_bytes && memcmp(bytes + at, old, len) != 0)
        at++;
    ck_assert_msg(at + len <= n_bytes, "no %s in the model", old);
    memcpy(bytes + at, new, len);
    write_damaged(n_bytes);
    memcpy(bytes + at, old, len);
    expect(damaged, status, what);
}

/* Where the four bytes behind the key's name and type lie. */
static size_t value_of(const char *key)
{
    size_t len = strlen(key), at = 0;
    while (at + len <= n_bytes && memcmp(bytes + at, key, len) != 0)
        at++;
    ck_assert_msg(at + len + 8 <= n_bytes, "no key %s in the model", key);
    return at + len + 4;
}

static void expect_number(const char *key, uint32_t value, sprat_status status, const char *what)
{
    char old[4];
    size_t at = value_of(key);
    memcpy(old, bytes + at, 4);
    memcpy(bytes + at, &value, 4);
    write_damaged(n_bytes);
    memcpy(bytes + at, old, 4);
    expect(damaged, status, what);
}

START_TEST(files)
{
    expect("no/such/file.gguf", SPRAT_NO_FILE, "no/such/file.gguf");
    expect(folder, SPRAT_NOT_A_FILE, folder);
    write_damaged(0);
    expect(damaged, SPRAT_EMPTY_FILE, damaged);
    write_damaged(3);
    expect(damaged, SPRAT_TRUNCATED, "");
    write_damaged(n_bytes / 2);
    expect(damaged, SPRAT_TRUNCATED, "");
    write_damaged(n_bytes - 1);
    expect(damaged, SPRAT_TRUNCATED, "");
    ck_assert_int_eq(unlink(damaged), 0);
    ck_assert_int_eq(mkfifo(damaged, 0600), 0);
    expect(damaged, SPRAT_NOT_A_FILE, damaged);
    ck_assert_int_eq(unlink(damaged), 0);
}
END_TEST

START_TEST(formats)
{
    expect_edit("GGUF", "GGUX", SPRAT_BAD_MAGIC, "GGU");
    uint32_t version = 9, old;
    memcpy(&old, bytes + 4, 4);
    memcpy(bytes + 4, &version, 4);
    write_damaged(n_bytes);
    memcpy(bytes + 4, &old, 4);
    expect(damaged, SPRAT_BAD_VERSION, "9");
}
END_TEST

START_TEST(descriptions)
{
    size_t at = value_of("general.architecture");
    char old = bytes[at + 8];
    bytes[at + 8] = 'x';
    write_damaged(n_bytes);
    bytes[at + 8] = old;
    expect(damaged, SPRAT_UNKNOWN_ARCH, "xlama");
    expect_number("llama.block_count", 0, SPRAT_BAD_CONFIG, "llama.block_count");
    expect_number("llama.embedding_length", 100, SPRAT_BAD_SHAPE, "token_embd.weight");
    expect_number("llama.attention.head_count", 3, SPRAT_BAD_CONFIG, "head");
    expect_number("llama.feed_forward_length", 7, SPRAT_BAD_SHAPE, "ffn_");
    expect_edit("llama.block_count", "llama.block_kount", SPRAT_BAD_CONFIG, "llama.block_count");
    expect_edit("blk.0.attn_q.weight", "blk.0.attn_x.weight", SPRAT_MISSING_TENSOR,
                "blk.0.attn_q.weight");
    expect_edit("tokenizer.ggml.tokens", "tokenizer.ggml.tokenz", SPRAT_BAD_CONFIG,
                "tokenizer.ggml.tokens");
}
END_TEST

START_TEST(tensor_types)
{
    /* name, then n_dims (4), two dimensions (16): the type. */
    static const char name[] = "blk.0.attn_q.weight";
    size_t at = value_of(name) + 16;
    uint32_t old, type = 4;
    memcpy(&old, bytes + at, 4);
    memcpy(bytes + at, &type, 4);
    write_damaged(n_bytes);
    memcpy(bytes + at, &old, 4);
    expect(damaged, SPRAT_UNKNOWN_TYPE, name);
}
END_TEST

START_TEST(arguments)
{
    sprat_model *model;
    sprat_error error;
    sprat_source source;
    sprat_context_options options;
    sprat_context *other;
    sprat_init(&error, sizeof error);
    sprat_init(&source, sizeof source);
    sprat_init(&options, sizeof options);
    ck_assert_int_eq(sprat_model_open(&model, context, &source, NULL, &error), SPRAT_INVALID);
    source.path = model_path;
    source.kind = 77;
    ck_assert_int_eq(sprat_model_open(&model, context, &source, NULL, &error), SPRAT_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "77"));
    ck_assert_int_eq(sprat_model_open(&model, NULL, &source, NULL, &error), SPRAT_INVALID);
    ck_assert_int_eq(sprat_model_open(NULL, context, &source, NULL, &error), SPRAT_INVALID);
    ck_assert_int_eq(sprat_model_open(&model, context, NULL, NULL, NULL), SPRAT_INVALID);
    options.cpu = "abacus";
    ck_assert_int_eq(sprat_context_create(&other, &options, &error), SPRAT_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "abacus"));
    ck_assert_ptr_nonnull(strstr(error.message, "scalar"));
    options.cpu = NULL;
    options.n_threads = 257;
    ck_assert_int_eq(sprat_context_create(&other, &options, &error), SPRAT_INVALID);
    options.n_threads = 1;
    options.memory_budget = 100;
    ck_assert_int_eq(sprat_context_create(&other, &options, &error), SPRAT_OVER_BUDGET);
    ck_assert_ptr_null(other);
    options.memory_budget = 20000;
    ck_assert_int_eq(sprat_context_create(&other, &options, &error), SPRAT_OK);
    source.kind = SPRAT_SOURCE_PATH;
    ck_assert_int_eq(sprat_model_open(&model, other, &source, NULL, &error), SPRAT_OVER_BUDGET);
    ck_assert_ptr_nonnull(strstr(error.message, "20000"));
    sprat_context_destroy(other);
}
END_TEST

static void count_warnings(void *user, int32_t level, const char *component, const char *text)
{
    size_t *n = user;
    ck_assert_int_eq(level, SPRAT_LOG_WARNING);
    ck_assert_str_eq(component, "chat");
    ck_assert_ptr_null(strchr(text, '\n'));
    *n += 1;
}

/* An unknown chat template is no error until a chat is wanted, but the host's log hears of it. */
START_TEST(warnings)
{
    static const char old[] = "{% for message in", new[] = "{% for massage in";
    size_t n = 0, at = 0;
    sprat_model *model;
    sprat_source source;
    sprat_context_options options;
    sprat_context *other;
    sprat_init(&source, sizeof source);
    sprat_init(&options, sizeof options);
    options.log = count_warnings;
    options.log_user = &n;
    ck_assert_int_eq(sprat_context_create(&other, &options, NULL), SPRAT_OK);
    source.path = model_path;
    ck_assert_int_eq(sprat_model_open(&model, other, &source, NULL, NULL), SPRAT_OK);
    ck_assert_uint_eq(n, 0);
    sprat_model_close(model);
    while (memcmp(bytes + at, old, sizeof old - 1) != 0)
        at++;
    memcpy(bytes + at, new, sizeof new - 1);
    write_damaged(n_bytes);
    source.path = damaged;
    ck_assert_int_eq(sprat_model_open(&model, other, &source, NULL, NULL), SPRAT_OK);
    ck_assert_uint_eq(n, 1);
    sprat_model_close(model);
    sprat_context_destroy(other);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "tiny.gguf";
    Suite *suite = suite_create("errors");
    TCase *tests = tcase_create("errors");
    tcase_add_checked_fixture(tests, read_model, drop_model);
    tcase_add_test(tests, files);
    tcase_add_test(tests, formats);
    tcase_add_test(tests, descriptions);
    tcase_add_test(tests, tensor_types);
    tcase_add_test(tests, arguments);
    tcase_add_test(tests, warnings);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
