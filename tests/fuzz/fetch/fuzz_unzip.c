/* Compressed full copies: whatever the file holds, never more comes out than was signed, and OK
 * means one whole frame. First byte: how much was signed, in steps of 16 bytes; the rest is the
 * file. */
#include "fuzz_steps.h"
#include "os/file.h"
#include "unzip.h"

#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64], in[80], out[80];

static void
remove_dir(void)
{
	(void)!file_remove_tree(AT_FDCWD, dir, NULL);
}

static void
make_dir(void)
{
	if (dir[0] != '\0')
		return;
	(void)snprintf(dir, sizeof dir, "/dev/shm/fuzz_unzip.XXXXXX");
	MUST(mkdtemp(dir) != NULL);
	(void)snprintf(in, sizeof in, "%s/in", dir);
	(void)snprintf(out, sizeof out, "%s/out", dir);
	(void)atexit(remove_dir);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault f = { OK, "" };
	uint64_t max;
	struct stat st;
	enum err e;
	int fd;

	if (size < 1)
		return 0;
	make_dir();
	max = (uint64_t)data[0] * 16;
	fd = open(in, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && file_write_all(fd, data + 1, size - 1) == OK && close(fd) == 0);
	e = unzip_file(in, out, max, NULL, &f);
	MUST(e == OK || e == ERR_PARSE || e == ERR_TOOBIG);
	MUST(e == OK || f.text[0] != '\0');
	MUST(stat(out, &st) == 0 && (uint64_t)st.st_size <= max);
	return 0;
}
