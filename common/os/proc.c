#include "os/proc.h"

#include "base/buf.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES 16384
#define START_FIELD 20 /* of /proc/N/stat, counted from the first word behind the name */

static enum err
read_one(int pid, const char *name, struct buf *out)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	buf_init(out, FILE_BYTES);
	return file_read(path, out, NULL);
}

/* "VmHWM:     1234 kB" */
static uint64_t
kilobytes(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	uint64_t v = 0;

	if (at == NULL)
		return 0;
	at += strlen(name);
	at += strspn(at, " \t");
	return text_u64(at, strspn(at, "0123456789"), UINT64_MAX / 1024, &v) == OK ? v * 1024 : 0;
}

enum err
proc_memory(int pid, uint64_t *anonymous, uint64_t *peak)
{
	struct buf b;
	enum err e = read_one(pid, "status", &b);

	if (e == OK) {
		*anonymous = kilobytes(buf_text(&b), "\nRssAnon:");
		*peak = kilobytes(buf_text(&b), "\nVmHWM:");
		if (*peak == 0) /* a zombie has no memory any more */
			e = ERR_NOTFOUND;
	}
	buf_free(&b);
	return e;
}

static int64_t
clock_ms(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) != 0 ? 0 : (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The name in brackets may hold anything: the fields begin behind the last one. */
static int64_t
started_at(int pid)
{
	long ticks = sysconf(_SC_CLK_TCK);
	const char *at = NULL;
	uint64_t start = 0;
	struct buf b;

	if (read_one(pid, "stat", &b) == OK)
		at = strrchr(buf_text(&b), ')');
	for (unsigned i = 0; at != NULL && i < START_FIELD; i++)
		at = strchr(at + 1, ' ');
	if (at == NULL || ticks <= 0 ||
	    text_u64(at + 1, strspn(at + 1, "0123456789"), INT64_MAX / 1000, &start) != OK)
		start = 0;
	buf_free(&b);
	return start == 0 ? 0
			  : clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME) +
				(int64_t)start * 1000 / ticks;
}

static bool
is_named(int pid, const char *name)
{
	struct buf b;
	bool same =
	    read_one(pid, "comm", &b) == OK && b.len > 0 && text_eq(buf_text(&b), b.len - 1, name);

	buf_free(&b);
	return same;
}

static enum err
look_at(struct proc *p, int pid)
{
	struct buf b;
	enum err e;

	memset(p, 0, sizeof *p);
	p->pid = pid;
	p->started = started_at(pid);
	e = proc_memory(pid, &p->anonymous, &p->peak);
	if (e == OK && read_one(pid, "cmdline", &b) == OK) {
		memcpy(p->args, b.data != NULL ? b.data : (const uint8_t *)"",
		    b.len < sizeof p->args - 2 ? b.len : sizeof p->args - 2);
		buf_free(&b);
	}
	return e;
}

enum err
proc_named(const char *name, struct proc *out, size_t max, size_t *n)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	uint64_t pid;

	*n = 0;
	if (dir == NULL)
		return ERR_UNSUPPORTED;
	while (*n < max && (d = readdir(dir)) != NULL)
		if (text_u64(d->d_name, strlen(d->d_name), INT32_MAX, &pid) == OK &&
		    is_named((int)pid, name) && look_at(&out[*n], (int)pid) == OK)
			(*n)++;
	(void)closedir(dir);
	return OK;
}
