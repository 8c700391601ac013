/* Owns the prompts of DeepSeek-V2 (and V2-Lite, and deepseek-llm, whose template it is) and of
 * DeepSeek-Coder: plain words for the roles, no control tokens but the ends. Neither knows tools or
 * reasoning. Follows the models' own templates: deepseek-v2 leaves out messages of other roles,
 * deepseek-coder takes them for the assistant's. */
#include "chat/dialect.h"

static const char *const v2_roles[] = {"system", "user", "assistant", NULL};

/* Whether message i is the one to be continued. */
static bool v2_open_end(const struct sprat_chat *chat, size_t i)
{
    return chat->continue_final && i + 1 == chat->n_messages;
}

void sprat__render_v2(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                      const struct sprat_chat *chat)
{
    (void)dialect;
    if (!sprat__write_need_content(writer, chat, v2_roles))
        return;
    sprat__write_template(writer, "<｜begin▁of▁sentence｜>");
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        bool assistant = sprat__message_is(message, "assistant");
        bool user = sprat__message_is(message, "user");
        if (!assistant && !user && !sprat__message_is(message, "system"))
            continue;
        sprat__write_template(writer, assistant ? "Assistant: " : user ? "User: " : "");
        sprat__write_user(writer, sprat__message_content(message));
        if (!v2_open_end(chat, i))
            sprat__write_template(writer, assistant ? "<｜end▁of▁sentence｜>" : "\n\n");
    }
    if (!chat->no_generation_prompt && !chat->continue_final)
        sprat__write_template(writer, "Assistant:");
}

void sprat__render_coder(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                         const struct sprat_chat *chat)
{
    bool any_system = false;
    if (!sprat__write_need_content(writer, chat, NULL))
        return;
    for (size_t i = 0; i < chat->n_messages; i++)
        any_system = any_system || sprat__message_is(chat->messages[i], "system");
    sprat__write_template(writer, "<｜begin▁of▁sentence｜>");
    sprat__write_template(writer, any_system ? "" : dialect->system);
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        bool system = sprat__message_is(message, "system");
        bool user = sprat__message_is(message, "user");
        sprat__write_template(writer, system ? ""
                                      : user ? "### Instruction:\n"
                                             : "### Response:\n");
        sprat__write_user(writer, sprat__message_content(message));
        if (!v2_open_end(chat, i))
            sprat__write_template(writer, system ? "" : user ? "\n" : "\n<|EOT|>\n");
    }
    if (!chat->no_generation_prompt && !chat->continue_final)
        sprat__write_template(writer, "### Response:\n");
}
