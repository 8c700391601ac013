/* sprat: run DeepSeek's open models inside your own program.
 *
 * Three nouns. A context holds the choices of the machine: threads, allocator, memory budget. A
 * model holds weights and tokeniser; it never changes once open and any number of threads may share
 * it. A session is one growing sequence of tokens: its cache, its sampler, its text.
 *
 * Rules that hold for every function:
 *   - A sprat_status is 0 or negative. Nothing is printed, no handler installed, no environment
 * read, no process ended.
 *   - Options and info structs begin with their size. Prepare each with sprat_init(&x, sizeof x):
 * zero means "the default" in every field. A struct that is too short or too long by non-zero bytes
 * is refused, never misread.
 *   - An out-parameter comes first and is NULL or 0 after a failure. Strings are UTF-8 with an
 * explicit length where they may hold any byte. What a getter returns belongs to the object asked.
 *   - Contexts and models may be used from any thread. A session belongs to one thread at a time;
 * only sprat_session_cancel may be called on it from another.
 *   - The child of a fork must not use handles made before it.
 *
 * What is not in this header is not API. Source: doc/api.md, doc/abi.md, doc/threading.md.
 */
#ifndef SPRAT_SPRAT_H
#define SPRAT_SPRAT_H

#include <stddef.h>
#include <stdint.h>

#define SPRAT_VERSION_MAJOR 0
#define SPRAT_VERSION_MINOR 1
#define SPRAT_VERSION_PATCH 0
#define SPRAT_VERSION_NUMBER                                                                       \
    (SPRAT_VERSION_MAJOR * 1000000 + SPRAT_VERSION_MINOR * 1000 + SPRAT_VERSION_PATCH)
#define SPRAT_VERSION_AT_LEAST(major, minor, patch)                                                \
    (SPRAT_VERSION_NUMBER >= (major)*1000000 + (minor)*1000 + (patch))

#ifndef SPRAT_API
#if defined(_WIN32) && defined(SPRAT_BUILD_SHARED)
#define SPRAT_API __declspec(dllexport)
#elif defined(_WIN32) && defined(SPRAT_USE_SHARED)
#define SPRAT_API __declspec(dllimport)
#elif defined(__GNUC__)
#define SPRAT_API __attribute__((visibility("default")))
#else
#define SPRAT_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status and errors ---------------------------------------------------------------------- */

/* Every status: name, value, text. The list only grows. */
#define SPRAT_STATUS_LIST(X)                                                                       \
    X(OK, 0, "ok")                                                                                 \
    X(INVALID, -1, "an argument is not allowed")                                                   \
    X(UNSUPPORTED, -2, "this version of the library cannot do that")                               \
    X(STATE, -3, "the object is not in a state that allows the call")                              \
    X(NO_MEMORY, -4, "the allocator gave no memory")                                               \
    X(OVER_BUDGET, -5, "the context's memory budget would be exceeded")                            \
    X(NO_THREAD, -6, "a thread could not be started")                                              \
    X(CANCELLED, -7, "the call was cancelled")                                                     \
    X(BUFFER_TOO_SMALL, -8, "the caller's buffer is too small; the needed size is given")          \
    X(NOT_FOUND, -9, "there is nothing of that name, key or number")                               \
    X(NO_FILE, -20, "there is no such file")                                                       \
    X(NOT_A_FILE, -21, "that is not a regular file")                                               \
    X(IO, -22, "reading failed")                                                                   \
    X(EMPTY_FILE, -23, "the file is empty")                                                        \
    X(TRUNCATED, -24, "the file ends too early")                                                   \
    X(BAD_MAGIC, -25, "this is not a file of a known format")                                      \
    X(BAD_VERSION, -26, "this version of the file format is not supported")                        \
    X(BAD_FORMAT, -27, "the file breaks the rules of its format")                                  \
    X(BAD_CONFIG, -28, "the model's description is missing something or contradicts itself")       \
    X(UNKNOWN_ARCH, -29, "the model's architecture is not known")                                  \
    X(UNKNOWN_TYPE, -30, "a tensor's type is not known")                                           \
    X(UNKNOWN_TOKENIZER, -31, "the model's tokeniser is not known")                                \
    X(UNKNOWN_TEMPLATE, -32, "the model's chat template is not known")                             \
    X(MISSING_TENSOR, -33, "the model lacks a tensor")                                             \
    X(BAD_SHAPE, -34, "a tensor has the wrong shape")                                              \
    X(NO_WEIGHTS, -35, "the file holds a vocabulary only")                                         \
    X(PROMPT_TOO_LONG, -50, "the prompt does not fit the session's context")                       \
    X(CONTEXT_FULL, -51, "the session's context is full")                                          \
    X(NUMERIC, -52, "the computation gave a value that is not finite")                             \
    X(BAD_TEXT, -53, "the messages cannot be written in this model's dialect")

