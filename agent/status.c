/* status.c - the status document. */
#include "status.h"

#include "base/clock.h"
#include "base/json.h"
#include "engine.h"
#include "events.h"
#include "identity.h"
#include "inventory.h"
#include "policies.h"
#include "role.h"
#include "tamper.h"
#include "task_pull.h"
#include "tasks.h"
#include "update.h"

#include <stdlib.h>
#include <string.h>

#define TASKS_SHOWN 10

static enum err
add_time(cJSON *o, const char *name, int64_t ms)
{
	return ms == 0 ? OK : json_add_time(o, name, ms);
}

static enum err
add_text(cJSON *o, const char *name, const char *text)
{
	return text == NULL || text[0] == '\0' ? OK : json_add_string(o, name, text);
}

static enum err
add_identity(struct agent *a, cJSON *doc)
{
	cJSON *o;
	enum err e = json_add_object(doc, "identity", &o);

	if (e == OK)
		e = json_add_bool(o, "enrolled", a->identity != NULL);
	if (e != OK || a->identity == NULL)
		return e == OK ? add_text(o, "remedy",
				     "run: atalaia-agent enroll --config FILE TOKEN (the console "
				     "makes the token)")
			       : e;
	e = json_add_string(o, "agent", identity_agent(a->identity));
	if (e == OK)
		e = json_add_string(o, "org", identity_org(a->identity));
	if (e == OK)
		e = add_text(o, "group", identity_group(a->identity));
	if (e == OK)
		e = json_add_string(o, "console", identity_console_host(a->identity));
	if (e == OK)
		e = json_add_u64(o, "console_port", identity_console_port(a->identity));
	if (e == OK)
		e = add_time(o, "enrolled_at", identity_enrolled(a->identity));
	if (e == OK)
		e = add_time(o, "certificate_until", identity_cert(a->identity)->not_after);
	if (e == OK)
		e = add_time(o, "console_heard", task_pull_heard(a->pull));
	return e == OK ? add_text(o, "console_error", task_pull_error(a->pull)) : e;
}

static enum err
add_plan(const struct update_view *v, cJSON *o)
{
	cJSON *list;
	enum err e = json_add_array(o, "sources", &list);

	for (size_t i = 0; e == OK && i < v->plan.count; i++)
		e = json_append_string(list, v->plan.list[i].name);
	if (e == OK)
		e = json_add_array(o, "failing", &list);
	for (size_t i = 0; e == OK && i < v->n_health; i++) {
		cJSON *h;

		if (v->health[i].fails == 0)
			continue;
		h = cJSON_CreateObject();
		e = h == NULL ? ERR_NOMEM : json_add_string(h, "source", v->health[i].name);
		if (e == OK)
			e = json_add_u64(h, "fails", v->health[i].fails);
		if (e == OK)
			e = add_text(h, "error", v->health[i].error);
		if (e == OK)
			e = json_append(list, h);
		else
			cJSON_Delete(h);
	}
	return e;
}

static enum err
add_rejected(const struct feed_facts *f, cJSON *o)
{
	cJSON *list;
	enum err e;

	if (f->n_rejected == 0)
		return OK;
	e = json_add_array(o, "rejected", &list);
	for (size_t i = 0; e == OK && i < f->n_rejected; i++) {
		cJSON *r = cJSON_CreateObject();

		e = r == NULL ? ERR_NOMEM : json_add_u64(r, "version", f->rejected[i].version);
		if (e == OK)
			e = json_add_string(r, "sha256", f->rejected[i].sha256);
		if (e == OK)
			e = json_add_string(r, "rule", f->rejected[i].rule);
		if (e == OK)
			e = add_text(r, "why", f->rejected[i].why);
		if (e == OK)
			e = add_time(r, "at", f->rejected[i].at);
		if (e == OK)
			e = json_append(list, r);
		else
			cJSON_Delete(r);
	}
	return e;
}

static enum err
add_running(const struct update_view *v, cJSON *o)
{
	enum err e = add_text(o, "phase", v->phase);

	if (e == OK)
		e = add_text(o, "file", v->file);
	if (e == OK)
		e = add_text(o, "from", v->source);
	if (e == OK)
		e = json_add_u64(o, "done", v->done);
	return e == OK ? json_add_u64(o, "total", v->total) : e;
}

