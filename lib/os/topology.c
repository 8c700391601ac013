/* Owns the count of usable processors. Leaves instruction sets to os/cpu. Invariant: whatever the
 * system's files hold, the answer is between 1 and 256, and what cannot be read limits nothing.
 * Control groups: Linux Documentation/admin-guide/cgroup-v2.rst (cpu.max) and
 * scheduler/sched-bwc.rst (cpu.cfs_quota_us); capacities: cpu/cpu-capacity.rst. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "os/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#endif

enum {
    TOPOLOGY_MOST_CORES = 256,
    TOPOLOGY_MOST_PROCESSORS = 1024,
    TOPOLOGY_PATH_BYTES = 1024,
    TOPOLOGY_FILE_BYTES = 4096
};

/* A path put together from pieces; too long is kept as a fact, not cut. */
struct topology_path {
    char text[TOPOLOGY_PATH_BYTES];
    size_t len;
    bool fits;
};

static void topology_path_start(struct topology_path *path, const char *root)
{
    path->len = 0;
    path->fits = true;
    path->text[0] = '\0';
    size_t len = strlen(root);
    if (len > 256) {
        path->fits = false;
        return;
    }
    memcpy(path->text, root, len + 1);
    path->len = len;
}

static void topology_path_add(struct topology_path *path, const char *piece, size_t len)
{
    if (!path->fits || len >= sizeof path->text - path->len) {
        path->fits = false;
        return;
    }
    memcpy(path->text + path->len, piece, len);
    path->len += len;
    path->text[path->len] = '\0';
}

static void topology_path_add_number(struct topology_path *path, size_t number)
{
    char digits[24];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    topology_path_add(path, digits + n, sizeof digits - n);
}

