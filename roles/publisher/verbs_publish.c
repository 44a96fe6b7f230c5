/* verbs_publish.c - verbs that make a new version public. */
#include "verbs.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "13.2 KB": three digits at least, as a person reads them. */
static const char *
size_text(char out[32], uint64_t bytes)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1000 && u < 4) {
		v /= 1000;
		u++;
	}
	(void)snprintf(out, 32, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[u]);
	return out;
}

#define BAR 30

static void
on_progress(void *arg, const char *what, const char *name, uint64_t done, uint64_t total)
{
	static const char hashes[] = "##############################";
	int part = total == 0 ? 0 : (int)((double)done / (double)total * BAR);
	char size[32];

	(void)arg;
	if (done < total)
		fprintf(stderr, "\r\033[K%-5s [%.*s%*s] %s of %s", what, part, hashes, BAR - part,
		    "", name, size_text(size, total));
	else
		fputs("\r\033[K", stderr);
	(void)fflush(stderr);
}

static enum err
fill_how(const struct args *a, struct repo_publish *how, struct fault *f)
{
	uint32_t level;
	enum err e = args_u32(a, "full-level", 22, 9, &level, f);

	memset(how, 0, sizeof *how);
	how->full_level = (int)level;
	how->allow_unchanged = args_has(a, "force");
	if (isatty(STDERR_FILENO))
		how->progress = on_progress;
	return e;
}

static enum err
print_json(const struct repo *r, const struct repo_report *p)
{
	cJSON *t = cJSON_CreateObject();
	struct buf text;
	enum err e = t != NULL ? OK : ERR_NOMEM;

	buf_init(&text, 65536);
	if (e == OK)
		e = json_add_string(t, "feed", repo_feed(r));
	if (e == OK)
		e = json_add_u64(t, "version", p->version);
	if (e == OK)
		e = json_add_u64(t, "from", p->from);
	if (e == OK)
		e = json_add_u64(t, "targets", p->targets);
	if (e == OK)
		e = json_add_u64(t, "changed", p->changed);
	if (e == OK)
		e = json_add_u64(t, "removed", p->removed);
	if (e == OK)
		e = json_add_u64(t, "bytes", p->bytes);
	if (e == OK)
		e = json_add_u64(t, "changed_bytes", p->changed_bytes);
	if (e == OK)
		e = json_add_u64(t, "deltas", p->deltas);
	if (e == OK)
		e = json_add_u64(t, "delta_bytes", p->delta_bytes);
	if (e == OK)
		e = json_add_u64(t, "full_bytes", p->full_bytes);
	if (e == OK)
		e = json_add_u64(t, "metadata_bytes", p->metadata_bytes);
	if (e == OK)
		e = json_print(t, &text);
	if (e == OK)
		puts(buf_text(&text));
	buf_free(&text);
	cJSON_Delete(t);
	return e;
}

static void
print_text(const struct repo *r, const struct repo_report *p)
{
	char a[32], b[32], c[32], d[32], e[32];

	if (p->version == p->from) {
		printf("%s version %" PRIu64 ": nothing changed, nothing published\n", repo_feed(r),
		    p->version);
		return;
	}
	printf("%s version %" PRIu64
	       ": %u target%s, %s; %u changed (%s), %u removed; %u delta%s %s, "
	       "full copies %s, metadata %s\n",
	    repo_feed(r), p->version, p->targets, p->targets == 1 ? "" : "s",
	    size_text(a, p->bytes), p->changed, size_text(b, p->changed_bytes), p->removed,
	    p->deltas, p->deltas == 1 ? "" : "s", size_text(c, p->delta_bytes),
	    size_text(d, p->full_bytes), size_text(e, p->metadata_bytes));
}

enum err
finish_publish(
    struct repo *r, const struct args *a, const struct repo_report *report, struct fault *f)
{
	const char *out = args_get(a, "out");
	enum err e = OK;

	if (out != NULL)
		e = repo_copy_out(r, out, f);
	if (e != OK)
		return e;
	if (args_has(a, "json"))
		return print_json(r, report);
	print_text(r, report);
	if (report->metadata_bytes > 65536)
		fprintf(stderr,
		    "atalaia-repo: warning: clients fetch %" PRIu64 " bytes of metadata for each "
		    "update; publish more files as packs\n",
		    report->metadata_bytes);
	return OK;
}

