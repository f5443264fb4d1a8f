/*
 * Stands between the relay and the files below one folder (LD_PRELOAD): counts
 * what changes them, makes the n-th change go wrong, and records all changes
 * for whoever rebuilds what a power cut would have left (record.rs).
 *
 *   FAULTS_FOLDER  the folder, without links in its path; nothing else is touched
 *   FAULTS_OF      "changes" (the default) or "syncs": what is counted
 *   FAULTS_ONLY    the end of a path: only what changes such files is counted
 *   FAULTS_AT      the number of the first operation that goes wrong; 0: none
 *   FAULTS_EVERY   and each that many after it; 0: only that one
 *   FAULTS_HOW     "kill": SIGKILL in place of the operation
 *                  "short": half of a write, or all of anything else, then SIGKILL
 *                  "eio", "enospc": the operation is not done and fails
 *   FAULTS_SYNC    "real" (the default), "recorded": the record alone has it,
 *                  "lost": not even the record
 *   FAULTS_RECORD  the file of the record; without it nothing is recorded
 *   FAULTS_REPORT  the file that gets a line for each operation that went wrong
 *   FAULTS_UNREADABLE  "NAME:OFFSET:LENGTH": reading these bytes of the file
 *                  whose path ends in NAME fails with EIO
 *   FAULTS_HIDDEN  the path of a file that cannot be found; it may be anywhere
 *
 * SQLite's -shm files are left out: they need not survive.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The kinds of a record; record.rs has the same numbers. */
enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_FAILED, LINK, RENAME, UNLINK, MKDIR, SYNC_FOLDER };

struct head {
    uint32_t kind, name;
    uint64_t file, offset, size;
};

enum verdict { GO, HALF, FAIL };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[4096];
static size_t folder_length;
static unsigned long at, every, count;
static int syncs_only, sync_is_real, sync_is_recorded, failure;
static const char *how;
static const char *only;
static int record_fd = -1, report_fd = -1;
static char unreadable[256];
static off_t unreadable_from, unreadable_to;
static const char *hidden;

static unsigned long number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

static int output(const char *name)
{
    const char *path = getenv(name);
    if (!path)
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("FAULTS_FOLDER");
    if (!text)
        return;
    snprintf(folder, sizeof folder, "%s", text);
    text = getenv("FAULTS_OF");
    syncs_only = text && !strcmp(text, "syncs");
    only = getenv("FAULTS_ONLY");
    at = number("FAULTS_AT");
    every = number("FAULTS_EVERY");
    how = getenv("FAULTS_HOW");
    failure = how && !strcmp(how, "enospc") ? ENOSPC : EIO;
    text = getenv("FAULTS_SYNC");
    sync_is_real = !text || !strcmp(text, "real");
    sync_is_recorded = !text || strcmp(text, "lost");
    record_fd = output("FAULTS_RECORD");
    report_fd = output("FAULTS_REPORT");
    text = getenv("FAULTS_UNREADABLE");
    if (text) {
        long long from, length;
        if (sscanf(text, "%255[^:]:%lld:%lld", unreadable, &from, &length) == 3) {
            unreadable_from = from;
            unreadable_to = from + length;
        }
    }
    hidden = getenv("FAULTS_HIDDEN");
    /* Last: until here every call goes straight through. */
    folder_length = strlen(folder);
}

static int ends_in(const char *path, const char *end)
{
    size_t length = strlen(path), of_end = strlen(end);
    return length >= of_end && !strcmp(path + length - of_end, end);
}

static int is_below(const char *path)
{
    return folder_length && !strncmp(path, folder, folder_length)
        && (path[folder_length] == '/' || !path[folder_length]) && !ends_in(path, "-shm");
}

/* Whether the descriptor is a file or folder below the folder; its path and state. */
static int is_ours(int fd, char *path, size_t room, struct stat *state)
{
    char link[64];
    int before = errno, ours = 0;
    if (!folder_length)
        return 0;
    if (!fstat(fd, state) && (S_ISREG(state->st_mode) || S_ISDIR(state->st_mode))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, room - 1);
        if (length > 0) {
            path[length] = 0;
            ours = is_below(path);
        }
    }
    errno = before;
    return ours;
}

