/* task_table.c - see task_table.h. */
#include "task_table.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uuid.h"
#include "task_handlers.h"

#include <string.h>

static const struct task_arg update_args[] = {
	{ "feed", ARG_FEED, false, 0, NULL },
};
static const struct task_arg pin_args[] = {
	{ "feed", ARG_FEED, true, 0, NULL },
	{ "version", ARG_U64, true, UINT32_MAX, NULL },
	{ "until", ARG_TIME, true, 0, NULL },
};
static const struct task_arg role_args[] = {
	{ "role", ARG_CHOICE, true, 0, "update-agent" },
	{ "on", ARG_BOOL, true, 0, NULL },
	{ "settings", ARG_SETTINGS, false, LIMIT_ROLE_SETTINGS, NULL },
};
static const struct task_arg scan_args[] = {
	{ "paths", ARG_PATHS, true, LIMIT_SCAN_PATHS, NULL },
	{ "quarantine", ARG_BOOL, false, 0, NULL },
};
static const struct task_arg restore_args[] = {
	{ "id", ARG_STRING, true, UUID_TEXT - 1, NULL },
};
static const struct task_arg group_args[] = {
	{ "group", ARG_GROUP, true, 0, NULL },
};
static const struct task_arg collect_args[] = {
	{ "what", ARG_CHOICES, true, 2, "system mwav" },
};

#define ARGS(a) a, sizeof(a) / sizeof(a)[0]
#define HOUR 3600u

const struct task_type task_types[] = {
	{ "update.now", ARGS(update_args), TASK_BUSY_OK, 6 * HOUR, run_update_now,
	    cancel_update_now },
	{ "update.cancel", ARGS(update_args), TASK_BUSY_OK, 60, run_update_cancel, NULL },
	{ "update.pin", ARGS(pin_args), TASK_RESUME, 1800, run_update_pin, NULL },
	{ "policy.refresh", NULL, 0, TASK_BUSY_OK, HOUR, run_policy_refresh, cancel_update_now },
	{ "role.set", ARGS(role_args), TASK_RESUME, 120, run_role_set, NULL },
	{ "scan.start", ARGS(scan_args), TASK_BUSY_OK, 24 * HOUR, run_scan_start,
	    cancel_scan_start },
	{ "scan.stop", NULL, 0, TASK_BUSY_OK, 60, run_scan_stop, NULL },
	{ "quarantine.list", NULL, 0, TASK_BUSY_OK, 300, run_quarantine_list, NULL },
	{ "quarantine.restore", ARGS(restore_args), TASK_BUSY_OK | TASK_RESUME, 600,
	    run_quarantine_restore, NULL },
	{ "collect", ARGS(collect_args), TASK_BUSY_OK | TASK_RESUME, HOUR, run_collect,
	    cancel_collect },
	{ "status", NULL, 0, TASK_BUSY_OK, 60, run_status, NULL },
	{ "doctor", NULL, 0, TASK_BUSY_OK, 300, run_doctor, cancel_doctor },
	{ "agent.restart", NULL, 0, TASK_RESUME, 300, run_agent_restart, NULL },
	{ "agent.group", ARGS(group_args), TASK_RESUME, 300, run_agent_group, NULL },
};
const size_t task_type_count = sizeof task_types / sizeof task_types[0];

const struct task_type *
task_type_find(const char *name)
{
	for (size_t i = 0; i < task_type_count; i++)
		if (strcmp(task_types[i].name, name) == 0)
			return &task_types[i];
	return NULL;
}

static bool
word_listed(const char *choices, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = choices; *p != '\0' && n > 0;) {
		size_t len = strcspn(p, " ");

		if (len == n && memcmp(p, word, n) == 0)
			return true;
		p += len;
		p += strspn(p, " ");
	}
	return false;
}

static const char *
wrong(struct fault *f, const struct task_arg *a, const char *what)
{
	(void)fault_set(f, ERR_INVAL, "argument '%s' must be %s", a->name, what);
	return "wrong-argument";
}

static const char *
too_big(struct fault *f, const struct task_arg *a, uint64_t max, const char *unit)
{
	(void)fault_set(f, ERR_TOOBIG, "argument '%s' may have at most %llu %s", a->name,
	    (unsigned long long)max, unit);
	return "argument-too-big";
}

