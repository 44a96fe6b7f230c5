/* carry.c - the agent's side of carry.h. */
#include "carry.h"

#include "agent.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "events.h"
#include "feed_store.h"
#include "identity.h"
#include "os/file.h"
#include "os/peer.h"
#include "policies.h"
#include "proto/enroll.h"
#include "store/spool.h"
#include "update.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_MAX ((size_t)SPOOL_SEQ_MAX)

/* Root and the agent's own user: a bundle holds what every user of this PC reported. */
static bool
may_carry(struct http_req *r, struct agent *a)
{
	struct peer_id who;

	if (events_sender(r, &who) != OK || (who.uid != 0 && who.uid != geteuid())) {
		http_problem(r, 403, "not-permitted", "only root and the agent's user may do this");
		return false;
	}
	if (a->identity == NULL) {
		http_problem(
		    r, 409, "not-enrolled", "this PC is not enrolled; run atalaia-agent enroll");
		return false;
	}
	return true;
}

/* --- receipts: what came of updates here --- */

static enum err
add_rejected(cJSON *list, const struct feed_rejected *x)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_u64(o, "version", x->version);

	if (e == OK)
		e = json_add_string(o, "sha256", x->sha256);
	if (e == OK)
		e = json_add_string(o, "rule", x->rule);
	if (e == OK)
		e = json_add_string(o, "why", x->why);
	if (e == OK)
		e = json_add_time(o, "at", x->at);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

static enum err
add_receipt(cJSON *list, const struct update_view *v)
{
	cJSON *o = cJSON_CreateObject(), *rejected;
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "feed", v->feed);

	if (e == OK)
		e = json_add_u64(o, "version", v->facts->version);
	if (e == OK)
		e = json_add_string(o, "sha256", v->facts->sha256);
	if (e == OK)
		e = json_add_time(o, "activated", v->facts->activated);
	if (e == OK)
		e = json_add_array(o, "rejected", &rejected);
	for (size_t i = 0; e == OK && i < v->facts->n_rejected; i++)
		e = add_rejected(rejected, &v->facts->rejected[i]);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

static cJSON *
receipts(struct agent *a)
{
	cJSON *list = cJSON_CreateArray();
	struct update_view v;
	enum err e = list == NULL ? ERR_NOMEM : OK;

	for (size_t i = 0; e == OK && updates_view(a->updates, i, &v); i++)
		e = add_receipt(list, &v);
	if (e == OK)
		return list;
	cJSON_Delete(list);
	return NULL;
}

/* --- export --- */

struct exporting {
	struct http_req *r; /* NULL: the client has gone */
	char state[LIMIT_STATE_PATH], org[PKI_NAME], agent[PKI_NAME];
	struct buf cert, key, source;
	cJSON *receipts;
	int64_t now;
	int fd;
	struct event_bundle_writer *writer;
	enum event_class class;
	struct event_bundle_mark mark;
};

static void
export_free(struct exporting *x)
{
	if (x->fd >= 0)
		(void)close(x->fd);
	buf_free(&x->cert);
	buf_wipe(&x->key);
	buf_free(&x->source);
	cJSON_Delete(x->receipts);
	event_bundle_drop(x->writer);
	free(x);
}

static enum err
put_bytes(void *ctx, const void *p, size_t n)
{
	return file_write_all(((struct exporting *)ctx)->fd, p, n);
}

static enum err
put_row(void *ctx, const struct spool_row *row)
{
	struct exporting *x = ctx;

	return event_bundle_add(x->writer, x->class, row->seq, row->p, row->n);
}

static enum err
put_classes(struct exporting *x, struct spool_db *db, struct fault *f)
{
	enum err e = OK;

	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++) {
		x->class = (enum event_class)c;
		e = spool_db_read(db, c, 0, ROWS_MAX, SIZE_MAX, put_row, x, f);
	}
	return e == ERR_TOOBIG ? OK : e; /* full: the mark says that more waits */
}

/* In the spool's worker: a bundle is one moment of the spool. Remembered before it is handed out.
 */
