/* serve without an agent: options from a file, end on SIGTERM or SIGINT. */
#include "serve.h"

#include "base/log.h"
#include "net/loop.h"

#include <signal.h>
#include <stdio.h>

#define EXIT_CONFIG 2
#define EXIT_LEAK 70

struct standalone {
	struct serve serve;
	uv_signal_t term, interrupt;
};

static void
on_signal(uv_signal_t *h, int number)
{
	struct standalone *a = h->data;

	serve_stop(&a->serve, a->serve.options.drain_timeout);
}

static void
all_closed(void *ctx)
{
	struct standalone *a = ctx;

	uv_close((uv_handle_t *)&a->term, NULL);
	uv_close((uv_handle_t *)&a->interrupt, NULL);
}

static int
complain(const struct fault *f)
{
	(void)fprintf(stderr, "atalaia-update-agent: %s\n", fault_text(f));
	return f->code == ERR_INVAL ? EXIT_CONFIG : 1;
}

static void
start_signals(struct standalone *a)
{
	struct serve *s = &a->serve;

	(void)uv_signal_init(&s->loop, &a->term);
	(void)uv_signal_init(&s->loop, &a->interrupt);
	a->term.data = a->interrupt.data = a;
	(void)uv_signal_start(&a->term, on_signal, SIGTERM);
	(void)uv_signal_start(&a->interrupt, on_signal, SIGINT);
}

static void
say_ready(const struct serve *s)
{
	(void)printf("ready ftp=%u version=%u", s->ftp_port, s->version_port);
	if (s->options.http_on)
		(void)printf(" http=%u\n", s->http_port);
	else
		(void)printf(" http=off\n");
	(void)fflush(stdout);
}

static int
run(struct standalone *a)
{
	struct serve *s = &a->serve;
	struct fault f = { 0 };
	int status = 0;

	start_signals(a);
	s->closed = all_closed;
	s->ctx = a;
	if (serve_listen(s, true, &f) == OK) {
		say_ready(s);
	} else {
		status = complain(&f);
		serve_stop(s, 0);
	}
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	return status;
}

int
serve_config_main(const char *file)
{
	static struct standalone a;
	struct serve *s = &a.serve;
	struct fault f = { 0 };
	int status = 0;

	if (options_load(&s->options, &s->conf, file, &f) != OK ||
	    log_init("atalaia-update-agent", s->options.log) != OK) {
		(void)fault_set(&f, ERR_INVAL,
		    "%s: [update-agent] log is not a log level; write info or info,ftp=debug",
		    file);
		status = complain(&f);
	} else if (uv_loop_init(&s->loop) != 0) {
		status = 1;
	} else {
		status = serve_prepare(s, &f) == OK ? run(&a) : complain(&f);
		if (!loop_end(&s->loop))
			status = EXIT_LEAK;
	}
	serve_free(s);
	return status;
}
