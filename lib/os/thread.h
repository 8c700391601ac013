/* Threads, locks and the floating-point state of a thread, as the system has them. A struct here
 * must stay where it was initialised. */
#ifndef SPRAT__THREAD_H
#define SPRAT__THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct sprat__mutex {
    pthread_mutex_t native;
};

struct sprat__condition {
    pthread_cond_t native;
};

struct sprat__thread {
    pthread_t native;
};

/* These cannot fail: the system's static initialisers take nothing from it. */
void sprat__mutex_init(struct sprat__mutex *mutex);
void sprat__mutex_end(struct sprat__mutex *mutex);
void sprat__mutex_lock(struct sprat__mutex *mutex);
void sprat__mutex_unlock(struct sprat__mutex *mutex);

void sprat__condition_init(struct sprat__condition *condition);
void sprat__condition_end(struct sprat__condition *condition);
/* Gives the mutex up while it sleeps; may also return for no reason. */
void sprat__condition_wait(struct sprat__condition *condition, struct sprat__mutex *mutex);
void sprat__condition_wake_one(struct sprat__condition *condition);
void sprat__condition_wake_all(struct sprat__condition *condition);

/* Starts a thread that runs run(argument) with every signal blocked, so that the host's handlers
 * never run on it, and a stack of SPRAT__STACK_BYTES. false: the system refused. Every thread that
 * was started is joined. */
enum { SPRAT__STACK_BYTES = 256 * 1024 };
typedef bool sprat__thread_starter(struct sprat__thread *thread, void *(*run)(void *argument),
                                   void *argument);
sprat__thread_starter sprat__thread_start;
/* The first call of every run: names the thread where debuggers show it and sets its floating-point
 * state, which is inherited from the host. */
void sprat__thread_begin(void);
void sprat__thread_join(struct sprat__thread *thread);

/* Tells the processor that this is a loop waiting for memory to change. */
void sprat__thread_pause(void);

/* The calling thread's floating-point control and status, where the platform has any that C code
 * feels: x86 with SSE2 and AArch64. */
struct sprat__fpstate {
    uint64_t control, status;
};

/* Saves the state, then sets the one all our arithmetic is written for: round to nearest even,
 * subnormals kept, nothing traps. */
void sprat__fpstate_enter(struct sprat__fpstate *saved);
/* Puts a saved state back, exception flags included. */
void sprat__fpstate_leave(const struct sprat__fpstate *saved);

#endif