static void die(void)
{
    for (;;)
        syscall(SYS_kill, getpid(), SIGKILL);
}

/* What becomes of the next operation; the lock is held. */
static enum verdict judge(const char *name, const char *path, int is_sync)
{
    char line[4200];
    if ((syncs_only && !is_sync) || (only && !ends_in(path, only)))
        return GO;
    count++;
    if (!at || count < at || (every ? (count - at) % every : count != at))
        return GO;
    int length = snprintf(line, sizeof line, "%lu %s %s\n", count, name, path);
    if (report_fd >= 0)
        syscall(SYS_write, report_fd, line, length);
    if (how && !strcmp(how, "short"))
        return HALF;
    if (how && !strcmp(how, "kill"))
        die();
    return FAIL;
}

static void record(enum kind kind, const char *name, const char *other, uint64_t file, uint64_t offset,
                   const void *bytes, size_t size)
{
    if (record_fd < 0)
        return;
    size_t length = strlen(name) + 1 + (other ? strlen(other) + 1 : 0);
    struct head head = { kind, (uint32_t)length, file, offset, size };
    struct iovec pieces[4] = {
        { &head, sizeof head },
        { (void *)name, strlen(name) + 1 },
        { (void *)other, other ? strlen(other) + 1 : 0 },
        { (void *)bytes, size },
    };
    int before = errno;
    syscall(SYS_writev, record_fd, pieces, 4);
    errno = before;
}

static int fails(void)
{
    errno = failure;
    return -1;
}

/* --- Writing. */

static ssize_t change(int fd, const struct iovec *pieces, int many, int has_offset, off_t offset, const char *name)
{
    char path[4096];
    struct stat state;
    if (!is_ours(fd, path, sizeof path, &state)) {
        if (has_offset)
            return syscall(SYS_pwritev, fd, pieces, many, offset, 0);
        return syscall(SYS_writev, fd, pieces, many);
    }
    size_t size = 0;
    for (int n = 0; n < many; n++)
        size += pieces[n].iov_len;
    char *bytes = malloc(size + 1), *end = bytes;
    for (int n = 0; n < many; n++)
        end = mempcpy(end, pieces[n].iov_base, pieces[n].iov_len);
    pthread_mutex_lock(&lock);
    enum verdict verdict = judge(name, path, 0);
    ssize_t done = -1;
    int error = failure;
    if (verdict != FAIL) {
        if (!has_offset) {
            int flags = fcntl(fd, F_GETFL);
            offset = lseek(fd, 0, SEEK_CUR);
            if (flags & O_APPEND && !fstat(fd, &state))
                offset = state.st_size;
        }
        size_t asked = verdict == HALF ? size / 2 : size;
        done = has_offset ? syscall(SYS_pwrite64, fd, bytes, asked, offset) : syscall(SYS_write, fd, bytes, asked);
        error = errno;
        if (done >= 0)
            record(WRITE, path, NULL, state.st_ino, offset, bytes, done);
        if (verdict == HALF)
            die();
    }
    pthread_mutex_unlock(&lock);
    free(bytes);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    struct iovec piece = { (void *)bytes, size };
    return change(fd, &piece, 1, 0, 0, "write");
}

ssize_t writev(int fd, const struct iovec *pieces, int many)
{
    return change(fd, pieces, many, 0, 0, "writev");
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    struct iovec piece = { (void *)bytes, size };
    return change(fd, &piece, 1, 1, offset, "pwrite");
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int many, off_t offset)
{
    return change(fd, pieces, many, 1, offset, "pwritev");
}

