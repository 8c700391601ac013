/* Owns the prompts of the ChatML family: <|im_start|>role, text, <|im_end|>. chatml-smollm2 and
 * qwen2.5 write every message alike; qwen3 adds reasoning. The qwen dialects describe tools in the
 * system turn and write their results as a user's. Follows the models' own templates. */
#include "chat/json_text.h"

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

static void chatml_tools(struct sprat__writer *writer, const struct sprat_chat *chat)
{
    struct sprat__span rest = sprat__chat_tools(chat), tool;
    sprat__write_template(
        writer,
        "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are "
        "provided with function signatures within <tools></tools> XML tags:\n<tools>");
    while (sprat__json_item(&rest, &tool)) {
        sprat__write_template(writer, "\n");
        sprat__write_json(writer, tool, false);
    }
    sprat__write_template(
        writer, "\n</tools>\n\nFor each function call, return a json object with function name and "
                "arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": "
                "<function-name>, \"arguments\": <args-json-object>}\n</tool_call>");
}

/* The first turn, if it is the system's: the caller's text or the dialect's, and the tools. The
 * number of messages that it took. */
static size_t chatml_system(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                            const struct sprat_chat *chat)
{
    bool given = sprat__chat_is(chat, 0, "system"), tools = chat->tools_len > 0;
    if (chat->n_messages == 0 || (!given && !dialect->system && !tools))
        return 0;
    chatml_open(writer, "system");
    if (given)
        sprat__write_user(writer, sprat__message_content(chat->messages[0]));
    else
        sprat__write_template(writer, dialect->system ? dialect->system : "");
    if (tools) {
        sprat__write_template(writer, given || dialect->system ? "\n\n" : "");
        chatml_tools(writer, chat);
    }
    sprat__write_template(writer, "<|im_end|>\n");
    return given;
}

/* One call, which text may stand before. anew: the arguments are the template's own JSON. */
static void chatml_call(struct sprat__writer *writer, const struct sprat_chat *chat, size_t i,
                        size_t k, bool anew)
{
    const struct sprat_tool_call *call = chat->messages[i]->calls[k];
    sprat__write_template(writer, "<tool_call>\n{\"name\": \"");
    sprat__write_user(writer, sprat__call_name(call));
    sprat__write_template(writer, "\", \"arguments\": ");
    if (anew)
        sprat__write_arguments_anew(writer, chat, i, call);
    else
        sprat__write_user(writer, sprat__call_arguments(call));
    sprat__write_template(writer, "}\n</tool_call>");
}

/* qwen2.5: a turn with calls. */
static void chatml_calls(struct sprat__writer *writer, const struct sprat_chat *chat, size_t i)
{
    const struct sprat_message *message = chat->messages[i];
    sprat__write_template(writer, "<|im_start|>assistant");
    sprat__write_template(writer, message->content_len > 0 ? "\n" : "");
    sprat__write_user(writer, sprat__message_content(message));
    for (size_t k = 0; k < message->n_calls; k++) {
        sprat__write_template(writer, "\n");
        chatml_call(writer, chat, i, k, true);
    }
    sprat__write_template(writer, "<|im_end|>\n");
}

/* A tool's result: those that follow each other share one turn of the user's. */
static void chatml_result(struct sprat__writer *writer, const struct sprat_chat *chat, size_t i)
{
    const struct sprat_message *message = chat->messages[i];
    if (i == 0 || !sprat__chat_is(chat, i - 1, "tool"))
        sprat__write_template(writer, "<|im_start|>user");
    sprat__write_template(writer, "\n<tool_response>\n");
    sprat__write_template(writer, message->content ? "" : "None");
    sprat__write_user(writer, sprat__message_content(message));
    sprat__write_template(writer, "\n</tool_response>");
    if (!sprat__chat_is(chat, i + 1, "tool"))
        sprat__write_template(writer, "<|im_end|>\n");
}

void sprat__render_chatml(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat)
{
    bool any_role = dialect->tools == SPRAT__TOOLS_NONE;
    if (!sprat__write_need_content(writer, chat, any_role ? NULL : chatml_roles))
        return;
    for (size_t i = chatml_system(writer, dialect, chat); i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (message->n_calls > 0)
            chatml_calls(writer, chat, i);
        else if (!any_role && sprat__message_is(message, "tool"))
            chatml_result(writer, chat, i);
        else if (chatml_writes(dialect, message))
            chatml_message(writer, message, chat->continue_final && i + 1 == chat->n_messages);
    }
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

static void qwen3_assistant(struct sprat__writer *writer, const struct sprat_chat *chat, size_t i,
                            bool after_query)
{
    const struct sprat_message *message = chat->messages[i];
    bool last = i + 1 == chat->n_messages;
    struct sprat__span reasoning, content;
    qwen3_split(message, &reasoning, &content);
    chatml_open(writer, "assistant");
    bool any_content = content.len > 0;
    if (after_query && (last || reasoning.len > 0)) {
        sprat__write_template(writer, "<think>\n");
        sprat__write_user(
            writer, sprat__span_trim_newlines_left(sprat__span_trim_newlines_right(reasoning)));
        sprat__write_template(writer, "\n</think>\n\n");
        content = sprat__span_trim_newlines_left(content);
    }
    sprat__write_user(writer, content);
    for (size_t k = 0; k < message->n_calls; k++) {
        sprat__write_template(writer, any_content || k > 0 ? "\n" : "");
        chatml_call(writer, chat, i, k, false);
    }
    if (!last || !chat->continue_final)
        sprat__write_template(writer, "<|im_end|>\n");
}

void sprat__render_qwen3(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                         const struct sprat_chat *chat)
{
    if (!sprat__write_need_content(writer, chat, chatml_roles))
        return;
    size_t last_query = qwen3_last_query(chat);
    for (size_t i = chatml_system(writer, dialect, chat); i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (sprat__message_is(message, "assistant"))
            qwen3_assistant(writer, chat, i, i > last_query);
        else if (sprat__message_is(message, "tool"))
            chatml_result(writer, chat, i);
        else if (chatml_writes(dialect, message))
            chatml_message(writer, message, false);
    }
    if (chat->no_generation_prompt || chat->continue_final)
        return;
    chatml_open(writer, "assistant");
    if (chat->thinking == SPRAT_THINKING_OFF)
        sprat__write_template(writer, "<think>\n\n</think>\n\n");
}
