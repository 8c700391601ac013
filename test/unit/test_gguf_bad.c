/* format/gguf: one broken file per rule; the status, and a line that names the thing. */
#include "format/gguf.h"
#include "gguf_writer.h"

#include "run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct gw w;

static const uint64_t one_row[] = {32};

static void patch(size_t at, uint64_t value, size_t n)
{
    gw_end(&w);
    for (size_t i = 0; i < n; i++)
        w.file.data[at + i] = (uint8_t)(value >> 8 * i);
}

/* A file of one key and one tensor of 32 floats. */
static void begin_plain(void)
{
    gw_str(&w, "general.architecture", "llama");
    gw_tensor(&w, "plain.weight", 0, 1, one_row, NULL, 128);
}

static void add_line(uint32_t type, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t ne[] = {a, b, c, d};
    gw_tensor_at(&w, "odd.weight", type, 4, ne, 0);
}

/* Header. */
static void magic(void)
{
    patch(0, 0x4c4d4747, 4);
}
static void short_magic(void)
{
    gw_raw(&w.file, "GX", 2);
}
static void version_0(void)
{
    w.version = 0;
}
static void version_1(void)
{
    w.version = 1;
}
static void version_4(void)
{
    w.version = 4;
}
static void big_endian(void)
{
    w.version = 0x03000000;
}
static void many_keys(void)
{
    begin_plain();
    patch(16, 1ull << 32, 8);
}
static void most_keys(void)
{
    begin_plain();
    patch(16, UINT64_MAX, 8);
}
static void most_tensors(void)
{
    begin_plain();
    patch(8, UINT64_MAX, 8);
}
static void many_tensors(void)
{
    begin_plain();
    patch(8, (1ull << 61) + 1, 8);
}
static void header_only(void)
{
    gw_end(&w);
    w.file.len = 20;
}

/* Keys. */
static void empty_key(void)
{
    gw_u32(&w, "", 1);
}
static void endless_key(void)
{
    gw_int(&w.keys, UINT64_MAX, 8);
    gw_int(&w.keys, 0, 8);
    w.n_keys = 1;
}
static void long_key(void)
{
    char *name = calloc(1, 65537);
    if (!name)
        abort();
    memset(name, 'k', 65536);
    gw_u32(&w, name, 1);
    free(name);
}
static void key_type(void)
{
    gw_key(&w, "odd.type", 13);
    gw_int(&w.keys, 0, 8);
}
static void key_type_most(void)
{
    gw_key(&w, "odd.type", UINT32_MAX);
    gw_int(&w.keys, 0, 8);
}
static void bad_bool(void)
{
    gw_scalar(&w, "odd.bool", GW_BOOL, 2);
}
static void bad_bools(void)
{
    gw_array(&w, "odd.bools", GW_BOOL, 3);
    gw_int(&w.keys, 0x070100, 3);
}
static void long_string(void)
{
    gw_key(&w, "odd.text", GW_STRING);
    gw_int(&w.keys, 1ull << 63, 8);
    gw_int(&w.keys, 0, 8);
}
static void string_by_one(void)
{
    gw_key(&w, "odd.text", GW_STRING);
    gw_text(&w.keys, "abcdefgh", 8);
    w.keys.data[w.keys.len - 16] = 9;
}
static void nested_array(void)
{
    gw_array(&w, "odd.nested", GW_ARRAY, 1);
    gw_int(&w.keys, GW_U8, 4);
    gw_int(&w.keys, 0, 8);
}
static void element_type(void)
{
    gw_array(&w, "odd.elements", 13, 1);
    gw_int(&w.keys, 0, 8);
}
static void endless_array(void)
{
    gw_array(&w, "odd.array", GW_U64, 1ull << 61);
    gw_int(&w.keys, 0, 8);
}
static void endless_strings(void)
{
    gw_array(&w, "odd.strings", GW_STRING, UINT64_MAX);
    gw_int(&w.keys, 0, 8);
}
static void string_in_array(void)
{
    gw_array(&w, "odd.strings", GW_STRING, 2);
    gw_text(&w.keys, "fine", 4);
    gw_int(&w.keys, 0x40000000, 8);
}
static void two_keys(void)
{
    gw_u32(&w, "same.name", 1);
    gw_u32(&w, "other.name", 1);
    gw_str(&w, "same.name", "again");
}

