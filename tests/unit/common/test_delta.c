/* Deltas: every pair of files comes back byte for byte, and nothing hostile gets through. */
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/delta.h"
#include "update/delta_priv.h"
#include "update/hash.h"

#include "test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static char dir[64];

static const char *
in_dir(const char *name)
{
	static char paths[64][128];
	static unsigned next;
	char *p = paths[next++ % 64];

	(void)snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-delta-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
drop_dir(void **state)
{
	(void)state;
	return file_remove_tree(-1, dir, NULL) == OK ? 0 : -1;
}

static void
put(const char *name, const void *p, size_t n)
{
	assert_int_equal(file_replace(in_dir(name), p, n, 0600, NULL), OK);
}

/* Repeatable bytes. */
static uint32_t seed;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 8) * below) >> 24);
}

static enum err
apply(const char *old, const char *const *deltas, size_t count, const void *want, size_t n,
    struct delta_apply *a)
{
	uint8_t sum[32];
	struct fault f = { 0 };
	enum err e;

	hash_once(HASH_SHA256, want, n, sum);
	*a = (struct delta_apply) { .old_path = in_dir(old), .deltas = deltas, .delta_count = count,
		.out_path = in_dir("out"), .new_len = n, .new_sha256 = sum };
	e = delta_apply(a, &f);
	if (e != OK)
		assert_true(fault_text(&f)[0] != '\0');
	return e;
}

static void
check_out(const void *want, size_t n)
{
	struct buf b;

	buf_init(&b, 64u << 20);
	assert_int_equal(file_read(in_dir("out"), &b, NULL), OK);
	assert_int_equal(b.len, n);
	if (n > 0)
		assert_memory_equal(b.data, want, n);
	buf_free(&b);
}

/* Makes, applies and compares; answers the delta's size. */
static uint64_t
round_trip(const void *old, size_t old_n, const void *new, size_t new_n)
{
	struct delta_make m = { 0 };
	struct delta_apply a;
	const char *delta = in_dir("delta");

	put("old", old, old_n);
	put("new", new, new_n);
	m.old_path = in_dir("old");
	m.new_path = in_dir("new");
	m.out_path = delta;
	assert_int_equal(delta_make(&m, NULL), OK);
	assert_int_equal(m.copied + m.inserted, new_n);
	assert_int_equal(apply("old", &delta, 1, new, new_n, &a), OK);
	assert_int_equal(a.passes, 1);
	check_out(new, new_n);
	return m.delta_len;
}

static void
small_pairs(void **state)
{
	static const struct {
		const char *old, *new;
	} pairs[] = {
		{ "", "" },
		{ "", "a" },
		{ "a", "" },
		{ "one\ntwo\nthree\n", "one\ntwo\nthree\n" },
		{ "one\ntwo\nthree\n", "one\nthree\n" },
		{ "one\ntwo\nthree\n", "zero\none\ntwo\n2.5\nthree\nfour" },
		{ "no line end", "no line end at all" },
		{ "a long line that moves to the end of it\nb long line that stays where it was\n",
		    "b long line that stays where it was\na long line that moves to the end of "
		    "it\n" },
		{ "x\n", "\001\001\002\001" },
		{ "x\n", "0123456789abcdef0123456789abcdef:1:a\n\0010123456789abcdef\001\n" },
		{ "x\n", "0123456789abcdef0" },
		{ "\n\n\n\n\n\n\n\n", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		round_trip(pairs[i].old, strlen(pairs[i].old), pairs[i].new, strlen(pairs[i].new));
		round_trip(pairs[i].new, strlen(pairs[i].new), pairs[i].old, strlen(pairs[i].old));
	}
}

/* One line of a hash list; its length. */
static size_t
hash_line(char *out, uint32_t a, unsigned b)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < 32; i++)
		out[i] = digits[(i < 6 ? a >> (4 * i) : rnd(16)) & 15];
	return 32 + (size_t)snprintf(out + 32, 40, ":%u:Win.Trojan.Name-%u\n", a & 65535, b);
}

