/* The terminal and its signals: colours, lines typed, Ctrl-C, the process's memory. */
#ifndef SPRAT_PROGRAM_TERM_H
#define SPRAT_PROGRAM_TERM_H

#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include <stdbool.h>
#include <stdio.h>

struct bytes;

enum term_style { STYLE_PLAIN, STYLE_DIM, STYLE_PROMPT, STYLE_ERROR };

/* Once, first thing: a closed stdin, stdout or stderr is replaced by one that can neither be read
 * nor written, so that no file the program opens takes its place; SIGPIPE is ignored. */
void term_start(void);

bool term_is_terminal(FILE *stream);

/* Writes text in a style. On a terminal, control characters other than newline and tab become
 * U+FFFD, so that what a model writes cannot steer the terminal; elsewhere every byte goes out as
 * it is. Styles need a terminal, TERM other than "dumb", and NO_COLOR unset or empty. false: the
 * stream cannot be written. */
bool term_write(FILE *stream, enum term_style style, const char *text, size_t len);

/* From now on SIGINT, SIGTERM and SIGHUP set the session's cancel level; NULL: only remember that
 * one came. */
void term_watch(sprat_session *session);
/* Whether such a signal came since the last call of term_clear, and which. 0: none. */
int term_signal(void);
void term_clear(void);

enum term_line { LINE_READ, LINE_END, LINE_INTERRUPTED, LINE_ERROR };

/* Reads the next line of stdin into line (replaced; without its end). LINE_INTERRUPTED: a signal
 * came while waiting. LINE_ERROR: reading failed or memory is out. */
enum term_line term_read_line(struct bytes *line);

/* The most memory the process has held, in bytes; 0 if the system does not tell. */
uint64_t term_peak_memory(void);

#endif
