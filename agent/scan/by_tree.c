/* by_tree.c - CONTSCAN and MULTISCAN: clamd walks each path by itself, MULTISCAN with all its
 * threads, and names what it found and what it could not read. It needs the permission to read;
 * links and mounts are as its own configuration says; clean files are not counted, because they are
 * not named. What is excluded is scanned in vain and not reported. */
#include "scan.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "link.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPLY_MS 500u
#define CONNECT_MS 30000u
#define PAUSE_US 200000u

static bool
connected(struct scan *s, struct link *l)
{
	uint64_t until = clock_mono_ms() + CONNECT_MS;

	while (link_connect(l, s->c->socket) != OK) {
		if (atomic_load(&s->stop))
			return false;
		if (clock_mono_ms() >= until) {
			s->err = fault_set(&s->fault, ERR_UNREACHABLE,
			    "clamd at %s cannot be reached; is it running, and may this user "
			    "connect?",
			    s->c->socket);
			return false;
		}
		(void)usleep(PAUSE_US);
	}
	return true;
}

/* What was named may be another file by now, or one that we may not open: then its name is all
 * there is. */
static bool
look_up(struct walk_file *f, const char *path)
{
	struct stat st;

	*f = (struct walk_file){ .fd = -1, .path = strdup(path) };
	if (f->path == NULL)
		return false;
	f->fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		return true;
	f->size = (uint64_t)st.st_size;
	f->dev = (uint64_t)st.st_dev;
	f->ino = (uint64_t)st.st_ino;
	f->mtime = (int64_t)st.st_mtime;
	return true;
}

static void
take(struct scan *s, const struct clamd_reply *r, const char *path, const char *asked)
{
	struct walk_file f;

	if (r->kind == CLAMD_CLEAN || (path[0] != '\0' && walk_excluded(s->c, path)))
		return;
	if (!look_up(&f, path[0] != '\0' ? path : asked)) {
		s->err = fault_set(&s->fault, ERR_NOMEM, "memory ran out");
		return;
	}
	if (r->kind == CLAMD_FOUND)
		scan_found(s, &f, r->text);
	else
		scan_failed(s, &f, r->text);
}

static void
scan_tree(struct scan *s, struct link *l, const char *path)
{
	char named[LIMIT_SCAN_PATH];
	struct clamd_reply r;
	bool answered = false;
	enum err e = link_command(l, s->c->method == SCAN_MULTI ? "zMULTISCAN" : "zCONTSCAN", path);

	while (e == OK || e == ERR_AGAIN) {
		e = link_path_reply(l, REPLY_MS, &r, named, sizeof named);
		if (e == OK && s->err == OK) {
			take(s, &r, named, path);
			answered = true;
		}
	}
	if (e == ERR_CANCELED || (e == ERR_CLOSED && answered) || s->err != OK)
		return;
	s->err = fault_set(&s->fault, e, "clamd does not finish the scan of %.200s: %s", path,
	    answered ? err_text(e) : "it hung up");
}

void
scan_by_tree(struct scan *s)
{
	struct link l;

	link_init(&l, &s->stop);
	for (size_t i = 0; i < s->c->n_paths && s->err == OK && !atomic_load(&s->stop); i++)
		if (connected(s, &l))
			scan_tree(s, &l, s->c->paths[i]);
	link_close(&l);
}
