/* web_promote.c - POST /cascade/check: would these settings make a good update agent on that PC?
 * The rules of the role itself (roles/update-agent/options.c) that people break most, told before a
 * task is sent; the role judges again. */
#include "base/text.h"
#include "finding.h"
#include "net/addr.h"
#include "store.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SERVICES 8

/* Ports that something of ours listens on, there or on the server, as they really are. */
struct services {
	uint32_t port[SERVICES];
	size_t n;
};

/* False: the setting is there and no number. */
static bool
number(const cJSON *settings, const char *name, uint32_t max, uint32_t dflt, uint32_t *out)
{
	const cJSON *item = json_get(settings, name);

	*out = dflt;
	if (item == NULL || (cJSON_IsString(item) && item->valuestring[0] == '\0'))
		return true;
	return cJSON_IsString(item) &&
	       text_u32(item->valuestring, strlen(item->valuestring), max, out) == OK;
}

static enum err
check_ports(struct findings *x, const cJSON *settings, struct services *s)
{
	static const struct finding wrong = { "ports", "no-port", false,
		"{option} is no port number up to 65535",
		"correct it, or leave it empty for the default" };
	static const struct finding low = { "ports", "privileged-port", false,
		"{option}: ports below 1024 need a privilege that the role does not have",
		"take the usual ones: 2021, 3333, 2221" };
	static const struct finding twice = { "ports", "port-taken", false,
		"{option}: something of ours has port {port} already",
		"take the usual ones: 2021, 3333, 2221" };
	static const struct finding fine = { "ports", "ports-fine", true,
		"the ports of the services are fine", NULL };
	static const char *const names[] = { "ftp_port", "version_port", "http_port" };
	static const uint32_t dflts[] = { 2021, 3333, 0 };
	char text[16];

	for (size_t i = 0; i < 3; i++) {
		uint32_t port;

		if (!number(settings, names[i], 65535, dflts[i], &port))
			return finding_add(x, &wrong, FINDING_VALUES({ "option", names[i] }));
		if (port != 0 && port < 1024)
			return finding_add(x, &low, FINDING_VALUES({ "option", names[i] }));
		(void)snprintf(text, sizeof(text), "%" PRIu32, port);
		for (size_t k = 0; k < s->n; k++)
			if (port != 0 && port == s->port[k])
				return finding_add(x, &twice,
				    FINDING_VALUES({ "option", names[i] }, { "port", text }));
		if (port != 0)
			s->port[s->n++] = port;
	}
	return finding_add(x, &fine, NULL);
}

/* The role never uses a port of its range that a service holds; clients behind a firewall that
 * opens the whole range reach the service, though, and of a range that is all services nothing
 * is left. */
static enum err
check_range(struct findings *x, const cJSON *settings, const struct services *s)
{
	static const struct finding wrong = { "passive_range", "no-range", false,
		"the passive range is no pair of numbers",
		"give the first port and how many there are" };
	static const struct finding any = { "passive_range", "any-free-port", true,
		"any free port of the system: open them all", NULL };
	static const struct finding outside = { "passive_range", "range-outside", false,
		"the passive range leaves 1024 to 65535",
		"move passive_first or make passive_count smaller" };
	static const struct finding over = { "passive_range", "range-over-service", false,
		"ports {first} to {last} have service ports inside: {ports}",
		"move passive_first: 3400 with 600 ports lies over none of the usual ones" };
	static const struct finding fine = { "passive_range", "range-fine", true,
		"ports {first} to {last}", NULL };
	char from[16], to[16], inside[SERVICES * 7] = "";
	uint32_t first, count;
	size_t used = 0;

	if (!number(settings, "passive_first", 65535, 3400, &first) ||
	    !number(settings, "passive_count", 64512, 600, &count) || count == 0)
		return finding_add(x, &wrong, NULL);
	if (first == 0)
		return finding_add(x, &any, NULL);
	if (first < 1024 || first + count - 1 > 65535)
		return finding_add(x, &outside, NULL);
	for (size_t i = 0; i < s->n; i++)
		if (s->port[i] >= first && s->port[i] < first + count)
			used += (size_t)snprintf(inside + used, sizeof(inside) - used, "%s%" PRIu32,
			    used > 0 ? " " : "", s->port[i]);
	(void)snprintf(from, sizeof(from), "%" PRIu32, first);
	(void)snprintf(to, sizeof(to), "%" PRIu32, first + count - 1);
	return finding_add(x, used > 0 ? &over : &fine,
	    FINDING_VALUES({ "first", from }, { "last", to }, { "ports", inside }));
}

