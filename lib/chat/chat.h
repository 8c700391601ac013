/* Chat dialects: how a conversation is written for a model, and how its answer is read. Native code
 * for each known template; nothing is interpreted. A template that is not known is
 * UNKNOWN_TEMPLATE. doc/chat.md. */
#ifndef SPRAT__CHAT_H
#define SPRAT__CHAT_H

#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include "base/alloc.h"

struct sprat__dialect; /* static, const */

/* By name ("qwen3"); by the template's text. NULL if not known. */
const struct sprat__dialect *sprat__dialect_by_name(const char *name);
const struct sprat__dialect *sprat__dialect_by_template(const char *text, size_t len);
const char *sprat__dialect_name(const struct sprat__dialect *dialect);

/* The conversation as segments; their texts lie in the prompt's own buffer. */
struct sprat__prompt {
    struct sprat__buffer text;
    struct sprat_segment *segments; /* texts are set once rendering is complete */
    size_t n_segments, capacity;
    bool in_reasoning; /* the prompt ends inside reasoning */
};

/* chat: imported (sizes checked; messages and calls too). prompt->text.mem set by the caller, the
 * rest zero. On failure the prompt is empty. BAD_TEXT where the dialect's own template refuses;
 * UNSUPPORTED for what is not built. */
sprat_status sprat__chat_render(struct sprat__prompt *prompt, const struct sprat__dialect *dialect,
                                const struct sprat_chat *chat, struct sprat__err *err);
void sprat__prompt_end(struct sprat__prompt *prompt);

/* The answer's parser. Events: TEXT, REASONING, CALL, ARGUMENTS, CALL_END, WARNING; DONE (reason 0)
 * after the last. Text given to the host never has to be taken back. */
struct sprat__parser;
sprat_status sprat__parser_create(struct sprat__parser **out, struct sprat__mem *mem,
                                  const struct sprat__dialect *dialect, bool in_reasoning,
                                  struct sprat__err *err);
void sprat__parser_destroy(struct sprat__parser *parser);
sprat_status sprat__parser_feed(struct sprat__parser *parser, const char *text, size_t len,
                                bool last, struct sprat__err *err);
/* false: no event ready. event's text is the parser's, until the next feed or next. */
bool sprat__parser_next(struct sprat__parser *parser, struct sprat_event *event);

#endif
