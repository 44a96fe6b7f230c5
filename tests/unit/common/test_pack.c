/* Packs: what the writer writes the reader reads, and nothing else. */
#include "os/file.h"
#include "update/hash.h"
#include "update/pack.h"
#include "update/pack_priv.h"

#include "test.h"

#include <stdio.h>
#include <unistd.h>

static char dir[64];

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-pack-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
drop_dir(void **state)
{
	(void)state;
	return file_remove_tree(-1, dir, NULL) == OK ? 0 : -1;
}

/* What a reader saw, as text: "name(size)=bytes;" */
static enum err
on_begin(void *arg, const char *name, uint64_t size)
{
	return buf_printf(arg, "%s(%llu)=", name, (unsigned long long)size);
}

static enum err
on_data(void *arg, const uint8_t *p, size_t n)
{
	return buf_append(arg, p, n);
}

static enum err
on_end(void *arg)
{
	return buf_puts(arg, ";");
}

static enum err
parse(const uint8_t *p, size_t n, size_t cut, uint64_t max_bytes, uint32_t max_files,
    struct buf *seen)
{
	static const struct pack_sink sink = { on_begin, on_data, on_end };
	struct pack_reader *r;
	struct fault f = { 0 };
	enum err e = pack_reader_new(&r, max_bytes, max_files, &sink, seen);

	buf_reset(seen);
	if (e == OK)
		e = pack_reader_feed(r, p, cut, &f);
	if (e == OK)
		e = pack_reader_feed(r, p + cut, n - cut, &f);
	if (e == OK)
		e = pack_reader_end(r, &f);
	pack_reader_free(r);
	return e;
}

/* A pack of two small members, by the writer's own header. */
static size_t
sample(uint8_t out[5 * PACK_BLOCK])
{
	memset(out, 0, 5 * PACK_BLOCK);
	assert_true(pack_header(out, "a/one.yar", 3));
	memcpy(out + PACK_BLOCK, "abc", 3);
	assert_true(pack_header(out + 2 * PACK_BLOCK, "b", 0));
	return 5 * PACK_BLOCK;
}

static void
cuts_anywhere(void **state)
{
	uint8_t p[5 * PACK_BLOCK];
	size_t n = sample(p), cut;
	struct buf seen;

	(void)state;
	buf_init(&seen, 4096);
	for (cut = 0; cut <= n; cut++) {
		assert_int_equal(parse(p, n, cut, 3, 2, &seen), OK);
		assert_string_equal(buf_text(&seen), "a/one.yar(3)=abc;b(0)=;");
		if (cut < n)
			assert_int_equal(parse(p, cut, cut / 2, 3, 2, &seen), ERR_PARSE);
	}
	assert_int_equal(parse(p, n, 0, 2, 2, &seen), ERR_TOOBIG);
	assert_int_equal(parse(p, n, 0, 3, 1, &seen), ERR_TOOBIG);
	buf_free(&seen);
}

/* Every byte of a header, set to every value with a right checksum, is refused unless it stands in
 * the name, the size or the checksum: no link, device, owner, time or mode gets through. */
static void
every_header_byte(void **state)
{
	uint8_t p[5 * PACK_BLOCK], plain[5 * PACK_BLOCK];
	size_t n = sample(plain), at;
	unsigned v, i, sum;
	struct buf seen;

	(void)state;
	buf_init(&seen, 65536);
	for (at = 0; at < PACK_BLOCK; at++) {
		for (v = 0; v < 256; v++) {
			memcpy(p, plain, n);
			p[at] = (uint8_t)v;
			memset(p + 148, ' ', 8);
			for (i = 0, sum = 0; i < PACK_BLOCK; i++)
				sum += p[i];
			(void)snprintf((char *)p + 148, 8, "%06o", sum);
			p[155] = ' ';
			if (parse(p, n, 0, 1 << 20, 2, &seen) != OK || p[at] == plain[at])
				continue;
			assert_true(
			    at < PACK_NAME_LEN || (at >= PACK_AT_SIZE && at < PACK_AT_SIZE + 12));
		}
	}
	buf_free(&seen);
}

