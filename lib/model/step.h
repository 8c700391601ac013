/* One step: n tokens at consecutive positions go through the layers together. The parts shared by
 * the families; each computes for all rows of the step and returns OK or CANCELLED. Scratch is the
 * session's and is big enough for its largest chunk. */
#ifndef SPRAT__STEP_H
#define SPRAT__STEP_H

#include "model/model.h"
#include "thread/pool.h"

/* What a product's weights ask of the activations: binary32, 13 or 16 significant bits, 8 bits in
 * blocks of 32 or of 256. */
enum sprat__form {
    SPRAT__FORM_FLOAT,
    SPRAT__FORM_F16,
    SPRAT__FORM_BF16,
    SPRAT__FORM_32,
    SPRAT__FORM_256,
    SPRAT__N_FORMS
};

/* What attention of one row leaves between its threads (attend_tiles.c). */
struct sprat__attend_unit {
    _Atomic uint32_t held; /* by a thread, which may add to the unit */
    size_t next;           /* the group to be added next; of who holds the unit */
};
struct sprat__attend_parts {
    size_t n_tiles;           /* sprat__attend_tiles */
    float *o;                 /* n_tiles × n_heads × value_dim */
    float *max, *sum;         /* (n_tiles + 1) × n_heads: the last ones of all tiles so far */
    _Atomic uint32_t *stored; /* n_tiles × n_heads: by unit and group */
    struct sprat__attend_unit *units; /* n_heads at most */
};

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
    float *x;         /* n_embd: the residual stream */
    float *normed;    /* n_embd */
    float *q, *k, *v; /* heads × dimension */
    float *attended;  /* n_heads × value_dim */
    struct sprat__attend_parts parts;
    float *gate, *up;     /* n_ff; those of shared experts, then those of slots */
    float *cosine, *sine; /* rope.n_dims / 2 */
    /* Numerics INT8: activations on their way into products, by form; what the model's weights ask
     * for. */
    struct sprat__acts acts[SPRAT__N_FORMS];
    float *rounded[SPRAT__N_FORMS];
    /* Latent attention. */
    float *q_rank; /* q_rank */
    float *heads;  /* n_heads × the wider of a head's plain query and its value */
    /* Experts. */
    float *router;        /* n_experts: scores */
    uint32_t *expert;     /* n_used: ids, ascending */
    float *expert_weight; /* n_used */
    uint32_t *slot_of;    /* n_used: where the row is among its expert's */
    float *expert_y;      /* n_used × n_embd, by slot */
    float *shared_y;      /* n_embd */
    /* What grouped products take: the first slot of every part, and each slot's row. */
    uint32_t *slot_first; /* once: the most parts, and one */
    uint32_t *slot_row;   /* the more of n_heads and n_used */
    float *vector;        /* sprat__step_vector_len: norms' weights and biases, unpacked */
};

/* rows.c */
/* The floats of vector: what has to be unpacked at the same time; and the widest row that goes into
 * a product, those of fine products twice. */
size_t sprat__step_vector_len(const struct sprat__model *model);
size_t sprat__step_row_len(const struct sprat__model *model);
/* Calls row(argument, i) for every row of the step, on the threads where it is worth it; width: the
 * floats of a row. */
sprat_status sprat__rows(struct sprat__step *step, void (*row)(void *argument, size_t i),
                         void *argument, size_t width);
/* The same for n rows of any kind. */
sprat_status sprat__rows_of(struct sprat__step *step, size_t n,
                            void (*row)(void *argument, size_t i), void *argument, size_t width);
/* A weight of one row as floats: where it lies, or unpacked to *scratch, which then moves behind
 * it. NULL for NULL and for a weight the model has not. */
const float *sprat__step_vector(const struct sprat__step *step, const struct sprat__weight *weight,
                                float **scratch);
/* The embeddings of tokens become x. */
void sprat__embed(struct sprat__step *step, const sprat_token *tokens);

/* cut.c */
/* Tiles of equal size, one behind the other. */
struct sprat__cut_wave {
    size_t first, size; /* units */
    size_t n_tiles;
};
enum { SPRAT__CUT_WAVES = 40 };
struct sprat__cut {
    struct sprat__cut_wave waves[SPRAT__CUT_WAVES];
    size_t n_waves, n_tiles;
};
/* Cuts the units into tiles of least to most of them, 1 and more, for so many threads: a wave of
 * one tile for each thread takes half of what is left. */
void sprat__cut_units(struct sprat__cut *cut, size_t n_units, size_t least, size_t most,
                      size_t n_threads);
/* The first unit of tile i, and how many it has; the last ones may be no units. */
size_t sprat__cut_tile(const struct sprat__cut *cut, size_t i, size_t *size);

/* linear.c */
/* The form that weights of a type ask for in numerics INT8. */
enum sprat__form sprat__form_of(uint32_t type);
/* The forms that any weight of the model asks for, as bits. */
uint32_t sprat__step_forms(const struct sprat__model *model);

