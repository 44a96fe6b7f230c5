#include "web_sessions.h"

#include "net/pki.h"

#include <stdlib.h>
#include <string.h>

struct sessions {
	uint64_t idle_ms, life_ms;
	size_t n;
	struct session *list[SESSIONS_MAX];
};

enum err
sessions_new(struct sessions **out, uint64_t idle_ms, uint64_t life_ms)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return ERR_NOMEM;
	(*out)->idle_ms = idle_ms;
	(*out)->life_ms = life_ms;
	return OK;
}

static void
drop_at(struct sessions *s, size_t i)
{
	explicit_bzero(s->list[i], sizeof(*s->list[i]));
	free(s->list[i]);
	s->list[i] = s->list[--s->n];
}

void
sessions_free(struct sessions *s)
{
	if (s == NULL)
		return;
	while (s->n > 0)
		drop_at(s, 0);
	free(s);
}

/* user NULL: of all. */
static size_t
oldest(const struct sessions *s, const char *user, size_t *count)
{
	size_t at = s->n;

	*count = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (user != NULL && strcmp(s->list[i]->who.name, user) != 0)
			continue;
		(*count)++;
		if (at == s->n || s->list[i]->seen < s->list[at]->seen)
			at = i;
	}
	return at;
}

void
sessions_add(struct sessions *s, const struct session *x)
{
	struct session *copy = malloc(sizeof(*copy));
	size_t count, at = oldest(s, x->who.name, &count);

	if (copy == NULL)
		return; /* the browser is told to log in again */
	if (count >= SESSIONS_PER_USER)
		drop_at(s, at);
	if (s->n == SESSIONS_MAX)
		drop_at(s, oldest(s, NULL, &count));
	*copy = *x;
	s->list[s->n++] = copy;
}

static bool
is_over(const struct sessions *s, const struct session *x, int64_t now)
{
	/* a clock that was set back ends it, too: its age is unknown */
	return now > x->created + (int64_t)s->life_ms || now > x->seen + (int64_t)s->idle_ms ||
	       now < x->created - 60000;
}

const struct session *
sessions_find(struct sessions *s, const uint8_t hash[32], int64_t now, bool touch, bool *save)
{
	if (save != NULL)
		*save = false;
	for (size_t i = 0; i < s->n; i++) {
		struct session *x = s->list[i];

		if (!pki_equal(x->who.session, hash, sizeof(x->who.session)))
			continue;
		if (is_over(s, x, now)) {
			drop_at(s, i);
			return NULL;
		}
		if (touch)
			x->seen = now > x->seen ? now : x->seen;
		if (save != NULL && touch && now - x->saved >= SESSION_SAVE_MS) {
			x->saved = now;
			*save = true;
		}
		return x;
	}
	return NULL;
}

bool
sessions_drop(struct sessions *s, const uint8_t hash[32])
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->list[i]->who.session, hash, 32) == 0) {
			drop_at(s, i);
			return true;
		}
	return false;
}

unsigned
sessions_drop_user(struct sessions *s, const char *user, const uint8_t *but)
{
	unsigned gone = 0;

	for (size_t i = 0; i < s->n;) {
		const struct who *w = &s->list[i]->who;

		if (strcmp(w->name, user) != 0 ||
		    (but != NULL && memcmp(w->session, but, 32) == 0)) {
			i++;
			continue;
		}
		drop_at(s, i);
		gone++;
	}
	return gone;
}

void
sessions_sweep(struct sessions *s, int64_t now)
{
	for (size_t i = 0; i < s->n;)
		if (is_over(s, s->list[i], now))
			drop_at(s, i);
		else
			i++;
}

void
sessions_each(const struct sessions *s, void (*each)(void *arg, const struct session *x), void *arg)
{
	for (size_t i = 0; i < s->n; i++)
		each(arg, s->list[i]);
}
