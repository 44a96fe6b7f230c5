/* role.c - the wish (role.json), the serve child and its life. */
#include "role_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/file.h"
#include "os/rand.h"
#include "proto/childctl.h"
#include "report.h"
#include "update.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVE_STOP_MS 12000u
#define COUNTERS_MS 5000u

struct role_save {
	uv_work_t work;
	struct role *r;
	char path[4300];
	struct buf text;
	enum err err;
	struct fault fault;
};

static void serve_start(struct role *r);
static void follow_wish(struct role *r);

static void
answer(struct role *r, enum err e, const char *why)
{
	void (*done)(void *, enum err, const char *) = r->done;

	r->done = NULL;
	if (done != NULL)
		done(r->done_ctx, e, why);
}

bool
role_on(const struct role *r)
{
	return r != NULL && r->wish.on;
}

bool
role_serving(const struct role *r)
{
	return r != NULL && r->ready;
}

bool
role_is_origin(const struct role *r)
{
	return r->agent->conf->role_mode == ROLE_ORIGIN;
}

bool
role_mirrors(const struct role *r)
{
	return r->wish.on && !role_is_origin(r);
}

bool
role_own_source(const struct role *r, struct source *out)
{
	const char *listen;
	size_t n;

	if (!role_serving(r))
		return false;
	memset(out, 0, sizeof *out);
	out->kind = SOURCE_OWN;
	(void)snprintf(out->name, sizeof out->name, "own mirror");
	listen = role_option(r, "listen");
	n = strcspn(listen, ", \t");
	if (n == 0 || n >= sizeof out->host || strncmp(listen, "0.0.0.0", n) == 0)
		(void)snprintf(out->host, sizeof out->host, "127.0.0.1");
	else if (strncmp(listen, "::", n) == 0)
		(void)snprintf(out->host, sizeof out->host, "::1");
	else
		(void)snprintf(out->host, sizeof out->host, "%.*s", (int)n, listen);
	out->ftp = r->ftp;
	out->http = r->http;
	out->version = r->version;
	return true;
}

size_t
role_upstreams(const struct role *r, struct source *out, size_t max)
{
	return r == NULL ? 0 : role_parse_upstreams(role_option(r, "upstream"), out, max);
}

/* --- the serve child --- */

static uint16_t
port_of(const cJSON *ports, const char *name)
{
	uint64_t v;

	return json_opt_u64(ports, name, 65535, 0, &v, NULL) == OK ? (uint16_t)v : 0;
}

static void
check_confinement(struct role *r, const cJSON *m)
{
	const char *got;

	if (json_opt_string(m, "confinement", "", &got, NULL) == OK &&
	    (strstr(got, "landlock=0") != NULL || strstr(got, "seccomp=no") != NULL))
		report_confinement(r->agent, "atalaia-update-agent", got);
}

static void
serve_ready(struct role *r, const cJSON *m)
{
	const cJSON *ports = json_get(m, "ports");

	r->ready = true;
	r->why[0] = '\0';
	r->ftp = port_of(ports, "ftp");
	r->http = port_of(ports, "http");
	r->version = port_of(ports, "version");
	r->have_before = false;
	cJSON_Delete(r->before.settings);
	r->before.settings = NULL;
	check_confinement(r, m);
	r->uploads = 0;
	relay_start(r->relay);
	log_info("role.ready", "ftp=%u http=%u version=%u", r->ftp, r->http, r->version);
	report_role(r->agent, true, role_is_origin(r) ? "origin" : "mirror", NULL);
	for (size_t i = 0; i < r->n_mirrors; i++)
		mirror_tell_serve(r->mirrors[i]);
	updates_policy_changed(r->agent->updates);
	answer(r, OK, "");
}

static void
take_counters(struct role *r, const cJSON *m)
{
	uint64_t uploads;

	cJSON_Delete(r->counters);
	r->counters = cJSON_Duplicate(m, true);
	if (json_opt_u64(m, "uploads", JSON_MAX_INT, 0, &uploads, NULL) != OK)
		return;
	if (uploads > r->uploads)
		relay_news(r->relay);
	r->uploads = uploads;
}

