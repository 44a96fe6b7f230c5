/* feed_store.c - see feed_store.h. */
#include "feed_store.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "update/set.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_FACTS_BYTES 262144

static uint64_t
number_of(const cJSON *o, const char *name)
{
	uint64_t v;

	return json_opt_u64(o, name, JSON_MAX_INT, 0, &v, NULL) == OK ? v : 0;
}

static void
text_of(char *dst, size_t size, const cJSON *o, const char *name)
{
	const char *s;

	(void)snprintf(dst, size, "%s", json_opt_string(o, name, "", &s, NULL) == OK ? s : "");
}

static cJSON *
read_tree(const char *dir, const char *name)
{
	char path[4300];
	struct fault f = { 0 };
	cJSON *tree = NULL;
	struct buf text;
	enum err e;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	buf_init(&text, LIMIT_FACTS_BYTES);
	e = file_read(path, &text, &f);
	if (e == OK)
		e = json_parse(&tree, buf_text(&text), text.len, JSON_SIGNED, &f);
	if (e != OK && e != ERR_NOTFOUND)
		log_warn("feed.store", "file=%s why=%s", log_q(path), log_q(fault_text(&f)));
	buf_free(&text);
	return tree;
}

static void
read_rejected(struct feed_facts *facts, const char *dir)
{
	cJSON *tree = read_tree(dir, "rejected.json");
	const cJSON *i;

	cJSON_ArrayForEach(i, json_get(tree, "rejected"))
	{
		struct feed_rejected *r = &facts->rejected[facts->n_rejected];

		if (facts->n_rejected == LIMIT_REJECTED)
			break;
		text_of(r->sha256, sizeof r->sha256, i, "sha256");
		text_of(r->rule, sizeof r->rule, i, "rule");
		text_of(r->why, sizeof r->why, i, "why");
		r->version = number_of(i, "version");
		r->at = (int64_t)number_of(i, "at");
		if (strlen(r->sha256) == 64)
			facts->n_rejected++;
	}
	cJSON_Delete(tree);
}

uint64_t
feed_timestamp_version(const char *path)
{
	cJSON *tree = NULL;
	struct buf text;
	uint64_t v = 0;

	buf_init(&text, LIMIT_TUF_TIMESTAMP);
	if (file_read(path, &text, NULL) == OK &&
	    json_parse(&tree, buf_text(&text), text.len, JSON_EVENT, NULL) == OK)
		v = number_of(json_get(tree, "signed"), "version");
	cJSON_Delete(tree);
	buf_free(&text);
	return v;
}

static void
read_facts(struct feed_facts *facts, const cJSON *t)
{
	uint64_t known = number_of(t, "version");

	facts->checked = (int64_t)number_of(t, "checked");
	facts->bytes_metadata = number_of(t, "bytes_metadata");
	facts->bytes_delta = number_of(t, "bytes_delta");
	facts->bytes_full = number_of(t, "bytes_full");
	facts->bytes_saved = number_of(t, "bytes_saved");
	facts->pin.version = number_of(t, "pin_version");
	facts->pin.until = (int64_t)number_of(t, "pin_until");
	text_of(facts->expires, sizeof facts->expires, t, "expires");
	if (known == facts->version) {
		facts->previous = number_of(t, "previous");
		facts->activated = (int64_t)number_of(t, "activated");
		facts->unproved = cJSON_IsTrue(json_get(t, "unproved"));
		text_of(facts->source, sizeof facts->source, t, "source");
	} else { /* the link was flipped and the note was not written: the link is right */
		facts->previous = known;
		facts->unproved = true;
	}
}

enum err
feed_store_load(struct feed_facts *out, const char *dir, struct fault *f)
{
	uint8_t sha[SET_SHA];
	char path[4300];
	cJSON *t;
	enum err e;

	memset(out, 0, sizeof *out);
	(void)snprintf(path, sizeof path, "%s/tuf", dir);
	e = file_make_dirs(path, 0750, f);
	if (e != OK)
		return e;
	if (set_clean(dir, NULL) != OK)
		log_warn("feed.clean", "dir=%s error=leftovers-stay", log_q(dir));
	if (set_current(dir, &out->version, NULL) != OK)
		out->version = 0;
	if (out->version != 0 && set_identity(dir, out->version, sha, NULL) == OK)
		text_hex(out->sha256, sha, SET_SHA);
	t = read_tree(dir, "state.json");
	read_facts(out, t);
	cJSON_Delete(t);
	read_rejected(out, dir);
	(void)snprintf(path, sizeof path, "%s/tuf/timestamp.json", dir);
	out->timestamp = feed_timestamp_version(path);
	return OK;
}

