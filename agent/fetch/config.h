/* config.h - the agent's `config` message, checked and owned. Pure: message in, struct out. */
#ifndef ATALAIA_FETCH_CONFIG_H
#define ATALAIA_FETCH_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_FILE_URL "file://" /* of a source that is a folder on this PC: a bundle, unpacked */

enum fetch_mode { FETCH_SET, FETCH_MIRROR, FETCH_SEND };
enum fetch_delta { DELTA_PREFER, DELTA_REQUIRE, DELTA_OFF };

/* One place that may have the feed. `url` ends at <root>/<feed>, without a slash behind. Forms of
 * one source (its FTP and its HTTP) have the same name and follow each other. */
struct fetch_source {
	char *name, *url;
};

struct fetch_config {
	enum fetch_mode mode;
	char *feed;
	char *state;	   /* set: the feed's folder; mirror: NULL */
	char *root;	   /* mirror: the served root; set: NULL */
	char *work;	   /* folder for partial files and objects; set: <state>/work */
	char *file, *name; /* send: what goes into a drop box, and what it is called there */
	char *root_json;   /* trusted first root; NULL when the state has one for sure */
	char *bundle; /* mirror: a file of common/update/bundle.h instead of sources, or NULL */
	struct fetch_source *sources;
	size_t source_count;
	struct buf timestamp; /* bytes got from 3333; len 0: none */
	enum fetch_delta delta;
	uint64_t rate_limit; /* bytes/s, 0 = none */
	uint64_t current;    /* version of the active set, 0 = none */
	char **reject;	     /* SHA-256 (hexadecimal) of sets that must not come back */
	size_t reject_count;
	uint32_t keep;	     /* sets kept, at least 2; or versions kept by a mirror, at least 3 */
	uint64_t grace_s;    /* mirror: least age of what retention removes */
	uint64_t disk_floor; /* bytes that stay free */
	char *proxy;	     /* NULL: none, and the environment is not asked */
	uint64_t stall_ms;   /* a transfer slower than LIMIT_FETCH_SLOW for so long is ended */
	bool require_confinement;
	bool inspect; /* read all that is held now, not only once a day */
};

/* ERR_INVAL or ERR_PARSE with a sentence that names the member. Unknown members are refused. */
MUST_CHECK enum err fetch_config_read(
    struct fetch_config **out, const cJSON *message, struct fault *f);
void fetch_config_free(struct fetch_config *c); /* NULL is fine */
/* Was this set (SHA-256 in hexadecimal) refused before? */
bool fetch_config_rejects(const struct fetch_config *c, const char *sha256);

#endif
