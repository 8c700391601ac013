/* Numbers at their limits: a value that is not finite ends in NUMERIC and leaves the session where
 * it was; the host's floating-point state changes no bit and comes back as it was. The model lies
 * in memory, where a test changes weights before it computes. */
#include "run_suite.h"
#include "engine/session.h"
#include "fixture.h"

#include <fenv.h>
#include <math.h>

static const char *model_path;

struct patched {
    struct fixture fixture;
    char *bytes;
    struct sprat__model *inside;
};

static struct patched patched_open(void)
{
    struct patched p = {.bytes = NULL};
    FILE *file = fopen(model_path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(file);
    rewind(file);
    p.bytes = malloc(n);
    ck_assert_uint_eq(fread(p.bytes, 1, n, file), n);
    fclose(file);
    sprat_source source;
    sprat_init(&source, sizeof source);
    source.kind = SPRAT_SOURCE_MEMORY;
    source.data = p.bytes;
    source.length = n;
    ck_assert_int_eq(sprat_context_create(&p.fixture.context, NULL, NULL), SPRAT_OK);
    ck_assert_int_eq(sprat_model_open(&p.fixture.model, p.fixture.context, &source, NULL, NULL),
                     SPRAT_OK);
    p.inside = &p.fixture.model->model;
    p.fixture.n_vocab = p.inside->config.n_vocab;
    return p;
}

static void patched_close(struct patched *p)
{
    fixture_close(&p->fixture);
    free(p->bytes);
}

static void set(struct patched *p, const struct sprat__weight *weight, size_t row, size_t column,
                float value)
{
    ck_assert_uint_eq(weight->type, SPRAT__F32);
    size_t at = (size_t)((const char *)weight->data - p->bytes);
    memcpy(p->bytes + at + row * weight->row_bytes + column * sizeof value, &value, sizeof value);
}

static void set_row(struct patched *p, const struct sprat__weight *weight, size_t row, float value)
{
    for (size_t i = 0; i < weight->n_cols; i++)
        set(p, weight, row, i, value);
}

/* A token that ends in NUMERIC; the session has the others still, and their logits. */
static void check_refused(struct patched *p, sprat_token good, sprat_token bad)
{
    sprat_session *session = fixture_session(&p->fixture, 0, SPRAT_KV_F16);
    ck_assert_int_eq(sprat_session_accept(session, good), SPRAT_OK);
    float *before = fixture_last(&p->fixture, session);
    ck_assert_int_eq(sprat_session_accept(session, bad), SPRAT_NUMERIC);
    ck_assert_ptr_nonnull(strstr(sprat_session_error(session), "position 1"));
    size_t n;
    sprat_token held[1];
    ck_assert_int_eq(sprat_session_tokens(&n, session, held, 1), SPRAT_OK);
    ck_assert_uint_eq(n, 1);
    float *after = fixture_last(&p->fixture, session);
    ck_assert_int_eq(memcmp(before, after, p->fixture.n_vocab * sizeof *before), 0);
    ck_assert_int_eq(sprat_session_accept(session, good), SPRAT_OK);
    free(before);
    free(after);
    sprat_session_destroy(session);
}

START_TEST(weights_that_are_not_finite)
{
    const float values[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < 3; i++) {
        struct patched p = patched_open();
        set(&p, &p.inside->embedding, 7, 3, values[i]);
        check_refused(&p, 5, 7);
        patched_close(&p);
    }
}
END_TEST

/* The sum of squares overflows: a norm would give zeros, which look like numbers. */
START_TEST(norms_that_overflow)
{
    struct patched p = patched_open();
    set_row(&p, &p.inside->embedding, 7, 1e30f);
    check_refused(&p, 5, 7);
    patched_close(&p);
}
END_TEST

/* A key beyond the range of f16 whose score is -infinity: the token would be skipped unseen. */
START_TEST(keys_that_overflow)
{
    struct patched p = patched_open();
    const struct sprat__config *config = &p.inside->config;
    const struct sprat__layer *layer = &p.inside->layers[0];
    for (sprat_token token = 5; token <= 7; token += 2)
        set_row(&p, &p.inside->embedding, (size_t)token, 0.0f);
    set(&p, &p.inside->embedding, 5, 0, 1.0f);
    set(&p, &p.inside->embedding, 7, 1, 1.0f);
    for (size_t row = 0; row < layer->q.n_rows; row++)
        set_row(&p, &layer->q, row, 0.0f);
    for (size_t row = 0; row < layer->k.n_rows; row++)
        set_row(&p, &layer->k, row, 0.0f);
    size_t dim = config->key_dim, last_pair = config->rope.n_dims - 2;
    set(&p, &layer->attn_norm, 0, 1, 1.0f);
    for (size_t head = 0; head < config->n_heads; head++)
        set(&p, &layer->q, head * dim + last_pair, 1, -1.0f);
    for (size_t head = 0; head < config->n_kv_heads; head++)
        set(&p, &layer->k, head * dim + last_pair, 1, 1e6f);
    check_refused(&p, 5, 7);
    patched_close(&p);
}
END_TEST

START_TEST(host_state_changes_no_bit)
{
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    struct fixture fixture = fixture_open(model_path, NULL);
    sprat_token tokens[40];
    fixture_tokens(tokens, 40, fixture.n_vocab, 8);
    float *expected = NULL;
    double frequencies[SPRAT__MAX_HEAD_DIM / 2];
    size_t n_bytes = fixture.model->model.config.rope.n_dims / 2 * sizeof(double);
    for (size_t i = 0; i <= sizeof modes / sizeof *modes; i++) {
        if (i > 0)
            ck_assert_int_eq(fesetround(modes[i - 1]), 0);
        sprat_session *session = fixture_session(&fixture, 0, SPRAT_KV_F16);
        sprat_status status = sprat_session_sync(NULL, session, tokens, 40);
        float *logits = fixture_last(&fixture, session);
        int mode = fegetround();
        ck_assert_int_eq(fesetround(FE_TONEAREST), 0);
        ck_assert_int_eq(status, SPRAT_OK);
        if (i == 0) {
            expected = logits;
            memcpy(frequencies, session->step.frequency, n_bytes);
        } else {
            ck_assert_int_eq(memcmp(frequencies, session->step.frequency, n_bytes), 0);
            ck_assert_int_eq(mode, modes[i - 1]);
            ck_assert_int_eq(memcmp(logits, expected, fixture.n_vocab * sizeof *logits), 0);
            free(logits);
        }
        sprat_session_destroy(session);
    }
    free(expected);
    fixture_close(&fixture);
}
END_TEST

/* Looking for values that are not finite must not raise the host's flags, nor trap. */
START_TEST(host_flags_stay)
{
    struct patched p = patched_open();
    set(&p, &p.inside->output, 9, 0, INFINITY);
    sprat_session *session = fixture_session(&p.fixture, 0, SPRAT_KV_F16);
    float *logits = malloc(p.fixture.n_vocab * sizeof *logits);
    size_t first = 0;
    feclearexcept(FE_ALL_EXCEPT);
    sprat_status accepted = sprat_session_accept(session, 5);
    sprat_status status = sprat_session_logits(session, &first, 1, logits, p.fixture.n_vocab);
    int raised = fetestexcept(FE_ALL_EXCEPT);
    ck_assert_int_eq(accepted, SPRAT_OK);
    ck_assert_int_eq(status, SPRAT_NUMERIC);
    ck_assert_int_eq(raised, 0);
    free(logits);
    sprat_session_destroy(session);
    patched_close(&p);
}
END_TEST

int main(int argc, char **argv)
{
    model_path = argc > 1 ? argv[1] : "model.gguf";
    Suite *suite = suite_create("numeric");
    TCase *tests = tcase_create("numeric");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, weights_that_are_not_finite);
    tcase_add_test(tests, norms_that_overflow);
    tcase_add_test(tests, keys_that_overflow);
    tcase_add_test(tests, host_state_changes_no_bit);
    tcase_add_test(tests, host_flags_stay);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
