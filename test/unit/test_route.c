/* model/route: which experts, in what order, with what weights, by the rules of V2 and V3. */
#include "model/route.h"

#include "run_suite.h"

#include <math.h>
#include <string.h>

enum { N = 8 };

static struct sprat__kernels kernels;

static struct sprat__moe gate(bool is_softmax, uint32_t n_used, uint32_t groups, uint32_t used)
{
    return (struct sprat__moe){.n_experts = N,
                               .n_used = n_used,
                               .n_groups = groups,
                               .n_groups_used = used,
                               .is_softmax = is_softmax,
                               .scale = 1.0f};
}

static void set_up(void)
{
    const struct sprat__cpu none = {0};
    ck_assert(sprat__kernels_init(&kernels, &none, "scalar"));
}

/* Scores whose sigmoids order as given. */
static void route(const struct sprat__moe *moe, const float *score, const float *bias,
                  uint32_t *chosen, float *weight)
{
    float scores[N];
    memcpy(scores, score, sizeof scores);
    sprat__route(moe, &kernels, scores, bias, chosen, weight);
}

static void expect(const uint32_t *chosen, const uint32_t *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(chosen[i], wanted[i]);
}

START_TEST(softmax_weights_are_not_normalised)
{
    const float score[N] = {0, 3, 1, 2, -1, -2, -3, -4};
    struct sprat__moe moe = gate(true, 2, 1, 1);
    uint32_t chosen[2];
    float weight[2];
    double sum = 0;
    for (size_t i = 0; i < N; i++)
        sum += exp((double)score[i]);
    route(&moe, score, NULL, chosen, weight);
    expect(chosen, (const uint32_t[]){1, 3}, 2);
    ck_assert_double_le(fabs((double)weight[0] - exp(3) / sum), 1e-6);
    ck_assert_double_le(fabs((double)weight[1] - exp(2) / sum), 1e-6);
    moe.scale = 16.0f;
    route(&moe, score, NULL, chosen, weight);
    ck_assert_double_le(fabs((double)weight[1] - 16 * exp(2) / sum), 1e-5);
}
END_TEST

START_TEST(normalised_weights_add_up_to_the_scale)
{
    const float score[N] = {0, 3, 1, 2, -1, -2, -3, -4};
    struct sprat__moe moe = gate(false, 3, 1, 1);
    uint32_t chosen[3];
    float weight[3];
    moe.is_normalised = true;
    moe.scale = 2.5f;
    route(&moe, score, NULL, chosen, weight);
    expect(chosen, (const uint32_t[]){1, 2, 3}, 3);
    ck_assert_double_le(fabs((double)(weight[0] + weight[1] + weight[2]) - 2.5), 1e-6);
    ck_assert(weight[0] > weight[2] && weight[2] > weight[1]);
}
END_TEST

START_TEST(a_bias_chooses_and_does_not_weigh)
{
    const float score[N] = {0, 0, 0, 0, 0, 0, 0, 4};
    const float bias[N] = {-1, -1, -1, 1, -1, -1, 1, -1};
    struct sprat__moe moe = gate(false, 2, 1, 1);
    uint32_t chosen[2];
    float weight[2];
    route(&moe, score, bias, chosen, weight);
    expect(chosen, (const uint32_t[]){3, 6}, 2);
    ck_assert_float_eq(weight[0], 0.5f);
    ck_assert_float_eq(weight[1], 0.5f);
}
END_TEST

/* The group with the one best expert, against that with the two best together. */
START_TEST(groups_by_the_best_or_by_two)
{
    const float score[N] = {5, -9, -9, -9, 4, 4, -9, -9};
    uint32_t chosen[2];
    float weight[2];
    struct sprat__moe v2 = gate(true, 2, 2, 1), v3 = gate(false, 2, 2, 1);
    const float low[N] = {0};
    route(&v2, score, NULL, chosen, weight);
    expect(chosen, (const uint32_t[]){0, 1}, 2);
    route(&v3, score, NULL, chosen, weight);
    expect(chosen, (const uint32_t[]){4, 5}, 2);
    const float close[N] = {1, -9, -9, -9, 0.9f, 0.9f, -9, -9};
    v2 = gate(true, 2, 2, 1);
    route(&v2, close, low, chosen, weight); /* a bias, though of zeros: V3's rule */
    expect(chosen, (const uint32_t[]){4, 5}, 2);
}
END_TEST

/* An expert of a closed group is out, even where all biased scores of the open one are negative. */
START_TEST(closed_groups_are_out)
{
    const float score[N] = {0, 0, 0, 0, 1, 1, 1, 1};
    const float bias[N] = {-3, -3, -3, -3, -2, -2, -2, -2};
    struct sprat__moe moe = gate(false, 3, 2, 1);
    uint32_t chosen[3];
    float weight[3];
    route(&moe, score, bias, chosen, weight);
    expect(chosen, (const uint32_t[]){4, 5, 6}, 3);
}
END_TEST

START_TEST(of_equals_the_first)
{
    const float score[N] = {0};
    struct sprat__moe moe = gate(false, 3, 4, 2);
    uint32_t chosen[3];
    float weight[3];
    route(&moe, score, NULL, chosen, weight);
    expect(chosen, (const uint32_t[]){0, 1, 2}, 3);
}
END_TEST

/* Experts stay distinct and in range, and the weights tell that something is wrong. */
START_TEST(scores_that_are_no_numbers)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        for (int softmax = 0; softmax < 2; softmax++) {
            float score[N];
            uint32_t chosen[4];
            float weight[4];
            struct sprat__moe moe = gate(softmax == 1, 4, 2, 1);
            for (size_t k = 0; k < N; k++)
                score[k] = bad[i];
            route(&moe, score, NULL, chosen, weight);
            for (size_t k = 0; k < 4; k++)
                ck_assert(chosen[k] < N && (k == 0 || chosen[k] > chosen[k - 1]));
            if (softmax == 1 || i == 0)
                ck_assert(isnan(weight[0]));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *tests = tcase_create("route");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, softmax_weights_are_not_normalised);
    tcase_add_test(tests, normalised_weights_add_up_to_the_scale);
    tcase_add_test(tests, a_bias_chooses_and_does_not_weigh);
    tcase_add_test(tests, groups_by_the_best_or_by_two);
    tcase_add_test(tests, closed_groups_are_out);
    tcase_add_test(tests, of_equals_the_first);
    tcase_add_test(tests, scores_that_are_no_numbers);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
