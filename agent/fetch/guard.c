/* guard.c - see guard.h */
#include "guard.h"

#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>

#define PATHS_MAX 24
#define PATH_BYTES 4200

/* Names, name servers and CA certificates: what libcurl and the C library read while they work. */
static const char *const readable[] = { "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts",
	"/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/ssl",
	"/usr/share/ca-certificates", "/usr/lib/ssl", "/etc/pki/tls/certs", "/dev/urandom",
	"/dev/null" };

struct paths {
	struct confine_path list[PATHS_MAX];
	size_t count;
};

static void
allow(struct paths *p, const char *path, unsigned rights)
{
	if (path != NULL && p->count < PATHS_MAX)
		p->list[p->count++] = (struct confine_path){ path, rights };
}

/* set: tuf/, sets/ and work/ of the feed, and the feed's folder to read `current`: renames inside
 * it stay possible for set_clean, but `current` is the agent's. */
static enum err
set_paths(const struct fetch_config *c, struct paths *p, char (*names)[PATH_BYTES], struct fault *f)
{
	static const char *const subs[] = { "tuf", "sets" };
	enum err e = OK;

	for (size_t i = 0; e == OK && i < 2; i++) {
		e = file_join(names[i], PATH_BYTES, c->state, subs[i]);
		if (e == OK)
			e = file_make_dirs(names[i], 0750, f);
		allow(p, names[i], CONFINE_READ | CONFINE_WRITE);
	}
	allow(p, c->state, CONFINE_READ);
	return e;
}

static enum err
mirror_paths(
    const struct fetch_config *c, struct paths *p, char (*names)[PATH_BYTES], struct fault *f)
{
	enum err e = file_join(names[0], PATH_BYTES, c->root, c->feed);

	if (e == OK)
		e = file_make_dirs(names[0], 0755, f);
	allow(p, names[0], CONFINE_READ | CONFINE_WRITE);
	return e;
}

enum err
guard_apply(const struct fetch_config *c, struct confine_report *report, struct fault *f)
{
	char names[2][PATH_BYTES];
	struct paths p = { .count = 0 };
	struct confine_spec spec = { .paths = p.list, .may_connect = true };
	enum err e = c->mode == FETCH_SEND ? OK : file_make_dirs(c->work, 0750, f);

	for (size_t i = 0; i < sizeof readable / sizeof *readable; i++)
		allow(&p, readable[i], CONFINE_READ);
	allow(&p, c->work, CONFINE_READ | CONFINE_WRITE);
	allow(&p, c->root_json, CONFINE_READ);
	allow(&p, c->file, CONFINE_READ);
	allow(&p, c->bundle, CONFINE_READ);
	if (e == OK && c->mode != FETCH_SEND)
		e = c->mode == FETCH_SET ? set_paths(c, &p, names, f)
					 : mirror_paths(c, &p, names, f);
	spec.path_count = p.count;
	return e == OK ? confine_apply(&spec, report, f) : e;
}

unsigned
guard_probe(const char *forbidden, const char **what)
{
	char name[] = "/bin/true";
	char *const argv[] = { name, NULL };
	unsigned bad = 0;
	int fd = open(forbidden, O_RDONLY | O_CLOEXEC);

	*what = "";
	if (fd >= 0) {
		(void)close(fd);
		*what = "open";
		bad++;
	}
	if (kill(getppid(), 0) == 0) {
		*what = "kill";
		bad++;
	}
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0) {
		*what = "ptrace";
		bad++;
	}
	/* Last: where it works this program is gone, which the test sees as well. */
	if (bad == 0 && (execv(argv[0], argv) == 0 || errno != EPERM)) {
		*what = "execve";
		bad++;
	}
	return bad;
}