int ftruncate64(int fd, off64_t length)
{
    char path[4096];
    struct stat state;
    if (!is_ours(fd, path, sizeof path, &state))
        return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    enum verdict verdict = judge("ftruncate", path, 0);
    int done = verdict == FAIL ? fails() : syscall(SYS_ftruncate, fd, length);
    if (!done)
        record(TRUNCATE, path, NULL, state.st_ino, length, NULL, 0);
    if (verdict == HALF)
        die();
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

/* --- Syncing. */

static int sync_it(int fd, long call, const char *name)
{
    char path[4096];
    struct stat state;
    if (!is_ours(fd, path, sizeof path, &state))
        return syscall(call, fd);
    pthread_mutex_lock(&lock);
    enum verdict verdict = judge(name, path, 1);
    int done = verdict == FAIL ? fails() : sync_is_real ? syscall(call, fd) : 0;
    if (!done && sync_is_recorded)
        record(S_ISDIR(state.st_mode) ? SYNC_FOLDER : SYNC, path, NULL, state.st_ino, 0, NULL, 0);
    else if (done)
        record(SYNC_FAILED, path, NULL, state.st_ino, 0, NULL, 0);
    if (verdict == HALF)
        die();
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd)
{
    return sync_it(fd, SYS_fsync, "fsync");
}

int fdatasync(int fd)
{
    return sync_it(fd, SYS_fdatasync, "fdatasync");
}

/* --- Names. */

static int open_it(int at_fd, const char *path, int flags, mode_t mode)
{
    struct stat state;
    if (hidden && !strcmp(path, hidden)) {
        errno = ENOENT;
        return -1;
    }
    int changes = flags & (O_CREAT | O_TRUNC) && path[0] == '/' && is_below(path);
    if (!changes)
        return syscall(SYS_openat, at_fd, path, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = stat(path, &state) != 0;
    int fd;
    if (!is_new && !(flags & O_TRUNC)) {
        fd = syscall(SYS_openat, at_fd, path, flags, mode);
    } else {
        enum verdict verdict = judge("open", path, 0);
        fd = verdict == FAIL ? fails() : syscall(SYS_openat, at_fd, path, flags, mode);
        int before = errno;
        if (fd >= 0 && !fstat(fd, &state))
            record(is_new ? CREATE : TRUNCATE, path, NULL, state.st_ino, 0, NULL, 0);
        errno = before;
        if (verdict == HALF)
            die();
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(at_fd)                         \
    mode_t mode = 0;                        \
    if (flags & (O_CREAT | O_TMPFILE)) {    \
        va_list more;                       \
        va_start(more, flags);              \
        mode = va_arg(more, mode_t);        \
        va_end(more);                       \
    }                                       \
    return open_it(at_fd, path, flags, mode);

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD) }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD) }
int openat(int at_fd, const char *path, int flags, ...) { OPEN(at_fd) }
int openat64(int at_fd, const char *path, int flags, ...) { OPEN(at_fd) }

/* One that changes the names `path` and perhaps `other`. */
static int rename_it(enum kind kind, const char *name, const char *path, const char *other, long call, mode_t mode)
{
    long arguments[5] = { AT_FDCWD, (long)path, 0, 0, 0 };
    if (other) {
        arguments[2] = AT_FDCWD;
        arguments[3] = (long)other;
    } else if (call == SYS_mkdirat) {
        arguments[2] = mode;
    }
    int ours = is_below(path) || (other && is_below(other));
    if (ours)
        pthread_mutex_lock(&lock);
    enum verdict verdict = ours ? judge(name, path, 0) : GO;
    int done = verdict == FAIL
        ? fails()
        : syscall(call, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
    if (ours) {
        if (!done)
            record(kind, path, other, 0, 0, NULL, 0);
        if (verdict == HALF)
            die();
        pthread_mutex_unlock(&lock);
    }
    return done;
}

int rename(const char *from, const char *to) { return rename_it(RENAME, "rename", from, to, SYS_renameat2, 0); }
int link(const char *from, const char *to) { return rename_it(LINK, "link", from, to, SYS_linkat, 0); }
int unlink(const char *path) { return rename_it(UNLINK, "unlink", path, NULL, SYS_unlinkat, 0); }
int mkdir(const char *path, mode_t mode) { return rename_it(MKDIR, "mkdir", path, NULL, SYS_mkdirat, mode); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    if (from[0] == '/' && to[0] == '/' && !flags)
        return link(from, to);
    return syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

/* --- Reading. */

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
    char path[4096];
    struct stat state;
    if (unreadable_to && offset < unreadable_to && offset + (off64_t)size > unreadable_from
        && is_ours(fd, path, sizeof path, &state) && ends_in(path, unreadable)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    return pread64(fd, bytes, size, offset);
}
