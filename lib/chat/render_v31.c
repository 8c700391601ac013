/* Owns the prompts of DeepSeek-V3.1: one model that thinks or does not, as the tag after
 * <｜Assistant｜> says. Follows the model's own template, and its card for the description of
 * tools, which the template has not. Messages of other roles are left out, as there. */
#include "chat/json_text.h"

#include <string.h>

static const char *const v31_roles[] = {"system", "user", "assistant", "tool", NULL};

static const char v31_tools_end[] =
    "IMPORTANT: ALWAYS adhere to this exact format for tool use:\n"
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments"
    "<｜tool▁call▁end｜>{additional_tool_calls}<｜tool▁calls▁end｜>\n\n"
    "Where:\n"
    "- `tool_call_name` must be an exact match to one of the available tools\n"
    "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters "
    "Schema\n"
    "- For multiple tool calls, chain them directly without separators or spaces";

/* What the card says of one tool; false if it is not a function with a name. */
static bool v31_tool(struct sprat__writer *writer, struct sprat__span tool)
{
    struct sprat__span function, name, description, parameters;
    if (!sprat__json_member(tool, "function", &function) ||
        !sprat__json_member(function, "name", &name) || name.text[0] != '"')
        return false;
    sprat__write_template(writer, "### ");
    sprat__write_json_decoded(writer, name);
    sprat__write_template(writer, "\nDescription: ");
    if (sprat__json_member(function, "description", &description))
        sprat__write_json_decoded(writer, description);
    sprat__write_template(writer, "\n\nParameters: ");
    if (sprat__json_member(function, "parameters", &parameters))
        sprat__write_json(writer, parameters, false);
    else
        sprat__write_template(writer, "{}");
    sprat__write_template(writer, "\n\n");
    return true;
}

static void v31_tools(struct sprat__writer *writer, const struct sprat_chat *chat)
{
    struct sprat__span rest = sprat__chat_tools(chat), tool;
    if (rest.len == 0)
        return;
    sprat__write_template(writer, "\n\n## Tools\nYou have access to the following tools:\n\n");
    for (size_t n = 0; sprat__json_item(&rest, &tool); n++) {
        if (writer->status == SPRAT_OK && !v31_tool(writer, tool)) {
            writer->status = sprat__fail(writer->err, SPRAT_BAD_TEXT,
                                         "chat.tools[%zu]: expected a function with a name", n);
            return;
        }
    }
    sprat__write_template(writer, v31_tools_end);
}

/* An answer's text without the reasoning that the host left in it. */
static struct sprat__span v31_answer(const struct sprat_message *message)
{
    struct sprat__span content = sprat__message_content(message);
    size_t first = sprat__span_find(content, "</think>");
    return first == SIZE_MAX ? content : sprat__span_after(content, first + strlen("</think>"));
}

static void v31_calls(struct sprat__writer *writer, const struct sprat_message *message)
{
    sprat__write_user(writer, sprat__message_content(message));
    sprat__write_template(writer, "<｜tool▁calls▁begin｜>");
    for (size_t i = 0; i < message->n_calls; i++) {
        sprat__write_template(writer, "<｜tool▁call▁begin｜>");
        sprat__write_user(writer, sprat__call_name(message->calls[i]));
        sprat__write_template(writer, "<｜tool▁sep｜>");
        sprat__write_user(writer, sprat__call_arguments(message->calls[i]));
        sprat__write_template(writer, "<｜tool▁call▁end｜>");
    }
    sprat__write_template(writer, "<｜tool▁calls▁end｜>");
}

/* The assistant's header, and the tag that says whether reasoning follows. */
static void v31_header(struct sprat__writer *writer, bool thinks)
{
    sprat__write_template(writer, thinks ? "<｜Assistant｜><think>" : "<｜Assistant｜></think>");
}

static void v31_assistant(struct sprat__writer *writer, const struct sprat_chat *chat, size_t i,
                          bool after_user, bool after_result)
{
    const struct sprat_message *message = chat->messages[i];
    bool open_end = chat->continue_final && i + 1 == chat->n_messages;
    bool thinks =
        message->prefix == 1 && message->n_calls == 0 && chat->thinking == SPRAT_THINKING_ON;
    if (after_user)
        v31_header(writer, thinks);
    if (message->n_calls > 0)
        v31_calls(writer, message);
    else
        sprat__write_user(writer,
                          after_result ? sprat__message_content(message) : v31_answer(message));
    if (!open_end)
        sprat__write_template(writer, "<｜end▁of▁sentence｜>");
    else
        writer->prompt->in_reasoning =
            after_user && thinks &&
            sprat__span_find(sprat__message_content(message), "</think>") == SIZE_MAX;
}

void sprat__render_v31(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                       const struct sprat_chat *chat)
{
    bool after_user = false, after_result = false;
    if (!sprat__write_need_content(writer, chat, v31_roles))
        return;
    sprat__write_template(writer, "<｜begin▁of▁sentence｜>");
    sprat__write_systems(writer, dialect, chat);
    v31_tools(writer, chat);
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (sprat__message_is(message, "user")) {
            sprat__write_template(writer, "<｜User｜>");
            sprat__write_user(writer, sprat__message_content(message));
            after_user = true;
            after_result = false;
        } else if (sprat__message_is(message, "assistant")) {
            v31_assistant(writer, chat, i, after_user, after_result);
            after_user = after_result = false;
        } else if (sprat__message_is(message, "tool")) {
            sprat__write_template(writer, "<｜tool▁output▁begin｜>");
            sprat__write_user(writer, sprat__message_content(message));
            sprat__write_template(writer, "<｜tool▁output▁end｜>");
            after_user = false;
            after_result = true;
        }
    }
    if (chat->no_generation_prompt || chat->continue_final || !after_user)
        return;
    v31_header(writer, chat->thinking == SPRAT_THINKING_ON);
    writer->prompt->in_reasoning = chat->thinking == SPRAT_THINKING_ON;
}
