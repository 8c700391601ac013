/* Owns the prompts of DeepSeek-V2.5, V3 and R1 and of R1's distills: the system text first, then
 * <｜User｜> and <｜Assistant｜> turns without their reasoning, calls between control tokens, and
 * the tools' results as one block that the answer continues. sprat__render_r1: all but r1-0528,
 * whose answer's header belongs to the user's turn. Follows the models' own templates; messages of
 * other roles are left out, as there. In one thing it does otherwise: most of these templates lose
 * or garble calls (a single call gets no end, the calls of a message with content are dropped, a
 * second round of calls has no beginning). What is written is the format that they describe and
 * the models write: each message's calls between one beginning and one end, whatever its content.
 */
#include "chat/dialect.h"

#include <string.h>

static const char *const r1_roles[] = {"system", "user", "assistant", "tool", NULL};

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

static void r1_calls(struct sprat__writer *writer, const struct sprat_message *message)
{
    for (size_t i = 0; i < message->n_calls; i++) {
        sprat__write_template(writer, i == 0 ? "<｜tool▁calls▁begin｜>" : "\n");
        sprat__write_template(writer, "<｜tool▁call▁begin｜>function<｜tool▁sep｜>");
        sprat__write_user(writer, sprat__call_name(message->calls[i]));
        sprat__write_template(writer, "\n```json\n");
        sprat__write_user(writer, sprat__call_arguments(message->calls[i]));
        sprat__write_template(writer, "\n```<｜tool▁call▁end｜>");
    }
    sprat__write_template(writer, message->n_calls > 0 ? "<｜tool▁calls▁end｜>" : "");
}

/* An assistant's text and calls and, unless it is to be continued, its end. */
static void r1_assistant(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                         const struct sprat_chat *chat, size_t i, bool cut)
{
    const struct sprat_message *message = chat->messages[i];
    sprat__write_user(writer, cut ? r1_answer(message) : sprat__message_content(message));
    r1_calls(writer, message);
    if (!chat->continue_final || i + 1 < chat->n_messages)
        sprat__write_template(writer, "<｜end▁of▁sentence｜>");
    else
        writer->prompt->in_reasoning = dialect->reasoning && r1_reasons(message);
}

/* One result of a tool. inside: others stand before it in the same block. */
static void r1_result(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                      const struct sprat_message *message, bool inside)
{
    sprat__write_template(writer, !inside                  ? "<｜tool▁outputs▁begin｜>"
                                  : dialect->tight_results ? ""
                                                           : "\n");
    sprat__write_template(writer, "<｜tool▁output▁begin｜>");
    sprat__write_user(writer, sprat__message_content(message));
    sprat__write_template(writer, "<｜tool▁output▁end｜>");
}

void sprat__render_r1(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                      const struct sprat_chat *chat)
{
    bool results = false;
    if (!sprat__write_need_content(writer, chat, r1_roles))
        return;
    for (size_t i = 0; i < chat->n_messages && dialect->system_lead; i++)
        if (sprat__message_is(chat->messages[i], "system"))
            sprat__write_template(writer, dialect->system_lead);
    sprat__write_template(writer, "<｜begin▁of▁sentence｜>");
    sprat__write_systems(writer, dialect, chat);
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (sprat__message_is(message, "user")) {
            sprat__write_template(writer, "<｜User｜>");
            sprat__write_user(writer, sprat__message_content(message));
            results = false;
        } else if (sprat__message_is(message, "assistant")) {
            sprat__write_template(writer, results ? "<｜tool▁outputs▁end｜>" : "<｜Assistant｜>");
            r1_assistant(writer, dialect, chat, i, dialect->cuts_reasoning && !results);
            results = false;
        } else if (sprat__message_is(message, "tool")) {
            r1_result(writer, dialect, message, results);
            results = true;
        }
    }
    if (results)
        sprat__write_template(writer, "<｜tool▁outputs▁end｜>");
    if (chat->no_generation_prompt || chat->continue_final || results)
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
    bool after_user = false, results = false;
    if (!sprat__write_need_content(writer, chat, r1_roles))
        return;
    sprat__write_template(writer, "<｜begin▁of▁sentence｜>");
    sprat__write_systems(writer, dialect, chat);
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (sprat__message_is(message, "user")) {
            sprat__write_template(writer, "<｜User｜>");
            sprat__write_user(writer, sprat__message_content(message));
            sprat__write_template(writer, "<｜Assistant｜>");
            after_user = true;
            results = false;
        } else if (sprat__message_is(message, "assistant")) {
            sprat__write_template(writer, results ? "<｜tool▁outputs▁end｜>" : "");
            r1_assistant(writer, dialect, chat, i, dialect->cuts_reasoning);
            after_user = results = false;
        } else if (sprat__message_is(message, "tool")) {
            r1_result(writer, dialect, message, results);
            after_user = false;
            results = true;
        }
    }
    if (results)
        sprat__write_template(writer, "<｜tool▁outputs▁end｜>");
    if (!chat->no_generation_prompt && !chat->continue_final && !after_user && !results)
        sprat__write_template(writer, "<｜Assistant｜>");
}
