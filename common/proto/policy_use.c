#include "proto/policy_check.h"

#include <string.h>

/* Minutes from `minute` until the window [from, to) opens; 0 when it is open. */
static unsigned
window_wait(unsigned from, unsigned to, unsigned minute)
{
	bool open;

	if (from == to)
		return 0; /* all day */
	open = from < to ? minute >= from && minute < to : minute >= from || minute < to;
	return open ? 0 : (from + 1440 - minute) % 1440;
}

unsigned
policy_window_wait(const cJSON *windows, unsigned minute)
{
	const cJSON *w;
	unsigned best = 1440, from, to;

	if (windows == NULL || cJSON_GetArraySize(windows) == 0)
		return 0;
	cJSON_ArrayForEach(w, windows)
	{
		unsigned wait;

		if (!cJSON_IsString(w) || policy_window_parse(w->valuestring, &from, &to) != OK)
			continue;
		wait = window_wait(from, to, minute % 1440);
		if (wait < best)
			best = wait;
	}
	return best == 1440 ? 0 : best;
}

bool
policy_window_open(const cJSON *windows, unsigned minute)
{
	return policy_window_wait(windows, minute) == 0;
}

/* 2: a subnet holds the address; 1: the mirror has no subnets, it serves everybody; 0: not for us.
 */
static int
serves(const cJSON *item, const char *address)
{
	const cJSON *subnets = json_get(item, "subnets"), *s;
	bool in;

	if (subnets == NULL || cJSON_GetArraySize(subnets) == 0)
		return 1;
	cJSON_ArrayForEach(s, subnets)
	{
		if (policy_subnet_holds(s->valuestring, address, &in) == OK && in)
			return 2;
	}
	return 0;
}

static uint16_t
port_of(const cJSON *item, const char *name, uint16_t dflt)
{
	uint64_t port;

	if (json_opt_u64(item, name, 65535, dflt, &port, NULL) != OK)
		return 0;
	return (uint16_t)port;
}

/* The ports of the firewall guide stand where the policy names none; HTTP is off on branch PCs. */
static void
source_fill(struct policy_source *out, const cJSON *item)
{
	if (json_get_string(item, "name", &out->name, NULL) != OK)
		out->name = "";
	if (json_get_string(item, "host", &out->host, NULL) != OK)
		out->host = "";
	out->ftp = port_of(item, "ftp", 2021);
	out->http = port_of(item, "http", 0);
	out->version = port_of(item, "version", 3333);
}

size_t
policy_sources(const struct policy *p, const char *address, struct policy_source *out, size_t max)
{
	const cJSON *list = policy_value(p, "sources.update_agents"), *item;
	size_t n = 0;

	if (address == NULL)
		return 0;
	for (int rank = 2; rank >= 1; rank--)
		cJSON_ArrayForEach(item, list)
		{
			if (n < max && serves(item, address) == rank)
				source_fill(&out[n++], item);
		}
	return n;
}
