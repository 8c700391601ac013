/* Owns the prompts of DeepSeek-R1's distills: the system text first, then <｜User｜> and
 * <｜Assistant｜> turns without their reasoning. r1-distill-*: the last system text alone; two
 * releases, which differ in the generation prompt. r1-0528: all system texts, and the header of the
 * answer belongs to the user's turn. Follows the models' own templates; messages of other roles are
 * left out, as there. */
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

/* An assistant's text and, unless it is to be continued, its end. */
static void r1_assistant(struct sprat__writer *writer, const struct sprat_chat *chat, size_t i)
{
    const struct sprat_message *message = chat->messages[i];
    sprat__write_user(writer, r1_answer(message));
    if (!chat->continue_final || i + 1 < chat->n_messages)
        sprat__write_template(writer, "<｜end▁of▁sentence｜>");
    else
        writer->prompt->in_reasoning = r1_reasons(message);
}

static bool r1_accepts(struct sprat__writer *writer, const struct sprat_chat *chat)
{
    return sprat__write_no_role(writer, chat, "tool") &&
           sprat__write_need_content(writer, chat, r1_roles);
}

void sprat__render_r1(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                      const struct sprat_chat *chat)
{
    if (!r1_accepts(writer, chat))
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
            r1_assistant(writer, chat, i);
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

void sprat__render_r1_0528(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                           const struct sprat_chat *chat)
{
    (void)dialect;
    if (!r1_accepts(writer, chat))
        return;
    sprat__write_template(writer, "<｜begin▁of▁sentence｜>");
    bool any_system = false, after_user = false;
    for (size_t i = 0; i < chat->n_messages; i++) {
        if (sprat__message_is(chat->messages[i], "system")) {
            sprat__write_template(writer, any_system ? "\n\n" : "");
            sprat__write_user(writer, sprat__message_content(chat->messages[i]));
            any_system = true;
        }
    }
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (sprat__message_is(message, "user")) {
            sprat__write_template(writer, "<｜User｜>");
            sprat__write_user(writer, sprat__message_content(message));
            sprat__write_template(writer, "<｜Assistant｜>");
            after_user = true;
        } else if (sprat__message_is(message, "assistant")) {
            r1_assistant(writer, chat, i);
            after_user = false;
        }
    }
    if (!chat->no_generation_prompt && !chat->continue_final && !after_user)
        sprat__write_template(writer, "<｜Assistant｜>");
}
