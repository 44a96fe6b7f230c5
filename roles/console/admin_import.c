/* admin_import.c - events that came on a stick (proto/event_bundle.h). Each request carries the
 * bundle's signed last line, so that nothing is remembered between requests: a batch is stored as
 * on 2225, in a transaction of its own, and the end asks the database what is whole. Who imports
 * twice, or after a crash in between, stores nothing twice. */
#include "admin_api.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "call.h"
#include "facts.h"
#include "ingest.h"
#include "proto/enroll.h"
#include "proto/event_bundle.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

struct import {
	struct ingest *ingest;
	char *ca, *cert, *key; /* the loop may renew its own copies meanwhile */
	struct event_bundle bundle;
	struct agent_row agent;
	bool conflict;
};

static void
import_free(void *p)
{
	struct import *x = p;

	event_bundle_free(&x->bundle);
	if (x->key != NULL)
		explicit_bzero(x->key, strlen(x->key));
	free(x->ingest);
	free(x->ca);
	free(x->cert);
	free(x->key);
	free(x);
}

static struct import *
import_new(const struct identity *id)
{
	struct import *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->ingest = ingest_new();
	x->ca = strdup(buf_text(&id->ca));
	x->cert = strdup(buf_text(&id->cert));
	x->key = strdup(buf_text(&id->key));
	if (x->ingest != NULL && x->ca != NULL && x->cert != NULL && x->key != NULL)
		return x;
	import_free(x);
	return NULL;
}

/* Whose bundle it is: call->code is set when it is nobody's that we believe. *rest is what follows
 * the line in the body. */
static enum err
open_bundle(struct import *x, struct call *call, struct db *db, size_t *rest)
{
	struct pki_trust trust = { .ca_pem = x->ca,
		.expired_grace_ms = ENROLL_RENEW_GRACE_DAYS * 86400000ll };
	const char *p = buf_text(&call->body), *end = memchr(p, '\n', call->body.len);
	size_t n = end == NULL ? call->body.len : (size_t)(end - p);
	struct fault f = { 0 };
	enum err e = event_bundle_read(&x->bundle, p, n, &f);

	*rest = end == NULL ? n : n + 1;
	if (e == OK)
		e = event_bundle_check(
		    &x->bundle, &trust, call->c->o->org, clock_wall_ms(), &call->peer, &f);
	if (e == ERR_NOMEM)
		return e;
	if (e == ERR_PARSE || e == ERR_TOOBIG)
		return call_refuse(call, 400, "malformed", "%s", fault_text(&f));
	if (e != OK)
		return call_refuse(call, 403, "not-proved", "%s", fault_text(&f));
	e = store_agent_get(db, x->bundle.agent, &x->agent);
	if (e == ERR_NOTFOUND)
		return call_refuse(call, 403, "unknown-agent", "agent %s was never enrolled here",
		    x->bundle.agent);
	if (e == OK && x->agent.revoked)
		return call_refuse(call, 403, "revoked", "agent %s is revoked", x->bundle.agent);
	return e;
}

static bool
is_listed(const struct event_bundle *b, const void *p, size_t n)
{
	uint8_t sha[PKI_SHA256];

	pki_sha256(sha, p, n);
	for (size_t i = 0; i < b->n; i++)
		if (b->batches[i].bytes == n && memcmp(b->batches[i].sha256, sha, sizeof(sha)) == 0)
			return true;
	return false;
}

static enum err
work_batch(struct call *call, struct db *db)
{
	struct import *x = call->extra;
	size_t at;
	enum err e = open_bundle(x, call, db, &at);

	if (e != OK || call->code != NULL)
		return e;
	if (!is_listed(&x->bundle, call->body.data + at, call->body.len - at))
		return call_refuse(
		    call, 400, "not-of-bundle", "the bundle's signature does not name this batch");
	buf_consume(&call->body, at);
	return ingest_work(x->ingest, call, db);
}

static void
finish_batch(struct call *call)
{
	struct import *x = call->extra;

	ingest_finish(x->ingest, call);
}

/* ---- the end ---- */

static enum err
is_stored(struct db *db, const char *source, const struct event_bundle *b,
    const struct event_bundle_batch *x, bool *whole)
{
	int64_t n = 0;
	enum err e = db_number(db, &n,
	    "SELECT count(*) FROM events WHERE source = ? AND epoch = ? AND class = ? AND seq"
	    " BETWEEN ? AND ?",
	    "tttii", source, b->epoch, event_class_word(x->class), (int64_t)x->first,
	    (int64_t)x->last);

	*whole = n == (int64_t)x->last - x->first + 1;
	return e;
}

