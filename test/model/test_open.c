/* A model from every kind of source computes the same bits; opening a big one touches its directory
 * and nothing else, and holds no copy of a weight. */
#define _GNU_SOURCE
#include "run_suite.h"
#include "../unit/gguf_writer.h"
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *model_path;
static char *bytes;
static size_t n_bytes;

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
}

static void drop_model(void)
{
    free(bytes);
}

/* The logits after 40 tokens of the model from source; the caller frees. */
static float *logits_from(const sprat_source *source, const sprat_model_options *options)
{
    sprat_token tokens[40];
    struct fixture fixture;
    sprat_model_info info;
    sprat_error error;
    sprat_init(&error, sizeof error);
    sprat_init(&info, sizeof info);
    ck_assert_int_eq(sprat_context_create(&fixture.context, NULL, NULL), SPRAT_OK);
    ck_assert_msg(sprat_model_open(&fixture.model, fixture.context, source, options, &error) ==
                      SPRAT_OK,
                  "%s", error.message);
    ck_assert_int_eq(sprat_model_get_info(fixture.model, &info), SPRAT_OK);
    fixture.n_vocab = info.n_vocab;
    fixture_tokens(tokens, 40, fixture.n_vocab, 9);
    sprat_session *session = fixture_session(&fixture, 64, SPRAT_KV_F16);
    ck_assert_int_eq(sprat_session_sync(NULL, session, tokens, 40), SPRAT_OK);
    float *logits = fixture_last(&fixture, session);
    sprat_session_destroy(session);
    fixture_close(&fixture);
    return logits;
}

static void expect_logits(const float *expected, const sprat_source *source)
{
    float *logits = logits_from(source, NULL);
    ck_assert_int_eq(memcmp(logits, expected, 331 * sizeof *logits), 0);
    free(logits);
}

struct reader {
    size_t n_read;
    int fail;
};

static int32_t read_bytes(void *user, uint64_t offset, void *buffer, size_t n)
{
    struct reader *reader = user;
    if (reader->fail || offset > n_bytes || n > n_bytes - offset)
        return -1;
    memcpy(buffer, bytes + offset, n);
    reader->n_read += n;
    return 0;
}

START_TEST(every_source_the_same_bits)
{
    sprat_source source = fixture_source(model_path);
    float *expected = logits_from(&source, NULL);
    /* In memory, at every address modulo 8. */
    for (size_t offset = 0; offset < 8; offset++) {
        char *copy = malloc(n_bytes + offset);
        memcpy(copy + offset, bytes, n_bytes);
        sprat_init(&source, sizeof source);
        source.kind = SPRAT_SOURCE_MEMORY;
        source.data = copy + offset;
        source.length = n_bytes;
        expect_logits(expected, &source);
        free(copy);
    }
    /* Inside another file, at odd places, with something behind it. */
    FILE *file = tmpfile();
    const size_t offsets[] = {0, 1, 4095, 4096, 4097, 12345};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        rewind(file);
        ck_assert_int_eq(ftruncate(fileno(file), 0), 0);
        ck_assert_int_eq(fseek(file, (long)offsets[i], SEEK_SET), 0);
        ck_assert_uint_eq(fwrite(bytes, 1, n_bytes, file), n_bytes);
        ck_assert_uint_eq(fwrite("behind", 1, 6, file), 6);
        fflush(file);
        sprat_init(&source, sizeof source);
        source.kind = SPRAT_SOURCE_FD;
        source.fd = fileno(file);
        source.offset = offsets[i];
        source.length = n_bytes;
        expect_logits(expected, &source);
    }
    fclose(file);
    struct reader reader = {0};
    sprat_init(&source, sizeof source);
    source.kind = SPRAT_SOURCE_CALLBACK;
    source.length = n_bytes;
    source.read = read_bytes;
    source.read_user = &reader;
    expect_logits(expected, &source);
    ck_assert_uint_gt(reader.n_read, 0);
    free(expected);
}
END_TEST

struct progress {
    uint64_t calls, done, total, stop_at;
};

static int32_t note_progress(void *user, uint64_t done, uint64_t total)
{
    struct progress *progress = user;
    progress->calls++;
    ck_assert_uint_ge(done, progress->done);
    ck_assert_uint_le(done, total);
    progress->done = done;
    progress->total = total;
    return progress->stop_at && progress->calls >= progress->stop_at;
}

START_TEST(progress_and_failing_reads)
{
    struct reader reader = {0};
    struct progress progress = {0};
    sprat_source source;
    sprat_model_options options;
    sprat_context *context;
    sprat_model *model;
    sprat_error error;
    sprat_init(&source, sizeof source);
    sprat_init(&options, sizeof options);
    sprat_init(&error, sizeof error);
    source.kind = SPRAT_SOURCE_CALLBACK;
    source.length = n_bytes;
    source.read = read_bytes;
    source.read_user = &reader;
    options.progress = note_progress;
    options.progress_user = &progress;
    free(logits_from(&source, &options));
    ck_assert_uint_gt(progress.calls, 0);
    ck_assert_uint_eq(progress.done, progress.total);
    ck_assert_int_eq(sprat_context_create(&context, NULL, NULL), SPRAT_OK);
    progress = (struct progress){.stop_at = 1};
    ck_assert_int_eq(sprat_model_open(&model, context, &source, &options, &error), SPRAT_CANCELLED);
    ck_assert_ptr_null(model);
    reader.fail = 1;
    ck_assert_int_eq(sprat_model_open(&model, context, &source, NULL, &error), SPRAT_IO);
    sprat_context_destroy(context);
}
END_TEST

