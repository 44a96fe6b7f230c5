/* unzip.c - see unzip.h */
#include "unzip.h"

#include "base/limits.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

struct unzip {
	ZSTD_DCtx *z;
	int in, out;
	uint8_t *read, *written;
	size_t read_size, write_size;
	uint64_t left;
	bool ended; /* a frame is complete: nothing may follow */
};

static enum err
decode(struct unzip *u, size_t n, struct fault *f)
{
	ZSTD_inBuffer in = { u->read, n, 0 };
	bool more = true; /* input left, or output that did not fit */

	while (more) {
		ZSTD_outBuffer out = { u->written, u->write_size, 0 };
		size_t k;
		enum err e;

		if (u->ended)
			return fault_set(f, ERR_PARSE, "bytes follow the compressed copy");
		k = ZSTD_decompressStream(u->z, &out, &in);
		if (ZSTD_isError(k))
			return fault_set(f, ERR_PARSE, "zstd: %s", ZSTD_getErrorName(k));
		if (out.pos > u->left)
			return fault_set(
			    f, ERR_TOOBIG, "the compressed copy holds more than was signed");
		u->left -= out.pos;
		u->ended = k == 0;
		e = file_write_all(u->out, u->written, out.pos);
		if (e != OK)
			return fault_set(f, e, "cannot write the unpacked copy: %s", err_text(e));
		more = in.pos < in.size || (out.pos == out.size && !u->ended);
	}
	return OK;
}

static enum err
run(struct unzip *u, const atomic_bool *cancel, struct fault *f)
{
	enum err e = OK;

	while (e == OK) {
		ssize_t n = read(u->in, u->read, u->read_size);

		if (n < 0 && errno != EINTR)
			return fault_sys(f, errno, "cannot read the compressed copy");
		if (n == 0)
			return u->ended ? OK
					: fault_set(f, ERR_PARSE, "the compressed copy is cut");
		if (cancel != NULL && atomic_load(cancel))
			return fault_set(f, ERR_CANCELED, "stopped on request");
		if (n > 0)
			e = decode(u, (size_t)n, f);
	}
	return e;
}

static enum err
set_up(struct unzip *u, const char *in_path, const char *out_path, struct fault *f)
{
	u->read_size = ZSTD_DStreamInSize();
	u->write_size = ZSTD_DStreamOutSize();
	u->read = malloc(u->read_size);
	u->written = malloc(u->write_size);
	u->z = ZSTD_createDCtx();
	if (u->read == NULL || u->written == NULL || u->z == NULL)
		return fault_set(f, ERR_NOMEM, "no memory to unpack a copy");
	/* zstd -9 and -19 use windows up to 8 MiB; more is a stranger's wish for our memory. */
	if (ZSTD_isError(ZSTD_DCtx_setParameter(u->z, ZSTD_d_windowLogMax, LIMIT_DELTA_WINDOW_LOG)))
		return fault_set(f, ERR_UNSUPPORTED, "this zstd cannot bound its window");
	u->in = open(in_path, O_RDONLY | O_CLOEXEC);
	if (u->in < 0)
		return fault_sys(f, errno, "cannot open %s", in_path);
	u->out = open(out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	return u->out >= 0 ? OK : fault_sys(f, errno, "cannot make %s", out_path);
}

enum err
unzip_file(const char *in_path, const char *out_path, uint64_t max, const atomic_bool *cancel,
    struct fault *f)
{
	struct unzip u = { .in = -1, .out = -1, .left = max };
	enum err e = set_up(&u, in_path, out_path, f);

	if (e == OK)
		e = run(&u, cancel, f);
	if (u.in >= 0)
		(void)close(u.in);
	if (u.out >= 0 && close(u.out) != 0 && e == OK)
		e = fault_sys(f, errno, "cannot write %s", out_path);
	ZSTD_freeDCtx(u.z);
	free(u.read);
	free(u.written);
	return e;
}