typedef int32_t sprat_status;

enum {
#define SPRAT_STATUS_ENUM_(name, value, text) SPRAT_##name = value,
    SPRAT_STATUS_LIST(SPRAT_STATUS_ENUM_)
#undef SPRAT_STATUS_ENUM_
        SPRAT_STATUS_END_ = 1
};

/* What went wrong in a create, open or plan: one line that says what, where, expected and found.
 * Written also on success (OK, ""). One whose size was not set is left as it is: sprat_init. */
typedef struct sprat_error {
    size_t size;
    sprat_status status;
    uint32_t reserved;
    char message[240];
} sprat_error;

/* Prepares any struct of this header that begins with its size: all bytes 0, then the size.
 * s: the struct, the caller's. size: sizeof it. Nothing happens if s is NULL or size is below
 * sizeof(size_t). Any thread. @since 0.1 */
SPRAT_API void sprat_init(void *s, size_t size);

/* The version of the library that is linked, as SPRAT_VERSION_NUMBER. Any thread. @since 0.1 */
SPRAT_API uint32_t sprat_version(void);

/* The same as text, "0.1.0". Static. Any thread. @since 0.1 */
SPRAT_API const char *sprat_version_text(void);

/* The version of the order of operations (doc/numerics.md): equal numbers mean equal bits. Any
 * thread. @since 0.1 */
SPRAT_API uint32_t sprat_numerics_version(void);

/* A status's name ("OVER_BUDGET"), and its meaning in a few words. Static; "UNKNOWN" for a number
 * that is none. Any thread. @since 0.1 */
SPRAT_API const char *sprat_status_name(sprat_status status);
SPRAT_API const char *sprat_status_text(sprat_status status);

/* ---- context --------------------------------------------------------------------------------- */

typedef struct sprat_context sprat_context;
typedef struct sprat_model sprat_model;
typedef struct sprat_session sprat_session;
typedef int32_t sprat_token;

/* What an allocation is for. */
enum {
    SPRAT_PURPOSE_OTHER = 0,
    SPRAT_PURPOSE_CONTEXT = 1,
    SPRAT_PURPOSE_DIRECTORY = 2, /* a model file's keys and tensor list */
    SPRAT_PURPOSE_TOKENIZER = 3,
    SPRAT_PURPOSE_WEIGHTS =
        4,                   /* weights read through callbacks; mapped weights are not allocated */
    SPRAT_PURPOSE_CACHE = 5, /* keys and values */
    SPRAT_PURPOSE_SCRATCH = 6, /* activations, logits */
    SPRAT_PURPOSE_TEXT = 7,    /* prompts, tokens, answers */
    SPRAT_N_PURPOSES = 8
};

/* The host's memory. Both functions must be thread-safe. */
typedef struct sprat_allocator {
    size_t size;
    void *user;
    /* bytes > 0; alignment a power of two, at most 64. NULL: no memory, an ordinary error. */
    void *(*alloc)(void *user, size_t bytes, size_t alignment, uint32_t purpose);
    /* ptr is not NULL; bytes and purpose are those of its alloc. */
    void (*free)(void *user, void *ptr, size_t bytes, uint32_t purpose);
} sprat_allocator;

enum { SPRAT_LOG_ERROR = 1, SPRAT_LOG_WARNING = 2, SPRAT_LOG_INFO = 3 };

typedef struct sprat_context_options {
    size_t size;
    const sprat_allocator *allocator; /* copied; NULL: the C library's */
    /* Called on the calling thread; text is one line without its end. NULL: silence. */
    void (*log)(void *user, int32_t level, const char *component, const char *text);
    void *log_user;
    uint64_t
        memory_budget; /* hard cap in bytes on all this context and its objects allocate; 0: none */
    const char *cpu;   /* the best instruction set it may use, by name; NULL: the best there is */
    uint32_t n_threads; /* threads that compute, the caller's included; 0: one per available core */
    uint32_t reserved;
} sprat_context_options;

