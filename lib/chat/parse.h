/* Inside the chat module: the answer's parser in its parts. parse_answer.c owns reasoning, content
 * and the tags between them; parse_call.c what stands inside a block of calls; parse_queue.c the
 * events until the host takes them. */
#ifndef SPRAT__PARSE_H
#define SPRAT__PARSE_H

#include "chat/dialect.h"
#include "chat/json_check.h"

/* ---- events that wait ---- */

/* Text that has a length of its own, and what it is. */
struct sprat__parse_record {
    size_t len;
    int32_t type, reason; /* WARNING: enum sprat__parse_warning */
};

struct sprat__parse_queue {
    struct sprat__buffer text; /* of all records, in order */
    size_t n_taken;            /* bytes of it that belong to records taken */
    struct sprat__parse_record *records;
    size_t n, capacity, first; /* those before first are taken */
};

/* Where a queue's end was. */
struct sprat__parse_mark {
    size_t n, last_len, text_len;
};

/* Adds text; to the last record where it is of the same type and comes in pieces. */
sprat_status sprat__parse_say(struct sprat__parse_queue *queue, int32_t type, int32_t reason,
                              struct sprat__span text, struct sprat__err *err);
struct sprat__parse_mark sprat__parse_mark(const struct sprat__parse_queue *queue);
/* Takes back what was said since the mark; nothing was taken in between. */
void sprat__parse_unsay(struct sprat__parse_queue *queue, struct sprat__parse_mark mark);
/* The first record; more: text may still be added to the last, whose unfinished character waits. */
bool sprat__parse_take(struct sprat__parse_queue *queue, bool more, struct sprat_event *event);
/* Drops what was taken. Its cost is bounded by what was said since the last call, and what waits.
 */
void sprat__parse_drop(struct sprat__parse_queue *queue);
void sprat__parse_queue_end(struct sprat__parse_queue *queue);

/* ---- the parser ---- */

enum { SPRAT__PARSE_TAG_MAX = 40 };

/* What a tag means. Tags of all meanings are text where they change nothing. */
enum sprat__parse_meaning {
    SPRAT__TAG_THINK,
    SPRAT__TAG_THINK_END,
    SPRAT__TAG_CALLS,     /* a block of calls begins */
    SPRAT__TAG_CALLS_END, /* and ends */
    SPRAT__TAG_CALL,      /* inside: one call begins */
    SPRAT__TAG_NAME,      /* its name follows (fenced), or its arguments (tokens) */
    SPRAT__TAG_CALL_END,
    SPRAT__TAG_STRAY /* belongs to tools and never has a place of its own */
};

struct sprat__parse_tag {
    const char *text;
    enum sprat__parse_meaning meaning;
};

enum sprat__parse_warning {
    SPRAT__WARN_UNCLOSED,
    SPRAT__WARN_CALL_IN_REASONING,
    SPRAT__WARN_STRAY_THINK,
    SPRAT__WARN_BAD_CALL,
    SPRAT__WARN_CUT_CALL,
    SPRAT__WARN_STRAY_CONTROL,
    SPRAT__WARN_PYTHON_TAG,
    SPRAT__WARN_BROKEN_JSON,
    SPRAT__WARN_TEXT_AFTER_CALLS,
    SPRAT__WARN_SECOND_BLOCK,
    SPRAT__N_WARNINGS
};

enum sprat__parse_section {
    SPRAT__IN_START,
    SPRAT__IN_REASONING,
    SPRAT__IN_CONTENT,
    SPRAT__IN_BLOCK /* of calls */
};

/* Inside a block. TAGGED has JSON alone. */
enum sprat__parse_place {
    SPRAT__AT_BETWEEN, /* calls */
    SPRAT__AT_JUNK,    /* what can be no call, up to the next tag */
    SPRAT__AT_TYPE,    /* FENCED: before the name */
    SPRAT__AT_NAME,
    SPRAT__AT_ARGUMENTS,
    SPRAT__AT_TAGGED
};

/* A JSON text that is being read. */
enum sprat__parse_json {
    SPRAT__JSON_OFF, /* BARE: the answer is no call */
    SPRAT__JSON_LEAD,
    SPRAT__JSON_INSIDE,
    SPRAT__JSON_TAIL,
    SPRAT__JSON_BROKEN
};

