/* The terminal and its signals: see term.h. Owns the only writable globals of the program: what a
 * signal handler must reach. */
#define _POSIX_C_SOURCE 200809L
#include "term.h"

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

static volatile sig_atomic_t signal_seen;
/* Changed only while the signals are blocked. */
static sprat_session *volatile watched_session;
static bool stdin_ended;

void term_start(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

bool term_is_terminal(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

static bool has_styles(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (no_color && no_color[0] != '\0')
        return false;
    return term && strcmp(term, "dumb") != 0 && term_is_terminal(stream);
}

/* The bytes at text that a terminal must not see: 0 if the first is harmless. */
static size_t control_bytes(const char *text, size_t len)
{
    unsigned char first = (unsigned char)text[0];
    if (first == '\n' || first == '\t')
        return 0;
    if (first < 32 || first == 127)
        return 1;
    if (first == 0xC2 && len > 1 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xA0)
        return 2;
    return 0;
}

static void write_safe(FILE *stream, const char *text, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len;) {
        size_t n_bad = control_bytes(text + i, len - i);
        if (n_bad == 0) {
            i++;
            continue;
        }
        (void)fwrite(text + from, 1, i - from, stream);
        (void)fwrite("\xEF\xBF\xBD", 1, 3, stream);
        i += n_bad;
        from = i;
    }
    (void)fwrite(text + from, 1, len - from, stream);
}

bool term_write(FILE *stream, enum term_style style, const char *text, size_t len)
{
    static const char *const codes[] = {"", "\033[2m", "\033[1;32m", "\033[31m"};
    bool styled = style != STYLE_PLAIN && has_styles(stream);
    if (styled)
        (void)fputs(codes[style], stream);
    if (term_is_terminal(stream))
        write_safe(stream, text, len);
    else if (len)
        (void)fwrite(text, 1, len, stream);
    if (styled)
        (void)fputs("\033[0m", stream);
    return fflush(stream) == 0 && !ferror(stream);
}

static void on_signal(int number)
{
    int saved = errno;
    signal_seen = number;
    sprat_session *session = watched_session;
    if (session)
        sprat_session_cancel(session, 1);
    errno = saved;
}

static void watched_set(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
}

void term_watch(sprat_session *session)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t set, old;
    watched_set(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, &old);
    watched_session = session;
    for (size_t i = 0; session && i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action;
        (void)sigaction(numbers[i], NULL, &action);
        if (action.sa_handler == SIG_IGN)
            continue; /* as nohup asks */
        memset(&action, 0, sizeof action);
        action.sa_handler = on_signal;
        (void)sigaction(numbers[i], &action, NULL);
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int term_signal(void)
{
    return signal_seen;
}

void term_clear(void)
{
    signal_seen = 0;
    if (watched_session)
        sprat_session_cancel(watched_session, 0);
}

/* Waits for input. A signal is let in only while it waits, so that none is missed in between. */
static enum term_line wait_for_input(void)
{
    sigset_t set, old;
    fd_set readable;
    watched_set(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, &old);
    enum term_line result = LINE_INTERRUPTED;
    while (!signal_seen) {
        FD_ZERO(&readable);
        FD_SET(STDIN_FILENO, &readable);
        int n = pselect(STDIN_FILENO + 1, &readable, NULL, NULL, NULL, &old);
        if (n < 0 && errno == EINTR)
            continue;
        result = n < 0 ? LINE_ERROR : LINE_READ;
        break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return result;
}

enum term_line term_read_line(struct bytes *line)
{
    static char block[4096];
    static size_t block_at, block_len;
    line->len = 0;
    for (;;) {
        const char *start = block + block_at;
        size_t len = block_len - block_at;
        const char *end = memchr(start, '\n', len);
        size_t taken = end ? (size_t)(end - start) : len;
        if (!bytes_add(line, start, taken))
            return LINE_ERROR;
        block_at += taken + (end ? 1 : 0);
        if (end)
            return LINE_READ;
        if (stdin_ended)
            return line->len > 0 ? LINE_READ : LINE_END;
        enum term_line waited = wait_for_input();
        if (waited != LINE_READ)
            return waited;
        ssize_t n = read(STDIN_FILENO, block, sizeof block);
        if (n < 0 && errno != EINTR)
            return LINE_ERROR;
        stdin_ended = n == 0;
        block_at = 0;
        block_len = n > 0 ? (size_t)n : 0;
    }
}

uint64_t term_peak_memory(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss < 0)
        return 0;
#ifdef __APPLE__
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024; /* Linux and the BSDs count in KiB */
#endif
}
