#include "config.h"

#include "base/json.h"
#include "base/limits.h"

#include <string.h>

static enum err
read_list(
    const cJSON *o, const char *name, bool absolute, const char **out, size_t *n, struct fault *f)
{
	const cJSON *list = json_get(o, name), *item;

	*n = 0;
	if (list == NULL)
		return OK;
	if (!cJSON_IsArray(list))
		return fault_set(f, ERR_PARSE, "member '%s' must be a list", name);
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item) || item->valuestring[0] == '\0' ||
		    (absolute && item->valuestring[0] != '/'))
			return fault_set(
			    f, ERR_INVAL, "member '%s' must hold absolute paths", name);
		if (*n == SCAN_PATHS)
			return fault_set(
			    f, ERR_TOOBIG, "member '%s' has more than %d items", name, SCAN_PATHS);
		out[(*n)++] = item->valuestring;
	}
	return OK;
}

static enum err
read_method(struct scan_config *c, const char *word, struct fault *f)
{
	static const char *const words[] = { [SCAN_FILDES] = "fildes",
		[SCAN_PATH] = "scan",
		[SCAN_CONT] = "contscan",
		[SCAN_MULTI] = "multiscan" };

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i]) == 0) {
			c->method = (enum scan_method)i;
			return OK;
		}
	return fault_set(f, ERR_INVAL, "'%.40s' is no way to give files to clamd", word);
}

static enum err
read_engine(struct scan_config *c, struct fault *f)
{
	const char *type;
	cJSON *engine;
	enum err e = json_get_object(c->tree, "engine", &engine, f);

	if (e == OK)
		e = json_get_string(engine, "type", &type, f);
	if (e != OK)
		return e;
	c->command = strcmp(type, "command") == 0;
	if (c->command) {
		e = json_get_string(engine, "scan", &c->scan, f);
		return e == OK ? json_opt_string(engine, "set", "", &c->set, f) : e;
	}
	if (strcmp(type, "clamd") != 0)
		return fault_set(f, ERR_INVAL, "engine type '%.40s' cannot scan", type);
	e = json_opt_string(engine, "method", "fildes", &type, f);
	if (e == OK)
		e = read_method(c, type, f);
	if (e != OK)
		return e;
	return json_get_string(engine, "socket", &c->socket, f);
}

static enum err
read_limits(struct scan_config *c, struct fault *f)
{
	cJSON *limits = json_get(c->tree, "limits");
	uint64_t depth = 0;
	enum err e;

	e = json_opt_u64(limits, "file_bytes", JSON_MAX_INT, LIMIT_SCAN_FILE, &c->max_file, f);
	if (e == OK)
		e = json_opt_u64(limits, "files", JSON_MAX_INT, JSON_MAX_INT, &c->max_files, f);
	if (e == OK)
		e = json_opt_u64(limits, "file_ms", 3600000, 120000, &c->file_ms, f);
	if (e == OK)
		e = json_opt_u64(limits, "depth", LIMIT_SCAN_DEPTH, LIMIT_SCAN_DEPTH, &depth, f);
	c->max_depth = (uint32_t)depth;
	return e;
}

enum err
scan_config_read(struct scan_config *c, const cJSON *message, struct fault *f)
{
	enum err e = OK;

	memset(c, 0, sizeof *c);
	c->tree = cJSON_Duplicate(message, 1);
	if (c->tree == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	e = read_list(c->tree, "paths", true, c->paths, &c->n_paths, f);
	if (e == OK && c->n_paths == 0)
		e = fault_set(f, ERR_INVAL, "there is no path to scan");
	if (e == OK)
		e = read_list(c->tree, "exclude", false, c->exclude, &c->n_exclude, f);
	if (e == OK)
		e = read_engine(c, f);
	if (e == OK)
		e = read_limits(c, f);
	if (e == OK)
		e = json_opt_bool(c->tree, "cross_mounts", false, &c->cross_mounts, f);
	if (e == OK)
		e = json_opt_bool(c->tree, "background", true, &c->background, f);
	if (e == OK)
		e = json_opt_bool(c->tree, "gentle", false, &c->gentle, f);
	if (e == OK)
		e = json_opt_bool(
		    c->tree, "require_confinement", false, &c->require_confinement, f);
	return e;
}

void
scan_config_free(struct scan_config *c)
{
	cJSON_Delete(c->tree);
	memset(c, 0, sizeof *c);
}
