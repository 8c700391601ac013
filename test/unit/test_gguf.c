/* format/gguf: what a good file gives, from every kind of source; values by type; split models; how
 * little is read. test_gguf_bad.c has the broken files. With SPRAT_TEST_DATA also every GGUF there.
 */
#define _GNU_SOURCE
#include "format/gguf.h"
#include "gguf_writer.h"

#include "run_suite.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* A source that counts what is read, and fails once `allowed` calls were made. */
struct reader {
    const struct gw_bytes *file;
    uint64_t n_calls, n_bytes, allowed;
};

static int32_t read_counted(void *user, uint64_t offset, void *buffer, size_t n)
{
    struct reader *r = user;
    ck_assert_uint_le(offset, r->file->len);
    ck_assert_uint_le(n, r->file->len - offset);
    if (r->n_calls == r->allowed)
        return -5;
    r->n_calls++;
    r->n_bytes += n;
    memcpy(buffer, r->file->data + offset, n);
    return 0;
}

static sprat_status open_reader(struct reader *r)
{
    struct sprat_source source = {.size = sizeof source,
                                  .kind = SPRAT_SOURCE_CALLBACK,
                                  .length = r->file->len,
                                  .read = read_counted,
                                  .read_user = r};
    return sprat__gguf_open(&gguf, &mem, &source, &err);
}

static sprat_status open_path(const char *path)
{
    struct sprat_source source = {.size = sizeof source, .kind = SPRAT_SOURCE_PATH, .path = path};
    return sprat__gguf_open(&gguf, &mem, &source, &err);
}

static char folder[] = "/tmp/sprat-gguf-XXXXXX";

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void make_folder(void)
{
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

START_TEST(from_memory)
{
    for (uint32_t version = 2; version <= 3; version++) {
        gw_free(&w);
        gw_begin(&w);
        w.version = version;
        write_sample(&w);
        ck_assert_int_eq(open_written(), SPRAT_OK);
        check_sample();
        ck_assert_uint_eq(gguf.version, version);
        ck_assert_uint_eq(gguf.alignment, 32);
        ck_assert_uint_eq(gguf.file_bytes, w.file.len);
        ck_assert_uint_eq(gguf.mapped_bytes, 0);
        ck_assert_uint_eq(sprat__gguf_load_bytes(&gguf), 0);
        ck_assert_int_eq(sprat__gguf_load(&gguf, NULL, NULL, &err), SPRAT_OK);
        sprat__gguf_close(&gguf);
    }
}
END_TEST

/* Packed in a larger file, as assets are, at any byte. */
START_TEST(from_descriptor)
{
    static const size_t offsets[] = {0, 1, 31, 4095, 4097, 10001};
    static const uint8_t rubbish[10001] = {'G', 'G', 'U', 'F'};
    char path[64];
    make_folder();
    snprintf(path, sizeof path, "%s/assets", folder);
    write_sample(&w);
    gw_end(&w);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct gw_bytes all = {0};
        gw_raw(&all, rubbish, offsets[i]);
        gw_raw(&all, w.file.data, w.file.len);
        gw_raw(&all, rubbish, 100);
        ck_assert_int_eq(gw_save(path, all.data, all.len), 0);
        free(all.data);
        int fd = open(path, O_RDONLY);
        struct sprat_source source = {.size = sizeof source,
                                      .kind = SPRAT_SOURCE_FD,
                                      .fd = fd,
                                      .offset = offsets[i],
                                      .length = w.file.len};
        ck_assert_int_eq(sprat__gguf_open(&gguf, &mem, &source, &err), SPRAT_OK);
        close(fd);
        check_sample();
        ck_assert_uint_eq(gguf.mapped_bytes, w.file.len);
        sprat__gguf_close(&gguf);
    }
    remove_folder();
}
END_TEST

static int32_t count_progress(void *user, uint64_t done, uint64_t total)
{
    uint64_t *seen = user;
    ck_assert_uint_le(done, total);
    seen[0]++;
    seen[1] = done;
    return seen[2] != 0 && seen[0] >= seen[2];
}

