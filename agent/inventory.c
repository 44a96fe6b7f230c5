/* inventory.c - see inventory.h. */
#include "inventory.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "engine.h"
#include "identity.h"
#include "net/pki.h"
#include "os/file.h"
#include "os/machine.h"
#include "role.h"
#include "update.h"

#include <stdio.h>
#include <string.h>

void
inventory_machine(char out[65])
{
	static const char label[] = "atalaia machine 1";
	uint8_t sum[PKI_SHA256];
	char id[64];

	out[0] = '\0';
	if (machine_id(id, sizeof id) != OK)
		return;
	pki_hmac_sha256(sum, id, strlen(id), label, sizeof label - 1);
	text_hex(out, sum, sizeof sum);
}

static enum err
add_sets(struct agent *a, cJSON *o)
{
	struct update_view v;
	cJSON *list;
	enum err e = json_add_array(o, "sets", &list);

	for (size_t i = 0; e == OK && updates_view(a->updates, i, &v); i++) {
		cJSON *s = cJSON_CreateObject();

		e = s == NULL ? ERR_NOMEM : json_add_string(s, "feed", v.feed);
		if (e == OK)
			e = json_add_u64(s, "version", v.facts->version);
		if (e == OK)
			e = json_add_string(s, "sha256", v.facts->sha256);
		if (e == OK)
			e = json_append(list, s);
		else
			cJSON_Delete(s);
	}
	return e;
}

cJSON *
inventory_facts(struct agent *a)
{
	cJSON *o = cJSON_CreateObject(), *engine;
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "version", ATALAIA_VERSION);

	if (e == OK && a->identity != NULL)
		e = json_add_string(o, "id", identity_agent(a->identity));
	if (e == OK && a->identity != NULL)
		e = json_add_string(o, "org", identity_org(a->identity));
	if (e == OK && a->identity != NULL)
		e = json_add_string(o, "group", identity_group(a->identity));
	if (e == OK)
		e = json_add_bool(o, "update_agent_role", role_on(a->role));
	if (e == OK)
		e = add_sets(a, o);
	if (e == OK && a->engine != NULL && (engine = engine_status(a->engine)) != NULL)
		(void)cJSON_AddItemToObject(o, "engine", engine);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static enum err
add_os(cJSON *doc)
{
	char name[256];
	uv_utsname_t u;
	cJSON *o;
	enum err e = json_add_object(doc, "os", &o);

	machine_os_name(name, sizeof name);
	if (e == OK)
		e = json_add_string(o, "name", name);
	if (e != OK || uv_os_uname(&u) != 0)
		return e;
	e = json_add_string(o, "kernel", u.sysname);
	if (e == OK)
		e = json_add_string(o, "release", u.release);
	return e == OK ? json_add_string(o, "machine", u.machine) : e;
}

static enum err
add_hardware(cJSON *doc)
{
	char model[300];
	uv_cpu_info_t *cpus = NULL;
	int n = 0;
	cJSON *o;
	enum err e = json_add_object(doc, "hardware", &o);

	machine_model(model, sizeof model);
	if (e == OK)
		e = json_add_string(o, "model", model);
	if (e == OK)
		e = json_add_u64(o, "memory", uv_get_total_memory());
	if (e == OK)
		e = json_add_u64(o, "memory_available", machine_memory_available());
	if (e == OK && uv_cpu_info(&cpus, &n) == 0) {
		e = json_add_u64(o, "processors", (uint64_t)n);
		if (e == OK && n > 0)
			e = json_add_string(o, "processor", cpus[0].model);
		uv_free_cpu_info(cpus, n);
	}
	return e;
}

static enum err
add_addresses(cJSON *doc)
{
	uv_interface_address_t *list;
	cJSON *array;
	enum err e = json_add_array(doc, "addresses", &array);
	int n;

	if (e != OK || uv_interface_addresses(&list, &n) != 0)
		return e;
	for (int i = 0; e == OK && i < n; i++) {
		char ip[64] = "", mac[20];
		const unsigned char *p = (const unsigned char *)list[i].phys_addr;
		cJSON *o = cJSON_CreateObject();

		if (list[i].address.address4.sin_family == AF_INET)
			(void)uv_ip4_name(&list[i].address.address4, ip, sizeof ip);
		else
			(void)uv_ip6_name(&list[i].address.address6, ip, sizeof ip);
		(void)snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2],
		    p[3], p[4], p[5]);
		e = o == NULL ? ERR_NOMEM : json_add_string(o, "interface", list[i].name);
		if (e == OK)
			e = json_add_string(o, "address", ip);
		if (e == OK && !list[i].is_internal)
			e = json_add_string(o, "mac", mac);
		if (e == OK)
			e = json_append(array, o);
		else
			cJSON_Delete(o);
	}
	uv_free_interface_addresses(list, n);
	return e;
}

static enum err
add_disks(cJSON *doc, const char *state)
{
	const char *const paths[] = { "/", state };
	cJSON *array;
	enum err e = json_add_array(doc, "disks", &array);

	for (size_t i = 0; e == OK && i < 2; i++) {
		uint64_t room, total;
		cJSON *o;

		if (file_disk(paths[i], &room, &total, NULL) != OK)
			continue;
		o = cJSON_CreateObject();
		e = o == NULL ? ERR_NOMEM : json_add_string(o, "path", paths[i]);
		if (e == OK)
			e = json_add_u64(o, "total", total);
		if (e == OK)
			e = json_add_u64(o, "free", room);
		if (e == OK)
			e = json_append(array, o);
		else
			cJSON_Delete(o);
	}
	return e;
}

enum err
inventory_read(cJSON **out, cJSON *facts, const char *state)
{
	cJSON *doc = cJSON_CreateObject();
	char host[256] = "", now[CLOCK_TEXT], machine[65];
	size_t n = sizeof host;
	enum err e = doc == NULL ? ERR_NOMEM : OK;

	clock_format(now, clock_wall_ms());
	inventory_machine(machine);
	(void)uv_os_gethostname(host, &n);
	if (e == OK)
		e = json_add_string(doc, "kind", "atalaia-system");
	if (e == OK)
		e = json_add_string(doc, "time", now);
	if (e == OK)
		e = json_add_string(doc, "host", host);
	if (e == OK)
		e = json_add_string(doc, "machine", machine);
	if (e == OK)
		e = add_os(doc);
	if (e == OK)
		e = add_hardware(doc);
	if (e == OK)
		e = add_addresses(doc);
	if (e == OK)
		e = add_disks(doc, state);
	if (e == OK)
		e = json_add_u64(doc, "packages", machine_packages());
	if (e == OK && facts != NULL && cJSON_AddItemToObject(doc, "agent", facts))
		facts = NULL;
	cJSON_Delete(facts);
	if (e != OK) {
		cJSON_Delete(doc);
		return e;
	}
	*out = doc;
	return OK;
}
