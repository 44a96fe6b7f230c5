#include "dropbox.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/descriptors.h"
#include "os/file.h"
#include "os/rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART ".part-"
#define NAME_KEPT                                                                                  \
	56 /* with an IPv6 sender the whole name stays below the 127 that a console takes */
#define RESCAN_MS 30000 /* the agent takes files away without telling us */

struct sender {
	struct addr who; /* family ADDR_NONE: a free slot */
	uint64_t bytes;
	uint32_t files;
};

struct dropbox {
	uv_loop_t *loop;
	const struct options *o;
	int dir;
	uint64_t bytes, files; /* in the folder, running uploads counted */
	uint64_t received;
	uint64_t scanned_ms;
	int64_t day;
	size_t sender_count;
	struct sender *senders; /* open addressing, LIMIT_DROPBOX_PEERS slots */
};

enum step { STEP_OPEN, STEP_WRITE, STEP_COMMIT, STEP_DROP };

struct upload {
	uv_work_t work;
	struct dropbox *box;
	enum step step;
	bool running, dropped;
	int fd;
	enum err e;
	const void *p;
	size_t n;
	uint64_t size;
	struct sender *sender;
	bool rescan;
	uint64_t seen_bytes, seen_files;
	upload_cb done;
	void *ctx;
	char part[32];
	char name[160];
};

