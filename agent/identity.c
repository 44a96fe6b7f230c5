/* identity.c - see identity.h. */
#include "identity.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_FILE "group"

struct identity {
	struct buf key, cert, ca;
	cJSON *doc, *enrolment;
	const char *agent, *org, *group, *host, *console;
	uint16_t port;
	char moved[IDENTITY_GROUP]; /* group, when a task said so after enrolment */
	int64_t enrolled;
	struct pki_identity pki;
};

enum err
identity_path(char *dst, size_t size, const char *state, const char *name)
{
	int n = snprintf(dst, size, "%s/identity/%s", state, name);

	return n < 0 || (size_t)n >= size ? ERR_TOOBIG : OK;
}

static enum err
read_json(cJSON **out, const char *path, struct fault *f)
{
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_ENROLMENT_BYTES);
	e = file_read(path, &text, f);
	if (e == OK && (e = json_parse(out, buf_text(&text), text.len, JSON_SIGNED, f)) != OK)
		fault_prefix(f, "%s", path);
	buf_free(&text);
	return e;
}

static enum err
read_members(struct identity *id, struct fault *f)
{
	const char *enrolled;
	uint64_t port;
	cJSON *console;
	enum err e;

	e = json_get_string(id->doc, "agent", &id->agent, f);
	if (e == OK)
		e = json_get_string(id->doc, "org", &id->org, f);
	if (e == OK)
		e = json_opt_string(id->doc, "group", "", &id->group, f);
	if (e == OK)
		e = json_get_object(id->doc, "console", &console, f);
	if (e == OK)
		e = json_get_string(console, "host", &id->host, f);
	if (e == OK)
		e = json_opt_string(console, "name", "", &id->console, f);
	if (e == OK)
		e = json_get_u64(console, "port", 65535, &port, f);
	if (e == OK)
		e = json_get_string(id->doc, "enrolled", &enrolled, f);
	if (e != OK)
		return e;
	id->port = (uint16_t)port;
	if (clock_parse(enrolled, strlen(enrolled), &id->enrolled) != OK)
		return fault_set(f, ERR_PARSE, "member 'enrolled' must be an RFC 3339 time");
	return OK;
}

static enum err
read_files(struct identity *id, const char *state, struct fault *f)
{
	struct {
		const char *name;
		struct buf *to;
	} files[] = {
		{ "key.pem", &id->key },
		{ "cert.pem", &id->cert },
		{ "ca.pem", &id->ca },
	};
	char path[4200];
	enum err e = OK;

	for (size_t i = 0; e == OK && i < 3; i++) {
		e = identity_path(path, sizeof path, state, files[i].name);
		if (e == OK)
			e = file_read(path, files[i].to, f);
	}
	if (e == OK)
		e = pki_identity_read(&id->pki, id->cert.data, id->cert.len, f);
	if (e == OK)
		e = pki_key_matches(buf_text(&id->key), buf_text(&id->cert), f);
	if (e == OK)
		e = identity_path(path, sizeof path, state, "identity.json");
	if (e == OK)
		e = read_json(&id->doc, path, f);
	if (e == OK && (e = read_members(id, f)) != OK)
		fault_prefix(f, "%s", path);
	if (e == OK && snprintf(path, sizeof path, "%s/enrolment.json", state) > 0)
		e = read_json(&id->enrolment, path, f);
	return e;
}

/* What cannot be read as a name is left out: the group of the enrolment stands then. */
static void
read_moved(struct identity *id, const char *state)
{
	char path[4200];
	struct buf text;

	buf_init(&text, IDENTITY_GROUP);
	if (identity_path(path, sizeof path, state, GROUP_FILE) == OK &&
	    file_read(path, &text, NULL) == OK && text_is_role_name(buf_text(&text), text.len))
		identity_set_group(id, buf_text(&text));
	buf_free(&text);
}

enum err
identity_group_write(const char *state, const char *group, struct fault *f)
{
	char path[4200];
	enum err e = identity_path(path, sizeof path, state, GROUP_FILE);

	return e == OK ? file_replace(path, group, strlen(group), 0640, f) : e;
}

void
identity_set_group(struct identity *id, const char *group)
{
	(void)snprintf(id->moved, sizeof id->moved, "%s", group);
}