typedef struct sprat_context_info {
    size_t size;
    uint64_t memory_now;    /* bytes allocated now */
    uint64_t memory_peak;   /* the most since creation */
    uint64_t memory_budget; /* 0: none */
    uint64_t memory_by_purpose[SPRAT_N_PURPOSES];
    const char *cpu; /* the instruction set in use */
    uint32_t n_threads;
    uint32_t reserved;
} sprat_context_info;

/* Makes a context.
 * out: the new context, the caller's, ended by sprat_context_destroy. options: NULL for defaults.
 * err: may be NULL. INVALID (unknown instruction set, bad struct), UNSUPPORTED (a newer option),
 * NO_MEMORY, OVER_BUDGET, NO_THREAD. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_context_create(sprat_context **out,
                                            const sprat_context_options *options, sprat_error *err);

/* Gives the context up; it goes when its last model and session are gone. NULL is allowed. Any
 * thread. @since 0.1 */
SPRAT_API void sprat_context_destroy(sprat_context *context);

/* Tells what was chosen and what is held. INVALID, UNSUPPORTED. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_context_get_info(const sprat_context *context,
                                              sprat_context_info *info);

/* Changes the number of computing threads (a phone that gets hot). Waits for the operation that is
 * running. n_threads: 0 for one per available core; at most 256. No result changes. INVALID,
 * NO_MEMORY, OVER_BUDGET, NO_THREAD (the old number stays). Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_context_set_threads(sprat_context *context, uint32_t n_threads);

/* ---- model ----------------------------------------------------------------------------------- */

enum {
    SPRAT_SOURCE_PATH = 0,
    SPRAT_SOURCE_FD = 1,
    SPRAT_SOURCE_MEMORY = 2,
    SPRAT_SOURCE_CALLBACK = 3
};

/* Where a model file lies. Files are mapped and used in place; they must not change while the model
 * is open. */
typedef struct sprat_source {
    size_t size;
    uint32_t kind;    /* SPRAT_SOURCE_* */
    int32_t fd;       /* FD: open for reading; may be closed after open returns */
    const char *path; /* PATH: the file, or the first of a split model (…-00001-of-0000N.gguf) */
    uint64_t offset;  /* FD: where the model begins, any byte */
    uint64_t length;  /* FD: 0 for up to the end. MEMORY, CALLBACK: the model's bytes */
    const void *data; /* MEMORY: stays the caller's and in place until the model is closed */
    /* CALLBACK: fills buffer with n_bytes from offset; 0 for success. May be called from several
     * threads. Only during plan and open; open reads the weights into allocated memory. */
    int32_t (*read)(void *user, uint64_t offset, void *buffer, size_t n_bytes);
    void *read_user;
} sprat_source;

typedef struct sprat_model_options {
    size_t size;
    /* Called now and then by open on the calling thread; anything but 0 cancels it. NULL: none. */
    int32_t (*progress)(void *user, uint64_t done_bytes, uint64_t total_bytes);
    void *progress_user;
} sprat_model_options;

enum { SPRAT_NUMERICS_DEFAULT = 0, SPRAT_NUMERICS_INT8 = 1, SPRAT_NUMERICS_F32 = 2 };
enum { SPRAT_KV_DEFAULT = 0, SPRAT_KV_F16 = 1, SPRAT_KV_F32 = 2 };

typedef struct sprat_session_options {
    size_t size;
    uint32_t n_ctx; /* the most tokens it may hold; 0: what the model was trained for, and no more
                       than that. Memory is taken as it fills */
    uint32_t
        n_chunk; /* tokens computed together in prefill, at most 4096; 0: 256. No result changes */
    uint32_t
        n_kept; /* positions at the end whose logits cost no recomputation, at most 4096; 0: 1 */
    uint32_t numerics; /* SPRAT_NUMERICS_*: how it computes; DEFAULT: INT8 */
    uint32_t kv_type;  /* SPRAT_KV_*; DEFAULT: f16, but f32 where numerics is set to F32 */
    uint32_t reserved;
} sprat_session_options;

/* Memory told before it is taken. */
typedef struct sprat_plan {
    size_t size;
    uint64_t peak_bytes;   /* the most the allocator will hold: this context, the model and one full
                              session */
    uint64_t mapped_bytes; /* file bytes mapped, not allocated */
    uint64_t model_bytes;  /* of peak_bytes: directory, tokeniser, weights read through callbacks */
    uint64_t session_bytes; /* of peak_bytes: one session with a full context */
    uint64_t kv_bytes;      /* of session_bytes: keys and values */
    uint64_t kv_bytes_per_token;
} sprat_plan;

