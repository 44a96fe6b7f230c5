/* pack_write.c - the deterministic writer of packs. */
#include "update/pack.h"
#include "update/pack_priv.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (128u << 10)

static void
octal(uint8_t *p, int digits, uint64_t v)
{
	while (digits-- > 0) {
		p[digits] = (uint8_t)('0' + (v & 7));
		v >>= 3;
	}
}

/* Where the name splits into prefix and name: 0 = it needs no prefix, -1 = it does not fit. The
 * first slash that works, so that there is one form for each name. */
static int
split_at(const char *name, size_t n)
{
	size_t i;

	if (n <= PACK_NAME_LEN)
		return 0;
	for (i = n - PACK_NAME_LEN - 1; i < n && i <= PACK_PREFIX_LEN; i++)
		if (name[i] == '/')
			return (int)i;
	return -1;
}

int
pack_name_fits(const char *name)
{
	size_t n = strlen(name);

	return n <= PACK_NAME_MAX && text_is_target_path(name, n) && split_at(name, n) >= 0;
}

bool
pack_header(uint8_t out[PACK_BLOCK], const char *name, uint64_t size)
{
	size_t n = strlen(name), i;
	int cut = split_at(name, n);
	unsigned sum = 0;

	if (cut < 0 || size >> 33 != 0)
		return false;
	memset(out, 0, PACK_BLOCK);
	if (cut == 0) {
		memcpy(out, name, n);
	} else {
		memcpy(out + PACK_AT_PREFIX, name, (size_t)cut);
		memcpy(out, name + cut + 1, n - (size_t)cut - 1);
	}
	memcpy(out + 100, "0000644", 7);
	memcpy(out + 108, "0000000", 7);
	memcpy(out + 116, "0000000", 7);
	octal(out + PACK_AT_SIZE, 11, size);
	memcpy(out + 136, "00000000000", 11);
	memset(out + 148, ' ', 8);
	out[156] = '0';
	memcpy(out + 257, "ustar\0" "00", 8);
	memcpy(out + 329, "0000000", 7);
	memcpy(out + 337, "0000000", 7);
	for (i = 0; i < PACK_BLOCK; i++)
		sum += out[i];
	octal(out + 148, 6, sum);
	out[154] = '\0';
	return true;
}

static enum err
put_member(int out, const struct pack_member *m, uint8_t *buf, struct fault *f)
{
	static const uint8_t zeros[PACK_BLOCK];
	int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	uint64_t left;
	enum err e = OK;

	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", m->path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    !pack_header(buf, m->name, (uint64_t)st.st_size))
		e = fault_set(f, ERR_INVAL,
		    "%s is no regular file with a name of at most 100 bytes "
		    "in each part",
		    m->path);
	else
		e = file_write_all(out, buf, PACK_BLOCK);
	left = e == OK ? (uint64_t)st.st_size : 0;
	while (e == OK && left > 0) {
		ssize_t n = read(fd, buf, left < CHUNK ? (size_t)left : CHUNK);

		if (n == 0 || (n < 0 && errno != EINTR))
			e = fault_set(f, ERR_IO, "%s changed while it was read", m->path);
		else if (n > 0) {
			e = file_write_all(out, buf, (size_t)n);
			left -= (uint64_t)n;
		}
	}
	if (e == OK)
		e = file_write_all(out, zeros, (PACK_BLOCK - (uint64_t)st.st_size % PACK_BLOCK) %
		    PACK_BLOCK);
	(void)close(fd);
	return e;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct pack_member *)a)->name, ((const struct pack_member *)b)->name);
}

static enum err
put_all(int fd, const struct pack_member *m, size_t count, struct fault *f)
{
	uint8_t *buf = calloc(1, CHUNK);
	enum err e = buf != NULL ? OK : ERR_NOMEM;
	size_t i;

	for (i = 0; e == OK && i < count; i++) {
		if (!pack_name_fits(m[i].name))
			e = fault_set(f, ERR_INVAL,
			    "the name %s cannot be packed: only A-Z a-z 0-9 . _ - "
			    "in its parts, and at most 100 bytes behind a slash",
			    m[i].name);
		else if (i > 0 && strcmp(m[i - 1].name, m[i].name) == 0)
			e = fault_set(f, ERR_EXISTS, "the name %s comes twice", m[i].name);
		else
			e = put_member(fd, &m[i], buf, f);
	}
	if (e == OK) {
		memset(buf, 0, 2 * PACK_BLOCK);
		e = file_write_all(fd, buf, 2 * PACK_BLOCK);
	}
	free(buf);
	return e;
}

enum err
pack_write(const char *out_path, struct pack_member *members, size_t count, struct fault *f)
{
	char tmp[4096];
	int fd, n = snprintf(tmp, sizeof tmp, "%s.tmp", out_path);
	enum err e;

	if (n < 0 || (size_t)n >= sizeof tmp)
		return fault_set(f, ERR_TOOBIG, "the path %s is too long", out_path);
	qsort(members, count, sizeof *members, by_name);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return fault_sys(f, errno, "cannot make %s", tmp);
	e = put_all(fd, members, count, f);
	if (e == OK)
		e = file_sync(fd);
	if (close(fd) != 0 && e == OK)
		e = err_from_errno(errno);
	if (e == OK && rename(tmp, out_path) != 0)
		e = err_from_errno(errno);
	if (e != OK) {
		(void)unlink(tmp);
		return fault_set(f, e, "cannot write %s: %s", out_path, err_text(e));
	}
	return OK;
}
