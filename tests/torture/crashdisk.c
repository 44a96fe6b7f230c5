/* crashdisk.c - a disk that remembers: every write and flush in order, to be cut anywhere later.
 *
 *   crashdisk record MOUNTPOINT BASE LOG    a FUSE folder with one file "disk", for a loop device
 *   crashdisk count LOG                     prints the number of entries
 *   crashdisk replay BASE LOG OUT K SEED PERCENT
 *
 * OUT is the disk after a power cut behind entry K: what was written before the last flush is
 * there, of what was written since then each write with PERCENT probability (SEED). Log entry:
 * kind, offset, length as three u64 of this machine, then the bytes. */
#define FUSE_USE_VERSION 31
#include <fuse3/fuse.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRY_WRITE = 1, ENTRY_FLUSH = 2 };

struct entry {
	uint64_t kind, offset, length;
};

static char *image;
static size_t image_size;
static int log_fd;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static int
write_whole(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k <= 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* A log with a hole would call broken what is whole: better no run at all. */
static void
record(uint64_t kind, uint64_t offset, const char *data, uint64_t n)
{
	struct entry e = { kind, offset, n };

	if (write_whole(log_fd, (const char *)&e, sizeof e) != 0 ||
	    write_whole(log_fd, data, (size_t)n) != 0)
		abort();
}

static int
disk_getattr(const char *path, struct stat *s, struct fuse_file_info *f)
{
	memset(s, 0, sizeof *s);
	s->st_nlink = 1;
	if (strcmp(path, "/") == 0)
		s->st_mode = S_IFDIR | 0700;
	else if (strcmp(path, "/disk") == 0)
		s->st_mode = S_IFREG | 0600;
	else
		return -ENOENT;
	s->st_size = S_ISREG(s->st_mode) ? (off_t)image_size : 0;
	return 0;
}

static int
disk_readdir(const char *path, void *b, fuse_fill_dir_t fill, off_t at, struct fuse_file_info *f,
    enum fuse_readdir_flags flags)
{
	(void)fill(b, "disk", NULL, 0, 0);
	return 0;
}

static int
disk_open(const char *path, struct fuse_file_info *f)
{
	f->direct_io = 1; /* the loop device's writes, not those of our own page cache */
	return 0;
}

static int
disk_read(const char *path, char *b, size_t n, off_t at, struct fuse_file_info *f)
{
	size_t from = (size_t)at;

	if (from >= image_size)
		return 0;
	if (n > image_size - from)
		n = image_size - from;
	(void)pthread_mutex_lock(&order);
	memcpy(b, image + from, n);
	(void)pthread_mutex_unlock(&order);
	return (int)n;
}

static int
disk_write(const char *path, const char *b, size_t n, off_t at, struct fuse_file_info *f)
{
	size_t from = (size_t)at;

	if (from > image_size || n > image_size - from)
		return -ENOSPC;
	(void)pthread_mutex_lock(&order);
	memcpy(image + from, b, n);
	record(ENTRY_WRITE, from, b, n);
	(void)pthread_mutex_unlock(&order);
	return (int)n;
}

static int
disk_fsync(const char *path, int data_only, struct fuse_file_info *f)
{
	(void)pthread_mutex_lock(&order);
	record(ENTRY_FLUSH, 0, NULL, 0);
	(void)pthread_mutex_unlock(&order);
	return 0;
}

static char *
read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat s;
	size_t have = 0;
	char *p;

	if (fd < 0 || fstat(fd, &s) != 0 || (p = malloc((size_t)s.st_size + 1)) == NULL) {
		perror(path);
		exit(1);
	}
	while (have < (size_t)s.st_size) {
		ssize_t k = read(fd, p + have, (size_t)s.st_size - have);

		if (k <= 0)
			break;
		have += (size_t)k;
	}
	(void)close(fd);
	*size = have;
	return p;
}

struct entries {
	const char *bytes;
	size_t size, at;
};

/* The next whole entry, or 0; its bytes at *data. */
static int
next_entry(struct entries *l, struct entry *e, const char **data)
{
	if (l->size - l->at < sizeof *e)
		return 0;
	memcpy(e, l->bytes + l->at, sizeof *e);
	if (e->length > l->size - l->at - sizeof *e)
		return 0;
	*data = l->bytes + l->at + sizeof *e;
	l->at += sizeof *e + (size_t)e->length;
	return 1;
}

static int
count(const char *log)
{
	struct entries l = { 0 };
	unsigned long n = 0;
	const char *data;
	struct entry e;

	l.bytes = read_file(log, &l.size);
	while (next_entry(&l, &e, &data))
		n++;
	(void)printf("%lu\n", n);
	return 0;
}

static long
last_flush_before(struct entries l, long k)
{
	long last = -1, i;
	const char *data;
	struct entry e;

	for (i = 0; i < k && next_entry(&l, &e, &data); i++)
		if (e.kind == ENTRY_FLUSH)
			last = i;
	return last;
}

static int
replay(char **v)
{
	long k = strtol(v[3], NULL, 10), percent = strtol(v[5], NULL, 10), flushed, i;
	struct entries l = { 0 };
	size_t size;
	char *disk = read_file(v[0], &size);
	const char *data;
	struct entry e;
	int fd;

	l.bytes = read_file(v[1], &l.size);
	srandom((unsigned)strtoul(v[4], NULL, 10));
	flushed = last_flush_before(l, k);
	for (i = 0; i < k && next_entry(&l, &e, &data); i++)
		if (e.kind == ENTRY_WRITE && e.offset <= size && e.length <= size - e.offset &&
		    (i < flushed || random() % 100 < percent))
			memcpy(disk + e.offset, data, (size_t)e.length);
	fd = open(v[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write_whole(fd, disk, size) != 0 || close(fd) != 0) {
		perror(v[2]);
		return 1;
	}
	return 0;
}

static int
serve(char *self, char *mountpoint, const char *base, const char *log)
{
	static const struct fuse_operations operations = { .getattr = disk_getattr,
		.readdir = disk_readdir, .open = disk_open, .read = disk_read, .write = disk_write,
		.fsync = disk_fsync };
	char foreground[] = "-f", single[] = "-s";
	char *argv[] = { self, mountpoint, foreground, single, NULL };

	image = read_file(base, &image_size);
	log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0) {
		perror(log);
		return 1;
	}
	return fuse_main(4, argv, &operations, NULL);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "count") == 0)
		return count(argv[2]);
	if (argc == 8 && strcmp(argv[1], "replay") == 0)
		return replay(argv + 2);
	if (argc == 5 && strcmp(argv[1], "record") == 0)
		return serve(argv[0], argv[2], argv[3], argv[4]);
	(void)fprintf(stderr, "usage: crashdisk record MOUNTPOINT BASE LOG | count LOG | "
			      "replay BASE LOG OUT K SEED PERCENT\n");
	return 2;
}
