/* childctl.c - the pure half: lines in, legal messages out. */
#include "proto/childctl.h"

#include "base/json.h"
#include "base/limits.h"

#include <string.h>

/* States of one direction. The two directions are independent but for config, which the child
 * sends nothing before but hello. */
enum {
	ST_START = 1,  /* nothing seen */
	ST_OPEN = 2,   /* hello (from the child) or config (from the agent) seen */
	ST_LAST = 4,   /* result or stop seen */
};

static const struct rule {
	enum childctl_side reader;
	const char *type;
	unsigned legal;
	unsigned next; /* 0: stays */
} rules[] = {
	{ CHILDCTL_AGENT, "hello",      ST_START,          ST_OPEN },
	{ CHILDCTL_AGENT, "ready",      ST_OPEN,           0 },
	{ CHILDCTL_AGENT, "progress",   ST_OPEN,           0 },
	{ CHILDCTL_AGENT, "detection",  ST_OPEN,           0 },
	{ CHILDCTL_AGENT, "unreadable", ST_OPEN,           0 },
	{ CHILDCTL_AGENT, "status",     ST_OPEN | ST_LAST, 0 },
	{ CHILDCTL_AGENT, "metrics",    ST_OPEN | ST_LAST, 0 },
	{ CHILDCTL_AGENT, "result",     ST_OPEN,           ST_LAST },
	{ CHILDCTL_CHILD, "config",     ST_START,          ST_OPEN },
	{ CHILDCTL_CHILD, "changed",    ST_OPEN,           0 },
	{ CHILDCTL_CHILD, "status",     ST_OPEN,           0 },
	{ CHILDCTL_CHILD, "stop",       ST_START | ST_OPEN, ST_LAST },
};

void
childctl_reader_init(struct childctl_reader *r, enum childctl_side side)
{
	r->side = side;
	r->state = ST_START;
	buf_init(&r->line, LIMIT_CHILD_LINE);
}

void
childctl_reader_free(struct childctl_reader *r)
{
	buf_free(&r->line);
}

static const struct rule *
find_rule(enum childctl_side reader, const char *type)
{
	size_t i;

	for (i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].reader == reader && strcmp(rules[i].type, type) == 0)
			return &rules[i];
	return NULL;
}

static enum err
take_line(struct childctl_reader *r, childctl_message_cb cb, void *ctx, struct fault *f)
{
	const struct rule *rule;
	const char *type;
	cJSON *tree;
	enum err e;

	e = json_parse(&tree, buf_text(&r->line), r->line.len, JSON_EVENT, f);
	if (e != OK) {
		fault_prefix(f, "childctl line");
		return e;
	}
	e = json_get_string(tree, "type", &type, f);
	if (e != OK) {
		cJSON_Delete(tree);
		return ERR_PARSE;
	}
	rule = find_rule(r->side, type);
	if (rule == NULL || (rule->legal & r->state) == 0) {
		e = fault_set(f, ERR_STATE, "childctl message '%.40s' is not legal %s", type,
		    rule == NULL ? "in this direction" : "now");
		cJSON_Delete(tree);
		return e;
	}
	if (rule->next != 0)
		r->state = rule->next;
	e = cb(ctx, type, tree);
	cJSON_Delete(tree);
	return e == OK ? OK : fault_set(f, e, "childctl message refused: %s", err_text(e));
}

enum err
childctl_reader_feed(struct childctl_reader *r, const char *p, size_t n, childctl_message_cb cb,
    void *ctx, struct fault *f)
{
	while (n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl != NULL ? (size_t)(nl - p) : n;
		enum err e = buf_append(&r->line, p, len);

		if (e == ERR_TOOBIG)
			return fault_set(f, e, "childctl line over %d bytes", LIMIT_CHILD_LINE);
		if (e != OK)
			return fault_set(f, e, "no memory for a childctl line");
		if (nl == NULL)
			return OK;
		e = take_line(r, cb, ctx, f);
		buf_reset(&r->line);
		if (e != OK)
			return e;
		p += len + 1;
		n -= len + 1;
	}
	return OK;
}

enum err
childctl_reader_end(const struct childctl_reader *r, struct fault *f)
{
	if (r->line.len == 0)
		return OK;
	return fault_set(f, ERR_PARSE, "childctl input ends inside a line (%zu bytes left over)",
	    r->line.len);
}

cJSON *
childctl_new(const char *type)
{
	cJSON *m = cJSON_CreateObject();

	if (m != NULL && json_add_string(m, "type", type) != OK) {
		cJSON_Delete(m);
		return NULL;
	}
	return m;
}

enum err
childctl_format(const cJSON *message, struct buf *out)
{
	struct buf line;
	enum err e;

	buf_init(&line, LIMIT_CHILD_LINE);
	e = json_print(message, &line);
	if (e == OK)
		e = buf_reserve(out, line.len + 1);
	if (e == OK)
		e = buf_append(out, line.data, line.len);
	if (e == OK)
		e = buf_puts(out, "\n");
	buf_free(&line);
	return e;
}
