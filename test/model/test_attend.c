/* Attention over a cache of random keys and values against its order written literally: any
 * threads, one row or many, tiles added by whoever comes. Shapes: grouped heads, latent ones, odd
 * ones. */
#include "model/step.h"

#include "kernel/half.h"
#include "kernel/scalar/exp32.h"

#include "run_suite.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 1403, ROWS = 70 };

struct shape {
    uint32_t n_heads, n_kv_heads, key_dim, value_dim, element_bytes;
    bool is_latent, int8;
};
static const struct shape shapes[] = {
    {12, 2, 128, 128, 2, false, true}, {9, 3, 64, 64, 2, false, true},
    {9, 3, 64, 64, 4, false, true},    {5, 5, 24, 40, 2, false, false},
    {40, 1, 72, 64, 2, true, true},    {34, 1, 20, 16, 4, true, false},
};

/* A session's parts that attention needs. */
struct bed {
    struct sprat__mem mem;
    struct sprat__err err;
    struct sprat__model model;
    struct sprat__kernels kernels;
    struct sprat__kv kv;
    struct sprat__step step;
    float *q; /* as they came; the step's are rounded in place */
    size_t q_len, out_len;
};

static float random_float(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)((int32_t)*state >> 8) * 0x1p-22f;
}

static void *made(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static void make_cache(struct bed *bed, const struct shape *shape, uint32_t *state)
{
    const struct sprat__kv_shape kv_shape = {1, shape->n_kv_heads, shape->key_dim,
                                             shape->is_latent ? 0 : shape->value_dim,
                                             shape->element_bytes};
    ck_assert_int_eq(
        sprat__kv_create(&bed->kv, &bed->mem, &bed->mem, &kv_shape, POSITIONS, &bed->err),
        SPRAT_OK);
    ck_assert_int_eq(sprat__kv_reserve(&bed->kv, POSITIONS, &bed->err), SPRAT_OK);
    for (size_t page = 0; page < bed->kv.n_pages; page++) {
        size_t n = bed->kv.page_bytes / shape->element_bytes;
        for (size_t i = 0; i < n; i++) {
            float value = random_float(state);
            if (shape->element_bytes == sizeof(float))
                memcpy(bed->kv.pages[page] + i * sizeof value, &value, sizeof value);
            else
                ((uint16_t *)(void *)bed->kv.pages[page])[i] = sprat__float_to_half(value);
        }
    }
}

static void make_bed(struct bed *bed, const struct shape *shape)
{
    uint32_t state = 7;
    struct sprat__cpu cpu;
    struct sprat__attend_parts *parts = &bed->step.parts;
    memset(bed, 0, sizeof *bed);
    sprat__mem_init(&bed->mem, NULL, 0);
    sprat__cpu_detect(&cpu);
    ck_assert(sprat__kernels_init(&bed->kernels, &cpu, NULL));
    bed->model.config.n_heads = shape->n_heads;
    bed->model.config.n_kv_heads = shape->n_kv_heads;
    bed->model.config.key_dim = shape->key_dim;
    bed->model.config.value_dim = shape->value_dim;
    bed->model.config.attention_scale = 0.11f;
    make_cache(bed, shape, &state);
    bed->q_len = (size_t)ROWS * shape->n_heads * shape->key_dim;
    bed->out_len = (size_t)ROWS * shape->n_heads * shape->value_dim;
    bed->q = made(bed->q_len, sizeof(float));
    for (size_t i = 0; i < bed->q_len; i++)
        bed->q[i] = random_float(&state);
    bed->step = (struct sprat__step){.model = &bed->model,
                                     .kernels = &bed->kernels,
                                     .kv = &bed->kv,
                                     .int8 = shape->int8,
                                     .q = made(bed->q_len, sizeof(float)),
                                     .attended = made(bed->out_len, sizeof(float))};
    /* Fewer than there are, so that they come in waves. */
    parts->n_tiles = 9;
    parts->o = made(parts->n_tiles * shape->n_heads * shape->value_dim, sizeof(float));
    parts->max = made((parts->n_tiles + 1) * shape->n_heads, sizeof(float));
    parts->sum = made((parts->n_tiles + 1) * shape->n_heads, sizeof(float));
    parts->stored = made(parts->n_tiles * shape->n_heads, sizeof *parts->stored);
    parts->units = made(shape->n_heads, sizeof *parts->units);
}

static void end_bed(struct bed *bed)
{
    struct sprat__attend_parts *parts = &bed->step.parts;
    void *const all[] = {bed->q,     bed->step.q, bed->step.attended,    parts->o,
                         parts->max, parts->sum,  (void *)parts->stored, parts->units};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    sprat__kv_end(&bed->kv);
}

static float rounded(float value, bool rounds)
{
    if (rounds)
        sprat__round_f32_scalar(&value, 1, 13);
    return value;
}

/* Element i of the row of keys or values of a position. */
static float element(const struct bed *bed, const struct shape *shape, uint32_t head,
                     size_t position, bool is_value, size_t i)
{
    bool own = is_value && !shape->is_latent;
    size_t stride = own ? shape->value_dim : shape->key_dim;
    const uint8_t *rows = own ? sprat__kv_values(&bed->kv, 0, head, position)
                              : sprat__kv_keys(&bed->kv, 0, head, position);
    size_t at = position % SPRAT__KV_TILE * stride + i;
    if (shape->element_bytes == sizeof(float))
        return ((const float *)(const void *)rows)[at];
    return sprat__half_to_float(((const uint16_t *)(const void *)rows)[at]);
}

/* doc/numerics.md, "Attention", for one query. */
static void literal(const struct bed *bed, const struct shape *shape, const float *q,
                    size_t position, uint32_t head, float *out)
{
    bool rounds = shape->int8 && shape->element_bytes == 2;
    float m = 0, l = 0, query[640], key[640];
    uint32_t kv_head = head / (shape->n_heads / shape->n_kv_heads);
    for (size_t i = 0; i < shape->key_dim; i++)
        query[i] = rounded(q[i], rounds);
    for (size_t first = 0; first <= position; first += SPRAT__KV_TILE) {
        float s[SPRAT__KV_TILE], lane[16] = {0}, own_m = -INFINITY;
        size_t n = position - first + 1 < SPRAT__KV_TILE ? position - first + 1 : SPRAT__KV_TILE;
        for (size_t j = 0; j < n; j++) {
            for (size_t i = 0; i < shape->key_dim; i++)
                key[i] = element(bed, shape, kv_head, first + j, false, i);
            s[j] = sprat__dot_f32_scalar(query, key, shape->key_dim) * 0.11f;
            own_m = s[j] > own_m ? s[j] : own_m;
        }
        for (size_t j = 0; j < n; j++) {
            s[j] = sprat__exp32(s[j] - own_m);
            lane[j % 16] += s[j];
        }
        for (size_t half = 8; half > 0; half /= 2) {
            for (size_t i = 0; i < half; i++)
                lane[i] += lane[i + half];
        }
        float top = first == 0 || own_m > m ? own_m : m;
        float a = sprat__exp32(m - top), b = sprat__exp32(own_m - top);
        for (size_t i = 0; i < shape->value_dim; i++) {
            float o = 0;
            for (size_t j = 0; j < n; j++)
                o += rounded(s[j], rounds) * element(bed, shape, kv_head, first + j, true, i);
            out[i] = first == 0 ? o : out[i] * a + o * b;
        }
        l = first == 0 ? lane[0] : l * a + lane[0] * b;
        m = top;
    }
    for (size_t i = 0; i < shape->value_dim; i++)
        out[i] *= 1.0f / l;
}

static void check_rows(struct bed *bed, const struct shape *shape, size_t position, size_t n,
                       const float *expected, uint32_t n_threads)
{
    size_t row = shape->n_heads * shape->value_dim;
    memcpy(bed->step.q, bed->q, bed->q_len * sizeof(float));
    memset(bed->step.attended, 0x55, bed->out_len * sizeof(float));
    bed->step.position = position;
    bed->step.n = n;
    ck_assert_int_eq(sprat__attend(&bed->step, 0), SPRAT_OK);
    for (size_t i = 0; i < n * row; i++)
        ck_assert_msg(
            memcmp(&bed->step.attended[i], &expected[i], sizeof(float)) == 0,
            "%u heads of %u, threads %u, %zu rows at %zu, row %zu, element %zu: %a, not %a",
            shape->n_heads, shape->key_dim, n_threads, n, position, i / row, i % row,
            (double)bed->step.attended[i], (double)expected[i]);
}

/* Position, rows. One row at many depths; chunks that begin and end anywhere. */
static const size_t cases[][2] = {{0, 1}, {63, 1}, {64, 1},   {700, 1}, {1402, 1},
                                  {0, 5}, {60, 9}, {0, ROWS}, {575, 3}, {1402 - 69, ROWS}};

static void check_shape(const struct shape *shape)
{
    struct bed bed;
    make_bed(&bed, shape);
    float *expected = made(bed.out_len, sizeof *expected);
    size_t head_q = shape->key_dim, head_out = shape->value_dim;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t position = cases[c][0], n = cases[c][1];
        for (size_t i = 0; i < n * shape->n_heads; i++)
            literal(&bed, shape, bed.q + i * head_q, position + i / shape->n_heads,
                    (uint32_t)(i % shape->n_heads), expected + i * head_out);
        for (uint32_t n_threads = 1; n_threads <= 7; n_threads += n_threads < 3 ? 1 : 4) {
            struct sprat__pool *pool;
            ck_assert_int_eq(sprat__pool_create(&pool, &bed.mem, n_threads, &bed.err), SPRAT_OK);
            bed.step.pool = pool;
            for (size_t times = n == 1 ? 10 : 1; times > 0; times--)
                check_rows(&bed, shape, position, n, expected, n_threads);
            sprat__pool_destroy(pool);
        }
    }
    free(expected);
    end_bed(&bed);
}

START_TEST(order)
{
    check_shape(&shapes[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("attend");
    TCase *tests = tcase_create("attend");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, order, 0, (int)(sizeof shapes / sizeof *shapes));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
