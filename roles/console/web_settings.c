/* web_settings.c - GET /settings: what this installation is. */
#include "base/text.h"
#include "store.h"
#include "web_routes.h"

#include <string.h>

static enum err
add_options(cJSON *o)
{
	cJSON *list, *item;
	enum err e = json_add_array(o, "options", &list);

	for (size_t i = 0; e == OK && i < options_count; i++) {
		item = cJSON_CreateObject();
		e = item == NULL ? ERR_NOMEM : json_add_string(item, "name", options_table[i].name);
		if (e == OK && options_table[i].dflt != NULL)
			e = json_add_string(item, "default", options_table[i].dflt);
		if (e == OK)
			e = json_add_string(item, "help", options_table[i].help);
		if (e == OK)
			e = json_append(list, item);
		else
			cJSON_Delete(item);
	}
	return e;
}

static enum err
add_certificate(cJSON *o, const struct web *w)
{
	cJSON *c;
	enum err e = json_add_object(o, "certificate", &c);

	if (e == OK)
		e = json_add_string(c, "sha256", w->fingerprint);
	if (e == OK)
		e = json_add_bool(c, "own", w->own);
	return e;
}

/* On the database queue, whose jobs are the readers of the identity. */
static enum err
work_settings(struct call *call, struct db *db)
{
	const struct console *c = call->c;
	char hex[65];
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "org", c->o->org);

	(void)db;
	text_hex(hex, c->id.ca_spki, sizeof(c->id.ca_spki));
	if (e == OK)
		e = json_add_string(o, "console", c->o->name);
	if (e == OK)
		e = json_add_string(o, "version", ATALAIA_VERSION);
	if (e == OK)
		e = json_add_string(o, "host", c->o->host);
	if (e == OK)
		e = json_add_string(o, "ca_sha256", hex);
	if (e == OK)
		e = add_certificate(o, c->web);
	if (e == OK)
		e = add_options(o);
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

void
web_settings(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_settings, NULL);
}
