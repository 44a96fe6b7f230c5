/* web_promote.c - POST /cascade/check: would these settings make a good update agent? The rules of
 * the role itself (roles/update-agent/options.c) that people break most, told before a task is
 * sent; the role judges again. */
#include "base/text.h"
#include "net/addr.h"
#include "web_routes.h"

#include <stdio.h>
#include <string.h>

static const uint16_t well_known[] = { 2021, 2221, 2222, 2225, 2226, 2227, 3333, 10443 };

static enum err
say(cJSON *list, const char *name, bool good, const char *text, const char *remedy)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "name", name);

	if (e == OK)
		e = json_add_bool(o, "good", good);
	if (e == OK)
		e = json_add_string(o, "text", text);
	if (e == OK)
		e = json_add_string(o, "remedy", good ? "" : remedy);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

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
check_range(const cJSON *settings, cJSON *list)
{
	uint32_t first, count, hits = 0, hit = 0;
	char text[160];

	if (!number(settings, "passive_first", 65535, 3400, &first) ||
	    !number(settings, "passive_count", 64512, 600, &count) || count == 0)
		return say(list, "passive_range", false, "the passive range is no pair of numbers",
		    "give the first port and how many there are");
	if (first == 0)
		return say(
		    list, "passive_range", true, "any free port of the system: open them all", "");
	if (first < 1024 || first + count - 1 > 65535)
		return say(list, "passive_range", false, "the passive range leaves 1024 to 65535",
		    "move passive_first or make passive_count smaller");
	for (size_t i = 0; i < sizeof(well_known) / sizeof(well_known[0]); i++)
		if (well_known[i] >= first && well_known[i] < first + count) {
			hits++;
			hit = well_known[i];
		}
	(void)snprintf(text, sizeof(text), "ports %u to %u%s", first, first + count - 1,
	    hits > 0 ? ": a service port lies inside" : "");
	if (hits > 0 && (hit == 2021 || hit == 3333 || hit == 2221 || hits >= count))
		return say(list, "passive_range", hits * 100 < count, text,
		    "move passive_first: 3400 with 600 ports lies over none");
	return say(list, "passive_range", true, text, "");
}

static enum err
check_address(const cJSON *settings, cJSON *list)
{
	const cJSON *item = json_get(settings, "passive_address");
	struct addr a;

	if (item == NULL || (cJSON_IsString(item) && item->valuestring[0] == '\0'))
		return say(
		    list, "passive_address", true, "no NAT: clients reach its own address", "");
	if (!cJSON_IsString(item) ||
	    addr_parse_ip(&a, item->valuestring, strlen(item->valuestring)) != OK ||
	    strchr(item->valuestring, ':') != NULL)
		return say(list, "passive_address", false, "it is no IPv4 address",
		    "give the public IPv4 address as four numbers");
	return say(list, "passive_address", true,
	    "peers outside local_networks are told this address: forward the passive range to it",
	    "");
}

static enum err
check_ports(const cJSON *settings, cJSON *list)
{
	static const char *const names[] = { "ftp_port", "version_port", "http_port" };
	static const uint32_t dflts[] = { 2021, 3333, 0 };
	uint32_t ports[3];

	for (size_t i = 0; i < 3; i++) {
		if (!number(settings, names[i], 65535, dflts[i], &ports[i]))
			return say(list, "ports", false, "a port is no number up to 65535",
			    "correct it, or leave it empty for the default");
		if (ports[i] != 0 && ports[i] < 1024)
			return say(list, "ports", false,
			    "ports below 1024 need a privilege that the role "
			    "does not have",
			    "take the usual ones: 2021, 3333, 2221");
		for (size_t k = 0; k < i; k++)
			if (ports[i] != 0 && ports[i] == ports[k])
				return say(list, "ports", false, "two services have the same port",
				    "take the usual ones: 2021, 3333, 2221");
	}
	return say(list, "ports", true, "the ports of the services are fine", "");
}

static enum err
work_check(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	cJSON *body, *o, *list;
	const cJSON *settings;
	enum err e = web_body(call, &body);

	(void)db;
	if (e != OK)
		return web_settle(call, e, &f);
	settings = json_get(body, "settings");
	o = cJSON_CreateObject();
	e = o == NULL ? ERR_NOMEM : json_add_array(o, "findings", &list);
	if (e == OK)
		e = check_ports(settings, list);
	if (e == OK)
		e = check_range(settings, list);
	if (e == OK)
		e = check_address(settings, list);
	cJSON_Delete(body);
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
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
