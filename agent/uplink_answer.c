/* uplink_answer.c - what an answer to a batch allows. Deleting an event needs a proof that it is
 * stored: anything unclear means "send again", which the receiver's duplicate check forgives. */
#include "uplink_batch.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <string.h>

/* The first n events of the batch are stored. */
static void
take_prefix(struct uplink_verdict *v, const struct spool_batch *b, size_t n)
{
	for (size_t i = 0; i < n && i < b->n; i++)
		v->upto[b->items[i].class] = b->items[i].seq;
}

static void
later(struct uplink_verdict *v, enum err code, const char *why)
{
	v->action = UPLINK_LATER;
	(void)fault_set(&v->fault, code, "%s", why);
}

/* Seconds only: the other form, a date, would need a clock that both sides trust. */
static uint64_t
retry_ms(const char *retry_after)
{
	uint32_t s;

	if (retry_after == NULL || text_u32(retry_after, strlen(retry_after), 86400, &s) != OK)
		return 0;
	return (uint64_t)(s < LIMIT_RETRY_AFTER_S ? s : LIMIT_RETRY_AFTER_S) * 1000;
}

static void
judge_acks(struct uplink_verdict *v, const struct uplink_sent *sent, const void *body, size_t n)
{
	struct event_ack acks[EVENT_CLASSES];
	bool progress = false;

	if (event_acks_parse(acks, body, n, &v->fault) != OK) {
		later(v, ERR_PARSE, "the answer is no list of acks");
		return;
	}
	for (unsigned c = 0; c < EVENT_CLASSES; c++) {
		uint32_t first = sent->class[c].first, last = sent->class[c].last;

		if (first == 0 || !acks[c].present)
			continue;
		if (strcmp(acks[c].epoch, sent->epoch) != 0)
			(void)fault_set(&v->fault, ERR_VERIFY,
			    "an ack of class %s names another epoch",
			    event_class_word((enum event_class)c));
		else if (acks[c].seq > last)
			(void)fault_set(&v->fault, ERR_VERIFY,
			    "an ack of class %s goes to %u, beyond %u which "
			    "was sent last",
			    event_class_word((enum event_class)c), (unsigned)acks[c].seq,
			    (unsigned)last);
		else if (acks[c].seq >= first)
			v->upto[c] = acks[c].seq;
		progress = progress || v->upto[c] != 0;
	}
	if (v->fault.code == OK && progress)
		v->action = UPLINK_TAKEN;
	else
		later(v, ERR_VERIFY, "the answer acknowledges nothing that was sent");
}

static bool
member_index(const cJSON *tree, const char *name, size_t n, size_t *index)
{
	uint64_t v;

	if (json_get_u64(tree, name, JSON_MAX_INT, &v, NULL) != OK || v >= n)
		return false;
	*index = (size_t)v;
	return true;
}

/* 400: is one event named? Ours says "index", Splunk "invalid-event-number"; both count from 0. */
static void
judge_refusal(struct uplink_verdict *v, const struct uplink_sent *sent, const void *body, size_t n)
{
	cJSON *tree = NULL;
	bool named = n > 0 && json_parse(&tree, body, n, JSON_EVENT, NULL) == OK &&
		     (member_index(tree, "index", sent->n, &v->index) ||
			 member_index(tree, "invalid-event-number", sent->n, &v->index));

	cJSON_Delete(tree);
	if (!named && sent->n == 1)
		v->index = 0;
	v->action = named || sent->n == 1 ? UPLINK_BURY : UPLINK_HALVE;
	(void)fault_set(&v->fault, ERR_INVAL, "the receiver refuses %s",
	    named || sent->n == 1 ? "an event" : "the batch and names no event");
}

/* One item of a _bulk answer: {"create":{"status":201,...}}. 409: stored before, by the same id. */
static int
bulk_status(const cJSON *item)
{
	uint64_t status;

	if (!cJSON_IsObject(item) || item->child == NULL ||
	    json_get_u64(item->child, "status", 999, &status, NULL) != OK)
		return 0;
	return status == 409 ? 201 : (int)status;
}

static void
judge_bulk(struct uplink_verdict *v, const struct uplink_sent *sent, const struct spool_batch *b,
    const void *body, size_t n)
{
	cJSON *tree = NULL, *items;
	const cJSON *item;
	size_t i = 0;
	int status = 0;

	if (json_parse(&tree, body, n, JSON_EVENT, NULL) != OK ||
	    json_get_array(tree, "items", &items, NULL) != OK ||
	    (size_t)cJSON_GetArraySize(items) != sent->n) {
		cJSON_Delete(tree);
		later(v, ERR_PARSE, "the answer to _bulk has no item for each event");
		return;
	}
	cJSON_ArrayForEach(item, items)
	{
		status = bulk_status(item);
		if (status / 100 != 2)
			break;
		i++;
	}
	cJSON_Delete(tree);
	take_prefix(v, b, i);
	v->action = UPLINK_TAKEN;
	if (i == sent->n)
		return;
	if (status == 400 || status == 404 || status == 413) {
		v->action = UPLINK_BURY;
		v->index = i;
		(void)fault_set(
		    &v->fault, ERR_INVAL, "the index refuses an event with status %d", status);
		return;
	}
	later(v, ERR_BUSY, "the index does not take every event now");
}

static void
judge_good(struct uplink_verdict *v, enum uplink_format format, const struct uplink_sent *sent,
    const struct spool_batch *b, int status, const void *body, size_t n)
{
	if (format == UPLINK_CONSOLE && status != 200) {
		later(v, ERR_PARSE, "the console answers without acks");
	} else if (format == UPLINK_CONSOLE) {
		judge_acks(v, sent, body, n);
	} else if (format == UPLINK_ELASTIC) {
		judge_bulk(v, sent, b, body, n);
	} else {
		v->action = UPLINK_TAKEN;
		take_prefix(v, b, sent->n);
	}
}

void
uplink_judge(struct uplink_verdict *v, enum uplink_format format, const struct uplink_sent *sent,
    const struct spool_batch *b, int status, const char *retry_after, const void *body, size_t n)
{
	*v = (struct uplink_verdict){ .action = UPLINK_LATER };
	if (status >= 200 && status < 300) {
		judge_good(v, format, sent, b, status, body, n);
		return;
	}
	switch (status) {
	case 400:
	case 422:
		judge_refusal(v, sent, body, n);
		return;
	case 409:
		if (format != UPLINK_CONSOLE)
			break;
		v->action = UPLINK_EPOCH;
		(void)fault_set(
		    &v->fault, ERR_EXISTS, "the console knows these numbers with other events");
		return;
	case 413:
		v->action = sent->n > 1 ? UPLINK_HALVE : UPLINK_BURY;
		(void)fault_set(
		    &v->fault, ERR_TOOBIG, "the receiver refuses %zu events as too large", sent->n);
		return;
	case 401:
	case 403:
		(void)fault_set(
		    &v->fault, ERR_AUTH, "the receiver does not accept this agent (%d)", status);
		return;
	}
	v->wait_ms = status == 429 || status == 503 ? retry_ms(retry_after) : 0;
	(void)fault_set(&v->fault, ERR_BUSY, "the receiver answers %d", status);
}
