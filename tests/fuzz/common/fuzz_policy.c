/* default.json before a NUL, a group's file behind. What is accepted must merge, explain and answer
 * every typed question without complaint: policy.c aborts on a value that its check let through
 * wrongly. */
#include "proto/policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
ask(const struct policy *p)
{
	struct policy_source s[4];

	for (size_t i = 0; i < policy_member_count; i++) {
		const struct policy_member *m = &policy_members[i];

		switch (m->type) {
		case POLICY_BOOL:
			(void)policy_bool(p, m->path);
			break;
		case POLICY_DURATION:
		case POLICY_DURATION_OR_NEVER:
			(void)policy_duration(p, m->path);
			break;
		case POLICY_SIZE:
			(void)policy_size(p, m->path);
			break;
		case POLICY_CHOICE:
		case POLICY_STRING:
			(void)policy_string(p, m->path);
			break;
		case POLICY_WINDOWS:
			if (policy_window_wait(policy_value(p, m->path), 77) >= 1440)
				abort();
			break;
		default:
			(void)policy_value(p, m->path);
		}
		if (policy_origin(p, m->path) == NULL)
			abort();
	}
	(void)policy_sources(p, "10.1.2.3", s, 4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *nul = memchr(data, 0, size);
	size_t n = nul != NULL ? (size_t)(nul - p) : size;
	struct policy *base = NULL, *over = NULL, *merged = NULL;
	cJSON *rows;
	enum err e;

	if (policy_parse(&base, "default.json", p, n, NULL) == OK)
		ask(base);
	if (nul != NULL && policy_parse(&over, "group/x.json", nul + 1, size - n - 1, NULL) == OK)
		ask(over);
	e = policy_merge(&merged, base, over);
	if (e != OK && e != ERR_TOOBIG)
		abort();
	if (e == OK) {
		ask(merged);
		if (policy_explain(merged, &rows) != OK)
			abort();
		cJSON_Delete(rows);
	}
	policy_free(base);
	policy_free(over);
	policy_free(merged);
	return 0;
}