/* Edits a text of lines: removes, inserts, changes and moves a few. */
static size_t
edit(const char *old, size_t n, char *new, unsigned edits)
{
	size_t at = 0, out = 0;

	while (at < n) {
		const char *nl = memchr(old + at, '\n', n - at);
		size_t len = nl != NULL ? (size_t)(nl - old) + 1 - at : n - at;
		uint32_t what = rnd(2000);

		if (what < edits)
			out += hash_line(new + out, rnd(1u << 24), what);
		if (what >= edits || (what & 1) == 0) {
			memcpy(new + out, old + at, len);
			out += len;
		}
		at += len;
	}
	return out;
}

static void
long_lists(void **state)
{
	size_t cap = 8u << 20, n = 0, m;
	char *old = malloc(cap), *new = malloc(cap);
	uint64_t size;
	unsigned i;

	(void)state;
	assert_non_null(old);
	assert_non_null(new);
	seed = 7;
	for (i = 0; i < 40000; i++)
		n += hash_line(old + n, rnd(1u << 24), i);
	m = edit(old, n, new, 10);
	size = round_trip(old, n, new, m);
	assert_true(size < 20000); /* about 200 lines of 60 bytes, of which 16 are random */
	free(old);
	free(new);
}

static void
binaries(void **state)
{
	size_t n = 300000, i, m;
	uint8_t *old = malloc(n + 1), *new = malloc(n + 2000);
	uint64_t size;

	(void)state;
	seed = 3;
	for (i = 0; i < n; i++)
		old[i] = (uint8_t)rnd(256);
	memcpy(new, old, 100000);
	for (m = 100000; m < 101000; m++)
		new[m] = (uint8_t)rnd(256);
	memcpy(new + m, old + 150000, n - 150000);
	m += n - 150000;
	memcpy(new + m, old + 120000, 500);
	size = round_trip(old, n, new, m + 500);
	assert_true(size < 1500);
	round_trip(old, n, "", 0);
	round_trip("", 0, old, n);
	free(old);
	free(new);
}

static void
chains_are_composed(void **state)
{
	enum { STEPS = 8 };
	size_t cap = 2u << 20, n[STEPS + 1], i;
	char *v[STEPS + 1];
	char names[STEPS][16];
	const char *deltas[STEPS];
	char kept[STEPS][128];
	struct delta_apply a;

	(void)state;
	seed = 11;
	for (i = 0; i <= STEPS; i++) {
		unsigned k;

		v[i] = malloc(cap);
		assert_non_null(v[i]);
		n[i] = 0;
		if (i > 0)
			n[i] = edit(v[i - 1], n[i - 1], v[i], 40);
		for (k = 0; i == 0 && k < 5000; k++)
			n[0] += hash_line(v[0] + n[0], rnd(1u << 24), k);
	}
	put("v0", v[0], n[0]);
	for (i = 0; i < STEPS; i++) {
		struct delta_make m = { 0 };

		put("a", v[i], n[i]);
		put("b", v[i + 1], n[i + 1]);
		(void)snprintf(names[i], sizeof names[i], "d%zu", i);
		(void)snprintf(kept[i], sizeof kept[i], "%s", in_dir(names[i]));
		deltas[i] = kept[i];
		m.old_path = in_dir("a");
		m.new_path = in_dir("b");
		m.out_path = deltas[i];
		assert_int_equal(delta_make(&m, NULL), OK);
		assert_int_equal(apply("v0", deltas, i + 1, v[i + 1], n[i + 1], &a), OK);
		assert_int_equal(a.passes, 1);
		check_out(v[i + 1], n[i + 1]);
	}
	/* a delta is left out: nothing is left behind */
	deltas[3] = deltas[4];
	assert_int_equal(apply("v0", deltas, STEPS, v[STEPS], n[STEPS], &a), ERR_VERIFY);
	assert_false(file_exists(in_dir("out.step0")) || file_exists(in_dir("out.pool")));
	for (i = 0; i <= STEPS; i++)
		free(v[i]);
}

