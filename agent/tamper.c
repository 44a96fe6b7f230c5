/* tamper.c - see tamper.h. */
#include "tamper.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "detection.h"
#include "events.h"
#include "identity.h"
#include "os/file.h"
#include "os/rand.h"
#include "policies.h"
#include "report.h"
#include "role.h"
#include "tamper_look.h"
#include "task_pull.h"
#include "update.h"
#include "update_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_TAMPER_FILE 262144
#define KEEP_MS 600000u /* the time of the last look is written down this often at least */

struct detour {
	char host[ADDR_HOST], address[ADDR_TEXT];
};

struct tamper {
	struct agent *agent;
	uv_timer_t timer;
	uv_work_t work;
	bool working, again, first, closing;
	struct tamper_plan plan;	 /* the worker's while it works */
	struct tamper_facts known, seen; /* what was told; what the look saw */
	enum err looked, kept;
	struct detour detour[TAMPER_NAMES];
	size_t n_detours;
	int64_t wall; /* at the last look */
	uint64_t mono, kept_at;
	bool unkept; /* known differs from the file */
	char path[LIMIT_STATE_PATH + 32];
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* --- what is kept --- */

static enum err
read_kept(struct tamper *t, struct fault *f)
{
	const char *seen = "";
	cJSON *tree = NULL;
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_TAMPER_FILE);
	e = file_read(t->path, &b, f);
	if (e == OK)
		e = json_parse(&tree, buf_text(&b), b.len, JSON_SIGNED, f);
	if (e == OK)
		e = tamper_facts_read(&t->known, json_get(tree, "facts"));
	if (e == OK)
		e = json_opt_string(tree, "seen", "", &seen, f);
	if (e == OK && clock_parse(seen, strlen(seen), &t->wall) != OK)
		t->wall = 0;
	cJSON_Delete(tree);
	buf_free(&b);
	t->first = e != OK;
	if (e == ERR_NOMEM)
		return e;
	fault_reset(f); /* the first start has none: no reason for anything that fails later */
	if (e == ERR_NOTFOUND)
		return OK;
	if (e != OK) { /* somebody's work, or a broken disk: everything is looked at anew */
		log_warn("tamper.kept", "file=%s error=%s", log_q(t->path), err_word(e));
		tamper_facts_free(&t->known);
	}
	return OK;
}

static enum err
print_kept(const struct tamper *t, struct buf *out)
{
	cJSON *o = cJSON_CreateObject(), *list = NULL;
	char seen[CLOCK_TEXT];
	enum err e = o == NULL ? ERR_NOMEM : json_add_array(o, "facts", &list);

	clock_format(seen, t->wall);
	if (e == OK)
		e = json_add_string(o, "seen", seen);
	if (e == OK)
		e = tamper_facts_json(&t->known, list);
	if (e == OK)
		e = json_print_pretty(o, out);
	cJSON_Delete(o);
	return e;
}

/* --- events --- */

static void
tell(struct tamper *t, bool end, const char *kind, const char *name, const char *before,
    const char *now)
{
	const char *type = end ? "tamper.gone" : "tamper.found";
	struct tampering x = { .time_ms = clock_wall_ms(),
		.end = end,
		.kind = kind,
		.name = name,
		.before = before,
		.now = now };

	rand_uuid_v7(x.uid);
	log_warn(type, "kind=%s name=%s before=%s now=%s", kind, log_q(name),
	    before != NULL ? before : "-", now != NULL ? now : "-");
	agent_event(t->agent, type, detection_tampering(&x));
}

static void
on_change(void *ctx, const struct tamper_fact *before, const struct tamper_fact *now)
{
	const struct tamper_fact *any = now != NULL ? now : before;
	struct tamper *t = ctx;

	t->unkept = true;
	/* The first look has nothing to compare with: it says only what is wrong by itself. A unit
	 * that comes is an installation. */
	if (t->first && strcmp(any->kind, "hosts") != 0 && strcmp(any->kind, "name") != 0)
		return;
	if (before != NULL && strcmp(before->state, TAMPER_ABSENT) == 0)
		return;
	tell(t, tamper_is_end(before, now), any->kind, any->name,
	    before != NULL ? before->state : NULL, now != NULL ? now->state : NULL);
}

static void
look_at_clock(struct tamper *t)
{
	int64_t wall = clock_wall_ms();
	uint64_t mono = clock_mono_ms(), back;
	char before[CLOCK_TEXT], now[CLOCK_TEXT];

	/* After a start there is the kept time alone: no less than that may have passed. */
	back =
	    t->wall == 0 ? 0 : tamper_clock_back(t->wall, t->mono, wall, t->mono == 0 ? 0 : mono);
	if (back > 0) {
		clock_format(before, wall + (int64_t)back);
		clock_format(now, wall);
		tell(t, false, "clock", "wall clock", before, now);
		t->unkept = true;
	}
	t->wall = wall;
	t->mono = mono;
}

