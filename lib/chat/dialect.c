/* Owns the list of dialects and the checks that hold for all of them. How each writes is left to
 * the renderers, how a template is recognised to template.c, how answers are read to
 * parse_answer.c. */
#include "chat/dialect.h"

#include <string.h>

const struct sprat__dialect sprat__dialects[] = {
    {.name = "chatml-smollm2",
     .render = sprat__render_chatml,
     .system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
     .can_skip_thinking = true},
    {.name = "qwen2.5",
     .render = sprat__render_chatml,
     .system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
     .needs_message = true,
     .can_skip_thinking = true,
     .tools = SPRAT__TOOLS_TAGGED},
    {.name = "qwen3",
     .render = sprat__render_qwen3,
     .needs_message = true,
     .can_think = true,
     .can_skip_thinking = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_TAGGED},
    {.name = "llama3", .render = sprat__render_llama3, .can_skip_thinking = true},
    {.name = "llama3.1",
     .render = sprat__render_llama3,
     .system = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
     .needs_message = true,
     .can_skip_thinking = true,
     .tools = SPRAT__TOOLS_BARE},
    {.name = "r1-distill-qwen",
     .render = sprat__render_r1,
     .can_think = true,
     .opens_reasoning = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-distill-qwen-0125",
     .render = sprat__render_r1,
     .can_think = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-distill-llama",
     .render = sprat__render_r1,
     .can_think = true,
     .opens_reasoning = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-distill-llama-0125",
     .render = sprat__render_r1,
     .can_think = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-0528",
     .render = sprat__render_r1_0528,
     .can_think = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
};
const size_t sprat__n_dialects = sizeof sprat__dialects / sizeof sprat__dialects[0];

const struct sprat__dialect *sprat__dialect_by_name(const char *name)
{
    for (size_t i = 0; i < sprat__n_dialects; i++)
        if (strcmp(name, sprat__dialects[i].name) == 0)
            return &sprat__dialects[i];
    return NULL;
}

const char *sprat__dialect_name(const struct sprat__dialect *dialect)
{
    return dialect->name;
}

static sprat_status dialect_check_messages(const struct sprat_chat *chat, struct sprat__err *err)
{
    if (chat->n_messages > 0 && !chat->messages)
        return sprat__fail(err, SPRAT_INVALID, "chat.messages is NULL, n_messages is %zu",
                           chat->n_messages);
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        if (!message || !message->role)
            return sprat__fail(err, SPRAT_INVALID, "messages[%zu]%s is NULL", i,
                               message ? "->role" : "");
        if ((!message->content && message->content_len > 0) ||
            (!message->reasoning && message->reasoning_len > 0))
            return sprat__fail(err, SPRAT_INVALID, "messages[%zu]: a text is NULL with a length",
                               i);
    }
    return SPRAT_OK;
}

static sprat_status dialect_check_options(const struct sprat__dialect *dialect,
                                          const struct sprat_chat *chat, struct sprat__err *err)
{
    if (chat->thinking > SPRAT_THINKING_OFF)
        return sprat__fail(err, SPRAT_INVALID, "chat.thinking is %u, expected 0 to %d",
                           (unsigned)chat->thinking, SPRAT_THINKING_OFF);
    if (chat->no_generation_prompt > 1 || chat->continue_final > 1)
        return sprat__fail(err, SPRAT_INVALID,
                           "chat.no_generation_prompt is %u and continue_final %u, each 0 or 1",
                           (unsigned)chat->no_generation_prompt, (unsigned)chat->continue_final);
    if ((chat->thinking == SPRAT_THINKING_ON && !dialect->can_think) ||
        (chat->thinking == SPRAT_THINKING_OFF && !dialect->can_skip_thinking))
        return sprat__fail(err, SPRAT_UNSUPPORTED, "dialect %s %s", dialect->name,
                           dialect->can_think ? "cannot leave the reasoning out"
                                              : "knows no reasoning");
    if (chat->continue_final &&
        (chat->n_messages == 0 || strcmp(chat->messages[chat->n_messages - 1]->role, "assistant")))
        return sprat__fail(err, SPRAT_INVALID,
                           "chat.continue_final: the last message is not the assistant's");
    return SPRAT_OK;
}

sprat_status sprat__chat_render(struct sprat__prompt *prompt, const struct sprat__dialect *dialect,
                                const struct sprat_chat *chat, struct sprat__err *err)
{
    SPRAT_TRY(dialect_check_messages(chat, err));
    SPRAT_TRY(dialect_check_options(dialect, chat, err));
    if (chat->n_messages == 0 && dialect->needs_message)
        return sprat__fail(err, SPRAT_BAD_TEXT, "dialect %s needs at least one message",
                           dialect->name);
    struct sprat__writer writer = {.prompt = prompt, .err = err, .status = SPRAT_OK};
    dialect->render(&writer, dialect, chat);
    if (writer.status != SPRAT_OK) {
        sprat__prompt_end(prompt);
        return writer.status;
    }
    const char *text = prompt->text.data;
    for (size_t i = 0; i < prompt->n_segments; i++) {
        prompt->segments[i].text = text;
        text += prompt->segments[i].len;
    }
    return SPRAT_OK;
}

void sprat__prompt_end(struct sprat__prompt *prompt)
{
    struct sprat__mem *mem = prompt->text.mem;
    sprat__buffer_end(&prompt->text);
    sprat__wipe_free(mem, prompt->segments);
    memset(prompt, 0, sizeof *prompt);
    prompt->text.mem = mem;
}
