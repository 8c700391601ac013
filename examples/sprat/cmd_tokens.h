/* Lists of token ids: read strictly, printed one per line. */
#ifndef SPRAT_PROGRAM_TOKENS_H
#define SPRAT_PROGRAM_TOKENS_H

#include "program.h"

struct token_list {
    sprat_token *ids;
    size_t n;
};

/* Decimal ids below n_vocab between white space; any other word is an error that names it. name:
 * for that error. 0, or 1 after fail; tokens_end in both cases. */
int tokens_parse(struct token_list *out, const struct bytes *text, const char *name,
                 uint32_t n_vocab);

/* The same from a file, or from stdin if path is NULL. */
int tokens_read(struct token_list *out, const char *path, uint32_t n_vocab);

/* One per line on stdout, to the end. 0, or 1 after fail. */
int tokens_print(const sprat_token *ids, size_t n);

void tokens_end(struct token_list *t);

#endif