/* The first bytes of a file as text; 0 bytes where there is none to read. */
static size_t topology_read(const struct topology_path *path, char *text, size_t capacity)
{
    text[0] = '\0';
    if (!path->fits)
        return 0;
    int fd = open(path->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    size_t n = 0;
    while (n + 1 < capacity) {
        ssize_t got = pread(fd, text + n, capacity - 1 - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    text[n] = '\0';
    return n;
}

/* Reads a decimal number and steps over it; false where there is none or it is beyond 10^18. */
static bool topology_number(const char **text, uint64_t *out)
{
    const char *p = *text;
    uint64_t number = 0;
    if (*p < '0' || *p > '9')
        return false;
    while (*p >= '0' && *p <= '9') {
        if (number > UINT64_C(100000000000000000))
            return false;
        number = number * 10 + (uint64_t)(*p++ - '0');
    }
    *text = p;
    *out = number;
    return true;
}

/* Lowers *cores to quota / period, rounded up. */
static void topology_apply_quota(uint64_t quota, uint64_t period, uint32_t *cores)
{
    if (quota == 0 || period == 0)
        return;
    uint64_t allowed = quota / period + (quota % period != 0);
    if (allowed < *cores)
        *cores = (uint32_t)allowed;
}

/* One group of version 2: cpu.max holds "quota period" or "max period". */
static void topology_group_v2(struct topology_path *path, uint32_t *cores)
{
    char text[128];
    topology_path_add(path, "/cpu.max", strlen("/cpu.max"));
    topology_read(path, text, sizeof text);
    const char *p = text;
    uint64_t quota, period;
    if (topology_number(&p, &quota) && *p++ == ' ' && topology_number(&p, &period))
        topology_apply_quota(quota, period, cores);
}

/* One group of version 1: a file each; a quota of -1 is none. */
static void topology_group_v1(struct topology_path *path, uint32_t *cores)
{
    char text[128];
    struct topology_path other = *path;
    topology_path_add(path, "/cpu.cfs_quota_us", strlen("/cpu.cfs_quota_us"));
    topology_read(path, text, sizeof text);
    const char *p = text;
    uint64_t quota, period;
    if (!topology_number(&p, &quota))
        return;
    topology_path_add(&other, "/cpu.cfs_period_us", strlen("/cpu.cfs_period_us"));
    topology_read(&other, text, sizeof text);
    p = text;
    if (topology_number(&p, &period))
        topology_apply_quota(quota, period, cores);
}

/* Applies the quota of a group and of all groups above it, up to the mount. A group's path may be
 * that of the host, which a container does not see: then only the mount itself is there. */
static void topology_groups(const char *root, const char *mount, const char *group, size_t len,
                            void (*apply)(struct topology_path *path, uint32_t *cores),
                            uint32_t *cores)
{
    for (;;) {
        while (len > 0 && group[len - 1] == '/')
            len--;
        struct topology_path path;
        topology_path_start(&path, root);
        topology_path_add(&path, mount, strlen(mount));
        topology_path_add(&path, group, len);
        apply(&path, cores);
        if (len == 0)
            return;
        while (len > 0 && group[len - 1] != '/')
            len--;
    }
}

/* Whether a comma-separated list holds "cpu". */
static bool topology_lists_cpu(const char *list, size_t len)
{
    for (size_t i = 0; i + 3 <= len; i++) {
        bool begins = i == 0 || list[i - 1] == ',';
        bool ends = i + 3 == len || list[i + 3] == ',';
        if (begins && ends && memcmp(list + i, "cpu", 3) == 0)
            return true;
    }
    return false;
}

static bool topology_goes_up(const char *group, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (group[i] == '.' && group[i + 1] == '.')
            return true;
    }
    return false;
}

/* Each line of /proc/self/cgroup is "number:controllers:path"; version 2 has no controllers. */
static void topology_apply_groups(const char *root, uint32_t *cores)
{
    struct topology_path path;
    char text[TOPOLOGY_FILE_BYTES];
    topology_path_start(&path, root);
    topology_path_add(&path, "/proc/self/cgroup", strlen("/proc/self/cgroup"));
    size_t n = topology_read(&path, text, sizeof text);
    const char *end = text + n;
    for (const char *line = text; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = next ? next : end;
        const char *first = memchr(line, ':', (size_t)(line_end - line));
        const char *second = first ? memchr(first + 1, ':', (size_t)(line_end - first - 1)) : NULL;
        if (second) {
            const char *group = second + 1;
            size_t len = (size_t)(line_end - group);
            if (topology_goes_up(group, len))
                len = 0;
            if (second == first + 1)
                topology_groups(root, "/sys/fs/cgroup", group, len, topology_group_v2, cores);
            else if (topology_lists_cpu(first + 1, (size_t)(second - first - 1)))
                topology_groups(root, "/sys/fs/cgroup/cpu", group, len, topology_group_v1, cores);
        }
        line = line_end + 1;
    }
}

/* A processor's speed among its fellows, 1 to 1024; 0 where the system does not tell. */
static uint64_t topology_capacity(const char *root, size_t processor)
{
    static const char before[] = "/sys/devices/system/cpu/cpu";
    struct topology_path path;
    topology_path_start(&path, root);
    topology_path_add(&path, before, sizeof before - 1);
    topology_path_add_number(&path, processor);
    topology_path_add(&path, "/cpu_capacity", strlen("/cpu_capacity"));
    char text[64];
    topology_read(&path, text, sizeof text);
    const char *p = text;
    uint64_t capacity;
    return topology_number(&p, &capacity) && capacity <= 65535 ? capacity : 0;
}

/* Counts the allowed processors that are at least half as fast as the fastest of them: tiles go to
 * whoever is free, so a middle core helps, while a small one only holds up the end. */
static uint32_t topology_fast_processors(const char *root, const uint64_t *mask, size_t n_words)
{
    uint16_t capacities[TOPOLOGY_MOST_PROCESSORS];
    uint32_t n = 0, n_fast = 0;
    uint64_t best = 0;
    bool known = true;
    for (size_t i = 0; i < n_words * 64 && i < TOPOLOGY_MOST_PROCESSORS; i++) {
        if (!(mask[i / 64] >> (i % 64) & 1))
            continue;
        /* Where the first has no capacity none has: nothing more is asked. */
        uint64_t capacity = known ? topology_capacity(root, i) : 0;
        known = known && capacity > 0;
        capacities[n++] = (uint16_t)capacity;
        if (capacity > best)
            best = capacity;
    }
    for (uint32_t i = 0; i < n; i++)
        n_fast += (uint64_t)capacities[i] * 2 >= best;
    return known ? n_fast : n;
}

uint32_t sprat__topology_cores(const char *root, const uint64_t *mask, size_t n_words)
{
    uint32_t cores = topology_fast_processors(root, mask, n_words);
    topology_apply_groups(root, &cores);
    if (cores < 1)
        cores = 1;
    return cores < TOPOLOGY_MOST_CORES ? cores : TOPOLOGY_MOST_CORES;
}

#if defined(__linux__)

uint32_t sprat__available_cores(void)
{
    uint64_t mask[TOPOLOGY_MOST_PROCESSORS / 64] = {0};
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (size_t i = 0; i < TOPOLOGY_MOST_PROCESSORS && i < CPU_SETSIZE; i++) {
            if (CPU_ISSET(i, &set))
                mask[i / 64] |= UINT64_C(1) << (i % 64);
        }
    } else {
        /* More processors than the set holds: all those that run. */
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        for (long i = 0; i < n && i < TOPOLOGY_MOST_PROCESSORS; i++)
            mask[i / 64] |= UINT64_C(1) << (i % 64);
    }
    return sprat__topology_cores("", mask, TOPOLOGY_MOST_PROCESSORS / 64);
}

#else

uint32_t sprat__available_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1)
        return 1;
    return n < TOPOLOGY_MOST_CORES ? (uint32_t)n : TOPOLOGY_MOST_CORES;
}

#endif
