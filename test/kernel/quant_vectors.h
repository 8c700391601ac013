/* Reads quant_vectors.txt: per type one block and the bits of the floats it stands for, from ggml's
 * reference. */
#ifndef QUANT_VECTORS_H
#define QUANT_VECTORS_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct quant_vector {
    char name[32];
    unsigned elements, bytes;
    uint8_t block[292];
    uint32_t expected[256];
};

/* The next of the file; false at its end. */
static inline bool quant_vector_read(FILE *f, struct quant_vector *out)
{
    static char line[64 * 1024];
    do {
        if (!fgets(line, sizeof line, f))
            return false;
    } while (line[0] == '#');
    ck_assert_int_eq(sscanf(line, "%31s %u %u", out->name, &out->elements, &out->bytes), 3);
    ck_assert_uint_le(out->bytes, sizeof out->block);
    ck_assert_uint_le(out->elements, 256);
    ck_assert(fgets(line, sizeof line, f) != NULL);
    for (unsigned i = 0; i < out->bytes; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(line + 2 * i, "%2x", &byte), 1);
        out->block[i] = (uint8_t)byte;
    }
    ck_assert(fgets(line, sizeof line, f) != NULL);
    for (unsigned i = 0; i < out->elements; i++)
        ck_assert_int_eq(sscanf(line + 9 * i, "%8x", &out->expected[i]), 1);
    return true;
}

#endif
