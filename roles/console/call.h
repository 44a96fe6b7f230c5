/* call.h - one HTTP request that needs the database: its body and identity are copied, `work` runs
 * in the worker within a transaction, `finish` on the loop after the commit, then the answer goes
 * out. The client may vanish at any time; the work is done all the same. */
#ifndef CONSOLE_CALL_H
#define CONSOLE_CALL_H

#include "console.h"
#include "who.h"

#include <stdarg.h>

#define CALL_QUEUE_MAX 4096 /* jobs that wait: past it clients are told to come later */
#define CALL_PARAM 128

struct call {
	struct job job;
	struct console *c;
	struct http_req *req;		/* NULL: the client went away */
	struct pki_identity peer;	/* role PKI_NONE without certificate */
	struct who who;			/* of 2226 and 10443; role 0 for agents */
	const struct http_route *route; /* static text */
	bool told;		 /* audited: httpd need not tell of the refusal */
	bool trailed;		 /* what was changed stands in the trail already, or need not */
	char address[ADDR_TEXT]; /* of the peer, without port */
	char param[CALL_PARAM];	 /* what the route's {} or * stood for */
	struct buf body;

	/* Query of lists and long-polls; set by the handler before call_start. */
	uint64_t after, before, limit, wait_s, deadline_ms;
	int64_t since, until; /* wall ms */
	bool last, gzip;
	char text[4][CALL_PARAM];

	/* The answer: out as JSON with status, or a problem when code is set. */
	int status; /* 0: nothing yet; finish decides */
	struct buf out;
	const char *code;
	struct fault fault;
	bool problem_body; /* out holds a problem document with members of its own */
	uint32_t retry_s;
	bool answered; /* finish gave the request away (waiter, stream) */
	bool moved;    /* finish started the call again on another worker */

	enum err (*work)(struct call *call, struct db *db); /* worker thread; not OK: 500 or 503 */
	void (*finish)(struct call *call); /* loop thread, after the commit; or NULL */

	void *extra; /* freed with extra_free */
	void (*extra_free)(void *extra);
};

/* Copies body, identity, address and parameter 0. NULL: already answered 503. */
struct call *call_new(struct console *c, struct http_req *req);
/* Runs work in the database worker. */
void call_start(
    struct call *call, enum err (*work)(struct call *, struct db *), void (*finish)(struct call *));
/* The same on the policies worker: work gets NULL for the database. */
void call_start_feed(
    struct call *call, enum err (*work)(struct call *, struct db *), void (*finish)(struct call *));
/* The same on the worker of uploaded files; also from finish, to go on there after the database. */
void call_start_files(
    struct call *call, enum err (*work)(struct call *, struct db *), void (*finish)(struct call *));
/* From finish: the call goes on on this queue (db_work passes the database). */
void call_next(struct call *call, struct work *w, enum err (*work)(struct call *, struct db *),
    void (*finish)(struct call *));
/* Answers 503 for lack of memory, before call_start, and frees the call. */
void call_fail(struct call *call);
/* Worker or loop: the answer is this problem. Returns OK, so that what was counted stays counted.
 */
enum err call_refuse(struct call *call, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Prints tree as the answer and frees it. */
enum err call_json(struct call *call, int status, cJSON *tree);
/* In finish, when the work found nothing yet: holds the request until the topic wakes (then restart
 * asks again, with the same deadline) or call->deadline_ms has passed (204). */
void call_hold(struct call *call, const char *topic,
    void (*restart)(struct console *c, struct http_req *req, uint64_t deadline_ms));

#endif
