/* The shapes that sprat plan knows by name: DeepSeek's models and the distills of R1, as their
 * released files have them, with tensors of the types that llama-quantize gives them. Leaves to
 * outline.c how they are written. Sources: the models' config.json. */
#include "outline.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shape {
    const char *name, *title, *arch, *pre;
    uint32_t n_layers, n_embd, n_ff, n_vocab, n_ctx;
    uint32_t n_heads, n_kv_heads;
    float rope_base;
    bool has_biases, has_rope_factors;
    /* Latent attention and experts; n_experts 0: neither. */
    uint32_t q_rank, n_experts, n_used, n_shared, n_ff_expert, n_dense, n_groups, n_groups_used;
    bool is_sigmoid;
    float scale, log_multiplier;
};

#define DENSE(title, arch, pre, layers, embd, ff, vocab, heads, kv, base, biases, factors)         \
    title, arch, pre, layers, embd, ff, vocab, 131072, heads, kv, base, biases, factors, 0, 0, 0,  \
        0, 0, 0, 0, 0, false, 0, 0
#define QWEN(title, layers, embd, ff, vocab, heads, kv, base)                                      \
    DENSE("R1-Distill-Qwen-" title, "qwen2", "deepseek-r1-qwen", layers, embd, ff, vocab, heads,   \
          kv, base, true, false)
#define LLAMA(title, layers, embd, ff, heads, kv)                                                  \
    DENSE("R1-Distill-Llama-" title, "llama", "llama-bpe", layers, embd, ff, 128256, heads, kv,    \
          500000, false, true)
#define V3(title)                                                                                  \
    title, "deepseek2", "deepseek-v3", 61, 7168, 18432, 129280, 163840, 128, 1, 10000, false,      \
        false, 1536, 256, 8, 1, 2048, 3, 8, 4, true, 2.5f, 0.1f

/* clang-format off */
static const struct shape shapes[] = {
    {"qwen-1.5b", QWEN("1.5B", 28, 1536, 8960, 151936, 12, 2, 10000)},
    {"qwen-7b", QWEN("7B", 28, 3584, 18944, 152064, 28, 4, 10000)},
    {"qwen-14b", QWEN("14B", 48, 5120, 13824, 152064, 40, 8, 1000000)},
    {"qwen-32b", QWEN("32B", 64, 5120, 27648, 152064, 40, 8, 1000000)},
    {"llama-8b", LLAMA("8B", 32, 4096, 14336, 32, 8)},
    {"llama-70b", LLAMA("70B", 80, 8192, 28672, 64, 8)},
    {"v2-lite", "DeepSeek-V2-Lite", "deepseek2", "deepseek-llm", 27, 2048, 10944, 102400,
     163840, 16, 1, 10000, false, false, 0, 64, 6, 2, 1408, 1, 0, 0, false, 1, 0.0707f},
    {"v2", "DeepSeek-V2", "deepseek2", "deepseek-llm", 60, 5120, 12288, 102400,
     163840, 128, 1, 10000, false, false, 1536, 160, 6, 2, 1536, 1, 8, 3, false, 16, 0.0707f},
    {"v3", V3("DeepSeek-V3")},
    {"r1", V3("DeepSeek-R1")},
};
/* clang-format on */

enum { N_SHAPES = sizeof shapes / sizeof *shapes, LATENT = 512, ROTATED = 64, HEAD = 128 };

const char *shape_name(size_t i)
{
    return i < N_SHAPES ? shapes[i].name : NULL;
}

static const struct shape *shape_find(const char *name)
{
    for (size_t i = 0; i < N_SHAPES; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

const char *shape_title(const char *name)
{
    const struct shape *shape = shape_find(name);
    return shape ? shape->title : NULL;
}

/* ---- types ----------------------------------------------------------------------------------- */

/* What a name such as q4_k_m stands for. */
struct type_mix {
    uint32_t type;
    bool is_medium; /* some of what matters most in Q6_K */
};

static bool same_name(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] != '\0' && tolower((unsigned char)a[i]) == tolower((unsigned char)b[i]))
        i++;
    return a[i] == b[i];
}