/* Of each class up to the first batch that is not there. */
static enum err
find_stored(
    struct import *x, struct call *call, struct db *db, struct event_bundle_ack *ack, bool *whole)
{
	bool broken[EVENT_CLASSES] = { false };
	struct buf source;
	enum err e;

	buf_init(&source, 512);
	e = event_source(&source, call->c->o->org, x->bundle.agent);
	*whole = true;
	for (size_t i = 0; e == OK && i < x->bundle.n; i++) {
		const struct event_bundle_batch *b = &x->bundle.batches[i];
		bool there = false;

		if (!broken[b->class])
			e = is_stored(db, buf_text(&source), &x->bundle, b, &there);
		if (there)
			ack->upto[b->class] = b->last;
		else
			broken[b->class] = true;
		*whole = *whole && there;
	}
	buf_free(&source);
	return e;
}

static enum err
add_answer(struct import *x, cJSON *o, const struct buf *ack, bool whole)
{
	cJSON *receipts;
	enum err e = json_add_string(o, "agent", x->bundle.agent);

	if (e == OK)
		e = json_add_string(o, "host", x->agent.host);
	if (e == OK)
		e = json_add_string(o, "bundle", x->bundle.name);
	if (e == OK)
		e = json_add_time(o, "created", x->bundle.created_ms);
	if (e == OK)
		e = json_add_bool(o, "whole", whole);
	if (e == OK)
		e = json_add_bool(o, "conflict", x->conflict);
	if (e == OK)
		e = json_add_bool(o, "more", x->bundle.more);
	receipts = e == OK ? cJSON_Duplicate(x->bundle.receipts, 1) : NULL;
	if (receipts == NULL || !cJSON_AddItemToObject(o, "receipts", receipts)) {
		cJSON_Delete(receipts);
		return ERR_NOMEM;
	}
	return json_add_string(o, "ack", buf_text(ack));
}

static enum err
answer_end(struct import *x, struct call *call, const struct event_bundle_ack *ack, bool whole)
{
	struct event_bundle_about about = { .org = call->c->o->org,
		.cert_pem = x->cert,
		.key_pem = x->key,
		.created_ms = clock_wall_ms() };
	cJSON *o = cJSON_CreateObject();
	struct fault f = { 0 };
	struct buf line;
	enum err e;

	buf_init(&line, LIMIT_PEM);
	e = o == NULL ? ERR_NOMEM : event_bundle_ack_make(&line, ack, &about, &f);
	if (e == OK)
		e = add_answer(x, o, &line, whole);
	buf_free(&line);
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

static enum err
work_end(struct call *call, struct db *db)
{
	struct import *x = call->extra;
	struct event_bundle_ack ack = { .conflict = x->conflict };
	const cJSON *receipt;
	bool whole = false;
	size_t rest;
	enum err e = open_bundle(x, call, db, &rest);

	if (e != OK || call->code != NULL)
		return e;
	memcpy(ack.agent, call->peer.name, sizeof(ack.agent));
	memcpy(ack.bundle, x->bundle.name, sizeof(ack.bundle));
	/* Where numbers are known with other events, counting rows says nothing. */
	if (!x->conflict)
		e = find_stored(x, call, db, &ack, &whole);
	cJSON_ArrayForEach(receipt, x->bundle.receipts) if (e == OK) e =
	    facts_receipt(db, x->bundle.agent, receipt);
	return e == OK ? answer_end(x, call, &ack, whole) : e;
}

static void
start(struct console *c, struct http_req *req, bool end)
{
	struct call *call = call_new(c, req);
	struct import *x;

	if (call == NULL)
		return;
	call->extra = x = import_new(&c->id);
	call->extra_free = import_free;
	call->trailed = !end; /* one line in the trail for a bundle */
	if (x == NULL) {
		call->extra_free = NULL;
		call_fail(call);
		return;
	}
	x->conflict = http_query(req, "conflict") != NULL;
	call_start(call, end ? work_end : work_batch, end ? NULL : finish_batch);
}

void
admin_import(struct http_req *req, void *ctx)
{
	start(ctx, req, false);
}

void
admin_import_end(struct http_req *req, void *ctx)
{
	start(ctx, req, true);
}
