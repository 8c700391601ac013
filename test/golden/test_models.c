/* Small models of every family against transformers: at every position the largest difference
 * is at most 1e-4 of the largest |logit|, and the argmax is the same where the reference's two best
 * are further apart than that. And the same bits for any number of threads and any chunk. */
#include "golden.h"
#include "run_suite.h"

#include <math.h>
#include <sprat/sprat.h>

static const char *golden_root; /* test/golden of the source tree */
static size_t n_old;            /* cases in an older layout */

struct loaded {
    sprat_context *context;
    sprat_model *model;
    size_t n_vocab;
};

static struct loaded load(const char *folder, const char *file, uint32_t n_threads)
{
    struct loaded loaded;
    char path[GOLDEN_PATH];
    sprat_error error;
    sprat_context_options options;
    sprat_source source;
    sprat_model_info info;
    sprat_init(&error, sizeof error);
    sprat_init(&options, sizeof options);
    sprat_init(&source, sizeof source);
    sprat_init(&info, sizeof info);
    options.n_threads = n_threads;
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/%s", folder, file), GOLDEN_PATH);
    source.path = path;
    ck_assert_int_eq(sprat_context_create(&loaded.context, &options, &error), SPRAT_OK);
    sprat_status status = sprat_model_open(&loaded.model, loaded.context, &source, NULL, &error);
    ck_assert_msg(status == SPRAT_OK, "%s: %s", path, error.message);
    ck_assert_int_eq(sprat_model_get_info(loaded.model, &info), SPRAT_OK);
    loaded.n_vocab = info.n_vocab;
    return loaded;
}

static void unload(struct loaded *loaded)
{
    sprat_model_close(loaded->model);
    sprat_context_destroy(loaded->context);
}

/* Logits of all positions; the caller frees. */
static float *run(const struct loaded *loaded, const sprat_token *tokens, size_t n, uint32_t chunk,
                  uint32_t kv_type)
{
    sprat_session *session;
    sprat_session_options options;
    sprat_init(&options, sizeof options);
    options.n_chunk = chunk;
    options.n_kept = 64;
    options.numerics = SPRAT_NUMERICS_F32;
    options.kv_type = kv_type;
    ck_assert_int_eq(sprat_session_create(&session, loaded->model, &options, NULL), SPRAT_OK);
    float *logits = malloc(n * loaded->n_vocab * sizeof *logits);
    size_t *positions = malloc(n * sizeof *positions);
    for (size_t i = 0; i < n; i++)
        positions[i] = i;
    ck_assert_msg(sprat_session_sync(NULL, session, tokens, n) == SPRAT_OK, "%s",
                  sprat_session_error(session));
    ck_assert_msg(sprat_session_logits(session, positions, n, logits, n * loaded->n_vocab) ==
                      SPRAT_OK,
                  "%s", sprat_session_error(session));
    free(positions);
    sprat_session_destroy(session);
    return logits;
}

static sprat_token *read_tokens(const char *json, size_t *n)
{
    const char *at = json;
    double *numbers = golden_numbers(&at, "tokens", n);
    ck_assert_ptr_nonnull(numbers);
    sprat_token *tokens = malloc(*n * sizeof *tokens);
    for (size_t i = 0; i < *n; i++)
        tokens[i] = (sprat_token)numbers[i];
    free(numbers);
    return tokens;
}

static void compare(const char *folder, const float *ours, const float *reference, size_t n_vocab,
                    size_t position)
{
    double largest = 0, difference = 0, best = -INFINITY, second = -INFINITY;
    size_t argmax = 0, argmax_reference = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        double r = (double)reference[i];
        largest = fmax(largest, fabs(r));
        difference = fmax(difference, fabs((double)ours[i] - r));
        argmax = ours[i] > ours[argmax] ? i : argmax;
        argmax_reference = reference[i] > reference[argmax_reference] ? i : argmax_reference;
        second = r > best ? best : fmax(second, r);
        best = fmax(best, r);
    }
    ck_assert_msg(difference <= 1e-4 * largest, "%s position %zu: %g of %g", folder, position,
                  difference, largest);
    if (best - second > 1e-4 * largest)
        ck_assert_msg(argmax == argmax_reference, "%s position %zu: argmax %zu, not %zu", folder,
                      position, argmax, argmax_reference);
}

