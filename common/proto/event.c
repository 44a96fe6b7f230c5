/* event.c - one CloudEvent: names, the rules of the specification, and what an agent's event adds.
 */
#include "proto/event.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "proto/event_time.h"

#include <string.h>

static const char *const class_words[EVENT_CLASSES] = { "detection", "task", "telemetry" };

const char *
event_class_word(enum event_class c)
{
	return (unsigned)c < EVENT_CLASSES ? class_words[c] : "unknown";
}

enum err
event_class_parse(const char *word, enum event_class *out)
{
	for (unsigned i = 0; i < EVENT_CLASSES; i++)
		if (strcmp(word, class_words[i]) == 0) {
			*out = (enum event_class)i;
			return OK;
		}
	return ERR_PARSE;
}

bool
event_is_epoch(const char *text)
{
	return strlen(text) == EVENT_EPOCH - 1 &&
	       strspn(text, "0123456789abcdef") == EVENT_EPOCH - 1;
}

enum err
event_format_of(const char *media_type, enum event_format *out)
{
	static const struct {
		const char *name;
		enum event_format format;
	} types[] = {
		{ "application/cloudevents+json", EVENT_SINGLE },
		{ "application/json", EVENT_SINGLE },
		{ "application/cloudevents-batch+json", EVENT_BATCH },
		{ "application/x-ndjson", EVENT_NDJSON },
		{ "application/jsonl", EVENT_NDJSON },
	};
	size_t n = strcspn(media_type, "; \t");

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (text_eq_nocase(media_type, n, types[i].name)) {
			*out = types[i].format;
			return OK;
		}
	return ERR_UNSUPPORTED;
}

/* CloudEvents section "Type System", String: no C0 or C1 control characters. */
static bool
has_control(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return true;
	return false;
}

static bool
is_attribute_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= LIMIT_EVENT_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static enum err
check_text(const cJSON *m, struct fault *f)
{
	if (!cJSON_IsString(m))
		return fault_set(f, ERR_PARSE, "member '%s' must be a string", m->string);
	if (m->valuestring[0] == '\0')
		return fault_set(f, ERR_PARSE, "member '%s' must not be empty", m->string);
	if (strlen(m->valuestring) > LIMIT_EVENT_ATTRIBUTE)
		return fault_set(f, ERR_TOOBIG, "member '%s' is longer than %d bytes", m->string,
		    LIMIT_EVENT_ATTRIBUTE);
	if (has_control(m->valuestring))
		return fault_set(f, ERR_PARSE, "member '%s' holds control characters", m->string);
	return OK;
}

static enum err
check_time(const cJSON *m, struct fault *f)
{
	int64_t ms;
	enum err e = check_text(m, f);

	if (e == OK && event_time_parse(m->valuestring, strlen(m->valuestring), &ms) != OK)
		e = fault_set(f, ERR_PARSE, "member 'time' must be an RFC 3339 time");
	return e;
}

static enum err
check_base64(const cJSON *m, struct fault *f)
{
	struct buf b;
	enum err e;

	if (!cJSON_IsString(m))
		return fault_set(f, ERR_PARSE, "member 'data_base64' must be a string");
	buf_init(&b, LIMIT_EVENT_BYTES);
	e = text_unb64(&b, m->valuestring, strlen(m->valuestring));
	buf_free(&b);
	return e == OK ? OK : fault_set(f, e, "member 'data_base64' must be base64");
}

