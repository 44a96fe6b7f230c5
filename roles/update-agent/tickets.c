#include "tickets.h"

#include "base/inject.h"
#include "base/limits.h"
#include "os/file.h"
#include "proto/ticket.h"
#include "update/hash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 256 /* records */

/* Of 128 bytes at places divisible by 128: a disk writes such a one whole or not. */
struct record {
	char ticket[TICKET_HEX];
	uint64_t size, number; /* number: counted from 1; 0 is an empty place */
	uint64_t spare[2];
};

_Static_assert(sizeof(struct record) == 128, "a record must not cross sectors");

enum err
tickets_init(struct tickets *t)
{
	t->dir = -1;
	return uv_mutex_init(&t->lock) == 0 ? OK : ERR_NOMEM;
}

void
tickets_free(struct tickets *t)
{
	uv_mutex_destroy(&t->lock);
}

/* The record of this ticket (NULL: none is looked for) and the highest number. */
static enum err
scan(int fd, const char *ticket, struct record *found, uint64_t *newest)
{
	struct record r[AT_ONCE];
	off_t at = 0;
	ssize_t n;

	found->number = *newest = 0;
	while ((n = pread(fd, r, sizeof(r), at)) >= (ssize_t)sizeof(r[0])) {
		size_t count = (size_t)n / sizeof(r[0]);

		for (size_t i = 0; i < count; i++) {
			if (r[i].number > *newest)
				*newest = r[i].number;
			if (ticket != NULL && r[i].number > found->number &&
			    memcmp(r[i].ticket, ticket, TICKET_HEX) == 0)
				*found = r[i];
		}
		at += (off_t)(count * sizeof(r[0]));
	}
	return n < 0 ? ERR_IO : OK;
}

enum err
tickets_find(struct tickets *t, const char *ticket, uint64_t *size)
{
	int fd = openat(t->dir, TICKETS_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct record found;
	uint64_t newest;
	enum err e;

	if (fd < 0)
		return err_from_errno(errno);
	e = scan(fd, ticket, &found, &newest);
	(void)close(fd);
	if (e != OK)
		return e;
	*size = found.size;
	return found.number != 0 ? OK : ERR_NOTFOUND;
}

static enum err
append(const struct tickets *t, int fd, const char *ticket, uint64_t size)
{
	struct record r = { .size = size }, none;
	uint64_t newest;
	enum err e = scan(fd, NULL, &none, &newest);
	off_t at;

	if (e != OK)
		return e;
	memcpy(r.ticket, ticket, TICKET_HEX);
	r.number = newest + 1;
	at = (off_t)(newest % LIMIT_DROPBOX_TICKETS * sizeof(r));
	if (pwrite(fd, &r, sizeof(r), at) != (ssize_t)sizeof(r))
		return ERR_IO;
	e = file_sync(fd);
	return e == OK && newest == 0 ? file_sync(t->dir) : e; /* the journal itself is new */
}

enum err
tickets_add(struct tickets *t, const char *ticket, uint64_t size)
{
	enum err e = inject("dropbox.ticket") ? ERR_IO : OK;
	int fd;

	if (e != OK)
		return e;
	uv_mutex_lock(&t->lock);
	fd = openat(t->dir, TICKETS_JOURNAL, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	e = fd >= 0 ? append(t, fd, ticket, size) : err_from_errno(errno);
	if (fd >= 0)
		(void)close(fd);
	uv_mutex_unlock(&t->lock);
	return e;
}

enum err
tickets_check(int fd, const char *ticket)
{
	char hex[HASH_SHA256_TEXT];
	enum err e = hash_file(fd, 0, UINT64_MAX, hex, NULL);

	if (e == OK && memcmp(hex, ticket + TICKET_OWN, HASH_SHA256_TEXT - 1) != 0)
		e = ERR_VERIFY;
	return e;
}
