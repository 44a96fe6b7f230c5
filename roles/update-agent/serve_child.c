/* serve as a child of the agent: options, publications and the end come over childctl. */
#include "serve.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "net/loop.h"
#include "proto/childctl.h"

#include <stdio.h>
#include <string.h>

#define EXIT_CONFIG 2
#define EXIT_LEAK 70
#define METRICS_MS                                                                                 \
	1000 /* how soon the agent hears of an upload; counters alone: METRICS_IDLE ticks */
#define METRICS_IDLE 30
#define GOODBYE_MS 1000
#define DRAIN_MAX_MS 10000 /* GUIDE of childctl: stop takes ten seconds at most */

struct child {
	struct serve serve;
	struct childctl *ctl;
	bool listening, ended;
	int status;
	uv_timer_t tick;
	bool ticking;
	unsigned ticks;		   /* since the last message */
	uint64_t uploads, traffic; /* as the agent heard them last */
};

static enum err
send_message(struct child *c, cJSON *message, enum err built)
{
	if (message != NULL && built == OK)
		return childctl_send(c->ctl, message);
	cJSON_Delete(message);
	return ERR_NOMEM;
}

static void
ctl_closed(void *ctx)
{
	struct child *c = ctx;

	c->ctl = NULL;
}

static void
all_closed(void *ctx)
{
	struct child *c = ctx;

	if (c->ctl != NULL)
		childctl_close(c->ctl, GOODBYE_MS, ctl_closed, c);
}

static void
stop(struct child *c)
{
	uint64_t drain = c->serve.options.drain_timeout;

	if (c->ticking)
		uv_close((uv_handle_t *)&c->tick, NULL);
	c->ticking = false;
	serve_stop(&c->serve, drain < DRAIN_MAX_MS ? drain : DRAIN_MAX_MS);
}

static enum err
say_ready(struct child *c)
{
	cJSON *m = childctl_new("ready"), *ports = NULL;
	enum err e = m != NULL ? json_add_object(m, "ports", &ports) : ERR_NOMEM;

	if (e == OK)
		e = json_add_u64(ports, "ftp", c->serve.ftp_port);
	if (e == OK)
		e = json_add_u64(ports, "version", c->serve.version_port);
	if (e == OK && c->serve.options.http_on)
		e = json_add_u64(ports, "http", c->serve.http_port);
	if (e == OK)
		e = json_add_string(m, "confinement", c->serve.confined.text);
	return send_message(c, m, e);
}

/* A wrong configuration is one sentence for the agent, which shows it to the operator. */
static enum err
say_failed(struct child *c, const struct fault *f)
{
	cJSON *m = childctl_new("result");
	enum err e = m != NULL ? json_add_string(m, "outcome", "failed") : ERR_NOMEM;

	log_error("serve.failed", "error=%s", log_q(fault_text(f)));
	c->status = f->code == ERR_INVAL ? EXIT_CONFIG : 1;
	if (e == OK)
		e = json_add_string(m, "error", err_word(f->code));
	if (e == OK)
		e = json_add_string(m, "text", fault_text(f));
	e = send_message(c, m, e);
	serve_stop(&c->serve, 0);
	return e;
}

static enum err
add_ftp(cJSON *m, const struct serve *s)
{
	struct ftp_stats st = ftp_server_stats(s->ftp);
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "ftp_sessions", st.sessions },
		{ "ftp_accepted", st.accepted },
		{ "ftp_refused", st.refused },
		{ "ftp_commands", st.commands },
		{ "ftp_transfers", st.transfers },
		{ "ftp_failed", st.failed },
		{ "ftp_bytes_out", st.bytes_out },
		{ "ftp_bytes_in", st.bytes_in },
		{ "ftp_strangers", st.strangers },
		{ "ftp_timeouts", st.timeouts },
		{ "uploads", s->box != NULL ? dropbox_received(s->box) : 0 },
		{ "uptime_ms", clock_mono_ms() - s->started_ms },
	};
	enum err e = OK;
	size_t i;

	for (i = 0; e == OK && i < sizeof(rows) / sizeof(rows[0]); i++)
		e = json_add_u64(m, rows[i].name, rows[i].value);
	return e;
}

