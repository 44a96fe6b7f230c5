/* carry_record.c - which exports were made, and what they held. */
#include "carry.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

#include <string.h>

#define LIMIT_RECORD 65536

static enum err
record_path(char path[LIMIT_STATE_PATH + 32], const char *state)
{
	return file_join(path, LIMIT_STATE_PATH + 32, state, "exports.json");
}

/* {"exports":[..]}, oldest first; a new one when there is none that can be read. */
static enum err
load(const char *state, cJSON **tree, cJSON **list)
{
	char path[LIMIT_STATE_PATH + 32];
	struct fault f = { 0 };
	struct buf text;
	enum err e;

	*tree = NULL;
	buf_init(&text, LIMIT_RECORD);
	e = record_path(path, state);
	if (e == OK)
		e = file_read(path, &text, &f);
	if (e == OK)
		e = json_parse(tree, buf_text(&text), text.len, JSON_SIGNED, &f);
	if (e == OK)
		e = json_get_array(*tree, "exports", list, &f);
	buf_free(&text);
	if (e == OK)
		return OK;
	if (e != ERR_NOTFOUND)
		log_warn("carry.record", "why=%s", log_q(fault_text(&f)));
	cJSON_Delete(*tree);
	*tree = cJSON_CreateObject();
	return *tree == NULL ? ERR_NOMEM : json_add_array(*tree, "exports", list);
}

static enum err
add(cJSON *list, const struct event_bundle_mark *m)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "bundle", m->name);

	if (e == OK)
		e = json_add_string(o, "epoch", m->epoch);
	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++)
		e = json_add_u64(o, event_class_word((enum event_class)c), m->upto[c]);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

enum err
carry_remember(const char *state, const struct event_bundle_mark *mark, struct fault *f)
{
	char path[LIMIT_STATE_PATH + 32];
	cJSON *tree, *list;
	struct buf text;
	enum err e = load(state, &tree, &list);

	buf_init(&text, LIMIT_RECORD);
	if (e == OK)
		e = add(list, mark);
	while (e == OK && cJSON_GetArraySize(list) > CARRY_KEPT)
		cJSON_DeleteItemFromArray(list, 0);
	if (e == OK)
		e = json_print(tree, &text);
	if (e == OK)
		e = record_path(path, state);
	if (e == OK)
		e = file_replace(path, text.data, text.len, 0600, f);
	cJSON_Delete(tree);
	buf_free(&text);
	return e;
}

static enum err
read_mark(struct event_bundle_mark *out, const cJSON *o)
{
	const char *epoch;
	uint64_t n = 0;
	enum err e = json_get_string(o, "epoch", &epoch, NULL);

	if (e == OK)
		e = text_copy(out->epoch, sizeof out->epoch, epoch, strlen(epoch));
	for (unsigned c = 0; e == OK && c < EVENT_CLASSES; c++) {
		e = json_get_u64(o, event_class_word((enum event_class)c), EVENT_SEQ_MAX, &n, NULL);
		out->upto[c] = (uint32_t)n;
	}
	return e;
}

enum err
carry_recall(const char *state, const char *name, struct event_bundle_mark *out, struct fault *f)
{
	cJSON *tree, *list;
	const cJSON *item;
	const char *text;
	enum err e = load(state, &tree, &list);

	memset(out, 0, sizeof *out);
	if (e != OK)
		return fault_set(f, e, "memory ran out");
	e = fault_set(f, ERR_NOTFOUND, "this agent remembers no such export");
	cJSON_ArrayForEach(item, list) if (json_get_string(item, "bundle", &text, NULL) == OK &&
					   strcmp(text, name) == 0) e = read_mark(out, item);
	cJSON_Delete(tree);
	return e;
}