static enum err
count_folder(int dir, uint64_t *bytes, uint64_t *files, bool remove_parts)
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
		if (remove_parts && strncmp(de->d_name, PART, sizeof(PART) - 1) == 0) {
			(void)unlinkat(dir, de->d_name, 0);
			continue;
		}
		if (fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
			continue;
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
	if (b == NULL)
		return fault_set(f, ERR_NOMEM, "out of memory");
	b->loop = loop;
	b->o = o;
	b->scanned_ms = clock_mono_ms();
	b->senders = calloc(LIMIT_DROPBOX_PEERS, sizeof(*b->senders));
	b->dir = open(o->dropbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->senders == NULL)
		e = fault_set(f, ERR_NOMEM, "out of memory");
	else if (b->dir < 0)
		e = fault_sys(f, errno, "the drop box %.200s cannot be opened", o->dropbox);
	else if (faccessat(b->dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
		e = fault_sys(f, errno, "the drop box %.200s cannot be written", o->dropbox);
	else if (count_folder(b->dir, &b->bytes, &b->files, true) != OK)
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

static struct sender *
sender_find(struct dropbox *b, const struct addr *peer)
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

static enum err
step_open(struct upload *u)
{
	const struct options *o = u->box->o;
	uint64_t free_bytes = 0, total = 0;

	if (u->rescan)
		u->rescan = count_folder(u->box->dir, &u->seen_bytes, &u->seen_files, false) == OK;
	if (file_disk(o->dropbox, &free_bytes, &total, NULL) != OK)
		return ERR_IO;
	if (free_bytes < o->dropbox_floor)
		return ERR_NOSPACE;
	u->fd = openat(
	    u->box->dir, u->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (u->fd < 0)
		return err_from_errno(errno);
	return descriptors_tight(u->fd) ? ERR_BUSY : OK; /* the last step removes it */
}

static enum err
step_commit(struct upload *u)
{
	enum err e = inject("dropbox.fsync") ? ERR_IO : file_sync(u->fd);

	if (close(u->fd) != 0 && e == OK)
		e = ERR_IO;
	u->fd = -1;
	if (e == OK && renameat(u->box->dir, u->part, u->box->dir, u->name) != 0)
		e = err_from_errno(errno);
	if (e == OK)
		e = file_sync(u->box->dir);
	if (e != OK)
		(void)unlinkat(u->box->dir, u->part, 0);
	return e;
}

static enum err
step_drop(struct upload *u)
{
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
	(void)unlinkat(u->box->dir, u->part, 0);
	return OK;
}

static void
run(uv_work_t *work)
{
	struct upload *u = work->data;

	switch (u->step) {
	case STEP_OPEN:
		u->e = step_open(u);
		break;
	case STEP_WRITE:
		u->e = file_write_all(u->fd, u->p, u->n);
		break;
	case STEP_COMMIT:
		u->e = step_commit(u);
		break;
	case STEP_DROP:
		u->e = step_drop(u);
		break;
	}
}

static void finished(uv_work_t *work, int status);

static void
go(struct upload *u, enum step step, upload_cb done, void *ctx)
{
	u->step = step;
	u->running = true;
	u->done = done;
	u->ctx = ctx;
	/* Fails only without a work function. */
	(void)uv_queue_work(u->box->loop, &u->work, run, finished);
}

static void
forget(struct upload *u, bool stored)
{
	struct dropbox *b = u->box;

	/* A rescan in between may have seen less than this upload took. */
	if (!stored) {
		b->files -= b->files > 0;
		b->bytes -= b->bytes < u->size ? b->bytes : u->size;
	}
	free(u);
}

static void
finished(uv_work_t *work, int status)
{
	struct upload *u = work->data;
	enum step step = u->step;
	enum err e = u->e;

	u->running = false;
	if (step == STEP_DROP) {
		forget(u, false);
		return;
	}
	if (step == STEP_OPEN && u->rescan) {
		u->box->bytes = u->seen_bytes + u->size;
		u->box->files = u->seen_files + 1;
	}
	if (u->dropped) {
		if (step == STEP_COMMIT)
			forget(u, e == OK);
		else
			go(u, STEP_DROP, NULL, NULL);
		return;
	}
	if (step == STEP_COMMIT && e == OK) {
		u->box->received++;
		log_info(
		    "dropbox.stored", "file=%s bytes=%llu", u->name, (unsigned long long)u->size);
	}
	u->done(u->ctx, e);
	if (step == STEP_COMMIT)
		forget(u, e == OK);
}

/* What the client called it, as far as it is harmless; the rest of the name is ours. */
static void
choose_names(struct upload *u, const struct addr *peer, const char *name)
{
	char when[CLOCK_TEXT], ip[33], kept[NAME_KEPT + 1];
	uint64_t r1, r2;
	size_t i, n = 0;

	clock_format_s(when, clock_wall_ms());
	rand_bytes(&r1, sizeof(r1));
	rand_bytes(&r2, sizeof(r2));
	for (i = 0; name[i] != '\0' && n < NAME_KEPT; i++) {
		char c = name[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '-' || c == '_' || (c == '.' && n > 0))
			kept[n++] = c;
	}
	kept[n] = '\0';
	for (i = 0; i < (peer->family == ADDR_V4 ? 4u : 16u); i++)
		(void)snprintf(ip + 2 * i, 3, "%02x", peer->ip[i]);
	(void)snprintf(u->part, sizeof(u->part), PART "%016llx", (unsigned long long)r1);
	(void)snprintf(u->name, sizeof(u->name), "%.4s%.2s%.5s%.2s%.2sZ_%s_%016llx_%s", when,
	    when + 5, when + 8, when + 14, when + 17, ip, (unsigned long long)r2,
	    n > 0 ? kept : "unnamed");
}

static enum err
quota(struct dropbox *b, struct sender *s)
{
	if (s == NULL || s->files >= b->o->dropbox_daily_files || s->bytes >= b->o->dropbox_daily)
		return ERR_DENIED;
	/* What the agent took away meanwhile is seen by the rescan only. */
	if (clock_mono_ms() - b->scanned_ms < RESCAN_MS &&
	    (b->files >= b->o->dropbox_files || b->bytes >= b->o->dropbox_total))
		return ERR_TOOBIG;
	return OK;
}

enum err
upload_begin(struct upload **out, struct dropbox *b, const struct addr *peer, const char *name,
    upload_cb done, void *ctx)
{
	struct sender *s = sender_find(b, peer);
	enum err e = quota(b, s);
	struct upload *u;

	*out = NULL;
	if (e != OK)
		return e;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return ERR_NOMEM;
	u->work.data = u;
	u->box = b;
	u->fd = -1;
	u->sender = s;
	s->files++;
	b->files++;
	choose_names(u, peer, name);
	u->rescan = clock_mono_ms() - b->scanned_ms >= RESCAN_MS;
	if (u->rescan)
		b->scanned_ms = clock_mono_ms();
	*out = u;
	go(u, STEP_OPEN, done, ctx);
	return OK;
}

/* Taken and counted before it is written; a refused byte was never stored. */
static enum err
take(struct upload *u, size_t n)
{
	struct dropbox *b = u->box;

	if (u->size + n > b->o->dropbox_file_size || b->bytes + n > b->o->dropbox_total)
		return ERR_TOOBIG;
	if (u->sender->bytes + n > b->o->dropbox_daily)
		return ERR_DENIED;
	u->size += n;
	b->bytes += n;
	u->sender->bytes += n;
	return OK;
}

void
upload_write(struct upload *u, const void *p, size_t n, upload_cb done, void *ctx)
{
	enum err e = take(u, n);

	if (e != OK) {
		done(ctx, e);
		return;
	}
	u->p = p;
	u->n = n;
	go(u, STEP_WRITE, done, ctx);
}

void
upload_commit(struct upload *u, upload_cb done, void *ctx)
{
	go(u, STEP_COMMIT, done, ctx);
}

void
upload_drop(struct upload *u)
{
	if (u == NULL)
		return;
	u->dropped = true;
	if (!u->running)
		go(u, STEP_DROP, NULL, NULL);
}
