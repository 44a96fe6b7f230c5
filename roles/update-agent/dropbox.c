/* The folder: what lies in it, who may put something there. */
#include "dropbox_int.h"

#include "base/clock.h"
#include "base/limits.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Goes now: a part of an earlier run that nobody can go on with, and one whose rest never came. */
static bool
is_left_over(const char *name, const struct stat *st, bool first_look)
{
	if (strncmp(name, DROPBOX_PART, sizeof(DROPBOX_PART) - 1) == 0)
		return first_look;
	return strncmp(name, DROPBOX_OPEN, sizeof(DROPBOX_OPEN) - 1) == 0 &&
	       clock_wall_ms() - (int64_t)st->st_mtime * 1000 > LIMIT_DROPBOX_OPEN_MS;
}

enum err
dropbox_count(int dir, uint64_t *bytes, uint64_t *files, bool first_look)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *de;
	struct stat st;
	DIR *d;

	*bytes = *files = 0;
	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return ERR_IO;
	}
	while ((de = readdir(d)) != NULL) {
		if (fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode) || strcmp(de->d_name, TICKETS_JOURNAL) == 0)
			continue;
		if (is_left_over(de->d_name, &st, first_look)) {
			(void)unlinkat(dir, de->d_name, 0);
			continue;
		}
		*bytes += (uint64_t)st.st_size;
		*files += 1;
	}
	(void)closedir(d);
	return OK;
}

enum err
dropbox_open(struct dropbox **out, uv_loop_t *loop, const struct options *o, struct fault *f)
{
	struct dropbox *b = calloc(1, sizeof(*b));
	enum err e = OK;

	*out = NULL;
	if (b == NULL || tickets_init(&b->tickets) != OK) {
		free(b);
		return fault_set(f, ERR_NOMEM, "out of memory");
	}
	b->loop = loop;
	b->o = o;
	b->scanned_ms = clock_mono_ms();
	b->senders = calloc(LIMIT_DROPBOX_PEERS, sizeof(*b->senders));
	b->dir = open(o->dropbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->tickets.dir = b->dir;
	if (b->senders == NULL)
		e = fault_set(f, ERR_NOMEM, "out of memory");
	else if (b->dir < 0)
		e = fault_sys(f, errno, "the drop box %.200s cannot be opened", o->dropbox);
	else if (faccessat(b->dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
		e = fault_sys(f, errno, "the drop box %.200s cannot be written", o->dropbox);
	else if (dropbox_count(b->dir, &b->bytes, &b->files, true) != OK)
		e = fault_set(f, ERR_IO, "the drop box %.200s cannot be read", o->dropbox);
	if (e != OK) {
		dropbox_close(b);
		return e;
	}
	*out = b;
	return OK;
}

void
dropbox_close(struct dropbox *b)
{
	if (b == NULL)
		return;
	if (b->dir >= 0)
		(void)close(b->dir);
	tickets_free(&b->tickets);
	free(b->senders);
	free(b);
}

uint64_t
dropbox_received(const struct dropbox *b)
{
	return b->received;
}

/* IPv6 senders count by /64: one host has all of it. */
static struct addr
sender_key(const struct addr *peer)
{
	struct addr k = *peer;

	k.port = 0;
	k.scope = 0;
	if (k.family == ADDR_V6)
		memset(k.ip + 8, 0, 8);
	return k;
}

struct sender *
dropbox_sender(struct dropbox *b, const struct addr *peer)
{
	struct addr k = sender_key(peer);
	uint32_t h = 2166136261u, i;
	int64_t day = clock_wall_ms() / 86400000;

	if (day != b->day) {
		memset(b->senders, 0, LIMIT_DROPBOX_PEERS * sizeof(*b->senders));
		b->sender_count = 0;
		b->day = day;
	}
	for (i = 0; i < 16; i++)
		h = (h ^ k.ip[i]) * 16777619u;
	for (i = 0; i < LIMIT_DROPBOX_PEERS; i++) {
		struct sender *s = &b->senders[(h + i) % LIMIT_DROPBOX_PEERS];

		if (s->who.family != ADDR_NONE && addr_same_ip(&s->who, &k))
			return s;
		if (s->who.family != ADDR_NONE)
			continue;
		if (b->sender_count >= LIMIT_DROPBOX_PEERS / 2)
			return NULL;
		b->sender_count++;
		s->who = k;
		return s;
	}
	return NULL;
}

enum err
dropbox_quota(const struct dropbox *b, const struct sender *s)
{
	if (s == NULL || s->files >= b->o->dropbox_daily_files || s->bytes >= b->o->dropbox_daily)
		return ERR_DENIED;
	/* What the agent took away meanwhile is seen by the rescan only. */
	if (clock_mono_ms() - b->scanned_ms < DROPBOX_RESCAN_MS &&
	    (b->files >= b->o->dropbox_files || b->bytes >= b->o->dropbox_total))
		return ERR_TOOBIG;
	return OK;
}