/* Tells what opening the model and filling one session would take. Reads the directory only, and
 * frees all it took. It is not held to the budget, so that it can tell what would go beyond it.
 * model_options, session_options: NULL for defaults. A vocabulary-only file has no session:
 * session_bytes is 0. Every status of sprat_model_open. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_plan(sprat_plan *out, sprat_context *context,
                                        const sprat_source *source,
                                        const sprat_model_options *model_options,
                                        const sprat_session_options *session_options,
                                        sprat_error *err);

/* Opens a model. Every offset, count and shape in the file is checked; weights are not read (but
 * through callbacks). out: the new model, the caller's, ended by sprat_model_close. It keeps the
 * context alive. source: read during the call only (MEMORY: data stays in use). options: NULL for
 * defaults. err: may be NULL. INVALID UNSUPPORTED NO_MEMORY OVER_BUDGET CANCELLED, and every file
 * status from NO_FILE to BAD_SHAPE. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_open(sprat_model **out, sprat_context *context,
                                        const sprat_source *source,
                                        const sprat_model_options *options, sprat_error *err);

/* Gives the model up; it goes when its last session is gone. NULL is allowed. Any thread. @since
 * 0.1 */
SPRAT_API void sprat_model_close(sprat_model *model);

typedef struct sprat_model_info {
    size_t size;
    const char *architecture; /* "llama", "qwen2", "qwen3", "deepseek2" */
    const char *name;         /* general.name, "" if none */
    uint64_t n_parameters;
    uint64_t file_bytes;   /* all shards */
    uint64_t mapped_bytes; /* of these, mapped */
    uint64_t heap_bytes;   /* allocated for the model */
    uint32_t n_layers;
    uint32_t n_embd;
    uint32_t n_vocab;
    uint32_t n_ctx_train;
    uint32_t n_meta; /* keys for sprat_model_meta_at */
    uint32_t n_tensors;
    sprat_token bos, eos; /* -1: none */
    uint32_t add_bos;     /* 1: a raw prompt should begin with bos */
    uint32_t has_weights; /* 0: a vocabulary only */
    const char *types;    /* "Q4_1 210, F32 61": how many tensors of each type */
} sprat_model_info;

/* INVALID, UNSUPPORTED. Strings live as long as the model. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_get_info(const sprat_model *model, sprat_model_info *info);

enum {
    SPRAT_META_UINT = 1,
    SPRAT_META_INT = 2,
    SPRAT_META_FLOAT = 3,
    SPRAT_META_BOOL = 4,
    SPRAT_META_STRING = 5,
    SPRAT_META_ARRAY = 6
};

/* One metadata value; strings lie in the model and are not NUL-terminated. */
typedef struct sprat_meta {
    size_t size;
    const char *key;
    size_t key_len;
    uint32_t type;         /* SPRAT_META_* */
    uint32_t element_type; /* ARRAY: of its elements */
    uint64_t n_elements;   /* ARRAY */
    uint64_t u;            /* UINT, BOOL */
    int64_t i;             /* INT; also UINT and BOOL where they fit */
    double f;              /* FLOAT; also UINT and INT */
    const char *text;      /* STRING */
    size_t text_len;
} sprat_meta;

/* A metadata value by key; by number, 0 … n_meta - 1; one element of an array value.
 * key: NUL-terminated. NOT_FOUND, INVALID (not an array), UNSUPPORTED. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_meta(const sprat_model *model, const char *key, sprat_meta *out);
SPRAT_API sprat_status sprat_model_meta_at(const sprat_model *model, uint32_t index,
                                           sprat_meta *out);
SPRAT_API sprat_status sprat_model_meta_item(const sprat_model *model, const char *key,
                                             uint64_t item, sprat_meta *out);

/* ---- text and tokens ------------------------------------------------------------------------ */

/* USER text can never become a control token. In TEMPLATE text the vocabulary's added tokens are
 * recognised. */
enum { SPRAT_TEXT_USER = 0, SPRAT_TEXT_TEMPLATE = 1 };

/* A piece of text. This struct never grows. Pieces are not borders for the tokeniser: "Hel" + "lo"
 * is "Hello". */
