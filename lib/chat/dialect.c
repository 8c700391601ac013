/* Owns the list of dialects and the checks that hold for all of them. How each writes is left to
 * the renderers, how a template is recognised to template.c, how answers are read to
 * parse_answer.c. */
#include "chat/json_text.h"

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
     .declares_tools = true,
     .tools = SPRAT__TOOLS_TAGGED},
    {.name = "qwen3",
     .render = sprat__render_qwen3,
     .needs_message = true,
     .can_think = true,
     .can_skip_thinking = true,
     .reasoning = true,
     .declares_tools = true,
     .tools = SPRAT__TOOLS_TAGGED},
    {.name = "llama3", .render = sprat__render_llama3, .can_skip_thinking = true},
    {.name = "llama3.1",
     .render = sprat__render_llama3,
     .system = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
     .needs_message = true,
     .can_skip_thinking = true,
     .declares_tools = true,
     .tools = SPRAT__TOOLS_BARE},
    {.name = "r1-distill-qwen",
     .render = sprat__render_r1,
     .can_think = true,
     .opens_reasoning = true,
     .last_system = true,
     .cuts_reasoning = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-distill-qwen-0125",
     .render = sprat__render_r1,
     .can_think = true,
     .last_system = true,
     .cuts_reasoning = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-distill-llama",
     .render = sprat__render_r1,
     .can_think = true,
     .opens_reasoning = true,
     .last_system = true,
     .cuts_reasoning = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-distill-llama-0125",
     .render = sprat__render_r1,
     .can_think = true,
     .last_system = true,
     .cuts_reasoning = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "r1-0528",
     .render = sprat__render_r1_0528,
     .can_think = true,
     .cuts_reasoning = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "deepseek-v2", .render = sprat__render_v2, .can_skip_thinking = true},
    {.name = "deepseek-coder",
     .render = sprat__render_coder,
     .system =
         "You are an AI programming assistant, utilizing the Deepseek Coder model, developed "
         "by Deepseek Company, and you only answer questions related to computer science. For "
         "politically sensitive questions, security and privacy issues, and other "
         "non-computer science questions, you will refuse to answer\n",
     .can_skip_thinking = true},
    {.name = "deepseek-v2.5",
     .render = sprat__render_r1,
     .can_skip_thinking = true,
     .system_lead = "        ",
     .last_system = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "deepseek-v3",
     .render = sprat__render_r1,
     .can_skip_thinking = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "deepseek-v3-0324",
     .render = sprat__render_r1_0528,
     .can_skip_thinking = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "deepseek-r1",
     .render = sprat__render_r1,
     .can_think = true,
     .opens_reasoning = true,
     .cuts_reasoning = true,
     .tight_results = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "deepseek-r1-0125",
     .render = sprat__render_r1,
     .can_think = true,
     .cuts_reasoning = true,
     .tight_results = true,
     .reasoning = true,
     .tools = SPRAT__TOOLS_FENCED},
    {.name = "deepseek-v3.1",
     .render = sprat__render_v31,
     .can_think = true,
     .can_skip_thinking = true,
     .reasoning = true,
     .exact_reasoning = true,
     .declares_tools = true,
     .tools = SPRAT__TOOLS_TOKENS},
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

static sprat_status dialect_check_calls(const struct sprat_message *message, size_t i,
                                        struct sprat__err *err)
{
    if (message->n_calls > 0 && !message->calls)
        return sprat__fail(err, SPRAT_INVALID, "messages[%zu].calls is NULL, n_calls is %zu", i,
                           message->n_calls);
    if (message->n_calls > 0 && strcmp(message->role, "assistant") != 0)
        return sprat__fail(err, SPRAT_INVALID,
                           "messages[%zu] has calls, which only an assistant's may have", i);
    for (size_t k = 0; k < message->n_calls; k++) {
        const struct sprat_tool_call *call = message->calls[k];
        if (!call || (!call->name && call->name_len > 0) ||
            (!call->arguments && call->arguments_len > 0))
            return sprat__fail(err, SPRAT_INVALID, "messages[%zu].calls[%zu]%s is NULL", i, k,
                               call ? ": a text with a length" : "");
    }
    return SPRAT_OK;
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
        if (message->prefix > 1)
            return sprat__fail(err, SPRAT_INVALID, "messages[%zu].prefix is %u, expected 0 or 1", i,
                               (unsigned)message->prefix);
        SPRAT_TRY(dialect_check_calls(message, i, err));
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
    const struct sprat_message *last =
        chat->n_messages > 0 ? chat->messages[chat->n_messages - 1] : NULL;
    if (chat->continue_final && (!last || !sprat__message_is(last, "assistant")))
        return sprat__fail(err, SPRAT_INVALID,
                           "chat.continue_final: the last message is not the assistant's");
    if (chat->continue_final && last->n_calls > 0)
        return sprat__fail(err, SPRAT_INVALID,
                           "chat.continue_final: the last message ends with a call of a tool");
    return SPRAT_OK;
}

/* Tools and calls, where the dialect has a place for them. An empty list of tools becomes none. */
static sprat_status dialect_check_tools(const struct sprat__dialect *dialect,
                                        struct sprat_chat *chat, struct sprat__err *err)
{
    struct sprat__span value, rest, tool;
    size_t n = 0;
    for (size_t i = 0; i < chat->n_messages && dialect->tools == SPRAT__TOOLS_NONE; i++)
        if (chat->messages[i]->n_calls > 0)
            return sprat__fail(err, SPRAT_UNSUPPORTED,
                               "messages[%zu] calls a tool; dialect %s knows no tools", i,
                               dialect->name);
    if (chat->tools_len == 0)
        return SPRAT_OK;
    if (!chat->tools)
        return sprat__fail(err, SPRAT_INVALID, "chat.tools is NULL, tools_len is %zu",
                           chat->tools_len);
    if (!sprat__json_whole(sprat__chat_tools(chat), &value) || value.text[0] != '[')
        return sprat__fail(err, SPRAT_BAD_TEXT, "chat.tools: expected a JSON array");
    for (rest = value; sprat__json_item(&rest, &tool); n++)
        if (tool.text[0] != '{')
            return sprat__fail(err, SPRAT_BAD_TEXT, "chat.tools[%zu]: expected a JSON object", n);
    if (n > 0 && !dialect->declares_tools)
        return sprat__fail(err, SPRAT_UNSUPPORTED,
                           dialect->tools == SPRAT__TOOLS_NONE
                               ? "dialect %s knows no tools"
                               : "prompts of dialect %s have no place for tools: describe them in "
                                 "a system message; their calls are read",
                           dialect->name);
    chat->tools = n > 0 ? value.text : NULL;
    chat->tools_len = n > 0 ? value.len : 0;
    return SPRAT_OK;
}

sprat_status sprat__chat_render(struct sprat__prompt *prompt, const struct sprat__dialect *dialect,
                                const struct sprat_chat *chat, struct sprat__err *err)
{
    struct sprat_chat checked = *chat;
    SPRAT_TRY(dialect_check_messages(chat, err));
    SPRAT_TRY(dialect_check_options(dialect, chat, err));
    SPRAT_TRY(dialect_check_tools(dialect, &checked, err));
    if (chat->n_messages == 0 && dialect->needs_message)
        return sprat__fail(err, SPRAT_BAD_TEXT, "dialect %s needs at least one message",
                           dialect->name);
    struct sprat__writer writer = {.prompt = prompt, .err = err, .status = SPRAT_OK};
    dialect->render(&writer, dialect, &checked);
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