static void
serve_message(void *ctx, const char *type, cJSON *m)
{
	struct role *r = ctx;

	if (strcmp(type, "ready") == 0) {
		serve_ready(r, m);
	} else if (strcmp(type, "status") == 0 || strcmp(type, "metrics") == 0) {
		take_counters(r, m);
	} else if (strcmp(type, "result") == 0) {
		const char *text;

		if (json_opt_string(m, "text", "", &text, NULL) == OK)
			(void)snprintf(r->why, sizeof r->why, "%s", text);
	}
}

static void
on_restart_timer(uv_timer_t *t)
{
	struct role *r = t->data;

	r->fenced_until = 0;
	follow_wish(r);
}

/* New settings that cannot serve do not cost the branch its mirror: the old ones come back. */
static bool
go_back(struct role *r, const struct child_end *end)
{
	if (!r->have_before || end->stopped)
		return false;
	log_warn("role.settings", "refused=yes why=%s", log_q(r->why));
	cJSON_Delete(r->wish.settings);
	r->wish = r->before;
	r->before.settings = NULL;
	r->have_before = false;
	return true;
}

static enum err save_wish(struct role *r);

static void
serve_failed(struct role *r, const struct child_end *end)
{
	uint64_t pause;
	char why[360];

	if (r->why[0] == '\0')
		(void)snprintf(r->why, sizeof r->why,
		    "atalaia-update-agent ended (status %lld%s%s)", (long long)end->status,
		    end->why[0] == '\0' ? "" : ", ", end->why);
	(void)snprintf(why, sizeof why, "%s", r->why);
	if (go_back(r, end)) {
		if (save_wish(r) != OK)
			log_error("role.save", "why=no-memory");
		answer(r, ERR_INVAL, why);
		return;
	}
	pause = backoff_next(&r->backoff, clock_mono_ms(), end->ran_ms, rand_below(UINT32_MAX));
	if (pause == BACKOFF_FENCED) {
		pause = backoff_fence_ms();
		r->fenced_until = clock_mono_ms() + pause;
		report_child(r->agent, "atalaia-update-agent", why);
	}
	log_warn("role.down", "why=%s again_ms=%llu", log_q(why), (unsigned long long)pause);
	(void)uv_timer_start(&r->timer, on_restart_timer, pause, 0);
	answer(r, ERR_IO, why);
}

static void
serve_ended(void *ctx, const struct child_end *end)
{
	struct role *r = ctx;
	bool was_ready = r->ready;

	r->serve = NULL;
	r->ready = false;
	if (r->closing) {
		role_one_closed(r);
		return;
	}
	if (was_ready)
		updates_policy_changed(r->agent->updates);
	if (!end->stopped) {
		serve_failed(r, end);
		if (r->saving == NULL && !uv_is_active((uv_handle_t *)&r->timer))
			follow_wish(r);
		return;
	}
	if (!r->wish.on) {
		report_role(r->agent, false, role_is_origin(r) ? "origin" : "mirror", NULL);
		answer(r, OK, "");
	}
	follow_wish(r);
}

static void
serve_start(struct role *r)
{
	static const struct child_handlers handlers = { serve_message, serve_ended };
	static const char *const args[] = { "serve", "--child", NULL };
	struct child_spec spec = { "atalaia-update-agent", r->agent->conf->libexec, args,
		SERVE_STOP_MS };
	struct child_end end = { .status = -1 };
	cJSON *config = childctl_new("config"), *options = NULL;
	struct fault f = { 0 };
	enum err e = config == NULL ? ERR_NOMEM : json_add_object(config, "options", &options);

	if (e == OK)
		e = file_make_dirs(r->agent->conf->role_root, 0755, &f);
	if (e == OK)
		e = role_serve_options(r, options);
	if (e == OK)
		e = json_add_bool(config, "poll", role_is_origin(r));
	if (e == OK)
		e = child_spawn(&r->serve, &r->agent->loop, &spec, config, &handlers, r, &f);
	else
		cJSON_Delete(config);
	if (e == OK)
		return;
	(void)snprintf(
	    end.why, sizeof end.why, "%.239s", e == ERR_NOMEM ? "memory ran out" : fault_text(&f));
	serve_failed(r, &end);
}