/* Alignment. */
static void alignment_0(void)
{
    gw_u32(&w, "general.alignment", 0);
}
static void alignment_13(void)
{
    gw_u32(&w, "general.alignment", 13);
}
static void alignment_2_21(void)
{
    gw_u32(&w, "general.alignment", 1u << 21);
}
static void alignment_2_31(void)
{
    gw_u32(&w, "general.alignment", 1u << 31);
}
static void alignment_signed(void)
{
    gw_i32(&w, "general.alignment", 32);
}

/* Tensors. */
static void empty_name(void)
{
    gw_tensor(&w, "", 0, 1, one_row, NULL, 128);
}
static void no_dims(void)
{
    gw_tensor_at(&w, "odd.weight", 0, 0, NULL, 0);
}
static void five_dims(void)
{
    gw_tensor_at(&w, "odd.weight", 0, 5, (const uint64_t[]){1, 1, 1, 1, 1}, 0);
}
static void endless_dims(void)
{
    gw_text(&w.tensors, "odd.weight", 10);
    gw_int(&w.tensors, UINT32_MAX, 4);
    gw_int(&w.tensors, 0, 8);
    gw_int(&w.tensors, 0, 8);
    w.n_tensors = 1;
}
static void dim_0(void)
{
    add_line(0, 0, 1, 1, 1);
}
static void dim_2_0(void)
{
    add_line(0, 4, 1, 0, 1);
}
static void padding_wraps(void)
{
    add_line(0, 4, (1u << 30) - 1, (1u << 30) + 1, 1);
}
static void product_wraps(void)
{
    add_line(24, INT64_MAX, 2, 1, 1);
}
static void product_back_inside(void)
{
    add_line(24, 1ull << 32, (1ull << 32) + 1, 1, 1);
}
static void no_block(void)
{
    add_line(12, 255, 1, 1, 1);
}
static void type_4(void)
{
    add_line(4, 32, 1, 1, 1);
}
static void type_36(void)
{
    add_line(36, 32, 1, 1, 1);
}
static void type_255(void)
{
    add_line(255, 32, 1, 1, 1);
}
static void type_256(void)
{
    add_line(256, 32, 1, 1, 1);
}
static void type_most(void)
{
    add_line(UINT32_MAX, 32, 1, 1, 1);
}
static void sum_wraps(void)
{
    gw_tensor_at(&w, "odd.first", 24, 1, (const uint64_t[]){0x7fffffffffffffc0}, 0);
    gw_tensor_at(&w, "odd.second", 24, 1, (const uint64_t[]){0x7fffffffffffffc0},
                 0x7fffffffffffffc0);
}
static void far_offset(void)
{
    gw_tensor_at(&w, "odd.weight", 0, 1, one_row, 1ull << 40);
}
static void offset_wraps(void)
{
    begin_plain();
    gw_tensor_at(&w, "odd.weight", 0, 1, one_row, UINT64_MAX - 63);
}
static void offset_unaligned(void)
{
    gw_tensor(&w, "plain.weight", 0, 1, one_row, NULL, 128);
    gw_tensor_at(&w, "odd.weight", 0, 1, (const uint64_t[]){1}, 4);
}
static void past_end(void)
{
    gw_tensor(&w, "odd.weight", 0, 1, one_row, NULL, 128);
    gw_end(&w);
    w.file.len--;
}
static void no_data(void)
{
    gw_tensor(&w, "odd.weight", 0, 1, one_row, NULL, 128);
    gw_end(&w);
    w.file.len = w.data_at - 1;
}
static void overlap(void)
{
    begin_plain();
    gw_tensor_at(&w, "odd.weight", 0, 1, one_row, 96);
    gw_raw(&w.data, (const uint8_t[96]){0}, 96);
}
static void same_place(void)
{
    begin_plain();
    gw_tensor_at(&w, "odd.weight", 0, 1, one_row, 0);
}
static void two_tensors(void)
{
    begin_plain();
    gw_tensor(&w, "other.weight", 0, 1, one_row, NULL, 128);
    gw_tensor(&w, "plain.weight", 0, 1, one_row, NULL, 128);
}

