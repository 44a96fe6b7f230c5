/* event_bundle_read.c - see event_bundle.h: what came on a stick. */
#include "proto/event_bundle.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "update/hash.h"

#include <stdlib.h>
#include <string.h>

/* The document behind the word that begins the line; NULL: another kind of line. */
static const char *
behind(const char *p, size_t n, const char *magic, size_t *rest)
{
	size_t len = strlen(magic);

	if (n < len || memcmp(p, magic, len) != 0)
		return NULL;
	*rest = n - len;
	return p + len;
}

static enum err
read_batch(struct event_bundle_batch *b, const cJSON *o, struct fault *f)
{
	const char *class, *hex;
	uint64_t first = 0, last = 0;
	size_t got = 0;
	enum err e = json_get_string(o, "class", &class, f);

	if (e == OK && event_class_parse(class, &b->class) != OK)
		e = fault_set(f, ERR_PARSE, "a batch is of no known class");
	if (e == OK)
		e = json_get_u64(o, "first", EVENT_SEQ_MAX, &first, f);
	if (e == OK)
		e = json_get_u64(o, "last", EVENT_SEQ_MAX, &last, f);
	if (e == OK)
		e = json_get_u64(o, "bytes", LIMIT_BATCH_BYTES, &b->bytes, f);
	if (e == OK)
		e = json_get_string(o, "sha256", &hex, f);
	if (e != OK)
		return e;
	if (strlen(hex) != 64 || text_unhex(b->sha256, sizeof b->sha256, hex, 64, &got) != OK)
		return fault_set(f, ERR_PARSE, "a batch has no SHA-256");
	if (first == 0 || last < first || last - first >= LIMIT_BATCH_EVENTS)
		return fault_set(f, ERR_PARSE, "the numbers of a batch cannot be");
	b->first = (uint32_t)first;
	b->last = (uint32_t)last;
	return OK;
}

static enum err
read_batches(struct event_bundle *b, struct fault *f)
{
	uint32_t upto[EVENT_CLASSES] = { 0 };
	const cJSON *item;
	cJSON *list;
	enum err e = json_get_array(b->body, "batches", &list, f);

	if (e != OK)
		return e;
	if (cJSON_GetArraySize(list) > LIMIT_BUNDLE_BATCHES)
		return fault_set(f, ERR_TOOBIG, "more than %d batches", LIMIT_BUNDLE_BATCHES);
	b->batches = calloc(LIMIT_BUNDLE_BATCHES, sizeof *b->batches);
	if (b->batches == NULL)
		return ERR_NOMEM;
	cJSON_ArrayForEach(item, list)
	{
		struct event_bundle_batch *x = &b->batches[b->n];

		e = read_batch(x, item, f);
		if (e != OK)
			return e;
		if (x->first <= upto[x->class])
			return fault_set(f, ERR_PARSE, "its batches overlap or are out of order");
		upto[x->class] = x->last;
		b->n++;
	}
	return OK;
}

static enum err
read_time(const cJSON *o, const char *name, int64_t *ms, struct fault *f)
{
	const char *text;
	enum err e = json_get_string(o, name, &text, f);

	if (e == OK && clock_parse(text, strlen(text), ms) != OK)
		e = fault_set(f, ERR_PARSE, "member '%s' must be an RFC 3339 time", name);
	return e;
}

static enum err
read_body(struct event_bundle *b, struct fault *f)
{
	cJSON *receipts;
	enum err e = json_get_string(b->body, "org", &b->org, f);

	if (e == OK)
		e = json_get_string(b->body, "agent", &b->agent, f);
	if (e == OK)
		e = json_get_string(b->body, "epoch", &b->epoch, f);
	if (e == OK && !text_is_uuid(b->agent, strlen(b->agent)))
		e = fault_set(f, ERR_PARSE, "member 'agent' must be a UUID");
	if (e == OK && !event_is_epoch(b->epoch))
		e = fault_set(f, ERR_PARSE, "member 'epoch' is none");
	if (e == OK)
		e = read_time(b->body, "created", &b->created_ms, f);
	if (e == OK)
		e = json_get_bool(b->body, "more", &b->more, f);
	if (e == OK)
		e = json_get_array(b->body, "receipts", &receipts, f);
	if (e == OK)
		b->receipts = receipts;
	return e == OK ? read_batches(b, f) : e;
}

