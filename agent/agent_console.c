/* agent_console.c - how connections with the console are made: with which identity and trust, and
 * from which address. */
#include "agent.h"
#include "base/log.h"
#include "identity.h"
#include "net/addr.h"
#include "net/httpc.h"
#include "policies.h"
#include "task_server.h"

#include <string.h>

/* The console pushes tasks to the address that it sees: where we listen on one address only, our
 * connections come from it. */
static const char *
source_address(const struct agent_conf *c)
{
	struct addr a;

	if (c->source_address[0] != '\0')
		return c->source_address;
	if (addr_parse_ip(&a, c->listen, strlen(c->listen)) != OK || addr_is_any(&a))
		return "";
	return c->listen;
}

enum err
agent_set_console_tls(struct agent *a, struct fault *f)
{
	struct identity_trust trust;
	struct httpc_tls tls;
	enum err e = identity_trust_make(&trust, a->identity, policies_authority(a->policies));

	if (e == OK)
		e = identity_httpc_tls(&tls, a->identity, &trust);
	if (e == OK && a->console == NULL) {
		e = httpc_new(&a->console, &a->loop, &tls, f);
		if (e == OK)
			e = httpc_set_source(a->console, source_address(a->conf));
	} else if (e == OK) {
		e = httpc_set_tls(a->console, &tls, f);
	}
	identity_trust_free(&trust);
	return e;
}

void
agent_take_identity(struct agent *a, struct identity *fresh)
{
	struct identity *old = a->identity;
	struct fault f = { 0 };

	a->identity = fresh;
	if (agent_set_console_tls(a, &f) != OK)
		log_error("identity.console", "why=%s", log_q(fault_text(&f)));
	if (a->task_server != NULL)
		task_server_renew(a->task_server);
	identity_free(old);
}
