/* Inside the chat module: what a dialect is made of, and the pens its renderers write with. Others
 * use chat.h alone. */
#ifndef SPRAT__DIALECT_H
#define SPRAT__DIALECT_H

#include "chat/chat.h"

/* How a dialect's models write a tool call: what the parser has to know of it. */
enum sprat__tool_style {
    SPRAT__TOOLS_NONE,
    SPRAT__TOOLS_TAGGED, /* <tool_call> JSON </tool_call> */
    SPRAT__TOOLS_FENCED, /* DeepSeek's control tokens round a type, a name and a fenced JSON text */
    SPRAT__TOOLS_TOKENS, /* the same round a name and a JSON text */
    SPRAT__TOOLS_BARE    /* the whole answer is one JSON object */
};

struct sprat__writer;

struct sprat__dialect {
    const char *name;
    /* chat has been checked by sprat__chat_render. Writes; what it refuses it reports through
     * sprat__write_refuse. */
    void (*render)(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                   const struct sprat_chat *chat);
    const char *system;      /* the system text written where the caller gives none; or NULL */
    const char *system_lead; /* written before all, once for each system text; or NULL */
    bool needs_message;      /* an empty conversation cannot be written */
    bool can_think;          /* SPRAT_THINKING_ON is allowed */
    bool can_skip_thinking;  /* SPRAT_THINKING_OFF is allowed */
    bool opens_reasoning;    /* the generation prompt ends with the tag that opens reasoning */
    bool reasoning;          /* answers hold reasoning between think tags */
    bool exact_reasoning;    /* without newlines of the format round it */
    bool last_system;        /* of several system texts, the last is written; else all */
    bool cuts_reasoning;     /* reasoning in an earlier answer's content is left out */
    bool tight_results;      /* nothing stands between tools' results */
    bool declares_tools;     /* prompts have a place for tools, not only for calls */
    enum sprat__tool_style tools;
};

/* All dialects, in no order that matters. */
extern const struct sprat__dialect sprat__dialects[];
extern const size_t sprat__n_dialects;

void sprat__render_chatml(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat);
void sprat__render_qwen3(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                         const struct sprat_chat *chat);
void sprat__render_llama3(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat);
void sprat__render_r1(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                      const struct sprat_chat *chat);
void sprat__render_r1_0528(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                           const struct sprat_chat *chat);
void sprat__render_v2(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                      const struct sprat_chat *chat);
void sprat__render_coder(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                         const struct sprat_chat *chat);
void sprat__render_v31(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                       const struct sprat_chat *chat);

/* ---- writing ---- */

/* The prompt under construction. After a failure the calls below do nothing. */
struct sprat__writer {
    struct sprat__prompt *prompt;
    struct sprat__err *err;
    sprat_status status;
};

/* A piece of text that lies elsewhere; any bytes. */
struct sprat__span {
    const char *text;
    size_t len;
};

void sprat__write_template(struct sprat__writer *writer, const char *text);
void sprat__write_user(struct sprat__writer *writer, struct sprat__span text);
/* A role's name: template text if it is one of the three common ones, else the caller's. */
void sprat__write_role(struct sprat__writer *writer, const char *role);
/* Ends the writing with BAD_TEXT or UNSUPPORTED: "messages[i] (role) why". */
void sprat__write_refuse(struct sprat__writer *writer, sprat_status status,
                         const struct sprat_chat *chat, size_t i, const char *why);
/* Refuses the first message without content and calls, whose role then matters to the dialect; true
 * if there is none. roles: NULL for all, else a list ended by NULL. */
bool sprat__write_need_content(struct sprat__writer *writer, const struct sprat_chat *chat,
                               const char *const *roles);
/* The system texts, joined by an empty line; or, where the dialect writes one, the last. */
void sprat__write_systems(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat);
/* A call's arguments written anew; refused if they are no JSON. */
void sprat__write_arguments_anew(struct sprat__writer *writer, const struct sprat_chat *chat,
                                 size_t i, const struct sprat_tool_call *call);

/* ---- text, as Python's str sees it ---- */

bool sprat__span_begins(struct sprat__span span, const char *text);
bool sprat__span_ends(struct sprat__span span, const char *text);
/* Where text first (last) begins in span; SIZE_MAX if nowhere. */
size_t sprat__span_find(struct sprat__span span, const char *text);
size_t sprat__span_find_last(struct sprat__span span, const char *text);
/* span without its first n bytes; its first n bytes. */
struct sprat__span sprat__span_after(struct sprat__span span, size_t n);
struct sprat__span sprat__span_first(struct sprat__span span, size_t n);
/* str.strip(): white space of Unicode at both ends; lstrip("\n") and rstrip("\n"). */
struct sprat__span sprat__span_trim(struct sprat__span span);
struct sprat__span sprat__span_trim_newlines_left(struct sprat__span span);
struct sprat__span sprat__span_trim_newlines_right(struct sprat__span span);

/* The white-space character of Unicode (str.isspace) that text begins with: its length, 0 if it
 * begins with none, -1 if it is too short to tell. */
int sprat__space_at(const char *text, size_t len);

/* The content, and the reasoning, of a message. */
struct sprat__span sprat__message_content(const struct sprat_message *message);
struct sprat__span sprat__message_reasoning(const struct sprat_message *message);
bool sprat__message_is(const struct sprat_message *message, const char *role);
struct sprat__span sprat__call_name(const struct sprat_tool_call *call);
struct sprat__span sprat__call_arguments(const struct sprat_tool_call *call);
/* The conversation's tools: a JSON array, checked. Empty if there are none. */
struct sprat__span sprat__chat_tools(const struct sprat_chat *chat);
/* Whether message i is there and of the role. */
bool sprat__chat_is(const struct sprat_chat *chat, size_t i, const char *role);

#endif
