/* policies.c - see policies.h. */
#include "policies.h"

#include "authority_pin.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "engine.h"
#include "events.h"
#include "identity.h"
#include "os/file.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum part { PART_AUTHORITY, PART_DEFAULT, PART_GROUP, PART_COUNT };

static const char *const kept_names[] = { "authority.json", "default.json", "group.json" };

struct policies {
	struct agent *agent;
	struct authority *authority;
	struct policy *base, *over, *effective;
	void (*changed)(void *ctx);
	void *changed_ctx;
	struct apply *running;
};

/* One reading of a set: what is good waits here until the loop takes it. */
struct apply {
	uv_work_t work;
	struct policies *p; /* NULL: closed meanwhile */
	char set[4096], dir[4096], tuf[4200], names[PART_COUNT][128];
	char org[65];
	uint64_t version_floor;
	struct authority *authority;
	struct policy *policy[PART_COUNT];
	bool absent[PART_COUNT];
	enum err err[PART_COUNT];
	struct fault fault[PART_COUNT];
	void (*done)(void *ctx, enum err e, const char *why);
	void *ctx;
};

static enum err
read_authority(struct authority **out, const struct buf *text, const char *org, uint64_t floor,
    struct fault *f)
{
	enum err e = authority_parse(out, buf_text(text), text->len, f);

	if (e != OK)
		return e;
	if (org[0] != '\0' && strcmp(authority_org(*out), org) != 0)
		e = fault_set(
		    f, ERR_AUTH, "authority.json is of organisation '%s'", authority_org(*out));
	else if (authority_version(*out) < floor)
		e = fault_set(f, ERR_ROLLBACK, "authority.json has version %llu, below %llu",
		    (unsigned long long)authority_version(*out), (unsigned long long)floor);
	if (e != OK) {
		authority_free(*out);
		*out = NULL;
	}
	return e;
}

/* What was kept (tuf is empty then) was checked when it came. */
static enum err
check_authority(struct apply *x, const struct buf *text, struct fault *f)
{
	char pins[4200];
	enum err e = read_authority(&x->authority, text, x->org, x->version_floor, f);

	if (e != OK || x->tuf[0] == '\0')
		return e;
	(void)snprintf(pins, sizeof pins, "%s/authority-keys.json", x->dir);
	e = authority_pin_check(pins, x->tuf, x->set, text, f);
	if (e != OK) {
		authority_free(x->authority);
		x->authority = NULL;
	}
	return e;
}

static enum err
read_part(struct apply *x, enum part part, const char *path, struct buf *text)
{
	struct fault *f = &x->fault[part];
	enum err e = file_read(path, text, f);

	if (e == ERR_NOTFOUND) {
		x->absent[part] = true;
		return part == PART_AUTHORITY ? e : OK;
	}
	if (e == OK && part == PART_AUTHORITY)
		e = check_authority(x, text, f);
	else if (e == OK)
		e = policy_parse(&x->policy[part], x->names[part], buf_text(text), text->len, f);
	return e;
}

static enum err
keep_part(const struct apply *x, enum part part, const struct buf *text, struct fault *f)
{
	char path[4200];

	(void)snprintf(path, sizeof path, "%s/%s", x->dir, kept_names[part]);
	if (x->absent[part]) {
		(void)remove(path);
		return OK;
	}
	return file_replace(path, text->data, text->len, 0640, f);
}

static void
apply_work(uv_work_t *w)
{
	struct apply *x = w->data;
	char path[4300];
	struct buf text;

	buf_init(&text, LIMIT_POLICY_BYTES);
	for (enum part i = 0; i < PART_COUNT; i++) {
		buf_reset(&text);
		x->err[i] = OK;
		if (x->names[i][0] == '\0') {
			x->absent[i] = true;
		} else {
			(void)snprintf(path, sizeof path, "%s/%s", x->set, x->names[i]);
			x->err[i] = read_part(x, i, path, &text);
		}
		if (x->err[i] == OK)
			x->err[i] = keep_part(x, i, &text, &x->fault[i]);
	}
	buf_free(&text);
}

static void
merge(struct policies *p)
{
	struct policy *merged = NULL;

	if (policy_merge(&merged, p->base, p->over) != OK) {
		log_error("policy.merge", "error=no-memory");
		return;
	}
	policy_free(p->effective);
	p->effective = merged;
}

