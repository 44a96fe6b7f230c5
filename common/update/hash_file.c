/* hash_file.c - see hash_file.h. */
#include "update/hash_file.h"

#include "base/text.h"

#include <errno.h>
#include <unistd.h>

#define PIECE 65536

enum err
hash_file(int fd, uint64_t from, uint64_t max, char hex[HASH_SHA256_TEXT], uint64_t *n)
{
	uint8_t piece[PIECE], sum[HASH_SHA256_LEN];
	struct hash h;
	uint64_t done = 0;
	ssize_t got = 1;

	hash_init(&h, HASH_SHA256);
	while (got > 0 && done < max) {
		size_t want = max - done < PIECE ? (size_t)(max - done) : PIECE;

		got = pread(fd, piece, want, (off_t)(from + done));
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0) {
			hash_update(&h, piece, (size_t)got);
			done += (uint64_t)got;
		}
	}
	hash_final(&h, sum);
	text_hex(hex, sum, sizeof(sum));
	if (n != NULL)
		*n = done;
	return got < 0 ? ERR_IO : OK;
}
