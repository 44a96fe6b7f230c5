/* confine.h - locks the doors before the first guest: no_new_privs, no dumps, Landlock, seccomp.
 * Called by the main thread before anything starts another thread (libuv's pool included):
 * Landlock binds the calling thread and threads started after it only. Irrevocable. */
#ifndef ATALAIA_OS_CONFINE_H
#define ATALAIA_OS_CONFINE_H

#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFINE_READ = 1,  /* read files, list folders below */
	CONFINE_EXEC = 4, /* execute files below; with may_exec */
	CONFINE_WRITE = 2, /* make, write, rename, link, remove below (add CONFINE_READ to read) */
};

struct confine_path {
	const char *path; /* a folder or a file; an absent path is skipped */
	unsigned rights;
};

struct confine_spec {
	const struct confine_path *paths;
	size_t path_count;
	bool may_connect; /* connect(2) to inet addresses or unix sockets */
	bool unix_only;   /* new sockets are unix sockets or nothing */
	bool may_exec;    /* execve; never with the network-facing children */
	bool may_listen;  /* bind and listen after confinement (passive FTP ports) */
};

struct confine_report {
	int landlock_abi; /* 0: the kernel has none */
	bool landlock, seccomp, no_new_privs;
	char text[160]; /* "landlock=7 seccomp=yes no_new_privs=yes", for the log at start */
};

/* ERR_UNSUPPORTED when Landlock or seccomp is missing: the rest is applied and *out says what; the
 * caller decides by its require_confinement option. Any other error: rely on nothing. */
MUST_CHECK enum err confine_apply(const struct confine_spec *spec, struct confine_report *out,
    struct fault *f);

/* For every program: no_new_privs (unless keep_privs), no dumps, no core, SIGPIPE ignored,
 * descriptors 0, 1 and 2 open, umask 027. */
MUST_CHECK enum err confine_basics(bool keep_privs, struct fault *f);

#endif
