#include "proto/policy.h"

/* One row per member that this version understands. The default is JSON text and passes through the
 * same checks as a file's value. */
const struct policy_member policy_members[] = {
	{ "update.auto", POLICY_BOOL, "true", NULL, "update without being told" },
	{ "update.interval", POLICY_DURATION, "\"4h\"", NULL,
	    "longest time between two checks when no mirror answers on its version port" },
	{ "update.jitter", POLICY_DURATION, "\"10m\"", NULL, "random delay added to every check" },
	{ "update.windows", POLICY_WINDOWS, "[]", NULL,
	    "times of day when updates may be downloaded" },
	{ "update.delta", POLICY_CHOICE, "\"prefer\"", "prefer require off",
	    "whether deltas are used and whether a full download may replace one" },
	{ "update.rate_limit", POLICY_SIZE, "\"0\"", NULL,
	    "bytes per second of a download, 0 = no limit" },
	{ "update.bypass", POLICY_DURATION_OR_NEVER, "\"30m\"", NULL,
	    "how long the update agents may fail before the server itself is asked" },
	{ "sources.update_agents", POLICY_SOURCES, "[]", NULL,
	    "update agents and the subnets they serve" },
	{ "sources.addresses", POLICY_ADDRESSES, "{}", NULL,
	    "addresses of servers, used while their names are hidden" },
	{ "engine", POLICY_TABLE, "{}", NULL,
	    "gate, deadline and memory_limit of section [engine]; the rest is the PC's own" },
	{ "scan.schedule", POLICY_WINDOWS, "[]", NULL,
	    "times of day when the scheduled scan may run, once in each; empty: never" },
	{ "scan.paths", POLICY_STRINGS, "[]", NULL, "folders of the scheduled scan" },
	{ "scan.quarantine", POLICY_BOOL, "false", NULL,
	    "whether the scheduled scan moves what it finds into the vault" },
	{ "events.classes", POLICY_TABLE, "{}", NULL,
	    "telemetry = false: the agent raises no telemetry of its own" },
	{ "events.quotas", POLICY_TABLE, "{}", NULL, "spool quota of a class: class = size" },
	{ "mirror.rate_limit", POLICY_SIZE, "\"0\"", NULL,
	    "bytes per second that a mirror takes from its upstream, 0 = no limit" },
	{ "mirror.window", POLICY_WINDOWS, "[]", NULL,
	    "times of day when a mirror may pull from its upstream" },
};
const size_t policy_member_count = sizeof(policy_members) / sizeof(policy_members[0]);
