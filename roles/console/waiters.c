#include "waiters.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096 /* 12,000 waiters: three in a bucket */

struct waiter {
	struct waiter *next, **at; /* chain of its bucket */
	struct waiters *owner;
	uint64_t deadline_ms;
	struct http_req *req;
	const struct waiter_calls *calls;
	void *arg;
	char topic[WAITER_TOPIC];
};

struct waiters {
	struct waiter *buckets[BUCKETS];
	size_t n, limit;
	void (*woken)(void *arg, const char *topic);
	void *woken_arg;
	uint64_t next_deadline; /* no waiter ends before: ticks are free until then */
};

void
waiters_topic(char out[WAITER_TOPIC], const char *kind, const char *name)
{
	(void)snprintf(out, WAITER_TOPIC, "%s:%s", kind, name);
}

enum err
waiters_new(struct waiters **out, size_t limit)
{
	struct waiters *w = calloc(1, sizeof(*w));

	*out = w;
	if (w == NULL)
		return ERR_NOMEM;
	w->limit = limit;
	w->next_deadline = UINT64_MAX;
	return OK;
}

void
waiters_free(struct waiters *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (w->buckets[i] != NULL) {
			struct waiter *x = w->buckets[i];
			w->buckets[i] = x->next;
			free(x);
		}
	free(w);
}

/* FNV-1a: the topics are ours, nobody can choose colliding ones. */
static size_t
bucket_of(const char *topic)
{
	uint32_t h = 2166136261u;

	for (; *topic != '\0'; topic++)
		h = (h ^ (uint8_t)*topic) * 16777619u;
	return h % BUCKETS;
}

static void
forget(struct waiter *x)
{
	*x->at = x->next;
	if (x->next != NULL)
		x->next->at = x->at;
	x->owner->n--;
}

static void
on_cancel(struct http_req *req, void *ctx)
{
	struct waiter *x = ctx;

	(void)req;
	forget(x);
	if (x->calls->gone != NULL)
		x->calls->gone(x->arg);
	free(x);
}

enum err
waiters_add(struct waiters *w, const char *topic, uint64_t deadline_ms, struct http_req *req,
    const struct waiter_calls *calls, void *arg)
{
	struct waiter *x, **head;

	if (w->n >= w->limit)
		return ERR_BUSY;
	x = calloc(1, sizeof(*x));
	if (x == NULL || text_copy(x->topic, sizeof(x->topic), topic, strlen(topic)) != OK) {
		free(x);
		return ERR_NOMEM;
	}
	head = &w->buckets[bucket_of(topic)];
	x->owner = w;
	x->deadline_ms = deadline_ms;
	x->req = req;
	x->calls = calls;
	x->arg = arg;
	x->next = *head;
	x->at = head;
	if (x->next != NULL)
		x->next->at = &x->next;
	*head = x;
	w->n++;
	if (deadline_ms < w->next_deadline)
		w->next_deadline = deadline_ms;
	http_on_cancel(req, on_cancel, x);
	return OK;
}

/* The waiter is forgotten first, so that its query may wait again. */
static void
finish(struct waiter *x, void (*call)(struct http_req *, void *))
{
	struct http_req *req = x->req;
	void *arg = x->arg;

	forget(x);
	free(x);
	http_on_cancel(req, NULL, NULL);
	call(req, arg);
}

/* Moves the waiters of a bucket that match to *woken; taken out first, because again() may add to
 * the same topic. They stay counted until they are finished. */
static struct waiter **
collect(struct waiter *x, const char *topic, size_t n, struct waiter **end)
{
	struct waiter *next;

	for (; x != NULL; x = next) {
		next = x->next;
		if (strncmp(x->topic, topic, n) != 0)
			continue;
		*x->at = x->next;
		if (x->next != NULL)
			x->next->at = x->at;
		x->at = end;
		x->next = NULL;
		*end = x;
		end = &x->next;
	}
	return end;
}

static size_t
finish_all(struct waiter *const *woken)
{
	size_t n = 0;

	while (*woken != NULL) {
		/* finish takes the head off. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		finish(*woken, (*woken)->calls->again);
		n++;
	}
	return n;
}

void
waiters_watch(struct waiters *w, void (*woken)(void *arg, const char *topic), void *arg)
{
	w->woken = woken;
	w->woken_arg = arg;
}

size_t
waiters_wake(struct waiters *w, const char *topic)
{
	struct waiter *woken = NULL;

	if (w->woken != NULL)
		w->woken(w->woken_arg, topic);
	(void)collect(w->buckets[bucket_of(topic)], topic, strlen(topic) + 1, &woken);
	return finish_all(&woken);
}

size_t
waiters_wake_kind(struct waiters *w, const char *kind)
{
	struct waiter *woken = NULL, **end = &woken;
	char prefix[WAITER_TOPIC];

	waiters_topic(prefix, kind, "");
	for (size_t i = 0; i < BUCKETS; i++)
		end = collect(w->buckets[i], prefix, strlen(prefix), end);
	return finish_all(&woken);
}

bool
waiters_has(const struct waiters *w, const char *topic)
{
	for (const struct waiter *x = w->buckets[bucket_of(topic)]; x != NULL; x = x->next)
		if (strcmp(x->topic, topic) == 0)
			return true;
	return false;
}

void
waiters_tick(struct waiters *w, uint64_t now_ms)
{
	uint64_t soonest = UINT64_MAX;

	if (now_ms < w->next_deadline)
		return;
	w->next_deadline = UINT64_MAX;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct waiter *x = w->buckets[i], *next; x != NULL; x = next) {
			next = x->next;
			if (x->deadline_ms <= now_ms)
				finish(x, x->calls->late);
			else if (x->deadline_ms < soonest)
				soonest = x->deadline_ms;
		}
	if (soonest < w->next_deadline)
		w->next_deadline = soonest;
}

size_t
waiters_count(const struct waiters *w)
{
	return w->n;
}