/* --- detours --- */

const char *
tamper_host(const struct tamper *t, const char *host)
{
	for (size_t i = 0; t != NULL && i < t->n_detours; i++)
		if (text_eq_nocase(host, strlen(host), t->detour[i].host))
			return t->detour[i].address;
	return host;
}

/* Some server's name now stands for another address, or for itself again. */
static void
servers_moved(struct agent *a)
{
	char url[512];

	updates_sources_moved(a->updates);
	role_policy_changed(a->role);
	if (a->identity == NULL || a->console == NULL)
		return;
	if (console_url(a, url, sizeof url, "v1/events") != OK ||
	    events_console(a->events, a->console, url) != OK)
		log_error("identity.console", "why=%s", "no memory");
}

static void
take_detours(struct tamper *t)
{
	struct detour now[TAMPER_NAMES];
	size_t n = 0;

	memset(now, 0, sizeof now);
	for (size_t i = 0; i < t->plan.n_names; i++) {
		const struct tamper_name *name = &t->plan.name[i];

		if (name->detour[0] == '\0')
			continue;
		(void)snprintf(now[n].host, sizeof now[n].host, "%s", name->host);
		(void)snprintf(now[n].address, sizeof now[n].address, "%s", name->detour);
		n++;
	}
	if (n == t->n_detours && memcmp(now, t->detour, n * sizeof now[0]) == 0)
		return;
	memcpy(t->detour, now, sizeof now);
	t->n_detours = n;
	for (size_t i = 0; i < n; i++)
		log_warn("tamper.detour", "name=%s address=%s", log_q(now[i].host), now[i].address);
	if (n == 0)
		log_info("tamper.detour", "name=%s", "none");
	servers_moved(t->agent);
}

/* --- the look --- */

static void
add_name(struct tamper_plan *p, const char *host, const char *pc)
{
	struct tamper_name *name = &p->name[p->n_names];
	size_t n = strlen(pc);
	struct addr a;

	if (host[0] == '\0' || p->n_names == TAMPER_NAMES ||
	    addr_parse_ip(&a, host, strlen(host)) == OK)
		return;
	for (size_t i = 0; i < p->n_names; i++)
		if (text_eq_nocase(host, strlen(host), p->name[i].host))
			return;
	memset(name, 0, sizeof *name);
	if (text_copy(name->host, sizeof name->host, host, strlen(host)) != OK)
		return;
	/* pc, pc.example, localhost */
	name->own = (n > 0 && strlen(host) >= n && text_eq_nocase(host, n, pc) &&
			(host[n] == '\0' || host[n] == '.')) ||
		    host_is_loopback(host);
	p->n_names++;
}

static void
add_addresses(struct tamper_name *name, const cJSON *table)
{
	const cJSON *list, *i;

	cJSON_ArrayForEach(list, table)
	{
		if (!text_eq_nocase(list->string, strlen(list->string), name->host))
			continue;
		cJSON_ArrayForEach(i, list)
		{
			struct addr a;

			if (name->n_addresses < TAMPER_ADDRESSES && cJSON_IsString(i) &&
			    addr_parse_ip(&a, i->valuestring, strlen(i->valuestring)) == OK)
				(void)addr_format_ip(name->address[name->n_addresses++], &a);
		}
	}
}

static void
make_plan(struct tamper *t)
{
	const struct policy *policy = policies_effective(t->agent->policies);
	struct source list[LIMIT_SOURCES];
	struct tamper_plan *p = &t->plan;
	char pc[256] = "";
	size_t size = sizeof pc, n;

	if (uv_os_gethostname(pc, &size) != 0)
		pc[0] = '\0';
	p->n_names = 0;
	if (t->agent->identity != NULL)
		add_name(p, identity_console_host(t->agent->identity), pc);
	for (int mirror = 0; mirror < 2; mirror++) {
		n = agent_sources_by_name(t->agent, list, LIMIT_SOURCES, mirror == 1);
		for (size_t i = 0; i < n; i++)
			add_name(p, list[i].host, pc);
	}
	for (size_t i = 0; i < p->n_names; i++)
		add_addresses(&p->name[i], policy_value(policy, "sources.addresses"));
}

static void
work(uv_work_t *w)
{
	struct tamper *t = w->data;

	t->looked = tamper_look(&t->plan, &t->seen);
}

static void look_done(uv_work_t *w, int status);

static void
begin(struct tamper *t)
{
	if (t->closing)
		return;
	if (t->working) {
		t->again = true;
		return;
	}
	t->again = false;
	make_plan(t);
	look_at_clock(t);
	t->working = true;
	t->work.data = t;
	(void)uv_queue_work(&t->agent->loop, &t->work, work, look_done);
}

