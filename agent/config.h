/* config.h - agent.conf as a struct. One table of options makes the parser, the help and the man
 * page. Strings belong to the struct and are freed by agent_conf_free. */
#ifndef ATALAIA_AGENT_CONFIG_H
#define ATALAIA_AGENT_CONFIG_H

#include "base/conf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum engine_type { ENGINE_NONE, ENGINE_CLAMD, ENGINE_COMMAND };
enum gate_mode { GATE_AUTO, GATE_ON, GATE_OFF };

/* Options of the update-agent role that are handed to `serve` as they were written. */
#define CONF_SERVE_LIST(X)                                                                         \
	X(listen, "addresses to serve on, default all")                                            \
	X(ftp_port, "port of FTP control connections, default 2021")                               \
	X(version_port, "port of version answers, default 3333")                                   \
	X(http_port, "port of HTTP file service, 0 or empty for the program's default")            \
	X(passive_first, "first port of the passive range")                                        \
	X(passive_count, "number of ports in the passive range")                                   \
	X(passive_address, "public address behind NAT, told to peers outside local_networks")      \
	X(local_networks, "networks that are told the real address")                               \
	X(data_peer, "who may open data connections: same, subnet or any")                         \
	X(nat_addresses, "addresses that stand for many clients")                                  \
	X(dropbox, "yes to take system information and mwav.log by FTP upload")                    \
	X(max_sessions, "FTP sessions in total")                                                   \
	X(max_sessions_per_address, "FTP sessions from one address")                               \
	X(idle_timeout, "seconds before an idle FTP session ends")                                 \
	X(accept_timeout, "seconds to wait for a data connection")                                 \
	X(out_budget, "outgoing bytes per second that Retry-After spreads downloads over")         \
	X(max_waiters_per_address, "long-polls held for one address")

struct agent_conf {
	char *state, *run, *libexec, *listen, *event_socket, *log, *host, *addresses;
	uint16_t task_port, event_port;
	bool require_confinement;
	char *console_proxy;
	uint32_t engine; /* enum engine_type */
	char *clamd_socket, *clamscan, *canaries, *clean_samples;
	char *command_reload, *command_test, *command_scan;
	uint32_t gate; /* enum gate_mode */
	uint64_t engine_deadline;
	uint64_t quota_detection, quota_task, quota_telemetry;
	char *detection_uids, *target;
	bool event_any_address;
	uint64_t update_interval, update_jitter, update_retry;
	char *feeds, *roots, *proxy;
	uint64_t disk_floor;
	bool role_enabled;
	uint32_t role_mode; /* enum role_mode */
	char *role_root;
#define X(name, help) char *serve_##name;
	CONF_SERVE_LIST(X)
#undef X
	struct conf *origins;
	char *file;
};

enum role_mode { ROLE_MIRROR, ROLE_ORIGIN };

extern const struct conf_option agent_options[];
extern const size_t agent_option_count;

/* file may be NULL: defaults only. ERR_INVAL with a sentence for the operator. */
MUST_CHECK enum err agent_conf_load(struct agent_conf *c, const char *file, struct fault *f);
void agent_conf_free(struct agent_conf *c);

#endif