/* More records than are composed in memory: the chain is applied in several passes. */
static void
chains_of_many_records(void **state)
{
	enum { LINES = 200000, LINE = 40 };
	size_t n = (size_t)LINES * LINE, i;
	char *v[3];
	const char *deltas[2];
	char kept[2][128];
	struct delta_apply a;

	(void)state;
	seed = 5;
	for (i = 0; i < 3; i++) {
		v[i] = malloc(n);
		assert_non_null(v[i]);
	}
	for (i = 0; i < n; i++)
		v[0][i] = (char)(i % LINE == LINE - 1 ? '\n' : 'a' + (int)rnd(26));
	/* lines shorter than what a maker keeps are glued in pairs: 64 bytes copied, 16 changed */
	memcpy(v[1], v[0], n);
	for (i = 0; i < n; i += 2 * LINE)
		v[1][i + 2] = '#';
	memcpy(v[2], v[1], n);
	for (i = LINE; i + 4 < n; i += 2 * LINE)
		v[2][i + 20] = '#';
	put("v0", v[0], n);
	for (i = 0; i < 2; i++) {
		struct delta_make m = { .level = 1 };

		put("a", v[i], n);
		put("b", v[i + 1], n);
		(void)snprintf(kept[i], sizeof kept[i], "%s", in_dir(i == 0 ? "d0" : "d1"));
		deltas[i] = kept[i];
		m.old_path = in_dir("a");
		m.new_path = in_dir("b");
		m.out_path = deltas[i];
		assert_int_equal(delta_make(&m, NULL), OK);
	}
	assert_int_equal(apply("v0", deltas, 2, v[2], n, &a), OK);
	assert_int_equal(a.passes, 2);
	check_out(v[2], n);
	for (i = 0; i < 3; i++)
		free(v[i]);
}

static void
refusals_of_apply(void **state)
{
#define LONG_LINE                                                                                  \
	"alpha is a line that is long enough to be copied by every way of cutting records, "       \
	"which means that it has more than a hundred bytes\n"
	static const char old[] = LONG_LINE "beta\ngamma\n",
			  new[] = LONG_LINE "beta and more\ngamma\n";
	char kept[128];
	const char *delta = kept;
	struct delta_apply a;
	uint8_t sum[32] = { 0 };
	atomic_bool cancel = true;
	struct buf b;

	(void)state;
	(void)snprintf(kept, sizeof kept, "%s", in_dir("delta"));
	round_trip(old, sizeof old - 1, new, sizeof new - 1);
	(void)unlink(in_dir("out"));
	put("old", "A" LONG_LINE "beta\ngamma",
	    sizeof old - 1); /* another base of the same length */
	assert_int_equal(apply("old", &delta, 1, new, sizeof new - 1, &a), ERR_VERIFY);
	assert_false(file_exists(in_dir("out")));
	put("old", old, sizeof old - 2);
	assert_int_equal(apply("old", &delta, 1, new, sizeof new - 1, &a), ERR_VERIFY);
	put("old", old, sizeof old - 1);
	assert_int_equal(apply("old", &delta, 1, new, sizeof new - 2, &a), ERR_VERIFY);
	assert_int_equal(apply("absent", &delta, 1, new, sizeof new - 1, &a), ERR_NOTFOUND);
	a.new_sha256 = sum;
	a.old_path = in_dir("old");
	a.new_len = sizeof new - 1;
	assert_int_equal(delta_apply(&a, NULL), ERR_VERIFY);
	a.cancel = &cancel;
	assert_int_equal(delta_apply(&a, NULL), ERR_CANCELED);
	assert_false(file_exists(in_dir("out")));
	a.delta_count = 0;
	assert_int_equal(delta_apply(&a, NULL), ERR_INVAL);
	/* one byte too many, and every cut */
	buf_init(&b, 65536);
	assert_int_equal(file_read(delta, &b, NULL), OK);
	assert_int_equal(buf_append(&b, "", 1), OK);
	put("delta", b.data, b.len);
	assert_int_equal(apply("old", &delta, 1, new, sizeof new - 1, &a), ERR_PARSE);
	for (b.len -= 2; b.len > 0; b.len--) {
		put("delta", b.data, b.len);
		assert_int_equal(apply("old", &delta, 1, new, sizeof new - 1, &a), ERR_PARSE);
	}
	buf_free(&b);
}

/* ---- hostile control, by hand ---- */

static const uint8_t base[] = "0123456789";