static void
take_policy(struct apply *x, enum part part, struct policy **slot)
{
	if (x->err[part] != OK)
		return;
	policy_free(*slot);
	*slot = x->policy[part];
	x->policy[part] = NULL;
}

static void
report_parts(struct apply *x)
{
	for (enum part i = 0; i < PART_COUNT; i++) {
		if (x->err[i] != OK)
			report_policy(
			    x->p->agent, "policy.refused", x->names[i], fault_text(&x->fault[i]));
		else if (!x->absent[i])
			report_policy(x->p->agent, "policy.applied", x->names[i], NULL);
	}
	for (size_t i = 0; policy_unknown(x->p->effective, i) != NULL; i++)
		log_warn("policy.unknown", "member=%s", log_q(policy_unknown(x->p->effective, i)));
}

static void
apply_free(struct apply *x)
{
	authority_free(x->authority);
	for (enum part i = 0; i < PART_COUNT; i++)
		policy_free(x->policy[i]);
	free(x);
}

static void
apply_done(uv_work_t *w, int status)
{
	struct apply *x = w->data;
	struct policies *p = x->p;
	enum err e = OK;
	const char *why = "";

	for (enum part i = PART_COUNT; i-- > 0;)
		if (x->err[i] != OK) {
			e = x->err[i];
			why = fault_text(&x->fault[i]);
		}
	if (p == NULL) {
		e = ERR_CANCELED;
	} else {
		p->running = NULL;
		if (x->err[PART_AUTHORITY] == OK) {
			authority_free(p->authority);
			p->authority = x->authority;
			x->authority = NULL;
		}
		take_policy(x, PART_DEFAULT, &p->base);
		take_policy(x, PART_GROUP, &p->over);
		merge(p);
		report_parts(x);
		if (p->changed != NULL)
			p->changed(p->changed_ctx);
	}
	if (x->done != NULL)
		x->done(x->ctx, e, why);
	apply_free(x);
}

static void
fill(struct apply *x, struct policies *p)
{
	const struct identity *id = p->agent->identity;

	x->p = p;
	(void)snprintf(x->dir, sizeof x->dir, "%s/policy", p->agent->conf->state);
	(void)snprintf(x->names[PART_AUTHORITY], sizeof x->names[0], "authority.json");
	(void)snprintf(x->names[PART_DEFAULT], sizeof x->names[0], "default.json");
	if (id != NULL && identity_group(id)[0] != '\0')
		(void)snprintf(
		    x->names[PART_GROUP], sizeof x->names[0], "group/%s.json", identity_group(id));
	if (id != NULL)
		(void)snprintf(x->org, sizeof x->org, "%s", identity_org(id));
	x->version_floor = p->authority == NULL ? 0 : authority_version(p->authority);
}

void
policies_apply(
    struct policies *p, const char *set, void (*done)(void *, enum err, const char *), void *ctx)
{
	struct apply *x;

	if (p->running != NULL) {
		if (done != NULL)
			done(ctx, ERR_BUSY, "policies are being read already");
		return;
	}
	x = calloc(1, sizeof *x);
	if (x == NULL) {
		if (done != NULL)
			done(ctx, ERR_NOMEM, "memory ran out");
		return;
	}
	fill(x, p);
	(void)snprintf(x->set, sizeof x->set, "%s", set);
	(void)snprintf(x->tuf, sizeof x->tuf, "%s/feeds/policies/tuf", p->agent->conf->state);
	x->done = done;
	x->ctx = ctx;
	x->work.data = x;
	p->running = x;
	(void)uv_queue_work(&p->agent->loop, &x->work, apply_work, apply_done);
}

static void
load_kept(struct policies *p, struct apply *x)
{
	char path[4300];
	struct buf text;

	buf_init(&text, LIMIT_POLICY_BYTES);
	for (enum part i = 0; i < PART_COUNT; i++) {
		buf_reset(&text);
		(void)snprintf(path, sizeof path, "%s/%s", x->dir, kept_names[i]);
		if (x->names[i][0] == '\0')
			continue;
		x->err[i] = read_part(x, i, path, &text);
		if (x->err[i] != OK && !x->absent[i])
			log_error("policy.kept", "file=%s why=%s", kept_names[i],
			    log_q(fault_text(&x->fault[i])));
	}
	buf_free(&text);
	p->authority = x->authority;
	x->authority = NULL;
	take_policy(x, PART_DEFAULT, &p->base);
	take_policy(x, PART_GROUP, &p->over);
	merge(p);
}