static void check_file(const char *folder, const char *file)
{
    char *json = golden_read(folder, "case.json", NULL);
    size_t n, bytes;
    sprat_token *tokens = read_tokens(json, &n);
    float *reference = (float *)(void *)golden_read(folder, "logits.f32", &bytes);
    struct loaded loaded = load(folder, file, 2);
    ck_assert_uint_eq(bytes, n * loaded.n_vocab * sizeof(float));
    float *ours = run(&loaded, tokens, n, 64, SPRAT_KV_DEFAULT);
    for (size_t i = 0; i < n; i++)
        compare(folder, ours + i * loaded.n_vocab, reference + i * loaded.n_vocab, loaded.n_vocab,
                i);
    free(ours);
    free(reference);
    free(tokens);
    free(json);
    unload(&loaded);
}

/* Some cases have the same weights in the layout of older files too. */
static void check_case(const char *folder)
{
    char path[GOLDEN_PATH];
    check_file(folder, "model.gguf");
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/model-old.gguf", folder), GOLDEN_PATH);
    FILE *old = fopen(path, "rb");
    if (!old)
        return;
    fclose(old);
    n_old++;
    check_file(folder, "model-old.gguf");
}

static const char *const families[] = {"llama_", "qwen2_", "qwen3_", "q128_",
                                       "q256_",  "v2_",    "v3_",    "q256ds"};
enum { N_FAMILIES = sizeof families / sizeof *families };

START_TEST(equal_the_reference)
{
    char path[GOLDEN_PATH];
    snprintf(path, sizeof path, "%s/models", golden_root);
    ck_assert_uint_ge(golden_each(path, families, N_FAMILIES, check_case), 25);
    ck_assert_uint_ge(n_old, 1);
}
END_TEST

START_TEST(equal_the_whole_set)
{
    char path[GOLDEN_PATH];
    snprintf(path, sizeof path, "%s/golden", getenv("SPRAT_TEST_DATA"));
    ck_assert_uint_ge(golden_each(path, families, N_FAMILIES, check_case), 42);
}
END_TEST

static void check_bits(const char *name, uint32_t kv_type)
{
    static const uint32_t threads[] = {1, 2, 3, 7}, chunks[] = {1, 7, 64, 512};
    char folder[GOLDEN_PATH];
    snprintf(folder, sizeof folder, "%s/models/%s", golden_root, name);
    char *json = golden_read(folder, "case.json", NULL);
    size_t n;
    sprat_token *tokens = read_tokens(json, &n);
    float *first = NULL;
    for (size_t t = 0; t < 4; t++) {
        struct loaded loaded = load(folder, "model.gguf", threads[t]);
        size_t bytes = n * loaded.n_vocab * sizeof(float);
        for (size_t c = 0; c < 4; c++) {
            float *logits = run(&loaded, tokens, n, chunks[c], kv_type);
            if (first)
                ck_assert_msg(memcmp(first, logits, bytes) == 0,
                              "%s: %u threads, chunk %u: other "
                              "bits",
                              name, threads[t], chunks[c]);
            if (!first)
                first = logits;
            else
                free(logits);
        }
        unload(&loaded);
    }
    free(first);
    free(tokens);
    free(json);
}

START_TEST(same_bits_for_any_threads_and_chunk)
{
    check_bits("llama_llama3_gqa4", SPRAT_KV_F16);
    check_bits("llama_llama3_gqa4", SPRAT_KV_F32);
    check_bits("qwen3_yarn_attn_factor", SPRAT_KV_F16);
    check_bits("q256_Q4_K_M", SPRAT_KV_F16);
    check_bits("v3_r1", SPRAT_KV_F16);
    check_bits("v2_groups", SPRAT_KV_F32);
}
END_TEST

int main(int argc, char **argv)
{
    golden_root = argc > 1 ? argv[1] : ".";
    Suite *suite = suite_create("models");
    TCase *tests = tcase_create("models");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, equal_the_reference);
    if (getenv("SPRAT_TEST_DATA"))
        tcase_add_test(tests, equal_the_whole_set);
    tcase_add_test(tests, same_bits_for_any_threads_and_chunk);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