START_TEST(from_callback)
{
    struct reader r = {.file = &w.file, .allowed = UINT64_MAX};
    uint64_t seen[3] = {0, 0, 0};
    write_sample(&w);
    gw_end(&w);
    ck_assert_int_eq(open_reader(&r), SPRAT_OK);
    ck_assert_ptr_null(sprat__gguf_tensor(&gguf, "first.weight")->data);
    uint64_t before = mem.now, says = sprat__gguf_load_bytes(&gguf);
    ck_assert_int_eq(sprat__gguf_load(&gguf, count_progress, seen, &err), SPRAT_OK);
    ck_assert_uint_eq(mem.now - before, says);
    ck_assert_uint_eq(seen[1], w.file.len - w.data_at);
    check_sample();
    memset(w.file.data, 0, w.file.len); /* nothing points into the host's bytes */
    check_sample();
    sprat__gguf_close(&gguf);
    gw_end(&w);
    r.n_calls = r.allowed = 0;
    ck_assert_int_eq(open_reader(&r), SPRAT_IO);
    r.allowed = 1;
    ck_assert_int_eq(open_reader(&r), SPRAT_OK);
    ck_assert_int_eq(sprat__gguf_load(&gguf, NULL, NULL, &err), SPRAT_IO);
    ck_assert_ptr_null(gguf.tensors[0].data);
    r.allowed = UINT64_MAX;
    seen[0] = 0;
    seen[2] = 2;
    ck_assert_int_eq(sprat__gguf_load(&gguf, count_progress, seen, &err), SPRAT_CANCELLED);
    ck_assert_ptr_null(gguf.tensors[0].data);
    sprat__gguf_close(&gguf);
}
END_TEST

/* Directories around and beyond the first read, with the data far behind: only they are read. */
START_TEST(callback_reads_the_directory)
{
    static const size_t sizes[] = {1000, 1 << 20, (1 << 20) + 1, 3 << 20};
    uint8_t *filler = calloc(1, 3 << 20);
    ck_assert_ptr_nonnull(filler);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        gw_free(&w);
        gw_begin(&w);
        gw_array(&w, "filler", GW_U8, sizes[i]);
        gw_raw(&w.keys, filler, sizes[i]);
        gw_str(&w, "last", "key");
        gw_tensor(&w, "big", 0, 1, (const uint64_t[]){8 << 20}, NULL, 32 << 20);
        gw_end(&w);
        struct reader r = {.file = &w.file, .allowed = UINT64_MAX};
        ck_assert_int_eq(open_reader(&r), SPRAT_OK);
        ck_assert_ptr_nonnull(sprat__gguf_key(&gguf, "last"));
        ck_assert_uint_le(r.n_bytes, sizes[i] >= 1 << 20 ? 2 * sizes[i] + 4096 : 1 << 20);
        ck_assert_uint_le(mem.now, w.data_at + 4096);
        ck_assert_uint_le(mem.peak, 4 * sizes[i] + (1 << 20) + 4096);
        sprat__gguf_close(&gguf);
    }
    free(filler);
}
END_TEST

START_TEST(vocabulary_only)
{
    gw_str(&w, "general.architecture", "llama");
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_uint_eq(gguf.n_tensors, 0);
    ck_assert_ptr_null(sprat__gguf_tensor(&gguf, "any"));
    sprat__gguf_close(&gguf);
    struct reader r = {.file = &w.file, .allowed = 1};
    ck_assert_int_eq(open_reader(&r), SPRAT_OK);
    ck_assert_uint_eq(sprat__gguf_load_bytes(&gguf), 0);
    ck_assert_int_eq(sprat__gguf_load(&gguf, NULL, NULL, &err), SPRAT_OK);
    sprat__gguf_close(&gguf);
    gw_free(&w);
    gw_begin(&w);
    ck_assert_int_eq(open_written(), SPRAT_OK); /* no key and no tensor */
    sprat__gguf_close(&gguf);
}
END_TEST

START_TEST(alignments)
{
    for (uint32_t alignment = 1; alignment <= 1u << 20; alignment *= 32) {
        gw_free(&w);
        gw_begin(&w);
        gw_alignment(&w, alignment);
        write_sample(&w);
        ck_assert_int_eq(open_written(), SPRAT_OK);
        ck_assert_uint_eq(gguf.alignment, alignment);
        ck_assert_mem_eq(sprat__gguf_tensor(&gguf, "second.weight")->data, "abcdef", 6);
        sprat__gguf_close(&gguf);
    }
}
END_TEST

