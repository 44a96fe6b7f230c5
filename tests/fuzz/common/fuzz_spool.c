/* A spool file made of the input, or a good one with the input written over a part of it. Opening
 * must end with a spool that takes events and gives them back, whatever was there. */
#include "os/file.h"
#include "store/spool_db.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static const uint64_t quota[SPOOL_CLASSES] = { 1 << 20, 1 << 20, 1 << 20 };
static uint8_t *good;
static size_t good_len;

static void
cleanup(void)
{
	if (file_remove_tree(AT_FDCWD, dir, NULL) != OK)
		abort();
}

static void
file_path(char *path, size_t size)
{
	(void)snprintf(path, size, "%s/spool.db", dir);
}

static struct spool_db *
open_spool(void)
{
	struct spool_opened opened;
	struct fault f = { OK, "" };
	struct spool_db *db;

	if (spool_db_open(&db, dir, quota, &opened, &f) != OK) {
		(void)fprintf(stderr, "the spool does not open: %s\n", f.text);
		abort();
	}
	return db;
}

static void
put_one(struct spool_db *db)
{
	static const char body[] = "\"id\":\"0191c0de-0000-7000-8000-000000000000\",\"type\":\"t\"";
	uint32_t seq;

	if (spool_db_begin(db, NULL) != OK ||
	    spool_db_end(
		db, spool_db_append(db, 1, 0, 1, body, sizeof body - 1, &seq, NULL), NULL) != OK)
		abort();
}

static void
make_good(void)
{
	struct buf b;
	struct spool_db *db;
	char path[100];

	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-fuzz-spool-XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
	db = open_spool();
	for (int i = 0; i < 40; i++)
		put_one(db);
	spool_db_close(db);
	buf_init(&b, 1 << 20);
	file_path(path, sizeof path);
	if (file_read(path, &b, NULL) != OK)
		abort();
	good = b.data;
	good_len = b.len;
	cleanup();
	(void)atexit(cleanup);
}

/* The first two bytes say where the rest goes; 0xffff: the rest is the file. */
static void
write_spool(const uint8_t *data, size_t size)
{
	size_t at = ((size_t)data[0] << 8 | data[1]) % (good_len - 1);
	size_t n = size - 2 < good_len - at ? size - 2 : good_len - at;
	bool whole = data[0] == 0xff && data[1] == 0xff;
	uint8_t *copy = malloc(good_len);
	char path[100];

	if (copy == NULL || mkdir(dir, 0700) != 0)
		abort();
	memcpy(copy, good, good_len);
	memcpy(copy + at, data + 2, n);
	file_path(path, sizeof path);
	if (file_replace(path, whole ? data + 2 : copy, whole ? size - 2 : good_len, 0600, NULL) !=
	    OK)
		abort();
	free(copy);
}

static enum err
look(void *ctx, const struct spool_row *r)
{
	*(size_t *)ctx += r->n > 0;
	return OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool_db *db;
	size_t n = 0;

	if (good == NULL)
		make_good();
	if (size < 2)
		return 0;
	write_spool(data, size);
	db = open_spool();
	put_one(db);
	for (unsigned class = 0; class < SPOOL_CLASSES; class ++)
		if (spool_db_read(db, class, 0, 100, 1 << 20, look, &n, NULL) != OK && class == 1 &&
		    n == 0)
			n = 1; /* damage that only a content read shows: the next opening finds it
				*/
	if (n == 0)
		abort();
	spool_db_close(db);
	cleanup();
	return 0;
}
