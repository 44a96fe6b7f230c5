/* config.c - the table of agent.conf and the rules over several options. */
#include "config.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const char *const engine_names[] = { "none", "clamd", "command", NULL };
static const char *const scan_names[] = { "fildes", "scan", "contscan", "multiscan", NULL };
static const char *const gate_names[] = { "auto", "on", "off", NULL };
static const char *const collect_names[] = { "https", "dropbox", NULL };
static const char *const relay_names[] = { "console", "upstream", "off", NULL };
static const char *const mode_names[] = { "mirror", "origin", NULL };

#define AT(member) offsetof(struct agent_conf, member)
#define ROW(section, name, type, member, dflt, help)                                               \
	{                                                                                          \
		section, name, type, AT(member), dflt, help, 0, 0, NULL                            \
	}
#define RANGE(section, name, type, member, dflt, lo, hi, help)                                     \
	{                                                                                          \
		section, name, type, AT(member), dflt, help, lo, hi, NULL                          \
	}
#define CHOICE(section, name, member, dflt, list, help)                                            \
	{                                                                                          \
		section, name, CONF_CHOICE, AT(member), dflt, help, 0, 0, list                     \
	}
#define MIB (1ull << 20)
#define HOUR 3600000ull

const struct conf_option agent_options[] = {
	ROW("agent", "state", CONF_PATH, state, "/var/lib/atalaia",
	    "folder of identity, feeds, journal and spool"),
	ROW("agent", "run", CONF_PATH, run, "/run/atalaia",
	    "folder of the local socket and ports.json"),
	ROW("agent", "libexec", CONF_STRING, libexec, "",
	    "folder of the child programs, default: beside the agent, then /usr/lib/atalaia"),
	ROW("agent", "listen", CONF_LIST, listen, "::,0.0.0.0", "addresses of the task port"),
	ROW("agent", "task_port", CONF_PORT, task_port, "2222", "port of tasks from the console"),
	ROW("agent", "event_port", CONF_PORT, event_port, "2227",
	    "port of local events and status on 127.0.0.1 and ::1"),
	ROW("agent", "event_socket", CONF_STRING, event_socket, "",
	    "unix socket of local events and status, default <run>/events.sock"),
	ROW("agent", "event_listen", CONF_LIST, event_listen, "127.0.0.1,::1",
	    "addresses of the event port"),
	ROW("agent", "log", CONF_STRING, log, "info", "log levels, such as info,update=debug"),
	ROW("agent", "host", CONF_STRING, host, "", "name told to the console, default: host name"),
	ROW("agent", "addresses", CONF_LIST, addresses, "",
	    "addresses of this PC for the subnets of policies, default: those of its interfaces"),
	ROW("agent", "require_confinement", CONF_BOOL, require_confinement, "no",
	    "yes to refuse children that cannot be confined on this kernel"),
	CHOICE("engine", "type", engine, "none", engine_names, "scanning engine"),
	ROW("engine", "clamd_socket", CONF_STRING, clamd_socket, "/run/clamav/clamd.ctl",
	    "unix socket of clamd"),
	CHOICE("engine", "clamd_scan", clamd_scan, "fildes", scan_names,
	    "how clamd gets files: fildes by descriptor, scan by path, contscan and multiscan "
	    "whole "
	    "folders that it walks itself"),
	ROW("engine", "clamscan", CONF_STRING, clamscan, "/usr/bin/clamscan",
	    "program for the load test of a new set"),
	ROW("engine", "clamd_conf", CONF_STRING, clamd_conf, "",
	    "clamd's configuration, default: the one it was started with"),
	ROW("engine", "clamd_restart", CONF_STRING, clamd_restart, "",
	    "program and arguments that restart clamd when memory is too short for its concurrent "
	    "reload; empty: the update waits"),
	CHOICE("engine", "gate", gate, "auto", gate_names,
	    "load test before a set becomes current; auto: when the engine has one"),
	ROW("engine", "canaries", CONF_STRING, canaries, "",
	    "folder of files that every set must detect"),
	ROW("engine", "clean_samples", CONF_STRING, clean_samples, "",
	    "folder of files that no set may detect"),
	ROW("engine", "command_reload", CONF_STRING, command_reload, "",
	    "program and arguments that reload the command engine"),
	ROW("engine", "command_test", CONF_STRING, command_test, "",
	    "program and arguments that load a set for test, {set} is its folder"),
	ROW("engine", "command_scan", CONF_STRING, command_scan, "",
	    "program and arguments that scan one file, {file} is its path"),
	RANGE("engine", "deadline", CONF_DURATION, engine_deadline, "5m", 1000, HOUR,
	    "time for a load test, a reload and its probe"),
	RANGE("engine", "memory_limit", CONF_SIZE, engine_memory, "0", 0, 0,
	    "bytes that a load test or a reload may count on at most, 0: what is free on this PC"),
	RANGE("spool", "quota_detection", CONF_SIZE, quota_detection, "16M", MIB, 4096 * MIB,
	    "room for detections that wait for the console"),
	RANGE("spool", "quota_task", CONF_SIZE, quota_task, "8M", MIB, 4096 * MIB,
	    "room for task and update events that wait for the console"),
	RANGE("spool", "quota_telemetry", CONF_SIZE, quota_telemetry, "8M", MIB, 4096 * MIB,
	    "room for other events that wait for the console"),
	ROW("events", "detection_uids", CONF_LIST, detection_uids, "0",
	    "user ids that may post detections"),
	RANGE("events", "listed_rate", CONF_U32, listed_rate, "20000", 1, 1000000,
	    "events a second that each of those user ids may post"),
	RANGE("events", "unlisted_rate", CONF_U32, unlisted_rate, "500", 1, 1000000,
	    "the same for every other user id"),
	RANGE("events", "unlisted_share", CONF_U32, unlisted_share, "25", 1, 100,
	    "percent of quota_telemetry that another user id may fill at once, and again in an "
	    "hour"),
	ROW("events", "target", CONF_STRING, target, "console",
	    "where events go: console, or the http(s) URL of a collector"),
	ROW("events", "any_address", CONF_BOOL, event_any_address, "no",
	    "yes to let the event port listen beyond loopback"),
	RANGE("tamper", "interval", CONF_DURATION, tamper_interval, "1m", 100, HOUR,
	    "heartbeat: time between two looks for tampering"),
	ROW("tamper", "hosts", CONF_PATH, tamper_hosts, "/etc/hosts",
	    "hosts file that may name none of our servers"),
	ROW("tamper", "units", CONF_LIST, tamper_units, "atalaia-agent.service",
	    "units of the service manager that may not change"),
	ROW("tamper", "unit_folders", CONF_LIST, tamper_unit_folders,
	    "/etc/systemd/system,/run/systemd/system,/usr/local/lib/systemd/system,"
	    "/usr/lib/systemd/system,/lib/systemd/system",
	    "folders of those units"),
	RANGE("update", "interval", CONF_DURATION, update_interval, "4h", 1000, 30 * 24 * HOUR,
	    "time between checks when no policy says so"),
	RANGE("update", "jitter", CONF_DURATION, update_jitter, "10m", 0, 24 * HOUR,
	    "random time added to a check when no policy says so"),
	RANGE("update", "retry", CONF_DURATION, update_retry, "1m", 100, 24 * HOUR,
	    "first pause after a source failed; doubles up to an hour"),
	ROW("update", "feeds", CONF_LIST, feeds, "",
	    "feeds to follow, default: those of enrolment"),
	ROW("update", "roots", CONF_STRING, roots, "/etc/atalaia/roots",
	    "folder of <feed>.root.json files that came with packages"),
	ROW("update", "proxy", CONF_STRING, proxy, "", "proxy for FTP and HTTP downloads"),
	RANGE("update", "disk_floor", CONF_SIZE, disk_floor, "0", 0, 0,
	    "free bytes to leave alone, 0: 4 GiB or 10 %, whichever is smaller"),
	ROW("console", "source_address", CONF_STRING, source_address, "",
	    "local address of the console connection, default: the listen address when it is one "
	    "only"),
	ROW("console", "proxy", CONF_STRING, console_proxy, "", "proxy for the console connection"),
	CHOICE("console", "collect", collect_by, "https", collect_names,
	    "how files of collect tasks travel: https to the console, or the dropbox of a source "
	    "by "
	    "FTP"),
	ROW("update-agent", "enabled", CONF_BOOL, role_enabled, "no",
	    "yes to run the update-agent role without a task"),
	CHOICE("update-agent", "mode", role_mode, "mirror", mode_names,
	    "mirror: follow the sources; origin: serve what is published into root"),
	ROW("update-agent", "root", CONF_STRING, role_root, "",
	    "folder to serve, default <state>/mirror/root"),
	ROW("update-agent", "upstream", CONF_LIST, role_upstream, "",
	    "mirrors to follow before the server: host, or host/ftp/http/version ports"),
	CHOICE("update-agent", "dropbox_relay", dropbox_relay, "console", relay_names,
	    "where uploads in the drop box are carried to: the console over 2225, the upstream's "
	    "drop box by FTP, or off"),
#define X(name, help) ROW("update-agent", #name, CONF_STRING, serve_##name, "", help),
	CONF_SERVE_LIST(X)
#undef X
};
const size_t agent_option_count = sizeof agent_options / sizeof agent_options[0];

