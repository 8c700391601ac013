/* Numbers of a configuration and shapes of tensors that do not fit each other: every number in the
 * file of a small DeepSeek model is changed in turn. The file is refused by one line, or it is a
 * model of its own, which computes or says why not. Nothing outside the file is ever read. */
#include "golden.h"
#include "run_suite.h"

#include <sprat/sprat.h>
#include <stdint.h>

static const char *model_path;

enum { GGUF_U32 = 4, GGUF_F32 = 6 };

struct tally {
    size_t refused, opened;
};

static uint64_t read_number(const uint8_t *at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

static void write_number(uint8_t *at, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++, value >>= 8)
        at[i] = (uint8_t)value;
}

/* Some steps of a model that opened. A status other than OK has a line. */
static void use(sprat_model *model)
{
    sprat_session *session;
    sprat_session_options options;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&error, sizeof error);
    options.n_ctx = 8;
    options.n_chunk = 4;
    sprat_status status = sprat_session_create(&session, model, &options, &error);
    if (status != SPRAT_OK) {
        ck_assert(error.message[0] != '\0');
        return;
    }
    const sprat_token tokens[] = {1, 2, 3, 4, 5, 6};
    status = sprat_session_sync(NULL, session, tokens, 6);
    if (status == SPRAT_OK)
        status = sprat_session_accept(session, 7);
    if (status != SPRAT_OK)
        ck_assert(sprat_session_error(session)[0] != '\0');
    sprat_session_destroy(session);
}

static void try_file(struct tally *tally, const uint8_t *bytes, size_t n, const char *what)
{
    sprat_context *context;
    sprat_context_options options;
    sprat_model *model;
    sprat_source source;
    sprat_error error;
    sprat_init(&options, sizeof options);
    sprat_init(&source, sizeof source);
    sprat_init(&error, sizeof error);
    options.n_threads = 1;
    options.memory_budget = 256u << 20;
    source.kind = SPRAT_SOURCE_MEMORY;
    source.data = bytes;
    source.length = n;
    ck_assert_int_eq(sprat_context_create(&context, &options, NULL), SPRAT_OK);
    sprat_status status = sprat_model_open(&model, context, &source, NULL, &error);
    if (status == SPRAT_OK) {
        tally->opened++;
        use(model);
        sprat_model_close(model);
    } else {
        tally->refused++;
        ck_assert_ptr_null(model);
        ck_assert_msg(error.message[0] != '\0' && !strchr(error.message, '\n'), "%s: '%s'", what,
                      error.message);
    }
    sprat_context_destroy(context);
}

static const uint8_t *find(const uint8_t *bytes, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 8; i + len + 16 < n; i++) {
        if (memcmp(bytes + i, name, len) == 0 && read_number(bytes + i - 8, 8) == len)
            return bytes + i + len;
    }
    return NULL;
}

/* Values that are near, zero, or far out. */
static void try_values(struct tally *tally, uint8_t *bytes, size_t n, uint8_t *at, size_t width,
                       const char *what)
{
    uint64_t old = read_number(at, width);
    const uint64_t values[] = {0,       1,        old - 1,       old + 1,    old * 2,
                               old / 2, old + 32, old * 1000003, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (values[i] == old)
            continue;
        write_number(at, width, values[i]);
        try_file(tally, bytes, n, what);
    }
    write_number(at, width, old);
}

START_TEST(keys)
{
    static const char *const names[] = {"block_count",
                                        "context_length",
                                        "embedding_length",
                                        "feed_forward_length",
                                        "attention.head_count",
                                        "attention.head_count_kv",
                                        "attention.key_length",
                                        "attention.value_length",
                                        "attention.key_length_mla",
                                        "attention.value_length_mla",
                                        "attention.q_lora_rank",
                                        "attention.kv_lora_rank",
                                        "rope.dimension_count",
                                        "leading_dense_block_count",
                                        "expert_count",
                                        "expert_used_count",
                                        "expert_shared_count",
                                        "expert_feed_forward_length",
                                        "expert_group_count",
                                        "expert_group_used_count",
                                        "expert_gating_func",
                                        "rope.scaling.original_context_length",
                                        "rope.freq_base",
                                        "rope.scaling.factor",
                                        "rope.scaling.yarn_beta_fast",
                                        "rope.scaling.yarn_beta_slow",
                                        "rope.scaling.yarn_log_multiplier",
                                        "expert_weights_scale",
                                        "attention.layer_norm_rms_epsilon"};
    size_t n;
    uint8_t *bytes = (uint8_t *)golden_read(model_path, "model.gguf", &n);
    struct tally tally = {0, 0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char key[96];
        snprintf(key, sizeof key, "deepseek2.%s", names[i]);
        const uint8_t *at = find(bytes, n, key);
        ck_assert_msg(at != NULL &&
                          (read_number(at, 4) == GGUF_U32 || read_number(at, 4) == GGUF_F32),
                      "%s: no such number", key);
        try_values(&tally, bytes, n, bytes + (at - bytes) + 4, 4, key);
    }
    ck_assert_uint_ge(tally.refused, 100);
    ck_assert_uint_ge(tally.opened, 5);
    free(bytes);
}
END_TEST

/* Every dimension of these tensors; gives how many. None may open. */
static size_t break_shapes(const char *file, const char *prefix, const char *const *names)
{
    size_t n, tried = 0;
    uint8_t *bytes = (uint8_t *)golden_read(model_path, file, &n);
    struct tally tally = {0, 0};
    for (size_t i = 0; names[i]; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", prefix, names[i]);
        const uint8_t *at = find(bytes, n, name);
        ck_assert_msg(at != NULL, "%s: no such tensor", name);
        size_t n_dims = (size_t)read_number(at, 4);
        for (size_t k = 0; k < n_dims; k++, tried++)
            try_values(&tally, bytes, n, bytes + (at - bytes) + 4 + 8 * k, 8, name);
    }
    ck_assert_uint_ge(tally.refused, tried * 7);
    ck_assert_uint_eq(tally.opened, 0);
    free(bytes);
    return tried;
}

START_TEST(shapes)
{
    static const char *const of_experts[] = {"attn_q_a.weight",
                                             "attn_q_a_norm.weight",
                                             "attn_q_b.weight",
                                             "attn_kv_a_mqa.weight",
                                             "attn_kv_a_norm.weight",
                                             "attn_k_b.weight",
                                             "attn_v_b.weight",
                                             "attn_output.weight",
                                             "ffn_gate_exps.weight",
                                             "ffn_up_exps.weight",
                                             "ffn_down_exps.weight",
                                             "ffn_gate_inp.weight",
                                             "exp_probs_b.bias",
                                             "ffn_gate_shexp.weight",
                                             "ffn_up_shexp.weight",
                                             "ffn_down_shexp.weight",
                                             "attn_norm.weight",
                                             "ffn_norm.weight",
                                             NULL};
    static const char *const dense[] = {"ffn_gate.weight", "ffn_up.weight", "ffn_down.weight",
                                        NULL};
    static const char *const outside[] = {"token_embd.weight", "output.weight",
                                          "output_norm.weight", NULL};
    static const char *const old[] = {"attn_kv_b.weight", NULL};
    size_t tried = break_shapes("model.gguf", "blk.1.", of_experts);
    tried += break_shapes("model.gguf", "blk.0.", dense);
    tried += break_shapes("model.gguf", "", outside);
    tried += break_shapes("model-old.gguf", "blk.2.", old);
    ck_assert_uint_ge(tried, 45);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : ".";
    Suite *suite = suite_create("relations");
    TCase *tests = tcase_create("relations");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, keys);
    tcase_add_test(tests, shapes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
