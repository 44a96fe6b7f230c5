/* config.c - see config.h */
#include "config.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096
#define GRACE_S 172800 /* 48 h: DESIGN section 5 */

static const char *const members[] = { "type", "mode", "feed", "state", "root", "work", "root_json",
	"sources", "bundle", "timestamp", "delta", "rate_limit", "current", "reject", "keep",
	"grace_s", "disk_floor", "proxy", "stall_ms", "require_confinement", "inspect", NULL };
static const char *const send_members[] = { "type", "mode", "file", "name", "sources", "rate_limit",
	"proxy", "stall_ms", "require_confinement", NULL };
static const char *const source_members[] = { "name", "url", NULL };

static enum err
keep_string(char **out, const char *s)
{
	*out = NULL;
	if (s[0] == '\0')
		return OK;
	*out = strdup(s);
	return *out != NULL ? OK : ERR_NOMEM;
}

/* An absolute path without "." and ".." components; a slash at the end is dropped. */
static enum err
read_path(const cJSON *m, const char *name, bool needed, char **out, struct fault *f)
{
	const char *s;
	size_t n;
	enum err e = json_opt_string(m, name, "", &s, f);

	if (e != OK)
		return e;
	n = strlen(s);
	if (n == 0 && !needed)
		return OK;
	if (s[0] != '/' || n >= PATH_BYTES || strstr(s, "/../") != NULL || text_ends(s, "/.."))
		return fault_set(f, ERR_INVAL, "member '%s' must be an absolute path", name);
	e = keep_string(out, s);
	if (e == OK && n > 1 && (*out)[n - 1] == '/')
		(*out)[n - 1] = '\0';
	return e;
}

/* scheme://host[:port][/path]: graphic ASCII, no user, query or fragment. */
static bool
url_ok(const char *url)
{
	static const char *const schemes[] = { "ftp://", "http://", "https://", NULL };
	const char *rest = NULL;

	for (size_t i = 0; schemes[i] != NULL; i++)
		if (text_starts(url, schemes[i]))
			rest = url + strlen(schemes[i]);
	if (rest == NULL || *rest == '\0' || *rest == '/' || strlen(url) >= LIMIT_FETCH_URL / 2)
		return false;
	for (const char *p = rest; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("?#@\\\"<>", *p) != NULL)
			return false;
	return true;
}

static enum err
read_source(struct fetch_source *s, const cJSON *item, size_t i, struct fault *f)
{
	const char *name, *url;
	size_t n;
	enum err e = json_get_string(item, "name", &name, f);

	if (e == OK)
		e = json_get_string(item, "url", &url, f);
	if (e != OK)
		return e;
	if (json_unknown_member(item, source_members) != NULL)
		return fault_set(f, ERR_INVAL, "source %zu has an unknown member '%s'", i,
		    json_unknown_member(item, source_members));
	if (name[0] == '\0' || strlen(name) > 128)
		return fault_set(f, ERR_INVAL, "source %zu needs a name of 1 to 128 bytes", i);
	if (!url_ok(url))
		return fault_set(f, ERR_INVAL,
		    "source '%s' needs a plain ftp, http or https URL without user, query or "
		    "fragment",
		    name);
	s->name = strdup(name);
	s->url = strdup(url);
	if (s->name == NULL || s->url == NULL)
		return ERR_NOMEM;
	for (n = strlen(s->url); s->url[n - 1] == '/'; n--)
		s->url[n - 1] = '\0';
	return OK;
}

/* A bundle is the only source, and the only way to a file: URL, which names a folder of ours. */
static enum err
bundle_source(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	char url[PATH_BYTES + 32];

	if (c->mode != FETCH_MIRROR || json_get(m, "sources") != NULL)
		return fault_set(
		    f, ERR_INVAL, "member 'bundle' is for a mirror, and without 'sources'");
	(void)snprintf(url, sizeof url, FETCH_FILE_URL "%s/bundle", c->work);
	if (strlen(url) >= LIMIT_FETCH_URL / 2)
		return fault_set(f, ERR_INVAL, "member 'work' is too long a path for a bundle");
	c->sources = calloc(1, sizeof *c->sources);
	if (c->sources == NULL)
		return ERR_NOMEM;
	c->source_count = 1;
	c->sources[0].name = strdup("bundle");
	c->sources[0].url = strdup(url);
	return c->sources[0].name == NULL || c->sources[0].url == NULL ? ERR_NOMEM : OK;
}

