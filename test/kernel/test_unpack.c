/* Blocks as integers: in the ranges that unpack.h states, which bound sums in int32; the same
 * values as the floats of dequant and of ggml's reference; every field written, no byte read
 * outside the block, at any address. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/scalar/unpack.h"
#include "quant_vectors.h"

#include "run_suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *vectors_path;

struct range {
    int low, high;
};
static const struct {
    const char *name;
    uint32_t type;
    unsigned elements; /* of one unpacking */
    struct range w, scale, least;
    bool odd; /* scales */
} types[] = {
#define ONE                                                                                        \
    {                                                                                              \
        1, 1                                                                                       \
    }
#define NONE                                                                                       \
    {                                                                                              \
        0, 0                                                                                       \
    }
    {"q8_0", SPRAT__Q8_0, 32, {-128, 127}, ONE, NONE, false},
    {"q4_0", SPRAT__Q4_0, 32, {-8, 7}, ONE, NONE, false},
    {"q4_1", SPRAT__Q4_1, 32, {0, 15}, ONE, NONE, false},
    {"q5_0", SPRAT__Q5_0, 32, {-16, 15}, ONE, NONE, false},
    {"q5_1", SPRAT__Q5_1, 32, {0, 31}, ONE, NONE, false},
    {"iq4_nl", SPRAT__IQ4_NL, 32, {-127, 113}, ONE, NONE, false},
    {"mxfp4", SPRAT__MXFP4, 32, {-12, 12}, ONE, NONE, false},
    {"q1_0", SPRAT__Q1_0, 32, {-1, 1}, ONE, NONE, false},
    {"q2_0", SPRAT__Q2_0, 32, {-1, 2}, ONE, NONE, false},
    {"q2_k", SPRAT__Q2_K, 256, {0, 3}, {0, 15}, {0, 15}, false},
    {"q3_k", SPRAT__Q3_K, 256, {-4, 3}, {-32, 31}, NONE, false},
    {"q4_k", SPRAT__Q4_K, 256, {0, 15}, {0, 63}, {0, 63}, false},
    {"q5_k", SPRAT__Q5_K, 256, {0, 31}, {0, 63}, {0, 63}, false},
    {"q6_k", SPRAT__Q6_K, 256, {-32, 31}, {-128, 127}, NONE, false},
    {"iq1_s", SPRAT__IQ1_S, 256, {-9, 9}, {1, 15}, NONE, true},
    {"iq1_m", SPRAT__IQ1_M, 256, {-9, 9}, {1, 15}, NONE, true},
    {"iq2_xxs", SPRAT__IQ2_XXS, 256, {-43, 43}, {1, 31}, NONE, true},
    {"iq2_xs", SPRAT__IQ2_XS, 256, {-43, 43}, {1, 31}, NONE, true},
    {"iq2_s", SPRAT__IQ2_S, 256, {-43, 43}, {1, 31}, NONE, true},
    {"iq3_xxs", SPRAT__IQ3_XXS, 256, {-62, 62}, {1, 31}, NONE, true},
    {"iq3_s", SPRAT__IQ3_S, 256, {-15, 15}, {1, 31}, NONE, true},
    {"iq4_xs", SPRAT__IQ4_XS, 256, {-127, 113}, {-32, 31}, NONE, false},
    {"tq1_0", SPRAT__TQ1_0, 256, {-1, 1}, ONE, NONE, true},
    {"tq2_0", SPRAT__TQ2_0, 256, {-1, 2}, ONE, NONE, true},
#undef ONE
#undef NONE
};
enum { N_TYPES = sizeof types / sizeof types[0] };

/* One block, whatever its size: up to four of 32, or one of 256. */
union unpacked {
    struct sprat__block32 small[4];
    struct sprat__block256 big;
};

static size_t bytes_of(int t)
{
    return sprat__dtype_info(types[t].type)->block_bytes;
}
static unsigned elements_of(int t)
{
    return sprat__dtype_info(types[t].type)->block_elements;
}

/* Unpacks from the end of a range of memory of its own, shift bytes from its start. */
static void unpack_at(int t, union unpacked *out, const uint8_t *block, size_t shift, int poison)
{
    uint8_t *memory = malloc(shift + bytes_of(t));
    ck_assert(memory != NULL);
    memcpy(memory + shift, block, bytes_of(t));
    memset(out, poison, sizeof *out);
    if (types[t].elements == 256) {
        sprat__unpack256(types[t].type)(&out->big, memory + shift);
    } else {
        for (unsigned part = 0; part < elements_of(t) / 32; part++)
            sprat__unpack32(types[t].type)(&out->small[part], memory + shift, part);
    }
    free(memory);
}

