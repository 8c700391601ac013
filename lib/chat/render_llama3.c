/* Owns the prompts of Llama 3: <|start_header_id|>role<|end_header_id|>, text, <|eot_id|>. llama3
 * is the short template, llama3.1 the one with a system turn that states dates. Contents are
 * trimmed. Follows the models' own templates. */
#include "chat/dialect.h"

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

void sprat__render_llama3(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat)
{
    bool dated = dialect->tools != SPRAT__TOOLS_NONE;
    size_t n = chat->n_messages, first = 0;
    if (dated && (!sprat__write_no_role(writer, chat, "tool") ||
                  !sprat__write_no_role(writer, chat, "ipython")))
        return;
    if (n > 0)
        sprat__write_template(writer, "<|begin_of_text|>");
    if (dated) {
        llama3_open(writer, "system");
        sprat__write_template(writer, dialect->system);
        if (sprat__message_is(chat->messages[0], "system")) {
            llama3_content(writer, chat->messages[0]);
            first = 1;
        }
        sprat__write_template(writer, "<|eot_id|>");
    }
    for (size_t i = first; i < n; i++) {
        llama3_open(writer, chat->messages[i]->role);
        llama3_content(writer, chat->messages[i]);
        if (!chat->continue_final || i + 1 < n)
            sprat__write_template(writer, "<|eot_id|>");
    }
    if (!chat->no_generation_prompt && !chat->continue_final)
        llama3_open(writer, "assistant");
}
