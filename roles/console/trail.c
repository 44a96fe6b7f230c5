#include "trail.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROW_TEXT 8192
#define NO_ROW_BEFORE "atalaia trail 1"

/* Length before each text: no two rows give the same bytes. */
enum err
trail_hash(
    uint8_t out[32], const struct trail_chain *before, int64_t number, const struct trail_row *r)
{
	const char *const texts[] = { r->user, r->address, r->action, r->object, r->detail };
	struct buf b;
	enum err e;

	buf_init(&b, ROW_TEXT);
	e = before->rows == 0 ? buf_puts(&b, NO_ROW_BEFORE)
			      : buf_append(&b, before->last, sizeof(before->last));
	if (e == OK)
		e = buf_printf(
		    &b, "%" PRId64 " %" PRId64 " %" PRId64 " ", number, r->at, r->status);
	for (size_t i = 0; e == OK && i < sizeof(texts) / sizeof(texts[0]); i++)
		e = buf_printf(&b, "%zu:%s", strlen(texts[i]), texts[i]);
	if (e == OK)
		pki_sha256(out, b.data, b.len);
	buf_free(&b);
	return e;
}

enum err
trail_add(struct db *db, const struct trail_row *row)
{
	struct sql_stmt *s = db_prepare(db, "SELECT n, hash FROM trail ORDER BY n DESC LIMIT 1");
	struct trail_chain chain = { .rows = 0 };
	uint8_t hash[32];
	const void *last;
	size_t n;
	enum err e = db_bind(s, "");

	if (e == OK)
		e = db_step(s);
	if (e == OK) {
		chain.rows = sql_i64(s, 0);
		last = sql_blob(s, 1, &n);
		memcpy(chain.last, last, n < sizeof(chain.last) ? n : sizeof(chain.last));
	}
	if (e == OK || e == ERR_NOTFOUND)
		e = trail_hash(hash, &chain, chain.rows + 1, row);
	db_end(s);
	if (e != OK)
		return e;
	return db_run(db,
	    "INSERT INTO trail(n, at, user, address, action, object, status, detail, hash)"
	    " VALUES(?,?,?,?,?,?,?,?,?)",
	    "iittttitb", chain.rows + 1, row->at, row->user, row->address, row->action, row->object,
	    row->status, row->detail, hash, sizeof(hash));
}

bool
trail_wants(const struct call *call)
{
	return call->who.role != 0 && !call->trailed && call->route != NULL &&
	       strcmp(call->route->method, "GET") != 0;
}

static bool
is_secret(const char *name)
{
	static const char *const names[] = { "password", "old", "new", "code", "secret", "token" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* At any depth (the reader bounds it) and of any type. */
static void
blank_secrets(cJSON *tree)
{
	cJSON *item, *next, *blank;

	for (item = tree->child; item != NULL; item = next) {
		next = item->next;
		if (item->string == NULL || !is_secret(item->string)) {
			blank_secrets(item);
			continue;
		}
		blank = cJSON_CreateString("");
		if (blank == NULL ||
		    !cJSON_ReplaceItemInObjectCaseSensitive(tree, item->string, blank))
			cJSON_Delete(cJSON_DetachItemViaPointer(tree, item));
	}
}

void
trail_detail(const struct buf *body, struct buf *out)
{
	uint8_t hash[32];
	char hex[65];
	cJSON *tree;
	enum err e;

	if (body->len == 0)
		return;
	if (body->len <= LIMIT_TASK_BYTES &&
	    json_parse(&tree, buf_text(body), body->len, JSON_EVENT, NULL) == OK) {
		blank_secrets(tree);
		e = json_print(tree, out);
		cJSON_Delete(tree);
		if (e == OK && out->len <= TRAIL_DETAIL)
			return;
		buf_reset(out);
	}
	pki_sha256(hash, body->data, body->len);
	text_hex(hex, hash, sizeof(hash));
	if (buf_printf(out, "%zu bytes, sha256 %s", body->len, hex) != OK)
		buf_reset(out);
}

static int64_t
status_of(const struct call *call)
{
	if (call->status != 0)
		return call->status;
	return call->out.len == 0 ? 204 : 200;
}

/* "POST /v1/tasks", whichever port it came by. */
static enum err
action_text(const struct call *call, struct buf *out)
{
	const char *path = call->route->path;

	return buf_printf(out, "%s %s", call->route->method,
	    text_starts(path, "/api/") ? path + strlen("/api") : path);
}

enum err
trail_call(struct call *call, struct db *db)
{
	struct trail_row row = { .at = clock_wall_ms(),
		.user = call->who.name,
		.address = call->address,
		.object = call->param,
		.status = status_of(call) };
	struct buf action, detail;
	enum err e;

	buf_init(&action, 256);
	buf_init(&detail, ROW_TEXT);
	e = action_text(call, &action);
	if (call->code != NULL && e == OK)
		e = buf_printf(&detail, "%s", call->code);
	else
		trail_detail(&call->body, &detail);
	row.action = buf_text(&action);
	row.detail = buf_text(&detail);
	if (e == OK)
		e = trail_add(db, &row);
	buf_free(&action);
	buf_free(&detail);
	call->trailed = e == OK;
	return e;
}

struct late {
	struct job job;
	struct trail_row row;
	char user[WHO_NAME], address[ADDR_TEXT], object[CALL_PARAM];
	struct buf action, detail;
};

static enum err
late_run(struct job *job, void *ctx)
{
	struct late *l = (struct late *)job;

	l->row.action = buf_text(&l->action);
	l->row.detail = buf_text(&l->detail);
	return trail_add(ctx, &l->row);
}

static void
late_done(struct job *job, enum err result)
{
	struct late *l = (struct late *)job;

	(void)result; /* db.c has logged it */
	buf_free(&l->action);
	buf_free(&l->detail);
	free(l);
}

void
trail_later(struct call *call)
{
	struct late *l = calloc(1, sizeof(*l));
	enum err e;

	if (l == NULL)
		return;
	buf_init(&l->action, 256);
	buf_init(&l->detail, ROW_TEXT);
	l->row.at = clock_wall_ms();
	l->row.status = status_of(call);
	l->row.user = memcpy(l->user, call->who.name, sizeof(l->user));
	l->row.address = memcpy(l->address, call->address, sizeof(l->address));
	l->row.object = memcpy(l->object, call->param, sizeof(l->object));
	e = action_text(call, &l->action);
	if (call->code != NULL && e == OK)
		e = buf_puts(&l->detail, call->code);
	else
		trail_detail(&call->body, &l->detail);
	l->job.run = late_run;
	l->job.done = late_done;
	call->trailed = true;
	if (e == OK)
		work_add(&call->c->db_work, &l->job);
	else
		late_done(&l->job, e);
}
