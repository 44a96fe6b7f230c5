/* web_events.c - GET /events/export: events as a file, CSV or NDJSON, however many. Pieces of a few
 * hundred rows are read in the database worker, each when the connection takes more. */
#include "admin_api.h"
#include "base/clock.h"
#include "base/text.h"
#include "proto/event.h"
#include "store.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_ROWS 200
#define LIMIT_PIECE (16u << 20)

struct export
{
	struct job job;
	struct console *c;
	struct http_req *req; /* NULL: the client went away */
	struct call *asked;   /* filters; never started */
	bool csv, reading, begun, over;
	uint64_t after;
	struct buf source, out;
	size_t rows;
};

static void
free_export(struct export *x)
{
	buf_free(&x->source);
	buf_free(&x->out);
	free(x->asked);
	free(x);
}

/* A cell that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection). */
static enum err
put_cell(struct buf *out, const char *text, const char *before)
{
	enum err e = buf_puts(out, before);

	if (e == OK)
		e = buf_puts(out, "\"");
	if (e == OK && text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL)
		e = buf_puts(out, "'");
	for (; e == OK && *text != '\0';) {
		size_t n = strcspn(text, "\"");

		e = buf_append(out, text, n);
		text += n;
		if (e == OK && *text == '"') {
			e = buf_puts(out, "\"\"");
			text++;
		}
	}
	return e == OK ? buf_puts(out, "\"") : e;
}

static enum err
put_csv(struct buf *out, const struct event_view *v)
{
	const char *const cells[] = { v->time, v->cls, v->type, v->agent, v->host, v->group,
		v->body };
	char received[CLOCK_TEXT];
	enum err e = buf_printf(out, "%" PRIu64, v->n);

	clock_format(received, v->received);
	if (e == OK)
		e = put_cell(out, received, ",");
	for (size_t i = 0; e == OK && i < sizeof(cells) / sizeof(cells[0]); i++)
		e = put_cell(out, cells[i], ",");
	return e == OK ? buf_puts(out, "\r\n") : e;
}

static enum err
put_row(void *arg, const struct event_view *v)
{
	struct export *x = arg;
	enum err e;

	if (x->out.len > LIMIT_PIECE / 2)
		return ERR_CANCELED; /* the rest with the next piece */
	e = x->csv ? put_csv(&x->out, v) : store_event_write(&x->out, v);
	if (e == OK && !x->csv)
		e = buf_puts(&x->out, "\n");
	x->after = v->n;
	x->rows++;
	return e;
}

static enum err
read_piece(struct job *job, void *ctx)
{
	struct export *x = (struct export *)job;
	const struct call *a = x->asked;
	struct event_query q = { .after = x->after,
		.limit = PIECE_ROWS,
		.cls = a->text[0],
		.type = a->text[1],
		.source = buf_text(&x->source),
		.before = a->before,
		.since = a->since,
		.until = a->until,
		.text = a->text[3][0] != '\0' ? a->text[3] : NULL,
		.scope = who_scope(&a->who),
		.org = x->c->o->org };
	enum err e = OK;

	x->rows = 0;
	buf_reset(&x->out);
	if (!x->begun && x->csv)
		e = buf_puts(&x->out, "n,received,time,class,type,agent,host,group,event\r\n");
	x->begun = true;
	if (e == OK)
		e = store_events_each(ctx, &q, put_row, x);
	x->over = e == OK && x->rows < PIECE_ROWS;
	return e == ERR_CANCELED ? OK : e;
}

static void
piece_read(struct job *job, enum err result)
{
	struct export *x = (struct export *)job;

	x->reading = false;
	if (x->req == NULL)
		free_export(x);
	else if (result != OK || http_stream_write(x->req, x->out.data, x->out.len, x->over) != OK)
		http_stream_abort(x->req);
}

static void
on_proceed(struct http_req *req, void *ctx)
{
	struct export *x = ctx;

	(void)req;
	x->reading = true;
	work_add(&x->c->db_work, &x->job);
}

static void
on_stop(struct http_req *req, void *ctx)
{
	struct export *x = ctx;

	(void)req;
	x->req = NULL;
	if (!x->reading)
		free_export(x);
}

static const struct http_source source = { on_proceed, on_stop };

static struct export *
new_export(struct console *c, struct http_req *req)
{
	struct export *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->asked = calloc(1, sizeof(*x->asked));
	buf_init(&x->source, 512);
	buf_init(&x->out, LIMIT_PIECE);
	if (x->asked == NULL || !web_who(c, req, &x->asked->who)) {
		free_export(x);
		return NULL;
	}
	admin_events_filters(x->asked, req);
	if (x->asked->text[2][0] != '\0' &&
	    event_source(&x->source, c->o->org, x->asked->text[2]) != OK) {
		free_export(x);
		return NULL;
	}
	x->after = x->asked->after;
	x->c = c;
	x->req = req;
	x->job.run = read_piece;
	x->job.done = piece_read;
	return x;
}

void
web_events_export(struct http_req *req, void *ctx)
{
	const char *format = http_query(req, "format");
	bool csv = format != NULL && strcmp(format, "csv") == 0;
	struct export *x;

	if (!csv && (format == NULL || strcmp(format, "ndjson") != 0)) {
		http_problem(req, 400, "malformed", "format is csv or ndjson");
		return;
	}
	x = new_export(ctx, req);
	if (x == NULL) {
		http_problem(req, 503, "busy", "memory ran out");
		return;
	}
	x->csv = csv;
	http_set(req, "Content-Disposition",
	    csv ? "attachment; filename=\"events.csv\"" : "attachment; filename=\"events.ndjson\"");
	http_stream(req, 200, csv ? "text/csv; charset=utf-8" : "application/x-ndjson",
	    HTTP_LENGTH_UNKNOWN, &source, x);
}
