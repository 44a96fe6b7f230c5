#include "proto/policy_check.h"

#include "base/limits.h"
#include "base/text.h"
#include "net/addr.h"
#include "proto/event.h"

#include <string.h>

static enum err
must_be(const struct policy_member *m, struct fault *f, const char *what)
{
	return fault_set(f, ERR_INVAL, "member '%s' must be %s", m->path, what);
}

static enum err
clock_minutes(const char *p, unsigned *out)
{
	unsigned h, m;

	if (p[0] < '0' || p[0] > '2' || p[1] < '0' || p[1] > '9' || p[2] != ':' || p[3] < '0' ||
	    p[3] > '5' || p[4] < '0' || p[4] > '9')
		return ERR_PARSE;
	h = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
	m = (unsigned)(p[3] - '0') * 10 + (unsigned)(p[4] - '0');
	if (h > 24 || (h == 24 && m != 0))
		return ERR_PARSE;
	*out = (h * 60 + m) % 1440; /* 24:00 is the end of the day: midnight */
	return OK;
}

enum err
policy_window_parse(const char *text, unsigned *from, unsigned *to)
{
	if (strlen(text) != 11 || text[5] != '-')
		return ERR_PARSE;
	if (clock_minutes(text, from) != OK || clock_minutes(text + 6, to) != OK)
		return ERR_PARSE;
	return OK;
}

enum err
policy_subnet_holds(const char *subnet, const char *address, bool *out)
{
	struct cidr net;
	struct addr own;

	*out = false;
	if (cidr_parse(&net, subnet, strlen(subnet), NULL) != OK)
		return ERR_PARSE;
	if (address == NULL)
		return OK; /* only the form was asked for */
	if (addr_parse_ip(&own, address, strlen(address)) != OK)
		return ERR_PARSE;
	*out = cidr_match(&net, &own);
	return OK;
}

static enum err
check_duration(const struct policy_member *m, const cJSON *v, struct fault *f)
{
	uint64_t ms;

	if (cJSON_IsString(v)) {
		if (m->type == POLICY_DURATION_OR_NEVER && strcmp(v->valuestring, "never") == 0)
			return OK;
		if (text_duration_ms(v->valuestring, strlen(v->valuestring), &ms) == OK)
			return OK;
	}
	if (m->type == POLICY_DURATION_OR_NEVER)
		return must_be(m, f, "a duration such as \"30m\", or \"never\"");
	return must_be(m, f, "a duration such as \"4h\"");
}

static enum err
check_size(const struct policy_member *m, const cJSON *v, struct fault *f)
{
	uint64_t size;

	if (cJSON_IsString(v) && text_size(v->valuestring, strlen(v->valuestring), &size) == OK)
		return OK;
	return must_be(m, f, "a size such as \"64k\"");
}

/* Is word one of the space-separated words in list? */
static bool
word_in(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p = list;

	while (*p != '\0') {
		size_t len = strcspn(p, " ");
		if (len == n && memcmp(p, word, n) == 0)
			return true;
		p += len;
		p += strspn(p, " ");
	}
	return false;
}

static enum err
check_choice(const struct policy_member *m, const cJSON *v, struct fault *f)
{
	if (cJSON_IsString(v) && word_in(m->choices, v->valuestring))
		return OK;
	return fault_set(f, ERR_INVAL, "member '%s' must be one of: %s", m->path, m->choices);
}

static enum err
check_strings(const struct policy_member *m, const cJSON *v, struct fault *f)
{
	const cJSON *item;
	unsigned from, to;
	int limit = m->type == POLICY_WINDOWS ? LIMIT_POLICY_WINDOWS : LIMIT_POLICY_STRINGS;
	const char *what = m->type == POLICY_WINDOWS ? "a list of times such as [\"22:00-06:00\"]"
						     : "a list of strings";

	if (!cJSON_IsArray(v))
		return must_be(m, f, what);
	if (cJSON_GetArraySize(v) > limit)
		return fault_set(
		    f, ERR_TOOBIG, "member '%s' has more than %d items", m->path, limit);
	cJSON_ArrayForEach(item, v)
	{
		if (!cJSON_IsString(item))
			return must_be(m, f, what);
		if (m->type == POLICY_WINDOWS &&
		    policy_window_parse(item->valuestring, &from, &to) != OK)
			return must_be(m, f, what);
	}
	return OK;
}