static bool
printable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static const char *
check_paths(const struct task_arg *a, const cJSON *v, struct fault *f)
{
	const cJSON *i;
	uint64_t n = 0;

	if (!cJSON_IsArray(v) || v->child == NULL)
		return wrong(f, a, "a list of absolute paths");
	cJSON_ArrayForEach(i, v)
	{
		if (++n > a->max)
			return too_big(f, a, a->max, "paths");
		if (!cJSON_IsString(i) || i->valuestring[0] != '/' || !printable(i->valuestring))
			return wrong(f, a, "a list of absolute paths");
		if (strlen(i->valuestring) > LIMIT_TASK_PATH)
			return too_big(f, a, LIMIT_TASK_PATH, "bytes in a path");
	}
	return NULL;
}

static const char *
check_choices(const struct task_arg *a, const cJSON *v, struct fault *f)
{
	const cJSON *i;
	uint64_t n = 0;

	if (!cJSON_IsArray(v) || v->child == NULL)
		return wrong(f, a, a->choices);
	cJSON_ArrayForEach(i, v)
	{
		if (++n > a->max)
			return too_big(f, a, a->max, "words");
		if (!cJSON_IsString(i) || !word_listed(a->choices, i->valuestring))
			return wrong(f, a, a->choices);
	}
	return NULL;
}

static const char *
check_settings(const struct task_arg *a, const cJSON *v, struct fault *f)
{
	const cJSON *i;
	uint64_t n = 0;

	if (!cJSON_IsObject(v))
		return wrong(f, a, "an object of options and texts");
	cJSON_ArrayForEach(i, v)
	{
		if (++n > a->max)
			return too_big(f, a, a->max, "options");
		if (!cJSON_IsString(i) || !printable(i->valuestring))
			return wrong(f, a, "an object of options and texts");
		if (strlen(i->valuestring) > LIMIT_TASK_PATH || strlen(i->string) > 64)
			return too_big(f, a, LIMIT_TASK_PATH, "bytes in an option");
	}
	return NULL;
}

static const char *
check_string(const struct task_arg *a, const cJSON *v, struct fault *f)
{
	const char *s = v->valuestring;
	int64_t t;

	if (!cJSON_IsString(v))
		return wrong(f, a, "a text");
	switch (a->type) {
	case ARG_CHOICE:
		return word_listed(a->choices, s) ? NULL : wrong(f, a, a->choices);
	case ARG_TIME:
		return clock_parse(s, strlen(s), &t) == OK ? NULL : wrong(f, a, "an RFC 3339 time");
	case ARG_FEED:
		return text_is_role_name(s, strlen(s)) ? NULL : wrong(f, a, "the name of a feed");
	case ARG_GROUP:
		return text_is_role_name(s, strlen(s)) ? NULL : wrong(f, a, "the name of a group");
	default:
		if (strlen(s) > a->max)
			return too_big(f, a, a->max, "bytes");
		return printable(s) ? NULL : wrong(f, a, "a text without control characters");
	}
}

static const char *
check_one(const struct task_arg *a, const cJSON *args, struct fault *f)
{
	const cJSON *v = json_get(args, a->name);
	uint64_t u;

	if (v == NULL) {
		if (!a->required)
			return NULL;
		(void)fault_set(f, ERR_INVAL, "argument '%s' is missing", a->name);
		return "missing-argument";
	}
	switch (a->type) {
	case ARG_BOOL:
		return cJSON_IsBool(v) ? NULL : wrong(f, a, "true or false");
	case ARG_U64:
		return json_get_u64(args, a->name, a->max, &u, NULL) == OK
			   ? NULL
			   : wrong(f, a, "a whole number within its limits");
	case ARG_PATHS:
		return check_paths(a, v, f);
	case ARG_CHOICES:
		return check_choices(a, v, f);
	case ARG_SETTINGS:
		return check_settings(a, v, f);
	default:
		return check_string(a, v, f);
	}
}

const char *
task_args_check(const struct task_type *type, const cJSON *args, struct fault *f)
{
	const char *code;
	const cJSON *v;
	size_t i;

	cJSON_ArrayForEach(v, args)
	{
		for (i = 0; i < type->n_args && strcmp(type->args[i].name, v->string) != 0; i++)
			;
		if (i == type->n_args) {
			(void)fault_set(f, ERR_INVAL, "argument '%.64s' is not known to %s",
			    v->string, type->name);
			return "unknown-argument";
		}
	}
	for (i = 0; i < type->n_args; i++)
		if ((code = check_one(&type->args[i], args, f)) != NULL)
			return code;
	return NULL;
}
