/* events_report.c - what the spool lost, as events. */
#include "events_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "os/rand.h"

#include <stdio.h>

static enum err
fill_drop(cJSON *data, unsigned class, const struct spool_drop *d)
{
	enum err e = json_add_string(data, "class", event_class_word((enum event_class) class));

	if (e == OK)
		e = json_add_u64(data, "count", d->count);
	if (e == OK)
		e = json_add_u64(data, "bytes", d->bytes);
	if (e == OK && d->first != 0) {
		e = json_add_string(data, "epoch", d->epoch);
		if (e == OK)
			e = json_add_u64(data, "first", d->first);
		if (e == OK)
			e = json_add_u64(data, "last", d->last);
	}
	if (e == OK)
		e = json_add_string(data, "why", d->first != 0 ? "quota" : "not-stored");
	if (e == OK)
		e = json_add_u64(data, "total", d->total);
	if (e == OK)
		e = json_add_time(data, "since", d->since_ms);
	return e == OK ? json_add_time(data, "until", d->until_ms) : e;
}

enum err
events_report_drop(void *ctx, unsigned class, const struct spool_drop *d, struct buf *out)
{
	struct event_stamp stamp = { .class = EVENT_TASK, .time_ms = clock_wall_ms(), .pid = -1 };
	cJSON *event = cJSON_CreateObject(), *data = NULL;
	char id[UUID_TEXT];
	enum err e = event == NULL
			 ? ERR_NOMEM
			 : json_add_string(event, "type", EVENT_TYPE_PREFIX "events.dropped");

	(void)ctx;
	rand_uuid_v7(id);
	stamp.id = id;
	if (e == OK)
		e = json_add_object(event, "data", &data);
	if (e == OK)
		e = fill_drop(data, class, d);
	if (e == OK)
		e = event_store_form(event, &stamp, out);
	cJSON_Delete(event);
	return e;
}

void
events_report_damage(struct events *ev, const struct spool_opened *opened)
{
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "why", "damaged");

	if (e == OK)
		e = json_add_string(data, "detail", opened->why);
	if (e == OK)
		e = json_add_string(data, "file", opened->moved);
	if (e == OK)
		e = json_add_u64(data, "salvaged", opened->salvaged);
	if (e != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	events_emit(ev, EVENT_TASK, "events.dropped", data);
}
