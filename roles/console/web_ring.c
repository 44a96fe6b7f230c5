#include "web_ring.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
ring_list_free(struct ring_list *l)
{
	while (l->head != NULL) {
		struct ring_message *m = l->head;

		l->head = m->next;
		free(m);
	}
	l->tail = &l->head;
}

void
ring_init(struct ring *r)
{
	memset(r, 0, sizeof(*r));
}

void
ring_clear(struct ring *r)
{
	for (; r->first < r->next; r->first++)
		free(r->slots[r->first % RING_MESSAGES]);
	r->bytes = 0;
	r->any = false;
}

static bool
type_fits(const char *pattern, const char *type)
{
	size_t n = strlen(pattern);

	if (n > 0 && pattern[n - 1] == '*')
		return strncmp(pattern, type, n - 1) == 0;
	return strcmp(pattern, type) == 0;
}

static bool
wants(const struct ring_place *p, const struct ring_message *m)
{
	if ((p->topics & m->kind) == 0)
		return false;
	if (p->who->scope[0] != '\0' && (m->group[0] == '\0' || !who_may_group(p->who, m->group)))
		return false;
	if (m->kind != RING_EVENT)
		return true;
	return (p->cls[0] == '\0' || strcmp(p->cls, m->cls) == 0) &&
	       (p->agent[0] == '\0' || strcmp(p->agent, m->agent) == 0) &&
	       (p->type[0] == '\0' || type_fits(p->type, m->type));
}

static int
kind_index(unsigned kind)
{
	return kind == RING_EVENT ? 0 : kind == RING_AGENT ? 1 : 2;
}

static void
lose(struct ring_place *p, const struct ring_message *m)
{
	if (!wants(p, m))
		return;
	p->lost[kind_index(m->kind)]++;
	if (m->kind != RING_EVENT)
		return;
	if (p->from == 0)
		p->from = m->n;
	p->to = m->n;
}

static void
drop_first(struct ring *r)
{
	struct ring_message *m = r->slots[r->first % RING_MESSAGES];

	for (struct ring_place *p = r->places; p != NULL; p = p->next) {
		if (p->at != r->first)
			continue;
		lose(p, m);
		p->at++;
	}
	if (m->kind == RING_EVENT)
		r->oldest_n = m->n + 1;
	r->bytes -= m->len;
	r->first++;
	free(m);
}

void
ring_add(struct ring *r, struct ring_list *l)
{
	while (l->head != NULL) {
		struct ring_message *m = l->head;

		l->head = m->next;
		while (r->next - r->first == RING_MESSAGES ||
		       (r->next > r->first && r->bytes + m->len > RING_BYTES))
			drop_first(r);
		if (m->kind == RING_EVENT && !r->any) {
			r->any = true;
			r->oldest_n = m->n;
		}
		r->slots[r->next++ % RING_MESSAGES] = m;
		r->bytes += m->len;
	}
	l->tail = &l->head;
}

void
ring_join(struct ring *r, struct ring_place *p)
{
	p->at = r->next;
	p->next = r->places;
	p->link = &r->places;
	if (p->next != NULL)
		p->next->link = &p->next;
	r->places = p;
}

void
ring_resume(struct ring *r, struct ring_place *p, uint64_t n)
{
	ring_join(r, p);
	p->at = r->first;
	while (p->at < r->next) {
		const struct ring_message *m = r->slots[p->at % RING_MESSAGES];

		if (m->kind == RING_EVENT && m->n > n)
			break;
		p->at++;
	}
	if (r->any && n + 1 < r->oldest_n && (p->topics & RING_EVENT) != 0) {
		p->lost[0] =
		    r->oldest_n - n - 1; /* at most: filters are not applied to what is gone */
		p->from = n + 1;
		p->to = r->oldest_n - 1;
	}
}

void
ring_leave(struct ring *r, struct ring_place *p)
{
	(void)r;
	if (p->link == NULL)
		return;
	*p->link = p->next;
	if (p->next != NULL)
		p->next->link = p->link;
	p->link = NULL;
}

static enum err
put_dropped(struct ring_place *p, struct buf *out)
{
	enum err e = buf_printf(out,
	    "event: dropped\ndata: {\"events\":%" PRIu64 ",\"agents\":%" PRIu64
	    ",\"tasks\":%" PRIu64 ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 "}\n\n",
	    p->lost[0], p->lost[1], p->lost[2], p->from, p->to);

	memset(p->lost, 0, sizeof(p->lost));
	p->from = p->to = 0;
	return e;
}

enum err
ring_take(struct ring *r, struct ring_place *p, struct buf *out, size_t max)
{
	enum err e = OK;

	if (p->lost[0] + p->lost[1] + p->lost[2] > 0)
		e = put_dropped(p, out);
	while (e == OK && p->at < r->next && out->len < max) {
		const struct ring_message *m = r->slots[p->at % RING_MESSAGES];

		if (wants(p, m))
			e = buf_append(out, m->frame, m->len);
		p->at++;
	}
	return e;
}
