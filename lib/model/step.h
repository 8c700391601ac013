/* One step: n tokens at consecutive positions go through the layers together. The parts shared by
 * the families; each computes for all rows of the step and returns OK or CANCELLED. Scratch is the
 * session's and is big enough for its largest chunk. */
#ifndef SPRAT__STEP_H
#define SPRAT__STEP_H

#include "model/model.h"
#include "thread/pool.h"

struct sprat__step {
    const struct sprat__model *model;
    const struct sprat__kernels *kernels;
    struct sprat__pool *pool;
    const _Atomic int32_t *cancel;
    const struct sprat__kv *kv;
    bool int8;               /* numerics INT8; else F32 */
    const double *frequency; /* sprat__rope_frequencies */
    double magnitude;
    size_t position, n; /* of the first row; rows */
    /* Rows of scratch, each buffer n rows of the width named. */
    float *x;             /* n_embd: the residual stream */
    float *normed;        /* n_embd */
    float *q, *k, *v;     /* heads × dimension */
    float *attended;      /* n_heads × value_dim */
    float *gate, *up;     /* n_ff */
    float *cosine, *sine; /* rope.n_dims / 2 */
    /* Numerics INT8: activations on their way into a product, rounded; rounded holds floats in the
     * same memory. */
    struct sprat__acts acts;
    float *rounded;
    float *vector; /* one row as wide as the widest: norms' weights and biases, unpacked */
};

/* The floats of vector: the widest norm, or the biases of products that are computed together; and
 * of rounded: the widest row that goes into a product, those of fine products twice. */
size_t sprat__step_vector_len(const struct sprat__model *model);
size_t sprat__step_row_len(const struct sprat__model *model);

/* linear.c */
/* One product: y[row] = weight · x[row] + bias, rows of y y_stride floats apart. fine: numerics
 * INT8 take the activations in two parts, what 8 bits hold and the rest in 8 bits again, and add
 * the two products. Keys and values are fine, for they stay in the cache, and logits, for they are
 * the answer: most of the error for little of the work. */
struct sprat__product {
    const struct sprat__weight *weight;
    const struct sprat__weight *bias; /* NULL or without data: none */
    float *y;
    size_t y_stride;
    bool fine;
};
enum { SPRAT__MAX_PRODUCTS = 3 };

/* Products of the same rows x, x_stride floats apart: x is rounded once for all that round alike,
 * and their tiles are handed out together. All weights have the same number of columns. */
sprat_status sprat__linear(struct sprat__step *step, const struct sprat__product *products,
                           size_t n_products, const float *x, size_t x_stride);
/* out[row] = RMS norm of in[row]; n_parts norms of weight's length stand side by side in a row. */
sprat_status sprat__norm(struct sprat__step *step, const struct sprat__weight *weight,
                         const float *in, float *out, size_t n_parts);
/* x += y, all rows. */
sprat_status sprat__residual(struct sprat__step *step, const float *y);
/* The embeddings of tokens become x. */
void sprat__embed(struct sprat__step *step, const sprat_token *tokens);

/* rope.c */
/* frequency: rope.n_dims / 2 values; magnitude: what cos and sin are multiplied by. BAD_CONFIG. */
sprat_status sprat__rope_frequencies(const struct sprat__model *model,
                                     const struct sprat__kernels *kernels, double *frequency,
                                     double *magnitude, struct sprat__err *err);
/* Fills the step's cosine and sine for its positions. */
void sprat__rope_angles(struct sprat__step *step);
/* Rotates n_heads heads of dim channels in every row. */
sprat_status sprat__rope_apply(struct sprat__step *step, float *heads, size_t n_heads, size_t dim);

/* attention.c */
/* normed → q, k, v → cache → attended → normed. */
sprat_status sprat__attention(struct sprat__step *step, uint32_t layer);

/* ffn.c */
/* x += FFN(norm(x)). */
sprat_status sprat__ffn(struct sprat__step *step, uint32_t layer);

/* dense.c: the layer of llama and qwen, and its views. */
sprat_status sprat__dense_forward(struct sprat__step *step, uint32_t layer);
sprat_status sprat__dense_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err);
/* The biases of q, k and v, which may be required; that of the output never is. */
sprat_status sprat__dense_bind_biases(struct sprat__model *model, uint32_t layer, bool optional,
                                      struct sprat__err *err);

#endif