/* Rounds a row of n_k floats to what the form asks for, as row row of the step's activations. */
void sprat__round_row(const struct sprat__step *step, enum sprat__form form, size_t n_k,
                      const float *x, size_t row);
/* The rows in 8 bits from row on. form: of blocks. */
struct sprat__acts sprat__acts_from(const struct sprat__step *step, enum sprat__form form,
                                    size_t n_k, size_t row);

/* Rows that go into products. */
struct sprat__input {
    const float *x;
    size_t x_stride;                  /* in floats */
    const struct sprat__weight *norm; /* NULL: x goes in as it is; else its RMS norm */
    float *normed;                    /* scratch for it, rows without gaps; may be x */
};

/* One product: y[row] = weight · x[row] + bias. fine: numerics INT8 take the activations in two
 * parts, what 8 bits hold and the rest in 8 bits again, and add the two products. Keys and values
 * are fine, for they stay in the cache, and logits, for they are the answer: most of the error for
 * little of the work. Then, if factor is set, y[row] = SiLU(y[row]) ⊙
 * (factor · x[row]); then, if sum is set, sum[row] += y[row]. Rows of y, factor_y and sum are
 * y_stride floats apart. */
struct sprat__product {
    const struct sprat__weight *weight;
    const struct sprat__weight *bias; /* NULL or without data: none */
    float *y;
    size_t y_stride;
    bool fine;
    const struct sprat__weight *factor; /* as many rows as weight */
    float *factor_y;
    float *sum;
};
enum { SPRAT__MAX_PRODUCTS = 3 };

/* Products of the same rows: they are normed and rounded once, and all tiles are handed out
 * together. All weights have the same number of columns. */
sprat_status sprat__linear(struct sprat__step *step, const struct sprat__input *in,
                           const struct sprat__product *products, size_t n_products);

/* grouped.c */
/* Matrices of one shape, part_rows rows each and part_stride rows apart in one weight. Part p has
 * the slots first[p] to first[p + 1] - 1; slot i takes row rows[i] of x (NULL: row i). Slots'
 * results are y_stride floats apart: from y on, or, where y_part is not 0, each part's from y + p ·
 * y_part on. factor: as in a product. like: a group before it in the same call whose slot i takes
 * the same floats as row i of x here: what it has rounded is taken, and x is not read. NULL: none.
 */
struct sprat__grouped {
    const struct sprat__weight *weight, *factor;
    size_t n_parts, part_rows, part_stride;
    const uint32_t *first, *rows;
    const struct sprat__grouped *like;
    const float *x;
    size_t x_stride;
    float *y, *factor_y;
    size_t y_part, y_stride;
};
enum { SPRAT__MAX_GROUPED = 2 };

/* Groups are handed out together. The floats that the slots of one group take are a multiple of the
 * columns of the next. */
sprat_status sprat__grouped(struct sprat__step *step, const struct sprat__grouped *groups,
                            size_t n_groups);

/* rope.c */
/* frequency: rope.n_dims / 2 values; magnitude: what cos and sin are multiplied by. BAD_CONFIG. */
sprat_status sprat__rope_frequencies(const struct sprat__model *model,
                                     const struct sprat__kernels *kernels, double *frequency,
                                     double *magnitude, struct sprat__err *err);
/* Fills the step's cosine and sine for its positions. */
void sprat__rope_angles(struct sprat__step *step);
/* Rotates the n_heads heads of dim channels that row row of the step has at heads. */
void sprat__rope_rotate(const struct sprat__step *step, size_t row, float *heads, size_t n_heads,
                        size_t dim);

/* attend_tiles.c */
/* How many tiles of a row may wait to be added. */
size_t sprat__attend_tiles(const struct sprat__config *config, size_t n_ctx);

/* attention.c */
/* x += output · attention(norm(x)). */
sprat_status sprat__attention(struct sprat__step *step, uint32_t layer);
/* Parts of it, for other ways to queries and keys. Row row of k and v goes to the cache. */
void sprat__attention_store(const struct sprat__step *step, uint32_t layer, size_t row);
/* attended = attention of q over the cache, all rows and heads. */
sprat_status sprat__attend(struct sprat__step *step, uint32_t layer);

/* ffn.c */
/* x += FFN(norm(x)), and the layer's views for it. */
sprat_status sprat__ffn(struct sprat__step *step, uint32_t layer);
sprat_status sprat__ffn_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err);

/* mla.c: latent attention. moe.c: a mixture of experts as the feed-forward part. Both as above. */
sprat_status sprat__mla(struct sprat__step *step, uint32_t layer);
sprat_status sprat__moe(struct sprat__step *step, uint32_t layer);

/* dense.c: the layer of llama and qwen, and its views. */
sprat_status sprat__dense_forward(struct sprat__step *step, uint32_t layer);
sprat_status sprat__dense_bind(struct sprat__model *model, uint32_t layer, struct sprat__err *err);
/* The biases of q, k and v, which may be required; that of the output never is. */
sprat_status sprat__dense_bind_biases(struct sprat__model *model, uint32_t layer, bool optional,
                                      struct sprat__err *err);

#endif
