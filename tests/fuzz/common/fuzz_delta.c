/* Deltas against a fixed base. First byte: 0 = the rest is a delta file; 1 = the rest is the
 * control of one, so that the fuzzer need not build zstd frames; 2 = the rest is packed
 * hexadecimal. */
#include "base/limits.h"
#include "update/delta_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char base[] =
    "alpha:1234:Name-1\nbeta:5678:Name-2\n0123456789abcdef0123456789abcdef\n";
#define BASE_LEN (sizeof base - 1)
#define NEW_MAX (1u << 20)

struct made {
	uint64_t bytes, want;
};

static enum err
on_header(void *arg, uint64_t old_len, uint64_t new_len)
{
	struct made *m = arg;

	if (old_len != BASE_LEN)
		abort();
	m->want = new_len;
	return new_len <= NEW_MAX ? OK : ERR_TOOBIG;
}

static enum err
on_read_old(void *arg, uint64_t from, uint8_t *p, size_t n)
{
	(void)arg;
	if (from > BASE_LEN || n > BASE_LEN - from)
		abort();
	memcpy(p, base + from, n);
	return OK;
}

static enum err
on_copy(void *arg, uint64_t from, uint64_t len)
{
	struct made *m = arg;

	if (from > BASE_LEN || len > BASE_LEN - from)
		abort();
	m->bytes += len;
	return m->bytes <= m->want ? OK : (abort(), OK);
}

static enum err
on_insert(void *arg, const uint8_t *p, size_t n)
{
	struct made *m = arg;
	volatile uint8_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum ^= p[i];
	m->bytes += n;
	return m->bytes <= m->want ? OK : (abort(), OK);
}

static void
whole(const uint8_t *p, size_t n)
{
	static const struct delta_sink sink = { on_header, on_read_old, on_copy, on_insert };
	struct delta_reader *r;
	struct made m = { 0 };
	size_t half = n / 2;

	if (delta_reader_new(&r, BASE_LEN, DELTA_ANY, &sink, &m) != OK)
		return;
	if (delta_reader_feed(r, p, half, NULL) == OK &&
	    delta_reader_feed(r, p + half, n - half, NULL) == OK &&
	    delta_reader_end(r, NULL) == OK && m.bytes != m.want)
		abort();
	delta_reader_free(r);
}

static void
control(const uint8_t *p, size_t n)
{
	struct delta_plan plan;
	struct delta_record rec;
	uint64_t made = 0, literals = 0, count = 0;
	uint8_t *prefix;
	size_t len;

	if (delta_plan_open(&plan, p, n, BASE_LEN, DELTA_ANY, NULL) != OK)
		return;
	prefix = malloc(LIMIT_DELTA_PREFIX);
	if (prefix != NULL && delta_plan_prefix(plan, prefix, &len, on_read_old, NULL) != OK)
		abort();
	free(prefix);
	while (delta_plan_next(&plan, &rec)) {
		if (rec.copy > 0 && (rec.from > BASE_LEN || rec.copy > BASE_LEN - rec.from))
			abort();
		made += rec.insert + rec.copy;
		literals += rec.insert;
		count++;
	}
	if (made != plan.new_len || literals != plan.literals || count != plan.count)
		abort();
}

static enum err
count_bytes(void *arg, const uint8_t *p, size_t n)
{
	(void)p;
	*(uint64_t *)arg += n;
	return *(uint64_t *)arg <= NEW_MAX ? OK : ERR_TOOBIG;
}

static void
packed(const uint8_t *p, size_t n)
{
	struct delta_unhex *u;
	uint64_t bytes = 0;

	if (delta_unhex_new(&u, count_bytes, &bytes) != OK)
		return;
	(void)(delta_unhex_feed(u, p, n) == OK && delta_unhex_done(u));
	delta_unhex_free(u);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 0)
		whole(data + 1, size - 1);
	else if (data[0] == 1)
		control(data + 1, size - 1);
	else if (data[0] == 2)
		packed(data + 1, size - 1);
	return 0;
}
