/* Owns the prompts of the ChatML family: <|im_start|>role, text, <|im_end|>. chatml-smollm2 and
 * qwen2.5 write every message alike; qwen3 adds reasoning. Follows the models' own templates. */
#include "chat/dialect.h"

#include <string.h>

static void chatml_open(struct sprat__writer *writer, const char *role)
{
    sprat__write_template(writer, "<|im_start|>");
    sprat__write_role(writer, role);
    sprat__write_template(writer, "\n");
}

static void chatml_message(struct sprat__writer *writer, const struct sprat_message *message,
                           bool open_end)
{
    chatml_open(writer, message->role);
    sprat__write_user(writer, sprat__message_content(message));
    if (!open_end)
        sprat__write_template(writer, "<|im_end|>\n");
}

/* Whether the message is written at all: qwen's templates leave out roles they do not know,
 * SmolLM2's passes any on. */
static bool chatml_writes(const struct sprat__dialect *dialect, const struct sprat_message *message)
{
    return dialect->tools == SPRAT__TOOLS_NONE || sprat__message_is(message, "system") ||
           sprat__message_is(message, "user") || sprat__message_is(message, "assistant");
}

static const char *const chatml_roles[] = {"system", "user", "assistant", NULL};

void sprat__render_chatml(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat)
{
    bool any_role = dialect->tools == SPRAT__TOOLS_NONE;
    if (!any_role && !sprat__write_no_role(writer, chat, "tool"))
        return;
    if (!sprat__write_need_content(writer, chat, any_role ? NULL : chatml_roles))
        return;
    if (chat->n_messages > 0 && !sprat__message_is(chat->messages[0], "system")) {
        chatml_open(writer, "system");
        sprat__write_template(writer, dialect->system);
        sprat__write_template(writer, "<|im_end|>\n");
    }
    for (size_t i = 0; i < chat->n_messages; i++)
        if (chatml_writes(dialect, chat->messages[i]))
            chatml_message(writer, chat->messages[i],
                           chat->continue_final && i + 1 == chat->n_messages);
    if (!chat->no_generation_prompt && !chat->continue_final)
        chatml_open(writer, "assistant");
}

/* The last message that is the user's and no tool's result in a user's clothes; the last of all if
 * there is none. Assistant turns after it keep their reasoning. */
static size_t qwen3_last_query(const struct sprat_chat *chat)
{
    for (size_t i = chat->n_messages; i > 0; i--) {
        const struct sprat_message *message = chat->messages[i - 1];
        struct sprat__span content = sprat__message_content(message);
        if (sprat__message_is(message, "user") &&
            !(sprat__span_begins(content, "<tool_response>") &&
              sprat__span_ends(content, "</tool_response>")))
            return i - 1;
    }
    return chat->n_messages - 1;
}

/* Reasoning and content of an assistant's turn. Where the host kept no reasoning apart, it is what
 * stands before the first </think>, and after the last <think> before that; the content is what
 * follows the last </think>. */
static void qwen3_split(const struct sprat_message *message, struct sprat__span *reasoning,
                        struct sprat__span *content)
{
    *content = sprat__message_content(message);
    *reasoning = sprat__message_reasoning(message);
    size_t last = sprat__span_find_last(*content, "</think>");
    if (message->reasoning || last == SIZE_MAX)
        return;
    *reasoning = sprat__span_trim_newlines_right(
        sprat__span_first(*content, sprat__span_find(*content, "</think>")));
    size_t open = sprat__span_find_last(*reasoning, "<think>");
    if (open != SIZE_MAX)
        *reasoning = sprat__span_after(*reasoning, open + strlen("<think>"));
    *reasoning = sprat__span_trim_newlines_left(*reasoning);
    *content =
        sprat__span_trim_newlines_left(sprat__span_after(*content, last + strlen("</think>")));
}

static void qwen3_assistant(struct sprat__writer *writer, const struct sprat_message *message,
                            bool after_query, bool last)
{
    struct sprat__span reasoning, content;
    qwen3_split(message, &reasoning, &content);
    chatml_open(writer, "assistant");
    if (after_query && (last || reasoning.len > 0)) {
        sprat__write_template(writer, "<think>\n");
        sprat__write_user(
            writer, sprat__span_trim_newlines_left(sprat__span_trim_newlines_right(reasoning)));
        sprat__write_template(writer, "\n</think>\n\n");
        content = sprat__span_trim_newlines_left(content);
    }
    sprat__write_user(writer, content);
}

void sprat__render_qwen3(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                         const struct sprat_chat *chat)
{
    if (!sprat__write_no_role(writer, chat, "tool") ||
        !sprat__write_need_content(writer, chat, chatml_roles))
        return;
    size_t n = chat->n_messages, last_query = qwen3_last_query(chat);
    for (size_t i = 0; i < n; i++) {
        const struct sprat_message *message = chat->messages[i];
        bool open_end = chat->continue_final && i + 1 == n;
        if (sprat__message_is(message, "assistant")) {
            qwen3_assistant(writer, message, i > last_query, i + 1 == n);
            if (!open_end)
                sprat__write_template(writer, "<|im_end|>\n");
        } else if (chatml_writes(dialect, message)) {
            chatml_message(writer, message, false);
        }
    }
    if (chat->no_generation_prompt || chat->continue_final)
        return;
    chatml_open(writer, "assistant");
    if (chat->thinking == SPRAT_THINKING_OFF)
        sprat__write_template(writer, "<think>\n\n</think>\n\n");
}
