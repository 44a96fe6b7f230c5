/* by_clamd.c - several files under way in one session. When the session breaks, what was under way
 * is sent again one by one, so that a file that breaks clamd is found and left behind. */
#include "scan.h"

#include "base/clock.h"
#include "base/log.h"
#include "link.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 4 /* files under way: keeps two scanning threads of clamd busy */
#define TRIES 3	 /* sessions that one file may break */
#define REPLY_MS 500u
#define CONNECT_MS 30000u /* clamd may be restarted or reload meanwhile */
#define PAUSE_US 200000u

struct pending {
	struct walk_file f;
	bool sent;
	uint32_t id;
	uint64_t sent_ms;
	unsigned tries;
};

struct job {
	struct scan *s;
	struct link link;
	struct pending p[WINDOW];
	size_t n, window;
	bool end; /* of the walk */
};

static size_t
widest(const struct scan *s)
{
	return s->c->gentle ? 1 : WINDOW;
}

static void
drop(struct job *j, size_t i)
{
	j->p[i] = j->p[--j->n];
	if (j->n == 0)
		j->window = widest(j->s);
}

static bool
stopped(const struct job *j)
{
	return atomic_load(&j->s->stop) || j->s->err != OK;
}

static void
session_lost(struct job *j, const char *why)
{
	link_close(&j->link);
	j->window = 1;
	for (size_t i = j->n; i > 0; i--) {
		struct pending *p = &j->p[i - 1];

		if (!p->sent)
			continue;
		p->sent = false;
		if (++p->tries >= TRIES) {
			log_warn("scan.given_up", "path=%s why=%s", log_q(p->f.path), why);
			scan_failed(j->s, &p->f, why);
			drop(j, i - 1);
		}
	}
}

static void
fill(struct job *j)
{
	while (!j->end && j->n < j->window && !stopped(j)) {
		struct pending *p = &j->p[j->n];

		*p = (struct pending){ 0 };
		if (!scan_next(j->s, &p->f))
			j->end = true;
		else if (p->f.size == 0)
			scan_clean(j->s, &p->f);
		else
			j->n++;
	}
}

static bool
connected(struct job *j)
{
	uint64_t until = clock_mono_ms() + CONNECT_MS;
	enum err e;

	while (j->link.fd < 0) {
		e = link_open(&j->link, j->s->c->socket);
		if (e == OK)
			break;
		if (clock_mono_ms() >= until || e == ERR_INVAL) {
			j->s->err = fault_set(&j->s->fault, ERR_UNREACHABLE,
			    "clamd at %s cannot be reached; is it running, and may this user "
			    "connect?",
			    j->s->c->socket);
			return false;
		}
		if (stopped(j))
			return false;
		(void)usleep(PAUSE_US);
	}
	return true;
}

static void
send_all(struct job *j)
{
	size_t under_way = 0;

	for (size_t i = 0; i < j->n; i++)
		under_way += j->p[i].sent;
	for (size_t i = 0; i < j->n && under_way < j->window; i++) {
		struct pending *p = &j->p[i];
		enum err e;

		if (p->sent)
			continue;
		e = j->s->c->method == SCAN_PATH ? link_send_path(&j->link, p->f.path, &p->id)
						 : link_send(&j->link, p->f.fd, &p->id);
		p->sent = true;
		p->sent_ms = clock_mono_ms();
		if (e != OK) {
			session_lost(j, "the engine ended the session");
			return;
		}
		under_way++;
	}
}

static void
verdict(struct job *j, const struct clamd_reply *r)
{
	for (size_t i = 0; i < j->n; i++) {
		struct pending *p = &j->p[i];

		if (!p->sent || p->id != r->id)
			continue;
		if (r->kind == CLAMD_FOUND)
			scan_found(j->s, &p->f, r->text);
		else if (r->kind == CLAMD_CLEAN)
			scan_clean(j->s, &p->f);
		else
			scan_failed(j->s, &p->f, r->text);
		drop(j, i);
		return;
	}
	session_lost(j, "the engine answers what was not asked");
}

static void
check_time(struct job *j)
{
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < j->n; i++)
		if (j->p[i].sent && now - j->p[i].sent_ms > j->s->c->file_ms) {
			j->p[i].tries = TRIES; /* this one alone is late */
			session_lost(j, "the engine takes too long");
			return;
		}
}

static void
receive(struct job *j)
{
	struct clamd_reply r;
	enum err e = link_reply(&j->link, REPLY_MS, &r);

	if (e == OK)
		verdict(j, &r);
	else if (e == ERR_AGAIN)
		check_time(j);
	else if (e != ERR_CANCELED)
		session_lost(j, "the engine ended the session");
}

void
scan_by_clamd(struct scan *s)
{
	struct job j = { .s = s, .window = widest(s) };

	link_init(&j.link, &s->stop);
	for (;;) {
		fill(&j);
		if (j.n == 0 || stopped(&j) || !connected(&j))
			break;
		send_all(&j);
		if (j.link.fd >= 0)
			receive(&j);
	}
	link_close(&j.link);
	while (j.n > 0) {
		scan_failed(s, &j.p[j.n - 1].f, "the scan was stopped");
		j.n--;
	}
}