/* All that a failed feed must put back. */
struct sprat__parse_state {
    enum sprat__parse_section section;
    bool reasoning;   /* what follows START is reasoning */
    bool skip_lines;  /* newlines at the start of the section belong to the format */
    bool finished;    /* the last text was fed */
    bool after_block; /* white space since the last block is held, not given */
    bool any_block;
    bool python_tag; /* BARE: it came */
    size_t newlines; /* of the end of the reasoning so far, not yet given out */
    size_t
        n_space; /* START: bytes held that are white space; BARE: bytes held that were looked at */
    uint32_t warned;                /* one bit an enum sprat__parse_warning */
    size_t n_tag;                   /* bytes in tag */
    char tag[SPRAT__PARSE_TAG_MAX]; /* the text's end, while it may be the beginning of a tag */
    size_t held_from;               /* what is held begins here in held */
    size_t n_space_part;
    char space_part[3]; /* the beginning of a white-space character */

    enum sprat__parse_place place;
    bool begun;         /* a CALL was said, its CALL_END not */
    size_t n_fence;     /* NAME: bytes of the fence matched */
    uint8_t n_ticks;    /* ARGUMENTS: backticks at the end so far, white space aside; at most 3 */
    bool ticks_shut;    /* white space followed them */
    bool rereads;       /* the block's end was seen inside the call, which may not be one; */
    size_t reread;      /* from here, counted from held_from, it would be read anew */
    size_t n_arguments; /* TAGGED: bytes of the arguments held until the name is known */
    bool has_arguments;

    enum sprat__parse_json json;
    struct sprat__json_check check;
};

struct sprat__parser {
    struct sprat__mem *mem;
    const struct sprat__dialect *dialect;
    const struct sprat__parse_tag *tags[2]; /* outside blocks */
    const struct sprat__parse_tag *block_tags;
    const char *start_tag; /* may stand at the start, after white space; NULL if none may */
    struct sprat__parse_state state;
    struct sprat__buffer
        held; /* START; a name; a block's possible end; a JSON answer; white space */
    struct sprat__parse_queue queue;
    bool given_done;
};

/* Each warning is said once. */
sprat_status sprat__parse_warn(struct sprat__parser *parser, enum sprat__parse_warning warning,
                               struct sprat__err *err);
/* Notes whether a byte, with those in space_part, is white space; false once they are not. */
bool sprat__parse_space(struct sprat__parse_state *state, char byte);
/* What is held, and forgetting it; held grows at its end alone while a feed lasts. */
struct sprat__span sprat__parse_held(const struct sprat__parser *parser);
void sprat__parse_forget(struct sprat__parser *parser);
sprat_status sprat__parse_hold(struct sprat__parser *parser, struct sprat__span text,
                               struct sprat__err *err);
/* Text outside START, whatever section it is in; may be called for a block's text read anew. */
sprat_status sprat__parse_text(struct sprat__parser *parser, struct sprat__span text,
                               struct sprat__err *err);
/* The same, for text that holds no tag. */
sprat_status sprat__parse_plain(struct sprat__parser *parser, struct sprat__span text,
                                struct sprat__err *err);
/* The block is over; content follows. */
void sprat__parse_leave_block(struct sprat__parser *parser);

/* ---- blocks of calls ---- */

void sprat__call_enter(struct sprat__parser *parser);
sprat_status sprat__call_text(struct sprat__parser *parser, struct sprat__span text,
                              struct sprat__err *err);
sprat_status sprat__call_tag(struct sprat__parser *parser, const struct sprat__parse_tag *tag,
                             struct sprat__err *err);
/* The answer ends inside the block. A tag that has only begun is handed over as text before, but
 * for TAGGED, where it can only be the end's. */
sprat_status sprat__call_end(struct sprat__parser *parser, struct sprat__err *err);

/* Says that a call begins, whose name is a JSON string; that the open call, if there is one, is
 * over. */
sprat_status sprat__parse_call(struct sprat__parser *parser, struct sprat__span string,
                               struct sprat__err *err);
sprat_status sprat__parse_call_over(struct sprat__parser *parser, int32_t reason,
                                    struct sprat__err *err);

/* ---- parse_bare.c ---- */

/* BARE: text of the answer, while it may be one call: held, or given as content. */
sprat_status sprat__bare_text(struct sprat__parser *parser, struct sprat__span text,
                              struct sprat__err *err);
sprat_status sprat__bare_end(struct sprat__parser *parser, struct sprat__err *err);

#endif
