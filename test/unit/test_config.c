/* model/config: which keys are needed, how else they may be stored, what is absent. */
#include "gguf_writer.h"
#include "model/config.h"

#include "run_suite.h"

#include <check.h>

static struct sprat__mem mem;
static struct sprat__err err;
static struct gw w;

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

/* Every key that a configuration needs, but one. */
static void write_needed(const char *but)
{
    static const struct {
        const char *key;
        uint32_t value;
    } needed[] = {{"qwen2.block_count", 3},
                  {"qwen2.embedding_length", 96},
                  {"qwen2.feed_forward_length", 40},
                  {"qwen2.context_length", 512},
                  {"qwen2.attention.head_count", 6}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (strcmp(needed[i].key, but) != 0)
            gw_u32(&w, needed[i].key, needed[i].value);
    }
    if (strcmp("qwen2.attention.layer_norm_rms_epsilon", but) != 0)
        gw_f32(&w, "qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
}

static sprat_status read_written(struct sprat__config *config)
{
    struct sprat__gguf gguf;
    gw_end(&w);
    struct sprat_source source = {.size = sizeof source,
                                  .kind = SPRAT_SOURCE_MEMORY,
                                  .data = w.file.data,
                                  .length = w.file.len};
    memset(config, 0, sizeof *config);
    ck_assert_int_eq(sprat__gguf_open(&gguf, &mem, &source, &err), SPRAT_OK);
    sprat_status status = sprat__config_read(config, &gguf, &sprat__family_qwen2, &err);
    sprat__gguf_close(&gguf);
    return status;
}

static void refused(sprat_status status, const char *says)
{
    struct sprat__config config;
    ck_assert_int_eq(read_written(&config), status);
    ck_assert_msg(strstr(err.message, says) != NULL, "'%s' says no '%s'", err.message, says);
}

START_TEST(absent_keys)
{
    struct sprat__config config;
    write_needed("");
    ck_assert_int_eq(read_written(&config), SPRAT_OK);
    ck_assert_uint_eq(config.n_kv_heads, 6);
    ck_assert_uint_eq(config.key_dim, 16);
    ck_assert_uint_eq(config.value_dim, 16);
    ck_assert_uint_eq(config.rope.n_dims, 16);
    ck_assert_uint_eq(config.rope.n_ctx_original, 512);
    ck_assert_float_eq(config.epsilon, 1e-6f);
    ck_assert_float_eq(config.rope.base, 10000.0f);
    ck_assert_float_eq(config.rope.factor, 1.0f);
}
END_TEST

START_TEST(needed_keys)
{
    static const char *const keys[] = {
        "qwen2.block_count",          "qwen2.embedding_length",
        "qwen2.feed_forward_length",  "qwen2.context_length",
        "qwen2.attention.head_count", "qwen2.attention.layer_norm_rms_epsilon"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        gw_free(&w);
        gw_begin(&w);
        write_needed(keys[i]);
        refused(SPRAT_BAD_CONFIG, keys[i]);
        ck_assert_ptr_nonnull(strstr(err.message, "missing"));
    }
}
END_TEST

START_TEST(other_widths)
{
    struct sprat__config config;
    write_needed("qwen2.context_length");
    gw_u64(&w, "qwen2.context_length", 1000);
    gw_scalar(&w, "qwen2.attention.head_count_kv", GW_I8, 2);
    gw_u16(&w, "qwen2.attention.value_length", 5);
    gw_i32(&w, "qwen2.rope.freq_base", 500000);
    gw_f64(&w, "qwen2.rope.scale_linear", 2.5);
    ck_assert_int_eq(read_written(&config), SPRAT_OK);
    ck_assert_uint_eq(config.n_ctx_train, 1000);
    ck_assert_uint_eq(config.n_kv_heads, 2);
    ck_assert_uint_eq(config.key_dim, 16);
    ck_assert_uint_eq(config.value_dim, 5);
    ck_assert_float_eq(config.rope.base, 500000.0f);
    ck_assert_int_eq(config.rope.scaling, SPRAT__ROPE_LINEAR);
    ck_assert_float_eq(config.rope.factor, 2.5f);
}
END_TEST

START_TEST(one_value_per_layer)
{
    static const char key[] = "qwen2.feed_forward_length";
    static const struct {
        int32_t values[4];
        size_t n;
        sprat_status status;
        const char *says;
    } cases[] = {
        {{40, 40, 40}, 3, SPRAT_OK, ""},
        {{40, 40, 40, 40}, 4, SPRAT_OK, ""},
        {{40, 48, 40}, 3, SPRAT_UNSUPPORTED, "layer 1 has 48"},
        {{40, 40}, 2, SPRAT_BAD_CONFIG, "expected 3 elements, one per layer, found 2"},
        {{0}, 0, SPRAT_BAD_CONFIG, "expected 3 elements, one per layer, found 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sprat__config config;
        gw_free(&w);
        gw_begin(&w);
        write_needed(key);
        gw_i32s(&w, key, cases[i].values, cases[i].n);
        if (cases[i].status == SPRAT_OK) {
            ck_assert_int_eq(read_written(&config), SPRAT_OK);
            ck_assert_uint_eq(config.n_ff, 40);
        } else {
            refused(cases[i].status, cases[i].says);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, absent_keys);
    tcase_add_test(tests, needed_keys);
    tcase_add_test(tests, other_widths);
    tcase_add_test(tests, one_value_per_layer);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