static enum err
read_sources(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	const cJSON *item;
	cJSON *list;
	size_t n;
	enum err e;

	if (c->bundle != NULL)
		return bundle_source(c, m, f);
	e = json_get_array(m, "sources", &list, f);
	if (e != OK)
		return e;
	n = (size_t)cJSON_GetArraySize(list);
	if (n == 0 || n > LIMIT_FETCH_SOURCES)
		return fault_set(f, ERR_INVAL, "member 'sources' must name 1 to %d sources",
		    LIMIT_FETCH_SOURCES);
	c->sources = calloc(n, sizeof *c->sources);
	if (c->sources == NULL)
		return ERR_NOMEM;
	cJSON_ArrayForEach(item, list)
	{
		e = read_source(&c->sources[c->source_count], item, c->source_count, f);
		c->source_count++; /* also a half one: fetch_config_free takes it */
		if (e != OK)
			return e;
	}
	return OK;
}

static enum err
read_reject(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	const cJSON *item;
	cJSON *list;
	uint8_t raw[32];
	size_t n;
	enum err e;

	if (json_get(m, "reject") == NULL)
		return OK;
	e = json_get_array(m, "reject", &list, f);
	if (e != OK)
		return e;
	c->reject = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *c->reject);
	if (c->reject == NULL)
		return ERR_NOMEM;
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item) || strlen(item->valuestring) != 64 ||
		    text_unhex(raw, sizeof raw, item->valuestring, 64, &n) != OK)
			return fault_set(f, ERR_INVAL, "member 'reject' must hold SHA-256 hashes");
		c->reject[c->reject_count] = strdup(item->valuestring);
		if (c->reject[c->reject_count++] == NULL)
			return ERR_NOMEM;
	}
	return OK;
}

static enum err
read_timestamp(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	const char *s;
	enum err e = json_opt_string(m, "timestamp", "", &s, f);

	if (e == OK && s[0] != '\0' && text_unb64(&c->timestamp, s, strlen(s)) != OK)
		e = fault_set(f, ERR_INVAL, "member 'timestamp' must be base64 of at most %d bytes",
		    LIMIT_TUF_TIMESTAMP);
	return e;
}

/* One of the words; the first is the default unless `needed`. */
static enum err
read_choice(const cJSON *m, const char *name, bool needed, const char *const *words, unsigned *out,
    struct fault *f)
{
	const char *s;
	enum err e =
	    needed ? json_get_string(m, name, &s, f) : json_opt_string(m, name, words[0], &s, f);

	for (unsigned i = 0; e == OK && words[i] != NULL; i++)
		if (text_eq(s, strlen(s), words[i])) {
			*out = i;
			return OK;
		}
	return e != OK ? e
		       : fault_set(f, ERR_INVAL, "member '%s' has the unknown value '%s'", name, s);
}

static enum err
read_numbers(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	uint64_t keep = 0, least = c->mode == FETCH_SET ? 2 : 3; /* DESIGN sections 7 and 5 */
	enum err e = json_opt_u64(m, "rate_limit", JSON_MAX_INT, 0, &c->rate_limit, f);

	if (e == OK)
		e = json_opt_u64(m, "current", JSON_MAX_INT, 0, &c->current, f);
	if (e == OK)
		e = json_opt_u64(m, "keep", 1000, least, &keep, f);
	if (e == OK)
		e = json_opt_u64(m, "grace_s", UINT32_MAX, GRACE_S, &c->grace_s, f);
	if (e == OK)
		e = json_opt_u64(m, "disk_floor", JSON_MAX_INT, 0, &c->disk_floor, f);
	if (e == OK)
		e = json_opt_u64(m, "stall_ms", 3600000, LIMIT_FETCH_STALL_MS, &c->stall_ms, f);
	if (e == OK)
		e = json_opt_bool(m, "require_confinement", false, &c->require_confinement, f);
	if (e == OK)
		e = json_opt_bool(m, "inspect", false, &c->inspect, f);
	c->keep = (uint32_t)(keep < least ? least : keep);
	return e;
}

static enum err
read_places(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	bool mirror = c->mode == FETCH_MIRROR;
	enum err e = read_path(m, "root_json", false, &c->root_json, f);
	char work[PATH_BYTES + 8];

	if (e == OK)
		e = read_path(m, "state", !mirror, &c->state, f);
	if (e == OK)
		e = read_path(m, "root", mirror, &c->root, f);
	if (e == OK)
		e = read_path(m, "work", mirror, &c->work, f);
	if (e == OK)
		e = read_path(m, "bundle", false, &c->bundle, f);
	if (e != OK)
		return e;
	if (mirror ? c->state != NULL : c->root != NULL)
		return fault_set(
		    f, ERR_INVAL, "member '%s' is not for this mode", mirror ? "state" : "root");
	if (c->work != NULL)
		return OK;
	e = file_join(work, sizeof work, c->state, "work");
	return e == OK ? keep_string(&c->work, work) : e;
}

