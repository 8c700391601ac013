/* Owns how a prompt is put together from template text and the caller's text, and the few text
 * operations templates ask for, with Python's meaning. What is written is left to the renderers.
 * Invariant: a caller's byte never lies in a template segment. */
#include "chat/json_text.h"

#include <string.h>

static void write_bytes(struct sprat__writer *writer, const char *text, size_t len, uint32_t kind)
{
    struct sprat__prompt *prompt = writer->prompt;
    if (writer->status != SPRAT_OK || len == 0)
        return;
    size_t n = prompt->n_segments;
    bool same = n > 0 && prompt->segments[n - 1].kind == kind;
    if (!same) {
        void *segments = prompt->segments;
        writer->status = sprat__grow(prompt->text.mem, &segments, n, &prompt->capacity, n + 1,
                                     sizeof *prompt->segments, SPRAT_PURPOSE_TEXT, writer->err);
        if (writer->status != SPRAT_OK)
            return;
        prompt->segments = segments;
    }
    writer->status = sprat__buffer_add(&prompt->text, text, len, writer->err);
    if (writer->status != SPRAT_OK)
        return;
    if (same) {
        prompt->segments[n - 1].len += len;
    } else {
        prompt->segments[n] = (struct sprat_segment){.len = len, .kind = kind};
        prompt->n_segments = n + 1;
    }
}

void sprat__write_template(struct sprat__writer *writer, const char *text)
{
    write_bytes(writer, text, strlen(text), SPRAT_TEXT_TEMPLATE);
}

void sprat__write_user(struct sprat__writer *writer, struct sprat__span text)
{
    write_bytes(writer, text.text, text.len, SPRAT_TEXT_USER);
}

void sprat__write_role(struct sprat__writer *writer, const char *role)
{
    static const char *const common[] = {"system", "user", "assistant"};
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        if (strcmp(role, common[i]) == 0) {
            sprat__write_template(writer, common[i]);
            return;
        }
    }
    sprat__write_user(writer, (struct sprat__span){role, strlen(role)});
}

void sprat__write_refuse(struct sprat__writer *writer, sprat_status status,
                         const struct sprat_chat *chat, size_t i, const char *why)
{
    char role[32];
    if (writer->status != SPRAT_OK)
        return;
    const char *name = chat->messages[i]->role;
    writer->status = sprat__fail(writer->err, status, "messages[%zu] (%s) %s", i,
                                 sprat__quote(role, sizeof role, name, strlen(name)), why);
}

bool sprat__write_need_content(struct sprat__writer *writer, const struct sprat_chat *chat,
                               const char *const *roles)
{
    for (size_t i = 0; i < chat->n_messages; i++) {
        const struct sprat_message *message = chat->messages[i];
        bool matters = !roles;
        for (const char *const *role = roles; role && *role && !matters; role++)
            matters = sprat__message_is(message, *role);
        if (matters && !message->content && message->n_calls == 0) {
            sprat__write_refuse(writer, SPRAT_BAD_TEXT, chat, i,
                                "has no content; an empty text is \"\" with length 0");
            return false;
        }
    }
    return true;
}

void sprat__write_systems(struct sprat__writer *writer, const struct sprat__dialect *dialect,
                          const struct sprat_chat *chat)
{
    bool any = false;
    size_t i = 0;
    for (size_t k = chat->n_messages; dialect->last_system && k > 0 && i == 0; k--)
        if (sprat__message_is(chat->messages[k - 1], "system"))
            i = k - 1;
    for (; i < chat->n_messages; i++) {
        if (!sprat__message_is(chat->messages[i], "system"))
            continue;
        sprat__write_template(writer, any ? "\n\n" : "");
        sprat__write_user(writer, sprat__message_content(chat->messages[i]));
        any = true;
    }
}

void sprat__write_arguments_anew(struct sprat__writer *writer, const struct sprat_chat *chat,
                                 size_t i, const struct sprat_tool_call *call)
{
    struct sprat__span value;
    if (sprat__json_whole(sprat__call_arguments(call), &value))
        sprat__write_json(writer, value, false);
    else
        sprat__write_refuse(writer, SPRAT_BAD_TEXT, chat, i,
                            "calls a tool with arguments that are no JSON");
}

bool sprat__span_begins(struct sprat__span span, const char *text)
{
    size_t n = strlen(text);
    return span.len >= n && memcmp(span.text, text, n) == 0;
}

