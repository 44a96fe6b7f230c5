/* faultshim.c - LD_PRELOAD library that makes the n-th call of a kind fail, cut short, or kill.
 *
 *   FAULT=kind:n[+][:action][,kind:n...]   kind: malloc calloc realloc write pwrite fsync fdatasync
 *                                          rename open connect send recv close unlink ftruncate
 *   n counts from 1; "n+" is that call and every later one.
 *   action: an errno name (default ENOMEM for memory, EIO for the rest), short, kill, killafter,
 *           lie (fsync and fdatasync say done and do nothing)
 *   FAULT_COUNT=FILE: appends "kind=count ..." when the program ends. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind {
	K_MALLOC,
	K_CALLOC,
	K_REALLOC,
	K_WRITE,
	K_PWRITE,
	K_FSYNC,
	K_FDATASYNC,
	K_RENAME,
	K_OPEN,
	K_CONNECT,
	K_SEND,
	K_RECV,
	K_CLOSE,
	K_UNLINK,
	K_FTRUNCATE,
	KINDS
};
static const char *const kind_names[KINDS] = { "malloc", "calloc", "realloc", "write", "pwrite",
	"fsync", "fdatasync", "rename", "open", "connect", "send", "recv", "close", "unlink",
	"ftruncate" };

enum action { ACT_FAIL, ACT_SHORT, ACT_KILL, ACT_KILL_AFTER, ACT_LIE };

static struct {
	atomic_long calls;
	long at;
	int every_later;
	enum action action;
	int error;
} plan[KINDS];

static const struct {
	const char *name;
	int value;
} errors[] = { { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "ENOMEM", ENOMEM }, { "EINTR", EINTR },
	{ "EAGAIN", EAGAIN }, { "ECONNRESET", ECONNRESET }, { "EMFILE", EMFILE },
	{ "EACCES", EACCES }, { "EDQUOT", EDQUOT } };

static int ready;

static void
set_action(enum kind k, const char *word)
{
	size_t i;

	if (strcmp(word, "short") == 0)
		plan[k].action = ACT_SHORT;
	else if (strcmp(word, "kill") == 0)
		plan[k].action = ACT_KILL;
	else if (strcmp(word, "killafter") == 0)
		plan[k].action = ACT_KILL_AFTER;
	else if (strcmp(word, "lie") == 0)
		plan[k].action = ACT_LIE;
	for (i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strcmp(word, errors[i].name) == 0)
			plan[k].error = errors[i].value;
}

/* "write:3+:ENOSPC" */
static void
set_item(char *item)
{
	char *number = strchr(item, ':'), *rest;
	int k;

	if (number == NULL)
		return;
	*number++ = '\0';
	for (k = 0; k < KINDS; k++) {
		if (strcmp(item, kind_names[k]) != 0)
			continue;
		plan[k].error = k <= K_REALLOC ? ENOMEM : EIO;
		plan[k].at = strtol(number, &rest, 10);
		plan[k].every_later = *rest == '+';
		rest += *rest == '+';
		if (*rest == ':')
			set_action((enum kind)k, rest + 1);
	}
}

__attribute__((constructor)) static void
read_plan(void)
{
	const char *spec = getenv("FAULT");
	char copy[512], *item = copy, *comma;

	if (spec != NULL && strlen(spec) < sizeof copy) {
		memcpy(copy, spec, strlen(spec) + 1);
		for (; item != NULL; item = comma) {
			comma = strchr(item, ',');
			if (comma != NULL)
				*comma++ = '\0';
			set_item(item);
		}
	}
	ready = 1;
}

__attribute__((destructor)) static void
tell_counts(void)
{
	const char *file = getenv("FAULT_COUNT");
	FILE *out;
	int k;

	ready = 0;
	if (file == NULL || (out = fopen(file, "a")) == NULL)
		return;
	for (k = 0; k < KINDS; k++)
		(void)fprintf(out, "%s=%ld ", kind_names[k], atomic_load(&plan[k].calls));
	(void)fprintf(out, "\n");
	(void)fclose(out);
}