static enum err
check_source(const struct policy_member *m, const cJSON *item, int at, struct fault *f)
{
	static const char *const ports[] = { "ftp", "http", "version" };
	const cJSON *subnets, *s;
	const char *text;
	uint64_t port;
	bool in;

	if (!cJSON_IsObject(item) || json_get_string(item, "name", &text, NULL) != OK ||
	    text[0] == '\0')
		return fault_set(f, ERR_INVAL, "member '%s' item %d needs a 'name'", m->path, at);
	if (json_get_string(item, "host", &text, NULL) != OK || text[0] == '\0')
		return fault_set(f, ERR_INVAL, "member '%s' item %d needs a 'host'", m->path, at);
	for (size_t i = 0; i < 3; i++)
		if (json_opt_u64(item, ports[i], 65535, 0, &port, NULL) != OK)
			return fault_set(f, ERR_INVAL,
			    "member '%s' item %d: '%s' must be a port number", m->path, at,
			    ports[i]);
	subnets = json_get(item, "subnets");
	if (subnets == NULL)
		return OK;
	if (!cJSON_IsArray(subnets))
		return fault_set(
		    f, ERR_INVAL, "member '%s' item %d: 'subnets' must be a list", m->path, at);
	cJSON_ArrayForEach(s, subnets)
	{
		if (!cJSON_IsString(s) || policy_subnet_holds(s->valuestring, NULL, &in) != OK)
			return fault_set(f, ERR_INVAL,
			    "member '%s' item %d: 'subnets' must list networks such as "
			    "\"10.1.0.0/16\"",
			    m->path, at);
	}
	return OK;
}

static enum err
check_sources(const struct policy_member *m, const cJSON *v, struct fault *f)
{
	const cJSON *item;
	int at = 0;

	if (!cJSON_IsArray(v))
		return must_be(m, f, "a list of update agents");
	if (cJSON_GetArraySize(v) > LIMIT_POLICY_SOURCES)
		return fault_set(f, ERR_TOOBIG, "member '%s' has more than %d items", m->path,
		    LIMIT_POLICY_SOURCES);
	cJSON_ArrayForEach(item, v)
	{
		enum err e = check_source(m, item, at++, f);
		if (e != OK)
			return e;
	}
	return OK;
}

/* What is known inside tables; other names are kept for newer agents. */
static const struct policy_member table_members[] = {
	{ "engine.gate", POLICY_CHOICE, NULL, "auto on off", NULL },
	{ "engine.deadline", POLICY_DURATION, NULL, NULL, NULL },
	{ "engine.memory_limit", POLICY_SIZE, NULL, NULL, NULL },
	{ "events.classes.detection", POLICY_BOOL, NULL, NULL, NULL },
	{ "events.classes.task", POLICY_BOOL, NULL, NULL, NULL },
	{ "events.classes.telemetry", POLICY_BOOL, NULL, NULL, NULL },
	{ "events.quotas.detection", POLICY_SIZE, NULL, NULL, NULL },
	{ "events.quotas.task", POLICY_SIZE, NULL, NULL, NULL },
	{ "events.quotas.telemetry", POLICY_SIZE, NULL, NULL, NULL },
};

static enum err
check_known(const struct policy_member *m, const cJSON *item, struct fault *f)
{
	size_t n = strlen(m->path);

	for (size_t i = 0; i < sizeof(table_members) / sizeof(table_members[0]); i++) {
		const struct policy_member *k = &table_members[i];

		if (strncmp(k->path, m->path, n) == 0 && k->path[n] == '.' &&
		    strcmp(k->path + n + 1, item->string) == 0)
			return policy_check_value(k, item, f);
	}
	return OK;
}

