/* policy.h - default.json and group/<name>.json of the policies feed: reading, checking, merging,
 * effective values with their origin. Pure. DESIGN section 11.
 *
 * Every known member is one row of a table: path, type, default, help. A wrong type or value is
 * refused by name and the whole document with it (the old policy stays in force); an unknown member
 * is kept and reported. Group overrides default, member by member: objects are merged, everything
 * else is replaced whole. Durations and sizes are text as in configuration files ("4h", "0"). */
#ifndef ATALAIA_PROTO_POLICY_H
#define ATALAIA_PROTO_POLICY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_POLICY_BYTES 1000000 /* 5,000 subnets with their mirrors */
#define POLICY_BUILT_IN "built-in" /* origin of a value that no file sets */
#define POLICY_NEVER UINT64_MAX    /* policy_duration of "never" */

enum policy_type {
	POLICY_BOOL,
	POLICY_DURATION,     /* text, milliseconds */
	POLICY_DURATION_OR_NEVER,
	POLICY_SIZE,         /* text, bytes */
	POLICY_CHOICE,       /* one of a list of words */
	POLICY_STRING,
	POLICY_WINDOWS,      /* array of "HH:MM-HH:MM", local time of the agent; empty = always */
	POLICY_STRINGS,      /* array of strings */
	POLICY_SOURCES,      /* array of {"name","host","ftp","http","version","subnets":[..]} */
	POLICY_ADDRESSES,    /* object of host names, each with an array of IP addresses */
	/* object of free names whose values are strings, numbers or booleans: engine.options,
	 * events.quotas */
	POLICY_TABLE,
};

struct policy_member {
	const char *path;            /* "update.interval" */
	enum policy_type type;
	const char *dflt;            /* text of JSON: "true", "\"4h\"", "[]" */
	const char *choices;         /* "prefer require off" for POLICY_CHOICE */
	const char *help;
};

extern const struct policy_member policy_members[];
extern const size_t policy_member_count;

struct policy; /* opaque */

/* origin is copied: "default.json", "group/till.json". Refusal: ERR_PARSE or ERR_INVAL with "member
 * 'update.interval' must be a duration such as "4h"". */
MUST_CHECK enum err policy_parse(struct policy **out, const char *origin, const char *p, size_t n,
    struct fault *f);
/* The effective policy. base and over may each be NULL; neither is taken or kept. */
MUST_CHECK enum err policy_merge(struct policy **out, const struct policy *base,
    const struct policy *over);
void policy_free(struct policy *p);

/* Typed getters by path of the table; p == NULL gives the built-in defaults. A path or type that
 * the table does not have is a programming error (abort). */
bool policy_bool(const struct policy *p, const char *path);
uint64_t policy_duration(const struct policy *p, const char *path); /* ms; POLICY_NEVER */
uint64_t policy_size(const struct policy *p, const char *path);
/* POLICY_STRING and POLICY_CHOICE; never NULL */
const char *policy_string(const struct policy *p, const char *path);
/* arrays and tables, borrowed; NULL when only the built-in empty value applies */
const cJSON *policy_value(const struct policy *p, const char *path);
/* file that set it, or POLICY_BUILT_IN */
const char *policy_origin(const struct policy *p, const char *path);
/* Unknown members, one path per call from i = 0; NULL at the end. For reporting. */
const char *policy_unknown(const struct policy *p, size_t i);
const cJSON *policy_tree(const struct policy *p);

/* [{"member","value","origin"},...] in table order, then unknown members: `atalaia policy
 * --explain`. */
MUST_CHECK enum err policy_explain(const struct policy *p, cJSON **out);

/* Is this minute of the day (0..1439) inside one of the windows? NULL or empty = always.
 * "22:00-06:00" runs over midnight; equal ends = all day. */
bool policy_window_open(const cJSON *windows, unsigned minute);
/* Minutes until a window opens (0 = open now). */
unsigned policy_window_wait(const cJSON *windows, unsigned minute);

/* one update agent; strings borrowed from the policy; a port of 0 = that form is not offered */
struct policy_source {
	const char *name, *host;
	uint16_t ftp, http, version;
};
/* Update agents for a PC with this address ("10.1.2.3" or IPv6 text), in the order of the policy:
 * those whose subnets hold the address, and those without subnets.
 * Returns how many were written. */
size_t policy_sources(const struct policy *p, const char *address, struct policy_source *out,
    size_t max);

#endif
