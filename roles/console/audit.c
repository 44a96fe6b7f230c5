#include "audit.h"

#include "base/clock.h"
#include "base/log.h"
#include "store.h"

#include <stdlib.h>

#define AUDIT_PER_S 10
#define AUDIT_BURST 200

/* Only the database worker comes here, one job at a time. */
static struct {
	uint64_t last_ms;
	double left;
	uint64_t skipped;
} bucket = { 0, AUDIT_BURST, 0 };

static bool
take(void)
{
	uint64_t now = clock_mono_ms();

	bucket.left += (double)(now - bucket.last_ms) * AUDIT_PER_S / 1000.0;
	bucket.last_ms = now;
	if (bucket.left > AUDIT_BURST)
		bucket.left = AUDIT_BURST;
	if (bucket.left < 1) {
		bucket.skipped++;
		return false;
	}
	bucket.left -= 1;
	return true;
}

static const char *
who(const struct call *call)
{
	return call->peer.role == PKI_NONE ? "" : call->peer.name;
}

/* What every refusal says; path NULL: none. *out is NULL on failure. */
static enum err
refusal_data(cJSON **out, const char *what, const char *code, const char *by, const char *address,
    const char *path, const char *why)
{
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "what", what);

	if (e == OK)
		e = json_add_string(data, "code", code);
	if (e == OK)
		e = json_add_string(data, "who", by);
	if (e == OK)
		e = json_add_string(data, "address", address);
	if (e == OK && path != NULL)
		e = json_add_string(data, "path", path);
	if (e == OK)
		e = json_add_string(data, "why", why);
	if (e != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	*out = data;
	return e;
}

enum err
audit_refusal(struct call *call, struct db *db, const char *what)
{
	cJSON *data;
	enum err e;

	call->told = true;
	log_warn("refused", "what=%s code=%s who=%s address=%s why=%s", what, call->code,
	    log_q(who(call)), call->address, log_q(fault_text(&call->fault)));
	if (!take())
		return OK;
	e = refusal_data(
	    &data, what, call->code, who(call), call->address, NULL, fault_text(&call->fault));
	if (e == OK && bucket.skipped > 0)
		e = json_add_u64(data, "refusals_not_recorded", bucket.skipped);
	if (e != OK) {
		cJSON_Delete(data);
		return e;
	}
	bucket.skipped = 0;
	return audit_done(call->c, db, "refused", data);
}

/* ---- from the loop ---- */

struct turned_away {
	struct job job;
	struct console *c;
	cJSON *data;
};

static enum err
away_run(struct job *job, void *db)
{
	struct turned_away *a = (struct turned_away *)job;
	cJSON *data = a->data;

	a->data = NULL;
	return audit_done(a->c, db, "refused", data);
}

static void
away_done(struct job *job, enum err result)
{
	struct turned_away *a = (struct turned_away *)job;

	if (result != OK)
		log_error("audit.failed", "error=%s", err_word(result));
	cJSON_Delete(a->data);
	free(a);
}

void
audit_turned_away(struct console *c, const char *what, const struct http_refusal *x)
{
	struct turned_away *a;
	uint64_t count;
	enum err e;

	if (x->told || c->stopping ||
	    !refusals_tell(&c->refusals, x->code, x->peer, clock_mono_ms(), &count))
		return;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return;
	a->c = c;
	e = refusal_data(
	    &a->data, what, x->code, x->id == NULL ? "" : x->id->name, x->peer, x->path, x->why);
	if (e == OK && json_add_u64(a->data, "count", count) != OK) {
		cJSON_Delete(a->data);
		a->data = NULL;
	}
	a->job.run = away_run;
	a->job.done = away_done;
	work_add(&c->db_work, &a->job);
}

enum err
audit_done(struct console *c, struct db *db, const char *done, cJSON *data)
{
	struct buf type;
	enum err e;

	if (data == NULL)
		return ERR_NOMEM;
	buf_init(&type, 128);
	e = buf_printf(&type, "org.atalaia.console.%s", done);
	if (e == OK)
		e = store_own_event(
		    db, c->o->org, c->o->name, buf_text(&type), data, clock_wall_ms());
	else
		cJSON_Delete(data);
	buf_free(&type);
	return e;
}