static enum err
set_engine(struct repo *r, const struct args *a, struct fault *f)
{
	const char *engine = args_get(a, "engine");

	if (engine == NULL)
		return OK;
	if (strcmp(engine, "clamav") != 0 && strcmp(engine, "none") != 0)
		return fault_set(f, ERR_INVAL, "--engine is clamav or none, and not %s", engine);
	repo_clamav_marker(r, strcmp(engine, "clamav") == 0);
	return OK;
}

static enum err
publish_folder(
    const struct args *a, const char *folder, bool clamav, const char *passphrase, struct fault *f)
{
	struct repo_publish how;
	struct repo_report report;
	struct repo *r = NULL;
	enum err e = fill_how(a, &how, f);

	if (e == OK)
		e = open_repo(&r, a->words[0], passphrase, f);
	if (e == OK && clamav)
		repo_clamav_marker(r, true);
	if (e == OK)
		e = set_engine(r, a, f);
	if (e == OK)
		e = repo_put_folder(r, folder, f);
	if (e == OK)
		e = repo_publish(r, &how, &report, f);
	if (e == OK)
		e = finish_publish(r, a, &report, f);
	repo_close(r);
	return e;
}

enum err
verb_publish(const struct args *a, const char *passphrase, struct fault *f)
{
	return publish_folder(a, a->words[1], false, passphrase, f);
}

/* ---- ClamAV ---- */

/* What clamd loads, and .sign files that belong to .cvd files. Others (freshclam.dat, *.cdiff)
 * stay. */
static bool
is_clamav_data(const char *name)
{
	static const char *const tails[] = { ".cvd", ".cld", ".cud", ".sign", ".hdb", ".hdu",
		".hsb", ".hsu", ".mdb", ".mdu", ".msb", ".msu", ".ndb", ".ndu", ".ldb", ".ldu",
		".idb", ".fp", ".sfp", ".ign", ".ign2", ".pdb", ".gdb", ".wdb", ".cdb", ".ftm",
		".crb", ".cbc", ".yar", ".yara", ".pwdb", ".imp", ".cat", ".db" };
	size_t i;

	for (i = 0; i < sizeof tails / sizeof tails[0]; i++)
		if (text_ends(name, tails[i]))
			return true;
	return false;
}

static enum err
put_clamav(struct repo *r, const char *dir, struct fault *f)
{
	char path[4096];
	struct dirent *d;
	struct stat st;
	DIR *list = opendir(dir);
	size_t count = 0;
	enum err e = OK;

	if (list == NULL)
		return fault_sys(f, errno, "cannot list %s", dir);
	while (e == OK && (d = file_next(list, &e, f)) != NULL) {
		if (!is_clamav_data(d->d_name))
			continue;
		e = file_join(path, sizeof path, dir, d->d_name);
		if (e == OK && (stat(path, &st) != 0 || !S_ISREG(st.st_mode)))
			continue;
		if (e == OK)
			e = repo_put_file(r, d->d_name, path, f);
		count++;
	}
	(void)closedir(list);
	if (e == OK && count == 0)
		e = fault_set(
		    f, ERR_INVAL, "%s holds no ClamAV database (.cvd, .cld, .hdb, ...)", dir);
	return e;
}

enum err
verb_import_clamav(const struct args *a, const char *passphrase, struct fault *f)
{
	struct repo_publish how;
	struct repo_report report;
	struct repo *r = NULL;
	enum err e = fill_how(a, &how, f);

	if (e == OK)
		e = open_repo(&r, a->words[0], passphrase, f);
	if (e == OK) {
		repo_clamav_marker(r, true);
		e = set_engine(r, a, f);
	}
	if (e == OK)
		e = put_clamav(r, a->words[1], f);
	if (e == OK)
		e = repo_put_whole(r, f);
	if (e == OK)
		e = repo_publish(r, &how, &report, f);
	if (e == OK)
		e = finish_publish(r, a, &report, f);
	repo_close(r);
	return e;
}