typedef struct sprat_segment {
    const char *text; /* any bytes; need not be UTF-8 */
    size_t len;
    uint32_t kind; /* SPRAT_TEXT_* */
    uint32_t reserved;
} sprat_segment;

enum { SPRAT_TOKENIZE_BOS = 1 }; /* put the model's BOS first if it asks for one (add_bos) */

/* Turns text into tokens.
 * n_tokens: how many there are, also with BUFFER_TOO_SMALL. tokens: room for capacity ids, NULL if
 * capacity is 0: counting, which ends with BUFFER_TOO_SMALL unless there are none. flags:
 * SPRAT_TOKENIZE_*. err: may be NULL. Time n·log n and memory (doc/api.md) bounded in the text's
 * length. INVALID, UNSUPPORTED (a newer flag), BUFFER_TOO_SMALL, NO_MEMORY, OVER_BUDGET,
 * UNKNOWN_TOKENIZER. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_tokenize(size_t *n_tokens, const sprat_model *model,
                                            const sprat_segment *segments, size_t n_segments,
                                            uint32_t flags, sprat_token *tokens, size_t capacity,
                                            sprat_error *err);

enum {
    SPRAT_DETOKENIZE_SPECIAL = 1, /* control tokens give their text; without it, nothing */
    SPRAT_DETOKENIZE_START =
        2 /* the first token begins a text: drop the space that SentencePiece put before it */
};

/* Turns tokens into bytes: what went into the tokeniser comes out.
 * n_bytes: how many there are, also with BUFFER_TOO_SMALL. n_open: if not NULL, how many bytes at
 * the end are the beginning of a UTF-8 character that later tokens may complete. bytes: room for
 * capacity, no NUL is added; NULL if 0. INVALID (an id outside the vocabulary), UNSUPPORTED (a
 * newer flag), BUFFER_TOO_SMALL, UNKNOWN_TOKENIZER. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_detokenize(size_t *n_bytes, size_t *n_open,
                                              const sprat_model *model, const sprat_token *tokens,
                                              size_t n_tokens, uint32_t flags, char *bytes,
                                              size_t capacity);

enum {
    SPRAT_TOKEN_NORMAL = 1,
    SPRAT_TOKEN_UNKNOWN = 2,
    SPRAT_TOKEN_CONTROL = 3,
    SPRAT_TOKEN_USER_DEFINED = 4,
    SPRAT_TOKEN_UNUSED = 5,
    SPRAT_TOKEN_BYTE = 6
};

typedef struct sprat_token_info {
    size_t size;
    const char *text; /* as the vocabulary has it, in the model, not NUL-terminated */
    size_t text_len;
    uint32_t type;   /* SPRAT_TOKEN_* */
    uint32_t is_end; /* 1: the model ends its turn with it */
    float score;     /* SentencePiece; else 0 */
    uint32_t reserved;
} sprat_token_info;

/* INVALID (no such id), UNSUPPORTED, UNKNOWN_TOKENIZER. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_token_info(const sprat_model *model, sprat_token token,
                                              sprat_token_info *info);

/* The token whose vocabulary text is exactly that. token: -1 if there is none.
 * NOT_FOUND, INVALID, UNKNOWN_TOKENIZER. Any thread. @since 0.1 */
SPRAT_API sprat_status sprat_model_find_token(sprat_token *token, const sprat_model *model,
                                              const char *text, size_t len);

/* ---- session --------------------------------------------------------------------------------- */

/* Makes an empty session.
 * out: the caller's, ended by sprat_session_destroy. It keeps the model alive. options: NULL for
 * defaults. INVALID UNSUPPORTED NO_WEIGHTS NO_MEMORY OVER_BUDGET, BAD_CONFIG (what the file says of
 * its positions cannot be computed, or a session's size not be addressed). Any thread. @since 0.1
 */
SPRAT_API sprat_status sprat_session_create(sprat_session **out, sprat_model *model,
                                            const sprat_session_options *options, sprat_error *err);

/* Wipes and frees all it held. NULL is allowed. The session's thread. @since 0.1 */
SPRAT_API void sprat_session_destroy(sprat_session *session);

/* The line that tells why the session's last failing call failed; "" before the first and for NULL.
 * sprat_session_tokens and sprat_session_get_stats leave it as it is. The session's, until its next
 * call. The session's thread. @since 0.1 */