/* A drop box is reached by FTP only, and what goes there is one file. */
static enum err
read_send(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	const char *s;
	enum err e;

	if (json_unknown_member(m, send_members) != NULL)
		return fault_set(
		    f, ERR_INVAL, "unknown member '%s'", json_unknown_member(m, send_members));
	e = read_path(m, "file", true, &c->file, f);
	if (e == OK)
		e = json_get_string(m, "name", &s, f);
	if (e == OK && !text_is_file_name(s, strlen(s)))
		e = fault_set(f, ERR_INVAL, "member 'name' must be one name of [A-Za-z0-9._-]");
	if (e == OK)
		e = keep_string(&c->name, s);
	if (e == OK)
		e = read_sources(c, m, f);
	for (size_t i = 0; e == OK && i < c->source_count; i++)
		if (!text_starts(c->sources[i].url, "ftp://"))
			e = fault_set(f, ERR_INVAL, "source '%s' must be an ftp URL to send to",
			    c->sources[i].name);
	if (e == OK)
		e = read_numbers(c, m, f);
	if (e == OK)
		e = json_opt_string(m, "proxy", "", &s, f);
	return e == OK ? keep_string(&c->proxy, s) : e;
}

static enum err
read_mode(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	static const char *const modes[] = { "set", "mirror", "send", NULL };
	unsigned mode = 0;
	enum err e = read_choice(m, "mode", true, modes, &mode, f);

	c->mode = (enum fetch_mode)mode;
	return e;
}

static enum err
read_all(struct fetch_config *c, const cJSON *m, struct fault *f)
{
	static const char *const deltas[] = { "prefer", "require", "off", NULL };
	const char *s;
	unsigned delta = 0;
	enum err e = read_mode(c, m, f);

	if (e != OK)
		return e;
	if (c->mode == FETCH_SEND)
		return read_send(c, m, f);
	if (json_unknown_member(m, members) != NULL)
		return fault_set(
		    f, ERR_INVAL, "unknown member '%s'", json_unknown_member(m, members));
	e = read_choice(m, "delta", false, deltas, &delta, f);
	c->delta = (enum fetch_delta)delta;
	if (e == OK)
		e = json_get_string(m, "feed", &s, f);
	if (e != OK)
		return e;
	if (!text_is_file_name(s, strlen(s)))
		return fault_set(f, ERR_INVAL, "member 'feed' must be one name of [A-Za-z0-9._-]");
	e = keep_string(&c->feed, s);
	if (e == OK)
		e = read_places(c, m, f);
	if (e == OK)
		e = read_sources(c, m, f);
	if (e == OK)
		e = read_timestamp(c, m, f);
	if (e == OK)
		e = read_reject(c, m, f);
	if (e == OK)
		e = read_numbers(c, m, f);
	if (e == OK)
		e = json_opt_string(m, "proxy", "", &s, f);
	return e == OK ? keep_string(&c->proxy, s) : e;
}

enum err
fetch_config_read(struct fetch_config **out, const cJSON *message, struct fault *f)
{
	struct fetch_config *c = calloc(1, sizeof *c);
	enum err e;

	*out = NULL;
	if (c == NULL)
		return ERR_NOMEM;
	buf_init(&c->timestamp, LIMIT_TUF_TIMESTAMP);
	e = read_all(c, message, f);
	if (e != OK) {
		fetch_config_free(c);
		return e;
	}
	*out = c;
	return OK;
}

void
fetch_config_free(struct fetch_config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->source_count; i++) {
		free(c->sources[i].name);
		free(c->sources[i].url);
	}
	for (size_t i = 0; i < c->reject_count; i++)
		free(c->reject[i]);
	free(c->sources);
	free(c->reject);
	free(c->feed);
	free(c->state);
	free(c->root);
	free(c->work);
	free(c->file);
	free(c->name);
	free(c->bundle);
	free(c->root_json);
	free(c->proxy);
	buf_free(&c->timestamp);
	free(c);
}

bool
fetch_config_rejects(const struct fetch_config *c, const char *sha256)
{
	for (size_t i = 0; i < c->reject_count; i++)
		if (text_eq_nocase(c->reject[i], strlen(c->reject[i]), sha256))
			return true;
	return false;
}
