/* spoolwork.c - the spool's work for the torture: appends, acknowledges, promises what is durable.
 *
 *   spoolwork run DIR PROMISES [LOG] [careless]
 *       48 commits of five events; each is promised by a line in PROMISES ("n" and LOG's size) once
 *       it is durable. careless promises first, which the torture must see.
 *   spoolwork check DIR
 *       prints "first last count" of what is there, or fails.
 *
 * Every eighth commit acknowledges what is older than ten events, as a delivery does. */
#include "base/text.h"
#include "store/spool_db.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMITS 48u
#define GROUP 5u
#define CLASS 2u

static const uint64_t quota[SPOOL_CLASSES] = { 1 << 20, 1 << 20, 1 << 20 };

struct work {
	struct spool_db *db;
	const char *log;
	int promises;
	bool careless;
};

static void
promise(struct work *w, uint32_t seq)
{
	struct stat s = { 0 };
	char line[64];
	int n;

	if (w->log != NULL)
		(void)stat(w->log, &s);
	n = snprintf(line, sizeof line, "%u %lld\n", seq, (long long)s.st_size);
	if (write(w->promises, line, (size_t)n) != n)
		(void)fprintf(stderr, "spoolwork: a promise was not written down\n");
}

static enum err
one_commit(struct work *w, unsigned i, uint32_t *seq, struct fault *f)
{
	char body[400];
	enum err e = spool_db_begin(w->db, f);

	if (e != OK)
		return e;
	memset(body, 'x', sizeof body);
	for (unsigned k = 0; e == OK && k < GROUP; k++)
		e = spool_db_append(w->db, CLASS, 0, 1000, body, sizeof body, seq, f);
	if (e == OK && i % 8 == 7 && *seq > 10)
		e = spool_db_ack(w->db, CLASS, *seq - 10, f);
	if (e == OK && w->careless)
		promise(w, *seq);
	return spool_db_end(w->db, e, f);
}

static int
run(struct work *w, const char *dir)
{
	struct spool_opened opened;
	struct fault f = { OK, "" };
	uint32_t seq = 0;
	enum err e = spool_db_open(&w->db, dir, quota, &opened, &f);

	for (unsigned i = 0; e == OK && i < COMMITS; i++) {
		e = one_commit(w, i, &seq, &f);
		if (e == OK && !w->careless)
			promise(w, seq);
	}
	if (e != OK)
		(void)fprintf(stderr, "spoolwork: %s\n", f.text);
	spool_db_close(w->db);
	return e == OK ? 0 : 1;
}

struct seen {
	uint32_t first, last, count;
};

static enum err
on_row(void *ctx, const struct spool_row *row)
{
	struct seen *s = ctx;

	if (s->count == 0)
		s->first = row->seq;
	s->last = row->seq;
	s->count++;
	return OK;
}

static int
check(const char *dir)
{
	struct spool_opened opened;
	struct seen s = { 0 };
	struct fault f = { OK, "" };
	struct spool_db *db;

	if (spool_db_open(&db, dir, quota, &opened, &f) != OK || opened.damaged) {
		(void)printf("damaged: %s%s\n", f.text, opened.damaged ? opened.why : "");
		return 1;
	}
	if (spool_db_read(db, CLASS, 0, 100000, 1 << 30, on_row, &s, &f) != OK) {
		(void)printf("unreadable: %s\n", f.text);
		return 1;
	}
	(void)printf("%u %u %u\n", s.first, s.last, s.count);
	spool_db_close(db);
	return 0;
}

int
main(int argc, char **argv)
{
	struct work w = { 0 };

	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return check(argv[2]);
	if (argc < 4 || strcmp(argv[1], "run") != 0) {
		(void)fprintf(stderr,
		    "usage: spoolwork run DIR PROMISES [LOG] [careless] | check DIR\n");
		return 2;
	}
	for (int i = 4; i < argc; i++) {
		if (strcmp(argv[i], "careless") == 0)
			w.careless = true;
		else
			w.log = argv[i];
	}
	w.promises = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return w.promises < 0 ? 1 : run(&w, argv[2]);
}
