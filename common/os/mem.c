#include "os/mem.h"

#include "base/buf.h"
#include "base/text.h"
#include "os/file.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum err
mem_available(uint64_t *bytes)
{
	static const char name[] = "MemAvailable:";
	const char *at;
	struct buf b;
	enum err e;

	buf_init(&b, 65536);
	e = file_read("/proc/meminfo", &b, NULL);
	at = e == OK ? strstr(buf_text(&b), name) : NULL;
	if (e == OK && at == NULL)
		e = ERR_UNSUPPORTED;
	if (e == OK) {
		at += sizeof name - 1;
		at += strspn(at, " ");
		e = text_u64(at, strspn(at, "0123456789"), UINT64_MAX / 1024, bytes);
		*bytes *= 1024;
	}
	buf_free(&b);
	return e;
}

void
mem_one_heap(void)
{
#ifdef M_ARENA_MAX
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_TRIM_THRESHOLD, 65536);
#endif
}

enum err
mem_file(const char *name, const void *p, size_t n, int *fd)
{
	enum err e;

	*fd = memfd_create(name, MFD_CLOEXEC);
	if (*fd < 0)
		return err_from_errno(errno);
	e = file_write_all(*fd, p, n);
	if (e == OK && lseek(*fd, 0, SEEK_SET) != 0)
		e = ERR_IO;
	if (e != OK) {
		(void)close(*fd);
		*fd = -1;
	}
	return e;
}

void
mem_give_back(void)
{
	(void)malloc_trim(0);
}
