#include "proto/envelope.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uuid.h"
#include "net/pki.h"
#include "update/signed.h"

#include <inttypes.h>
#include <string.h>

#define GROUP_PREFIX "group:"

static const struct {
	const char *code, *text;
} refusals[] = {
#define X(name, code, text) { code, text },
	ENVELOPE_REFUSALS(X)
#undef X
};

const char *
envelope_code(enum envelope_refusal r)
{
	return (unsigned)r < ENVELOPE_REFUSAL_COUNT ? refusals[r].code : "unknown";
}

const char *
envelope_text(enum envelope_refusal r)
{
	return (unsigned)r < ENVELOPE_REFUSAL_COUNT ? refusals[r].text : "unknown";
}

void
envelope_free(struct envelope *e)
{
	cJSON_Delete(e->tree);
	memset(e, 0, sizeof(*e));
}

static bool
is_target(const char *s)
{
	if (strcmp(s, "*") == 0)
		return true;
	if (text_starts(s, GROUP_PREFIX))
		return text_is_role_name(
		    s + strlen(GROUP_PREFIX), strlen(s) - strlen(GROUP_PREFIX));
	return text_is_uuid(s, strlen(s));
}

/* "update.now": two or more words of [a-z0-9-] joined by dots, or one. */
static bool
is_type(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n &&
	       s[0] != '.' && s[n - 1] != '.';
}

static enum err
get_time(const cJSON *o, const char *name, int64_t *out, struct fault *f)
{
	const char *text;
	enum err e = json_get_string(o, name, &text, f);

	if (e == OK && clock_parse(text, strlen(text), out) != OK)
		e = fault_set(
		    f, ERR_PARSE, "member '%s' must be a time such as 2026-01-01T00:00:00Z", name);
	return e;
}

static enum err
check_signed(struct envelope *e, struct fault *f)
{
	static const char *const allowed[] = { "id", "agent", "type", "args", "not_before",
		"expires", "issuer", NULL };
	const char *unknown = json_unknown_member(e->signed_part, allowed);

	if (unknown != NULL)
		return fault_set(f, ERR_PARSE, "member '%.64s' is unknown", unknown);
	e->created_ms = uuid_v7_ms(e->id);
	if (!text_is_uuid(e->id, strlen(e->id)) || e->created_ms < 0)
		return fault_set(f, ERR_PARSE, "member 'id' must be a UUID of version 7");
	if (!is_target(e->agent))
		return fault_set(
		    f, ERR_PARSE, "member 'agent' must be a UUID, \"group:NAME\" or \"*\"");
	if (!is_type(e->type))
		return fault_set(f, ERR_PARSE, "member 'type' is no name of a task type");
	if (!pki_is_name(e->issuer, strlen(e->issuer)))
		return fault_set(f, ERR_PARSE, "member 'issuer' is no name of a console");
	if (e->expires_ms <= e->not_before_ms)
		return fault_set(f, ERR_PARSE, "'expires' must lie after 'not_before'");
	return OK;
}

static enum err
check_signatures(const cJSON *list, struct fault *f)
{
	const cJSON *item, *other;
	const char *id, *sig, *before;
	enum err e;

	if (cJSON_GetArraySize(list) > LIMIT_AUTHORITY_KEYS)
		return fault_set(f, ERR_TOOBIG, "more than %d signatures", LIMIT_AUTHORITY_KEYS);
	cJSON_ArrayForEach(item, list)
	{
		e = json_get_string(item, "keyid", &id, f);
		if (e == OK)
			e = json_get_string(item, "sig", &sig, f);
		if (e != OK)
			return e;
		for (other = list->child; other != item; other = other->next)
			if (json_get_string(other, "keyid", &before, NULL) == OK &&
			    strcmp(before, id) == 0)
				return fault_set(
				    f, ERR_PARSE, "the same key id stands twice in 'signatures'");
	}
	return OK;
}

