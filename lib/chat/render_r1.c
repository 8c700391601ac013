/* Owns the prompts of DeepSeek-R1's distills: the last system text first, then <｜User｜> and
 * <｜Assistant｜> turns without their reasoning. Two releases differ in the generation prompt
 * alone. Follows the models' own templates; messages of other roles are left out, as there. */
#include "chat/dialect.h"

#include <string.h>

static const char *const r1_roles[] = {"system", "user", "assistant", NULL};

/* What of an assistant's turn is written: what follows the last </think>. */
static struct sprat__span r1_answer(const struct sprat_message *message)
{
    struct sprat__span content = sprat__message_content(message);
    size_t last = sprat__span_find_last(content, "</think>");
    return last == SIZE_MAX ? content : sprat__span_after(content, last + strlen("</think>"));
}

/* Whether a turn to be continued stops inside its reasoning. */
static bool r1_reasons(const struct sprat_message *message)
{
    struct sprat__span content = sprat__span_trim(sprat__message_content(message));
    return sprat__span_begins(content, "<think>") &&
           sprat__span_find(content, "</think>") == SIZE_MAX;
}

void sprat__render_r1(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                      const struct sprat_chat *chat)
{
    if (!sprat__write_no_role(writer, chat, "tool") ||
        !sprat__write_need_content(writer, chat, r1_roles))
        return;
    sprat__write_template(writer, "<｜begin▁of▁sentence｜>");
    for (size_t i = chat->n_messages; i > 0; i--) {
        if (sprat__message_is(chat->messages[i - 1], "system")) {
            sprat__write_user(writer, sprat__message_content(chat->messages[i - 1]));
            break;
        }
    }
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (sprat__message_is(message, "user")) {
            sprat__write_template(writer, "<｜User｜>");
            sprat__write_user(writer, sprat__message_content(message));
        } else if (sprat__message_is(message, "assistant")) {
            sprat__write_template(writer, "<｜Assistant｜>");
            sprat__write_user(writer, r1_answer(message));
            if (!chat->continue_final || i + 1 < chat->n_messages)
                sprat__write_template(writer, "<｜end▁of▁sentence｜>");
            else
                writer->prompt->in_reasoning = r1_reasons(message);
        }
    }
    if (chat->no_generation_prompt || chat->continue_final)
        return;
    sprat__write_template(writer, "<｜Assistant｜>");
    if (dialect->opens_reasoning) {
        sprat__write_template(writer, "<think>\n");
        writer->prompt->in_reasoning = true;
    }
}
