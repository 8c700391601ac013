/* The options of all subcommands in one table (program_options.c). A subcommand says which it
 * takes; any other is an error. */
#ifndef SPRAT_PROGRAM_OPTIONS_H
#define SPRAT_PROGRAM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OPT_THREADS,
    OPT_CPU,
    OPT_BUDGET,
    OPT_CTX,
    OPT_NUMERICS,
    OPT_KV,
    OPT_CHUNK,
    OPT_TEMP,
    OPT_TOP_K,
    OPT_TOP_P,
    OPT_MIN_P,
    OPT_SEED,
    OPT_MAX_TOKENS,
    OPT_STOP,
    OPT_SYSTEM,
    OPT_TOOLS,
    OPT_THINK,
    OPT_RAW,
    OPT_QUIET,
    OPT_SPECIAL,
    OPT_META,
    OPT_TOKENS,
    OPT_OUT,
    OPT_N,
    OPT_WINDOW,
    OPT_THREADS_LIST,
    OPT_CHUNK_LIST,
    OPT_DEPTH_LIST,
    OPT_PREFILL,
    OPT_DECODE,
    OPT_REPEATS,
    OPT_BUFFER,
    OPT_JSON,
    OPT_COMPARE,
    OPT_TOLERANCE,
    OPT_SVG,
    OPT_KERNELS,
    OPT_TYPE,
    OPT_DEPTH,
    OPT_MEMORY,
    N_OPTIONS
};

#define OPT_BIT(option) ((uint64_t)1 << (option))
#define OPTS_MACHINE    (OPT_BIT(OPT_THREADS) | OPT_BIT(OPT_CPU) | OPT_BIT(OPT_BUDGET))
#define OPTS_SESSION                                                                               \
    (OPT_BIT(OPT_CTX) | OPT_BIT(OPT_NUMERICS) | OPT_BIT(OPT_KV) | OPT_BIT(OPT_CHUNK))
#define OPTS_SAMPLING                                                                              \
    (OPT_BIT(OPT_TEMP) | OPT_BIT(OPT_TOP_K) | OPT_BIT(OPT_TOP_P) | OPT_BIT(OPT_MIN_P) |            \
     OPT_BIT(OPT_SEED) | OPT_BIT(OPT_MAX_TOKENS) | OPT_BIT(OPT_STOP))

enum { MAX_ARGUMENTS = 3, MAX_STOPS = 16, MAX_LISTED = 16 };

/* Numbers with commas between them. */
struct number_list {
    uint32_t values[MAX_LISTED];
    uint32_t n;
};

/* Texts belong to argv. Zero means "not given" or the library's default; given tells which. */
struct options {
    uint64_t given; /* OPT_BIT of each option that stood there */
    const char *arguments[MAX_ARGUMENTS];
    int n_arguments;
    const char *cpu, *system, *tools, *tokens, *out, *compare, *svg, *type;
    const char *stops[MAX_STOPS];
    uint64_t budget, seed, buffer;
    uint32_t threads, ctx, chunk, top_k, max_tokens, n, window, n_stops;
    uint32_t prefill, decode, repeats, depth;
    struct number_list thread_list, chunk_list, depth_list;
    uint32_t numerics, kv; /* SPRAT_NUMERICS_*, SPRAT_KV_* */
    uint32_t think;        /* SPRAT_THINKING_* */
    float temp, top_p, min_p, tolerance;
};

/* What a subcommand takes. */
struct command_form {
    const char *usage; /* "run MODEL [QUESTION]" */
    const char *about; /* more lines for --help, each with its end; "" if none */
    uint64_t takes;    /* OPT_BITs */
    int min_arguments, max_arguments;
};

enum { OPTIONS_OK = 0, OPTIONS_ERROR = 1, OPTIONS_HELP = 2 };

/* Two options may have the same name; a subcommand takes at most one of them.
 *
 * Reads a subcommand's arguments. "--name value" and "--name=value" are the same; "--" ends the
 * options; of an option given twice the last counts, but every --stop. OPTIONS_ERROR: fail was
 * called. OPTIONS_HELP: the help was printed and there is nothing left to do. */
int options_parse(struct options *o, const struct command_form *form, int argc, char **argv);

/* Decimal digits only, from min to max. false: not such a number. */
bool parse_number(uint64_t *out, const char *text, size_t len, uint64_t min, uint64_t max);

#endif
