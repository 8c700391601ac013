/* What every subcommand of the program shares: one error line, growing bytes, reading input,
 * checked output, a context with a model. Only the public API of the library is used here. */
#ifndef SPRAT_PROGRAM_H
#define SPRAT_PROGRAM_H

#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include <stdbool.h>
#include <stdio.h>

#include "program_options.h"

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* Prints "sprat: …" as exactly one line on stderr, whatever bytes the arguments hold; gives 1, the
 * program's exit status. Called once per run, or once per failed answer in a chat. */
int fail(const char *format, ...) PRINTF_LIKE(1, 2);

/* The same for a call of the library: its own line, or the status's meaning if there is none. */
int fail_status(sprat_status status, const char *message);

/* Bytes that grow; all zero is empty. */
struct bytes {
    char *data;
    size_t len, capacity;
};
/* false: no memory; nothing was added. */
bool bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_end(struct bytes *b);

/* Reads a file to its end, or stdin if path is NULL. 0, or 1 after fail. b: empty before. */
int read_all(struct bytes *b, const char *path);

/* Writes to stdout, or ends with what was written there: 0, or 1 after fail. */
int out_write(const void *data, size_t len);
int out_end(void);

/* The text with control characters and quotation marks escaped, cut to the room there is. Gives
 * out. */
const char *printable(char *out, size_t room, const char *text, size_t len);

/* "12.3 MiB". out: at least 32 bytes. Gives out. */
const char *size_text(char *out, uint64_t n_bytes);

/* Monotonic, in seconds. */
double now_seconds(void);

/* Context, model and perhaps a session; all zero is empty. */
struct loaded {
    sprat_context *context;
    sprat_model *model;
    sprat_session *session;
    sprat_model_info info;
};

/* Makes the context the options ask for and opens the model. 0, or 1 after fail. In both cases
 * loaded_end gives back what there is. */
int load_model(struct loaded *l, const struct options *o, const char *path);

/* Makes the session, with interruption by signal (term.h). n_ctx, n_kept: as in the session's
 * options. 0, or 1 after fail. */
int load_session(struct loaded *l, const struct options *o, uint32_t n_ctx, uint32_t n_kept);
void session_options(sprat_session_options *out, const struct options *o, uint32_t n_ctx);

void loaded_end(struct loaded *l);

/* The subcommands: arguments as main's, without "sprat NAME". They give the exit status. */
int run_main(int argc, char **argv);
int chat_main(int argc, char **argv);
int info_main(int argc, char **argv);
int plan_main(int argc, char **argv);
int tokenize_main(int argc, char **argv);
int detokenize_main(int argc, char **argv);
int eval_main(int argc, char **argv);
int bench_main(int argc, char **argv);

#endif
