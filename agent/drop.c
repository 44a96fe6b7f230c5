/* drop.c - see drop.h. */
#include "drop.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "fetch_job.h"
#include "identity.h"
#include "net/pki.h"
#include "os/file.h"
#include "os/rand.h"
#include "policies.h"
#include "proto/dropped.h"
#include "proto/upload.h"
#include "update_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES_MAX 11u /* with the pauses about half an hour, half of what a collect task may take  \
		       */
#define FIRST_PAUSE_MS 1000u
#define MAX_PAUSE_MS 900000u

struct drop {
	struct agent *agent;
	struct dropped head;
	char dir[4200], path[4300], sealed[4300];
	struct buf cert, key; /* the worker's own copies: a renewal may come meanwhile */
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
	char name[120];
	struct fetch_send s = { .file = d->sealed, .name = name, .sources = list };
	struct fault f = { 0 };
	size_t all = agent_sources(a, list, LIMIT_SOURCES, false);

	for (size_t i = 0; i < all; i++)
		if (list[i].ftp != 0)
			list[s.n_sources++] = list[i];
	(void)snprintf(name, sizeof name, "%.23s.%s", d->head.task, d->head.name);
	s.proxy = a->conf->proxy;
	s.rate_limit = policy_size(policies_effective(a->policies), "update.rate_limit");
	if (s.n_sources == 0)
		again(d, "no source has an FTP port");
	else if (fetch_send_start(&d->job, a, &s, &handlers, d, &f) != OK)
		again(d, fault_text(&f));
}

static void
seal_work(uv_work_t *w)
{
	struct drop *d = w->data;
	struct buf whole, out;
	uint8_t sum[PKI_SHA256];
	struct fault f = { 0 };
	enum err e;

	buf_init(&whole, LIMIT_UPLOAD_BYTES);
	buf_init(&out, LIMIT_UPLOAD_BYTES + DROPPED_HEAD_MAX);
	e = file_read(d->path, &whole, &f);
	if (e == ERR_NOTFOUND)
		e = ERR_STATE;
	if (e == OK) {
		pki_sha256(sum, whole.data, whole.len);
		text_hex(d->head.sha256, sum, sizeof sum);
		d->head.size = whole.len;
		e = dropped_seal(&out, &d->head, buf_text(&d->cert), buf_text(&d->key), &f);
	}
	if (e == OK)
		e = buf_append(&out, whole.data, whole.len);
	if (e == OK)
		e = file_make_dirs(d->dir, 0750, &f);
	if (e == OK)
		e = file_replace(d->sealed, out.data, out.len, 0640, &f);
	d->err = e;
	(void)snprintf(d->why, sizeof d->why, "%s", fault_text(&f));
	buf_free(&whole);
	buf_free(&out);
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