/* Tensors need not lie in the order of the list, and holes are allowed. */
START_TEST(any_order)
{
    const uint64_t ne[] = {8};
    gw_tensor_at(&w, "late", 0, 1, ne, 128);
    gw_tensor_at(&w, "early", 0, 1, ne, 0);
    gw_tensor_at(&w, "middle", 0, 1, ne, 32);
    gw_raw(&w.data, (const uint8_t[160]){0}, 160);
    w.data.data[128] = 9;
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_uint_eq(sprat__gguf_tensor(&gguf, "late")->data[0], 9);
    ck_assert_ptr_eq(sprat__gguf_tensor(&gguf, "early")->data, w.file.data + w.data_at);
    ck_assert_uint_eq(gguf.tensors[0].offset, w.data_at + 128);
    sprat__gguf_close(&gguf);
}
END_TEST

static void expect_u32(const char *key, sprat_status status, uint32_t expected, const char *says)
{
    uint32_t value = 12345;
    bool found = false;
    ck_assert_int_eq(sprat__gguf_u32(&gguf, key, &value, &found, &err), status);
    ck_assert(found);
    ck_assert_uint_eq(value, status == SPRAT_OK ? expected : 12345);
    if (says)
        ck_assert_msg(strstr(err.message, says) != NULL, "'%s' says no '%s'", err.message, says);
}

START_TEST(gets_integers)
{
    uint32_t value;
    bool found;
    write_sample(&w);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    expect_u32("a.u8", SPRAT_OK, 255, NULL);
    expect_u32("a.u16", SPRAT_OK, 65535, NULL);
    expect_u32("a.u32", SPRAT_OK, 4000000000u, NULL);
    expect_u32("a.i32", SPRAT_OK, 77, NULL);
    expect_u32("a.i8", SPRAT_BAD_CONFIG, 0, "key 'a.i8': expected 0 to 4294967295, found -1");
    expect_u32("a.i16", SPRAT_BAD_CONFIG, 0, "found -2");
    expect_u32("a.u64", SPRAT_BAD_CONFIG, 0, "found 1099511627776");
    expect_u32("a.i64", SPRAT_BAD_CONFIG, 0, "found -5");
    expect_u32("a.f32", SPRAT_BAD_CONFIG, 0, "key 'a.f32': expected an integer, found type f32");
    expect_u32("a.bool", SPRAT_BAD_CONFIG, 0, "found type bool");
    expect_u32("a.numbers", SPRAT_BAD_CONFIG, 0, "found an array of i32");
    ck_assert_int_eq(sprat__gguf_u32(&gguf, "none", &value, &found, &err), SPRAT_OK);
    ck_assert(!found);
    ck_assert_int_eq(sprat__gguf_u32(&gguf, "none", &value, NULL, &err), SPRAT_BAD_CONFIG);
    ck_assert_str_eq(err.message, "key 'none' is missing");
    ck_assert_int_eq(sprat__gguf_u32_at(&gguf, "a.numbers", 1, &value, NULL, &err), SPRAT_OK);
    ck_assert_uint_eq(value, 5);
    ck_assert_int_eq(sprat__gguf_u32_at(&gguf, "a.numbers", 2, &value, NULL, &err),
                     SPRAT_BAD_CONFIG);
    ck_assert_int_eq(sprat__gguf_u32_at(&gguf, "a.numbers", 3, &value, NULL, &err),
                     SPRAT_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "has 3 elements, number 3 is wanted"));
    ck_assert_int_eq(sprat__gguf_u32_at(&gguf, "a.numbers", SIZE_MAX, &value, NULL, &err),
                     SPRAT_BAD_CONFIG);
    ck_assert_int_eq(sprat__gguf_u32_at(&gguf, "a.u8", 900, &value, NULL, &err), SPRAT_OK);
    ck_assert_uint_eq(value, 255);
    ck_assert_int_eq(sprat__gguf_u32_at(&gguf, "a.words", 0, &value, NULL, &err), SPRAT_BAD_CONFIG);
    sprat__gguf_close(&gguf);
}
END_TEST