static enum err
add_http(cJSON *m, const struct serve *s)
{
	struct versions_stats v = versions_stats(s->versions);
	struct httpd_stats h = { 0 };
	enum err e = json_add_u64(m, "waiters", v.waiters);

	if (s->http != NULL)
		h = http_files_stats(s->http);
	if (e == OK)
		e = json_add_u64(m, "version_requests", v.requests);
	if (e == OK)
		e = json_add_u64(m, "version_answered_new", v.answered_new);
	if (e == OK)
		e = json_add_u64(m, "version_timeouts", v.timeouts);
	if (e == OK)
		e = json_add_u64(m, "http_connections", h.connections);
	if (e == OK)
		e = json_add_u64(m, "http_requests", h.requests);
	if (e == OK)
		e = json_add_u64(m, "http_bytes_out", h.bytes_out);
	return e;
}

static enum err
say_counters(struct child *c, const char *type)
{
	cJSON *m = childctl_new(type);
	enum err e = m != NULL ? add_ftp(m, &c->serve) : ERR_NOMEM;

	if (e == OK)
		e = add_http(m, &c->serve);
	return send_message(c, m, e);
}

/* What an idle mirror would say is what the agent knows: nothing is sent. */
static void
on_tick(uv_timer_t *t)
{
	struct child *c = t->data;
	struct serve *s = &c->serve;
	struct ftp_stats st = ftp_server_stats(s->ftp);
	struct versions_stats v = versions_stats(s->versions);
	uint64_t uploads = s->box != NULL ? dropbox_received(s->box) : 0;
	uint64_t traffic = st.commands + st.accepted + v.requests +
			   (s->http != NULL ? http_files_stats(s->http).requests : 0);

	c->ticks++;
	if (s->stopped)
		return;
	if (uploads == c->uploads && (traffic == c->traffic || c->ticks < METRICS_IDLE))
		return;
	if (say_counters(c, "metrics") != OK)
		log_debug("metrics", "sent=no");
	c->uploads = uploads;
	c->traffic = traffic;
	c->ticks = 0;
}

static void
start_ticking(struct child *c)
{
	(void)uv_timer_init(&c->serve.loop, &c->tick);
	c->tick.data = c;
	c->ticking = true;
	(void)uv_timer_start(&c->tick, on_tick, METRICS_MS, METRICS_MS);
}

static enum err
on_config(struct child *c, cJSON *message)
{
	struct serve *s = &c->serve;
	struct fault f = { 0 };
	cJSON *options;
	bool poll = false; /* origin: somebody else publishes into the folder */
	enum err e = json_get_object(message, "options", &options, &f);

	if (e == OK)
		e = json_opt_bool(message, "poll", false, &poll, &f);

	if (e == OK)
		e = options_from_json(&s->options, &s->conf, options, &f);
	if (e == OK && log_init("atalaia-update-agent", s->options.log) != OK)
		e = fault_set(&f, ERR_INVAL, "[update-agent] log is not a log level");
	if (e == OK)
		e = serve_prepare(s, &f);
	if (e == OK)
		e = serve_listen(s, poll, &f);
	if (e != OK)
		return say_failed(c, &f);
	c->listening = true;
	start_ticking(c);
	return say_ready(c);
}

static enum err
on_message(void *ctx, const char *type, cJSON *message)
{
	struct child *c = ctx;

	if (strcmp(type, "config") == 0)
		return on_config(c, message);
	if (strcmp(type, "stop") == 0) {
		stop(c);
		return OK;
	}
	if (!c->listening || c->serve.stopped)
		return OK;
	if (strcmp(type, "changed") == 0)
		versions_refresh(c->serve.versions);
	else if (strcmp(type, "status") == 0)
		return say_counters(c, "status");
	return OK;
}

/* The agent is gone, or speaks nonsense: what runs may finish, as at a stop. */
static void
on_ended(void *ctx, const struct fault *f)
{
	struct child *c = ctx;

	if (f->code != OK)
		log_error("childctl.ended", "error=%s", log_q(fault_text(f)));
	stop(c);
}

int
serve_child_main(void)
{
	static const struct childctl_handlers handlers = { on_message, on_ended };
	static struct child c;
	struct serve *s = &c.serve;
	struct fault f = { 0 };

	if (uv_loop_init(&s->loop) != 0)
		return 1;
	s->closed = all_closed;
	s->ctx = &c;
	if (childctl_open_child(&c.ctl, &s->loop, "atalaia-update-agent", &handlers, &c, &f) !=
	    OK) {
		(void)fprintf(stderr, "atalaia-update-agent: %s\n", fault_text(&f));
		return 1;
	}
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	if (!loop_end(&s->loop))
		c.status = EXIT_LEAK;
	serve_free(s);
	return c.status;
}
