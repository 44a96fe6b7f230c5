/* fuzz_steps.h - for fuzz targets that play a server: the input read as a list of steps, time that
 * passes only when a step says so, and clients on sockets that never block. */
#ifndef ATALAIA_TESTS_FUZZ_STEPS_H
#define ATALAIA_TESTS_FUZZ_STEPS_H

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

struct steps {
	const uint8_t *p;
	size_t n;
};

static inline void
must_hold(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "broken: %s\n", what);
	abort();
}

#define MUST(condition) must_hold(condition, #condition)

static inline uint8_t
step_byte(struct steps *s)
{
	if (s->n == 0)
		return 0;
	s->n--;
	return *s->p++;
}

/* As many bytes as the next one says, or what is left. */
static inline const uint8_t *
step_bytes(struct steps *s, size_t *n)
{
	const uint8_t *p;

	*n = step_byte(s);
	if (*n > s->n)
		*n = s->n;
	p = s->p;
	s->p += *n;
	s->n -= *n;
	return p;
}

/* --- time --- */

static uint64_t steps_ms;

static inline uint64_t
steps_clock(void)
{
	return steps_ms;
}

static inline void
steps_begin(void)
{
	static bool quiet;

	if (!quiet)
		MUST(log_init("fuzz", "error") == OK);
	quiet = true;
	steps_ms = 1000000;
	clock_replace(NULL, steps_clock);
}

/* Lets a timer that repeats fire in the next turn of the loop. */
static inline void
steps_fire(uv_timer_t *t)
{
	if (!uv_is_closing((uv_handle_t *)t) && uv_is_active((uv_handle_t *)t))
		(void)uv_timer_start(t, t->timer_cb, 0, uv_timer_get_repeat(t));
}

static inline void
steps_turn(uv_loop_t *loop, unsigned n)
{
	while (n-- > 0)
		(void)uv_run(loop, UV_RUN_NOWAIT);
}

/* Time passes for a server whose timer `tick` this is. */
static inline void
steps_pass(uv_loop_t *loop, uv_timer_t *tick, uint64_t ms)
{
	steps_ms += ms;
	if (tick != NULL)
		steps_fire(tick);
	steps_turn(loop, 2);
}

/* Real time, for the one thing that steps cannot say: how long a thread of the pool takes. */
static inline bool
steps_patience(uint64_t since_ns)
{
	return uv_hrtime() - since_ns < 8000000000ull;
}

/* --- clients --- */

static inline int
client_open(const struct sockaddr *a, socklen_t n)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	if (connect(fd, a, n) == 0 || errno == EINPROGRESS)
		return fd;
	(void)close(fd);
	return -1;
}

static inline void
client_send(int fd, const void *p, size_t n)
{
	if (fd >= 0)
		(void)!send(fd, p, n, MSG_NOSIGNAL);
}

/* By a reset for TCP, so that no port waits for the last packet of a thousand connections. */
static inline void
client_close(int *fd)
{
	struct linger hard = { 1, 0 };

	if (*fd < 0)
		return;
	(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	(void)close(*fd);
	*fd = -1;
}

#endif