static enum err
read_fields(struct envelope *e, struct fault *f)
{
	cJSON *part, *list, *args;
	enum err x = json_get_object(e->tree, "signed", &part, f);

	if (x == OK)
		x = json_get_array(e->tree, "signatures", &list, f);
	if (x == OK)
		x = json_get_string(part, "id", &e->id, f);
	if (x == OK)
		x = json_get_string(part, "agent", &e->agent, f);
	if (x == OK)
		x = json_get_string(part, "type", &e->type, f);
	if (x == OK)
		x = json_get_string(part, "issuer", &e->issuer, f);
	if (x == OK)
		x = json_get_object(part, "args", &args, f);
	if (x == OK)
		x = get_time(part, "not_before", &e->not_before_ms, f);
	if (x == OK)
		x = get_time(part, "expires", &e->expires_ms, f);
	if (x != OK)
		return x;
	e->signed_part = part;
	e->signatures = list;
	e->args = args;
	x = check_signed(e, f);
	return x == OK ? check_signatures(list, f) : x;
}

enum err
envelope_from_tree(struct envelope *out, cJSON *take, struct fault *f)
{
	static const char *const allowed[] = { "signed", "signatures", NULL };
	enum err e = OK;

	memset(out, 0, sizeof(*out));
	out->tree = take;
	if (!cJSON_IsObject(take))
		e = fault_set(f, ERR_PARSE, "a task must be a JSON object");
	else if (json_unknown_member(take, allowed) != NULL)
		e = fault_set(
		    f, ERR_PARSE, "only 'signed' and 'signatures' may stand beside each other");
	if (e == OK)
		e = read_fields(out, f);
	if (e != OK)
		envelope_free(out);
	return e;
}

enum err
envelope_parse(struct envelope *out, const char *p, size_t n, struct fault *f)
{
	cJSON *tree;
	enum err e;

	memset(out, 0, sizeof(*out));
	if (n > LIMIT_TASK_BYTES)
		return fault_set(f, ERR_TOOBIG, "a task has at most %d bytes", LIMIT_TASK_BYTES);
	e = json_parse(&tree, p, n, JSON_SIGNED, f);
	return e == OK ? envelope_from_tree(out, tree, f) : e;
}

static bool
is_for(const struct envelope *e, const struct envelope_context *ctx)
{
	if (strcmp(e->agent, "*") == 0)
		return true;
	if (text_starts(e->agent, GROUP_PREFIX))
		return ctx->group != NULL &&
		       strcmp(e->agent + strlen(GROUP_PREFIX), ctx->group) == 0;
	return strcmp(e->agent, ctx->agent) == 0;
}

/* One refusal with its code's text and what was seen. */
static enum envelope_refusal
refuse(struct fault *f, enum envelope_refusal r, const char *what)
{
	(void)fault_set(f, ERR_DENIED, "%s: %s", envelope_text(r), what);
	return r;
}

static enum envelope_refusal
check_time(const struct envelope *e, const struct envelope_context *ctx, struct fault *f)
{
	char text[CLOCK_TEXT];

	if (e->expires_ms - e->not_before_ms > (int64_t)LIMIT_TASK_LIFE_S * 1000)
		return refuse(f, ENVELOPE_LIFE, e->type);
	if (ctx->now_ms >= e->expires_ms) {
		clock_format(text, e->expires_ms);
		return refuse(f, ENVELOPE_EXPIRED, text);
	}
	if (ctx->now_ms + ctx->skew_ms < e->not_before_ms) {
		clock_format(text, e->not_before_ms);
		return refuse(f, ENVELOPE_NOT_YET, text);
	}
	if (e->created_ms < ctx->not_before_ms) {
		clock_format(text, e->created_ms);
		return refuse(f, ENVELOPE_TOO_OLD, text);
	}
	return ENVELOPE_OK;
}

/* Why the threshold was missed: a revoked key among the signers, some valid ones, or none. */
static enum envelope_refusal
why_missed(const struct envelope *e, const struct authority *a, uint64_t valid, uint64_t needed,
    struct fault *f)
{
	const cJSON *item;
	const char *id;
	char text[64];
	struct buf b;

	cJSON_ArrayForEach(item, e->signatures)
	{
		if (json_get_string(item, "keyid", &id, NULL) == OK && authority_key_revoked(a, id))
			return refuse(f, ENVELOPE_REVOKED, e->type);
	}
	if (valid == 0)
		return refuse(f, ENVELOPE_BAD_SIGNATURE, e->type);
	buf_init(&b, sizeof(text));
	if (buf_printf(&b, "%" PRIu64 " of %" PRIu64, valid, needed) != OK ||
	    text_copy(text, sizeof(text), buf_text(&b), b.len) != OK)
		text[0] = '\0';
	buf_free(&b);
	return refuse(f, ENVELOPE_THRESHOLD, text);
}