static enum err
export_work(void *ctx, struct spool_db *db, struct fault *f)
{
	struct exporting *x = ctx;
	struct event_bundle_about about = { x->org, x->agent, buf_text(&x->cert), buf_text(&x->key),
		x->now };
	cJSON *receipts = x->receipts;
	struct spool_state state;
	enum err e = file_unnamed(x->state, &x->fd, f);

	spool_db_state(db, &state);
	if (e == OK)
		e = event_bundle_new(&x->writer, buf_text(&x->source), state.epoch, put_bytes, x);
	if (e == OK)
		e = put_classes(x, db, f);
	if (e == OK) {
		x->receipts = NULL; /* taken, also on failure */
		e = event_bundle_finish(x->writer, &about, receipts, &x->mark, f);
	}
	return e == OK ? carry_remember(x->state, &x->mark, f) : e;
}

static void
export_done(void *ctx, const struct spool_answer *a)
{
	struct exporting *x = ctx;

	if (x->r != NULL && a->err != OK) {
		http_problem(x->r, 503, "not-exported", "the events are not exported: %s",
		    a->fault->code != OK ? fault_text(a->fault) : err_text(a->err));
	} else if (x->r != NULL) {
		http_set(x->r, "Atalaia-Bundle", x->mark.name);
		http_setf(x->r, "Atalaia-Events", "%" PRIu64, x->mark.events);
		http_set(x->r, "Atalaia-More", x->mark.more ? "yes" : "no");
		http_reply_file(x->r, 200, "application/octet-stream", x->fd, 0, x->mark.bytes);
		x->fd = -1;
	}
	if (a->err == OK)
		log_info("events.exported", "bundle=%s events=%" PRIu64 " more=%s", x->mark.name,
		    x->mark.events, x->mark.more ? "yes" : "no");
	export_free(x);
}

static void
export_gone(struct http_req *r, void *ctx)
{
	(void)r;
	((struct exporting *)ctx)->r = NULL;
}

static enum err
export_fill(struct exporting *x, struct agent *a)
{
	const char *org = identity_org(a->identity), *agent = identity_agent(a->identity);
	const char *state = a->conf->state;
	enum err e = text_copy(x->state, sizeof x->state, state, strlen(state));

	buf_init(&x->cert, LIMIT_PEM);
	buf_init(&x->key, LIMIT_PEM);
	buf_init(&x->source, 512);
	if (e == OK)
		e = text_copy(x->org, sizeof x->org, org, strlen(org));
	if (e == OK)
		e = text_copy(x->agent, sizeof x->agent, agent, strlen(agent));
	if (e == OK)
		e = buf_puts(&x->cert, identity_cert_pem(a->identity));
	if (e == OK)
		e = buf_puts(&x->key, identity_key_pem(a->identity));
	if (e == OK)
		e = event_source(&x->source, org, agent);
	x->receipts = receipts(a);
	x->now = agent_now(a);
	return e == OK && x->receipts == NULL ? ERR_NOMEM : e;
}

void
carry_export(struct http_req *r, void *ctx)
{
	struct agent *a = events_owner(ctx);
	struct exporting *x;
	enum err e;

	if (!may_carry(r, a))
		return;
	x = calloc(1, sizeof *x);
	if (x == NULL) {
		http_problem(r, 503, "no-memory", "memory ran out");
		return;
	}
	x->r = r;
	x->fd = -1;
	e = export_fill(x, a);
	if (e == OK)
		e = spool_visit(events_spool(ctx), export_work, export_done, x);
	if (e == OK) {
		http_on_cancel(r, export_gone, x);
		return;
	}
	http_problem(r, 503, "not-exported", "the events are not exported: %s", err_text(e));
	export_free(x);
}

/* --- acknowledgements --- */

struct acking {
	struct http_req *r; /* NULL: the client has gone */
	struct events *ev;
	char state[LIMIT_STATE_PATH];
	struct event_bundle_ack ack;
	struct event_bundle_mark mark;
};

static void
ack_gone(struct http_req *r, void *ctx)
{
	(void)r;
	((struct acking *)ctx)->r = NULL;
}