/* Splits without a path. */
static void shard_2(void)
{
    gw_u16(&w, "split.no", 1);
    gw_u16(&w, "split.count", 3);
}
static void split_in_memory(void)
{
    gw_u16(&w, "split.no", 0);
    gw_u16(&w, "split.count", 3);
    gw_i32(&w, "split.tensors.count", 0);
}
static void split_of_text(void)
{
    gw_str(&w, "split.count", "3");
}
static void split_too_far(void)
{
    gw_u16(&w, "split.count", 65535);
}

static const struct {
    const char *name;
    void (*write)(void);
    sprat_status status;
    const char *says;
} files[] = {
#define BAD(name, status, says)                                                                    \
    {                                                                                              \
#name, name, SPRAT_##status, says                                                          \
    }
    BAD(magic, BAD_MAGIC, "'GGML'"),
    BAD(short_magic, BAD_MAGIC, "'GX'"),
    BAD(version_0, BAD_VERSION, "version 0, expected 2 or 3"),
    BAD(version_1, BAD_VERSION, "version 1, expected 2 or 3"),
    BAD(version_4, BAD_VERSION, "version 4, expected 2 or 3"),
    BAD(big_endian, BAD_VERSION, "big-endian"),
    BAD(many_keys, TRUNCATED, "4294967296 keys"),
    BAD(most_keys, TRUNCATED, "18446744073709551615 keys"),
    BAD(most_tensors, TRUNCATED, "18446744073709551615 tensors"),
    BAD(many_tensors, TRUNCATED, "2305843009213693953 tensors"),
    BAD(header_only, TRUNCATED, "the number of keys needs 8 bytes, 4 are left"),
    BAD(empty_key, BAD_FORMAT, "key 0, byte 32: its name is empty"),
    BAD(endless_key, TRUNCATED, "needs 18446744073709551615 bytes, 8 are left"),
    BAD(long_key, BAD_FORMAT, "65536 bytes long, at most 65535"),
    BAD(key_type, BAD_FORMAT, "'odd.type', byte 44: value type 13"),
    BAD(key_type_most, BAD_FORMAT, "value type 4294967295"),
    BAD(bad_bool, BAD_FORMAT, "'odd.bool', byte 45: a bool must be 0 or 1, found 2"),
    BAD(bad_bools, BAD_FORMAT, "found 7"),
    BAD(long_string, TRUNCATED, "'odd.text', byte 52: its value needs 9223372036854775808 bytes"),
    BAD(string_by_one, TRUNCATED, "its value needs 9 bytes, 8 are left"),
    BAD(nested_array, BAD_FORMAT, "'odd.nested', byte 58: an array of arrays"),
    BAD(element_type, BAD_FORMAT, "element type 13"),
    BAD(endless_array, TRUNCATED, "2305843009213693952 elements of at least 8 bytes, 8 bytes"),
    BAD(endless_strings, TRUNCATED, "18446744073709551615 elements"),
    BAD(string_in_array, TRUNCATED, "a string in its array needs 1073741824 bytes, 0 are left"),
    BAD(two_keys, BAD_FORMAT, "key 'same.name' is there twice"),
    BAD(alignment_0, BAD_FORMAT, "'general.alignment', byte 57: expected a power of two"),
    BAD(alignment_13, BAD_FORMAT, "found 13"),
    BAD(alignment_2_21, BAD_FORMAT, "up to 1048576, found 2097152"),
    BAD(alignment_2_31, BAD_FORMAT, "found 2147483648"),
    BAD(alignment_signed, BAD_FORMAT, "expected type u32, found i32"),
    BAD(empty_name, BAD_FORMAT, "tensor 0, byte 32: its name is empty"),
    BAD(no_dims, BAD_SHAPE, "'odd.weight', byte 46: expected 1 to 4 dimensions, found 0"),
    BAD(five_dims, BAD_SHAPE, "found 5"),
    BAD(endless_dims, BAD_SHAPE, "found 4294967295"),
    BAD(dim_0, BAD_SHAPE, "dimension 0 is 0"),
    BAD(dim_2_0, BAD_SHAPE, "dimension 2 is 0"),
    BAD(padding_wraps, TRUNCATED, "18446744073709551600 bytes at data offset 0"),
    BAD(product_wraps, TRUNCATED, "18446744073709551614 bytes at data offset 0"),
    BAD(product_back_inside, BAD_SHAPE, "4294967296 x 4294967297 x 1 x 1 elements are too many"),
    BAD(no_block, BAD_SHAPE, "rows of 255 elements are no multiple of Q4_K's blocks of 256"),
    BAD(type_4, UNKNOWN_TYPE, "'odd.weight', byte 82: type id 4 is not known"),
    BAD(type_36, UNKNOWN_TYPE, "type id 36"),
    BAD(type_255, UNKNOWN_TYPE, "type id 255"),
    BAD(type_256, UNKNOWN_TYPE, "type id 256"),
    BAD(type_most, UNKNOWN_TYPE, "type id 4294967295"),
    BAD(sum_wraps, TRUNCATED, "'odd.first'"),
    BAD(far_offset, TRUNCATED, "128 bytes at data offset 1099511627776, the file has 0 data bytes"),
    BAD(offset_wraps, TRUNCATED, "'odd.weight'"),
    BAD(offset_unaligned, BAD_FORMAT, "offset 4 is no multiple of the alignment 32"),
    BAD(past_end, TRUNCATED, "128 bytes at data offset 0, the file has 127 data bytes"),
    BAD(no_data, TRUNCATED, "the file has 0 data bytes"),
    BAD(overlap, BAD_FORMAT, "tensors 'plain.weight' and 'odd.weight' overlap"),
    BAD(same_place, BAD_FORMAT, "overlap"),
    BAD(two_tensors, BAD_FORMAT, "tensors 'plain.weight' and 'plain.weight' have the same name"),
    BAD(shard_2, BAD_FORMAT, "this is shard 2 of 3"),
    BAD(split_in_memory, UNSUPPORTED, "one of 3 shards"),
    BAD(split_of_text, BAD_CONFIG, "key 'split.count': expected an integer, found type string"),
    BAD(split_too_far, BAD_FORMAT, "split.count is 65535, at most 1024"),
#undef BAD
};

