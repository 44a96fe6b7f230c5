/* child.c - see child.h. */
#include "child.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "proto/childctl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_CHILD_ENV 16
#define DRAIN_MS 2000u /* from the process's end to the end of its pipe */
#define ARGS_MAX 16

struct child {
	uv_process_t process;
	uv_timer_t timer;
	struct childctl *ctl;
	struct child_handlers h;
	void *ctx;
	char program[64];
	unsigned stop_ms;
	uint64_t started;
	struct child_end end;
	bool exited, pipe_ended, stopping, closing;
	int handles;
};

/* What a child needs, what tests use to steer it, and nothing else: proxies and secrets of the
 * agent's environment stay here. */
static const char *const env_kept[] = { "PATH", "TZ", "LANG", "LC_ALL", "TMPDIR", "LD_PRELOAD",
	"FAKETIME", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC",
	"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "ATALAIA_INJECT" };

static size_t
make_env(char *store, size_t size, char *env[LIMIT_CHILD_ENV + 1])
{
	size_t used = 0, n = 0;

	for (size_t i = 0; i < sizeof env_kept / sizeof env_kept[0] && n < LIMIT_CHILD_ENV; i++) {
		const char *value = getenv(env_kept[i]);
		int w;

		if (value == NULL)
			continue;
		w = snprintf(store + used, size - used, "%s=%s", env_kept[i], value);
		if (w < 0 || (size_t)w >= size - used)
			continue;
		env[n++] = store + used;
		used += (size_t)w + 1;
	}
	env[n] = NULL;
	return n;
}

static bool
try_folder(char *dst, size_t size, const char *folder, const char *program)
{
	return file_join(dst, size, folder, program) == OK && file_exists(dst);
}

enum err
child_find(char *dst, size_t size, const char *libexec, const char *program)
{
	char own[4096];
	size_t n = sizeof own - 1;
	char *slash;

	if (libexec != NULL && libexec[0] != '\0')
		return try_folder(dst, size, libexec, program) ? OK : ERR_NOTFOUND;
	if (uv_exepath(own, &n) == 0) {
		own[n] = '\0';
		slash = strrchr(own, '/');
		if (slash != NULL)
			*slash = '\0';
		if (try_folder(dst, size, own, program))
			return OK;
	}
	if (try_folder(dst, size, "/usr/lib/atalaia", program) ||
	    try_folder(dst, size, "/usr/sbin", program))
		return OK;
	return ERR_NOTFOUND;
}

static void
note(struct child *c, const char *why)
{
	if (c->end.why[0] == '\0')
		(void)snprintf(c->end.why, sizeof c->end.why, "%s", why);
}

static void
child_freed(void *ctx)
{
	struct child *c = ctx;

	c->end.ran_ms = clock_mono_ms() - c->started;
	if (c->end.why[0] == '\0' && c->end.signal != 0)
		(void)snprintf(c->end.why, sizeof c->end.why, "ended by signal %d", c->end.signal);
	log_debug("child.ended", "program=%s pid=%d status=%lld signal=%d", c->program,
	    c->process.pid, (long long)c->end.status, c->end.signal);
	c->h.ended(c->ctx, &c->end);
	free(c);
}

static void
handle_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	if (--c->handles == 0)
		childctl_close(c->ctl, 0, child_freed, c);
}

static void
maybe_close(struct child *c)
{
	if (!c->exited || !c->pipe_ended || c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->process, handle_closed);
	uv_close((uv_handle_t *)&c->timer, handle_closed);
}

static void
kill_now(struct child *c, const char *why)
{
	note(c, why);
	c->end.killed = true;
	if (!c->exited)
		(void)uv_process_kill(&c->process, SIGKILL);
}

static void
on_timer(uv_timer_t *t)
{
	struct child *c = t->data;

	if (c->exited) { /* somebody else still holds the pipe: it is no child of ours */
		note(c, "its pipe stayed open after it ended");
		c->pipe_ended = true;
		maybe_close(c);
		return;
	}
	kill_now(c, "did not stop in time and was killed");
}

static void
process_exited(uv_process_t *p, int64_t status, int sig)
{
	struct child *c = p->data;

	c->exited = true;
	c->end.status = sig != 0 ? -1 : status;
	c->end.signal = sig;
	c->end.stopped = c->stopping;
	(void)uv_timer_start(&c->timer, on_timer, DRAIN_MS, 0);
	maybe_close(c);
}

static enum err
on_message(void *ctx, const char *type, cJSON *message)
{
	struct child *c = ctx;

	if (strcmp(type, "hello") != 0)
		c->h.message(c->ctx, type, message);
	return OK;
}