/* A smaller spool could not hold the batch that is under way: the agent would keep its old quotas.
 */
static enum err
check_quota(const cJSON *item, struct fault *f)
{
	enum event_class class;
	uint64_t size;

	if (event_class_parse(item->string, &class) != OK)
		return OK;
	if (cJSON_IsString(item) &&
	    text_size(item->valuestring, strlen(item->valuestring), &size) == OK &&
	    size < LIMIT_SPOOL_QUOTA_MIN)
		return fault_set(
		    f, ERR_INVAL, "member 'events.quotas.%s' must be at least 1M", item->string);
	return OK;
}

static enum err
check_table(const struct policy_member *m, const cJSON *v, struct fault *f)
{
	const cJSON *item;
	enum err e = OK;

	if (!cJSON_IsObject(v))
		return must_be(m, f, "an object");
	cJSON_ArrayForEach(item, v)
	{
		if (!cJSON_IsString(item) && !cJSON_IsNumber(item) && !cJSON_IsBool(item))
			return fault_set(f, ERR_INVAL,
			    "member '%s.%s' must be a string, a number, true or false", m->path,
			    item->string);
		e = check_known(m, item, f);
		if (e == OK && strcmp(m->path, "events.quotas") == 0)
			e = check_quota(item, f);
		if (e == OK && strcmp(m->path, "events.classes") == 0 && cJSON_IsFalse(item) &&
		    strcmp(item->string, "telemetry") != 0)
			e = fault_set(f, ERR_INVAL,
			    "member '%s.%s' cannot be false: only telemetry can be left out",
			    m->path, item->string);
		if (e != OK)
			return e;
	}
	return OK;
}

static enum err
check_addresses(const struct policy_member *m, const cJSON *v, struct fault *f)
{
	const cJSON *list, *i;
	struct addr a;

	if (!cJSON_IsObject(v))
		return must_be(m, f, "an object of names with lists of addresses");
	if (cJSON_GetArraySize(v) > LIMIT_POLICY_STRINGS)
		return fault_set(f, ERR_TOOBIG, "member '%s' has more than %d names", m->path,
		    LIMIT_POLICY_STRINGS);
	cJSON_ArrayForEach(list, v)
	{
		if (!cJSON_IsArray(list))
			return fault_set(f, ERR_INVAL, "member '%s.%s' must be a list of addresses",
			    m->path, list->string);
		cJSON_ArrayForEach(
		    i, list) if (!cJSON_IsString(i) ||
				 addr_parse_ip(&a, i->valuestring, strlen(i->valuestring)) !=
				     OK) return fault_set(f, ERR_INVAL,
		    "member '%s.%s' must list IP addresses such as \"10.1.0.5\"", m->path,
		    list->string);
	}
	return OK;
}

enum err
policy_check_value(const struct policy_member *m, const cJSON *value, struct fault *f)
{
	switch (m->type) {
	case POLICY_BOOL:
		return cJSON_IsBool(value) ? OK : must_be(m, f, "true or false");
	case POLICY_DURATION:
	case POLICY_DURATION_OR_NEVER:
		return check_duration(m, value, f);
	case POLICY_SIZE:
		return check_size(m, value, f);
	case POLICY_CHOICE:
		return check_choice(m, value, f);
	case POLICY_STRING:
		return cJSON_IsString(value) ? OK : must_be(m, f, "a string");
	case POLICY_WINDOWS:
	case POLICY_STRINGS:
		return check_strings(m, value, f);
	case POLICY_SOURCES:
		return check_sources(m, value, f);
	case POLICY_ADDRESSES:
		return check_addresses(m, value, f);
	case POLICY_TABLE:
		return check_table(m, value, f);
	}
	return must_be(m, f, "of a known type");
}
