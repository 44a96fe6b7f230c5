/* sql_aside.c - damaged files are moved away, not removed: somebody may want to look. Each takes as
 * much disk as the file did, so that the newest few are kept only. */
#include "store/sql.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT 3	   /* damaged files of one name */
#define LOOKED 256 /* at most, of one name: whoever has more has another problem */

static const char *const tails[] = { "-wal", "-shm", "" };

static int
newest_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void
remove_old(const char *path, const uint64_t *times, size_t n, uint64_t fresh)
{
	char name[4400];

	for (size_t i = KEPT; i < n; i++)
		/* The clock may have been set back: the one of now is still to be read. */
		for (size_t t = 0; t < 3 && times[i] != fresh; t++) {
			(void)snprintf(name, sizeof name, "%s.damaged-%" PRIu64 "%s", path,
			    times[i], tails[t]);
			if (unlink(name) == 0)
				log_info("store.damaged", "removed=%s", log_q(name));
		}
}

static void
keep_few(const char *path, uint64_t fresh)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	char folder[4400], prefix[300];
	uint64_t times[LOOKED];
	const struct dirent *i;
	size_t n = 0;
	DIR *d;

	(void)snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) : 1,
	    slash != NULL ? path : ".");
	(void)snprintf(prefix, sizeof prefix, "%s.damaged-", base);
	d = opendir(folder[0] != '\0' ? folder : "/");
	if (d == NULL)
		return;
	while ((i = readdir(d)) != NULL && n < LOOKED) {
		const char *digits = i->d_name + strlen(prefix);

		if (text_starts(i->d_name, prefix) &&
		    text_u64(digits, strlen(digits), INT64_MAX, &times[n]) == OK)
			n++;
	}
	(void)closedir(d);
	qsort(times, n, sizeof times[0], newest_first);
	remove_old(path, times, n, fresh);
}

/* The main file and what belongs to it move together: a stale -wal would be applied to the new
 * file. */
enum err
sql_move_aside(const char *path, char *moved, size_t size, struct fault *f)
{
	char from[4400], to[4400];
	int64_t now = clock_wall_ms();

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(from, sizeof from, "%s%s", path, tails[i]);
		(void)snprintf(to, sizeof to, "%s.damaged-%" PRId64 "%s", path, now, tails[i]);
		if (rename(from, to) != 0 && i == 2)
			return fault_set(
			    f, ERR_IO, "%s is damaged and cannot be moved away; remove it", path);
	}
	if (moved != NULL)
		(void)snprintf(moved, size, "%s", to);
	keep_few(path, (uint64_t)now);
	return OK;
}
