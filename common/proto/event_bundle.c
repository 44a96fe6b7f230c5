/* event_bundle.c - see event_bundle.h: making bundles and acknowledgements. */
#include "proto/event_bundle.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "update/hash.h"

#include <stdlib.h>
#include <string.h>

struct event_bundle_writer {
	char *source, epoch[EVENT_EPOCH];
	event_bundle_put put;
	void *ctx;
	cJSON *batches;
	struct buf line; /* the batch that grows */
	enum event_class class;
	uint32_t first, last; /* of it; first 0: none */
	unsigned events;
	struct event_bundle_mark mark;
};

enum err
event_bundle_new(struct event_bundle_writer **out, const char *source, const char *epoch,
    event_bundle_put put, void *ctx)
{
	struct event_bundle_writer *w = calloc(1, sizeof *w);
	enum err e = w == NULL ? ERR_NOMEM : text_copy(w->epoch, EVENT_EPOCH, epoch, strlen(epoch));

	*out = NULL;
	if (e != OK) {
		free(w);
		return e;
	}
	w->put = put;
	w->ctx = ctx;
	w->source = strdup(source);
	w->batches = cJSON_CreateArray();
	buf_init(&w->line, LIMIT_BATCH_BYTES);
	if (w->source == NULL || w->batches == NULL) {
		event_bundle_drop(w);
		return ERR_NOMEM;
	}
	*out = w;
	return OK;
}

void
event_bundle_drop(struct event_bundle_writer *w)
{
	if (w == NULL)
		return;
	cJSON_Delete(w->batches);
	buf_free(&w->line);
	free(w->source);
	free(w);
}

static enum err
put(struct event_bundle_writer *w, const void *p, size_t n)
{
	enum err e = w->put(w->ctx, p, n);

	w->mark.bytes += n;
	return e;
}

static enum err
describe(struct event_bundle_writer *w)
{
	cJSON *o = cJSON_CreateObject();
	char hex[HASH_SHA256_TEXT];
	enum err e =
	    o == NULL ? ERR_NOMEM : json_add_string(o, "class", event_class_word(w->class));

	hash_sha256_text(w->line.data, w->line.len, hex);
	if (e == OK)
		e = json_add_u64(o, "first", w->first);
	if (e == OK)
		e = json_add_u64(o, "last", w->last);
	if (e == OK)
		e = json_add_u64(o, "bytes", w->line.len);
	if (e == OK)
		e = json_add_string(o, "sha256", hex);
	if (e == OK)
		return json_append(w->batches, o);
	cJSON_Delete(o);
	return e;
}

static enum err
end_batch(struct event_bundle_writer *w)
{
	enum err e;

	if (w->first == 0)
		return OK;
	e = buf_puts(&w->line, "]");
	if (e == OK)
		e = describe(w);
	if (e == OK)
		e = put(w, w->line.data, w->line.len);
	if (e == OK)
		e = put(w, "\n", 1);
	w->mark.upto[w->class] = w->last;
	w->mark.events += w->events;
	w->first = 0;
	buf_reset(&w->line);
	return e;
}

static bool
is_full(const struct event_bundle_writer *w)
{
	return cJSON_GetArraySize(w->batches) >= LIMIT_BUNDLE_BATCHES ||
	       w->mark.bytes + LIMIT_BATCH_BYTES + LIMIT_SEALED > LIMIT_BUNDLE_BYTES;
}

enum err
event_bundle_add(
    struct event_bundle_writer *w, enum event_class class, uint32_t seq, const void *p, size_t n)
{
	struct buf one;
	bool fits;
	enum err e;

	buf_init(&one, LIMIT_BATCH_BYTES - 2);
	e = event_send_form(&one, p, n, w->source, w->epoch, seq);
	fits = w->first != 0 && w->class == class && w->last + 1 == seq &&
	       w->events < LIMIT_BATCH_EVENTS && w->line.len + one.len + 2 <= LIMIT_BATCH_BYTES;
	if (e == OK && !fits) {
		e = end_batch(w);
		if (e == OK && is_full(w)) {
			w->mark.more = true;
			e = ERR_TOOBIG;
		}
	}
	if (e == OK)
		e = buf_puts(&w->line, fits ? "," : "[");
	if (e == OK)
		e = buf_append(&w->line, one.data, one.len);
	buf_free(&one);
	if (e != OK)
		return e;
	if (!fits) {
		w->class = class;
		w->first = seq;
		w->events = 0;
	}
	w->last = seq;
	w->events++;
	return OK;
}

static enum err
add_about(cJSON *o, const char *type, const char *agent, const struct event_bundle_about *a)
{
	enum err e = json_add_string(o, "_type", type);

	if (e == OK)
		e = json_add_string(o, "org", a->org);
	if (e == OK)
		e = json_add_string(o, "agent", agent);
	return e == OK ? json_add_time(o, "created", a->created_ms) : e;
}

static enum err
add_item(cJSON *o, const char *name, cJSON **take)
{
	if (*take == NULL || !cJSON_AddItemToObject(o, name, *take))
		return ERR_NOMEM;
	*take = NULL;
	return OK;
}

static enum err
write_head(struct event_bundle_writer *w, const struct event_bundle_about *a, cJSON *receipts,
    struct buf *line, struct fault *f)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : add_about(o, "events", a->agent, a);

	if (e == OK)
		e = json_add_string(o, "epoch", w->epoch);
	if (e == OK)
		e = json_add_bool(o, "more", w->mark.more);
	if (e == OK)
		e = add_item(o, "batches", &w->batches);
	if (e == OK)
		e = add_item(o, "receipts", &receipts);
	cJSON_Delete(receipts);
	if (e == OK)
		e = buf_puts(line, EVENT_BUNDLE_MAGIC);
	if (e == OK)
		return seal_make(line, o, a->cert_pem, a->key_pem, f);
	cJSON_Delete(o);
	return e;
}

enum err
event_bundle_finish(struct event_bundle_writer *w, const struct event_bundle_about *a,
    cJSON *receipts, struct event_bundle_mark *mark, struct fault *f)
{
	struct buf line;
	enum err e = end_batch(w);

	buf_init(&line, LIMIT_SEALED);
	if (e == OK)
		e = write_head(w, a, receipts, &line, f);
	else
		cJSON_Delete(receipts);
	if (e == OK) {
		hash_sha256_text(line.data, line.len, w->mark.name);
		e = put(w, line.data, line.len);
	}
	if (e == OK)
		e = put(w, "\n", 1);
	buf_free(&line);
	memcpy(w->mark.epoch, w->epoch, sizeof w->mark.epoch);
	*mark = w->mark;
	return e;
}

enum err
event_bundle_ack_make(struct buf *out, const struct event_bundle_ack *ack,
    const struct event_bundle_about *a, struct fault *f)
{
	cJSON *o = cJSON_CreateObject(), *upto = NULL;
	enum err e = o == NULL ? ERR_NOMEM : add_about(o, "events-ack", ack->agent, a);

	if (e == OK)
		e = json_add_string(o, "bundle", ack->bundle);
	if (e == OK)
		e = json_add_bool(o, "conflict", ack->conflict);
	if (e == OK)
		e = json_add_object(o, "upto", &upto);
	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++)
		if (ack->upto[c] > 0)
			e = json_add_u64(upto, event_class_word((enum event_class)c), ack->upto[c]);
	if (e == OK)
		e = buf_puts(out, EVENT_BUNDLE_ACK_MAGIC);
	if (e == OK)
		return seal_make(out, o, a->cert_pem, a->key_pem, f);
	cJSON_Delete(o);
	return e;
}
