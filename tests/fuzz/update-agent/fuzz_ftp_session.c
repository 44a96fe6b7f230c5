/* Bytes of a control connection: no crash, no control byte echoed, every line one final reply. */
#include "ftp_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_clean(const struct buf *b)
{
	size_t i;

	for (i = 0; i < b->len; i++) {
		uint8_t c = b->data[i];

		if (c == '\n' || (c == '\r' && i + 1 < b->len && b->data[i + 1] == '\n'))
			continue;
		if (c < 0x20 || c == 0x7f)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ftp_play p;
	unsigned flags = size > 0 ? data[0] : 0;

	ftp_play_open(&p, (flags & 1) != 0, (flags & 2) != 0);
	if ((flags & 4) != 0)
		ftp_play_bytes(&p, "USER ftp\r\nPASS x\r\n", 18);
	if (size > 1)
		ftp_play_bytes(&p, data + 1, size - 1);
	check_clean(&p.transcript);
	ftp_play_close(&p);
	return 0;
}