START_TEST(gets_others)
{
    float f = 0;
    bool b = false, found = false;
    const char *text;
    size_t len;
    gw_f64(&w, "huge", 1e300);
    gw_scalar(&w, "nan", GW_F32, 0x7fc00000);
    gw_f32(&w, "most", 3.402823466e38f);
    write_sample(&w);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_int_eq(sprat__gguf_f32(&gguf, "a.f32", &f, &found, &err), SPRAT_OK);
    ck_assert(f == 1.5f && found);
    ck_assert_int_eq(sprat__gguf_f32(&gguf, "a.f64", &f, NULL, &err), SPRAT_OK);
    ck_assert(f == 0.25f);
    ck_assert_int_eq(sprat__gguf_f32(&gguf, "a.i64", &f, NULL, &err), SPRAT_OK);
    ck_assert(f == -5.0f);
    ck_assert_int_eq(sprat__gguf_f32(&gguf, "most", &f, NULL, &err), SPRAT_OK);
    ck_assert_int_eq(sprat__gguf_f32(&gguf, "huge", &f, NULL, &err), SPRAT_BAD_CONFIG);
    ck_assert_int_eq(sprat__gguf_f32(&gguf, "nan", &f, NULL, &err), SPRAT_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "key 'nan': expected a finite 32-bit float"));
    ck_assert_int_eq(sprat__gguf_f32(&gguf, "a.bool", &f, NULL, &err), SPRAT_BAD_CONFIG);
    ck_assert_int_eq(sprat__gguf_bool(&gguf, "a.bool", &b, NULL, &err), SPRAT_OK);
    ck_assert(b);
    ck_assert_int_eq(sprat__gguf_bool(&gguf, "a.u8", &b, NULL, &err), SPRAT_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "key 'a.u8': expected 0 or 1, found 255"));
    ck_assert_int_eq(sprat__gguf_bool(&gguf, "a.f32", &b, NULL, &err), SPRAT_BAD_CONFIG);
    ck_assert_int_eq(sprat__gguf_string(&gguf, "general.architecture", &text, &len, NULL, &err),
                     SPRAT_OK);
    ck_assert_uint_eq(len, 5);
    ck_assert_mem_eq(text, "llama", 5);
    ck_assert_int_eq(sprat__gguf_string(&gguf, "a.u8", &text, &len, NULL, &err), SPRAT_BAD_CONFIG);
    sprat__gguf_close(&gguf);
}
END_TEST

START_TEST(walks_strings)
{
    static const char *const words[] = {"one", "", "three"};
    const char *text;
    size_t cursor = 0, len, n = 0;
    write_sample(&w);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    const struct sprat__gguf_key *key = sprat__gguf_key(&gguf, "a.words");
    for (; sprat__gguf_next_string(key, &cursor, &text, &len); n++) {
        ck_assert_uint_eq(len, strlen(words[n]));
        ck_assert_mem_eq(text, words[n], len);
    }
    ck_assert_uint_eq(n, 3);
    ck_assert(!sprat__gguf_next_string(key, &cursor, &text, &len));
    cursor = SIZE_MAX - 7; /* the array's count, read as a length */
    ck_assert(!sprat__gguf_next_string(key, &cursor, &text, &len));
    cursor = 0;
    key = sprat__gguf_key(&gguf, "a.none");
    ck_assert(!sprat__gguf_next_string(key, &cursor, &text, &len));
    key = sprat__gguf_key(&gguf, "a.numbers");
    ck_assert(!sprat__gguf_next_string(key, &cursor, &text, &len));
    sprat__gguf_close(&gguf);
}
END_TEST

/* Many names that begin alike: each is found, and a name held twice among them. */
START_TEST(many_names)
{
    enum { N = 50000 };
    const uint64_t ne[] = {1};
    char name[96];
    memset(name, 'n', sizeof name);
    gw_alignment(&w, 1);
    for (int i = 0; i < N; i++) {
        snprintf(name + 60, 36, "%d", i * 7919 % N);
        gw_u32(&w, name, (uint32_t)i);
        gw_tensor_at(&w, name, 24, 1, ne, (uint64_t)(i * 104729ll % N));
    }
    static const uint8_t zeros[N];
    gw_raw(&w.data, zeros, N);
    ck_assert_int_eq(open_written(), SPRAT_OK);
    ck_assert_uint_eq(gguf.n_tensors, N);
    ck_assert_uint_le(mem.peak, 4 * w.file.len);
    for (int i = 0; i < N; i++) {
        snprintf(name + 60, 36, "%d", i * 7919 % N);
        expect_u32(name, SPRAT_OK, (uint32_t)i, NULL);
        ck_assert_ptr_eq(sprat__gguf_tensor(&gguf, name), &gguf.tensors[i]);
    }
    sprat__gguf_close(&gguf);
    gw_u32(&w, name, 1);
    ck_assert_int_eq(open_written(), SPRAT_BAD_FORMAT);
}
END_TEST