/* A plan reads the directory, not the weights. */
START_TEST(plan_reads_the_directory)
{
    struct reader reader = {0};
    sprat_source source;
    sprat_context *context;
    sprat_plan plan;
    sprat_init(&source, sizeof source);
    sprat_init(&plan, sizeof plan);
    source.kind = SPRAT_SOURCE_CALLBACK;
    source.length = n_bytes;
    source.read = read_bytes;
    source.read_user = &reader;
    ck_assert_int_eq(sprat_context_create(&context, NULL, NULL), SPRAT_OK);
    ck_assert_int_eq(sprat_model_plan(&plan, context, &source, NULL, NULL, NULL), SPRAT_OK);
    ck_assert_uint_gt(plan.model_bytes, n_bytes / 2);
    ck_assert_uint_eq(plan.mapped_bytes, 0);
    ck_assert_uint_le(reader.n_read, 1u << 20);
    sprat_context_destroy(context);
}
END_TEST

/* ---- a model of more than a gigabyte, all holes */

enum { WIDE = 4096, N_VOCAB = 32768, N_FF = 256 };

static uint64_t add_hole(struct gw *w, const char *name, uint64_t n_cols, uint64_t n_rows,
                         uint64_t at)
{
    const uint64_t ne[] = {n_cols, n_rows};
    gw_tensor_at(w, name, 0, n_rows > 1 ? 2 : 1, ne, at);
    return at + n_cols * n_rows * 4;
}

static uint64_t describe_big(struct gw *w)
{
    gw_begin(w);
    gw_str(w, "general.architecture", "llama");
    gw_u32(w, "llama.block_count", 1);
    gw_u32(w, "llama.context_length", 128);
    gw_u32(w, "llama.embedding_length", WIDE);
    gw_u32(w, "llama.feed_forward_length", N_FF);
    gw_u32(w, "llama.attention.head_count", 32);
    gw_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    uint64_t at = add_hole(w, "token_embd.weight", WIDE, N_VOCAB, 0);
    at = add_hole(w, "output.weight", WIDE, N_VOCAB, at);
    at = add_hole(w, "output_norm.weight", WIDE, 1, at);
    at = add_hole(w, "blk.0.attn_norm.weight", WIDE, 1, at);
    at = add_hole(w, "blk.0.attn_q.weight", WIDE, WIDE, at);
    at = add_hole(w, "blk.0.attn_k.weight", WIDE, WIDE, at);
    at = add_hole(w, "blk.0.attn_v.weight", WIDE, WIDE, at);
    at = add_hole(w, "blk.0.attn_output.weight", WIDE, WIDE, at);
    at = add_hole(w, "blk.0.ffn_norm.weight", WIDE, 1, at);
    at = add_hole(w, "blk.0.ffn_gate.weight", WIDE, N_FF, at);
    at = add_hole(w, "blk.0.ffn_up.weight", WIDE, N_FF, at);
    at = add_hole(w, "blk.0.ffn_down.weight", N_FF, WIDE, at);
    gw_end(w);
    return at;
}

/* Resident kilobytes of the mappings of a file, by its inode, as the kernel tells. */
static long resident_kilobytes(ino_t inode)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[4096];
    long sum = 0, kilobytes;
    int ours = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        unsigned long long begin, end, offset, number;
        unsigned major, minor;
        char access[8];
        if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu", &begin, &end, access, &offset, &major,
                   &minor, &number) == 7)
            ours = number == (unsigned long long)inode;
        else if (ours && sscanf(line, "Rss: %ld kB", &kilobytes) == 1)
            sum += kilobytes;
    }
    fclose(file);
    return sum;
}

START_TEST(a_big_model_stays_on_disk)
{
    struct gw w;
    struct stat status;
    sprat_source source;
    sprat_context *context;
    sprat_model *model;
    sprat_session *session;
    sprat_context_info info;
    sprat_error error;
    uint64_t n_data = describe_big(&w);
    FILE *file = tmpfile();
    ck_assert_uint_gt(n_data, 1u << 30);
    ck_assert_uint_eq(fwrite(w.file.data, 1, w.file.len, file), w.file.len);
    fflush(file);
    ck_assert_int_eq(ftruncate(fileno(file), (off_t)(w.file.len + n_data)), 0);
    ck_assert_int_eq(fstat(fileno(file), &status), 0);
    sprat_init(&source, sizeof source);
    sprat_init(&info, sizeof info);
    sprat_init(&error, sizeof error);
    source.kind = SPRAT_SOURCE_FD;
    source.fd = fileno(file);
    ck_assert_int_eq(sprat_context_create(&context, NULL, NULL), SPRAT_OK);
    ck_assert_msg(sprat_model_open(&model, context, &source, NULL, &error) == SPRAT_OK, "%s",
                  error.message);
    /* One page of directory, and what the kernel maps around it on its own. */
    ck_assert_int_le(resident_kilobytes(status.st_ino), 256);
    ck_assert_int_eq(sprat_context_get_info(context, &info), SPRAT_OK);
    ck_assert_uint_le(info.memory_now, 1u << 20);
    ck_assert_int_eq(sprat_session_create(&session, model, NULL, &error), SPRAT_OK);
    ck_assert_int_le(resident_kilobytes(status.st_ino), 256);
    sprat_session_destroy(session);
    sprat_model_close(model);
    ck_assert_int_eq(resident_kilobytes(status.st_ino), 0);
    sprat_context_destroy(context);
    fclose(file);
    gw_free(&w);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "model.gguf";
    Suite *suite = suite_create("open");
    TCase *tests = tcase_create("open");
    tcase_add_checked_fixture(tests, read_model, drop_model);
    tcase_add_test(tests, every_source_the_same_bits);
    tcase_add_test(tests, progress_and_failing_reads);
    tcase_add_test(tests, plan_reads_the_directory);
    tcase_add_test(tests, a_big_model_stays_on_disk);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