static enum err
write_tree(cJSON *t, enum err e, const char *dir, const char *name, struct fault *f)
{
	char path[4300];
	struct buf text;

	buf_init(&text, LIMIT_FACTS_BYTES);
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	if (e == OK)
		e = json_print_pretty(t, &text);
	if (e == OK)
		e = file_replace(path, text.data, text.len, 0640, f);
	else
		(void)fault_set(f, e, "%s could not be written", path);
	buf_free(&text);
	cJSON_Delete(t);
	return e;
}

enum err
feed_store_save(const struct feed_facts *facts, const char *dir, struct fault *f)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "version", facts->version },
		{ "previous", facts->previous },
		{ "activated", (uint64_t)facts->activated },
		{ "checked", (uint64_t)facts->checked },
		{ "bytes_metadata", facts->bytes_metadata },
		{ "bytes_delta", facts->bytes_delta },
		{ "bytes_full", facts->bytes_full },
		{ "bytes_saved", facts->bytes_saved },
		{ "pin_version", facts->pin.version },
		{ "pin_until", (uint64_t)facts->pin.until },
	};
	cJSON *t = cJSON_CreateObject();
	enum err e = t == NULL ? ERR_NOMEM : OK;

	for (size_t i = 0; e == OK && i < sizeof numbers / sizeof numbers[0]; i++)
		e = json_add_u64(t, numbers[i].name, numbers[i].value);
	if (e == OK)
		e = json_add_string(t, "sha256", facts->sha256);
	if (e == OK)
		e = json_add_string(t, "source", facts->source);
	if (e == OK)
		e = json_add_bool(t, "unproved", facts->unproved);
	if (e == OK)
		e = json_add_string(t, "expires", facts->expires);
	return write_tree(t, e, dir, "state.json", f);
}

enum err
feed_store_save_rejected(const struct feed_facts *facts, const char *dir, struct fault *f)
{
	cJSON *t = cJSON_CreateObject(), *list = NULL;
	enum err e = t == NULL ? ERR_NOMEM : json_add_array(t, "rejected", &list);

	for (size_t i = 0; e == OK && i < facts->n_rejected; i++) {
		const struct feed_rejected *r = &facts->rejected[i];
		cJSON *o = cJSON_CreateObject();

		e = o == NULL ? ERR_NOMEM : json_add_string(o, "sha256", r->sha256);
		if (e == OK)
			e = json_add_u64(o, "version", r->version);
		if (e == OK)
			e = json_add_u64(o, "at", (uint64_t)r->at);
		if (e == OK)
			e = json_add_string(o, "rule", r->rule);
		if (e == OK)
			e = json_add_string(o, "why", r->why);
		if (e == OK)
			e = json_append(list, o);
		else
			cJSON_Delete(o);
	}
	return write_tree(t, e, dir, "rejected.json", f);
}

void
feed_reject(struct feed_facts *facts, const char *sha256, uint64_t version, int64_t now,
    const char *rule, const char *why)
{
	struct feed_rejected *r;

	if (feed_is_rejected(facts, sha256))
		return;
	if (facts->n_rejected == LIMIT_REJECTED) {
		memmove(&facts->rejected[0], &facts->rejected[1],
		    (LIMIT_REJECTED - 1) * sizeof facts->rejected[0]);
		facts->n_rejected--;
	}
	r = &facts->rejected[facts->n_rejected++];
	memset(r, 0, sizeof *r);
	(void)snprintf(r->sha256, sizeof r->sha256, "%s", sha256);
	(void)snprintf(r->rule, sizeof r->rule, "%s", rule);
	(void)snprintf(r->why, sizeof r->why, "%s", why);
	r->version = version;
	r->at = now;
}

bool
feed_is_rejected(const struct feed_facts *facts, const char *sha256)
{
	for (size_t i = 0; i < facts->n_rejected; i++)
		if (strcmp(facts->rejected[i].sha256, sha256) == 0)
			return true;
	return false;
}
