/* format/gguf: what a good file gives, and each rule's rejection with the line that names the
 * thing.
 */
#include "format/gguf.h"
#include "gguf_writer.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sprat__mem mem;
static struct sprat__err err;
static struct gw w;
static struct sprat__gguf gguf;

static void set_up(void)
{
    sprat__mem_init(&mem, NULL, 0);
    memset(&err, 0, sizeof err);
    gw_begin(&w);
}

static void tear_down(void)
{
    gw_free(&w);
    ck_assert_uint_eq(mem.now, 0);
}

static sprat_status open_bytes(const void *data, size_t len)
{
    struct sprat_source source = {
        .size = sizeof source, .kind = SPRAT_SOURCE_MEMORY, .data = data, .length = len};
    return sprat__gguf_open(&gguf, &mem, &source, &err);
}

static sprat_status open_written(void)
{
    gw_end(&w);
    return open_bytes(w.file.data, w.file.len);
}

/* A key of every type, arrays, two tensors. */
static void write_sample(struct gw *out)
{
    static const char *const words[] = {"one", "", "three"};
    static const float ones[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    gw_str(out, "general.architecture", "llama");
    gw_scalar(out, "a.u8", GW_U8, 255);
    gw_scalar(out, "a.i8", GW_I8, 0xff);
    gw_u16(out, "a.u16", 65535);
    gw_scalar(out, "a.i16", GW_I16, 0xfffe);
    gw_u32(out, "a.u32", 4000000000u);
    gw_i32(out, "a.i32", 77);
    gw_f32(out, "a.f32", 1.5f);
    gw_bool(out, "a.bool", 1);
    gw_u64(out, "a.u64", 1ull << 40);
    gw_scalar(out, "a.i64", GW_I64, (uint64_t)-5);
    gw_f64(out, "a.f64", 0.25);
    gw_strs(out, "a.words", words, 3);
    gw_i32s(out, "a.numbers", (const int32_t[]){4, 5, -6}, 3);
    gw_array(out, "a.none", GW_STRING, 0);
    gw_tensor(out, "first.weight", 0, 2, (const uint64_t[]){4, 2}, ones, sizeof ones);
    gw_tensor(out, "second.weight", 1, 1, (const uint64_t[]){3}, "abcdef", 6);
}

static void check_sample(void)
{
    const struct sprat__gguf_tensor *t = sprat__gguf_tensor(&gguf, "first.weight");
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(t->n_dims, 2);
    ck_assert_uint_eq(t->ne[0], 4);
    ck_assert_uint_eq(t->ne[1], 2);
    ck_assert_uint_eq(t->ne[3], 1);
    ck_assert_uint_eq(t->bytes, 32);
    float value;
    memcpy(&value, t->data + 28, sizeof value);
    ck_assert(value == 8.0f);
    t = sprat__gguf_tensor(&gguf, "second.weight");
    ck_assert_mem_eq(t->data, "abcdef", 6);
    ck_assert_uint_eq(gguf.n_tensors, 2);
    ck_assert_uint_eq(gguf.n_keys, 15);
    ck_assert_ptr_null(sprat__gguf_tensor(&gguf, "third"));
    ck_assert_ptr_null(sprat__gguf_tensor(&gguf, ""));
    ck_assert_ptr_nonnull(sprat__gguf_key(&gguf, "a.none"));
}

START_TEST(reads_all)
{
    write_sample(&w);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    check_sample();
    sprat__gguf_close(&gguf);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tests = tcase_create("gguf");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, reads_all);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
