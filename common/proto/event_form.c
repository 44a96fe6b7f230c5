/* event_form.c - an event as the spool keeps it, and as it is sent. What only the sender knows at
 * the moment of sending (who we are, epoch, sequence) is added then, so that a new epoch or an
 * enrolment changes nothing that is stored. */
#include "proto/event.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "proto/event_time.h"

#include <inttypes.h>
#include <string.h>

static enum err
put_text(struct buf *out, const char *name, const char *value)
{
	enum err e = buf_printf(out, "%s\"%s\":", out->len > 0 ? "," : "", name);

	return e == OK ? json_quote(out, value, strlen(value)) : e;
}

static enum err
put_item(struct buf *out, const char *name, const cJSON *item)
{
	enum err e = buf_printf(out, "%s\"%s\":", out->len > 0 ? "," : "", name);

	return e == OK ? json_print(item, out) : e;
}

static enum err
put_time(struct buf *out, const cJSON *event, int64_t now)
{
	const char *text;
	char time[CLOCK_TEXT];
	int64_t ms;

	if (json_get_string(event, "time", &text, NULL) != OK ||
	    event_time_parse(text, strlen(text), &ms) != OK)
		ms = now;
	clock_format(time, ms);
	return put_text(out, "time", time);
}

/* Everything of the sender but what we write ourselves. */
static enum err
put_rest(struct buf *out, const cJSON *event)
{
	static const char *const ours[] = { "specversion", "id", "source", "time",
		"datacontenttype" };
	const cJSON *m;
	enum err e = OK;

	cJSON_ArrayForEach(m, event)
	{
		bool skip = cJSON_IsNull(m) || text_starts(m->string, "atalaia");

		for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
			skip = skip || strcmp(m->string, ours[i]) == 0;
		if (!skip)
			e = put_item(out, m->string, m);
		if (e != OK)
			break;
	}
	return e;
}

static bool
printable(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return n > 0 && text_utf8_valid((const uint8_t *)s, n);
}

static enum err
put_sender(struct buf *out, const cJSON *event, const struct event_stamp *s)
{
	const char *text;
	enum err e;

	if (!s->local)
		return OK;
	e = buf_printf(out, ",\"atalaiauid\":%" PRIu32, s->uid <= INT32_MAX ? s->uid : INT32_MAX);
	if (e == OK && s->pid >= 0)
		e = buf_printf(out, ",\"atalaiapid\":%" PRId32, s->pid);
	if (e == OK && s->exe != NULL && printable(s->exe))
		e = put_text(out, "atalaiaexe", s->exe);
	if (e == OK && json_get_string(event, "id", &text, NULL) == OK)
		e = put_text(out, "atalaiaid", text);
	if (e == OK && json_get_string(event, "source", &text, NULL) == OK)
		e = put_text(out, "atalaiasource", text);
	return e;
}

enum err
event_store_form(const cJSON *event, const struct event_stamp *s, struct buf *out)
{
	const char *type;
	enum err e;

	e = put_text(out, "id", s->id);
	if (e == OK)
		e = put_time(out, event, s->time_ms);
	if (json_get_string(event, "datacontenttype", &type, NULL) != OK)
		type = "application/json";
	if (e == OK &&
	    (json_get(event, "datacontenttype") != NULL || json_get(event, "data") != NULL))
		e = put_text(out, "datacontenttype", type);
	if (e == OK)
		e = put_text(out, "atalaiaclass", event_class_word(s->class));
	if (e == OK)
		e = put_sender(out, event, s);
	return e == OK ? put_rest(out, event) : e;
}

enum err
event_send_form(struct buf *out, const void *stored, size_t n, const char *source,
    const char *epoch, uint32_t seq)
{
	size_t before = out->len;
	enum err e = buf_puts(out, "{\"specversion\":\"1.0\",\"source\":");

	if (e == OK)
		e = json_quote(out, source, strlen(source));
	if (e == OK)
		e = buf_puts(out, ",");
	if (e == OK)
		e = buf_append(out, stored, n);
	if (e == OK)
		e = buf_printf(
		    out, ",\"atalaiaepoch\":\"%s\",\"atalaiaseq\":%" PRIu32 "}", epoch, seq);
	if (e != OK) { /* all or nothing: the batch goes on without it */
		out->len = before;
		if (out->data != NULL)
			out->data[before] = '\0';
	}
	return e;
}

enum err
event_stored_read(const void *p, size_t n, char id[UUID_TEXT], int64_t *time_ms)
{
	static const char first[] = "\"id\":\"", second[] = "\",\"time\":\"";
	const char *text = p, *end;
	size_t at = sizeof first - 1 + UUID_TEXT - 1;

	if (n < at + sizeof second - 1 || memcmp(text, first, sizeof first - 1) != 0 ||
	    memcmp(text + at, second, sizeof second - 1) != 0 ||
	    !text_is_uuid(text + sizeof first - 1, UUID_TEXT - 1))
		return ERR_PARSE;
	memcpy(id, text + sizeof first - 1, UUID_TEXT - 1);
	id[UUID_TEXT - 1] = '\0';
	at += sizeof second - 1;
	end = memchr(text + at, '"', n - at);
	return end == NULL ? ERR_PARSE
			   : clock_parse(text + at, (size_t)(end - (text + at)), time_ms);
}

enum err
event_source(struct buf *out, const char *org, const char *agent)
{
	return buf_printf(out, "atalaia://%s/agent/%s", org, agent);
}

enum err
event_acks_parse(struct event_ack out[EVENT_CLASSES], const char *p, size_t n, struct fault *f)
{
	cJSON *tree, *acks, *m;
	enum event_class c;
	enum err e;

	memset(out, 0, EVENT_CLASSES * sizeof *out);
	e = json_parse(&tree, p, n, JSON_SIGNED, f);
	if (e != OK)
		return ERR_PARSE;
	e = json_get_object(tree, "acks", &acks, f);
	for (m = e == OK ? acks->child : NULL; e == OK && m != NULL; m = m->next) {
		const char *epoch;
		uint64_t seq;

		if (event_class_parse(m->string, &c) != OK)
			continue;
		e = json_get_string(m, "epoch", &epoch, f);
		if (e == OK && !event_is_epoch(epoch))
			e = fault_set(f, ERR_PARSE, "member 'epoch' must be 32 hexadecimal digits");
		if (e == OK)
			e = json_get_u64(m, "seq", EVENT_SEQ_MAX, &seq, f);
		if (e != OK)
			break;
		out[c].present = true;
		out[c].seq = (uint32_t)seq;
		memcpy(out[c].epoch, epoch, EVENT_EPOCH);
	}
	cJSON_Delete(tree);
	return e == OK ? OK : ERR_PARSE;
}

enum err
event_acks_print(struct buf *out, const struct event_ack acks[EVENT_CLASSES])
{
	const char *comma = "";
	enum err e = buf_puts(out, "{\"acks\":{");

	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++) {
		if (!acks[c].present)
			continue;
		e = buf_printf(out, "%s\"%s\":{\"epoch\":\"%s\",\"seq\":%" PRIu32 "}", comma,
		    event_class_word((enum event_class)c), acks[c].epoch, acks[c].seq);
		comma = ",";
	}
	return e == OK ? buf_puts(out, "}}") : e;
}