static enum err
add_facts(const struct update_view *v, cJSON *o)
{
	const struct feed_facts *f = v->facts;
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "version", f->version },
		{ "previous", f->previous },
		{ "offered", v->offered },
		{ "timestamp", f->timestamp },
		{ "bytes_metadata", f->bytes_metadata },
		{ "bytes_delta", f->bytes_delta },
		{ "bytes_full", f->bytes_full },
		{ "runs", v->runs },
		{ "failures", v->failures },
		{ "refused_files", v->refused_files },
		{ "next_check_ms", v->next_ms },
	};
	enum err e = OK;

	for (size_t i = 0; e == OK && i < sizeof numbers / sizeof numbers[0]; i++)
		e = json_add_u64(o, numbers[i].name, numbers[i].value);
	if (e == OK)
		e = add_text(o, "sha256", f->sha256);
	if (e == OK)
		e = add_time(o, "activated", f->activated);
	if (e == OK)
		e = add_time(o, "checked", f->checked);
	if (e == OK)
		e = add_text(o, "expires", f->expires);
	if (e == OK)
		e = add_text(o, "source", f->source);
	if (e == OK && f->pin.version != 0)
		e = json_add_u64(o, "pinned", f->pin.version);
	if (e == OK && f->pin.version != 0)
		e = add_time(o, "pinned_until", f->pin.until);
	return e == OK ? add_rejected(f, o) : e;
}

static cJSON *
feed_json(const struct update_view *v)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "feed", v->feed);

	if (e == OK)
		e = json_add_string(o, "state", flow_state_word(v->state));
	if (e == OK)
		e = add_facts(v, o);
	if (e == OK && v->state != FLOW_IDLE)
		e = add_running(v, o);
	if (e == OK)
		e = add_text(o, "last", v->last_word);
	if (e == OK)
		e = add_text(o, "why", v->last_why);
	if (e == OK)
		e = add_text(o, "last_source", v->last_source);
	if (e == OK)
		e = add_time(o, "last_try", v->last_try);
	if (e == OK)
		e = json_add_u64(o, "last_errors", v->last_errors);
	if (e == OK)
		e = json_add_bool(o, "stale", v->stale);
	if (e == OK)
		e = add_text(o, "watching", v->watching);
	if (e == OK)
		e = add_plan(v, o);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static enum err
add_feeds(struct agent *a, cJSON *doc)
{
	struct update_view *v = malloc(sizeof *v);
	cJSON *list;
	enum err e = v == NULL ? ERR_NOMEM : json_add_array(doc, "feeds", &list);

	for (size_t i = 0; e == OK && updates_view(a->updates, i, v); i++)
		e = json_append(list, feed_json(v));
	free(v);
	return e;
}

static enum err
add_spool(struct agent *a, cJSON *doc)
{
	struct events_stats s = events_stats(a->events);
	cJSON *o;
	enum err e = json_add_object(doc, "spool", &o);

	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++) {
		cJSON *k;

		e = json_add_object(o, event_class_word((enum event_class)c), &k);
		if (e == OK)
			e = json_add_u64(k, "waiting", s.class[c].depth);
		if (e == OK)
			e = json_add_u64(k, "delivered", s.class[c].delivered);
		if (e == OK)
			e = json_add_u64(k, "dropped", s.class[c].dropped);
	}
	if (e == OK)
		e = add_time(o, "delivered_at", (int64_t)s.delivered_ms);
	return e == OK ? add_text(o, "error", s.error) : e;
}

static enum err
add_policy(struct agent *a, cJSON *doc)
{
	const struct authority *au = policies_authority(a->policies);
	cJSON *o;
	enum err e = json_add_object(doc, "policy", &o);

	if (e == OK)
		e = json_add_bool(o, "authority", au != NULL);
	if (e == OK && au != NULL)
		e = json_add_u64(o, "authority_version", authority_version(au));
	return e;
}

static enum err
add_parts(struct agent *a, cJSON *o)
{
	cJSON *item;
	enum err e = add_identity(a, o);

	if (e == OK)
		e = add_policy(a, o);
	if (e == OK)
		e = add_feeds(a, o);
	if (e == OK && a->engine != NULL && (item = engine_status(a->engine)) != NULL)
		(void)cJSON_AddItemToObject(o, "engine", item);
	if (e == OK && a->role != NULL && (item = role_json(a->role)) != NULL)
		(void)cJSON_AddItemToObject(o, "update_agent", item);
	if (e == OK && a->events != NULL)
		e = add_spool(a, o);
	if (e == OK)
		e = tamper_status(a->tamper, o);
	if (e == OK && (item = tasks_list(a->tasks, TASKS_SHOWN)) != NULL)
		(void)cJSON_AddItemToObject(o, "tasks", item);
	return e;
}

cJSON *
status_json(struct agent *a)
{
	int64_t wall = clock_wall_ms();
	cJSON *o = cJSON_CreateObject(), *ports;
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "version", ATALAIA_VERSION);

	if (e == OK)
		e = json_add_string(o, "boot", a->boot);
	if (e == OK)
		e = add_time(o, "time", wall);
	if (e == OK)
		e = add_time(o, "started", a->started);
	if (e == OK)
		e = add_time(o, "verified_time", a->time_floor);
	if (e == OK)
		e = json_add_bool(o, "clock_behind", a->time_floor > wall);
	if (e == OK)
		e = json_add_object(o, "ports", &ports);
	if (e == OK)
		e = json_add_u64(ports, "task", a->task_server == NULL ? 0 : a->task_port);
	if (e == OK)
		e = json_add_u64(ports, "event", a->event_port);
	if (e == OK)
		e = add_parts(a, o);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}
