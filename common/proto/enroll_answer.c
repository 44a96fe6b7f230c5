#include "proto/enroll.h"

#include "base/clock.h"
#include "base/text.h"
#include "net/pki.h"

#include <stdlib.h>
#include <string.h>

static enum err
add_bytes(cJSON *o, const char *name, const void *p, size_t n)
{
	struct buf b64;
	enum err e;

	buf_init(&b64, LIMIT_ENROLL_ANSWER);
	e = text_b64(&b64, p, n);
	if (e == OK)
		e = json_add_string(o, name, buf_text(&b64));
	buf_free(&b64);
	return e;
}

static enum err
write_feeds(cJSON *o, const struct enroll_answer *a)
{
	cJSON *list, *item;
	enum err e = json_add_array(o, "feeds", &list);

	for (size_t i = 0; e == OK && i < a->n_feeds; i++) {
		item = cJSON_CreateObject();
		e = item == NULL ? ERR_NOMEM : json_add_string(item, "name", a->feeds[i].name);
		if (e == OK && a->feeds[i].root != NULL)
			e = add_bytes(item, "root", a->feeds[i].root, a->feeds[i].root_len);
		if (e != OK) {
			cJSON_Delete(item);
			return e;
		}
		e = json_append(list, item);
	}
	return e;
}

static enum err
write_sources(cJSON *o, const struct enroll_answer *a)
{
	cJSON *list, *item;
	enum err e = json_add_array(o, "sources", &list);

	for (size_t i = 0; e == OK && i < a->n_sources; i++) {
		const struct enroll_source *s = &a->sources[i];

		item = cJSON_CreateObject();
		e = item == NULL ? ERR_NOMEM : json_add_string(item, "name", s->name);
		if (e == OK)
			e = json_add_string(item, "host", s->host);
		if (e == OK)
			e = json_add_u64(item, "ftp", s->ftp);
		if (e == OK)
			e = json_add_u64(item, "http", s->http);
		if (e == OK)
			e = json_add_u64(item, "version", s->version);
		if (e != OK) {
			cJSON_Delete(item);
			return e;
		}
		e = json_append(list, item);
	}
	return e;
}

static enum err
write_console(cJSON *o, const struct enroll_answer *a)
{
	cJSON *c;
	enum err e = json_add_object(o, "console", &c);

	if (e == OK)
		e = json_add_string(c, "name", a->console_name);
	if (e == OK)
		e = json_add_string(c, "host", a->console_host);
	return e == OK ? json_add_u64(c, "port", a->console_port) : e;
}

enum err
enroll_answer_write(const struct enroll_answer *a, struct buf *out)
{
	const char *const members[][2] = {
		{ "agent", a->agent },
		{ "org", a->org },
		{ "group", a->group },
		{ "certificate", a->certificate },
		{ "ca", a->ca },
		{ "time", a->time },
	};
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;

	for (size_t i = 0; e == OK && i < sizeof(members) / sizeof(members[0]); i++)
		e = json_add_string(o, members[i][0], members[i][1]);
	if (e == OK)
		e = write_console(o, a);
	if (e == OK)
		e = write_feeds(o, a);
	if (e == OK)
		e = write_sources(o, a);
	if (e == OK)
		e = json_print(o, out);
	cJSON_Delete(o);
	return e;
}

/* Roots are decoded one behind the other into store, which is sized for all of them first. */
static enum err
read_root(struct enroll_feed *feed, const cJSON *item, struct buf *store, struct fault *f)
{
	const char *b64;
	size_t at = store->len;
	enum err e = json_opt_string(item, "root", NULL, &b64, f);

	if (e != OK || b64 == NULL)
		return e;
	e = text_unb64(store, b64, strlen(b64));
	if (e == ERR_NOMEM)
		return e;
	if (e != OK || store->len == at)
		return fault_set(
		    f, ERR_PARSE, "feed '%s': member 'root' is not base64", feed->name);
	feed->root = (const char *)store->data + at;
	feed->root_len = store->len - at;
	return buf_append(store, "", 1); /* each root ends with a NUL */
}

static enum err
read_feeds(struct enroll_answer *a, struct buf *store, size_t room, struct fault *f)
{
	cJSON *list, *item;
	enum err e = json_get_array(a->tree, "feeds", &list, f);

	if (e == OK)
		e = buf_reserve(store, room); /* no later append moves the bytes */
	if (e != OK)
		return e;
	cJSON_ArrayForEach(item, list)
	{
		struct enroll_feed *feed = &a->feeds[a->n_feeds];

		if (a->n_feeds == ENROLL_MAX_FEEDS)
			return fault_set(f, ERR_TOOBIG, "more than %d feeds", ENROLL_MAX_FEEDS);
		e = json_get_string(item, "name", &feed->name, f);
		if (e == OK && !text_is_role_name(feed->name, strlen(feed->name)))
			e = fault_set(f, ERR_PARSE, "a feed's name must be [a-z0-9-]");
		if (e == OK)
			e = read_root(feed, item, store, f);
		if (e != OK)
			return e;
		a->n_feeds++;
	}
	return OK;
}

static enum err
read_port(const cJSON *o, const char *name, uint16_t *out, struct fault *f)
{
	uint64_t v;
	enum err e = json_opt_u64(o, name, 65535, 0, &v, f);

	if (e == OK)
		*out = (uint16_t)v;
	return e;
}

