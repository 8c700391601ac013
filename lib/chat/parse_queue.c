/* Owns the events that the parser has found and the host has not yet taken. What they are is left
 * to the parser. Invariants: texts are joined, so that the events do not depend on how the answer
 * was cut; what was taken is never changed. */
#include "chat/parse.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

static bool queue_joins(int32_t type)
{
    return type == SPRAT_EVENT_TEXT || type == SPRAT_EVENT_REASONING ||
           type == SPRAT_EVENT_ARGUMENTS;
}

sprat_status sprat__parse_say(struct sprat__parse_queue *queue, int32_t type, int32_t reason,
                              struct sprat__span text, struct sprat__err *err)
{
    bool joins = queue_joins(type);
    if (joins && text.len == 0)
        return SPRAT_OK;
    if (joins && queue->n > queue->first && queue->records[queue->n - 1].type == type) {
        SPRAT_TRY(sprat__buffer_add(&queue->text, text.text, text.len, err));
        queue->records[queue->n - 1].len += text.len;
        return SPRAT_OK;
    }
    void *records = queue->records;
    SPRAT_TRY(sprat__grow(queue->text.mem, &records, queue->n, &queue->capacity, queue->n + 1,
                          sizeof *queue->records, SPRAT_PURPOSE_TEXT, err));
    queue->records = records;
    SPRAT_TRY(sprat__buffer_add(&queue->text, text.text, text.len, err));
    queue->records[queue->n++] = (struct sprat__parse_record){text.len, type, reason};
    return SPRAT_OK;
}

struct sprat__parse_mark sprat__parse_mark(const struct sprat__parse_queue *queue)
{
    return (struct sprat__parse_mark){queue->n, queue->n > 0 ? queue->records[queue->n - 1].len : 0,
                                      queue->text.len};
}

void sprat__parse_unsay(struct sprat__parse_queue *queue, struct sprat__parse_mark mark)
{
    queue->n = mark.n;
    queue->text.len = mark.text_len;
    if (queue->n > 0)
        queue->records[queue->n - 1].len = mark.last_len;
}

bool sprat__parse_take(struct sprat__parse_queue *queue, bool more, struct sprat_event *event)
{
    if (queue->first == queue->n)
        return false;
    struct sprat__parse_record *record = &queue->records[queue->first];
    const char *text = queue->text.len > 0 ? queue->text.data + queue->n_taken : "";
    size_t n = record->len;
    if (more && queue_joins(record->type) && queue->first + 1 == queue->n && n > 0)
        n -= sprat__utf8_open(text, n);
    if (n == 0 && record->len > 0)
        return false;
    event->type = record->type;
    event->reason = record->reason;
    event->text = text;
    event->text_len = n;
    record->len -= n;
    queue->n_taken += n;
    queue->first += record->len == 0;
    return true;
}

void sprat__parse_drop(struct sprat__parse_queue *queue)
{
    size_t rest = queue->text.len - queue->n_taken, n = queue->n - queue->first;
    if (queue->n_taken == 0 && queue->first == 0)
        return;
    if (rest > 0)
        memmove(queue->text.data, queue->text.data + queue->n_taken, rest);
    if (n > 0)
        memmove(queue->records, queue->records + queue->first, n * sizeof *queue->records);
    queue->text.len = rest;
    queue->n = n;
    queue->n_taken = queue->first = 0;
}

void sprat__parse_queue_end(struct sprat__parse_queue *queue)
{
    struct sprat__mem *mem = queue->text.mem;
    sprat__buffer_end(&queue->text);
    sprat__wipe_free(mem, queue->records);
    *queue = (struct sprat__parse_queue){.text.mem = mem};
}
