/* engine_samples.c - what every set must detect and what none may. */
#include "engine_internal.h"

#include "base/limits.h"
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct engine_sample *
add(struct engine_samples *s, const char *name, bool must_hit)
{
	struct engine_sample *item = &s->item[s->n];

	if (s->n == ENGINE_SAMPLES)
		return NULL;
	s->n++;
	*item = (struct engine_sample){ .must_hit = must_hit };
	buf_init(&item->bytes, LIMIT_SAMPLE_BYTES);
	(void)snprintf(item->name, sizeof item->name, "%s", name);
	return item;
}

/* Regular files of the folder, sorted, hidden names left away. */
static enum err
add_folder(struct engine_samples *s, const char *folder, bool must_hit, struct fault *f)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, alphasort), fd;
	enum err e = n < 0 ? fault_set(f, ERR_NOTFOUND, "the folder of %s %s cannot be read",
				 must_hit ? "canaries" : "clean samples", folder)
			   : OK;

	fd = e == OK ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (e == OK && fd < 0)
		e = fault_set(f, ERR_NOTFOUND, "%s cannot be opened", folder);
	for (int i = 0; i < n; i++) {
		struct engine_sample *item;
		struct stat st;

		if (e == OK && names[i]->d_name[0] != '.' &&
		    fstatat(fd, names[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode)) {
			item = add(s, names[i]->d_name, must_hit);
			e = item == NULL ? fault_set(f, ERR_TOOBIG, "%s holds more than %d files",
					       folder, ENGINE_SAMPLES)
					 : file_read_at(fd, names[i]->d_name, &item->bytes, f);
		}
		free(names[i]);
	}
	free(names);
	if (fd >= 0)
		(void)close(fd);
	return e;
}

enum err
engine_samples_load(struct engine_samples *s, const char *canaries, const char *clean, bool builtin,
    const char *feed, uint64_t version, struct fault *f)
{
	struct engine_sample *item;
	enum err e = OK;

	s->n = 0;
	if (feed != NULL) {
		item = add(s, "marker", true);
		item->marker = true;
		e = clamd_marker_content(&item->bytes, feed, version);
	}
	if (e == OK && builtin)
		e = clamd_eicar(&add(s, "EICAR test file", true)->bytes);
	if (e == OK)
		e = clamd_clean_sample(&add(s, "built-in clean sample", false)->bytes);
	if (e == OK && canaries[0] != '\0')
		e = add_folder(s, canaries, true, f);
	if (e == OK && clean[0] != '\0')
		e = add_folder(s, clean, false, f);
	return e;
}

uint64_t
engine_set_bytes(const char *set)
{
	DIR *d = opendir(set);
	struct dirent *entry;
	uint64_t sum = 0;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	if (d != NULL)
		(void)closedir(d);
	return sum;
}

void
engine_samples_free(struct engine_samples *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_free(&s->item[i].bytes);
	s->n = 0;
}

bool
engine_sample_right(const struct engine_sample *s, const char *signature, const char *feed,
    uint64_t version, const char **rule, char *text, size_t size)
{
	*rule = "";
	if (s->marker && (signature == NULL || !clamd_is_marker(signature, feed, version))) {
		*rule = "marker";
		(void)snprintf(text, size, "the marker of %s version %" PRIu64 " is %s%s", feed,
		    version, signature != NULL ? "found as " : "not found",
		    signature != NULL ? signature : "");
		return false;
	}
	if (s->must_hit && signature == NULL) {
		*rule = "canary";
		(void)snprintf(text, size, "the canary '%s' is not detected", s->name);
		return false;
	}
	if (!s->must_hit && signature != NULL) {
		*rule = "clean";
		(void)snprintf(
		    text, size, "the clean sample '%s' is detected as %s", s->name, signature);
		return false;
	}
	return true;
}
