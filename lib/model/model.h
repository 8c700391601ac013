/* A model: its configuration, its weights as views of the file, and the family that knows how a
 * layer is computed. Made once at open, every shape checked, then immutable; weights are read only
 * when a step computes with them. Families: llama.c, qwen.c; parts they share: attention.c, ffn.c,
 * linear.c, rope.c. */
#ifndef SPRAT__MODEL_H
#define SPRAT__MODEL_H

#include "base/alloc.h"
#include "cache/kv.h"
#include "format/gguf.h"
#include "kernel/kernel.h"
#include "tensor/weight.h"
#include "tokenizer/tokenizer.h"

struct sprat__step;

enum { SPRAT__MAX_HEAD_DIM = 512 };

/* Adjacent: (x[2i], x[2i+1]) rotate together; halves: (x[i], x[i + n/2]). */
enum sprat__rope_pairing { SPRAT__ROPE_ADJACENT, SPRAT__ROPE_HALVES };

enum sprat__rope_scaling { SPRAT__ROPE_PLAIN, SPRAT__ROPE_LINEAR, SPRAT__ROPE_YARN };

/* Rotary embedding as the file describes it; rope.c turns it into frequencies. */
struct sprat__rope {
    enum sprat__rope_scaling scaling;
    uint32_t n_dims; /* channels of a head that are rotated, the first ones */
    uint32_t n_ctx_original;
    float base, factor;
    float attn_factor, yarn_attn_factor, yarn_ext_factor, beta_fast, beta_slow;
    struct sprat__weight divisors; /* rope_freqs.weight: n_dims / 2, or none */
};

struct sprat__config {
    uint32_t n_layers, n_embd, n_ff, n_vocab, n_ctx_train;
    uint32_t n_heads, n_kv_heads;
    uint32_t key_dim, value_dim; /* per head */
    float epsilon;
    struct sprat__rope rope;
};

/* What one layer has; data is NULL for what its family has not. Vectors are weights of one row. */
struct sprat__layer {
    struct sprat__weight attn_norm, ffn_norm;
    struct sprat__weight q, k, v, o;
    struct sprat__weight q_bias, k_bias, v_bias, o_bias;
    struct sprat__weight q_norm, k_norm;
    struct sprat__weight gate, up, down;
};

struct sprat__model {
    struct sprat__mem *mem;
    const struct sprat__family *family; /* NULL: a vocabulary only */
    struct sprat__gguf gguf;
    struct sprat__tokenizer *tokenizer; /* NULL: the file has none */
    struct sprat__config config;
    struct sprat__weight embedding, output, output_norm;
    struct sprat__layer *layers;
    uint64_t n_parameters;
};

/* What a family adds to the shared parts. */
struct sprat__family {
    const char *arch;
    enum sprat__rope_pairing pairing;
    /* Makes the views of one layer (sprat__bind). */
    sprat_status (*bind)(struct sprat__model *model, uint32_t layer, struct sprat__err *err);
    /* Adds the layer to the step's residual stream. */
    sprat_status (*forward)(struct sprat__step *step, uint32_t layer);
};

extern const struct sprat__family sprat__family_llama, sprat__family_qwen2, sprat__family_qwen3;

/* Opens and checks everything. Reads no weights, but for callback sources, whose weights are read
 * into memory with progress (may be NULL). On failure nothing is held. */
sprat_status sprat__model_open(struct sprat__model *model, struct sprat__mem *mem,
                               const struct sprat_source *source, bool load,
                               const struct sprat_model_options *options, struct sprat__err *err);
void sprat__model_end(struct sprat__model *model);

/* The view of one tensor of exactly n_cols × n_rows, of a type that weights may have. name: as in
 * the file. MISSING_TENSOR unless optional; BAD_SHAPE, UNKNOWN_TYPE. */
sprat_status sprat__bind(struct sprat__model *model, const char *name, uint64_t n_cols,
                         uint64_t n_rows, bool optional, struct sprat__weight *out,
                         struct sprat__err *err);
/* The same for "blk.<layer>.<part>". Vectors have n_rows 1. */
sprat_status sprat__bind_layer(struct sprat__model *model, uint32_t layer, const char *part,
                               uint64_t n_cols, uint64_t n_rows, bool optional,
                               struct sprat__weight *out, struct sprat__err *err);

/* The cache that one session of this model needs. */
struct sprat__kv_shape sprat__model_kv_shape(const struct sprat__model *model,
                                             uint32_t element_bytes);

#endif