SPRAT_API const char *sprat_session_error(const sprat_session *session);

/* Takes the memory for n_tokens in all, so that nothing is allocated until the session is longer
 * than that. CONTEXT_FULL (more than n_ctx), NO_MEMORY, OVER_BUDGET: nothing has changed. The
 * session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_reserve(sprat_session *session, size_t n_tokens);

/* Makes the session hold exactly these tokens: what they share with its present ones is kept, the
 * rest of it dropped, the rest of them computed. The caller always states the whole prompt.
 * n_reused: if not NULL, how many were kept, also with CANCELLED and NUMERIC. tokens: n ids, read
 * during the call. INVALID (an id outside the vocabulary), PROMPT_TOO_LONG, NO_MEMORY, OVER_BUDGET:
 * nothing has changed. CANCELLED, NUMERIC: the session holds the shared tokens and whole chunks
 * after them, or, where cancel was set before, what it held; call again to go on. The session's
 * thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_sync(size_t *n_reused, sprat_session *session,
                                          const sprat_token *tokens, size_t n);

/* Adds tokens at the end. INVALID, CONTEXT_FULL, NO_MEMORY, OVER_BUDGET, CANCELLED, NUMERIC: the
 * session is where it was. The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_append(sprat_session *session, const sprat_token *tokens,
                                            size_t n);

/* Copies out the tokens the session holds. n_tokens: how many, also with BUFFER_TOO_SMALL. tokens:
 * room for capacity, NULL if 0. BUFFER_TOO_SMALL, INVALID. The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_tokens(size_t *n_tokens, const sprat_session *session,
                                            sprat_token *tokens, size_t capacity);

/* The logits after the token at each of the positions given: what the model expects at position
 * + 1. positions: n of them, each below the session's length, in any order. logits: n × n_vocab
 * floats, row by row. Positions that are not among the last n_kept are computed again, one step
 * each. INVALID, CANCELLED, NUMERIC. The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_logits(sprat_session *session, const size_t *positions,
                                            size_t n, float *logits, size_t n_floats);

/* How tokens are chosen. All zero: the most likely one. Steps, in order: logit bias, penalties,
 * then top-k, top-p and min-p on the distribution at the given temperature. Equal logits: the lower
 * id first. */
typedef struct sprat_sampling {
    size_t size;
    uint64_t seed;            /* the draw at a position depends on seed and position alone */
    float temperature;        /* 0: greedy */
    float top_p;              /* 0 or 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 0 or 1: off; logits of tokens seen are divided (if > 0) or
                                 multiplied (if < 0) by it */
    float presence_penalty;   /* 0: off; taken from the logits of tokens seen */
    float frequency_penalty;  /* 0: off; the same, times how often */
    uint32_t top_k;           /* 0: off */
    uint32_t penalty_window;  /* how many of the last tokens the penalties look at; 0: 64 */
    uint32_t n_logprobs; /* how many of the most likely tokens sprat_session_sample reports, at most
                            64; 0: none */
    uint32_t max_tokens; /* sprat_session_next stops after so many; 0: when the context is full */
    uint32_t ignore_end; /* 1: end-of-turn tokens do not stop sprat_session_next */
    uint32_t n_bias;
    const sprat_token *bias_tokens; /* n_bias ids */
    const float *bias_values;       /* n_bias values, added to these logits; -INFINITY forbids */
    const char *const
        *stops; /* n_stops texts, NUL-terminated, not empty: sprat_session_next ends before one */
    uint32_t n_stops; /* at most 16, each at most 256 bytes */
    uint32_t reserved;
} sprat_sampling;

/* Sets how this session chooses tokens, until the next such call; an answer under way ends.
 * sampling: copied; NULL: greedy.
 * INVALID (a value out of its range), UNSUPPORTED, NO_MEMORY, OVER_BUDGET: the old setting stays.
 * The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_set_sampling(sprat_session *session,
                                                  const sprat_sampling *sampling);

typedef struct sprat_sample {
    size_t size;
    sprat_token token;
    float logprob; /* of the model's own distribution (temperature 1, nothing cut off) */
    uint32_t n_top;
    uint32_t reserved;
    const sprat_token
        *top_tokens; /* n_top most likely, best first; the session's, until its next call */
    const float *top_logprobs;
} sprat_sample;

/* Chooses the token that would come next; adds nothing.
 * STATE (the session is empty), CANCELLED, NUMERIC, INVALID, UNSUPPORTED. The session's thread.
 * @since 0.1 */
