/* scrub.c - see scrub.h. Two empty files in work/ hold times: `seen`, the end of the last run, and
 * `scrubbed`, the last time every file was read. */
#include "scrub.h"

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "update/set.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVERY_S 86400
#define DEPTH_MAX 70 /* folders of a set: a target path has at most 64 parts */

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
	struct refusal r = { .source = "",
		.file = e->path,
		.rule = "damaged",
		.error = ERR_VERIFY,
		.expected = why.expected,
		.got = why.got,
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

/* Is it time to read everything? *seen is the end of the last run. */
static bool
is_due(const struct job *j, struct timespec *seen)
{
	struct timespec all = { 0 };
	bool have_seen = stamp(j, "seen", seen);

	return j->config->inspect || !stamp(j, "scrubbed", &all) || !have_seen ||
	       seen->tv_sec - all.tv_sec >= EVERY_S || all.tv_sec > seen->tv_sec;
}

enum err
scrub_run(struct job *j, struct served *s, struct fault *f)
{
	struct timespec seen = { 0 };
	struct stat st;
	bool every = is_due(j, &seen);
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

/* Was anything below this folder touched? What cannot be looked at counts as touched. */
static bool
tree_touched(const char *folder, const struct timespec *seen, unsigned depth)
{
	char path[OBJECT_PATH];
	DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
	struct dirent *d;
	struct stat st;
	bool found = dir == NULL;

	while (!found && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (file_join(path, sizeof path, folder, d->d_name) != OK || lstat(path, &st) != 0)
			found = true;
		else
			found = S_ISDIR(st.st_mode) ? tree_touched(path, seen, depth + 1)
						    : touched(&st, seen);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return found;
}

static bool
set_touched(const struct job *j, uint64_t version, const struct timespec *seen)
{
	char path[OBJECT_PATH];
	int n = snprintf(
	    path, sizeof path, "%s/sets/%llu", j->config->state, (unsigned long long)version);

	if (n < 0 || (size_t)n + sizeof ".meta" > sizeof path || tree_touched(path, seen, 0))
		return true;
	memcpy(path + n, ".meta", sizeof ".meta");
	return tree_touched(path, seen, 0);
}

enum err
scrub_set(struct job *j, uint64_t version, bool *sound, struct fault *f)
{
	struct timespec seen = { 0 };
	struct fault why = { 0 };
	bool every = is_due(j, &seen);
	enum err e;

	*sound = true;
	if (!every && !set_touched(j, version, &seen))
		return OK;
	e = set_check(j->config->state, version, &why);
	if (e == OK) {
		if (every)
			set_stamp(j, "scrubbed");
		return OK;
	}
	if (e == ERR_NOMEM || e == ERR_CANCELED)
		return fault_set(f, e, "%s", fault_text(&why));
	*sound = false; /* a disk that cannot read is damage, too */
	scrub_report(j, fault_text(&why));
	return OK;
}

void
scrub_report(struct job *j, const char *why)
{
	const char *at = strstr(why, "/sets/");
	char file[128] = "", text[300];
	struct refusal r = {
		.source = "", .file = file, .rule = "damaged", .error = ERR_VERIFY, .text = text
	};

	if (at != NULL)
		(void)snprintf(file, sizeof file, "%.*s", (int)strcspn(at + 1, " "), at + 1);
	(void)snprintf(text, sizeof text, "a kept set was damaged on this PC and is had again: %s",
	    at != NULL ? at + 1 : why);
	report_refuse(j->report, &r);
}

void
scrub_done(const struct job *j, bool all_read)
{
	if (all_read)
		set_stamp(j, "scrubbed");
	set_stamp(j, "seen");
}