/* ---- split models ---------------------------------------------------------------------------- */

static void shard_path(char *out, size_t n, int shard, int count)
{
    snprintf(out, n, "%s/model-%05d-of-%05d.gguf", folder, shard + 1, count);
}

/* Saves shard `shard` of `count` with two tensors, as its keys say. */
static void save_shard(int shard, int count, uint16_t no, uint16_t its_count, int total,
                       const char *first_tensor)
{
    static const char hundred[100];
    char path[96], name[32];
    uint8_t data[64];
    struct gw s;
    gw_begin(&s);
    if (shard == 0)
        gw_str(&s, "general.architecture", "llama");
    else /* Its data begins where the first shard's last tensor lies: no overlap between files. */
        gw_str_n(&s, "note", hundred, sizeof hundred);
    gw_u16(&s, "split.no", no);
    gw_u16(&s, "split.count", its_count);
    gw_i32(&s, "split.tensors.count", total);
    memset(data, shard + 1, sizeof data);
    gw_tensor(&s, first_tensor, 24, 1, (const uint64_t[]){40}, data, 40);
    snprintf(name, sizeof name, "blk.%d.weight", shard);
    gw_tensor(&s, name, 24, 1, (const uint64_t[]){64}, data, 64);
    gw_end(&s);
    shard_path(path, sizeof path, shard, count);
    ck_assert_int_eq(gw_save(path, s.file.data, s.file.len), 0);
    gw_free(&s);
}

static void save_three(void)
{
    save_shard(0, 3, 0, 3, 6, "a");
    save_shard(1, 3, 1, 3, 6, "b");
    save_shard(2, 3, 2, 3, 6, "c");
}

static void expect_split(sprat_status status, const char *says)
{
    char path[96];
    shard_path(path, sizeof path, 0, 3);
    ck_assert_int_eq(open_path(path), status);
    ck_assert_msg(strstr(err.message, says) != NULL, "'%s' says no '%s'", err.message, says);
    ck_assert_uint_eq(mem.now, 0);
}

START_TEST(split_opens)
{
    char path[96], name[32];
    make_folder();
    save_three();
    shard_path(path, sizeof path, 0, 3);
    ck_assert_int_eq(open_path(path), SPRAT_OK);
    ck_assert_uint_eq(gguf.n_files, 3);
    ck_assert_uint_eq(gguf.n_tensors, 6);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "blk.%d.weight", i);
        const struct sprat__gguf_tensor *t = sprat__gguf_tensor(&gguf, name);
        ck_assert_ptr_nonnull(t);
        ck_assert_int_eq(t->shard, i);
        ck_assert_int_eq(t->data[0], i + 1);
        ck_assert_int_eq(t->data[63], i + 1);
    }
    ck_assert_uint_eq(gguf.mapped_bytes, gguf.file_bytes);
    sprat__gguf_close(&gguf);
    remove_folder();
}
END_TEST

START_TEST(split_broken)
{
    char path[96], other[96];
    make_folder();
    save_three();
    shard_path(path, sizeof path, 1, 3);
    unlink(path);
    expect_split(SPRAT_NO_FILE, "model-00002-of-00003.gguf: there is no such file");
    save_shard(1, 3, 2, 3, 6, "b");
    expect_split(SPRAT_BAD_FORMAT, "model-00002-of-00003.gguf: split.no is 2, expected 1");
    save_shard(1, 3, 1, 4, 6, "b");
    expect_split(SPRAT_BAD_FORMAT, "split.count is 4, the first shard's is 3");
    save_shard(1, 3, 1, 3, 6, "a");
    expect_split(SPRAT_BAD_FORMAT, "tensors 'a' and 'a' have the same name");
    save_shard(1, 3, 1, 3, 6, "b");
    save_shard(0, 3, 0, 3, 7, "a");
    expect_split(SPRAT_BAD_FORMAT, "the 3 shards hold 6 tensors, split.tensors.count is 7");
    save_shard(0, 3, 0, 2, 6, "a");
    expect_split(SPRAT_BAD_FORMAT, "the first of 2 shards; expected a name that ends in "
                                   "-00001-of-00002.gguf");
    gw_u32(&w, "some.key", 1);
    gw_end(&w);
    save_three();
    ck_assert_int_eq(gw_save(path, w.file.data, w.file.len), 0);
    expect_split(SPRAT_BAD_FORMAT, "model-00002-of-00003.gguf: a shard without key split.no");
    ck_assert_int_eq(gw_save(path, w.file.data, 30), 0);
    expect_split(SPRAT_TRUNCATED, "model-00002-of-00003.gguf: ");
    save_three();
    ck_assert_int_eq(open_path(path), SPRAT_BAD_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "this is shard 2 of 3"));
    shard_path(path, sizeof path, 0, 3);
    snprintf(other, sizeof other, "%s/renamed.gguf", folder);
    ck_assert_int_eq(rename(path, other), 0);
    ck_assert_int_eq(open_path(other), SPRAT_BAD_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "renamed.gguf is the first of 3 shards"));
    remove_folder();
}
END_TEST

