/* Uploads: their steps in a worker, their life in the loop. */
#include "dropbox_int.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/descriptors.h"
#include "os/file.h"
#include "os/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With an IPv6 sender the whole name stays below the 127 that a console takes. */
#define NAME_KEPT 56

enum step { STEP_ASK, STEP_OPEN, STEP_WRITE, STEP_COMMIT, STEP_DROP };

struct upload {
	uv_work_t work;
	struct dropbox *box;
	enum step step;
	bool running, dropped;
	int fd;
	enum err e;
	const void *p;
	size_t n;
	uint64_t size, announced; /* of the file so far; in the end */
	struct sender *sender;	  /* NULL: a question */
	bool rescan;
	uint64_t seen_bytes, seen_files;
	upload_cb done;
	void *ctx;
	char part[sizeof(DROPBOX_OPEN) + TICKET_HEX];
	char name[160];

	/* with a ticket */
	char ticket[TICKET_TEXT]; /* "": none */
	bool append, resumed;	  /* resumed: a part of it was here */
	bool known;		  /* it was taken before: what comes is thrown away */
	bool stopped;		  /* loop only: another connection goes on with it */
	bool opened, kept;	  /* kept: its part stays for a rest */
	uint64_t offset, found;	  /* where it goes on; bytes that were here */
	struct upload *next;	  /* in dropbox.ticketed */
	struct upload *waiter;	  /* begins when the step that runs has ended */
};

/* --- steps: worker --- */

