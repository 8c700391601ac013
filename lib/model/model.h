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

struct sprat__config_reader;
struct sprat__step;

enum { SPRAT__MAX_HEAD_DIM = 640, SPRAT__MAX_EXPERTS = 1024, SPRAT__MAX_EXPERT_GROUPS = 128 };

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
    bool is_plain; /* YaRN leaves the magnitude alone; the attention's scale has it */
    struct sprat__weight divisors; /* rope_freqs.weight: n_dims / 2, or none */
};

/* Multi-head latent attention. n_kv_heads is 1: a position's key is its latent, then the rotated
 * channels that all heads share; its value is the latent. */
struct sprat__mla {
    uint32_t q_rank;                        /* 0: queries are projected at once */
    uint32_t kv_rank;                       /* of the latent */
    uint32_t nope_dim, rope_dim, value_dim; /* per head, before they are absorbed */
};

/* A mixture of experts in the feed-forward part. */
struct sprat__moe {
    uint32_t n_experts; /* 0: every layer is dense */
    uint32_t n_used, n_shared, n_ff;
    uint32_t n_dense; /* the first layers, which are dense */
    uint32_t n_groups, n_groups_used;
    bool groups_guessed; /* from the shape: the file does not say */
    bool is_softmax;     /* else sigmoid */
    bool is_normalised;  /* the weights of those used add up to scale */
    float scale;
};

struct sprat__config {
    uint32_t n_layers, n_embd, n_ff, n_vocab, n_ctx_train;
    uint32_t n_heads, n_kv_heads;
    uint32_t key_dim, value_dim; /* per head */
    float epsilon;
    float attention_scale; /* of queries times keys */
    struct sprat__rope rope;
    struct sprat__mla mla; /* kv_rank 0: none */
    struct sprat__moe moe;
    uint32_t n_skipped; /* layers behind n_layers that draft tokens; they are not used */
};

/* What one layer has; data is NULL for what its family has not. Vectors are weights of one row. */
struct sprat__layer {
    struct sprat__weight attn_norm, ffn_norm;
    struct sprat__weight q, k, v, o;
    struct sprat__weight q_bias, k_bias, v_bias, o_bias;
    struct sprat__weight q_norm, k_norm;
    struct sprat__weight gate, up, down;
    /* Latent attention: q_a and q_b where queries have a rank of their own, else q; kv_a to the
     * latent and the rotated channels; k_b and v_b, head below head, or both in one as kv_b. */
    struct sprat__weight q_a, q_a_norm, q_b;
    struct sprat__weight kv_a, kv_a_norm, kv_b, k_b, v_b;
    /* Experts, one below the other; shared ones as one feed-forward part. */
    struct sprat__weight router, router_bias;
    struct sprat__weight gate_experts, up_experts, down_experts;
    size_t expert_rows; /* from one expert to the next in gate_experts and up_experts */
    struct sprat__weight gate_shared, up_shared, down_shared;
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
    sprat_status (*configure)(struct sprat__config *config, struct sprat__config_reader *reader);
    /* Makes the views of one layer (sprat__bind). */
    sprat_status (*bind)(struct sprat__model *model, uint32_t layer, struct sprat__err *err);
    /* Adds the layer to the step's residual stream. */
    sprat_status (*forward)(struct sprat__step *step, uint32_t layer);
};

extern const struct sprat__family sprat__family_llama, sprat__family_qwen2, sprat__family_qwen3,
    sprat__family_deepseek2;

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

/* n_parts matrices of n_rows each in one tensor of three dimensions: a view of all their rows, one
 * part below the other. */
sprat_status sprat__bind_parts(struct sprat__model *model, uint32_t layer, const char *part,
                               uint64_t n_cols, uint64_t n_rows, uint64_t n_parts,
                               struct sprat__weight *out, struct sprat__err *err);
/* Whether the layer has a tensor of that name. */
bool sprat__has_layer(const struct sprat__model *model, uint32_t layer, const char *part);

/* The cache that one session of this model needs. */
struct sprat__kv_shape sprat__model_kv_shape(const struct sprat__model *model,
                                             uint32_t element_bytes);

#endif