/* A file joined from shards says split.count 0; a model in one shard says 1. */
START_TEST(split_of_one)
{
    for (uint16_t count = 0; count < 2; count++) {
        gw_free(&w);
        gw_begin(&w);
        gw_u16(&w, "split.no", 0);
        gw_u16(&w, "split.count", count);
        ck_assert_int_eq(open_written(), SPRAT_OK);
        ck_assert_uint_eq(gguf.n_files, 1);
        sprat__gguf_close(&gguf);
    }
}
END_TEST

/* ---- cost ------------------------------------------------------------------------------------ */

/* How many pages of the mapping the system has in memory. */
static size_t resident_pages(const struct sprat__file *file, size_t page)
{
    size_t n = (file->map_bytes + page - 1) / page, resident = 0;
    unsigned char *pages = malloc(n);
    ck_assert_ptr_nonnull(pages);
    ck_assert_int_eq(mincore(file->map, file->map_bytes, pages), 0);
    for (size_t i = 0; i < n; i++)
        resident += pages[i] & 1;
    free(pages);
    return resident;
}

START_TEST(touches_only_the_directory)
{
    const uint64_t gigabyte = 1ull << 30;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char path[64];
    make_folder();
    snprintf(path, sizeof path, "%s/sparse.gguf", folder);
    gw_tensor_at(&w, "first", 24, 1, (const uint64_t[]){gigabyte / 2}, 0);
    gw_tensor_at(&w, "second", 24, 1, (const uint64_t[]){gigabyte / 2}, gigabyte / 2);
    gw_end(&w);
    ck_assert_int_eq(gw_save(path, w.file.data, w.file.len), 0);
    ck_assert_int_eq(truncate(path, (off_t)(w.file.len + gigabyte)), 0);
    ck_assert_int_eq(open_path(path), SPRAT_OK);
    ck_assert_uint_eq(gguf.n_tensors, 2);
    ck_assert_uint_lt(mem.peak, 8192);
    size_t resident = resident_pages(&gguf.files[0], page);
    ck_assert_msg(resident * page <= 4u << 20, "%zu of %zu pages were touched", resident,
                  gguf.files[0].map_bytes / page);
    sprat__gguf_close(&gguf);
    remove_folder();
}
END_TEST

/* An array of strings of 4 GiB, most of it a hole in the file. */
START_TEST(strings_of_4_gib)
{
    const uint64_t hole = (1ull << 32) - 24;
    char path[64];
    make_folder();
    snprintf(path, sizeof path, "%s/sparse.gguf", folder);
    for (uint64_t more = 0; more < 2; more++) {
        struct gw_bytes head = {0}, tail = {0};
        gw_raw(&head, "GGUF\x03\0\0\0", 8);
        gw_int(&head, 0, 8);
        gw_int(&head, 1, 8);
        gw_text(&head, "big.strings", 11);
        gw_int(&head, GW_ARRAY, 4);
        gw_int(&head, GW_STRING, 4);
        gw_int(&head, 2, 8);
        gw_int(&head, hole, 8);
        gw_text(&tail, "12345678", 7 + (size_t)more);
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(head.data, 1, head.len, f), head.len);
        ck_assert_int_eq(fseeko(f, (off_t)hole, SEEK_CUR), 0);
        ck_assert_uint_eq(fwrite(tail.data, 1, tail.len, f), tail.len);
        fclose(f);
        free(head.data);
        free(tail.data);
        ck_assert_int_eq(open_path(path), more ? SPRAT_BAD_FORMAT : SPRAT_OK);
        if (more)
            ck_assert_ptr_nonnull(strstr(err.message, "4294967296 bytes, at most 4294967295"));
        else
            sprat__gguf_close(&gguf);
    }
    remove_folder();
}
END_TEST

