/* drop.c - see drop.h. */
#include "drop.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch_job.h"
#include "identity.h"
#include "os/file.h"
#include "os/rand.h"
#include "policies.h"
#include "proto/dropped.h"
#include "proto/ticket.h"
#include "proto/upload.h"
#include "update/hash_file.h"
#include "update_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With the pauses about half an hour, half of what a collect task may take. */
#define TRIES_MAX 11u
#define FIRST_PAUSE_MS 1000u
#define MAX_PAUSE_MS 900000u

struct drop {
	struct agent *agent;
	struct dropped head;
	char dir[4200], path[4300], sealed[4300];
	char name[TICKET_TEXT + 60]; /* what the box is to call it */
	struct buf cert, key;	     /* the worker's own copies: a renewal may come meanwhile */
	struct fetch_job *job;
	uv_work_t work;
	uv_timer_t timer;
	unsigned fails;
	enum err err;
	char why[400];
	bool busy, canceled, ending;
	void (*done)(void *ctx, enum err e, const char *why);
	void *ctx;
};

static void send_sealed(struct drop *d);

static void
timer_closed(uv_handle_t *h)
{
	struct drop *d = h->data;

	(void)unlink(d->sealed); /* absent when it was never made */
	d->done(d->ctx, d->err, d->why);
	buf_free(&d->cert);
	buf_wipe(&d->key);
	free(d);
}

static void
end(struct drop *d, enum err e, const char *why)
{
	if (d->ending)
		return;
	d->ending = true;
	d->err = e;
	(void)snprintf(d->why, sizeof d->why, "%s", why);
	uv_close((uv_handle_t *)&d->timer, timer_closed);
}

static void
on_timer(uv_timer_t *t)
{
	send_sealed(t->data);
}

static void
again(struct drop *d, const char *why)
{
	uint64_t pause = FIRST_PAUSE_MS;

	log_info("drop.later", "task=%s name=%s why=%s", d->head.task, d->head.name, log_q(why));
	if (++d->fails >= TRIES_MAX) {
		end(d, ERR_UNREACHABLE, why);
		return;
	}
	for (unsigned i = 1; i < d->fails && pause < MAX_PAUSE_MS; i++)
		pause *= 2;
	pause += rand_below((uint32_t)pause);
	(void)uv_timer_start(&d->timer, on_timer, pause, 0);
}

static void
sent(void *ctx, const struct fetch_result *r)
{
	struct drop *d = ctx;

	d->job = NULL;
	if (r->outcome == FETCH_SENT)
		end(d, OK, r->source);
	else if (d->canceled)
		end(d, ERR_CANCELED, "stopped on request");
	else
		again(d, r->why);
}

static void
send_sealed(struct drop *d)
{
	static const struct fetch_handlers handlers = { NULL, sent };
	struct agent *a = d->agent;
	struct source list[LIMIT_SOURCES];
	struct fetch_send s = { .file = d->sealed, .name = d->name, .sources = list };
	struct fault f = { 0 };
	size_t all = agent_sources(a, list, LIMIT_SOURCES, false);

	for (size_t i = 0; i < all; i++)
		if (list[i].ftp != 0)
			list[s.n_sources++] = list[i];
	s.proxy = a->conf->proxy;
	s.rate_limit = policy_size(policies_effective(a->policies), "update.rate_limit");
	if (s.n_sources == 0)
		again(d, "no source has an FTP port");
	else if (fetch_send_start(&d->job, a, &s, &handlers, d, &f) != OK)
		again(d, fault_text(&f));
}

/* The head, then the bytes that it speaks of; a log may have grown meanwhile. */
static enum err
copy_behind(int in, int out, const struct buf *head, uint64_t size)
{
	char piece[65536];
	uint64_t at = 0;
	enum err e = file_write_all(out, head->data, head->len);

	while (e == OK && at < size) {
		size_t want = size - at < sizeof piece ? (size_t)(size - at) : sizeof piece;
		ssize_t n = pread(in, piece, want, (off_t)at);

		if (n <= 0)
			return ERR_IO;
		at += (uint64_t)n;
		e = file_write_all(out, piece, (size_t)n);
	}
	return e == OK ? file_sync(out) : e;
}

static enum err
write_sealed(const struct drop *d, int in, const struct buf *head)
{
	char part[4400];
	int out;
	enum err e;

	(void)snprintf(part, sizeof part, "%s.part", d->sealed);
	out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (out < 0)
		return err_from_errno(errno);
	e = copy_behind(in, out, head, d->head.size);
	if (close(out) != 0 && e == OK)
		e = ERR_IO;
	if (e == OK && rename(part, d->sealed) != 0)
		e = err_from_errno(errno);
	if (e != OK)
		(void)unlink(part);
	return e;
}