enum err
identity_load(struct identity **out, const char *state, struct fault *f)
{
	struct identity *id;
	char path[4200];
	enum err e;

	*out = NULL;
	e = identity_path(path, sizeof path, state, "identity.json");
	if (e != OK)
		return fault_set(f, e, "the state folder's path is too long");
	if (!file_exists(path)) /* written last: without it there is no identity */
		return ERR_NOTFOUND;
	id = calloc(1, sizeof *id);
	if (id == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	buf_init(&id->key, LIMIT_PEM_BYTES);
	buf_init(&id->cert, LIMIT_PEM_BYTES);
	buf_init(&id->ca, LIMIT_PEM_BYTES);
	e = read_files(id, state, f);
	if (e == OK && (strcmp(id->pki.name, id->agent) != 0 || id->pki.role != PKI_AGENT))
		e = fault_set(f, ERR_AUTH,
		    "identity/cert.pem is not the certificate of agent %s; "
		    "enrol again",
		    id->agent);
	if (e == ERR_NOTFOUND)
		e = ERR_PARSE; /* half an identity is a fault, not "not enrolled" */
	if (e != OK) {
		identity_free(id);
		return e;
	}
	read_moved(id, state);
	*out = id;
	return OK;
}

void
identity_free(struct identity *id)
{
	if (id == NULL)
		return;
	buf_wipe(&id->key);
	buf_free(&id->cert);
	buf_free(&id->ca);
	cJSON_Delete(id->doc);
	cJSON_Delete(id->enrolment);
	free(id);
}

const char *
identity_agent(const struct identity *id)
{
	return id->agent;
}

const char *
identity_org(const struct identity *id)
{
	return id->org;
}

const char *
identity_group(const struct identity *id)
{
	return id->moved[0] != '\0' ? id->moved : id->group;
}

const char *
identity_console_host(const struct identity *id)
{
	return id->host;
}

const char *
identity_console_name(const struct identity *id)
{
	return id->console;
}

uint16_t
identity_console_port(const struct identity *id)
{
	return id->port;
}

int64_t
identity_enrolled(const struct identity *id)
{
	return id->enrolled;
}

const struct pki_identity *
identity_cert(const struct identity *id)
{
	return &id->pki;
}

const char *
identity_cert_pem(const struct identity *id)
{
	return buf_text(&id->cert);
}

const char *
identity_ca_pem(const struct identity *id)
{
	return buf_text(&id->ca);
}

const char *
identity_key_pem(const struct identity *id)
{
	return buf_text(&id->key);
}

size_t
identity_feeds(const struct identity *id, const char *out[LIMIT_FEEDS])
{
	const cJSON *list = json_get(id->enrolment, "feeds"), *i;
	size_t n = 0;

	cJSON_ArrayForEach(i, list) if (cJSON_IsString(i) && n < LIMIT_FEEDS) out[n++] =
	    i->valuestring;
	return n;
}

static uint16_t
port_of(const cJSON *o, const char *name)
{
	uint64_t v;

	return json_opt_u64(o, name, 65535, 0, &v, NULL) == OK ? (uint16_t)v : 0;
}

size_t
identity_sources(const struct identity *id, struct source *out, size_t max)
{
	const cJSON *list = json_get(id->enrolment, "sources"), *i;
	size_t n = 0;

	cJSON_ArrayForEach(i, list)
	{
		const char *name, *host;
		struct source s = { 0 };

		if (n == max || json_get_string(i, "name", &name, NULL) != OK ||
		    json_get_string(i, "host", &host, NULL) != OK)
			continue;
		s.kind = SOURCE_SERVER;
		(void)snprintf(s.name, sizeof s.name, "%s", name);
		(void)snprintf(s.host, sizeof s.host, "%s", host);
		s.ftp = port_of(i, "ftp");
		s.http = port_of(i, "http");
		s.version = port_of(i, "version");
		out[n++] = s;
	}
	return n;
}

enum err
identity_trust_make(
    struct identity_trust *out, const struct identity *id, const struct authority *au)
{
	const cJSON *list, *i;
	size_t n = 0;

	memset(out, 0, sizeof *out);
	out->trust.ca_pem = buf_text(&id->ca);
	if (au == NULL)
		return OK;
	list = json_get(json_get(authority_tree(au), "revoked"), "serials");
	if (cJSON_GetArraySize(list) == 0)
		return OK;
	out->serials = calloc((size_t)cJSON_GetArraySize(list), sizeof *out->serials);
	if (out->serials == NULL)
		return ERR_NOMEM;
	cJSON_ArrayForEach(i, list) if (cJSON_IsString(i)) out->serials[n++] = i->valuestring;
	out->trust.revoked = out->serials;
	out->trust.n_revoked = n;
	return OK;
}

void
identity_trust_free(struct identity_trust *t)
{
	free(t->serials);
	memset(t, 0, sizeof *t);
}

enum err
identity_httpc_tls(struct httpc_tls *out, const struct identity *id, const struct identity_trust *t)
{
	memset(out, 0, sizeof *out);
	out->cert_pem = buf_text(&id->cert);
	out->key_pem = buf_text(&id->key);
	out->trust = t->trust;
	out->expect.role = PKI_CONSOLE;
	out->expect.org = id->org;
	out->expect.server = true;
	return OK;
}
