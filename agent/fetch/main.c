/* main.c - atalaia-fetch: a child of the agent. The loop's thread speaks childctl; the job is one
 * blocking function in libuv's pool. Order of the start: basics, config, confinement, only then the
 * first thread (common/os/confine.h says why). */
#include "guard.h"
#include "job.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "net/curlset.h"
#include "net/loop.h"
#include "proto/childctl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define CLOSE_MS 2000
#define EXIT_CONFIG 2
#define EXIT_INTERNAL 70

struct program {
	uv_loop_t loop;
	uv_async_t news;
	uv_timer_t later; /* news that came too early */
	uv_signal_t term;
	uv_work_t work;
	struct childctl *link;
	struct fetch_config *config;
	struct report report;
	struct progress *progress;
	struct job job;
	bool started, working, link_lost, closed;
	const char *probe; /* a test's wish: see run_job */
	int status;
};

static void
finish(struct program *p, int status)
{
	if (p->closed)
		return;
	p->closed = true;
	p->status = status;
	uv_close((uv_handle_t *)&p->news, NULL);
	uv_close((uv_handle_t *)&p->later, NULL);
	uv_close((uv_handle_t *)&p->term, NULL);
	childctl_close(p->link, CLOSE_MS, NULL, NULL);
}

static void
stop(struct program *p)
{
	if (p->working)
		job_cancel(&p->job);
	else
		finish(p, 1);
}

static void
on_later(uv_timer_t *t)
{
	struct program *p = t->data;
	unsigned wait_ms;
	cJSON *m;

	if (p->closed || p->link_lost || !p->working)
		return;
	m = progress_take(p->progress, clock_mono_ms(), &wait_ms);
	if (m != NULL && childctl_send(p->link, m) != OK)
		log_debug("fetch.progress", "sent=no");
	if (wait_ms != 0)
		(void)uv_timer_start(&p->later, on_later, wait_ms, 0);
}

static void
on_news(uv_async_t *a)
{
	struct program *p = a->data;

	if (!p->closed && uv_is_active((uv_handle_t *)&p->later) == 0)
		on_later(&p->later);
}

/* In the job's thread. */
static void
wake(void *arg)
{
	struct program *p = arg;

	(void)uv_async_send(&p->news);
}

static void
run_job(uv_work_t *w)
{
	struct program *p = w->data;
	const char *what;

	if (p->probe != NULL && guard_probe(p->probe, &what) != 0) {
		log_error("fetch.confinement", "broken=%s", what);
		return;
	}
	if (p->probe != NULL)
		log_info("fetch.confinement", "broken=none thread=pool");
	job_run(&p->job);
}

static void
on_job_done(uv_work_t *w, int canceled)
{
	struct program *p = w->data;
	cJSON *m = report_message(&p->report);

	p->working = false;
	if (!p->link_lost && childctl_send(p->link, m) != OK)
		log_warn("fetch.result", "sent=no");
	else if (p->link_lost)
		cJSON_Delete(m);
	job_end(&p->job);
	finish(p, report_exit(&p->report));
}

static enum err
confine(struct program *p, struct fault *f)
{
	struct confine_report r;
	enum err e = guard_apply(p->config, &r, f);

	if (e != OK && e != ERR_UNSUPPORTED)
		return e;
	if (e == OK) {
		log_info("fetch.confined", "%s", r.text);
		return OK;
	}
	log_error("fetch.confined", "%s missing=yes text=%s", r.text, fault_text(f));
	if (p->config->require_confinement)
		return e;
	fault_reset(f);
	return OK;
}

static enum err
begin(struct program *p, const cJSON *message, struct fault *f)
{
	enum err e = fetch_config_read(&p->config, message, f);

	if (e == OK)
		e = confine(p, f);
	if (e == OK)
		e = progress_new(&p->progress, wake, p);
	if (e != OK)
		return e;
	report_init(&p->report, p->config->mode == FETCH_SEND ? p->config->name : p->config->feed,
	    p->config->current);
	p->probe = getenv("ATALAIA_FETCH_PROBE");
	e = job_start(&p->job, p->config, &p->report, p->progress, f);
	if (e == OK && uv_queue_work(&p->loop, &p->work, run_job, on_job_done) != 0)
		e = fault_set(f, ERR_NOMEM, "no thread for the job");
	p->working = p->started = e == OK;
	return e;
}

