/* options.h - the [update-agent] section: one table for the file, the agent's config message,
 * --help and the man page. */
#ifndef ATALAIA_UA_OPTIONS_H
#define ATALAIA_UA_OPTIONS_H

#include "base/conf.h"
#include "net/addr.h"

#include <cjson/cJSON.h>

enum data_peer { DATA_PEER_SAME, DATA_PEER_SUBNET, DATA_PEER_ANY };

#define RESERVED_MAX 16
#define LISTEN_MAX 8

struct options {
	/* as written */
	char *root, *listen, *http_port_text, *passive_address_text, *local_networks_text;
	char *nat_addresses_text, *dropbox, *log;
	uint16_t ftp_port, version_port, passive_first;
	uint32_t passive_count, data_peer;
	uint32_t max_sessions, max_sessions_per_address, max_sessions_per_nat;
	uint32_t max_waiters, waiters_per_address, waiters_per_nat;
	uint64_t idle_timeout, accept_timeout, login_timeout, line_timeout, stall_timeout;
	uint64_t poll_interval, drain_timeout;
	uint64_t outgoing_budget, expected_download;
	uint64_t dropbox_file_size, dropbox_total, dropbox_daily, dropbox_floor;
	uint32_t dropbox_files, dropbox_daily_files;
	bool require_confinement;

	/* what options_check made of it */
	bool http_on, has_passive_address;
	uint16_t http_port;
	struct addr passive_address;
	struct cidr_list local_networks, nat_addresses;
	char listen_hosts[LISTEN_MAX][ADDR_TEXT];
	size_t listen_count;
	bool listen_default;		 /* nobody named addresses: IPv6 may be absent */
	uint16_t reserved[RESERVED_MAX]; /* ports of ours that a passive listener never takes */
	size_t reserved_count;
	char warning[256]; /* "" or one sentence for the log */
};

/* Reads and checks FILE. ERR_INVAL with the sentence. Free with options_free, also after an error.
 */
MUST_CHECK enum err options_load(
    struct options *o, struct conf **conf, const char *file, struct fault *f);
/* The same from the agent's message: {"root": "...", ...}, strings as in the file. */
MUST_CHECK enum err options_from_json(
    struct options *o, struct conf **conf, const cJSON *object, struct fault *f);
void options_free(struct options *o, struct conf *conf);
void options_help(FILE *out);

#endif
