/* main.c - atalaia-scan: a child of the agent, only while a scan runs. Order of the start: basics,
 * config, confinement, only then the first thread (common/os/confine.h says why). */
#include "config.h"
#include "guard.h"
#include "outbox.h"
#include "scan.h"

#include "base/log.h"
#include "net/loop.h"
#include "os/nice.h"
#include "proto/childctl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define CLOSE_MS 2000
#define RETRY_MS 50
#define EXIT_CONFIG 2
#define EXIT_INTERNAL 70

struct program {
	uv_loop_t loop;
	uv_async_t news;
	uv_timer_t again; /* the agent does not read: try the same message later */
	uv_signal_t term;
	uv_work_t work;
	struct childctl *link;
	struct scan_config config;
	struct outbox outbox;
	struct scan scan;
	cJSON *held; /* message that did not go */
	bool configured, working, ran, lost, closed;
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
	uv_close((uv_handle_t *)&p->again, NULL);
	uv_close((uv_handle_t *)&p->term, NULL);
	childctl_close(p->link, CLOSE_MS, NULL, NULL);
}

/* A copy goes, so that a message that finds the pipe full is not lost. */
static bool
sent(struct program *p, cJSON *m)
{
	cJSON *copy = cJSON_Duplicate(m, 1);

	return copy != NULL && childctl_send(p->link, copy) != ERR_TOOBIG;
}

static void drain(struct program *p);

static void
on_again(uv_timer_t *t)
{
	drain(t->data);
}

static void
on_news(uv_async_t *a)
{
	struct program *p = a->data;

	if (p->held == NULL)
		drain(p);
}

static void
drain(struct program *p)
{
	cJSON *m;

	while (!p->closed && (m = p->held != NULL ? p->held : outbox_take(&p->outbox)) != NULL) {
		p->held = NULL;
		if (!p->lost && !sent(p, m)) {
			p->held = m;
			(void)uv_timer_start(&p->again, on_again, RETRY_MS, 0);
			return;
		}
		cJSON_Delete(m);
	}
	if (p->ran && !p->working)
		finish(p, p->scan.err == OK ? 0 : 1);
}

/* In the scan's thread. */
static void
wake(void *ctx)
{
	struct program *p = ctx;

	(void)uv_async_send(&p->news);
}

static void
run(uv_work_t *w)
{
	struct program *p = w->data;
	const char *hole = getenv("ATALAIA_SCAN_PROBE") != NULL ? guard_probe() : NULL;

	if (getenv("ATALAIA_SCAN_PROBE") != NULL)
		log_info("scan.confinement", "broken=%s thread=pool",
		    hole != NULL ? log_q(hole) : "none");
	scan_run(&p->scan);
	outbox_put(&p->outbox, scan_result(&p->scan));
}

static void
ran(uv_work_t *w, int status)
{
	struct program *p = w->data;

	p->working = false;
	p->ran = true;
	drain(p);
}

static void
stop(struct program *p)
{
	if (p->working)
		scan_cancel(&p->scan);
	else if (!p->ran)
		finish(p, 1);
}

static enum err
confine(struct program *p, struct fault *f)
{
	struct confine_report r;
	enum err e = guard_apply(&p->config, &r, f);

	if (e != OK && e != ERR_UNSUPPORTED)
		return e;
	log_info("scan.confined", "%s", r.text);
	if (e == OK)
		return OK;
	log_error("scan.confined", "missing=yes text=%s", log_q(fault_text(f)));
	if (p->config.require_confinement)
		return e;
	fault_reset(f);
	return OK;
}

static enum err
begin(struct program *p, const cJSON *message, struct fault *f)
{
	enum err e = scan_config_read(&p->config, message, f);

	p->configured = true;
	if (e == OK && p->config.background)
		nice_background();
	if (e == OK)
		e = confine(p, f);
	if (e != OK)
		return e;
	scan_init(&p->scan, &p->config, &p->outbox);
	p->working = true;
	p->work.data = p;
	return uv_queue_work(&p->loop, &p->work, run, ran) == 0 ? OK : ERR_IO;
}

static enum err
on_message(void *ctx, const char *type, cJSON *message)
{
	struct program *p = ctx;
	struct fault f = { OK, "" };

	if (strcmp(type, "stop") == 0) {
		stop(p);
		return OK;
	}
	if (strcmp(type, "config") != 0)
		return OK;
	if (begin(p, message, &f) != OK) {
		(void)fprintf(stderr, "atalaia-scan: %s\n", fault_text(&f));
		finish(p, EXIT_CONFIG);
	}
	return OK;
}

static void
on_ended(void *ctx, const struct fault *f)
{
	struct program *p = ctx;

	if (f->code != OK)
		log_error("scan.childctl", "why=%s", log_q(fault_text(f)));
	p->lost = true;
	outbox_stop(&p->outbox);
	stop(p);
}

static void
on_term(uv_signal_t *s, int sig)
{
	stop(s->data);
}

static int
start(struct program *p)
{
	static const struct childctl_handlers handlers = { on_message, on_ended };
	struct fault f = { OK, "" };

	outbox_init(&p->outbox, wake, p);
	if (uv_loop_init(&p->loop) != 0 || uv_async_init(&p->loop, &p->news, on_news) != 0 ||
	    uv_timer_init(&p->loop, &p->again) != 0 || uv_signal_init(&p->loop, &p->term) != 0)
		return EXIT_INTERNAL;
	p->news.data = p->again.data = p->term.data = p;
	(void)uv_signal_start(&p->term, on_term, SIGTERM);
	if (childctl_open_child(&p->link, &p->loop, "atalaia-scan", &handlers, p, &f) != OK) {
		(void)fprintf(stderr, "atalaia-scan: %s\n", fault_text(&f));
		return EXIT_INTERNAL;
	}
	return 0;
}

static void
usage(void)
{
	(void)printf(
	    "atalaia-scan %s: scans files for atalaia-agent, which starts it and speaks with it on "
	    "its standard input and output.\n",
	    ATALAIA_VERSION);
}

int
main(int argc, char **argv)
{
	static struct program p;
	struct fault f = { OK, "" };

	if (argc > 1) {
		usage();
		return strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "--version") == 0
			   ? 0
			   : EXIT_CONFIG;
	}
	if (log_init("atalaia-scan", "info") != OK || confine_basics(true, &f) != OK) {
		(void)fprintf(stderr, "atalaia-scan: %s\n", fault_text(&f));
		return EXIT_INTERNAL;
	}
	if (start(&p) != 0)
		return EXIT_INTERNAL;
	(void)uv_run(&p.loop, UV_RUN_DEFAULT);
	if (!loop_end(&p.loop))
		return EXIT_INTERNAL;
	cJSON_Delete(p.held);
	outbox_free(&p.outbox);
	scan_config_free(&p.config);
	return p.status;
}