static enum err
check_engine(const struct agent_conf *c, struct fault *f)
{
	if (c->engine == ENGINE_CLAMD && c->clamd_socket[0] != '/')
		return conf_fault(c->origins, "engine", "clamd_socket", f,
		    "must be an absolute path when type=clamd; write the LocalSocket of "
		    "clamd.conf");
	if (c->engine == ENGINE_COMMAND && c->command_scan[0] == '\0')
		return conf_fault(c->origins, "engine", "command_scan", f,
		    "is needed when type=command; write the program that scans {file}");
	return OK;
}

static enum err
check_ports(const struct agent_conf *c, struct fault *f)
{
	if (c->task_port != 0 && c->task_port == c->event_port)
		return conf_fault(c->origins, "agent", "event_port", f,
		    "is the same as task_port (%u); choose another", (unsigned)c->task_port);
	return OK;
}

static enum err
default_paths(struct agent_conf *c)
{
	char path[4096];

	if (c->event_socket[0] == '\0') {
		(void)snprintf(path, sizeof path, "%s/events.sock", c->run);
		free(c->event_socket);
		if ((c->event_socket = strdup(path)) == NULL)
			return ERR_NOMEM;
	}
	if (c->role_root[0] == '\0') {
		(void)snprintf(path, sizeof path, "%s/mirror/root", c->state);
		free(c->role_root);
		if ((c->role_root = strdup(path)) == NULL)
			return ERR_NOMEM;
	}
	return OK;
}