static bool
part_size(const struct upload *u, uint64_t *size)
{
	struct stat st;

	if (fstatat(u->box->dir, u->part, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	*size = (uint64_t)st.st_size;
	return true;
}

static void
close_part(struct upload *u)
{
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
}

static void
remove_part(struct upload *u)
{
	close_part(u);
	(void)unlinkat(u->box->dir, u->part, 0);
}

/* See tickets.h for why the part is looked for first. */
static enum err
step_ask(struct upload *u)
{
	if (!part_size(u, &u->found))
		return tickets_find(&u->box->tickets, u->ticket, &u->found);
	if (u->found < 2)
		return ERR_NOTFOUND;
	u->found--;
	return OK;
}

static enum err
open_ticketed(struct upload *u)
{
	uint64_t size;
	enum err e;

	u->resumed = part_size(u, &u->found);
	if (!u->resumed && tickets_find(&u->box->tickets, u->ticket, &size) == OK) {
		u->known = true;
		return OK;
	}
	if (u->append)
		u->offset = u->found > 1 ? u->found - 1 : 0;
	if (u->offset > u->found)
		return ERR_INVAL;
	u->fd = openat(u->box->dir, u->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	e = u->fd >= 0 ? OK : err_from_errno(errno);
	if (e == OK && (ftruncate(u->fd, (off_t)u->offset) != 0 ||
			   lseek(u->fd, (off_t)u->offset, SEEK_SET) < 0))
		e = ERR_IO;
	return e;
}

static enum err
open_plain(struct upload *u)
{
	u->fd = openat(
	    u->box->dir, u->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	return u->fd >= 0 ? OK : err_from_errno(errno);
}

static enum err
step_open(struct upload *u)
{
	const struct options *o = u->box->o;
	uint64_t free_bytes = 0, total = 0;
	enum err e;

	if (u->rescan)
		u->rescan = dropbox_count(u->box->dir, &u->seen_bytes, &u->seen_files, false) == OK;
	if (file_disk(o->dropbox, &free_bytes, &total, NULL) != OK)
		return ERR_IO;
	if (free_bytes < o->dropbox_floor)
		return ERR_NOSPACE;
	e = u->ticket[0] != '\0' ? open_ticketed(u) : open_plain(u);
	if (e == OK && descriptors_tight(u->fd))
		e = ERR_BUSY;
	if (e != OK && u->resumed)
		close_part(u);
	else if (e != OK && u->fd >= 0)
		remove_part(u);
	return e;
}

/* Whole, or cut, or never what the ticket speaks of: a client that announced the end, or had
 * nothing to add, has sent all of it. */
static enum err
check_content(const struct upload *u)
{
	bool all = u->announced != 0 || (u->resumed && u->size <= u->offset + 1);
	enum err e = tickets_check(u->fd, u->ticket);

	return e == ERR_VERIFY && !all ? ERR_CLOSED : e;
}

static enum err
store(struct upload *u)
{
	enum err e = inject("dropbox.fsync") ? ERR_IO : file_sync(u->fd);

	if (e == OK && u->ticket[0] != '\0')
		e = tickets_add(&u->box->tickets, u->ticket, u->size);
	if (e == OK && renameat(u->box->dir, u->part, u->box->dir, u->name) != 0)
		e = err_from_errno(errno);
	if (e == OK)
		e = file_sync(u->box->dir);
	return e;
}

static enum err
step_commit(struct upload *u)
{
	enum err e = OK;

	if (u->known)
		return OK;
	if (u->ticket[0] != '\0')
		e = check_content(u);
	if (e == OK)
		e = store(u);
	u->kept = e != OK && e != ERR_VERIFY && u->ticket[0] != '\0';
	if (e != OK && !u->kept)
		remove_part(u);
	close_part(u);
	return e;
}

static enum err
step_drop(struct upload *u)
{
	if (u->kept || u->fd < 0)
		close_part(u);
	else
		remove_part(u);
	return OK;
}

static void
run(uv_work_t *work)
{
	struct upload *u = work->data;

	switch (u->step) {
	case STEP_ASK:
		u->e = step_ask(u);
		break;
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

/* --- life: loop --- */

static void finished(uv_work_t *work, int status);

static void
set_step(struct upload *u, enum step step, upload_cb done, void *ctx)
{
	u->step = step;
	u->running = true;
	u->done = done;
	u->ctx = ctx;
}

static void
queue(struct upload *u)
{
	/* Fails only without a work function. */
	(void)uv_queue_work(u->box->loop, &u->work, run, finished);
}

static void
go(struct upload *u, enum step step, upload_cb done, void *ctx)
{
	set_step(u, step, done, ctx);
	queue(u);
}

/* A part of which nothing came is no use to anybody. */
static void
drop(struct upload *u)
{
	u->kept = u->ticket[0] != '\0' && u->opened && !u->known && (u->stopped || u->size > 0);
	go(u, STEP_DROP, NULL, NULL);
}

static void
unlist(struct upload *u)
{
	struct upload **at = &u->box->ticketed;

	while (*at != NULL && *at != u)
		at = &(*at)->next;
	if (*at == u)
		*at = u->next;
}

/* in_box: what it wrote is there, under whichever name. */
static void
forget(struct upload *u, bool in_box)
{
	struct dropbox *b = u->box;

	unlist(u);
	/* A rescan in between may have seen less than this upload took. */
	if (!in_box && u->sender != NULL) {
		b->files -= b->files > 0;
		b->bytes -= b->bytes < u->size ? b->bytes : u->size;
	}
	free(u);
}

/* What was here was counted when it came. */
static void
count_opened(struct upload *u)
{
	struct dropbox *b = u->box;
	uint64_t gone = u->found - u->offset;

	if (u->rescan) {
		b->bytes = u->seen_bytes + u->size;
		b->files = u->seen_files + 1;
	}
	u->opened = u->e == OK;
	if (!u->opened || !u->resumed)
		return;
	b->files -= b->files > 0;
	b->bytes -= b->bytes < gone ? b->bytes : gone;
	u->sender->files -= u->sender->files > 0; /* a bad line must not use up the day */
	u->size = u->offset;
}

static void begin_waiter(struct upload *u);

static void
settle(struct upload *u)
{
	enum step step = u->step;
	enum err e = u->e;

	if (step == STEP_DROP) {
		forget(u, u->kept);
		return;
	}
	if (step == STEP_OPEN)
		count_opened(u);
	if (u->dropped) {
		if (step == STEP_COMMIT || step == STEP_ASK)
			forget(u, e == OK || u->kept);
		else
			drop(u);
		return;
	}
	if (step == STEP_COMMIT && e == OK) {
		u->box->received += !u->known;
		log_info("dropbox.stored", "file=%s bytes=%llu known=%d", u->name,
		    (unsigned long long)u->size, u->known);
	}
	u->done(u->ctx, e);
	if (step == STEP_COMMIT || step == STEP_ASK)
		forget(u, (e == OK && !u->known) || u->kept);
}

static void
finished(uv_work_t *work, int status)
{
	struct upload *u = work->data, *waiter = u->waiter;

	u->running = false;
	u->waiter = NULL;
	settle(u);
	if (waiter != NULL)
		begin_waiter(waiter);
}

static void
begin_waiter(struct upload *u)
{
	struct upload *waiter = u->waiter;
	bool was_dropped = u->dropped, asks = u->step == STEP_ASK;

	if (!was_dropped && !u->stopped) {
		queue(u);
		return;
	}
	u->running = false;
	u->waiter = NULL;
	if (!was_dropped)
		u->done(u->ctx, ERR_CANCELED); /* drops it, unless it asks */
	if (was_dropped || asks)
		forget(u, false);
	if (waiter != NULL)
		begin_waiter(waiter);
}

/* Puts one with a ticket into the list; returns the newest that had the same, or NULL. */
static struct upload *
enlist(struct upload *u)
{
	struct upload *before = u->box->ticketed;

	if (u->ticket[0] == '\0')
		return NULL;
	u->next = before;
	u->box->ticketed = u;
	while (before != NULL && strcmp(before->ticket, u->ticket) != 0)
		before = before->next;
	return before;
}

/* The line of an earlier one with this ticket is dead, or its client would not have come again. */
static void
begin(struct upload *u, enum step step, upload_cb done, void *ctx)
{
	struct upload *before = enlist(u);

	set_step(u, step, done, ctx);
	if (before != NULL)
		before->stopped = true;
	if (before != NULL && before->running)
		before->waiter = u;
	else
		queue(u);
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
	if (u->ticket[0] != '\0')
		name += TICKET_HEX + 1;
	for (i = 0; name[i] != '\0' && n < NAME_KEPT; i++) {
		char c = name[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '-' || c == '_' || (c == '.' && n > 0))
			kept[n++] = c;
	}
	kept[n] = '\0';
	for (i = 0; i < (peer->family == ADDR_V4 ? 4u : 16u); i++)
		(void)snprintf(ip + 2 * i, 3, "%02x", peer->ip[i]);
	if (u->ticket[0] == '\0')
		(void)snprintf(
		    u->part, sizeof(u->part), DROPBOX_PART "%016llx", (unsigned long long)r1);
	(void)snprintf(u->name, sizeof(u->name), "%.4s%.2s%.5s%.2s%.2sZ_%s_%016llx_%s", when,
	    when + 5, when + 8, when + 14, when + 17, ip, (unsigned long long)r2,
	    n > 0 ? kept : "unnamed");
}

static struct upload *
upload_new(struct dropbox *b, const char *name)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->work.data = u;
	u->box = b;
	u->fd = -1;
	if (ticket_in_name(name)) {
		memcpy(u->ticket, name, TICKET_HEX);
		(void)snprintf(u->part, sizeof(u->part), DROPBOX_OPEN "%s", u->ticket);
	}
	return u;
}

enum err
upload_begin(
    struct upload **out, struct dropbox *b, const struct upload_order *o, upload_cb done, void *ctx)
{
	struct sender *s = dropbox_sender(b, o->peer);
	enum err e = dropbox_quota(b, s);
	struct upload *u;

	*out = NULL;
	if (e != OK)
		return e;
	u = upload_new(b, o->name);
	if (u == NULL)
		return ERR_NOMEM;
	u->sender = s;
	u->announced = o->announced;
	u->offset = o->rest;
	u->append = o->append;
	s->files++;
	b->files++;
	choose_names(u, o->peer, o->name);
	u->rescan = clock_mono_ms() - b->scanned_ms >= DROPBOX_RESCAN_MS;
	if (u->rescan)
		b->scanned_ms = clock_mono_ms();
	*out = u;
	begin(u, STEP_OPEN, done, ctx);
	return OK;
}

enum err
upload_ask(struct upload **out, struct dropbox *b, const char *name, upload_cb done, void *ctx)
{
	struct upload *u = upload_new(b, name);

	*out = u;
	if (u == NULL)
		return ERR_NOMEM;
	begin(u, STEP_ASK, done, ctx);
	return OK;
}

uint64_t
upload_have(const struct upload *u)
{
	return u->found;
}

/* Taken and counted before it is written; a refused byte was never stored. */
static enum err
take(struct upload *u, size_t n)
{
	struct dropbox *b = u->box;

	if (u->stopped)
		return ERR_CANCELED;
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

	if (e != OK || u->known) {
		done(ctx, e);
		return;
	}
	u->p = p;
	u->n = n;
	go(u, STEP_WRITE, done, ctx);
}

/* In stream mode the end of a connection is the end of a file, and what a dying line makes too. */
void
upload_commit(struct upload *u, upload_cb done, void *ctx)
{
	if (!u->stopped && (u->known || u->size >= u->announced)) {
		go(u, STEP_COMMIT, done, ctx);
		return;
	}
	upload_drop(u);
	done(ctx, u->stopped ? ERR_CANCELED : ERR_CLOSED);
}

void
upload_drop(struct upload *u)
{
	if (u == NULL)
		return;
	u->dropped = true;
	if (!u->running)
		drop(u);
}