static int32_t read_bytes(void *user, uint64_t offset, void *buffer, size_t n)
{
    const struct gw_bytes *file = user;
    if (offset > file->len || n > file->len - offset)
        return -1;
    memcpy(buffer, file->data + offset, n);
    return 0;
}

/* By memory and by callback: the same status and line, the file named before it, nothing held. */
START_TEST(rejected)
{
    struct sprat__mem mem;
    gw_begin(&w);
    files[_i].write();
    if (w.file.len == 0)
        gw_end(&w);
    for (uint32_t kind = SPRAT_SOURCE_MEMORY; kind <= SPRAT_SOURCE_CALLBACK; kind++) {
        struct sprat_source source = {.size = sizeof source,
                                      .kind = kind,
                                      .data = w.file.data,
                                      .length = w.file.len,
                                      .read = read_bytes,
                                      .read_user = &w.file};
        const char *named = kind == SPRAT_SOURCE_MEMORY ? "the memory source" : "the callback";
        struct sprat__gguf gguf;
        struct sprat__err err = {.status = SPRAT_OK};
        sprat__mem_init(&mem, NULL, 0);
        sprat_status status = sprat__gguf_open(&gguf, &mem, &source, &err);
        ck_assert_msg(status == files[_i].status && err.status == status, "%s: %s, not %s: %s",
                      files[_i].name, sprat_status_name(status),
                      sprat_status_name(files[_i].status), err.message);
        ck_assert_msg(strstr(err.message, files[_i].says) != NULL, "%s: '%s' says no '%s'",
                      files[_i].name, err.message, files[_i].says);
        ck_assert_msg(status == SPRAT_BAD_CONFIG || strncmp(err.message, named, strlen(named)) == 0,
                      "%s: '%s' does not name its source", files[_i].name, err.message);
        ck_assert_uint_eq(mem.now, 0);
        ck_assert_uint_le(mem.peak, 4 * w.file.len + (1 << 20));
    }
    gw_free(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf_bad");
    TCase *tests = tcase_create("gguf_bad");
    tcase_add_loop_test(tests, rejected, 0, (int)(sizeof files / sizeof files[0]));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
