/* uplink_batch.c - bodies for the console and for collectors. */
#include "uplink_batch.h"

#include "base/limits.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const struct format_row {
	const char *word, *type;
	const char *begin, *between, *end;
} formats[] = {
	[UPLINK_CONSOLE] = { "console", "application/cloudevents-batch+json", "[", ",", "]" },
	[UPLINK_CLOUDEVENTS] = { "cloudevents-batch", "application/cloudevents-batch+json", "[",
	    ",", "]" },
	[UPLINK_JSON] = { "json", "application/json", "[", ",", "]" },
	[UPLINK_NDJSON] = { "ndjson", "application/x-ndjson", "", "\n", "\n" },
	[UPLINK_ELASTIC] = { "elasticsearch", "application/x-ndjson", "", "\n", "\n" },
	[UPLINK_SPLUNK] = { "splunk", "application/json", "", "\n", "\n" },
};

enum err
uplink_format_parse(const char *word, size_t n, enum uplink_format *out)
{
	for (unsigned i = UPLINK_CLOUDEVENTS; i < sizeof formats / sizeof formats[0]; i++)
		if (text_eq(word, n, formats[i].word)) {
			*out = (enum uplink_format)i;
			return OK;
		}
	return ERR_NOTFOUND;
}

const char *
uplink_content_type(enum uplink_format format)
{
	return formats[format].type;
}

/* What a product wants in front of an event and behind it. */
static enum err
put_event(struct buf *out, const struct spool_picked *item, enum uplink_format format,
    const char *source, const char *epoch)
{
	char id[UUID_TEXT] = "";
	int64_t ms = item->added_ms;
	enum err e = OK;

	if (format == UPLINK_ELASTIC || format == UPLINK_SPLUNK)
		e = event_stored_read(item->p, item->n, id, &ms);
	if (e == OK && format == UPLINK_ELASTIC)
		e = buf_printf(out, "{\"create\":{\"_id\":\"%s\"}}\n", id);
	if (e == OK && format == UPLINK_SPLUNK)
		e = buf_printf(out,
		    "{\"time\":%" PRId64 ".%03u,\"source\":\"%s\",\"sourcetype\":\"_json\","
		    "\"event\":",
		    ms / 1000, (unsigned)(ms % 1000), source);
	if (e == OK)
		e = event_send_form(out, item->p, item->n, source, epoch, item->seq);
	if (e == OK && format == UPLINK_SPLUNK)
		e = buf_puts(out, "}");
	return e;
}

static void
cut(struct buf *out, size_t len)
{
	out->len = len;
	if (out->data != NULL)
		out->data[len] = '\0';
}

enum err
uplink_build(struct buf *out, const struct spool_batch *b, enum uplink_format format,
    const char *source, size_t max_events, size_t max_bytes, struct uplink_sent *sent)
{
	const struct format_row *row = &formats[format];
	enum err e = buf_puts(out, row->begin);

	memset(sent, 0, sizeof *sent);
	memcpy(sent->epoch, b->epoch, sizeof sent->epoch);
	for (size_t i = 0; e == OK && i < b->n && i < max_events; i++) {
		const struct spool_picked *item = &b->items[i];
		size_t before = out->len;

		if (i > 0)
			e = buf_puts(out, row->between);
		if (e == OK)
			e = put_event(out, item, format, source, b->epoch);
		if (e != OK || (i > 0 && out->len + strlen(row->end) > max_bytes)) {
			cut(out, before);
			e = i > 0 ? OK : e;
			break;
		}
		if (sent->class[item->class].first == 0)
			sent->class[item->class].first = item->seq;
		sent->class[item->class].last = item->seq;
		sent->n++;
	}
	return e == OK ? buf_puts(out, row->end) : e;
}
