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
enum collect_by { COLLECT_HTTPS, COLLECT_DROPBOX };
enum dropbox_relay { RELAY_CONSOLE, RELAY_UPSTREAM, RELAY_OFF };
enum clamd_method { CLAMD_FILDES, CLAMD_SCAN, CLAMD_CONTSCAN, CLAMD_MULTISCAN };
enum gate_mode { GATE_AUTO, GATE_ON, GATE_OFF };

/* Options of the update-agent role that are handed to `serve` as they were written. */
#define CONF_SERVE_LIST(X)                                                                         \
	X(listen, "addresses to serve on, empty: all")                                             \
	X(version_port, "port of version answers, default 3333")                                   \
	X(ftp_port, "port of FTP, default 2021")                                                   \
	X(http_port, "port of HTTP, usually 2221; empty or off: no HTTP")                          \
	X(passive_first, "first port of the passive range")                                        \
	X(passive_count, "how many ports the passive range has")                                   \
	X(passive_address, "public IPv4 address for peers outside local_networks")                 \
	X(local_networks, "networks that reach this PC without NAT")                               \
	X(data_peer, "who may take data connections: same, subnet or any")                         \
	X(max_sessions, "FTP sessions at a time")                                                  \
	X(max_sessions_per_address, "sessions at a time of one address")                           \
	X(nat_addresses, "addresses with many PCs behind them")                                    \
	X(max_sessions_per_nat, "the cap of sessions for nat_addresses")                           \
	X(max_waiters, "connections held on the version port")                                     \
	X(waiters_per_address, "the same of one address")                                          \
	X(waiters_per_nat, "the same for nat_addresses")                                           \
	X(idle_timeout, "an FTP session without a command ends after this time")                   \
	X(accept_timeout, "time to wait for a data connection")                                    \
	X(login_timeout, "time to log in")                                                         \
	X(line_timeout, "time for one command line")                                               \
	X(stall_timeout, "a transfer must move 16 KiB in this time")                               \
	X(outgoing_budget, "bytes a second that downloads are spread over")                        \
	X(expected_download, "bytes of one client's update until measured")                        \
	X(poll_interval, "how often the folder is looked at")                                      \
	X(drain_timeout, "time for transfers at the end")                                          \
	X(dropbox, "folder for uploads, empty: no uploads")                                        \
	X(dropbox_file_size, "largest upload")                                                     \
	X(dropbox_total, "bytes in the drop box")                                                  \
	X(dropbox_files, "files in the drop box")                                                  \
	X(dropbox_daily, "bytes that one address may upload a day")                                \
	X(dropbox_daily_files, "files that one address may upload a day")                          \
	X(dropbox_floor, "no upload when the disk has less free")

struct agent_conf {
	char *state, *run, *libexec, *listen, *event_socket, *event_listen, *log, *host, *addresses;
	uint16_t task_port, event_port;
	bool require_confinement;
	char *console_proxy, *source_address;
	uint32_t collect_by;	/* enum collect_by */
	uint32_t dropbox_relay; /* enum dropbox_relay */
	uint32_t engine;	/* enum engine_type */
	uint32_t clamd_scan;	/* enum clamd_method */
	char *clamd_socket, *clamscan, *clamd_conf, *clamd_restart, *canaries, *clean_samples;
	char *command_reload, *command_test, *command_scan;
	uint32_t gate; /* enum gate_mode */
	uint64_t engine_deadline, engine_memory;
	uint64_t quota_detection, quota_task, quota_telemetry;
	char *detection_uids, *target;
	uint32_t listed_rate, unlisted_rate, unlisted_share;
	bool event_any_address;
	uint64_t update_interval, update_jitter, update_retry;
	char *feeds, *roots, *proxy;
	uint64_t disk_floor;
	bool role_enabled;
	uint32_t role_mode; /* enum role_mode */
	char *role_root, *role_upstream;
	uint64_t tamper_interval;
	char *tamper_hosts, *tamper_units, *tamper_unit_folders;
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
