#include "options.h"

#include "base/limits.h"
#include "base/text.h"
#include "net/addr.h"
#include "net/pki.h"
#include "os/file.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_FILE "/etc/atalaia/console.conf"
#define AT(member) offsetof(struct options, member)
#define ROW(name, type, dflt, help)                                                                \
	{                                                                                          \
		"console", #name, type, AT(name), dflt, help, 0, 0, NULL                           \
	}
#define RANGE(name, type, dflt, min, max, help)                                                    \
	{                                                                                          \
		"console", #name, type, AT(name), dflt, help, min, max, NULL                       \
	}

#define DAY_MS (86400000ull)

const struct conf_option options_table[] = {
	ROW(state, CONF_PATH, "/var/lib/atalaia-console", "folder of keys, database and policies"),
	ROW(listen, CONF_LIST, "0.0.0.0,::", "addresses of the agents' port"),
	ROW(agent_port, CONF_PORT, "2225", "port for enrolment, events and task pull"),
	ROW(admin_listen, CONF_STRING, "127.0.0.1", "loopback address of the admin API"),
	ROW(admin_port, CONF_PORT, "2226", "port of the admin API"),
	ROW(org, CONF_STRING, "", "name of the organisation, fixed at init: [A-Za-z0-9._-], 1..64"),
	ROW(name, CONF_STRING, "main", "name of this console"),
	ROW(host, CONF_STRING, "", "host name or address that agents find this console under"),
	ROW(publish, CONF_PATH, "",
	    "root folder of the origin mirror, which gets the policies feed"),
	ROW(feeds, CONF_LIST, "signatures", "feeds that agents follow besides policies"),
	ROW(source_name, CONF_STRING, "server", "name of the server's mirror"),
	ROW(source_host, CONF_STRING, "", "host of the server's mirror, default: host"),
	ROW(source_ftp, CONF_PORT, "2021", "FTP port of the server's mirror, 0 = none"),
	ROW(source_http, CONF_PORT, "2221", "HTTP port of the server's mirror, 0 = none"),
	ROW(source_version, CONF_PORT, "3333", "version port of the server's mirror, 0 = none"),
	RANGE(token_life, CONF_DURATION, "7d", 60000, 365 * DAY_MS,
	    "how long a new token may be used"),
	RANGE(task_life, CONF_DURATION, "1d", 1000, LIMIT_TASK_LIFE_S * 1000ull,
	    "how long a new task may wait for its agent"),
	RANGE(push_timeout, CONF_DURATION, "5s", 100, 60000,
	    "how long an agent's task port may take to answer"),
	RANGE(push_parallel, CONF_U32, "32", 1, 512, "agents that are pushed to at the same time"),
	RANGE(events_keep, CONF_DURATION, "90d", DAY_MS, 3650 * DAY_MS, "how long events are kept"),
	RANGE(tasks_keep, CONF_DURATION, "90d", DAY_MS, 3650 * DAY_MS,
	    "how long tasks that have expired are kept"),
	RANGE(collected_keep, CONF_DURATION, "90d", 60000, 3650 * DAY_MS,
	    "how long files that agents sent are kept"),
	RANGE(handshakes_per_second, CONF_U32, "20", 0, 100000,
	    "new TLS connections a second from one address, 0 = no limit"),
	RANGE(connections_per_address, CONF_U32, "0", 0, 100000,
	    "connections from one address, 0 = no limit"),
	ROW(web_listen, CONF_LIST, "", "addresses of the web console, default: listen; off = none"),
	ROW(web_port, CONF_PORT, "10443", "port of the web console"),
	ROW(web, CONF_PATH, "/usr/share/atalaia/web", "folder of the web console's built files"),
	ROW(web_certificate, CONF_PATH, "",
	    "PEM file with certificate and chain (ECDSA P-256) for browsers, default: one of the "
	    "own "
	    "CA"),
	ROW(web_key, CONF_PATH, "", "PEM file with the key of web_certificate"),
	ROW(web_names, CONF_LIST, "", "further names and addresses in the own certificate"),
	RANGE(web_idle, CONF_DURATION, "30m", 1000, DAY_MS,
	    "a session of the web console ends after this long without a request"),
	RANGE(web_life, CONF_DURATION, "12h", 1000, 30 * DAY_MS, "and at the latest after this"),
	RANGE(web_lock, CONF_DURATION, "15m", 1000, DAY_MS,
	    "how long a user is locked after five wrong tries"),
	ROW(log, CONF_STRING, "info", "log levels, such as info,tasks=debug"),
};
const size_t options_count = sizeof(options_table) / sizeof(options_table[0]);

static enum err
check_feeds(struct options *o, struct fault *f)
{
	const char *p = o->feeds;

	while (*p != '\0') {
		size_t n = strcspn(p, ", ");
		if (n > 0 && (!text_is_role_name(p, n) || text_eq(p, n, FEED_POLICIES)))
			return conf_fault(o->conf, "console", "feeds", f,
			    "'%.*s' is no name of a further feed: use [a-z0-9-]", (int)n, p);
		p += n;
		p += strspn(p, ", ");
	}
	return OK;
}

/* Rules over several options. */
static enum err
check(struct options *o, struct fault *f)
{
	if (o->org[0] == '\0' || !pki_is_name(o->org, strlen(o->org)))
		return conf_fault(o->conf, "console", "org", f,
		    "give the organisation's name: org = example, with [A-Za-z0-9._-], 1 to 64 "
		    "characters");
	if (!pki_is_name(o->name, strlen(o->name)))
		return conf_fault(
		    o->conf, "console", "name", f, "use [A-Za-z0-9._-], 1 to 64 characters");
	if (o->host[0] == '\0')
		return conf_fault(o->conf, "console", "host", f,
		    "say under which name or address agents find this console: host = "
		    "server.example");
	if (o->agent_port != 0 && o->agent_port == o->admin_port)
		return conf_fault(o->conf, "console", "admin_port", f,
		    "is the same as agent_port: choose another");
	if ((o->web_certificate[0] == '\0') != (o->web_key[0] == '\0'))
		return conf_fault(
		    o->conf, "console", "web_key", f, "web_certificate and web_key go together");
	return check_feeds(o, f);
}

static enum err
fill_defaults(struct options *o)
{
	if (o->source_host[0] != '\0')
		return OK;
	free(o->source_host);
	o->source_host = strdup(o->host);
	return o->source_host != NULL ? OK : ERR_NOMEM;
}

enum err
options_load(struct options *o, const char *file, struct fault *f)
{
	enum err e;

	memset(o, 0, sizeof(*o));
	if (file == NULL)
		file = DEFAULT_FILE;
	if (!file_exists(file))
		return fault_set(f, ERR_INVAL,
		    "%s: no such file: name the configuration with --config FILE", file);
	e = conf_load(&o->conf, o, options_table, options_count, file, f);
	if (e != OK)
		return e;
	o->file = strdup(file);
	e = o->file == NULL ? ERR_NOMEM : check(o, f);
	if (e == OK)
		e = fill_defaults(o);
	if (e != OK)
		options_free(o);
	return e;
}

void
options_free(struct options *o)
{
	conf_free(o->conf);
	free(o->file);
	memset(o, 0, sizeof(*o));
}

enum err
options_path(const struct options *o, const char *name, char out[STATE_PATH], struct fault *f)
{
	if (file_join(out, STATE_PATH, o->state, name) != OK)
		return fault_set(f, ERR_TOOBIG, "the path of the state folder is too long");
	return OK;
}
