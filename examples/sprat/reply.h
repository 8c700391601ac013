/* One answer of a session, shown as it comes; and how the program chooses tokens if not told. */
#ifndef SPRAT_PROGRAM_REPLY_H
#define SPRAT_PROGRAM_REPLY_H

#include "program.h"

struct reply {
    struct bytes content, reasoning;
    struct bytes call; /* the open or the last call of a tool, as it is shown */
    bool after_call;   /* a call was shown, and no text since */
    uint64_t n_prompt, n_reused, n_generated;
    double first_seconds; /* until the first text */
    double decode_rate;   /* tokens a second after the prompt; 0: not known */
    double prefill_rate;
    int32_t reason; /* SPRAT_DONE_*; 0: cut off */
    double started; /* what reply_begin saw */
    sprat_session_stats before;
};

enum reply_end { REPLY_DONE, REPLY_CANCELLED, REPLY_FAILED };

/* Sets the session's sampling: the options, else the model's own advice (general.sampling.*), else
 * that of its dialect's makers. dialect: NULL if unknown. 0, or 1 after fail. */
int reply_sampling(const struct loaded *l, const struct options *o, const char *dialect);

/* Starts the clock, before the prompt is handed over. a: anything; reply_end gives it back. */
void reply_begin(struct reply *a, const struct loaded *l);

/* Shows the answer to what the session holds, and ends it with a newline if it has none: text on
 * stdout, calls of tools each as a line of JSON, reasoning dimmed on stderr unless quiet.
 * REPLY_FAILED: fail was called. */
enum reply_end reply_show(struct reply *a, struct loaded *l, bool quiet);

/* "42 tokens, first after 0.21 s, then 35.2 tok/s; memory 130 MiB, 35 MiB of it allocated". out:
 * at least 200 bytes. Gives out. */
const char *reply_stats(char *out, const struct reply *a, const struct loaded *l);

/* Why the answer is shorter than the model wanted: "" if it is not. */
const char *reply_cut(const struct reply *a);

void reply_end(struct reply *a);

#endif
