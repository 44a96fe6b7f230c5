/* dropped.c - see dropped.h. */
#include "proto/dropped.h"

#include "base/json.h"
#include "base/text.h"
#include "proto/seal.h"

#include <string.h>

#define TYPE "dropped"

static enum err
add_signed(cJSON *o, const struct dropped *d)
{
	enum err e = json_add_string(o, "_type", TYPE);

	if (e == OK)
		e = json_add_string(o, "agent", d->agent);
	if (e == OK)
		e = json_add_string(o, "name", d->name);
	if (e == OK)
		e = json_add_string(o, "sha256", d->sha256);
	if (e == OK)
		e = json_add_u64(o, "size", d->size);
	return e == OK ? json_add_string(o, "task", d->task) : e;
}

enum err
dropped_seal(struct buf *out, const struct dropped *d, const char *cert_pem, const char *key_pem,
    struct fault *f)
{
	cJSON *body = cJSON_CreateObject();
	size_t before = out->len;
	enum err e = body == NULL ? ERR_NOMEM : add_signed(body, d);

	if (e == OK)
		e = buf_puts(out, DROPPED_MAGIC);
	if (e != OK) {
		cJSON_Delete(body);
		return e;
	}
	e = seal_make(out, body, cert_pem, key_pem, f);
	if (e == OK)
		e = buf_append(out, "\n", 1);
	return e == OK && out->len - before > DROPPED_HEAD_MAX ? ERR_TOOBIG : e;
}

static enum err
take(char *dst, size_t size, const cJSON *o, const char *name, struct fault *f)
{
	const char *s;
	enum err e = json_get_string(o, name, &s, f);

	if (e != OK)
		return e;
	e = text_copy(dst, size, s, strlen(s));
	return e == OK ? OK : fault_set(f, e, "its member '%s' is too long", name);
}

static enum err
read_signed(struct dropped *d, const cJSON *o, struct fault *f)
{
	enum err e = take(d->agent, sizeof(d->agent), o, "agent", f);

	if (e == OK)
		e = take(d->task, sizeof(d->task), o, "task", f);
	if (e == OK)
		e = take(d->name, sizeof(d->name), o, "name", f);
	if (e == OK)
		e = take(d->sha256, sizeof(d->sha256), o, "sha256", f);
	if (e == OK)
		e = json_get_u64(o, "size", JSON_MAX_INT, &d->size, f);
	if (e == OK && (!text_is_file_name(d->name, strlen(d->name)) ||
			   !text_is_uuid(d->task, strlen(d->task))))
		e = fault_set(f, ERR_PARSE, "it names no task or no file");
	return e;
}

enum err
dropped_open(struct dropped *out, size_t *head, const char *p, size_t n,
    const struct pki_trust *trust, const char *org, int64_t now_ms, struct fault *f)
{
	const size_t magic = strlen(DROPPED_MAGIC);
	size_t max = n < DROPPED_HEAD_MAX ? n : DROPPED_HEAD_MAX;
	struct pki_expect x = { .role = PKI_AGENT, .org = org, .name = out->agent };
	cJSON *tree = NULL, *body;
	struct pki_identity who;
	const char *end;
	enum err e;

	memset(out, 0, sizeof(*out));
	if (n < magic || memcmp(p, DROPPED_MAGIC, magic) != 0)
		return fault_set(f, ERR_NOTFOUND, "it is not signed");
	end = memchr(p, '\n', max);
	if (end == NULL)
		return fault_set(f, ERR_PARSE, "its first line has no end");
	*head = (size_t)(end - p) + 1;
	e = seal_read(&tree, &body, p + magic, *head - magic - 1, TYPE, f);
	if (e == OK)
		e = read_signed(out, body, f);
	if (e == OK) /* the sender is the one that `signed` names */
		e = seal_check(tree, trust, &x, now_ms, &who, f);
	cJSON_Delete(tree);
	return e == ERR_NOTFOUND ? ERR_PARSE : e; /* a member is missing */
}