/* Every allocation fails in turn; then every budget below the peak is too small. */
static uint64_t calls_left;

static void *scarce_alloc(void *user, size_t bytes, size_t alignment, uint32_t purpose)
{
    (void)user;
    (void)purpose;
    return calls_left-- ? aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                        : NULL;
}

static void scarce_free(void *user, void *ptr, size_t bytes, uint32_t purpose)
{
    (void)user;
    (void)bytes;
    (void)purpose;
    free(ptr);
}

START_TEST(memory_runs_out)
{
    const struct sprat_allocator scarce = {
        .size = sizeof scarce, .alloc = scarce_alloc, .free = scarce_free};
    sprat_status status = SPRAT_NO_MEMORY;
    struct reader r = {.file = &w.file, .allowed = UINT64_MAX};
    uint64_t n;
    write_sample(&w);
    gw_end(&w);
    for (n = 0; status != SPRAT_OK; n++) {
        sprat__mem_init(&mem, &scarce, 0);
        calls_left = n;
        status = open_reader(&r);
        if (status == SPRAT_OK) {
            status = sprat__gguf_load(&gguf, NULL, NULL, &err);
            sprat__gguf_close(&gguf);
        }
        ck_assert(status == SPRAT_OK || status == SPRAT_NO_MEMORY);
        ck_assert_uint_eq(mem.now, 0);
    }
    ck_assert_uint_gt(n, 7);
    uint64_t peak = mem.peak;
    for (uint64_t budget = 1; budget <= peak; budget += budget < peak - 70 ? 64 : 1) {
        sprat__mem_init(&mem, NULL, budget);
        status = open_reader(&r);
        if (status == SPRAT_OK) {
            status = sprat__gguf_load(&gguf, NULL, NULL, &err);
            sprat__gguf_close(&gguf);
        }
        ck_assert_int_eq(status, budget < peak ? SPRAT_OVER_BUDGET : SPRAT_OK);
        ck_assert_uint_eq(mem.now, 0);
    }
}
END_TEST

/* ---- the files of SPRAT_TEST_DATA ------------------------------------------------------------ */

static int n_data_files;

static int open_data(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)ftw;
    size_t len = strlen(path);
    if (type != FTW_F || len < 5 || strcmp(path + len - 5, ".gguf") != 0)
        return 0;
    ck_assert_msg(open_path(path) == SPRAT_OK, "%s", err.message);
    ck_assert_uint_eq(gguf.file_bytes, (uint64_t)info->st_size);
    ck_assert_uint_lt(mem.now, (uint64_t)info->st_size);
    for (size_t i = 0; i < gguf.n_tensors; i++)
        ck_assert_ptr_eq(gguf.tensors[i].data, gguf.files[0].data + gguf.tensors[i].offset);
    bool found;
    const char *text;
    ck_assert_int_eq(sprat__gguf_string(&gguf, "general.architecture", &text, &len, &found, &err),
                     SPRAT_OK);
    sprat__gguf_close(&gguf);
    n_data_files++;
    return 0;
}

START_TEST(test_data)
{
    const char *data = getenv("SPRAT_TEST_DATA");
    ck_assert_int_eq(nftw(data, open_data, 8, FTW_PHYS), 0);
    ck_assert_msg(n_data_files > 0, "%s holds no GGUF", data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tests = tcase_create("gguf");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, from_memory);
    tcase_add_test(tests, from_descriptor);
    tcase_add_test(tests, from_callback);
    tcase_add_test(tests, callback_reads_the_directory);
    tcase_add_test(tests, vocabulary_only);
    tcase_add_test(tests, alignments);
    tcase_add_test(tests, any_order);
    tcase_add_test(tests, gets_integers);
    tcase_add_test(tests, gets_others);
    tcase_add_test(tests, walks_strings);
    tcase_add_test(tests, many_names);
    tcase_add_test(tests, split_opens);
    tcase_add_test(tests, split_broken);
    tcase_add_test(tests, split_of_one);
    tcase_add_test(tests, touches_only_the_directory);
    if (sizeof(size_t) > 4)
        tcase_add_test(tests, strings_of_4_gib);
    tcase_add_test(tests, memory_runs_out);
    if (getenv("SPRAT_TEST_DATA"))
        tcase_add_test(tests, test_data);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