bool sprat__span_ends(struct sprat__span span, const char *text)
{
    size_t n = strlen(text);
    return span.len >= n && memcmp(span.text + span.len - n, text, n) == 0;
}

size_t sprat__span_find(struct sprat__span span, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; span.len >= n && i <= span.len - n; i++)
        if (span.text[i] == text[0] && memcmp(span.text + i, text, n) == 0)
            return i;
    return SIZE_MAX;
}

size_t sprat__span_find_last(struct sprat__span span, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = span.len >= n ? span.len - n + 1 : 0; i > 0; i--)
        if (span.text[i - 1] == text[0] && memcmp(span.text + i - 1, text, n) == 0)
            return i - 1;
    return SIZE_MAX;
}

struct sprat__span sprat__span_after(struct sprat__span span, size_t n)
{
    return (struct sprat__span){span.text + n, span.len - n};
}

struct sprat__span sprat__span_first(struct sprat__span span, size_t n)
{
    return (struct sprat__span){span.text, n};
}

int sprat__space_at(const char *text, size_t len)
{
    if (len == 0)
        return -1;
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return (p[0] >= 0x09 && p[0] <= 0x0d) || (p[0] >= 0x1c && p[0] <= 0x20);
    if (p[0] == 0xc2) /* U+0085, U+00A0 */
        return len < 2 ? -1 : p[1] == 0x85 || p[1] == 0xa0 ? 2 : 0;
    if (p[0] < 0xe1 || p[0] > 0xe3)
        return 0;
    if (len < 2)
        return -1;
    if (p[0] == 0xe1 && p[1] == 0x9a) /* U+1680 */
        return len < 3 ? -1 : p[2] == 0x80 ? 3 : 0;
    if (p[0] == 0xe2 && p[1] == 0x80) /* U+2000 … U+200A, U+2028, U+2029, U+202F */
        return len < 3                                                                          ? -1
               : (p[2] >= 0x80 && p[2] <= 0x8a) || p[2] == 0xa8 || p[2] == 0xa9 || p[2] == 0xaf ? 3
                                                                                                : 0;
    if (p[0] == 0xe2 && p[1] == 0x81) /* U+205F */
        return len < 3 ? -1 : p[2] == 0x9f ? 3 : 0;
    if (p[0] == 0xe3 && p[1] == 0x80) /* U+3000 */
        return len < 3 ? -1 : p[2] == 0x80 ? 3 : 0;
    return 0;
}

struct sprat__span sprat__span_trim(struct sprat__span span)
{
    for (int n; span.len > 0 && (n = sprat__space_at(span.text, span.len)) > 0;)
        span = sprat__span_after(span, (size_t)n);
    while (span.len > 0) {
        size_t n = 1;
        while (n <= 3 && n <= span.len && sprat__space_at(span.text + span.len - n, n) != (int)n)
            n++;
        if (n > 3 || n > span.len)
            break;
        span.len -= n;
    }
    return span;
}

struct sprat__span sprat__span_trim_newlines_left(struct sprat__span span)
{
    while (span.len > 0 && span.text[0] == '\n')
        span = sprat__span_after(span, 1);
    return span;
}

struct sprat__span sprat__span_trim_newlines_right(struct sprat__span span)
{
    while (span.len > 0 && span.text[span.len - 1] == '\n')
        span.len--;
    return span;
}

struct sprat__span sprat__message_content(const struct sprat_message *message)
{
    return (struct sprat__span){message->content ? message->content : "", message->content_len};
}

struct sprat__span sprat__message_reasoning(const struct sprat_message *message)
{
    return (struct sprat__span){message->reasoning ? message->reasoning : "",
                                message->reasoning_len};
}

bool sprat__message_is(const struct sprat_message *message, const char *role)
{
    return strcmp(message->role, role) == 0;
}

struct sprat__span sprat__call_name(const struct sprat_tool_call *call)
{
    return (struct sprat__span){call->name ? call->name : "", call->name_len};
}

struct sprat__span sprat__call_arguments(const struct sprat_tool_call *call)
{
    return (struct sprat__span){call->arguments ? call->arguments : "", call->arguments_len};
}

struct sprat__span sprat__chat_tools(const struct sprat_chat *chat)
{
    return (struct sprat__span){chat->tools ? chat->tools : "", chat->tools_len};
}

bool sprat__chat_is(const struct sprat_chat *chat, size_t i, const char *role)
{
    return i < chat->n_messages && sprat__message_is(chat->messages[i], role);
}
