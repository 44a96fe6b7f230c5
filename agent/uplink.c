/* uplink.c - the sender as one machine: read, build, send, settle, wait. */
#include "uplink.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/rand.h"
#include "uplink_gzip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_MS 200u /* telemetry waits so long for company */
#define BACKOFF_FIRST_MS 1000u
#define BACKOFF_LAST_MS 300000u
#define PACE_MS 300u /* between batches of a backlog, plus or minus a half */
#define PAUSE_EPOCH_MS                                                                             \
	60000u /* a second conflict so soon after a new epoch is no restored disk                  \
		*/

enum state { IDLE, WAITING, READING, BUILDING, SENDING, SETTLING };
static const char *const state_words[] = { "idle", "waiting", "reading", "building", "sending",
	"settling" };

struct uplink {
	uv_loop_t *loop;
	struct spool *spool;
	uv_timer_t timer;
	uv_work_t work;
	enum state state;
	struct httpc *http;
	enum uplink_format format;
	char *url, *auth, *source;
	struct httpc_call *call;
	struct spool_batch *batch;
	struct uplink_sent sent;
	struct buf body;
	enum err built;
	size_t limit; /* events of the next batch */
	unsigned fails;
	bool backlog; /* after an outage, until the spool is empty */
	bool gzip_offered, gzip_body, build_gzip, again, closing, target_changed;
	char *build_source; /* the worker's own copy */
	enum uplink_format build_format;
	uint64_t epoch_at;
	struct uplink_stats stats;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void begin(struct uplink *u);

static void
set_state(struct uplink *u, enum state to)
{
	log_debug("uplink.state", "from=%s to=%s", state_words[u->state], state_words[to]);
	u->state = to;
}

static void
timer_closed(uv_handle_t *h)
{
	struct uplink *u = h->data;

	spool_batch_free(u->batch);
	buf_free(&u->body);
	free(u->url);
	free(u->auth);
	free(u->source);
	free(u->build_source);
	if (u->closed != NULL)
		u->closed(u->closed_ctx);
	free(u);
}

/* True when the machine ends here because somebody closed it. */
static bool
ended(struct uplink *u)
{
	if (u->closing && !uv_is_closing((uv_handle_t *)&u->timer))
		uv_close((uv_handle_t *)&u->timer, timer_closed);
	return u->closing;
}

static void
timer_due(uv_timer_t *t)
{
	struct uplink *u = t->data;

	set_state(u, IDLE);
	begin(u);
}

static void
wait_for(struct uplink *u, uint64_t ms)
{
	spool_batch_free(u->batch);
	u->batch = NULL;
	buf_reset(&u->body);
	if (ended(u))
		return;
	set_state(u, WAITING);
	(void)uv_timer_start(&u->timer, timer_due, ms, 0);
}

/* Doubling with full jitter, so that a fleet does not come back as one. */
static uint64_t
backoff_ms(struct uplink *u)
{
	uint64_t top = BACKOFF_FIRST_MS;

	for (unsigned i = 1; i < u->fails && top < BACKOFF_LAST_MS; i++)
		top *= 2;
	if (top > BACKOFF_LAST_MS)
		top = BACKOFF_LAST_MS;
	return top / 2 + rand_below((uint32_t)top / 2 + 1);
}

static void
failed(struct uplink *u, const struct fault *why, uint64_t asked_ms)
{
	uint64_t wait;

	u->fails += u->fails < 32;
	u->stats.errors++;
	u->backlog = true;
	spool_release(u->spool);
	(void)snprintf(u->stats.error, sizeof u->stats.error, "%s", fault_text(why));
	wait = asked_ms > 0 ? asked_ms + rand_below((uint32_t)(asked_ms / 2) + 1) : backoff_ms(u);
	log_warn("uplink.failed", "why=%s tries=%u wait_ms=%" PRIu64, log_q(fault_text(why)),
	    u->fails, wait);
	wait_for(u, wait);
}

static uint64_t
waiting(const struct uplink *u)
{
	struct spool_stats s = spool_stats(u->spool);
	uint64_t depth = 0;

	for (unsigned c = 0; c < EVENT_CLASSES; c++)
		depth += s.state.class[c].depth;
	return depth;
}

/* The batch is settled: what comes next, and how soon? */
static void
next_batch(struct uplink *u)
{
	if (waiting(u) == 0) {
		u->backlog = false;
		spool_batch_free(u->batch);
		u->batch = NULL;
		buf_reset(&u->body);
		if (ended(u))
			return;
		set_state(u, IDLE);
		if (u->again)
			begin(u);
		return;
	}
	wait_for(u, u->backlog ? PACE_MS / 2 + rand_below(PACE_MS) : 0);
}

static void
settled(void *ctx, const struct spool_answer *a)
{
	struct uplink *u = ctx;

	if (a->err != OK && a->err != ERR_NOTFOUND)
		failed(u, a->fault, 0);
	else
		next_batch(u);
}

static void
settle(struct uplink *u, enum err asked)
{
	struct fault f = { OK, "" };

	if (asked == OK)
		return; /* `settled` comes */
	(void)fault_set(&f, asked, "the spool does not take the outcome of a batch");
	failed(u, &f, 0);
}

static void
count_delivered(struct uplink *u, const uint32_t upto[EVENT_CLASSES])
{
	for (size_t i = 0; i < u->sent.n; i++) {
		const struct spool_picked *item = &u->batch->items[i];

		u->stats.delivered[item->class] += item->seq <= upto[item->class];
	}
	u->stats.delivered_ms = (uint64_t)clock_wall_ms();
}

static bool
any(const uint32_t upto[EVENT_CLASSES])
{
	return upto[0] != 0 || upto[1] != 0 || upto[2] != 0;
}

static void
taken(struct uplink *u, const struct uplink_verdict *v)
{
	u->fails = 0;
	u->stats.error[0] = '\0';
	u->limit = u->limit * 2 < LIMIT_BATCH_EVENTS ? u->limit * 2 : LIMIT_BATCH_EVENTS;
	count_delivered(u, v->upto);
	settle(u, spool_ack(u->spool, v->upto, settled, u));
}

static void
bury(struct uplink *u, const struct uplink_verdict *v)
{
	const struct spool_picked *item = &u->batch->items[v->index];

	log_warn("event.dead", "class=%s seq=%u why=%s",
	    event_class_word((enum event_class)item->class), (unsigned)item->seq,
	    log_q(fault_text(&v->fault)));
	u->stats.dead[item->class]++;
	if (any(v->upto)) {
		count_delivered(u, v->upto);
		if (spool_ack(u->spool, v->upto, NULL, NULL) != OK)
			log_warn("uplink.ack", "why=%s", "no memory; these events are sent again");
	}
	settle(u, spool_dead(u->spool, item->class, item->seq, fault_text(&v->fault), settled, u));
}

/* Something is wrong, but part of the batch is stored: that part goes, then the wait begins. */
static void
later(struct uplink *u, const struct uplink_verdict *v)
{
	if (any(v->upto)) {
		count_delivered(u, v->upto);
		if (spool_ack(u->spool, v->upto, NULL, NULL) != OK)
			log_warn("uplink.ack", "why=%s", "no memory; these events are sent again");
	}
	failed(u, &v->fault, v->wait_ms);
}

static void
new_epoch(struct uplink *u, const struct uplink_verdict *v)
{
	uint64_t now = clock_mono_ms();

	if (u->epoch_at != 0 && now - u->epoch_at < PAUSE_EPOCH_MS) {
		failed(u, &v->fault, 0);
		return;
	}
	u->epoch_at = now;
	u->stats.epochs++;
	log_warn("uplink.epoch", "why=%s", log_q(fault_text(&v->fault)));
	settle(u, spool_new_epoch(u->spool, settled, u));
}

static void
decide(struct uplink *u, const struct uplink_verdict *v)
{
	set_state(u, SETTLING);
	switch (v->action) {
	case UPLINK_TAKEN:
		taken(u, v);
		return;
	case UPLINK_BURY:
		bury(u, v);
		return;
	case UPLINK_EPOCH:
		new_epoch(u, v);
		return;
	case UPLINK_HALVE:
		u->limit = u->sent.n > 1 ? u->sent.n / 2 : 1;
		log_info(
		    "uplink.halve", "events=%zu why=%s", u->limit, log_q(fault_text(&v->fault)));
		next_batch(u);
		return;
	case UPLINK_LATER:
		later(u, v);
		return;
	}
}

static void
answered(void *ctx, const struct httpc_response *r)
{
	const char *accept = httpc_field(r, "Accept-Encoding");
	struct uplink *u = ctx;
	struct uplink_verdict v;

	u->call = NULL;
	u->stats.batches++;
	u->stats.bytes_sent += r->bytes_out;
	if (r->err != OK) {
		failed(u, &r->fault, 0);
		return;
	}
	if (r->status == 415 && u->gzip_body) { /* offered once, not any more */
		u->gzip_offered = false;
		next_batch(u);
		return;
	}
	if (accept != NULL)
		u->gzip_offered = uplink_offers_gzip(accept);
	uplink_judge(&v, u->build_format, &u->sent, u->batch, r->status,
	    httpc_field(r, "Retry-After"), r->body, r->len);
	decide(u, &v);
}

static void
send_batch(struct uplink *u)
{
	char type[96], auth[1100];
	const char *headers[4] = { type };
	struct httpc_request q = { .method = "POST",
		.url = u->url,
		.headers = headers,
		.body = u->body.data,
		.body_len = u->body.len,
		.max_body = LIMIT_HTTP_BODY,
		.connect_ms = 15000,
		.total_ms = 60000,
		.done = answered,
		.ctx = u };
	struct fault f = { OK, "" };
	size_t n = 1;

	(void)snprintf(type, sizeof type, "Content-Type: %s", uplink_content_type(u->build_format));
	if (u->gzip_body)
		headers[n++] = "Content-Encoding: gzip";
	if (u->auth != NULL) {
		(void)snprintf(auth, sizeof auth, "Authorization: %s", u->auth);
		headers[n++] = auth;
	}
	set_state(u, SENDING);
	if (httpc_start(u->http, &q, &u->call, &f) != OK)
		failed(u, &f, 0);
}

static void
build_work(uv_work_t *w)
{
	struct uplink *u = w->data;

	buf_reset(&u->body);
	u->built = uplink_build(&u->body, u->batch, u->build_format, u->build_source, u->limit,
	    LIMIT_BATCH_BYTES, &u->sent);
	u->gzip_body = false;
	if (u->built == OK && u->build_gzip)
		u->gzip_body = uplink_gzip(&u->body) == OK;
}

static void
build_done(uv_work_t *w, int status)
{
	struct uplink *u = w->data;
	struct fault f = { OK, "" };
	struct uplink_verdict v = { .action = UPLINK_BURY };

	(void)status;
	if (ended(u))
		return;
	if (u->http == NULL || u->target_changed) {
		wait_for(u, 0);
		return;
	}
	if (u->built ==
	    ERR_PARSE) { /* the first stored form is not one of ours: the disk changed it */
		(void)fault_set(&v.fault, ERR_PARSE, "the stored event is damaged");
		set_state(u, SETTLING);
		bury(u, &v);
		return;
	}
	if (u->built != OK) {
		(void)fault_set(&f, u->built, "a batch cannot be built");
		failed(u, &f, 0);
		return;
	}
	send_batch(u);
}

static void
have_batch(void *ctx, struct spool_batch *take)
{
	struct uplink *u = ctx;

	u->batch = take;
	if (ended(u))
		return;
	if (take->err != OK) {
		failed(u, &take->fault, 0);
		return;
	}
	free(u->build_source);
	u->build_source = u->source != NULL ? strdup(u->source) : NULL;
	if (take->n == 0 || u->http == NULL || u->build_source == NULL) {
		spool_batch_free(take);
		u->batch = NULL;
		set_state(u, IDLE);
		return;
	}
	u->target_changed = false;
	u->build_format = u->format;
	u->build_gzip = u->gzip_offered;
	u->work.data = u;
	set_state(u, BUILDING);
	(void)uv_queue_work(u->loop, &u->work, build_work, build_done);
}

static void
begin(struct uplink *u)
{
	struct fault f = { OK, "" };
	enum err e;

	if (u->state != IDLE || u->closing)
		return;
	u->again = false;
	if (u->http == NULL || u->source == NULL)
		return;
	set_state(u, READING);
	e = spool_read(u->spool, u->limit, LIMIT_BATCH_BYTES, have_batch, u);
	if (e != OK) {
		(void)fault_set(&f, e, "the spool cannot be read now");
		failed(u, &f, 0);
	}
}

enum err
uplink_new(struct uplink **out, uv_loop_t *loop, struct spool *spool, struct fault *f)
{
	struct uplink *u = calloc(1, sizeof *u);

	*out = NULL;
	if (u == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	u->loop = loop;
	u->spool = spool;
	u->limit = LIMIT_BATCH_EVENTS;
	u->backlog = waiting(u) > LIMIT_BATCH_EVENTS; /* an outage may outlast a restart */
	buf_init(&u->body, 4 * (size_t)LIMIT_BATCH_BYTES);
	(void)uv_timer_init(loop, &u->timer);
	u->timer.data = u;
	*out = u;
	return OK;
}

void
uplink_close(struct uplink *u, void (*closed)(void *ctx), void *ctx)
{
	u->closing = true;
	u->closed = closed;
	u->closed_ctx = ctx;
	(void)uv_timer_stop(&u->timer);
	if (u->call != NULL) {
		httpc_cancel(u->call);
		u->call = NULL;
		set_state(u, IDLE);
	}
	if (u->state == IDLE || u->state == WAITING)
		(void)ended(u);
}

enum err
uplink_target(struct uplink *u, struct httpc *http, enum uplink_format format, const char *url,
    const char *authorization)
{
	char *url_copy = url != NULL ? strdup(url) : NULL;
	char *auth_copy = authorization != NULL ? strdup(authorization) : NULL;

	if ((url != NULL && url_copy == NULL) || (authorization != NULL && auth_copy == NULL)) {
		free(url_copy);
		free(auth_copy);
		return ERR_NOMEM;
	}
	free(u->url);
	free(u->auth);
	u->url = url_copy;
	u->auth = auth_copy;
	u->http = url != NULL ? http : NULL;
	u->format = format;
	u->target_changed = true;
	u->gzip_offered = false;
	u->fails = 0;
	if (u->call != NULL) { /* its httpc may go away; what it carried is sent again */
		httpc_cancel(u->call);
		u->call = NULL;
		wait_for(u, 0);
	} else if (u->state == WAITING) {
		(void)uv_timer_start(&u->timer, timer_due, 0, 0);
	} else {
		uplink_kick(u, true);
	}
	return OK;
}

enum err
uplink_source(struct uplink *u, const char *source)
{
	char *copy = strdup(source);

	if (copy == NULL)
		return ERR_NOMEM;
	free(u->source);
	u->source = copy;
	uplink_kick(u, true);
	return OK;
}

void
uplink_kick(struct uplink *u, bool urgent)
{
	u->again = true;
	if (u->closing || u->state != IDLE || u->http == NULL || u->source == NULL) {
		/* A detection ends a wait for company, never one that the receiver asked for. */
		if (urgent && u->state == WAITING && u->fails == 0 && !u->closing && !u->backlog)
			(void)uv_timer_start(&u->timer, timer_due, 0, 0);
		return;
	}
	if (urgent)
		begin(u);
	else
		wait_for(u, GATHER_MS);
}

const struct uplink_stats *
uplink_stats(const struct uplink *u)
{
	return &u->stats;
}
