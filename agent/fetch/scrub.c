/* scrub.c - see scrub.h. Two empty files in work/ hold times: `seen`, the end of the last run, and
 * `scrubbed`, the last time every file was read. */
#include "scrub.h"

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVERY_S 86400

static bool
stamp(const struct job *j, const char *name, struct timespec *at)
{
	char path[OBJECT_PATH];
	struct stat st;

	if (file_join(path, sizeof path, j->objects.work, name) != OK || stat(path, &st) != 0)
		return false;
	*at = st.st_mtim;
	return true;
}

static void
set_stamp(const struct job *j, const char *name)
{
	char path[OBJECT_PATH];

	/* Not synced on purpose: a lost stamp costs one more reading. */
	if (file_join(path, sizeof path, j->objects.work, name) != OK ||
	    file_replace(path, "", 0, 0640, NULL) != OK)
		log_warn("fetch.scrub", "stamp=%s written=no", name);
}

/* Not before: a file of the same clock tick is read again. */
static bool
touched(const struct stat *st, const struct timespec *seen)
{
	return st->st_ctim.tv_sec > seen->tv_sec ||
	    (st->st_ctim.tv_sec == seen->tv_sec && st->st_ctim.tv_nsec >= seen->tv_nsec);
}

static enum err
check(struct job *j, struct served *s, const struct entry *e, const char *path, struct fault *f)
{
	struct tuf_failure why;
	struct refusal r = { .source = "", .file = e->path, .rule = "damaged", .error = ERR_VERIFY,
		.expected = why.expected, .got = why.got,
		.text = "the served file was damaged on this PC; it is had again" };
	enum err k = objects_check(path, e, &j->cancel, &why);

	if (k == OK)
		return OK;
	if (k != ERR_VERIFY && k != ERR_IO) /* a disk that cannot read is damage, too */
		return fault_set(f, k, "cannot check %s", path);
	report_refuse(j->report, &r);
	served_forget(s, e->sha256);
	if (unlink(path) != 0)
		log_warn("fetch.scrub", "file=%s removed=no", log_q(path));
	return OK;
}

enum err
scrub_run(struct job *j, struct served *s, struct fault *f)
{
	struct timespec seen = { 0 }, all = { 0 };
	struct stat st;
	bool have_seen = stamp(j, "seen", &seen);
	bool every = !stamp(j, "scrubbed", &all) || !have_seen ||
	    seen.tv_sec - all.tv_sec >= EVERY_S || all.tv_sec > seen.tv_sec;
	enum err e = OK;

	for (size_t i = 0; e == OK && i < j->catalog.count; i++) {
		const struct entry *x = &j->catalog.entries[i];
		char path[OBJECT_PATH];

		if (file_join(path, sizeof path, s->targets, x->file) != OK ||
		    lstat(path, &st) != 0)
			continue;
		if (every || touched(&st, &seen))
			e = check(j, s, x, path, f);
	}
	if (e == OK && every)
		set_stamp(j, "scrubbed");
	return e;
}

void
scrub_done(const struct job *j)
{
	set_stamp(j, "seen");
}
