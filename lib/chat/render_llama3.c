/* Owns the prompts of Llama 3: <|start_header_id|>role<|end_header_id|>, text, <|eot_id|>. llama3
 * is the short template, llama3.1 the one with a system turn that states dates, and tools described
 * in the first message after it. Contents are trimmed. Follows the models' own templates. */
#include "chat/json_text.h"

static void llama3_open(struct sprat__writer *writer, const char *role)
{
    sprat__write_template(writer, "<|start_header_id|>");
    sprat__write_role(writer, role);
    sprat__write_template(writer, "<|end_header_id|>\n\n");
}

/* Absent content is the word the templates make of it. */
static void llama3_content(struct sprat__writer *writer, const struct sprat_message *message)
{
    if (message->content)
        sprat__write_user(writer, sprat__span_trim(sprat__message_content(message)));
    else
        sprat__write_template(writer, "None");
}

static void llama3_tools(struct sprat__writer *writer, const struct sprat_chat *chat)
{
    struct sprat__span rest = sprat__chat_tools(chat), tool;
    sprat__write_template(
        writer,
        "Given the following functions, please respond with a JSON for a function call with its "
        "proper arguments that best answers the given prompt.\n\nRespond in the format {\"name\": "
        "function name, \"parameters\": dictionary of argument name and its value}.Do not use "
        "variables.\n\n");
    while (sprat__json_item(&rest, &tool)) {
        sprat__write_json(writer, tool, true);
        sprat__write_template(writer, "\n\n");
    }
}

/* A turn that is a call; its content is left out. */
static void llama3_call(struct sprat__writer *writer, const struct sprat_chat *chat, size_t i)
{
    const struct sprat_tool_call *call = chat->messages[i]->calls[0];
    if (chat->messages[i]->n_calls > 1) {
        sprat__write_refuse(writer, SPRAT_BAD_TEXT, chat, i,
                            "has several calls; this dialect allows one a message");
        return;
    }
    llama3_open(writer, "assistant");
    sprat__write_template(writer, "{\"name\": \"");
    sprat__write_user(writer, sprat__call_name(call));
    sprat__write_template(writer, "\", \"parameters\": ");
    sprat__write_arguments_anew(writer, chat, i, call);
    sprat__write_template(writer, "}");
}

/* llama3.1: the system turn, and the first message after it where tools go in front of its text.
 * The number of messages that these took. */
static size_t llama3_begin(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                           const struct sprat_chat *chat)
{
    size_t first = 0;
    llama3_open(writer, "system");
    sprat__write_template(writer, chat->tools_len > 0 ? "Environment: ipython\n" : "");
    sprat__write_template(writer, dialect->system);
    if (sprat__message_is(chat->messages[0], "system"))
        llama3_content(writer, chat->messages[first++]);
    sprat__write_template(writer, "<|eot_id|>");
    if (chat->tools_len == 0)
        return first;
    if (first == chat->n_messages) {
        sprat__write_refuse(writer, SPRAT_BAD_TEXT, chat, 0,
                            "is alone; the tools go into the message after it");
        return first;
    }
    llama3_open(writer, "user");
    llama3_tools(writer, chat);
    llama3_content(writer, chat->messages[first]);
    if (!chat->continue_final || first + 1 < chat->n_messages)
        sprat__write_template(writer, "<|eot_id|>");
    return first + 1;
}

/* A message as it stands; llama3.1: a tool's result is the text as a JSON string. */
static void llama3_message(struct sprat__writer *writer, const struct sprat_message *message,
                           bool dated)
{
    bool result =
        dated && (sprat__message_is(message, "tool") || sprat__message_is(message, "ipython"));
    llama3_open(writer, result ? "ipython" : message->role);
    if (result && message->content)
        sprat__write_json_string(writer, sprat__message_content(message));
    else
        llama3_content(writer, message);
}

void sprat__render_llama3(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat)
{
    bool dated = dialect->tools != SPRAT__TOOLS_NONE;
    size_t n = chat->n_messages;
    if (n > 0)
        sprat__write_template(writer, "<|begin_of_text|>");
    for (size_t i = dated ? llama3_begin(writer, dialect, chat) : 0; i < n; i++) {
        if (chat->messages[i]->n_calls > 0)
            llama3_call(writer, chat, i);
        else
            llama3_message(writer, chat->messages[i], dated);
        if (!chat->continue_final || i + 1 < n)
            sprat__write_template(writer, "<|eot_id|>");
    }
    if (!chat->no_generation_prompt && !chat->continue_final)
        llama3_open(writer, "assistant");
}