static enum err
fake_read(void *arg, uint64_t from, uint8_t *p, size_t n)
{
	(void)arg;
	assert_true(from + n <= sizeof base - 1);
	memcpy(p, base + from, n);
	return OK;
}

static enum err
fake_copy(void *arg, uint64_t from, uint64_t len)
{
	assert_true(from + len <= sizeof base - 1);
	*(uint64_t *)arg += len;
	return OK;
}

static enum err
fake_insert(void *arg, const uint8_t *p, size_t n)
{
	(void)p;
	*(uint64_t *)arg += n;
	return OK;
}

static enum err
decode(const uint8_t *p, size_t n, uint64_t old_len, uint64_t new_len)
{
	static const struct delta_sink sink = { NULL, fake_read, fake_copy, fake_insert };
	struct delta_reader *r;
	uint64_t made = 0;
	enum err e;

	assert_int_equal(delta_reader_new(&r, old_len, new_len, &sink, &made), OK);
	e = delta_reader_feed(r, p, n, NULL);
	if (e == OK)
		e = delta_reader_end(r, NULL);
	delta_reader_free(r);
	assert_true(made <= 64);
	return e;
}

static void
hostile_control(void **state)
{
	static const struct {
		const char *why, *control, *literals; /* after "ATD1"; up to the first byte 0xee */
		enum err want;
	} cases[] = {
		{ "copies everything", "\0\12\12\0\1\0\12\0\xee", NULL, OK },
		{ "insert and copy", "\0\12\6\0\1\2\4\14\xee", "ab", OK },
		{ "backwards", "\0\12\24\0\2\0\0\12\12\0\23\xee", NULL, OK },
		{ "hex", "\1\12\4\0\1\4\0\xee", "\2\2\1\2\xab\xcd", ERR_PARSE },
		{ "unknown flag", "\2\12\12\0\1\0\12\0\xee", NULL, ERR_PARSE },
		{ "other old length", "\0\11\12\0\1\0\12\0\xee", NULL, ERR_VERIFY },
		{ "new length past the limit", "\0\12\x81\x80\x80\x80\x10\0\1\0\12\0\xee", NULL,
		    ERR_VERIFY },
		{ "context past the limit", "\0\12\12\x81\x80\4\1\0\12\0\xee", NULL, ERR_PARSE },
		{ "too many records", "\0\12\12\0\x81\x80\x08\0\12\0\xee", NULL, ERR_PARSE },
		{ "long varint", "\0\12\x8a\0\0\1\0\12\0\xee", NULL, ERR_PARSE },
		{ "empty record", "\0\12\12\0\2\0\0\12\0\0\xee", NULL, ERR_PARSE },
		{ "past the old file", "\0\12\12\0\1\0\12\2\xee", NULL, ERR_VERIFY },
		{ "before the old file", "\0\12\12\0\1\0\12\1\xee", NULL, ERR_VERIFY },
		{ "past the new file", "\0\12\11\0\1\0\12\0\xee", NULL, ERR_VERIFY },
		{ "short of the new file", "\0\12\13\0\1\0\12\0\xee", NULL, ERR_VERIFY },
		{ "cut in inserts", "\0\12\12\0\2\0\xee", NULL, ERR_PARSE },
		{ "cut in skips", "\0\12\12\0\1\0\12\xee", NULL, ERR_PARSE },
		{ "rest behind", "\0\12\12\0\1\0\12\0\0\xee", NULL, ERR_PARSE },
		{ "no literals", "\0\12\2\0\1\2\0\xee", NULL, ERR_PARSE },
		{ "few literals", "\0\12\2\0\1\2\0\xee", "a", ERR_PARSE },
		{ "many literals", "\0\12\2\0\1\2\0\xee", "abc", ERR_PARSE },
		{ "literals for nothing", "\0\12\12\0\1\0\12\0\xee", "a", ERR_PARSE },
		{ "huge insert", "\0\12\2\0\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0\xee", "ab",
		    ERR_VERIFY },
		{ "huge copy", "\0\12\2\0\1\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0\xee", "a",
		    ERR_VERIFY },
		{ "huge skip", "\0\12\2\0\1\0\2\xff\xff\xff\xff\xff\xff\xff\xff\x7f\xee", NULL,
		    ERR_VERIFY },
	};
	uint8_t control[64], out[512];
	size_t i, n, z;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (n = 0; (uint8_t)cases[i].control[n] != 0xee; n++)
			control[4 + n] = (uint8_t)cases[i].control[n];
		memcpy(control, "ATD1", 4);
		z = ZSTD_compress(out, 256, control, n + 4, 1);
		if (cases[i].literals != NULL)
			z += ZSTD_compress(
			    out + z, 256, cases[i].literals, strlen(cases[i].literals), 1);
		if (decode(out, z, 10, DELTA_ANY) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_word(decode(out, z, 10, DELTA_ANY)));
	}
	assert_int_equal(decode((const uint8_t *)"", 0, 10, 10), ERR_PARSE);
	assert_int_equal(decode((const uint8_t *)"ATD1", 4, 10, 10), ERR_PARSE);
}

