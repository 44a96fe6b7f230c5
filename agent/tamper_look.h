/* tamper_look.h - one look at this PC: configuration, units, hosts file, and where the names of our
 * servers lead. Blocking, and as slow as the resolver: worker thread. The plan is made in the loop
 * beforehand and belongs to the look while it runs. */
#ifndef ATALAIA_AGENT_TAMPER_LOOK_H
#define ATALAIA_AGENT_TAMPER_LOOK_H

#include "net/addr.h"
#include "tamper_facts.h"

#include <stdatomic.h>

#define TAMPER_NAMES 32	   /* servers that are watched */
#define TAMPER_ADDRESSES 4 /* that policy gives for one of them */

struct tamper_name {
	char host[ADDR_HOST];
	char address[TAMPER_ADDRESSES][ADDR_TEXT]; /* from signed policy */
	size_t n_addresses;
	bool own; /* a name of this PC: that it leads here is as it should be */
	/* filled by the look: the address to use instead of the name, "" = the name is fine */
	char detour[ADDR_TEXT];
};

struct tamper_plan {
	const char *config, *roots;	  /* agent.conf (NULL: none), folder of root files */
	const char *hosts;		  /* the hosts file */
	const char *units, *unit_folders; /* lists, separated by commas or blanks */
	struct tamper_name name[TAMPER_NAMES];
	size_t n_names;
	atomic_bool stop; /* between two names */
};

/* OK also when something could not be read: that is a fact as well. ERR_CANCELED: stopped.
 * ERR_NOMEM. */
MUST_CHECK enum err tamper_look(struct tamper_plan *p, struct tamper_facts *out);

/* The address that the update path takes for this name, "" = the name itself. listed: addresses
 * that the hosts file gives, found: what the name resolves to. Pure. */
struct tamper_addresses {
	char text[8][ADDR_TEXT];
	size_t n;
};
const char *tamper_detour(const struct tamper_name *name, const struct tamper_addresses *listed,
    const struct tamper_addresses *found);

#endif
