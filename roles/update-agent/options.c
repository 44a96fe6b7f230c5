#include "options.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define AT(m) offsetof(struct options, m)
#define S "update-agent"
#define SECOND 1000u
#define HOUR (3600u * SECOND)

static const char *const data_peers[] = { "same", "subnet", "any", NULL };

#define PRIVATE_NETWORKS                                                                           \
	"127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 ::1 fc00::/7 "         \
	"fe80::/10"

static const struct conf_option table[] = {
	{ S, "root", CONF_PATH, AT(root), NULL, "folder that is served, one folder a feed", 0, 0,
	    NULL },
	{ S, "listen", CONF_LIST, AT(listen), "",
	    "addresses to listen on; empty: all of IPv4 and IPv6", 0, 0, NULL },
	{ S, "version_port", CONF_PORT, AT(version_port), "3333",
	    "port of the version answer and its long-poll", 0, 0, NULL },
	{ S, "ftp_port", CONF_PORT, AT(ftp_port), "2021", "port of FTP", 0, 0, NULL },
	{ S, "http_port", CONF_STRING, AT(http_port_text), "",
	    "port of HTTP, usually 2221; empty or off: no HTTP; 0: any free port", 0, 0, NULL },
	{ S, "passive_first", CONF_PORT, AT(passive_first), "3400",
	    "first port of the passive range; 0: any free port of the system", 0, 0, NULL },
	{ S, "passive_count", CONF_U32, AT(passive_count), "600",
	    "how many ports the passive range has", 1, 64512, NULL },
	{ S, "passive_address", CONF_STRING, AT(passive_address_text), "",
	    "public IPv4 address that PASV names to peers outside local_networks", 0, 0, NULL },
	{ S, "local_networks", CONF_LIST, AT(local_networks_text), PRIVATE_NETWORKS,
	    "networks that reach this PC without NAT", 0, 0, NULL },
	{ S, "data_peer", CONF_CHOICE, AT(data_peer), "same",
	    "who may take a download's data connection: same address, same subnet (/24, /64), any",
	    0, 0, data_peers },
	{ S, "max_sessions", CONF_U32, AT(max_sessions), "500", "FTP sessions at a time", 1, 20000,
	    NULL },
	{ S, "max_sessions_per_address", CONF_U32, AT(max_sessions_per_address), "20",
	    "FTP sessions and HTTP connections at a time of one address", 1, 20000, NULL },
	{ S, "nat_addresses", CONF_LIST, AT(nat_addresses_text), "",
	    "addresses with many PCs behind them, which get the larger caps", 0, 0, NULL },
	{ S, "max_sessions_per_nat", CONF_U32, AT(max_sessions_per_nat), "300",
	    "the cap of sessions for nat_addresses", 1, 20000, NULL },
	{ S, "max_waiters", CONF_U32, AT(max_waiters), "12000",
	    "connections held at a time on the version port", 1, 100000, NULL },
	{ S, "waiters_per_address", CONF_U32, AT(waiters_per_address), "32",
	    "connections held at a time of one address on the version port", 1, 100000, NULL },
	{ S, "waiters_per_nat", CONF_U32, AT(waiters_per_nat), "2000", "the same for nat_addresses",
	    1, 100000, NULL },
	{ S, "idle_timeout", CONF_DURATION, AT(idle_timeout), "5m",
	    "an FTP session without a command ends after this time", SECOND, 24 * HOUR, NULL },
	{ S, "accept_timeout", CONF_DURATION, AT(accept_timeout), "10s",
	    "a transfer without its data connection is answered 425 after this time", SECOND, HOUR,
	    NULL },
	{ S, "login_timeout", CONF_DURATION, AT(login_timeout), "30s",
	    "a session that has not logged in ends after this time", SECOND, HOUR, NULL },
	{ S, "line_timeout", CONF_DURATION, AT(line_timeout), "30s",
	    "a command line must be complete in this time", SECOND, HOUR, NULL },
	{ S, "stall_timeout", CONF_DURATION, AT(stall_timeout), "60s",
	    "a transfer must move 16 KiB in this time", SECOND, HOUR, NULL },
	{ S, "outgoing_budget", CONF_SIZE, AT(outgoing_budget), "0",
	    "bytes a second that downloads after a publication may take; 0: do not spread them", 0,
	    0, NULL },
	{ S, "expected_download", CONF_SIZE, AT(expected_download), "1M",
	    "bytes of one client's update until it has been measured", 1, 1ull << 40, NULL },
	{ S, "poll_interval", CONF_DURATION, AT(poll_interval), "1s",
	    "how often the folder is looked at when no agent says what changed", 100, HOUR, NULL },
	{ S, "drain_timeout", CONF_DURATION, AT(drain_timeout), "10s",
	    "transfers in flight get this long at the end", 0, 60 * SECOND, NULL },
	{ S, "dropbox", CONF_PATH, AT(dropbox), "",
	    "folder for uploads, seen as /incoming; empty: no uploads", 0, 0, NULL },
	{ S, "dropbox_file_size", CONF_SIZE, AT(dropbox_file_size), "32M", "largest upload", 1,
	    1ull << 40, NULL },
	{ S, "dropbox_total", CONF_SIZE, AT(dropbox_total), "1G", "bytes in the drop box", 1,
	    1ull << 50, NULL },
	{ S, "dropbox_files", CONF_U32, AT(dropbox_files), "10000", "files in the drop box", 1,
	    1000000, NULL },
	{ S, "dropbox_daily", CONF_SIZE, AT(dropbox_daily), "128M",
	    "bytes that one address may upload a day", 1, 1ull << 50, NULL },
	{ S, "dropbox_daily_files", CONF_U32, AT(dropbox_daily_files), "200",
	    "files that one address may upload a day", 1, 1000000, NULL },
	{ S, "dropbox_floor", CONF_SIZE, AT(dropbox_floor), "1G",
	    "no upload when the disk has less free", 0, 0, NULL },
	{ S, "require_confinement", CONF_BOOL, AT(require_confinement), "no",
	    "refuse to start when the kernel cannot confine this program", 0, 0, NULL },
	{ S, "log", CONF_STRING, AT(log), "info",
	    "log level: error, warn, info or debug, or by module: info,ftp=debug", 0, 0, NULL },
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

/* The ports of DESIGN section 3: on a PC with several roles the others live here too. */
static const uint16_t well_known[] = { 2021, 2221, 2222, 2225, 2226, 2227, 3333, 10443 };

static enum err
check_http_port(struct options *o, const struct conf *c, struct fault *f)
{
	uint32_t port;

	if (o->http_port_text[0] == '\0' || strcmp(o->http_port_text, "off") == 0)
		return OK;
	if (text_u32(o->http_port_text, strlen(o->http_port_text), 65535, &port) != OK)
		return conf_fault(c, S, "http_port", f,
		    "'%.60s' is not a port; write a number from 0 to 65535, or off",
		    o->http_port_text);
	o->http_on = true;
	o->http_port = (uint16_t)port;
	return OK;
}

static enum err
check_different(const struct options *o, const struct conf *c, struct fault *f)
{
	if (o->ftp_port != 0 && o->ftp_port == o->version_port)
		return conf_fault(c, S, "ftp_port", f,
		    "%u is the version_port already; give each service its own port", o->ftp_port);
	if (o->http_on && o->http_port != 0 &&
	    (o->http_port == o->ftp_port || o->http_port == o->version_port))
		return conf_fault(c, S, "http_port", f,
		    "%u is used by another service of this file; give each its own port",
		    o->http_port);
	return OK;
}

static void
reserve(struct options *o, uint16_t port)
{
	size_t i;

	for (i = 0; i < o->reserved_count; i++) {
		if (o->reserved[i] == port)
			return;
	}
	if (port != 0 && o->reserved_count < RESERVED_MAX)
		o->reserved[o->reserved_count++] = port;
}

static bool
in_range(const struct options *o, uint16_t port)
{
	return port >= o->passive_first && port - o->passive_first < (int)o->passive_count;
}

/* A wide range, opened in firewalls as a product's manual said (3023 + 1000 has 3333 inside), loses
 * nothing when a port in it is left out: warn. Where it costs one port in a hundred or more, the
 * operator has counted wrong: refuse. */
static enum err
check_overlap(struct options *o, const struct conf *c, struct fault *f)
{
	size_t i, hits = 0, own = 0;
	uint16_t hit = 0;

	for (i = 0; i < o->reserved_count; i++) {
		uint16_t port = o->reserved[i];

		if (!in_range(o, port))
			continue;
		hits++;
		hit = port;
		own += port == o->ftp_port || port == o->version_port ||
		       (o->http_on && port == o->http_port);
	}
	if (hits == 0)
		return OK;
	if (hits >= o->passive_count || (own > 0 && own * 100 >= o->passive_count))
		return conf_fault(c, S, "passive_first", f,
		    "the passive range %u-%u lies over service port %u; move passive_first or the "
		    "service",
		    o->passive_first, o->passive_first + o->passive_count - 1, hit);
	(void)snprintf(o->warning, sizeof(o->warning),
	    "the passive range %u-%u has %zu service port%s of ours inside (%u); %s left out",
	    o->passive_first, o->passive_first + o->passive_count - 1, hits, hits > 1 ? "s" : "",
	    hit, hits > 1 ? "they are" : "it is");
	return OK;
}

static enum err
check_passive(struct options *o, const struct conf *c, struct fault *f)
{
	size_t i;

	reserve(o, o->ftp_port);
	reserve(o, o->version_port);
	if (o->http_on)
		reserve(o, o->http_port);
	for (i = 0; i < sizeof(well_known) / sizeof(well_known[0]); i++)
		reserve(o, well_known[i]);
	if (o->passive_first == 0)
		return OK;
	if (o->passive_first < 1024)
		return conf_fault(c, S, "passive_first", f,
		    "%u is a privileged port; begin at 1024 or above", o->passive_first);
	if (o->passive_first + o->passive_count - 1 > 65535)
		return conf_fault(c, S, "passive_count", f,
		    "the range %u + %u ends past port 65535; take fewer ports or begin lower",
		    o->passive_first, o->passive_count);
	return check_overlap(o, c, f);
}

static enum err
check_address(struct options *o, const struct conf *c, struct fault *f)
{
	const char *text = o->passive_address_text;

	if (text[0] == '\0')
		return OK;
	if (addr_parse_ip(&o->passive_address, text, strlen(text)) != OK ||
	    o->passive_address.family != ADDR_V4 || addr_is_any(&o->passive_address))
		return conf_fault(c, S, "passive_address", f,
		    "'%.60s' is not an IPv4 address; write the public address of the NAT, or leave "
		    "it empty",
		    text);
	o->has_passive_address = true;
	return OK;
}

static enum err
check_list(const struct conf *c, const char *name, const char *text, struct cidr_list *out,
    struct fault *f)
{
	struct fault why = { 0 };
	enum err e = cidr_list_parse(out, text, &why);

	if (e == ERR_NOMEM)
		return fault_set(f, e, "out of memory");
	return e == OK ? OK : conf_fault(c, S, name, f, "%.160s", fault_text(&why));
}

static enum err
add_listen(struct options *o, const struct conf *c, const char *p, size_t n, struct fault *f)
{
	struct addr a;

	if (addr_parse_ip(&a, p, n) != OK)
		return conf_fault(c, S, "listen", f,
		    "'%.*s' is not an IP address; write addresses of this PC, separated by spaces",
		    n > 60 ? 60 : (int)n, p);
	if (o->listen_count == LISTEN_MAX)
		return conf_fault(c, S, "listen", f, "more than %d addresses", LISTEN_MAX);
	(void)addr_format_ip(o->listen_hosts[o->listen_count++], &a);
	return OK;
}

static enum err
check_listen(struct options *o, const struct conf *c, struct fault *f)
{
	const char *p = o->listen;
	enum err e = OK;

	while (e == OK && *p != '\0') {
		size_t n = strcspn(p, ", \t");

		if (n > 0)
			e = add_listen(o, c, p, n, f);
		p += n + (p[n] != '\0');
	}
	if (e == OK && o->listen_count == 0) {
		o->listen_default = true;
		e = add_listen(o, c, "0.0.0.0", 7, f);
		if (e == OK)
			e = add_listen(o, c, "::", 2, f);
	}
	return e;
}

static enum err
check_root(const struct options *o, const struct conf *c, struct fault *f)
{
	if (o->root[0] == '\0')
		return conf_fault(c, S, "root", f, "is empty; name the folder to serve");
	if (o->dropbox[0] != '\0' && strcmp(o->dropbox, o->root) == 0)
		return conf_fault(
		    c, S, "dropbox", f, "is the root itself; use a folder of its own");
	return OK;
}

static enum err
options_check(struct options *o, const struct conf *c, struct fault *f)
{
	enum err e = check_root(o, c, f);

	if (e == OK)
		e = check_http_port(o, c, f);
	if (e == OK)
		e = check_different(o, c, f);
	if (e == OK)
		e = check_passive(o, c, f);
	if (e == OK)
		e = check_address(o, c, f);
	if (e == OK)
		e = check_list(c, "local_networks", o->local_networks_text, &o->local_networks, f);
	if (e == OK)
		e = check_list(c, "nat_addresses", o->nat_addresses_text, &o->nat_addresses, f);
	if (e == OK)
		e = check_listen(o, c, f);
	return e;
}

enum err
options_load(struct options *o, struct conf **conf, const char *file, struct fault *f)
{
	enum err e = conf_load(conf, o, table, TABLE_SIZE, file, f);

	return e == OK ? options_check(o, *conf, f) : e;
}

/* Written as a file and read by the same door, so that every sentence and rule is the same. */
static enum err
json_to_text(const cJSON *object, struct buf *text, struct fault *f)
{
	const cJSON *item;
	enum err e = buf_puts(text, "[" S "]\n");

	cJSON_ArrayForEach(item, object)
	{
		const char *value = cJSON_IsString(item) ? item->valuestring : NULL;

		if (value == NULL || strpbrk(value, "\r\n") != NULL ||
		    strpbrk(item->string, "\r\n=:[]") != NULL)
			return fault_set(
			    f, ERR_INVAL, "option '%.60s' must be one line of text", item->string);
		if (e == OK)
			e = buf_printf(text, "%s=%s\n", item->string, value);
	}
	return e == OK ? OK : fault_set(f, e, "the options are too long");
}

enum err
options_from_json(struct options *o, struct conf **conf, const cJSON *object, struct fault *f)
{
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_CHILD_LINE);
	e = json_to_text(object, &text, f);
	if (e == OK)
		e = conf_load_text(conf, o, table, TABLE_SIZE, "options of the agent",
		    buf_text(&text), text.len, f);
	buf_free(&text);
	return e == OK ? options_check(o, *conf, f) : e;
}

void
options_free(struct options *o, struct conf *conf)
{
	cidr_list_free(&o->local_networks);
	cidr_list_free(&o->nat_addresses);
	conf_free(conf);
}

void
options_help(FILE *out)
{
	conf_print_help(out, table, TABLE_SIZE);
}
