/* replay.c - main() for a fuzz target without libFuzzer: runs every file of the given folders once,
 * and each of their prefixes when a file is short, so that cuts at every byte are tried as well. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target whose inputs take long has its own: 0 for none. */
size_t fuzz_prefixes_up_to(void);

#define INPUT_MAX_BYTES (1u << 20)

static uint8_t input[INPUT_MAX_BYTES];

__attribute__((weak)) size_t
fuzz_prefixes_up_to(void)
{
	return 512;
}

/* A copy of exact size on the heap, so that ASan sees a read past the end. */
static void
run_one(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		exit(1);
	memcpy(copy, p, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static int
run_file(const char *dir, const char *name)
{
	char path[4096];
	size_t n, cut;
	FILE *in;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	in = fopen(path, "rb");
	if (in == NULL) {
		perror(path);
		return 1;
	}
	n = fread(input, 1, sizeof input, in);
	(void)fclose(in);
	run_one(input, n);
	for (cut = 0; n <= fuzz_prefixes_up_to() && cut < n; cut++)
		run_one(input, cut);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned files = 0;
	int bad = 0, i;

	for (i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		struct dirent *entry;

		if (d == NULL) {
			perror(argv[i]);
			return 1;
		}
		while ((entry = readdir(d)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			bad |= run_file(argv[i], entry->d_name);
			files++;
		}
		(void)closedir(d);
	}
	(void)printf("%s: %u inputs replayed\n",
	    strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0], files);
	return bad;
}