/* A configuration that cannot be used is a result as well: the agent must learn the reason. */
static void
refuse(struct program *p, enum err e, const struct fault *f)
{
	struct refusal r = { .source = "", .rule = "config", .error = e, .text = fault_text(f) };

	log_error("fetch.config", "error=%s text=%s", err_word(e), fault_text(f));
	report_refuse(&p->report, &r);
	if (childctl_send(p->link, report_message(&p->report)) != OK)
		log_warn("fetch.result", "sent=no");
	finish(p, EXIT_CONFIG);
}

static enum err
on_message(void *ctx, const char *type, cJSON *message)
{
	struct program *p = ctx;
	struct fault f = { 0 };
	enum err e;

	if (strcmp(type, "stop") == 0) {
		stop(p);
		return OK;
	}
	if (strcmp(type, "config") != 0)
		return ERR_STATE; /* changed and status are for other children */
	e = begin(p, message, &f);
	if (e != OK)
		refuse(p, e, &f);
	return OK;
}

static void
on_ended(void *ctx, const struct fault *f)
{
	struct program *p = ctx;

	if (f->code != OK)
		log_error("fetch.link", "text=%s", fault_text(f));
	p->link_lost = true;
	stop(p);
}

static void
on_term(uv_signal_t *s, int number)
{
	struct program *p = s->data;

	stop(p);
}

static enum err
open_program(struct program *p, struct fault *f)
{
	static const struct childctl_handlers handlers = { on_message, on_ended };

	if (uv_loop_init(&p->loop) != 0)
		return fault_set(f, ERR_NOMEM, "no event loop");
	(void)uv_async_init(&p->loop, &p->news, on_news);
	(void)uv_signal_init(&p->loop, &p->term);
	(void)uv_timer_init(&p->loop, &p->later);
	p->later.data = p->news.data = p->term.data = p->work.data = p;
	(void)uv_signal_start(&p->term, on_term, SIGTERM);
	return childctl_open_child(&p->link, &p->loop, "atalaia-fetch", &handlers, p, f);
}

static int
run(struct program *p)
{
	struct fault f = { 0 };
	enum err e = confine_basics(false, &f);

	if (e == OK)
		e = curlset_global();
	if (e == OK)
		e = open_program(p, &f);
	if (e != OK) {
		log_error("fetch.start", "error=%s text=%s", err_word(e), fault_text(&f));
		return EXIT_CONFIG;
	}
	(void)uv_run(&p->loop, UV_RUN_DEFAULT);
	if (!loop_end(&p->loop))
		return EXIT_INTERNAL;
	progress_free(p->progress);
	fetch_config_free(p->config);
	return p->status;
}

static int
usage(FILE *out, int status)
{
	(void)fputs(
	    "usage: atalaia-fetch [--help | --version]\n"
	    "The agent starts it and speaks its protocol over stdin and stdout: one JSON object a\n"
	    "line, a `config` first; `result` is the last answer. Logs go to stderr.\n"
	    "Exit status: 0 updated, current or sent, 1 failed, waiting or stopped,\n"
	    "2 configuration, 3 updated or current although a source was refused or failed.\n",
	    out);
	return status;
}

int
main(int argc, char **argv)
{
	static struct program p;
	const char *spec = getenv("ATALAIA_LOG");

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, 0);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("atalaia-fetch %s\n", ATALAIA_VERSION) > 0 ? 0 : 1;
	if (argc != 1)
		return usage(stderr, EXIT_CONFIG);
	if (log_init("atalaia-fetch", spec != NULL ? spec : "info") != OK) {
		(void)fputs("atalaia-fetch: ATALAIA_LOG is not a log level\n", stderr);
		return EXIT_CONFIG;
	}
	return run(&p);
}