static void
ack_reply(struct acking *x, const char *outcome)
{
	cJSON *o = cJSON_CreateObject(), *upto = NULL;
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "outcome", outcome);

	if (e == OK)
		e = json_add_object(o, "upto", &upto);
	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++)
		if (x->ack.upto[c] > 0)
			e = json_add_u64(
			    upto, event_class_word((enum event_class)c), x->ack.upto[c]);
	log_info("events.acknowledged", "bundle=%s outcome=%s", x->ack.bundle, outcome);
	if (x->r != NULL && e == OK)
		http_reply_json(x->r, 200, o);
	else if (x->r != NULL)
		http_problem(x->r, 503, "no-memory", "memory ran out");
	cJSON_Delete(o);
	free(x);
}

static void
ack_spooled(void *ctx, const struct spool_answer *a)
{
	struct acking *x = ctx;

	if (a->err == OK || a->err == ERR_NOTFOUND) {
		ack_reply(x, a->err != OK ? "old" : x->ack.conflict ? "conflict" : "taken");
		return;
	}
	if (x->r != NULL)
		http_problem(
		    x->r, 503, "not-stored", "the spool did not take it: %s", fault_text(a->fault));
	free(x);
}

static void
ack_known(void *ctx, const struct spool_answer *a)
{
	struct acking *x = ctx;
	struct spool *sp = events_spool(x->ev);
	struct spool_stats s = spool_stats(sp);
	enum err e = a->err;

	for (unsigned c = 0; c < EVENT_CLASSES; c++)
		if (x->ack.upto[c] > x->mark.upto[c])
			x->ack.upto[c] = x->mark.upto[c]; /* never beyond what was exported */
	if (e == OK && x->ack.conflict && strcmp(s.state.epoch, x->mark.epoch) != 0) {
		ack_reply(x, "old");
		return;
	}
	if (e == OK)
		e = x->ack.conflict ? spool_new_epoch(sp, ack_spooled, x)
				    : spool_ack_of(sp, x->mark.epoch, x->ack.upto, ack_spooled, x);
	if (e == OK)
		return;
	if (x->r != NULL && e == ERR_NOTFOUND)
		http_problem(x->r, 404, "unknown-bundle", "%s", fault_text(a->fault));
	else if (x->r != NULL)
		http_problem(x->r, 503, "busy", "%s", err_text(e));
	free(x);
}

/* In the spool's worker, which the spool's end waits for. */
static enum err
ack_work(void *ctx, struct spool_db *db, struct fault *f)
{
	struct acking *x = ctx;

	(void)db;
	return carry_recall(x->state, x->ack.bundle, &x->mark, f);
}

static enum err
ack_read(struct agent *a, struct event_bundle_ack *ack, struct http_req *r, struct fault *f)
{
	struct identity_trust t;
	const uint8_t *body;
	size_t n;
	enum err e = identity_trust_make(&t, a->identity, policies_authority(a->policies));

	body = http_body(r, &n);
	while (n > 0 && body[n - 1] == '\n')
		n--;
	t.trust.expired_grace_ms = ENROLL_RENEW_GRACE_DAYS * 86400000ll;
	if (e == OK)
		e = event_bundle_ack_read(ack, (const char *)body, n, &t.trust,
		    identity_org(a->identity), agent_now(a), f);
	identity_trust_free(&t);
	return e;
}

void
carry_acks(struct http_req *r, void *ctx)
{
	struct agent *a = events_owner(ctx);
	struct event_bundle_ack ack;
	struct fault f = { 0 };
	struct acking *x;
	enum err e;

	if (!may_carry(r, a))
		return;
	e = ack_read(a, &ack, r, &f);
	if (e != OK) {
		http_problem(r, e == ERR_NOMEM ? 503 : 403, "not-proved", "%s", fault_text(&f));
		return;
	}
	if (strcmp(ack.agent, identity_agent(a->identity)) != 0) {
		http_problem(r, 404, "not-ours", "it is for agent %s", ack.agent);
		return;
	}
	x = calloc(1, sizeof *x);
	if (x == NULL ||
	    text_copy(x->state, sizeof x->state, a->conf->state, strlen(a->conf->state)) != OK) {
		free(x);
		http_problem(r, 503, "no-memory", "memory ran out");
		return;
	}
	x->r = r;
	x->ev = ctx;
	x->ack = ack;
	e = spool_visit(events_spool(ctx), ack_work, ack_known, x);
	if (e == OK) {
		http_on_cancel(r, ack_gone, x);
		return;
	}
	free(x);
	http_problem(r, 503, "busy", "%s", err_text(e));
}