static enum err
read_sources(struct enroll_answer *a, struct fault *f)
{
	cJSON *list, *item;
	enum err e = json_get_array(a->tree, "sources", &list, f);

	if (e != OK)
		return e;
	cJSON_ArrayForEach(item, list)
	{
		struct enroll_source *s = &a->sources[a->n_sources];

		if (a->n_sources == ENROLL_MAX_SOURCES)
			return fault_set(f, ERR_TOOBIG, "more than %d sources", ENROLL_MAX_SOURCES);
		e = json_get_string(item, "name", &s->name, f);
		if (e == OK)
			e = json_get_string(item, "host", &s->host, f);
		if (e == OK)
			e = read_port(item, "ftp", &s->ftp, f);
		if (e == OK)
			e = read_port(item, "http", &s->http, f);
		if (e == OK)
			e = read_port(item, "version", &s->version, f);
		if (e != OK)
			return e;
		a->n_sources++;
	}
	return OK;
}

static enum err
read_strings(struct enroll_answer *a, struct fault *f)
{
	const struct {
		const char *name;
		const char **at;
	} members[] = {
		{ "agent", &a->agent },
		{ "org", &a->org },
		{ "group", &a->group },
		{ "certificate", &a->certificate },
		{ "ca", &a->ca },
		{ "time", &a->time },
	};
	cJSON *console;
	int64_t ms;
	enum err e = OK;

	for (size_t i = 0; e == OK && i < sizeof(members) / sizeof(members[0]); i++)
		e = json_get_string(a->tree, members[i].name, members[i].at, f);
	if (e == OK)
		e = json_get_object(a->tree, "console", &console, f);
	if (e == OK)
		e = json_get_string(console, "name", &a->console_name, f);
	if (e == OK)
		e = json_get_string(console, "host", &a->console_host, f);
	if (e == OK)
		e = read_port(console, "port", &a->console_port, f);
	if (e != OK)
		return e;
	if (!text_is_uuid(a->agent, strlen(a->agent)))
		return fault_set(f, ERR_PARSE, "member 'agent' must be a UUID");
	if (!pki_is_name(a->org, strlen(a->org)) || !text_is_role_name(a->group, strlen(a->group)))
		return fault_set(f, ERR_PARSE, "member 'org' or 'group' is no name");
	if (clock_parse(a->time, strlen(a->time), &ms) != OK)
		return fault_set(f, ERR_PARSE, "member 'time' must be a time");
	return OK;
}

enum err
enroll_answer_parse(struct enroll_answer *out, const char *p, size_t n, struct fault *f)
{
	struct buf store;
	enum err e;

	memset(out, 0, sizeof(*out));
	if (n > LIMIT_ENROLL_ANSWER)
		return fault_set(
		    f, ERR_TOOBIG, "the answer is larger than %d bytes", LIMIT_ENROLL_ANSWER);
	buf_init(&store, LIMIT_ENROLL_ANSWER + ENROLL_MAX_FEEDS);
	e = json_parse(&out->tree, p, n, JSON_SIGNED, f);
	if (e == OK)
		e = read_strings(out, f);
	if (e == OK)
		e = read_feeds(out, &store, n + ENROLL_MAX_FEEDS, f);
	if (e == OK)
		e = read_sources(out, f);
	out->store = (char *)store.data;
	if (e != OK)
		enroll_answer_free(out);
	return e;
}

enum err
enroll_answer_seal(struct buf *out, const void *document, size_t n, const uint8_t mac[ENROLL_MAC])
{
	char hex[2 * ENROLL_MAC + 1];
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : add_bytes(o, "answer", document, n);

	text_hex(hex, mac, ENROLL_MAC);
	if (e == OK)
		e = json_add_string(o, "mac", hex);
	if (e == OK)
		e = json_print(o, out);
	cJSON_Delete(o);
	return e;
}

/* Outer form only: the document's bytes into doc, its MAC into mac. */
static enum err
unseal(const char *p, size_t n, struct buf *doc, uint8_t mac[ENROLL_MAC], struct fault *f)
{
	const char *b64, *hex;
	cJSON *o = NULL;
	size_t len;
	enum err e;

	if (n > LIMIT_ENROLL_ANSWER)
		return fault_set(
		    f, ERR_TOOBIG, "the answer is larger than %d bytes", LIMIT_ENROLL_ANSWER);
	e = json_parse(&o, p, n, JSON_SIGNED, f);
	if (e == OK)
		e = json_get_string(o, "answer", &b64, f);
	if (e == OK)
		e = json_get_string(o, "mac", &hex, f);
	if (e == OK &&
	    (text_unhex(mac, ENROLL_MAC, hex, strlen(hex), &len) != OK || len != ENROLL_MAC))
		e = fault_set(f, ERR_PARSE, "member 'mac' must be 64 hexadecimal digits");
	if (e == OK && (e = text_unb64(doc, b64, strlen(b64))) != OK)
		(void)fault_set(f, e, "member 'answer' is not base64");
	cJSON_Delete(o);
	return e;
}

enum err
enroll_answer_open(struct enroll_answer *out, const struct token *t,
    const uint8_t proof[ENROLL_MAC], const char *p, size_t n, struct fault *f)
{
	uint8_t mac[ENROLL_MAC], own[ENROLL_MAC];
	struct buf doc;
	enum err e;

	memset(out, 0, sizeof(*out));
	buf_init(&doc, LIMIT_ENROLL_ANSWER);
	e = unseal(p, n, &doc, mac, f);
	if (e == OK) {
		enroll_answer_mac(own, t->secret, proof, buf_text(&doc), doc.len);
		if (!pki_equal(own, mac, ENROLL_MAC))
			e = fault_set(f, ERR_AUTH,
			    "the answer was not made by the console that made the token");
	}
	if (e == OK)
		e = enroll_answer_parse(out, buf_text(&doc), doc.len, f);
	buf_free(&doc);
	return e;
}

void
enroll_answer_free(struct enroll_answer *a)
{
	cJSON_Delete(a->tree);
	free(a->store);
	memset(a, 0, sizeof(*a));
}