/* The integers and factors of element i. The formula is exact in binary64: no sum is wider than 52
 * bits, so that the conversion is the only rounding. */
static float value_of(int t, const union unpacked *u, unsigned i)
{
    if (types[t].elements == 256) {
        const struct sprat__block256 *b = &u->big;
        return (float)((double)(b->w[i] * b->scale[i / 16]) * (double)b->d -
                       (double)b->least[i / 16] * (double)b->dmin);
    }
    const struct sprat__block32 *b = &u->small[i / 32];
    return (float)((double)b->w[i % 32] * (double)b->d + (double)b->m);
}

/* Integers have no -0, and a NaN's bits are no number's. */
static bool same_value(float a, float b)
{
    return a == b || (a != a && b != b);
}

struct seen {
    struct range w, scale, least;
};

/* Check's own assertions write to a pipe each: too slow for every integer. */
static void see(int t, const char *what, struct range *seen, struct range allowed, int value)
{
    if (value < allowed.low || value > allowed.high)
        ck_abort_msg("%s: %s %d is not in %d..%d", types[t].name, what, value, allowed.low,
                     allowed.high);
    seen->low = value < seen->low ? value : seen->low;
    seen->high = value > seen->high ? value : seen->high;
}

static void check_ranges(int t, const union unpacked *u, struct seen *seen)
{
    if (types[t].elements == 256) {
        for (int i = 0; i < 256; i++)
            see(t, "w", &seen->w, types[t].w, u->big.w[i]);
        for (int i = 0; i < 16; i++) {
            see(t, "scale", &seen->scale, types[t].scale, u->big.scale[i]);
            see(t, "least", &seen->least, types[t].least, u->big.least[i]);
            if (types[t].odd && u->big.scale[i] % 2 != 1)
                ck_abort_msg("%s: scale %d is even", types[t].name, u->big.scale[i]);
        }
        if (types[t].least.high == 0 && sprat__bits_of_float(u->big.dmin) != 0)
            ck_abort_msg("%s: dmin", types[t].name);
    } else {
        for (unsigned i = 0; i < elements_of(t); i++)
            see(t, "w", &seen->w, types[t].w, u->small[i / 32].w[i % 32]);
    }
}

static void check_block(int t, const uint8_t *block, size_t shift, struct seen *seen)
{
    struct sprat__kernels kernels;
    float expected[256];
    union unpacked u, again;
    ck_assert(sprat__kernels_init(&kernels, &(struct sprat__cpu){0}, "scalar"));
    unpack_at(t, &u, block, 0, 0x88);
    unpack_at(t, &again, block, shift, 0x77);
    size_t written =
        types[t].elements == 256 ? sizeof u.big : elements_of(t) / 32 * sizeof *u.small;
    if (memcmp(&u, &again, written) != 0)
        ck_abort_msg("%s: another address, other integers", types[t].name);
    check_ranges(t, &u, seen);
    kernels.dequant[types[t].type](expected, block, elements_of(t));
    for (unsigned i = 0; i < elements_of(t); i++) {
        if (!same_value(value_of(t, &u, i), expected[i]))
            ck_abort_msg("%s: element %u is %a, not %a", types[t].name, i,
                         (double)value_of(t, &u, i), (double)expected[i]);
    }
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void random_block(uint8_t *block, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        block[i] = (uint8_t)next_random(state);
}

/* Every limit that unpack.h states is reached, so none is wider than it must be. */
START_TEST(integers_and_values)
{
    static const uint8_t fills[] = {0, 255, 128, 127, 0x55, 0xaa, 0xf0, 0x0f};
    /* ±0, ±least and largest subnormal, ±1, ±65504, ±infinity, NaN */
    static const uint16_t halves[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x3c00,
                                      0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00};
    int t = _i;
    uint64_t state = 20261108u + (uint64_t)t;
    uint8_t block[292];
    struct seen seen = {{999, -999}, {999, -999}, {999, -999}};
    for (size_t i = 0; i < sizeof fills; i++) {
        memset(block, fills[i], sizeof block);
        check_block(t, block, 1 + i % 7, &seen);
    }
    for (size_t i = 0; i < 400; i++) {
        random_block(block, bytes_of(t), &state);
        check_block(t, block, 1 + i % 7, &seen);
    }
    for (size_t at = 0; at + 1 < bytes_of(t); at++) {
        for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
            random_block(block, bytes_of(t), &state);
            block[at] = (uint8_t)halves[i];
            block[at + 1] = (uint8_t)(halves[i] >> 8);
            check_block(t, block, 1 + at % 7, &seen);
        }
    }
    ck_assert_mem_eq(&seen.w, &types[t].w, sizeof seen.w);
    if (types[t].elements == 256) {
        ck_assert_mem_eq(&seen.scale, &types[t].scale, sizeof seen.scale);
        ck_assert_mem_eq(&seen.least, &types[t].least, sizeof seen.least);
    }
}
END_TEST

