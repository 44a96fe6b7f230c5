#include "listing.h"

#include "ftp_reply.h"

#include "base/limits.h"
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIX_MONTHS (182ll * 86400)

/* "Nov 24 14:06" or "Nov 24  2025", without the locale's help. */
static void
ls_time(char out[32], int64_t mtime, int64_t now)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)mtime;
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&t, &tm);
	if (mtime > now - SIX_MONTHS && mtime <= now + 86400)
		(void)snprintf(out, 32, "%.3s %2d %02d:%02d", months + tm.tm_mon * 3 % 36,
		    tm.tm_mday, tm.tm_hour, tm.tm_min);
	else
		(void)snprintf(out, 32, "%.3s %2d  %4d", months + tm.tm_mon * 3 % 36, tm.tm_mday,
		    tm.tm_year + 1900);
}

enum err
listing_facts(struct buf *out, uint8_t facts, const char *type, const struct listing_entry *e)
{
	const char *perm = e->is_dropbox ? "ec" : e->is_folder ? "el" : "r";
	char time[FTP_TIME_TEXT];
	enum err r = OK;

	ftp_time_text(time, e->mtime);
	if ((facts & FACT_TYPE) != 0)
		r = buf_printf(out, "type=%s;", type);
	if (r == OK && (facts & FACT_SIZE) != 0 && !e->is_folder)
		r = buf_printf(out, "size=%llu;", (unsigned long long)e->size);
	if (r == OK && (facts & FACT_MODIFY) != 0)
		r = buf_printf(out, "modify=%s;", time);
	if (r == OK && (facts & FACT_PERM) != 0)
		r = buf_printf(out, "perm=%s;", perm);
	return r == OK ? buf_puts(out, " ") : r;
}

enum err
listing_line(struct buf *out, const struct listing_form *form, const struct listing_entry *e)
{
	char when[32];
	enum err r;

	switch (form->form) {
	case LISTING_NAMES:
		return buf_printf(
		    out, "%s%s\r\n", form->prefix != NULL ? form->prefix : "", e->name);
	case LISTING_FACTS:
		r = listing_facts(out, form->facts, e->is_folder ? "dir" : "file", e);
		return r == OK ? buf_printf(out, "%s\r\n", e->name) : r;
	default:
		ls_time(when, e->mtime, form->now);
		return buf_printf(out, "%s %12llu %s %s\r\n",
		    e->is_dropbox  ? "d-wx-wx-wx   2 ftp      ftp     "
		    : e->is_folder ? "dr-xr-xr-x   2 ftp      ftp     "
				   : "-r--r--r--   1 ftp      ftp     ",
		    (unsigned long long)(e->is_folder ? 4096 : e->size), when, e->name);
	}
}

struct names {
	char **items;
	size_t n, cap;
};

static enum err
names_add(struct names *l, const char *name)
{
	if (l->n == LIMIT_FTP_FOLDER)
		return ERR_TOOBIG;
	if (l->n == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 64;
		char **items = realloc(l->items, cap * sizeof(*items));

		if (items == NULL)
			return ERR_NOMEM;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n] = strdup(name);
	return l->items[l->n++] != NULL ? OK : ERR_NOMEM;
}

static void
names_free(struct names *l)
{
	while (l->n > 0)
		free(l->items[--l->n]);
	free(l->items);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err
read_names(DIR *d, struct names *l, const char *hidden)
{
	const struct dirent *de;
	enum err e = OK;

	while (e == OK && (de = file_next(d, &e, NULL)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (hidden != NULL && strcmp(de->d_name, hidden) == 0)
			continue;
		if (path_printable(de->d_name, strlen(de->d_name)))
			e = names_add(l, de->d_name);
	}
	return e;
}

/* A name that vanished or is no plain file or folder has no line. */
static enum err
name_line(struct buf *out, const struct listing_form *form, int fd, const char *name)
{
	struct listing_entry e = { .name = name };
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return OK;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return OK;
	e.is_folder = S_ISDIR(st.st_mode);
	e.size = (uint64_t)st.st_size;
	e.mtime = st.st_mtime;
	return listing_line(out, form, &e);
}

enum err
listing_folder(struct buf *out, const struct listing_form *form, int fd, const char *hidden)
{
	struct names l = { 0 };
	DIR *d = fdopendir(fd);
	enum err e;
	size_t i;

	if (d == NULL) {
		(void)close(fd);
		return ERR_IO;
	}
	e = read_names(d, &l, hidden);
	if (e == OK && l.n > 1)
		qsort(l.items, l.n, sizeof(*l.items), by_name);
	for (i = 0; e == OK && i < l.n; i++)
		e = name_line(out, form, dirfd(d), l.items[i]);
	names_free(&l);
	(void)closedir(d);
	return e;
}
