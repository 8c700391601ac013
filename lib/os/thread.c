/* Owns the calls to pthreads and the floating-point control registers. Leaves all scheduling to
 * thread/pool. WASI has no threads and no signals: none is ever started there. Invariant: the
 * host's threads keep their signal mask and, between enter and leave, get back the floating-point
 * state they came with. */
#define _GNU_SOURCE
#include "os/thread.h"

#include <errno.h>
#include <unistd.h>

#if !defined(__wasi__)
#include <signal.h>
#endif

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

void sprat__mutex_init(struct sprat__mutex *mutex)
{
    *mutex = (struct sprat__mutex){PTHREAD_MUTEX_INITIALIZER};
}

void sprat__mutex_end(struct sprat__mutex *mutex)
{
    pthread_mutex_destroy(&mutex->native);
}

void sprat__mutex_lock(struct sprat__mutex *mutex)
{
    pthread_mutex_lock(&mutex->native);
}

void sprat__mutex_unlock(struct sprat__mutex *mutex)
{
    pthread_mutex_unlock(&mutex->native);
}

void sprat__condition_init(struct sprat__condition *condition)
{
    *condition = (struct sprat__condition){PTHREAD_COND_INITIALIZER};
}

void sprat__condition_end(struct sprat__condition *condition)
{
    pthread_cond_destroy(&condition->native);
}

void sprat__condition_wait(struct sprat__condition *condition, struct sprat__mutex *mutex)
{
    pthread_cond_wait(&condition->native, &mutex->native);
}

void sprat__condition_wake_one(struct sprat__condition *condition)
{
    pthread_cond_signal(&condition->native);
}

void sprat__condition_wake_all(struct sprat__condition *condition)
{
    pthread_cond_broadcast(&condition->native);
}

#if defined(__wasi__)

bool sprat__thread_start(struct sprat__thread *thread, void *(*run)(void *argument), void *argument)
{
    (void)thread, (void)run, (void)argument;
    return false;
}

#else

bool sprat__thread_start(struct sprat__thread *thread, void *(*run)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    size_t stack_bytes = SPRAT__STACK_BYTES;
    long least = sysconf(_SC_THREAD_STACK_MIN);
    if (least > 0 && stack_bytes < (size_t)least)
        stack_bytes = (size_t)least;
    /* Where the size is refused the default stack serves; it is larger. */
    (void)pthread_attr_setstacksize(&attributes, stack_bytes);
    sigset_t all, before;
    sigfillset(&all);
    /* A new thread inherits the mask of its creator. */
    bool masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
    int status = masked ? pthread_create(&thread->native, &attributes, run, argument) : EAGAIN;
    /* A host with much thread-local data may need a larger stack than ours for it. */
    if (status == EINVAL)
        status = pthread_create(&thread->native, NULL, run, argument);
    if (masked)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return status == 0;
}

#endif

void sprat__thread_begin(void)
{
#if defined(__linux__)
    (void)pthread_setname_np(pthread_self(), "sprat");
#elif defined(__APPLE__)
    (void)pthread_setname_np("sprat");
#endif
    struct sprat__fpstate inherited;
    sprat__fpstate_enter(&inherited);
}

void sprat__thread_join(struct sprat__thread *thread)
{
    pthread_join(thread->native, NULL);
}

void sprat__thread_pause(void)
{
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#elif defined(__GNUC__)
    __asm__ __volatile__("" ::: "memory");
#endif
}

void sprat__fpstate_enter(struct sprat__fpstate *saved)
{
    saved->control = saved->status = 0;
#if defined(__SSE2__)
    saved->control = _mm_getcsr();
    _mm_setcsr(0x1f80); /* all exceptions masked, nearest, FTZ and DAZ off */
#elif defined(__aarch64__)
    uint64_t control, status;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(control));
    __asm__ __volatile__("mrs %0, fpsr" : "=r"(status));
    saved->control = control;
    saved->status = status;
    __asm__ __volatile__("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
#endif
}

void sprat__fpstate_leave(const struct sprat__fpstate *saved)
{
#if defined(__SSE2__)
    _mm_setcsr((unsigned)saved->control);
#elif defined(__aarch64__)
    __asm__ __volatile__("msr fpcr, %0" : : "r"(saved->control) : "memory");
    __asm__ __volatile__("msr fpsr, %0" : : "r"(saved->status) : "memory");
#else
    (void)saved;
#endif
}
