#include "proto/policy_check.h"

#include <string.h>

/* {"member","value","origin"} appended to rows; takes value. */
static enum err
row_add(cJSON *rows, const char *member, cJSON *value, const char *origin)
{
	cJSON *row = cJSON_CreateObject();
	enum err e =
	    row == NULL || value == NULL ? ERR_NOMEM : json_add_string(row, "member", member);

	if (e == OK && !cJSON_AddItemToObject(row, "value", value))
		e = ERR_NOMEM;
	if (e == OK)
		value = NULL; /* the row has it */
	if (e == OK)
		e = json_add_string(row, "origin", origin);
	if (e != OK) {
		cJSON_Delete(value);
		cJSON_Delete(row);
		return e;
	}
	return json_append(rows, row);
}

static enum err
explain_member(const struct policy *p, const struct policy_member *m, cJSON *rows)
{
	const cJSON *v = policy_value(p, m->path);
	cJSON *value = NULL;

	if (v != NULL)
		value = cJSON_Duplicate(v, 1);
	else if (json_parse(&value, m->dflt, strlen(m->dflt), JSON_SIGNED, NULL) != OK)
		return ERR_NOMEM;
	return row_add(rows, m->path, value, policy_origin(p, m->path));
}

enum err
policy_explain(const struct policy *p, cJSON **out)
{
	cJSON *rows = cJSON_CreateArray();
	enum err e = rows == NULL ? ERR_NOMEM : OK;
	const char *path;

	for (size_t i = 0; e == OK && i < policy_member_count; i++)
		e = explain_member(p, &policy_members[i], rows);
	for (size_t i = 0; e == OK && (path = policy_unknown(p, i)) != NULL; i++)
		e = row_add(rows, path, cJSON_CreateNull(), "unknown to this version");
	if (e != OK) {
		cJSON_Delete(rows);
		return e;
	}
	*out = rows;
	return OK;
}