static void
free_tamper(uv_handle_t *h)
{
	struct tamper *t = h->data;
	void (*closed)(void *ctx) = t->closed;
	void *ctx = t->closed_ctx;

	tamper_facts_free(&t->known);
	tamper_facts_free(&t->seen);
	free(t);
	closed(ctx);
}

static void
idle(struct tamper *t)
{
	t->working = false;
	if (t->closing)
		uv_close((uv_handle_t *)&t->timer, free_tamper);
	else if (t->again)
		begin(t);
}

static void
keep_done(uv_work_t *w, int status)
{
	struct tamper *t = w->data;

	if (t->kept == OK)
		t->kept_at = clock_mono_ms();
	else
		log_warn("tamper.kept", "file=%s error=%s", log_q(t->path), err_word(t->kept));
	t->unkept = t->kept != OK;
	idle(t);
}

static void
keep_work(uv_work_t *w)
{
	struct tamper *t = w->data;
	struct fault f = { 0 };
	struct buf b;

	buf_init(&b, LIMIT_TAMPER_FILE);
	t->kept = print_kept(t, &b);
	if (t->kept == OK)
		t->kept = file_replace(t->path, b.data, b.len, 0600, &f);
	buf_free(&b);
}

static void
look_done(uv_work_t *w, int status)
{
	struct tamper *t = w->data;
	struct tamper_facts old = t->known;

	if (t->closing || t->looked != OK) {
		tamper_facts_free(&t->seen);
		idle(t);
		return;
	}
	tamper_facts_absent(&old, &t->seen);
	tamper_facts_compare(&old, &t->seen, on_change, t);
	t->known = t->seen;
	t->seen = (struct tamper_facts){ 0 };
	tamper_facts_free(&old);
	t->first = false;
	take_detours(t);
	if (t->unkept || clock_mono_ms() >= t->kept_at + KEEP_MS)
		(void)uv_queue_work(&t->agent->loop, &t->work, keep_work, keep_done);
	else
		idle(t);
}

static void
due(uv_timer_t *timer)
{
	begin(timer->data);
}

void
tamper_look_now(struct tamper *t)
{
	if (t != NULL && uv_is_active((uv_handle_t *)&t->timer))
		begin(t);
}

enum err
tamper_new(struct tamper **out, struct agent *a, struct fault *f)
{
	struct tamper *t = calloc(1, sizeof *t);
	const struct agent_conf *c = a->conf;
	enum err e = t == NULL ? ERR_NOMEM : OK;

	if (e == OK) {
		t->agent = a;
		t->plan.config = c->file;
		t->plan.roots = c->roots;
		t->plan.hosts = c->tamper_hosts;
		t->plan.units = c->tamper_units;
		t->plan.unit_folders = c->tamper_unit_folders;
		e = file_join(t->path, sizeof t->path, c->state, "tamper.json");
	}
	if (e == OK)
		e = read_kept(t, f);
	if (e != OK) {
		free(t);
		return fault_set(f, e, "the watch for tampering cannot begin: %s", err_text(e));
	}
	(void)uv_timer_init(&a->loop, &t->timer);
	t->timer.data = t;
	*out = t;
	return OK;
}

void
tamper_start(struct tamper *t)
{
	(void)uv_timer_start(&t->timer, due, 0, t->agent->conf->tamper_interval);
}

void
tamper_close(struct tamper *t, void (*closed)(void *ctx), void *ctx)
{
	t->closing = true;
	t->closed = closed;
	t->closed_ctx = ctx;
	atomic_store(&t->plan.stop, true);
	(void)uv_timer_stop(&t->timer);
	if (!t->working)
		uv_close((uv_handle_t *)&t->timer, free_tamper);
}

enum err
tamper_status(const struct tamper *t, cJSON *status)
{
	struct tamper_facts wrong = { 0 };
	cJSON *o, *list;
	enum err e = json_add_array(status, "tampering", &list);

	for (size_t i = 0; t != NULL && e == OK && i < t->known.n; i++) {
		const struct tamper_fact *f = &t->known.item[i];

		if (strcmp(f->kind, "hosts") == 0 || strcmp(f->kind, "name") == 0 ||
		    strcmp(f->state, "missing") == 0 || strcmp(f->state, "masked") == 0)
			e = tamper_facts_add(&wrong, f->kind, f->name, f->state);
	}
	if (e == OK)
		e = tamper_facts_json(&wrong, list);
	tamper_facts_free(&wrong);
	if (e != OK || t == NULL || t->n_detours == 0)
		return e;
	e = json_add_object(status, "detours", &o);
	for (size_t i = 0; e == OK && i < t->n_detours; i++)
		e = json_add_string(o, t->detour[i].host, t->detour[i].address);
	return e;
}
