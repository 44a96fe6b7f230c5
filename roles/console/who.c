#include "who.h"

#include "base/json.h"

#include <string.h>

static const struct {
	unsigned role;
	const char *word;
} roles[] = { { WHO_ADMIN, "administrator" }, { WHO_OPERATOR, "operator" },
	{ WHO_AUDITOR, "auditor" } };

const char *
who_role_word(unsigned role)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (roles[i].role == role)
			return roles[i].word;
	return "none";
}

unsigned
who_role_parse(const char *word)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].word, word) == 0)
			return roles[i].role;
	return 0;
}

bool
who_may_group(const struct who *w, const char *group)
{
	const cJSON *item;
	cJSON *list;
	bool may = false;

	if (w->scope[0] == '\0')
		return true;
	if (json_parse(&list, w->scope, strlen(w->scope), JSON_SIGNED, NULL) != OK)
		return false;
	cJSON_ArrayForEach(item, list) may =
	    may || (cJSON_IsString(item) && strcmp(item->valuestring, group) == 0);
	cJSON_Delete(list);
	return may;
}

const char *
who_scope(const struct who *w)
{
	return w->scope[0] == '\0' ? NULL : w->scope;
}

bool
who_is_name(const char *p, size_t n)
{
	if (n == 0 || n >= WHO_NAME)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", p[i]) == NULL || p[i] == '\0')
			return false;
	return true;
}