START_TEST(stored_blocks)
{
    bool seen[N_TYPES] = {false};
    struct quant_vector vector;
    union unpacked u;
    FILE *f = fopen(vectors_path, "r");
    ck_assert_msg(f != NULL, "%s: no such file", vectors_path);
    while (quant_vector_read(f, &vector)) {
        int t = 0;
        while (t < N_TYPES && strcmp(types[t].name, vector.name) != 0)
            t++;
        if (t == N_TYPES) {
            ck_assert_str_eq(vector.name, "nvfp4");
            continue;
        }
        ck_assert_uint_eq(bytes_of(t), vector.bytes);
        ck_assert_uint_eq(elements_of(t), vector.elements);
        unpack_at(t, &u, vector.block, 3, 0x88);
        for (unsigned i = 0; i < vector.elements; i++) {
            float expected = sprat__float_of_bits(vector.expected[i]);
            ck_assert_msg(same_value(value_of(t, &u, i), expected), "%s: element %u is %a, not %a",
                          vector.name, i, (double)value_of(t, &u, i), (double)expected);
        }
        seen[t] = true;
    }
    fclose(f);
    for (int t = 0; t < N_TYPES; t++)
        ck_assert_msg(seen[t], "%s: no stored block", types[t].name);
}
END_TEST

START_TEST(types_with_a_function)
{
    for (uint32_t type = 0; type < 300; type++) {
        unsigned elements = 0;
        for (int t = 0; t < N_TYPES; t++)
            elements = types[t].type == type ? types[t].elements : elements;
        ck_assert_msg((sprat__unpack32(type) != NULL) == (elements == 32), "type %u", type);
        ck_assert_msg((sprat__unpack256(type) != NULL) == (elements == 256), "type %u", type);
    }
    ck_assert(sprat__unpack32(UINT32_MAX) == NULL && sprat__unpack256(UINT32_MAX) == NULL);
}
END_TEST

static int64_t largest(struct range range)
{
    return -range.low > range.high ? -range.low : range.high;
}

/* The sums of a block's products with activations of -127..127, those of 256 shifted left by up
 * to 3, in int32. */
START_TEST(sums_fit)
{
    int64_t most = 0, most_least = 0;
    for (int t = 0; t < N_TYPES; t++) {
        int64_t sum = types[t].elements * largest(types[t].w) * largest(types[t].scale) * 127;
        int64_t least = types[t].elements * largest(types[t].least) * 127;
        if (types[t].elements == 256) {
            sum *= 8;
            least *= 8;
        }
        ck_assert_msg(sum <= INT32_MAX && least <= INT32_MAX, "%s", types[t].name);
        most = sum > most ? sum : most;
        most_least = least > most_least ? least : most_least;
        if (types[t].elements == 32)
            ck_assert_int_lt(sum, 1 << 20);
    }
    ck_assert_int_eq(most, 1065353216);
    ck_assert_int_lt(most_least, 1 << 24);
}
END_TEST

int main(int argc, char **argv)
{
    vectors_path = argc > 1 ? argv[1] : "quant_vectors.txt";
    Suite *suite = suite_create("unpack");
    TCase *tests = tcase_create("unpack");
    tcase_add_loop_test(tests, integers_and_values, 0, N_TYPES);
    tcase_add_test(tests, stored_blocks);
    tcase_add_test(tests, types_with_a_function);
    tcase_add_test(tests, sums_fit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