enum err
policies_new(struct policies **out, struct agent *a, struct fault *f)
{
	struct policies *p = calloc(1, sizeof *p);
	struct apply *x = calloc(1, sizeof *x);

	if (p == NULL || x == NULL) {
		free(p);
		free(x);
		return fault_set(f, ERR_NOMEM, "memory ran out");
	}
	p->agent = a;
	fill(x, p);
	load_kept(p, x);
	apply_free(x);
	*out = p;
	return OK;
}

void
policies_free(struct policies *p)
{
	if (p == NULL)
		return;
	if (p->running != NULL)
		p->running->p = NULL;
	authority_free(p->authority);
	policy_free(p->base);
	policy_free(p->over);
	policy_free(p->effective);
	free(p);
}

const struct authority *
policies_authority(const struct policies *p)
{
	return p == NULL ? NULL : p->authority;
}

const struct policy *
policies_effective(const struct policies *p)
{
	return p == NULL ? NULL : p->effective;
}

void
policies_watch(struct policies *p, void (*changed)(void *), void *ctx)
{
	p->changed = changed;
	p->changed_ctx = ctx;
}

void
policies_to_events(struct agent *a)
{
	const struct agent_conf *c = a->conf;
	uint64_t quota[EVENT_CLASSES] = { [EVENT_DETECTION] = c->quota_detection,
		[EVENT_TASK] = c->quota_task,
		[EVENT_TELEMETRY] = c->quota_telemetry };
	const cJSON *table = policy_value(policies_effective(a->policies), "events.quotas"), *i;
	struct fault f = { 0 };

	cJSON_ArrayForEach(i, table)
	{
		enum event_class k;
		uint64_t size;

		if (cJSON_IsString(i) && event_class_parse(i->string, &k) == OK &&
		    text_size(i->valuestring, strlen(i->valuestring), &size) == OK)
			quota[k] = size;
	}
	if (a->events != NULL)
		events_keep_telemetry(a->events,
		    !cJSON_IsFalse(
			json_get(policy_value(policies_effective(a->policies), "events.classes"),
			    "telemetry")));
	if (a->events != NULL && events_apply(a->events, quota, NULL, &f) != OK)
		log_warn("policy.quotas", "why=%s", log_q(fault_text(&f)));
}

void
policies_to_engine(struct agent *a)
{
	static const char *const gates[] = {
		[GATE_AUTO] = "auto", [GATE_ON] = "on", [GATE_OFF] = "off"
	};
	const struct agent_conf *c = a->conf;
	const cJSON *table = policy_value(policies_effective(a->policies), "engine"), *i;
	enum gate_mode gate = (enum gate_mode)c->gate;
	uint64_t memory = c->engine_memory, deadline = c->engine_deadline;

	cJSON_ArrayForEach(i, table)
	{
		const char *s = cJSON_IsString(i) ? i->valuestring : "";
		enum err e = OK;

		if (strcmp(i->string, "gate") == 0) {
			for (size_t g = 0; g < sizeof gates / sizeof gates[0]; g++)
				if (strcmp(gates[g], s) == 0)
					gate = (enum gate_mode)g;
		} else if (strcmp(i->string, "memory_limit") == 0) {
			e = text_size(s, strlen(s), &memory);
		} else if (strcmp(i->string, "deadline") == 0) {
			e = text_duration_ms(s, strlen(s), &deadline);
		} else {
			log_warn("policy.ignored",
			    "member=engine option=%s why=only-the-file-of-the-PC-sets-it",
			    log_q(i->string));
		}
		if (e != OK)
			log_warn("policy.ignored", "member=engine option=%s why=wrong",
			    log_q(i->string));
	}
	if (a->engine != NULL)
		engine_apply(a->engine, gate, memory, deadline < 1000 ? 1000 : deadline);
}