static enum envelope_refusal
check_signers(const struct envelope *e, const struct authority *a, struct fault *f)
{
	const struct signers *s = authority_signers(a, e->type);
	struct signed_doc doc = {
		.tree = e->tree, .body = e->signed_part, .signatures = e->signatures
	};
	uint64_t valid = 0;
	enum err x;

	if (s == NULL)
		return refuse(f, ENVELOPE_NOT_ALLOWED, e->type);
	x = signed_verify(&doc, s, &valid, NULL);
	if (x == OK)
		return ENVELOPE_OK;
	if (x == ERR_NOMEM)
		return refuse(f, ENVELOPE_NO_MEMORY, e->type);
	return why_missed(e, a, valid, s->threshold, f);
}

enum envelope_refusal
envelope_verify(const struct envelope *e, const struct authority *a,
    const struct envelope_context *ctx, struct fault *f)
{
	enum envelope_refusal r;

	if (!is_for(e, ctx))
		return refuse(f, ENVELOPE_WRONG_AGENT, e->agent);
	r = check_time(e, ctx, f);
	if (r != ENVELOPE_OK)
		return r;
	if (!authority_console_allowed(a, e->issuer))
		return refuse(f, ENVELOPE_ISSUER, e->issuer);
	return check_signers(e, a, f);
}

static enum err
add_args(cJSON *o, const cJSON *args)
{
	cJSON *copy = args != NULL ? cJSON_Duplicate(args, 1) : cJSON_CreateObject();

	if (copy == NULL || !cJSON_AddItemToObject(o, "args", copy)) {
		cJSON_Delete(copy);
		return ERR_NOMEM;
	}
	return OK;
}

static enum err
draft_tree(cJSON *tree, const struct envelope_draft *d)
{
	cJSON *part, *list;
	enum err e = json_add_object(tree, "signed", &part);

	if (e == OK)
		e = json_add_string(part, "id", d->id);
	if (e == OK)
		e = json_add_string(part, "agent", d->agent);
	if (e == OK)
		e = json_add_string(part, "type", d->type);
	if (e == OK)
		e = add_args(part, d->args);
	if (e == OK)
		e = json_add_time(part, "not_before", d->not_before_ms);
	if (e == OK)
		e = json_add_time(part, "expires", d->expires_ms);
	if (e == OK)
		e = json_add_string(part, "issuer", d->issuer);
	return e == OK ? json_add_array(tree, "signatures", &list) : e;
}

enum err
envelope_build(struct envelope *out, const struct envelope_draft *d, struct fault *f)
{
	cJSON *tree = cJSON_CreateObject();
	enum err e = tree == NULL ? ERR_NOMEM : draft_tree(tree, d);
	struct buf text;

	memset(out, 0, sizeof(*out));
	if (e != OK) {
		cJSON_Delete(tree);
		return e;
	}
	/* Through the reader, so that nothing is signed that an agent would refuse by form. */
	buf_init(&text, LIMIT_TASK_BYTES);
	e = json_print(tree, &text);
	cJSON_Delete(tree);
	if (e == OK)
		e = envelope_parse(out, buf_text(&text), text.len, f);
	buf_free(&text);
	if (e == ERR_TOOBIG)
		(void)fault_set(f, e, "a task has at most %d bytes", LIMIT_TASK_BYTES);
	return e;
}

enum err
envelope_sign(struct envelope *e, const struct sign_private *key, struct fault *f)
{
	cJSON *sig, *list = json_get(e->tree, "signatures");
	const cJSON *item;
	const char *id, *own;
	enum err x = signed_signature(e->signed_part, key, &sig, f);

	if (x != OK)
		return x;
	x = json_get_string(sig, "keyid", &own, f);
	cJSON_ArrayForEach(item, list)
	{
		if (x == OK && json_get_string(item, "keyid", &id, NULL) == OK &&
		    strcmp(id, own) == 0)
			x = fault_set(f, ERR_EXISTS, "this key has signed the task already");
	}
	if (x != OK) {
		cJSON_Delete(sig);
		return x;
	}
	return json_append(list, sig);
}

enum err
envelope_write(const struct envelope *e, struct buf *out)
{
	return json_print(e->tree, out);
}
