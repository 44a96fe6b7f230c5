/* role_settings.c - the options of the role: agent.conf gives them, a task's settings go before. */
#include "role_internal.h"

#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_FTP 2021
#define PORT_HTTP 2221
#define PORT_VERSION 3333

static const struct {
	const char *name;
	size_t at;
} options[] = {
#define X(name, help) { #name, offsetof(struct agent_conf, serve_##name) },
	CONF_SERVE_LIST(X)
#undef X
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

static const char *
configured(const struct agent_conf *c, size_t at)
{
	const char *v;

	memcpy(&v, (const char *)c + at, sizeof v);
	return v;
}

/* Folders are the administrator's: a task may not choose what this PC serves or where it writes. */
enum err
role_settings_check(const cJSON *settings, struct fault *f)
{
	const cJSON *i;

	cJSON_ArrayForEach(i, settings)
	{
		size_t k = 0;

		if (!cJSON_IsString(i))
			return fault_set(f, ERR_INVAL, "setting '%.64s' must be a text", i->string);
		if (strcmp(i->string, "upstream") == 0)
			continue;
		if (strcmp(i->string, "root") == 0 ||
		    (strcmp(i->string, "dropbox") == 0 && i->valuestring[0] != '\0'))
			return fault_set(f, ERR_INVAL,
			    "setting '%s' names a folder and can be set in "
			    "agent.conf only",
			    i->string);
		while (k < OPTION_COUNT && strcmp(options[k].name, i->string) != 0)
			k++;
		if (k == OPTION_COUNT)
			return fault_set(f, ERR_INVAL,
			    "setting '%.64s' is not known to the update-agent "
			    "role",
			    i->string);
	}
	return OK;
}

const char *
role_option(const struct role *r, const char *name)
{
	const cJSON *v = json_get(r->wish.settings, name);

	if (cJSON_IsString(v))
		return v->valuestring;
	if (strcmp(name, "upstream") == 0)
		return r->agent->conf->role_upstream;
	for (size_t k = 0; k < OPTION_COUNT; k++)
		if (strcmp(options[k].name, name) == 0)
			return configured(r->agent->conf, options[k].at);
	return "";
}

enum err
role_serve_options(const struct role *r, cJSON *out)
{
	enum err e = json_add_string(out, "root", r->agent->conf->role_root);

	for (size_t k = 0; e == OK && k < OPTION_COUNT; k++) {
		const char *v = role_option(r, options[k].name);

		if (v[0] != '\0')
			e = json_add_string(out, options[k].name, v);
	}
	if (e == OK && r->agent->conf->require_confinement)
		e = json_add_string(out, "require_confinement", "yes");
	return e;
}

static uint16_t
next_port(const char **p, const char *end, uint16_t dflt)
{
	const char *s = *p;
	size_t n;
	uint32_t v;

	if (s >= end || *s != '/')
		return dflt;
	s++;
	for (n = 0; s + n < end && s[n] != '/'; n++)
		;
	*p = s + n;
	return text_u32(s, n, 65535, &v) == OK ? (uint16_t)v : 0;
}

/* "mirror.example" or "10.1.1.5/2021/0/3333": ports of FTP, HTTP and version, 0 = it has none. */
size_t
role_parse_upstreams(const char *list, struct source *out, size_t max)
{
	size_t n = 0;

	for (const char *p = list; *p != '\0' && n < max;) {
		size_t len = strcspn(p, ", \t"), host = 0;
		const char *end = p + len, *q;
		struct source s = { .kind = SOURCE_AGENT };

		while (host < len && p[host] != '/')
			host++;
		q = p + host;
		if (host > 0 && text_copy(s.host, sizeof s.host, p, host) == OK) {
			(void)snprintf(s.name, sizeof s.name, "%.63s", s.host);
			s.ftp = next_port(&q, end, PORT_FTP);
			s.http = next_port(&q, end, PORT_HTTP);
			s.version = next_port(&q, end, PORT_VERSION);
			out[n++] = s;
		}
		p = end + strspn(end, ", \t");
	}
	return n;
}