enum err
agent_conf_load(struct agent_conf *c, const char *file, struct fault *f)
{
	enum err e;

	memset(c, 0, sizeof *c);
	e = conf_load(&c->origins, c, agent_options, agent_option_count, file, f);
	if (e != OK)
		return e;
	if (file != NULL && (c->file = strdup(file)) == NULL)
		e = fault_set(f, ERR_NOMEM, "memory ran out while reading %s", file);
	if (e == OK && strlen(c->state) > LIMIT_STATE_PATH)
		e = conf_fault(c->origins, "agent", "state", f,
		    "is longer than %d bytes; choose a shorter folder", LIMIT_STATE_PATH);
	if (e == OK && strlen(c->run) > LIMIT_RUN_PATH)
		e = conf_fault(c->origins, "agent", "run", f,
		    "is longer than %d bytes, too long for a socket; choose a shorter folder",
		    LIMIT_RUN_PATH);
	if (e == OK)
		e = check_ports(c, f);
	if (e == OK)
		e = check_engine(c, f);
	if (e == OK && (e = default_paths(c)) != OK)
		(void)fault_set(f, e, "memory ran out while reading %s", file);
	if (e != OK)
		agent_conf_free(c);
	return e;
}

void
agent_conf_free(struct agent_conf *c)
{
	free(c->file);
	conf_free(c->origins);
	memset(c, 0, sizeof *c);
}
