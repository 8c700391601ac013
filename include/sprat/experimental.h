/* Experimental: chat. Outside the ABI promise of sprat.h: what stands here moves there within a
 * release, or goes.
 *
 * A chat is a list of messages. The model's dialect, recognised from its chat template, decides how
 * they are written; a template that is not known is an error that says so, never a guess. The host
 * always states the whole conversation: sprat_session_chat computes only what is new, then
 * sprat_session_next gives the answer as events.
 */
#ifndef SPRAT_EXPERIMENTAL_H
#define SPRAT_EXPERIMENTAL_H

#ifndef SPRAT_EXPERIMENTAL
#error "define SPRAT_EXPERIMENTAL to use what may change"
#endif

#include "sprat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A call of a tool that the model made in an earlier turn. Texts are UTF-8 and the caller's. */
typedef struct sprat_tool_call {
    size_t size;
    const char *name;
    size_t name_len;
    const char *arguments; /* JSON text, an object; written as it is where the dialect allows it */
    size_t arguments_len;
} sprat_tool_call;

/* One message. Texts are UTF-8 and stay the caller's; NULL with length 0 is an absent one. */
typedef struct sprat_message {
    size_t size;
    const char *role; /* "system", "user", "assistant", "tool" (a result); NUL-terminated */
    const char *content;
    size_t content_len;
    const char *reasoning; /* assistant: what it thought, if the host kept it */
    size_t reasoning_len;
    const sprat_tool_call *const *calls; /* assistant: its calls, in order; results follow as
                                            messages of role "tool", in the same order */
    size_t n_calls;
    uint32_t prefix; /* 1: the assistant's content is the beginning of its reasoning, where the
                        dialect writes such turns (deepseek-v3.1 with thinking on) */
    uint32_t reserved;
} sprat_message;

enum { SPRAT_THINKING_DEFAULT = 0, SPRAT_THINKING_ON = 1, SPRAT_THINKING_OFF = 2 };

/* A conversation to be written. */
typedef struct sprat_chat {
    size_t size;
    const char *dialect; /* by name; NULL: the model's own */
    const sprat_message *const *messages;
    size_t n_messages;
    uint32_t thinking;             /* SPRAT_THINKING_*, where the dialect has the choice */
    uint32_t no_generation_prompt; /* 1: do not open the assistant's turn at the end */
    uint32_t continue_final; /* 1: the last message is the assistant's and is to be continued */
    uint32_t reserved;
    const char *tools; /* JSON text: an array of tools as OpenAI's interface has them, each {"type":
                          "function", "function": {"name", "description", "parameters"}} */
    size_t tools_len;
} sprat_chat;

/* The dialect of the model's chat template: a static name such as "qwen3".
 * name: NULL on failure. UNKNOWN_TEMPLATE, INVALID. Any thread. */
SPRAT_API sprat_status sprat_chat_dialect(const char **name, const sprat_model *model,
                                          sprat_error *err);

/* Called once per segment by sprat_chat_render; anything but 0 stops it with CANCELLED. */
typedef int32_t (*sprat_segment_fn)(void *user, const sprat_segment *segment);

/* Writes the conversation as segments: the template's text, where control tokens are recognised,
 * and the caller's. model may be NULL if chat names a dialect; context serves memory then (else
 * NULL is allowed). Segments are given once all are written. UNKNOWN_TEMPLATE, BAD_TEXT (the
 * dialect's own template refuses such messages; tools that are no JSON array of tools; arguments
 * that are no JSON where the dialect writes them anew), UNSUPPORTED (an option the dialect has not;
 * tools or calls, where it has no place for them), CANCELLED, INVALID, NO_MEMORY, OVER_BUDGET. */
SPRAT_API sprat_status sprat_chat_render(sprat_context *context, const sprat_model *model,
                                         const sprat_chat *chat, sprat_segment_fn emit, void *user,
                                         sprat_error *err);

/* The conversation's tokens, as sprat_model_tokenize: count before running. */
SPRAT_API sprat_status sprat_chat_tokenize(size_t *n_tokens, const sprat_model *model,
                                           const sprat_chat *chat, sprat_token *tokens,
                                           size_t capacity, sprat_error *err);

/* Syncs the session to the conversation; sprat_session_next then gives the answer, reasoning and
 * calls apart from text, until another call changes the session. Statuses of sprat_chat_render and
 * sprat_session_sync; the text is the session's error. */
SPRAT_API sprat_status sprat_session_chat(size_t *n_reused, sprat_session *session,
                                          const sprat_chat *chat);

enum {
    SPRAT_EVENT_REASONING = 16, /* a piece of what the model thinks before it answers */
    SPRAT_EVENT_WARNING =
        17, /* something in the answer was cut, missing or unreadable; text says what */
    SPRAT_EVENT_CALL = 18,      /* the model calls a tool; text is its name, whole, perhaps empty */
    SPRAT_EVENT_ARGUMENTS = 19, /* a piece of the open call's arguments, JSON text */
    SPRAT_EVENT_CALL_END = 20   /* the open call's end; reason: SPRAT_CALL_* */
};

/* What a call's end says of it. Every CALL gets one CALL_END; calls do not nest. */
enum {
    SPRAT_CALL_WHOLE = 0, /* the pieces are one JSON object, and the call counts */
    SPRAT_CALL_BAD = 1,   /* it does not: the model wrote no JSON object, or no end of the call */
    SPRAT_CALL_CUT = 2    /* nor here: the answer ended inside the call */
};

/* The parser alone, for text that came from elsewhere. */
typedef struct sprat_chat_parser sprat_chat_parser;

/* in_reasoning: 1 if the prompt ended inside reasoning. The parser keeps the context.
 * UNKNOWN_TEMPLATE (no such dialect), INVALID, NO_MEMORY, OVER_BUDGET. */
SPRAT_API sprat_status sprat_chat_parser_create(sprat_chat_parser **out, sprat_context *context,
                                                const char *dialect, uint32_t in_reasoning,
                                                sprat_error *err);
SPRAT_API void sprat_chat_parser_destroy(sprat_chat_parser *parser);

/* Hands over the next piece of the answer, of any length; last: 1 with the final one. The result
 * does not depend on how the text is cut. STATE (after the last), INVALID; NO_MEMORY, OVER_BUDGET:
 * nothing has changed, the same call may be made again. */
SPRAT_API sprat_status sprat_chat_parser_feed(sprat_chat_parser *parser, const char *text,
                                              size_t len, uint32_t last);

/* The next event ready: TEXT, REASONING, WARNING, CALL, ARGUMENTS, CALL_END, and DONE after the
 * last; NOT_FOUND when more text is needed. The text is the parser's, until its next call. INVALID.
 */
SPRAT_API sprat_status sprat_chat_parser_next(sprat_chat_parser *parser, sprat_event *event);

#ifdef __cplusplus
}
#endif

#endif