/* Brings what runs in line with what is wanted; called again whenever something has ended. */
static void
follow_wish(struct role *r)
{
	if (r->closing || !r->started || r->saving != NULL)
		return;
	if (!r->wish.on) {
		mirrors_stop(r);
		relay_stop(r->relay);
		if (r->serve != NULL)
			child_stop(r->serve);
		else
			answer(r, OK, "");
		return;
	}
	if (r->serve == NULL) {
		(void)uv_timer_stop(&r->timer);
		r->restart = false;
		r->why[0] = '\0';
		serve_start(r);
	} else if (r->restart) {
		r->restart = false;
		child_stop(r->serve);
	} else if (r->ready) {
		answer(r, OK, "");
	}
	if (role_mirrors(r))
		mirrors_start(r);
}

/* --- the wish --- */

static enum err
wish_text(const struct role *r, struct buf *out)
{
	cJSON *t = cJSON_CreateObject();
	enum err e = t == NULL ? ERR_NOMEM : json_add_bool(t, "on", r->wish.on);

	if (e == OK && r->wish.settings != NULL) {
		cJSON *copy = cJSON_Duplicate(r->wish.settings, true);

		e = copy != NULL && cJSON_AddItemToObject(t, "settings", copy) ? OK : ERR_NOMEM;
	}
	if (e == OK)
		e = json_print_pretty(t, out);
	cJSON_Delete(t);
	return e;
}

static void
save_work(uv_work_t *w)
{
	struct role_save *s = w->data;

	s->err = file_replace(s->path, s->text.data, s->text.len, 0640, &s->fault);
}

static void
saved(uv_work_t *w, int status)
{
	struct role_save *s = w->data;
	struct role *r = s->r;

	r->saving = NULL;
	if (s->err != OK) {
		log_error("role.save", "why=%s", log_q(fault_text(&s->fault)));
		answer(r, s->err, fault_text(&s->fault));
	}
	buf_free(&s->text);
	free(s);
	if (r->closing)
		role_one_closed(r);
	else
		follow_wish(r);
}

static enum err
save_wish(struct role *r)
{
	struct role_save *s;

	if (r->saving != NULL)
		return ERR_BUSY;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return ERR_NOMEM;
	buf_init(&s->text, LIMIT_TASK_BYTES * 2);
	s->r = r;
	s->work.data = s;
	(void)snprintf(s->path, sizeof s->path, "%s/role.json", r->agent->conf->state);
	if (wish_text(r, &s->text) != OK) {
		buf_free(&s->text);
		free(s);
		return ERR_NOMEM;
	}
	r->saving = s;
	(void)uv_queue_work(&r->agent->loop, &s->work, save_work, saved);
	return OK;
}

static void
remember_before(struct role *r, bool on)
{
	cJSON_Delete(r->before.settings);
	r->before = r->wish;
	r->before.settings = cJSON_Duplicate(r->wish.settings, true);
	r->have_before = on;
}

