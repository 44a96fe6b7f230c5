/* task_table.h - every type of task: its arguments, whether it may run beside others, whether it is
 * taken up again after a crash, its deadline and its handler. There is no type that runs a command
 * line. Checking is pure. */
#ifndef ATALAIA_AGENT_TASK_TABLE_H
#define ATALAIA_AGENT_TASK_TABLE_H

#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum task_arg_type {
	ARG_STRING,  /* printable, at most max bytes */
	ARG_CHOICE,  /* one of the words in choices, separated by blanks */
	ARG_CHOICES, /* array of such words, 1..max of them */
	ARG_BOOL,
	ARG_U64,      /* 0..max */
	ARG_TIME,     /* RFC 3339 */
	ARG_FEED,     /* a feed's name */
	ARG_GROUP,    /* a group's name */
	ARG_PATHS,    /* array of absolute paths, 1..max of them */
	ARG_SETTINGS, /* object of options to strings, at most max of them */
};

struct task_arg {
	const char *name;
	enum task_arg_type type;
	bool required;
	uint64_t max;
	const char *choices;
};

struct task;

#define TASK_BUSY_OK 0x1u /* may run while another task runs */
#define TASK_RESUME 0x2u  /* after a crash it goes on at its step instead of ending `interrupted`  \
			   */

struct task_type {
	const char *name;
	const struct task_arg *args;
	size_t n_args;
	unsigned flags;
	uint32_t deadline_s;
	void (*start)(struct task *t);
	void (*cancel)(struct task *t); /* NULL: it cannot be cancelled once it runs */
};

extern const struct task_type task_types[];
extern const size_t task_type_count;

const struct task_type *task_type_find(const char *name); /* NULL when unknown */

/* Stable codes: unknown-argument, missing-argument, wrong-argument, argument-too-big. NULL is fine:
 * accepted. The sentence names the argument. */
const char *task_args_check(const struct task_type *type, const cJSON *args, struct fault *f);

#endif