/* Counts the call. True: it must fail with errno set. *n is halved for a short one. */
static int
hit(enum kind k, size_t *n, int *kill_after)
{
	long call;

	*kill_after = 0;
	if (!ready)
		return 0;
	call = atomic_fetch_add(&plan[k].calls, 1) + 1;
	if (plan[k].at == 0 || call < plan[k].at || (call > plan[k].at && !plan[k].every_later))
		return 0;
	switch (plan[k].action) {
	case ACT_KILL:
		(void)raise(SIGKILL); /* tgkill: kill is closed to confined programs */
		return 0;
	case ACT_KILL_AFTER:
		*kill_after = 1;
		return 0;
	case ACT_SHORT:
		if (n != NULL && *n > 1)
			*n /= 2;
		return 0;
	case ACT_LIE: /* WRAP leaves the call out */
		return 0;
	case ACT_FAIL:
		errno = plan[k].error;
		return 1;
	}
	return 0;
}

static void *
real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *
malloc(size_t n)
{
	int after;

	return hit(K_MALLOC, NULL, &after) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t count, size_t n)
{
	int after;

	return hit(K_CALLOC, NULL, &after) ? NULL : __libc_calloc(count, n);
}

void *
realloc(void *p, size_t n)
{
	int after;

	return hit(K_REALLOC, NULL, &after) ? NULL : __libc_realloc(p, n);
}

/* WRAP: the function `name` of type `type`, counted as kind; size is the argument a short call
 * halves. */
#define WRAP(type, name, kind, size, params, args)                                                 \
	type name params                                                                           \
	{                                                                                          \
		static type(*next) params;                                                         \
		int after;                                                                         \
		type result;                                                                       \
	\
		if (next == NULL)                                                                  \
			*(void **)&next = real(#name);                                             \
		if (hit(kind, size, &after))                                                       \
			return -1;                                                                 \
		result = plan[kind].action == ACT_LIE ? 0 : next args;                             \
		if (after)                                                                         \
			(void)raise(SIGKILL);                                                      \
		return result;                                                                     \
	}

WRAP(ssize_t, write, K_WRITE, &n, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(ssize_t, pwrite, K_PWRITE, &n, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WRAP(ssize_t, pwrite64, K_PWRITE, &n, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
WRAP(int, fsync, K_FSYNC, NULL, (int fd), (fd))
WRAP(int, fdatasync, K_FDATASYNC, NULL, (int fd), (fd))
WRAP(int, rename, K_RENAME, NULL, (const char *from, const char *to), (from, to))
WRAP(int, renameat, K_RENAME, NULL, (int a, const char *from, int b, const char *to),
    (a, from, b, to))
WRAP(int, connect, K_CONNECT, NULL, (int fd, const struct sockaddr *to, socklen_t len),
    (fd, to, len))
WRAP(ssize_t, send, K_SEND, &n, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
WRAP(ssize_t, recv, K_RECV, &n, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
WRAP(int, close, K_CLOSE, NULL, (int fd), (fd))
WRAP(int, unlink, K_UNLINK, NULL, (const char *path), (path))
WRAP(int, unlinkat, K_UNLINK, NULL, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(int, ftruncate, K_FTRUNCATE, NULL, (int fd, off_t n), (fd, n))

/* open and openat take the mode only when they create. */
#define WRAP_OPEN(name, params, args)                                                              \
	int name params                                                                            \
	{                                                                                          \
		static int(*next) params;                                                          \
		mode_t mode = 0;                                                                   \
		va_list ap;                                                                        \
		int after;                                                                         \
	\
		if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {                  \
			va_start(ap, flags);                                                       \
			mode = va_arg(ap, mode_t);                                                 \
			va_end(ap);                                                                \
		}                                                                                  \
		if (next == NULL)                                                                  \
			*(void **)&next = real(#name);                                             \
		return hit(K_OPEN, NULL, &after) ? -1 : next args;                                 \
	}

WRAP_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
WRAP_OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
