/* identity.h - who this PC is: identity/{key,cert,ca}.pem, identity.json and enrolment.json.
 * Reading and writing block: before the loop runs, or in a worker. A loaded identity is not
 * changed but for its group; renewal loads a new one. */
#ifndef ATALAIA_AGENT_IDENTITY_H
#define ATALAIA_AGENT_IDENTITY_H

#include "base/err.h"
#include "base/fault.h"
#include "net/httpc.h"
#include "net/pki.h"
#include "proto/authority.h"
#include "sources.h"

#include <stdint.h>

#define LIMIT_FEEDS 16

#define IDENTITY_GROUP 65

struct identity;

/* ERR_NOTFOUND: not enrolled. Anything else says which file is wrong and the remedy. */
MUST_CHECK enum err identity_load(struct identity **out, const char *state, struct fault *f);
void identity_free(struct identity *id); /* NULL is fine; the key is wiped */

const char *identity_agent(const struct identity *id);
const char *identity_org(const struct identity *id);
const char *identity_group(const struct identity *id);
/* A task moved this PC: the file goes before what the enrolment said. Blocking. */
MUST_CHECK enum err identity_group_write(const char *state, const char *group, struct fault *f);
void identity_set_group(struct identity *id, const char *group);
const char *identity_console_host(const struct identity *id);
const char *identity_console_name(const struct identity *id);
uint16_t identity_console_port(const struct identity *id);
int64_t identity_enrolled(const struct identity *id); /* wall ms */
const struct pki_identity *identity_cert(const struct identity *id);
const char *identity_cert_pem(const struct identity *id);
const char *identity_ca_pem(const struct identity *id);
const char *identity_key_pem(const struct identity *id);
size_t identity_feeds(const struct identity *id, const char *out[LIMIT_FEEDS]);
size_t identity_sources(const struct identity *id, struct source *out, size_t max);

/* The trust for connections with the console: CAs, and revocations when au is not NULL. Serials are
 * borrowed from au: rebuild when it changes. Free with identity_trust_free. */
struct identity_trust {
	struct pki_trust trust;
	const char **serials;
};
MUST_CHECK enum err identity_trust_make(
    struct identity_trust *out, const struct identity *id, const struct authority *au);
void identity_trust_free(struct identity_trust *t);
MUST_CHECK enum err identity_httpc_tls(
    struct httpc_tls *out, const struct identity *id, const struct identity_trust *t);

/* Path of a file in <state>/identity. */
MUST_CHECK enum err identity_path(char *dst, size_t size, const char *state, const char *name);

#endif