static void
names(void **state)
{
	char long_ok[256], name[512];
	static const char *const good[] = { "a", "a.b-c_d/E.0", "x/y/z" };
	static const char *const bad[] = { "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b",
		"a/./b", "a b", "a\\b", "\xc3\xa9", "a\n" };
	uint8_t h[PACK_BLOCK];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(pack_name_fits(good[i]));
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(pack_name_fits(bad[i]));
	memset(long_ok, 'a', sizeof long_ok);
	long_ok[155] = '/';
	long_ok[255] = '\0';
	assert_true(pack_name_fits(long_ok)); /* 155 and 99 */
	long_ok[155] = 'a';
	long_ok[140] = '/';
	assert_false(pack_name_fits(long_ok)); /* 140 and 114 */
	memset(name, 'b', sizeof name);
	name[101] = '\0';
	assert_false(pack_name_fits(name)); /* no slash to split at */
	name[100] = '\0';
	assert_true(pack_name_fits(name));
	assert_false(pack_header(h, "a", 1ull << 33));
}

static void
hostile_packs(void **state)
{
	uint8_t p[6 * PACK_BLOCK];
	size_t n;
	struct buf seen;

	(void)state;
	buf_init(&seen, 4096);
	n = sample(p);
	p[PACK_BLOCK + 100] = 'x'; /* in the padding */
	assert_int_equal(parse(p, n, 0, 99, 9, &seen), ERR_PARSE);
	n = sample(p);
	memcpy(p, p + 2 * PACK_BLOCK, PACK_BLOCK); /* out of order, and data for an empty member */
	assert_int_equal(parse(p, n, 0, 99, 9, &seen), ERR_PARSE);
	n = sample(p);
	assert_true(pack_header(p + 2 * PACK_BLOCK, "a/one.yar", 0)); /* twice */
	assert_int_equal(parse(p, n, 0, 99, 9, &seen), ERR_PARSE);
	assert_true(pack_header(p + 2 * PACK_BLOCK, "Z", 0)); /* descending */
	assert_int_equal(parse(p, n, 0, 99, 9, &seen), ERR_PARSE);
	n = sample(p);
	memset(p + n, 0, PACK_BLOCK); /* a third zero block */
	assert_int_equal(parse(p, n + PACK_BLOCK, 0, 99, 9, &seen), ERR_PARSE);
	n = sample(p);
	p[4 * PACK_BLOCK] = 1; /* the second is none */
	assert_int_equal(parse(p, n, 0, 99, 9, &seen), ERR_PARSE);
	memset(p, 0, 2 * PACK_BLOCK); /* an empty pack is a pack */
	assert_int_equal(parse(p, 2 * PACK_BLOCK, 7, 99, 9, &seen), OK);
	assert_string_equal(buf_text(&seen), "");
	buf_free(&seen);
}

static void
writer_is_deterministic(void **state)
{
	char a[128], b[128], one[128], two[128];
	struct pack_member m[3] = { { "z/last", one }, { "a", two }, { "m.yar", one } };
	struct buf x, y, seen;
	char hex[HASH_SHA256_TEXT];

	(void)state;
	(void)snprintf(a, sizeof a, "%s/a.pack", dir);
	(void)snprintf(b, sizeof b, "%s/b.pack", dir);
	(void)snprintf(one, sizeof one, "%s/one", dir);
	(void)snprintf(two, sizeof two, "%s/two", dir);
	assert_int_equal(file_replace(one, "first\n", 6, 0755, NULL), OK);
	assert_int_equal(file_replace(two, "", 0, 0600, NULL), OK);
	assert_int_equal(pack_write(a, m, 3, NULL), OK);
	assert_int_equal(pack_write(b, m, 3, NULL), OK);
	buf_init(&x, 65536);
	buf_init(&y, 65536);
	buf_init(&seen, 65536);
	assert_int_equal(file_read(a, &x, NULL), OK);
	assert_int_equal(file_read(b, &y, NULL), OK);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	assert_int_equal(parse(x.data, x.len, 600, 99, 9, &seen), OK);
	assert_string_equal(buf_text(&seen), "a(0)=;m.yar(6)=first\n;z/last(6)=first\n;");
	/* the form is part of every signed hash: it must never change */
	hash_sha256_text(x.data, x.len, hex);
	assert_string_equal(hex,
	    "18de69ad03363c6a9f9e5de9a513f6789fbdd5c6ef4348f2f9574ad428c4efd2");
	m[1].name = "a";
	assert_int_equal(pack_write(b, m, 3, NULL), ERR_EXISTS);
	m[0].name = "../a";
	assert_int_equal(pack_write(b, m, 3, NULL), ERR_INVAL);
	m[0] = (struct pack_member) { "q", dir };
	assert_int_equal(pack_write(b, m, 3, NULL), ERR_INVAL);
	buf_free(&x);
	buf_free(&y);
	buf_free(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_anywhere),
		cmocka_unit_test(every_header_byte),
		cmocka_unit_test(names),
		cmocka_unit_test(hostile_packs),
		cmocka_unit_test(writer_is_deterministic),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