static enum err
check_extension(const cJSON *m, struct fault *f)
{
	if (!is_attribute_name(m->string))
		return fault_set(f, ERR_PARSE,
		    "an attribute's name must be 1 to %d lower-case letters "
		    "or digits",
		    LIMIT_EVENT_NAME);
	if (cJSON_IsNull(m) || cJSON_IsBool(m))
		return OK;
	if (cJSON_IsNumber(m)) {
		if (m->valuedouble >= -2147483648.0 && m->valuedouble <= 2147483647.0 &&
		    m->valuedouble == (double)(int64_t)m->valuedouble)
			return OK;
		return fault_set(
		    f, ERR_PARSE, "member '%s' must be a whole number of 32 bits", m->string);
	}
	if (!cJSON_IsString(m))
		return fault_set(f, ERR_PARSE,
		    "member '%s' must be text, a number or true or false; "
		    "structure belongs into 'data'",
		    m->string);
	return m->valuestring[0] == '\0' ? OK : check_text(m, f);
}

static const struct member {
	const char *name;
	bool required;
	enum err (*check)(const cJSON *m, struct fault *f); /* NULL: anything */
} members[] = {
	{ "specversion", true, check_text },
	{ "id", true, check_text },
	{ "source", true, check_text },
	{ "type", true, check_text },
	{ "time", false, check_time },
	{ "datacontenttype", false, check_text },
	{ "dataschema", false, check_text },
	{ "subject", false, check_text },
	{ "data", false, NULL },
	{ "data_base64", false, check_base64 },
};

static enum err
check_member(const cJSON *m, struct fault *f)
{
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		if (strcmp(m->string, members[i].name) != 0)
			continue;
		if (members[i].check == NULL || (cJSON_IsNull(m) && !members[i].required))
			return OK; /* null is "not set": JSON format, section 2.2 */
		return members[i].check(m, f);
	}
	return check_extension(m, f);
}

enum err
event_check(const cJSON *event, struct fault *f)
{
	const cJSON *m;
	size_t n = 0;
	enum err e;

	if (!cJSON_IsObject(event))
		return fault_set(f, ERR_PARSE, "an event must be an object");
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		if (members[i].required && json_get(event, members[i].name) == NULL)
			return fault_set(f, ERR_PARSE, "member '%s' is missing", members[i].name);
	cJSON_ArrayForEach(m, event)
	{
		if (++n > LIMIT_EVENT_MEMBERS)
			return fault_set(
			    f, ERR_TOOBIG, "more than %d members", LIMIT_EVENT_MEMBERS);
		e = check_member(m, f);
		if (e != OK)
			return e;
	}
	if (strcmp(json_get(event, "specversion")->valuestring, "1.0") != 0)
		return fault_set(f, ERR_PARSE, "member 'specversion' must be \"1.0\"");
	if (json_get(event, "data") != NULL && json_get(event, "data_base64") != NULL)
		return fault_set(
		    f, ERR_PARSE, "members 'data' and 'data_base64' exclude each other");
	return OK;
}

enum err
event_key_read(const cJSON *event, struct event_key *out, struct fault *f)
{
	const char *class;
	uint64_t seq;
	enum err e = event_check(event, f);

	if (e == OK)
		e = json_get_string(event, "atalaiaclass", &class, f);
	if (e == OK && event_class_parse(class, &out->class) != OK)
		e = fault_set(f, ERR_PARSE, "member 'atalaiaclass' names no class");
	if (e == OK)
		e = json_get_string(event, "atalaiaepoch", &out->epoch, f);
	if (e == OK && !event_is_epoch(out->epoch))
		e = fault_set(f, ERR_PARSE, "member 'atalaiaepoch' must be 32 hexadecimal digits");
	if (e == OK)
		e = json_get_u64(event, "atalaiaseq", EVENT_SEQ_MAX, &seq, f);
	if (e == OK && seq == 0)
		e = fault_set(f, ERR_PARSE, "member 'atalaiaseq' begins at 1");
	if (e == OK)
		e = json_get_string(event, "id", &out->id, f);
	if (e == OK)
		e = json_get_string(event, "source", &out->source, f);
	if (e == OK)
		e = json_get_string(event, "type", &out->type, f);
	if (e == OK)
		e = json_get_string(event, "time", &out->time, f);
	if (e == OK)
		out->seq = (uint32_t)seq;
	return e == OK ? OK : ERR_PARSE;
}