enum err
role_set(struct role *r, bool on, const cJSON *settings,
    void (*done)(void *, enum err, const char *), void *ctx, struct fault *f)
{
	cJSON *copy = NULL;
	enum err e = role_settings_check(settings, f);

	if (e != OK)
		return e;
	if (r->done != NULL || r->saving != NULL || r->closing)
		return fault_set(f, ERR_BUSY, "the role is being changed already");
	if (settings != NULL && (copy = cJSON_Duplicate(settings, true)) == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	remember_before(r, on);
	r->restart =
	    r->serve != NULL && copy != NULL && !cJSON_Compare(copy, r->wish.settings, true);
	r->wish.on = on;
	if (copy != NULL) {
		cJSON_Delete(r->wish.settings);
		r->wish.settings = copy;
	}
	r->done = done;
	r->done_ctx = ctx;
	backoff_clear(&r->backoff);
	(void)uv_timer_stop(&r->timer);
	e = save_wish(r);
	if (e != OK) {
		r->done = NULL;
		return fault_set(f, e, "the wish could not be saved");
	}
	return OK;
}

static void
load_wish(struct role *r)
{
	char path[4300];
	struct fault f = { 0 };
	cJSON *t = NULL;
	struct buf text;
	enum err e;

	r->wish.on = r->agent->conf->role_enabled;
	(void)snprintf(path, sizeof path, "%s/role.json", r->agent->conf->state);
	buf_init(&text, LIMIT_TASK_BYTES * 2);
	e = file_read(path, &text, &f);
	if (e == OK)
		e = json_parse(&t, buf_text(&text), text.len, JSON_SIGNED, &f);
	if (e == OK)
		e = json_get_bool(t, "on", &r->wish.on, &f);
	if (e == OK)
		r->wish.settings = cJSON_DetachItemFromObjectCaseSensitive(t, "settings");
	else if (e != ERR_NOTFOUND)
		log_error("role.load", "why=%s", log_q(fault_text(&f)));
	cJSON_Delete(t);
	buf_free(&text);
}

enum err
role_new(struct role **out, struct agent *a, struct fault *f)
{
	struct role *r = calloc(1, sizeof *r);

	if (r == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	r->agent = a;
	load_wish(r);
	(void)uv_timer_init(&a->loop, &r->timer);
	r->timer.data = r;
	*out = r;
	if (relay_new(&r->relay, a) != OK)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	return mirrors_new(r, f);
}

void
role_start(struct role *r)
{
	r->started = true;
	follow_wish(r);
}

/* --- closing --- */

void
role_one_closed(struct role *r)
{
	if (--r->open > 0)
		return;
	cJSON_Delete(r->wish.settings);
	cJSON_Delete(r->before.settings);
	cJSON_Delete(r->counters);
	r->closed(r->closed_ctx);
	free(r);
}

static void
timer_closed(uv_handle_t *h)
{
	role_one_closed(h->data);
}

static void
relay_closed(void *ctx)
{
	role_one_closed(ctx);
}

void
role_close(struct role *r, void (*closed)(void *ctx), void *ctx)
{
	r->closing = true;
	r->closed = closed;
	r->closed_ctx = ctx;
	r->open =
	    1 + (r->relay != NULL) + (r->serve != NULL) + (r->saving != NULL) + (int)r->n_mirrors;
	answer(r, ERR_CANCELED, "the agent is being stopped");
	if (r->serve != NULL)
		child_stop(r->serve);
	mirrors_close(r);
	if (r->relay != NULL)
		relay_close(r->relay, relay_closed, r);
	uv_close((uv_handle_t *)&r->timer, timer_closed);
}

/* --- looking --- */

/* Counters are asked for when somebody looks, so that an idle PC stays asleep. */
static void
refresh_counters(struct role *r)
{
	uint64_t now = clock_mono_ms();

	if (!r->ready || r->serve == NULL || (r->asked_at != 0 && now - r->asked_at < COUNTERS_MS))
		return;
	r->asked_at = now;
	if (child_send(r->serve, childctl_new("status")) != OK)
		log_debug("role.counters", "error=not-asked");
}

cJSON *
role_json(struct role *r)
{
	cJSON *o = cJSON_CreateObject(), *list = NULL, *box;
	enum err e = o == NULL ? ERR_NOMEM : json_add_bool(o, "on", r->wish.on);

	refresh_counters(r);
	if (e == OK)
		e = json_add_string(o, "mode", role_is_origin(r) ? "origin" : "mirror");
	if (e == OK)
		e = json_add_bool(o, "serving", r->ready);
	if (e == OK && r->ready)
		e = json_add_u64(o, "ftp", r->ftp);
	if (e == OK && r->ready)
		e = json_add_u64(o, "http", r->http);
	if (e == OK && r->ready)
		e = json_add_u64(o, "version", r->version);
	if (e == OK && r->why[0] != '\0')
		e = json_add_string(o, "why", r->why);
	if (e == OK && r->wish.on && json_add_object(o, "options", &list) == OK)
		e = role_serve_options(r, list);
	list = NULL;
	if (e == OK && r->counters != NULL)
		(void)cJSON_AddItemToObject(o, "counters", cJSON_Duplicate(r->counters, true));
	if (e == OK && (box = relay_json(r->relay)) != NULL)
		e = cJSON_AddItemToObject(o, "dropbox", box) ? OK : ERR_NOMEM;
	if (e == OK && role_mirrors(r))
		e = json_add_array(o, "feeds", &list);
	for (size_t i = 0; e == OK && list != NULL && i < r->n_mirrors; i++)
		e = json_append(list, mirror_json(r->mirrors[i]));
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}