/* ---- single targets ---- */

static enum err
put_words(struct repo *r, const struct args *a, struct fault *f)
{
	const char *as = args_get(a, "as"), *gone[ARGS_MAX];
	size_t i, n = args_all(a, "remove", gone);
	enum err e = OK;

	if (as != NULL && a->word_count != 2)
		return fault_set(
		    f, ERR_INVAL, "--as names one file, and %zu are given", a->word_count - 1);
	if (a->word_count == 1 && n == 0)
		return fault_set(f, ERR_INVAL, "name a file to add, or a target with --remove");
	for (i = 1; e == OK && i < a->word_count; i++) {
		const char *slash = strrchr(a->words[i], '/');
		const char *name = as != NULL ? as : slash != NULL ? slash + 1 : a->words[i];

		e = repo_put_file(r, name, a->words[i], f);
	}
	for (i = 0; e == OK && i < n; i++)
		e = repo_remove(r, gone[i], f);
	return e;
}

static enum err
put_in_role(struct repo *r, const struct args *a, const char *role, struct fault *f)
{
	const char *keys[ARGS_MAX], *slash, *name = args_get(a, "as");
	size_t n = args_all(a, "key", keys);
	struct buf bytes;
	enum err e;

	if (a->word_count != 2)
		return fault_set(f, ERR_INVAL, "--role takes one file");
	slash = strrchr(a->words[1], '/');
	if (name == NULL)
		name = slash != NULL ? slash + 1 : a->words[1];
	buf_init(&bytes, LIMIT_TUF_TARGETS);
	e = file_read(a->words[1], &bytes, f);
	if (e == OK)
		e = repo_role_put(r, role, name, bytes.data, bytes.len, keys, n, f);
	buf_free(&bytes);
	return e;
}

enum err
verb_add(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *role = args_get(a, "role");
	struct repo_publish how;
	struct repo_report report;
	struct repo *r = NULL;
	enum err e = fill_how(a, &how, f);

	how.allow_unchanged = false;
	if (e == OK)
		e = open_repo(&r, a->words[0], passphrase, f);
	if (e == OK)
		e = role != NULL ? put_in_role(r, a, role, f) : put_words(r, a, f);
	if (e == OK)
		e = role != NULL ? repo_publish_staged(r, &report, f)
				 : repo_publish(r, &how, &report, f);
	if (e == OK)
		e = finish_publish(r, a, &report, f);
	repo_close(r);
	return e;
}

/* ---- signing again ---- */

static enum err
sign_once(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *out = args_get(a, "out");
	struct repo *r = NULL;
	uint64_t version;
	enum err e = open_repo(&r, a->words[0], passphrase, f);

	if (e == OK)
		e = repo_timestamp(r, args_has(a, "force"), &version, f);
	if (e == OK && out != NULL)
		e = repo_copy_out(r, out, f);
	if (e == OK && args_has(a, "json"))
		printf("{\"feed\":\"%s\",\"timestamp\":%" PRIu64 ",\"version\":%" PRIu64 "}\n",
		    repo_feed(r), version, repo_version(r));
	else if (e == OK)
		printf("%s timestamp %" PRIu64 " signed, version %" PRIu64 "\n", repo_feed(r),
		    version, repo_version(r));
	(void)fflush(stdout);
	repo_close(r);
	return e;
}

/* With --every: a service. A failure is said and tried again, sooner. */
enum err
verb_timestamp(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *every = args_get(a, "every");
	uint64_t ms = 0;
	enum err e;

	if (every != NULL && (text_duration_ms(every, strlen(every), &ms) != OK || ms < 1000))
		return fault_set(f, ERR_INVAL, "--every is a time of at least 1s, for example 8h");
	for (;;) {
		struct timespec t;

		fault_reset(f);
		e = sign_once(a, passphrase, f);
		if (every == NULL)
			return e;
		if (e != OK)
			fprintf(stderr, "atalaia-repo: %s\n", fault_text(f));
		t.tv_sec = (time_t)((e == OK || ms < 60000 ? ms : 60000) / 1000);
		t.tv_nsec = 0;
		(void)nanosleep(&t, NULL);
	}
}