static void
on_pipe_ended(void *ctx, const struct fault *f)
{
	struct child *c = ctx;

	c->pipe_ended = true;
	if (f != NULL && f->code != OK && !c->end.killed)
		kill_now(c, fault_text(f));
	else if (!c->exited)
		(void)uv_timer_start(&c->timer, on_timer, c->stop_ms, 0);
	maybe_close(c);
}

static void
discard_closed(uv_handle_t *h)
{
	free(h->data);
}

static void
discard_ctl_closed(void *ctx)
{
	struct child *c = ctx;

	uv_close((uv_handle_t *)&c->timer, discard_closed);
}

static int
run_process(struct child *c, uv_loop_t *loop, const struct child_spec *spec, const char *path,
    uv_stdio_container_t stdio[3])
{
	char store[16384], *env[LIMIT_CHILD_ENV + 1], *args[ARGS_MAX + 2];
	uv_process_options_t o = { 0 };
	size_t n = 0;

	args[n++] = c->program;
	for (size_t i = 0; spec->args != NULL && spec->args[i] != NULL && n <= ARGS_MAX; i++)
		args[n++] = (char *)(uintptr_t)spec->args[i]; /* uv_spawn does not write them */
	args[n] = NULL;
	(void)make_env(store, sizeof store, env);
	o.exit_cb = process_exited;
	o.file = path;
	o.args = args;
	o.env = env;
	o.cwd = "/";
	o.stdio = stdio;
	o.stdio_count = 3;
	return uv_spawn(loop, &c->process, &o);
}

enum err
child_spawn(struct child **out, uv_loop_t *loop, const struct child_spec *spec, cJSON *config,
    const struct child_handlers *h, void *ctx, struct fault *f)
{
	static const struct childctl_handlers ctl_handlers = { on_message, on_pipe_ended };
	uv_stdio_container_t stdio[3] = { 0 };
	char path[4096];
	struct child *c;
	enum err e;
	int u;

	*out = NULL;
	e = child_find(path, sizeof path, spec->libexec, spec->program);
	if (e != OK) {
		cJSON_Delete(config);
		return fault_set(f, e,
		    "program %s is not installed; install its package or set "
		    "[agent] libexec=",
		    spec->program);
	}
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		cJSON_Delete(config);
		return fault_set(f, ERR_NOMEM, "memory ran out");
	}
	c->h = *h;
	c->ctx = ctx;
	c->stop_ms = spec->stop_ms;
	c->started = clock_mono_ms();
	c->process.data = c->timer.data = c;
	c->handles = 2;
	(void)snprintf(c->program, sizeof c->program, "%s", spec->program);
	e = childctl_open_agent(&c->ctl, loop, stdio, &ctl_handlers, c);
	if (e != OK) {
		free(c);
		cJSON_Delete(config);
		return fault_set(f, e, "pipes for %s could not be made", spec->program);
	}
	(void)uv_timer_init(loop, &c->timer);
	stdio[2].flags = UV_INHERIT_FD;
	stdio[2].data.fd = 2;
	u = run_process(c, loop, spec, path, stdio);
	if (u != 0) {
		/* uv_spawn made the handle active; it must be closed before the memory goes. */
		uv_close((uv_handle_t *)&c->process, NULL);
		childctl_close(c->ctl, 0, discard_ctl_closed, c);
		cJSON_Delete(config);
		return fault_set(
		    f, err_from_errno(-u), "%s could not be started: %s", path, uv_strerror(u));
	}
	log_debug("child.started", "program=%s pid=%d", c->program, c->process.pid);
	e = childctl_start(c->ctl);
	if (e == OK)
		e = childctl_send(c->ctl, config);
	else
		cJSON_Delete(config);
	if (e != OK) /* the handlers will hear of its end like of any other */
		kill_now(c, "could not be told its configuration");
	*out = c;
	return OK;
}

enum err
child_send(struct child *c, cJSON *message)
{
	if (c->pipe_ended || c->closing || message == NULL) {
		cJSON_Delete(message);
		return message == NULL ? ERR_NOMEM : ERR_CLOSED;
	}
	return childctl_send(c->ctl, message);
}

void
child_stop(struct child *c)
{
	if (c == NULL || c->stopping)
		return;
	c->stopping = true;
	if (c->exited)
		return;
	(void)uv_timer_start(&c->timer, on_timer, c->stop_ms, 0);
	if (!c->pipe_ended && childctl_send(c->ctl, childctl_new("stop")) != OK)
		kill_now(c, "could not be asked to stop");
}

int
child_pid(const struct child *c)
{
	return c->process.pid;
}