static bool shape_type(const char *name, struct type_mix *out)
{
    static const struct {
        const char *name;
        struct type_mix mix;
    } mixes[] = {{"q4_k_m", {SPRAT__Q4_K, true}}, {"q5_k_m", {SPRAT__Q5_K, true}}};
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++) {
        *out = mixes[i].mix;
        if (same_name(name, mixes[i].name))
            return true;
    }
    for (uint32_t type = 0; type < SPRAT__N_DTYPES; type++) {
        const struct sprat__dtype_info *info = sprat__dtype_info(type);
        bool is_whole_number = type >= SPRAT__I8 && type <= SPRAT__F64;
        *out = (struct type_mix){type, false};
        if (info && !is_whole_number && same_name(name, info->name))
            return true;
    }
    return false;
}

bool shape_has_type(const char *name)
{
    struct type_mix mix;
    return shape_type(name, &mix);
}

/* Where llama-quantize spends more on the values of attention and the last product of a layer. */
static bool is_favoured(uint32_t layer, uint32_t n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

static double bits(uint32_t type)
{
    const struct sprat__dtype_info *info = sprat__dtype_info(type);
    return 8.0 * info->block_bytes / info->block_elements;
}

/* A type whose blocks divide rows of n. */
static uint32_t fitting(uint32_t type, uint64_t n)
{
    if (n % sprat__dtype_info(type)->block_elements == 0)
        return type;
    if (n % 32 != 0)
        return SPRAT__F16;
    return type == SPRAT__Q6_K   ? SPRAT__Q8_0
           : type == SPRAT__Q5_K ? SPRAT__Q5_1
           : type == SPRAT__Q4_K ? SPRAT__Q5_0
                                 : SPRAT__IQ4_NL;
}

static uint32_t matrix_type(const struct type_mix *mix, const struct shape *shape, uint32_t layer,
                            const char *part, uint64_t n)
{
    uint32_t type = mix->type;
    if (strstr(part, "ffn_gate_inp"))
        return SPRAT__F32;
    bool favoured = layer != OUTLINE_NO_LAYER && is_favoured(layer, shape->n_layers) &&
                    (strstr(part, "attn_v.") || strstr(part, "ffn_down"));
    if (strcmp(part, "output.weight") == 0 ? bits(type) < bits(SPRAT__Q6_K)
                                           : mix->is_medium && favoured)
        type = SPRAT__Q6_K;
    return fitting(type, n);
}

/* ---- tensors --------------------------------------------------------------------------------- */

struct shaping {
    struct outline *outline;
    const struct shape *shape;
    struct type_mix mix;
};

static void add_vector(const struct shaping *s, uint32_t layer, const char *part, uint64_t n)
{
    outline_tensor(s->outline, layer, part, SPRAT__F32, n, 0, 0);
}

static void add_matrix(const struct shaping *s, uint32_t layer, const char *part, uint64_t n_cols,
                       uint64_t n_rows, uint64_t n_parts)
{
    outline_tensor(s->outline, layer, part, matrix_type(&s->mix, s->shape, layer, part, n_cols),
                   n_cols, n_rows, n_parts);
}

static void add_heads(const struct shaping *s, uint32_t layer)
{
    const struct shape *shape = s->shape;
    uint64_t n_q = shape->n_heads * HEAD, n_kv = shape->n_kv_heads * HEAD;
    add_matrix(s, layer, "attn_q.weight", shape->n_embd, n_q, 0);
    add_matrix(s, layer, "attn_k.weight", shape->n_embd, n_kv, 0);
    add_matrix(s, layer, "attn_v.weight", shape->n_embd, n_kv, 0);
    if (shape->has_biases) {
        add_vector(s, layer, "attn_q.bias", n_q);
        add_vector(s, layer, "attn_k.bias", n_kv);
        add_vector(s, layer, "attn_v.bias", n_kv);
    }
    add_matrix(s, layer, "attn_output.weight", n_q, shape->n_embd, 0);
}

static void add_latent_heads(const struct shaping *s, uint32_t layer)
{
    const struct shape *shape = s->shape;
    uint64_t n_embd = shape->n_embd, n_heads = shape->n_heads, n_q = n_heads * (HEAD + ROTATED);
    if (shape->q_rank) {
        add_matrix(s, layer, "attn_q_a.weight", n_embd, shape->q_rank, 0);
        add_vector(s, layer, "attn_q_a_norm.weight", shape->q_rank);
        add_matrix(s, layer, "attn_q_b.weight", shape->q_rank, n_q, 0);
    } else {
        add_matrix(s, layer, "attn_q.weight", n_embd, n_q, 0);
    }
    add_matrix(s, layer, "attn_kv_a_mqa.weight", n_embd, LATENT + ROTATED, 0);
    add_vector(s, layer, "attn_kv_a_norm.weight", LATENT);
    add_matrix(s, layer, "attn_k_b.weight", HEAD, LATENT, n_heads);
    add_matrix(s, layer, "attn_v_b.weight", LATENT, HEAD, n_heads);
    add_matrix(s, layer, "attn_output.weight", n_heads * HEAD, n_embd, 0);
}

static void add_experts(const struct shaping *s, uint32_t layer)
{
    const struct shape *shape = s->shape;
    uint64_t n_embd = shape->n_embd, n_ff = shape->n_ff_expert, n = shape->n_experts;
    uint64_t n_shared = n_ff * shape->n_shared;
    add_matrix(s, layer, "ffn_gate_inp.weight", n_embd, n, 0);
    if (shape->is_sigmoid)
        add_vector(s, layer, "exp_probs_b.bias", n);
    add_matrix(s, layer, "ffn_gate_exps.weight", n_embd, n_ff, n);
    add_matrix(s, layer, "ffn_up_exps.weight", n_embd, n_ff, n);
    add_matrix(s, layer, "ffn_down_exps.weight", n_ff, n_embd, n);
    add_matrix(s, layer, "ffn_gate_shexp.weight", n_embd, n_shared, 0);
    add_matrix(s, layer, "ffn_up_shexp.weight", n_embd, n_shared, 0);
    add_matrix(s, layer, "ffn_down_shexp.weight", n_shared, n_embd, 0);
}

static void add_layer(const struct shaping *s, uint32_t layer)
{
    const struct shape *shape = s->shape;
    add_vector(s, layer, "attn_norm.weight", shape->n_embd);
    if (shape->n_experts)
        add_latent_heads(s, layer);
    else
        add_heads(s, layer);
    add_vector(s, layer, "ffn_norm.weight", shape->n_embd);
    if (shape->n_experts && layer >= shape->n_dense) {
        add_experts(s, layer);
        return;
    }
    add_matrix(s, layer, "ffn_gate.weight", shape->n_embd, shape->n_ff, 0);
    add_matrix(s, layer, "ffn_up.weight", shape->n_embd, shape->n_ff, 0);
    add_matrix(s, layer, "ffn_down.weight", shape->n_ff, shape->n_embd, 0);
}

static void add_tensors(const struct shaping *s)
{
    const struct shape *shape = s->shape;
    add_matrix(s, OUTLINE_NO_LAYER, "token_embd.weight", shape->n_embd, shape->n_vocab, 0);
    for (uint32_t i = 0; i < shape->n_layers; i++)
        add_layer(s, i);
    add_vector(s, OUTLINE_NO_LAYER, "output_norm.weight", shape->n_embd);
    add_matrix(s, OUTLINE_NO_LAYER, "output.weight", shape->n_embd, shape->n_vocab, 0);
    if (shape->has_rope_factors)
        add_vector(s, OUTLINE_NO_LAYER, "rope_freqs.weight", HEAD / 2);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void add_u32(struct outline *outline, const char *name, uint32_t value)
{
    outline_key(outline, name, SPRAT__GGUF_U32);
    outline_put_number(&outline->keys, value, 4);
}

static void add_f32(struct outline *outline, const char *name, float value)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    outline_key(outline, name, SPRAT__GGUF_F32);
    outline_put_number(&outline->keys, word, 4);
}

static void add_latent_keys(struct outline *outline, const struct shape *shape)
{
    add_u32(outline, "attention.kv_lora_rank", LATENT);
    if (shape->q_rank)
        add_u32(outline, "attention.q_lora_rank", shape->q_rank);
    add_u32(outline, "attention.key_length", LATENT + ROTATED);
    add_u32(outline, "attention.value_length", LATENT);
    add_u32(outline, "attention.key_length_mla", HEAD + ROTATED);
    add_u32(outline, "attention.value_length_mla", HEAD);
    add_u32(outline, "rope.dimension_count", ROTATED);
    outline_key(outline, "rope.scaling.type", SPRAT__GGUF_STRING);
    outline_put_text(&outline->keys, "yarn", 4);
    add_f32(outline, "rope.scaling.factor", 40);
    add_u32(outline, "rope.scaling.original_context_length", 4096);
    add_f32(outline, "rope.scaling.yarn_log_multiplier", shape->log_multiplier);
    add_u32(outline, "expert_count", shape->n_experts);
    add_u32(outline, "expert_used_count", shape->n_used);
    add_u32(outline, "expert_shared_count", shape->n_shared);
    add_u32(outline, "expert_feed_forward_length", shape->n_ff_expert);
    add_u32(outline, "expert_gating_func", shape->is_sigmoid ? 2 : 1);
    add_f32(outline, "expert_weights_scale", shape->scale);
    outline_key(outline, "expert_weights_norm", SPRAT__GGUF_BOOL);
    outline_put_number(&outline->keys, shape->is_sigmoid, 1);
    if (shape->n_groups) {
        add_u32(outline, "expert_group_count", shape->n_groups);
        add_u32(outline, "expert_group_used_count", shape->n_groups_used);
    }
}

static void add_keys(struct outline *outline, const struct shape *shape)
{
    add_u32(outline, "context_length", shape->n_ctx);
    add_u32(outline, "embedding_length", shape->n_embd);
    add_u32(outline, "feed_forward_length", shape->n_ff);
    add_u32(outline, "attention.head_count", shape->n_heads);
    add_u32(outline, "attention.head_count_kv", shape->n_kv_heads);
    add_f32(outline, "attention.layer_norm_rms_epsilon", 1e-6f);
    add_f32(outline, "rope.freq_base", shape->rope_base);
    if (shape->n_experts)
        add_latent_keys(outline, shape);
}

/* ---- a vocabulary of that size ----------------------------------------------------------------
 */

/* The letters of the bytes in a byte-level vocabulary, in UTF-8: printable ones are themselves,
 * others follow behind 0xff in order. */
struct alphabet {
    char text[256][2];
    uint8_t len[256];
};

static void alphabet_make(struct alphabet *alphabet)
{
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        bool is_plain = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        uint32_t point = is_plain ? b : next++;
        char *out = alphabet->text[b];
        alphabet->len[b] = point < 0x80 ? 1 : 2;
        out[0] = (char)(point < 0x80 ? point : 0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
    }
}

enum { MADE_PAIRS = 1 << 14, MADE_TEXT_BYTES = 16 };

/* Two letters. Gives where the second begins. */
static size_t made_pair(char *out, const struct alphabet *alphabet, uint32_t i, size_t *len)
{
    uint32_t left = i >> 8, right = i & 0xff;
    memcpy(out, alphabet->text[left], 2);
    memcpy(out + alphabet->len[left], alphabet->text[right], 2);
    *len = (size_t)alphabet->len[left] + alphabet->len[right];
    return alphabet->len[left];
}

/* Token 256 + i: two letters for the first ones, four for all others, so that texts are about as
 * long as real ones, and each comes of two shorter ones. Gives where its second half begins. */
static size_t made_text(char out[MADE_TEXT_BYTES], const struct alphabet *alphabet, uint32_t i,
                        size_t *len)
{
    if (i < MADE_PAIRS)
        return made_pair(out, alphabet, i, len);
    uint32_t left = (i - MADE_PAIRS) % MADE_PAIRS, round = (i - MADE_PAIRS) / MADE_PAIRS;
    size_t half, n;
    (void)made_pair(out, alphabet, left, &half);
    (void)made_pair(out + half, alphabet, (left + round * 5) % MADE_PAIRS, &n);
    *len = half + n;
    return half;
}

static void put_vocabulary_key(struct outline *outline, const char *name, uint32_t type)
{
    outline_put_text(&outline->vocabulary, name, strlen(name));
    outline_put_number(&outline->vocabulary, type, 4);
    outline->n_vocabulary_keys++;
}

static void put_vocabulary_text(struct outline *outline, const char *name, const char *text)
{
    put_vocabulary_key(outline, name, SPRAT__GGUF_STRING);
    outline_put_text(&outline->vocabulary, text, strlen(text));
}

static void add_vocabulary(struct outline *outline, const struct shape *shape)
{
    struct outline_bytes *b = &outline->vocabulary;
    struct alphabet alphabet;
    char text[MADE_TEXT_BYTES];
    size_t len = 0;
    alphabet_make(&alphabet);
    put_vocabulary_text(outline, "tokenizer.ggml.model", "gpt2");
    put_vocabulary_text(outline, "tokenizer.ggml.pre", shape->pre);
    put_vocabulary_key(outline, "tokenizer.ggml.tokens", SPRAT__GGUF_ARRAY);
    outline_put_number(b, SPRAT__GGUF_STRING, 4);
    outline_put_number(b, shape->n_vocab, 8);
    for (uint32_t i = 0; i < shape->n_vocab; i++) {
        if (i >= 256)
            (void)made_text(text, &alphabet, i - 256, &len);
        if (i < 256)
            outline_put_text(b, alphabet.text[i], alphabet.len[i]);
        else
            outline_put_text(b, text, len);
    }
    put_vocabulary_key(outline, "tokenizer.ggml.merges", SPRAT__GGUF_ARRAY);
    outline_put_number(b, SPRAT__GGUF_STRING, 4);
    outline_put_number(b, shape->n_vocab - 256, 8);
    for (uint32_t i = 0; i < shape->n_vocab - 256; i++) {
        size_t half = made_text(text, &alphabet, i, &len);
        outline_put_number(b, len + 1, 8);
        outline_put(b, text, half);
        outline_put(b, " ", 1);
        outline_put(b, text + half, len - half);
    }
}

struct outline *outline_of_shape(const char *name, const char *type)
{
    struct shaping s = {.shape = shape_find(name)};
    if (!s.shape || !shape_type(type, &s.mix))
        return NULL;
    struct outline *outline = calloc(1, sizeof *outline);
    if (!outline)
        return NULL;
    s.outline = outline;
    (void)snprintf(outline->arch, sizeof outline->arch, "%s", s.shape->arch);
    outline->n_layers = s.shape->n_layers;
    outline->n_experts = s.shape->n_experts;
    outline->n_used = s.shape->n_used;
    outline->n_dense = s.shape->n_experts ? s.shape->n_dense : s.shape->n_layers;
    add_keys(outline, s.shape);
    add_vocabulary(outline, s.shape);
    add_tensors(&s);
    if (outline->is_bad || outline->keys.is_bad || outline->vocabulary.is_bad) {
        outline_destroy(outline);
        return NULL;
    }
    return outline;
}