static enum err
check_address(struct findings *x, const cJSON *settings)
{
	static const struct finding none = { "passive_address", "no-nat", true,
		"no NAT: clients reach its own address", NULL };
	static const struct finding wrong = { "passive_address", "no-address", false,
		"it is no IPv4 address", "give the public IPv4 address as four numbers" };
	static const struct finding told = { "passive_address", "address-told", true,
		"peers outside local_networks are told {address}: forward the passive range to it",
		NULL };
	const cJSON *item = json_get(settings, "passive_address");
	struct addr a;

	if (item == NULL || (cJSON_IsString(item) && item->valuestring[0] == '\0'))
		return finding_add(x, &none, NULL);
	if (!cJSON_IsString(item) ||
	    addr_parse_ip(&a, item->valuestring, strlen(item->valuestring)) != OK ||
	    strchr(item->valuestring, ':') != NULL)
		return finding_add(x, &wrong, NULL);
	return finding_add(x, &told, FINDING_VALUES({ "address", item->valuestring }));
}

/* What the PC listens on as an agent: its task port as it reported it, 2227 for its own programs;
 * and the console's ports when it is the server itself. */
static enum err
services_of(struct services *s, struct call *call, struct db *db, const cJSON *body)
{
	const struct console *c = call->c;
	struct agent_row a;
	const char *id;
	enum err e;

	s->port[s->n++] = 2227;
	if (json_get_string(body, "agent", &id, NULL) != OK || id[0] == '\0') {
		s->port[s->n++] = 2222;
		return OK;
	}
	e = store_agent_get(db, id, &a);
	if (e == ERR_NOTFOUND || (e == OK && !who_may_group(&call->who, a.group)))
		return call_refuse(call, 404, "not-found", "there is no such computer");
	if (e != OK)
		return e;
	s->port[s->n++] = a.task_port != 0 ? a.task_port : 2222;
	if (strcmp(a.address, c->o->host) != 0 && strcmp(a.host, c->o->host) != 0)
		return OK;
	s->port[s->n++] = c->agent_port;
	s->port[s->n++] = c->admin_port;
	if (c->web != NULL)
		s->port[s->n++] = c->web->port;
	return OK;
}

static enum err
work_check(struct call *call, struct db *db)
{
	struct services services = { .n = 0 };
	struct findings x = { &call->out, false };
	struct fault f = { 0 };
	const cJSON *settings;
	cJSON *body;
	enum err e = web_body(call, &body);

	if (e != OK)
		return web_settle(call, e, &f);
	e = services_of(&services, call, db, body);
	if (e != OK || call->code != NULL) {
		cJSON_Delete(body);
		return e;
	}
	settings = json_get(body, "settings");
	e = buf_puts(&call->out, "{\"findings\":[");
	if (e == OK)
		e = check_ports(&x, settings, &services);
	if (e == OK)
		e = check_range(&x, settings, &services);
	if (e == OK)
		e = check_address(&x, settings);
	cJSON_Delete(body);
	return e == OK ? buf_puts(&call->out, "]}") : e;
}

void
web_cascade_check(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	call->trailed = true; /* it only looks */
	call_start(call, work_check, NULL);
}