SPRAT_API sprat_status sprat_session_sample(sprat_session *session, sprat_sample *out);

/* Adds one token: sprat_session_append of it. The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_accept(sprat_session *session, sprat_token token);

/* Makes the session n_tokens long, as if it had never been longer, to the bit. INVALID (longer than
 * it is). The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_rewind(sprat_session *session, size_t n_tokens);

/* A second session that goes on from the same tokens, with the same options and sampling, to the
 * bit, without computing them again: for several answers to one prompt. Memory of the tokens so far
 * is held together, and copied, in pages of 64 tokens, where one of the two writes.
 * out: the new session, destroyed by the host; NULL on failure. Without an answer under way, and
 * with statistics of its own. session: unchanged; its thread while this runs, any thread for each
 * of the two afterwards.
 * INVALID (NULL), NO_MEMORY, OVER_BUDGET. @since 0.1 */
SPRAT_API sprat_status sprat_session_fork(sprat_session **out, const sprat_session *session,
                                          sprat_error *err);

enum {
    SPRAT_EVENT_TEXT =
        1, /* a piece of the answer; whole UTF-8 characters where the model wrote such */
    SPRAT_EVENT_USAGE = 2, /* the counts; once, before DONE */
    SPRAT_EVENT_DONE = 3   /* the answer is complete; see reason */
    /* 16 and above: experimental.h */
};

enum {
    SPRAT_DONE_END = 1,    /* the model ended its turn */
    SPRAT_DONE_STOP = 2,   /* a stop text came */
    SPRAT_DONE_LENGTH = 3, /* max_tokens */
    SPRAT_DONE_CONTEXT = 4 /* the context is full */
};

typedef struct sprat_event {
    size_t size;
    int32_t type;     /* SPRAT_EVENT_* */
    int32_t reason;   /* DONE: SPRAT_DONE_* */
    const char *text; /* TEXT: the session's, until its next call; not NUL-terminated */
    size_t text_len;
    uint64_t n_prompt;    /* USAGE: tokens the answer began after */
    uint64_t n_reused;    /* USAGE: of these, not computed anew by the last sync */
    uint64_t n_generated; /* USAGE: tokens chosen, the ending one included */
} sprat_event;

/* Goes on with the answer by as many steps as it takes for one event: choose a token, turn it into
 * text, add it when the next one is wanted or max_tokens ends the answer. An answer begins at the
 * first call after sync, append, accept, rewind or DONE. At DONE the session holds every token that
 * was chosen, but for END the ending one, for STOP the one that completed the stop text, and for
 * CONTEXT the one that found no room. Who leaves an answer before DONE states the whole with sync.
 * STATE (the session is empty), CANCELLED, NUMERIC, NO_MEMORY, OVER_BUDGET: call again to go on;
 * nothing is lost. INVALID, UNSUPPORTED, UNKNOWN_TOKENIZER. The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_next(sprat_session *session, sprat_event *event);

/* Sets or clears the session's cancel level: while it is set, calls that compute return CANCELLED,
 * those under way too, within a tile of work (a page fault in progress cannot be interrupted). It
 * holds until it is cleared, so that a late cancel cannot hit the next request by accident. Any
 * thread. @since 0.1 */
SPRAT_API void sprat_session_cancel(sprat_session *session, int32_t on);

typedef struct sprat_session_stats {
    size_t size;
    uint64_t n_tokens;   /* held now */
    uint64_t n_ctx;      /* the most it may hold */
    uint64_t n_reserved; /* room that needs no allocation */
    uint64_t n_prefill;  /* tokens computed in chunks since creation */
    uint64_t n_decode;   /* tokens computed one at a time since creation */
    uint64_t prefill_ns; /* time in these */
    uint64_t decode_ns;
    uint64_t heap_bytes; /* allocated for the session */
    uint64_t kv_bytes;   /* of these, keys and values */
} sprat_session_stats;

/* INVALID, UNSUPPORTED. The session's thread. @since 0.1 */
SPRAT_API sprat_status sprat_session_get_stats(const sprat_session *session,
                                               sprat_session_stats *stats);

/* How many more tokens fit. 0 for NULL. The session's thread. @since 0.1 */
SPRAT_API size_t sprat_session_context_left(const sprat_session *session);

#ifdef __cplusplus
}
#endif

#endif
