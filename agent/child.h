/* child.h - one child process from spawn to the last byte: uv_spawn, childctl on its pipes, stop
 * with a deadline. Loop's thread. A child that loses the agent sees end of input and ends itself.
 * Its environment is an allow-list (child.c); its stderr is ours. */
#ifndef ATALAIA_AGENT_CHILD_H
#define ATALAIA_AGENT_CHILD_H

#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <uv.h>

struct child;

struct child_end {
	int64_t status; /* exit status, -1 when a signal ended it */
	int signal;
	bool stopped; /* child_stop was called before it ended */
	bool killed;  /* it did not stop in time, or broke the protocol */
	uint64_t ran_ms;
	char why[240]; /* a sentence for the log; "" for a clean end */
};

struct child_handlers {
	/* One legal message; the tree is freed after the call. */
	void (*message)(void *ctx, const char *type, cJSON *message);
	/* Exactly once, when the process is gone and all its messages were delivered. The child is
	 * freed after the call: forget the pointer. */
	void (*ended)(void *ctx, const struct child_end *end);
};

struct child_spec {
	const char *program;	 /* "atalaia-fetch" */
	const char *libexec;	 /* configured folder, "" = search */
	const char *const *args; /* after the program's name, NULL-terminated; may be NULL */
	unsigned stop_ms;	 /* from child_stop to SIGKILL */
};

/* config is taken, also on failure. On failure no handler is called. */
MUST_CHECK enum err child_spawn(struct child **out, uv_loop_t *loop, const struct child_spec *spec,
    cJSON *config, const struct child_handlers *h, void *ctx, struct fault *f);
/* message is taken. */
MUST_CHECK enum err child_send(struct child *c, cJSON *message);
void child_stop(struct child *c); /* asks, then kills at the deadline; more calls do nothing */
int child_pid(const struct child *c);

/* Path of a program: configured folder, the agent's own folder, then the packages' folders. */
MUST_CHECK enum err child_find(char *dst, size_t size, const char *libexec, const char *program);

#endif