/* Under the same name and with the same content it is the same upload, whenever it is sent. */
static enum err
name_sealed(struct drop *d)
{
	char secret[200], sha[HASH_SHA256_TEXT], plain[60];
	int fd = open(d->sealed, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum err e = fd < 0 ? err_from_errno(errno) : hash_file(fd, 0, UINT64_MAX, sha, NULL);

	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(plain, sizeof plain, "%.23s.%s", d->head.task, d->head.name);
	(void)snprintf(
	    secret, sizeof secret, "collect %s %s %s", d->head.agent, d->head.task, d->head.name);
	return e == OK ? ticket_name(d->name, sizeof d->name, secret, sha, plain) : e;
}

static void
seal_work(uv_work_t *w)
{
	struct drop *d = w->data;
	int in = open(d->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct buf head;
	struct fault f = { 0 };
	enum err e = in < 0 ? err_from_errno(errno) : OK;

	buf_init(&head, DROPPED_HEAD_MAX);
	if (e == OK)
		e = hash_file(in, 0, LIMIT_UPLOAD_BYTES + 1, d->head.sha256, &d->head.size);
	if (e == OK && d->head.size > LIMIT_UPLOAD_BYTES)
		e = ERR_TOOBIG;
	if (e == OK)
		e = dropped_seal(&head, &d->head, buf_text(&d->cert), buf_text(&d->key), &f);
	if (e == OK)
		e = file_make_dirs(d->dir, 0750, &f);
	if (e == OK)
		e = write_sealed(d, in, &head);
	if (e == OK)
		e = name_sealed(d);
	if (in >= 0)
		(void)close(in);
	d->err = e == ERR_NOTFOUND ? ERR_STATE : e;
	(void)snprintf(d->why, sizeof d->why, "%s", f.code == OK ? err_text(e) : fault_text(&f));
	buf_free(&head);
}

static void
sealed(uv_work_t *w, int status)
{
	struct drop *d = w->data;
	char why[400];

	d->busy = false;
	memcpy(why, d->why, sizeof why);
	if (d->canceled)
		end(d, ERR_CANCELED, "stopped on request");
	else if (d->err != OK)
		end(d, d->err, why);
	else
		send_sealed(d);
}

static enum err
fill(struct drop *d, struct agent *a, const struct drop_order *o)
{
	const struct identity *id = a->identity;
	enum err e = buf_puts(&d->cert, identity_cert_pem(id));

	if (e == OK)
		e = buf_puts(&d->key, identity_key_pem(id));
	(void)snprintf(d->head.agent, sizeof d->head.agent, "%s", identity_agent(id));
	(void)snprintf(d->head.task, sizeof d->head.task, "%s", o->task);
	(void)snprintf(d->head.name, sizeof d->head.name, "%s", o->name);
	(void)snprintf(d->path, sizeof d->path, "%s", o->path);
	(void)snprintf(d->dir, sizeof d->dir, "%s/collect", a->conf->state);
	if (snprintf(d->sealed, sizeof d->sealed, "%s/%s.%s.sealed", d->dir, o->task, o->name) >=
	    (int)sizeof d->sealed)
		e = ERR_TOOBIG;
	return e;
}

enum err
drop_start(struct drop **out, struct agent *a, const struct drop_order *o)
{
	struct drop *d = a->identity == NULL ? NULL : calloc(1, sizeof *d);
	enum err e;

	if (d == NULL)
		return a->identity == NULL ? ERR_STATE : ERR_NOMEM;
	buf_init(&d->cert, LIMIT_PEM_BYTES);
	buf_init(&d->key, LIMIT_PEM_BYTES);
	e = fill(d, a, o);
	if (e != OK) {
		buf_free(&d->cert);
		buf_wipe(&d->key);
		free(d);
		return e;
	}
	d->agent = a;
	d->done = o->done;
	d->ctx = o->ctx;
	d->work.data = d->timer.data = d;
	d->busy = true;
	(void)uv_timer_init(&a->loop, &d->timer);
	(void)uv_queue_work(&a->loop, &d->work, seal_work, sealed);
	*out = d;
	return OK;
}

void
drop_cancel(struct drop *d)
{
	d->canceled = true;
	if (d->job != NULL)
		fetch_stop(d->job);
	else if (!d->busy)
		end(d, ERR_CANCELED, "stopped on request");
}
