/* intake.c - the rules of 2227: pure. */
#include "intake.h"

#include "base/json.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

enum err
intake_uids_parse(struct intake_uids *out, const char *text, struct fault *f)
{
	out->n = 0;
	while (*(text += strspn(text, ", \t")) != '\0') {
		size_t n = strcspn(text, ", \t");

		if (out->n == LIMIT_INTAKE_UIDS)
			return fault_set(f, ERR_INVAL, "more than %d user ids", LIMIT_INTAKE_UIDS);
		if (text_u32(text, n, UINT32_MAX - 1, &out->uid[out->n]) != OK)
			return fault_set(f, ERR_INVAL,
			    "'%.*s' is not a user id; write numbers such as 0, 1001",
			    (int)(n < 60 ? n : 60), text);
		out->n++;
		text += n;
	}
	return OK;
}

bool
intake_uid_trusted(const struct intake_uids *u, uint32_t uid)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->uid[i] == uid)
			return true;
	return false;
}

static bool
is_detection(const char *type, const char *class)
{
	static const char name[] = EVENT_TYPE_PREFIX "detection";
	size_t n = sizeof name - 1;

	if (class != NULL && strcmp(class, "detection") == 0)
		return true;
	return strncmp(type, name, n) == 0 && (type[n] == '\0' || type[n] == '.');
}

enum err
intake_classify(const cJSON *event, bool trusted, enum event_class *out, struct fault *f)
{
	const char *type = json_get(event, "type")->valuestring, *class;

	if (json_get_string(event, "atalaiaclass", &class, NULL) != OK)
		class = NULL;
	if (is_detection(type, class)) {
		*out = EVENT_DETECTION;
		return trusted ? OK
			       : fault_set(f, ERR_DENIED,
				     "this user may not post detections; the option "
				     "[events] detection_uids lists who may");
	}
	*out = EVENT_TELEMETRY;
	if (text_starts(type, EVENT_TYPE_PREFIX) && !trusted)
		return fault_set(f, ERR_DENIED,
		    "types that begin with %s are the agent's own; choose "
		    "another",
		    EVENT_TYPE_PREFIX);
	if (class != NULL && strcmp(class, "telemetry") != 0)
		return fault_set(f, ERR_DENIED, "class '%.32s' is not for local senders", class);
	return OK;
}

static struct intake_sender *
find(struct intake_senders *s, const struct intake_rate *rate, uint32_t uid, uint64_t now)
{
	struct intake_sender *oldest = &s->sender[0];

	for (size_t i = 0; i < LIMIT_INTAKE_SENDERS; i++) {
		struct intake_sender *x = &s->sender[i];

		if (x->used && x->uid == uid)
			return x;
		if (oldest->used && (!x->used || x->seen_ms < oldest->seen_ms))
			oldest = x;
	}
	*oldest = (struct intake_sender){ uid, true, now, rate->events_burst, rate->bytes_burst };
	return oldest;
}

static double
refill(double have, double per_s, double burst, uint64_t ms)
{
	have += per_s * (double)ms / 1000.0;
	return have > burst ? burst : have;
}

uint64_t
intake_take(struct intake_senders *s, const struct intake_rate *rate, uint32_t uid, uint64_t now_ms,
    size_t n, size_t bytes)
{
	struct intake_sender *x = find(s, rate, uid, now_ms);
	uint64_t passed = now_ms > x->seen_ms ? now_ms - x->seen_ms : 0;
	double need_events, need_bytes, wait = 0;

	x->events = refill(x->events, rate->events_per_s, rate->events_burst, passed);
	x->bytes = refill(x->bytes, rate->bytes_per_s, rate->bytes_burst, passed);
	x->seen_ms = now_ms;
	need_events = (double)n - x->events;
	need_bytes = (double)bytes - x->bytes;
	if (need_events > 0)
		wait = need_events / rate->events_per_s;
	if (need_bytes > 0 && need_bytes / rate->bytes_per_s > wait)
		wait = need_bytes / rate->bytes_per_s;
	if (wait > 0)
		return (uint64_t)(wait * 1000.0) + 1;
	x->events -= (double)n;
	x->bytes -= (double)bytes;
	return 0;
}