enum err
event_bundle_read(struct event_bundle *out, const char *p, size_t n, struct fault *f)
{
	const char *doc = behind(p, n, EVENT_BUNDLE_MAGIC, &n);
	enum err e;

	memset(out, 0, sizeof *out);
	if (doc == NULL)
		return fault_set(
		    f, ERR_PARSE, "it has no last line of a bundle: it is cut, or none");
	if (n > LIMIT_SEALED)
		return fault_set(f, ERR_TOOBIG, "its last line is too long");
	hash_sha256_text(p, n + strlen(EVENT_BUNDLE_MAGIC), out->name);
	e = seal_read(&out->tree, &out->body, doc, n, "events", f);
	if (e == OK)
		e = read_body(out, f);
	if (e == OK)
		return OK;
	event_bundle_free(out);
	return e == ERR_NOTFOUND ? ERR_PARSE : e; /* a member is missing */
}

enum err
event_bundle_check(const struct event_bundle *b, const struct pki_trust *trust, const char *org,
    int64_t now_ms, struct pki_identity *who, struct fault *f)
{
	struct pki_expect x = { .role = PKI_AGENT, .org = org, .name = b->agent };

	if (strcmp(b->org, org) != 0)
		return fault_set(f, ERR_AUTH, "it is of another organisation");
	return seal_check(b->tree, trust, &x, now_ms, who, f);
}

void
event_bundle_free(struct event_bundle *b)
{
	cJSON_Delete(b->tree);
	free(b->batches);
	memset(b, 0, sizeof *b);
}

static enum err
read_ack(struct event_bundle_ack *a, const cJSON *body, struct fault *f)
{
	const char *agent, *bundle;
	const cJSON *item;
	uint64_t n;
	cJSON *upto;
	enum err e = json_get_string(body, "agent", &agent, f);

	if (e == OK)
		e = json_get_string(body, "bundle", &bundle, f);
	if (e == OK)
		e = json_get_bool(body, "conflict", &a->conflict, f);
	if (e == OK)
		e = json_get_object(body, "upto", &upto, f);
	if (e == OK && (text_copy(a->agent, sizeof a->agent, agent, strlen(agent)) != OK ||
			   strlen(bundle) != sizeof a->bundle - 1))
		e = fault_set(f, ERR_PARSE, "it names no agent or no bundle");
	if (e != OK)
		return e;
	memcpy(a->bundle, bundle, sizeof a->bundle);
	cJSON_ArrayForEach(item, upto)
	{
		enum event_class class;

		if (event_class_parse(item->string, &class) != OK)
			continue; /* of a newer console */
		e = json_get_u64(upto, item->string, EVENT_SEQ_MAX, &n, f);
		if (e != OK)
			return e;
		a->upto[class] = (uint32_t)n;
	}
	return OK;
}

enum err
event_bundle_ack_read(struct event_bundle_ack *out, const char *p, size_t n,
    const struct pki_trust *trust, const char *org, int64_t now_ms, struct fault *f)
{
	struct pki_expect x = { .role = PKI_CONSOLE, .org = org, .server = true };
	const char *doc = behind(p, n, EVENT_BUNDLE_ACK_MAGIC, &n);
	cJSON *tree = NULL, *body;
	struct pki_identity who;
	enum err e;

	memset(out, 0, sizeof *out);
	if (doc == NULL)
		return fault_set(f, ERR_PARSE, "it is no acknowledgement");
	e = seal_read(&tree, &body, doc, n, "events-ack", f);
	if (e == OK)
		e = read_ack(out, body, f);
	if (e == OK)
		e = seal_check(tree, trust, &x, now_ms, &who, f);
	cJSON_Delete(tree);
	return e == ERR_NOTFOUND ? ERR_PARSE : e; /* a member is missing */
}