/* A small file that would become 64 MiB of control, and a frame that asks for a window of 128 MiB.
 */
static void
bombs(void **state)
{
	size_t n = 64u << 20, z, cap = ZSTD_compressBound(n);
	uint8_t *zeros = calloc(1, n), *out = malloc(cap);
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer in = { zeros, n, 0 };
	ZSTD_outBuffer ob = { out, cap, 0 };

	(void)state;
	assert_non_null(zeros);
	memcpy(zeros, "ATD1", 4);
	z = ZSTD_compress(out, cap, zeros, n, 1);
	assert_int_equal(decode(out, z, 10, DELTA_ANY), ERR_PARSE);
	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 27);
	while (ZSTD_compressStream2(c, &ob, &in, ZSTD_e_end) != 0)
		continue;
	assert_int_equal(decode(out, ob.pos, 10, DELTA_ANY), ERR_PARSE);
	ZSTD_freeCCtx(c);
	free(zeros);
	free(out);
}

/* ---- hexadecimal packing ---- */

static enum err
collect(void *arg, const uint8_t *p, size_t n)
{
	return buf_append(arg, p, n);
}

static void
hex_chunks(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *out; /* NULL: refused */
	} cases[] = {
		{ "\0\3abc", 5, "abc" },
		{ "\2\3\xab\x0c\1\2x", 7, "ab0cx" },
		{ "\0\4a\1\0b", 6, "a\1b" },
		{ "\1\2\xff\1\1\0\1z", 8, "ffz" },
		{ "\0\0", 2, NULL },
		{ "\1\0\xff", 3, NULL },
		{ "\1\1\xff" "a", 4, NULL },        /* hex that nobody uses */
		{ "\1\2\xff\1\2", 5, NULL },        /* more than there is */
		{ "\0\1\1", 3, NULL },              /* a mark that crosses the chunk */
		{ "\x80\x80\x40\1", 4, NULL },      /* past the limit */
		{ "\x80\0\1a", 4, NULL },           /* longer than needed */
	};
	struct delta_unhex *u;
	struct buf b;
	size_t i, cut;

	(void)state;
	buf_init(&b, 1024);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (cut = 0; cut <= cases[i].n; cut++) {
			enum err e;

			buf_reset(&b);
			assert_int_equal(delta_unhex_new(&u, collect, &b), OK);
			e = delta_unhex_feed(u, (const uint8_t *)cases[i].in, cut);
			if (e == OK)
				e = delta_unhex_feed(
				    u, (const uint8_t *)cases[i].in + cut, cases[i].n - cut);
			if (e == OK && !delta_unhex_done(u))
				e = ERR_PARSE;
			delta_unhex_free(u);
			assert_int_equal(e, cases[i].out != NULL ? OK : ERR_PARSE);
			if (cases[i].out != NULL)
				assert_string_equal(buf_text(&b), cases[i].out);
		}
	}
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pairs),
		cmocka_unit_test(long_lists),
		cmocka_unit_test(binaries),
		cmocka_unit_test(chains_are_composed),
		cmocka_unit_test(chains_of_many_records),
		cmocka_unit_test(refusals_of_apply),
		cmocka_unit_test(hostile_control),
		cmocka_unit_test(bombs),
		cmocka_unit_test(hex_chunks),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
