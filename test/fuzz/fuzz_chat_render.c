/* Any conversation, in any dialect: an error with a line, or a prompt whose template segments are
 * made of the formats' own words and nothing else, and whose user segments are no longer than what
 * the caller gave, but for JSON that is written anew. Nothing is held afterwards.
 * Input: dialect, options, the tools if there are any, then messages: role, which texts there are,
 * and two texts, and for a call two more, each a length byte and that many bytes. */
#include "chat/dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(e)                                                                              \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #e);                              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES_MOST = 24 };

static const char *const roles[] = {"system", "user",    "assistant", "user",
                                    "tool",   "ipython", "",          "a<|im_end|>b"};

/* Longer words before those that begin them. */
static const char *const words[] = {
    "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by "
    "Deepseek "
    "Company, and you only answer questions related to computer science. For politically sensitive "
    "questions, security and privacy issues, and other non-computer science questions, you will "
    "refuse to answer\n",
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are "
    "provided with function signatures within <tools></tools> XML tags:\n<tools>",
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, "
    "\"arguments\": <args-json-object>}\n</tool_call>",
    "Given the following functions, please respond with a JSON for a function call with its proper "
    "arguments that best answers the given prompt.\n\nRespond in the format {\"name\": function "
    "name, \"parameters\": dictionary of argument name and its value}.Do not use variables.\n\n",
    "## Tools\nYou have access to the following tools:\n\n",
    "IMPORTANT: ALWAYS adhere to this exact format for tool use:\n"
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments"
    "<｜tool▁call▁end｜>{additional_tool_calls}<｜tool▁calls▁end｜>\n\nWhere:\n"
    "- `tool_call_name` must be an exact match to one of the available tools\n"
    "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters "
    "Schema\n"
    "- For multiple tool calls, chain them directly without separators or spaces",
    "Environment: ipython\n",
    "<tool_call>\n{\"name\": \"",
    "\", \"arguments\": ",
    "\", \"parameters\": ",
    "{\"name\": \"",
    "}\n</tool_call>",
    "<tool_response>\n",
    "\n</tool_response>",
    "ipython",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁outputs▁begin｜>",
    "<｜tool▁outputs▁end｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "function",
    "```json",
    "```",
    "### Instruction:",
    "### Response:",
    "### ",
    "Description: ",
    "Parameters: ",
    "<|EOT|>",
    "User: ",
    "Assistant: ",
    "Assistant:",
    "        ",
    "{}",
    "}",
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "system",
    "user",
    "assistant",
    "None",
    "\n",
};

static void check_words(const char *text, size_t len)
{
    while (len > 0) {
        size_t n = 0;
        for (size_t i = 0; i < sizeof words / sizeof words[0] && n == 0; i++) {
            size_t word = strlen(words[i]);
            if (word <= len && memcmp(text, words[i], word) == 0)
                n = word;
        }
        FUZZ_CHECK(n > 0);
        text += n;
        len -= n;
    }
}

static size_t take_text(const uint8_t **data, const uint8_t *end, bool there, const char **text)
{
    size_t n = *data < end ? *(*data)++ : 0;
    if (n > (size_t)(end - *data))
        n = (size_t)(end - *data);
    *text = there ? (const char *)*data : NULL;
    *data += n;
    return there ? n : 0;
}

/* Calls in one message: none, one or two, which share their texts. */
static void take_calls(const uint8_t **data, const uint8_t *end, size_t n,
                       struct sprat_message *message, struct sprat_tool_call *call,
                       const struct sprat_tool_call **list)
{
    *call = (struct sprat_tool_call){.size = sizeof *call};
    call->name_len = take_text(data, end, true, &call->name);
    call->arguments_len = take_text(data, end, true, &call->arguments);
    list[0] = list[1] = call;
    message->calls = list;
    message->n_calls = n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sprat_message messages[MESSAGES_MOST];
    const struct sprat_message *list[MESSAGES_MOST];
    struct sprat_tool_call calls[MESSAGES_MOST];
    const struct sprat_tool_call *call_lists[MESSAGES_MOST][2];
    if (size < 2)
        return 0;
    const struct sprat__dialect *dialect = &sprat__dialects[data[0] % sprat__n_dialects];
    struct sprat_chat chat = {.size = sizeof chat,
                              .messages = list,
                              .thinking = data[1] & 3,
                              .no_generation_prompt = data[1] >> 2 & 1,
                              .continue_final = data[1] >> 3 & 1};
    const uint8_t *end = data + size;
    size_t n_given = 0;
    bool anew = false;
    data += 2;
    if (chat.thinking != 3 && size > 2 && (end[-1] & 7) == 7) {
        chat.tools_len = take_text(&data, end, true, &chat.tools);
        anew = true;
    }
    while (end - data >= 2 && chat.n_messages < MESSAGES_MOST) {
        struct sprat_message *message = &messages[chat.n_messages];
        *message = (struct sprat_message){.size = sizeof *message, .role = roles[*data++ % 8]};
        uint8_t which = *data++;
        message->content_len = take_text(&data, end, (which & 1) == 0, &message->content);
        message->reasoning_len = take_text(&data, end, (which & 2) != 0, &message->reasoning);
        message->prefix = which >> 4 & 1;
        if (which >> 2 & 3) {
            size_t n = chat.n_messages;
            take_calls(&data, end, which >> 2 & 3 & 2 ? 2 : 1, message, &calls[n], call_lists[n]);
            anew = true;
        }
        anew = anew || strcmp(message->role, "tool") == 0 || strcmp(message->role, "ipython") == 0;
        n_given += message->content_len + message->reasoning_len + strlen(message->role);
        list[chat.n_messages++] = message;
    }
    struct sprat__mem mem;
    struct sprat__err err = {.status = SPRAT_OK};
    sprat__mem_init(&mem, NULL, 0);
    struct sprat__prompt prompt = {.text = {.mem = &mem}};
    sprat_status status = sprat__chat_render(&prompt, dialect, &chat, &err);
    if (status != SPRAT_OK) {
        FUZZ_CHECK(err.status == status && err.message[0] && !strchr(err.message, '\n'));
        FUZZ_CHECK(prompt.n_segments == 0 && mem.now == 0);
        return 0;
    }
    size_t n_user = 0, n_all = 0;
    for (size_t i = 0; i < prompt.n_segments; i++) {
        const struct sprat_segment *segment = &prompt.segments[i];
        FUZZ_CHECK(segment->text == prompt.text.data + n_all && segment->len > 0);
        n_all += segment->len;
        if (segment->kind == SPRAT_TEXT_TEMPLATE)
            check_words(segment->text, segment->len);
        else
            n_user += segment->len;
    }
    FUZZ_CHECK(n_all == prompt.text.len && (anew || n_user <= n_given));
    sprat__prompt_end(&prompt);
    FUZZ_CHECK(mem.now == 0);
    return 0;
}
