/* Sets: built beside the old ones, linked where nothing changed, switched by one rename, whole at
 * any time. */
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"
#include "update/pack.h"
#include "update/set.h"
#include "update/set_priv.h"

#include "test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *
in_dir(const char *name)
{
	static char paths[64][256];
	static unsigned next;
	char *p = paths[next++ % 64];

	(void)snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-set-XXXXXX");
	return mkdtemp(dir) != NULL && mkdir(in_dir("work"), 0700) == 0 ? 0 : -1;
}

static int
drop_dir(void **state)
{
	(void)state;
	return file_remove_tree(-1, dir, NULL) == OK ? 0 : -1;
}

/* A verified file as the fetcher has it. */
static struct set_file
file_of(const char *path, const char *source, const char *content)
{
	struct set_file t = { .path = path, .size = strlen(content) };

	hash_once(HASH_SHA256, content, t.size, t.sha256);
	if (source != NULL) {
		t.source = in_dir(source);
		assert_int_equal(file_replace(t.source, content, t.size, 0600, NULL), OK);
	}
	return t;
}

static enum err
build(uint64_t version, const struct set_file *files, size_t count, struct set_build *b)
{
	struct fault f = { 0 };
	enum err e;

	*b = (struct set_build){
		.feed_dir = dir, .version = version, .files = files, .count = count
	};
	e = set_build(b, &f);
	if (e != OK)
		assert_true(fault_text(&f)[0] != '\0');
	return e;
}

static ino_t
inode(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(in_dir(name), &st), 0);
	if (S_ISREG(st.st_mode))
		assert_int_equal(st.st_mode & 07777, 0644);
	return st.st_ino;
}

static void
unchanged_files_are_linked(void **state)
{
	struct set_file v[3];
	struct set_build b;
	uint8_t id[SET_SHA];
	uint64_t current;
	char path[256];

	(void)state;
	v[0] = file_of("a.hdb", "work/a", "one\n");
	v[1] = file_of("rules/b.yar", "work/b", "rule b\n");
	assert_int_equal(build(1, v, 2, &b), OK);
	assert_int_equal(b.members, 2);
	assert_int_equal(b.bytes, 11);
	assert_int_equal(b.linked, 0);
	assert_int_equal(set_current(dir, &current, NULL), ERR_NOTFOUND);
	assert_int_equal(set_activate(dir, 1, NULL), OK);
	assert_int_equal(set_current(dir, &current, NULL), OK);
	assert_int_equal(current, 1);
	v[0] = file_of("a.hdb", "work/a2", "two\n");
	v[1].source = NULL; /* only the old set has it */
	v[2] = file_of("moved.yar", NULL, "rule b\n");
	assert_int_equal(build(2, v, 3, &b), OK);
	assert_int_equal(b.linked, 2);
	assert_int_equal(inode("sets/1/rules/b.yar"), inode("sets/2/rules/b.yar"));
	assert_int_equal(inode("sets/1/rules/b.yar"), inode("sets/2/moved.yar"));
	assert_int_equal(set_check(dir, 1, NULL), OK);
	assert_int_equal(set_check(dir, 2, NULL), OK);
	assert_int_equal(set_identity(dir, 2, id, NULL), OK);
	assert_memory_equal(id, b.manifest_sha256, SET_SHA);
	assert_int_equal(set_find(dir, v[0].sha256, 4, path, sizeof path, NULL), OK);
	assert_string_equal(path, in_dir("sets/2/a.hdb"));
	/* the same again is the same set */
	assert_int_equal(build(2, v, 3, &b), OK);
	assert_memory_equal(id, b.manifest_sha256, SET_SHA);
	assert_int_equal(b.members, 3);
}

static void
another_set_of_one_version(void **state)
{
	struct set_file v = file_of("a.hdb", "work/other", "other\n");
	struct set_build b;

	(void)state;
	assert_int_equal(set_activate(dir, 2, NULL), OK);
	assert_int_equal(build(2, &v, 1, &b), ERR_EXISTS); /* active: stays */
	assert_int_equal(set_activate(dir, 1, NULL), OK);
	assert_int_equal(build(2, &v, 1, &b), OK); /* a refused one makes room */
	assert_int_equal(b.members, 1);
	assert_int_equal(set_check(dir, 2, NULL), OK);
	assert_int_equal(set_remove(dir, 1, NULL), ERR_STATE);
}

static void
wrong_content_is_refused(void **state)
{
	struct set_file v = file_of("a.hdb", "work/x", "right\n");
	struct set_build b;

	(void)state;
	assert_int_equal(file_replace(v.source, "wrong\n", 6, 0600, NULL), OK);
	assert_int_equal(build(9, &v, 1, &b), ERR_VERIFY);
	assert_int_equal(file_replace(v.source, "right\n\n", 7, 0600, NULL), OK);
	assert_int_equal(build(9, &v, 1, &b), ERR_VERIFY);
	v = file_of("a.hdb", NULL, "nowhere\n");
	assert_int_equal(build(9, &v, 1, &b), ERR_NOTFOUND);
	assert_false(file_exists(in_dir("sets/9")) || file_exists(in_dir("sets/9.tmp")) ||
		     file_exists(in_dir("sets/9.meta.tmp")));
	/* a file of a kept set that rotted is no source */
	v = file_of("a.hdb", NULL, "other\n");
	assert_int_equal(file_replace(in_dir("sets/2/a.hdb"), "0ther\n", 6, 0644, NULL), OK);
	assert_int_equal(set_check(dir, 2, NULL), ERR_VERIFY);
	assert_int_equal(build(9, &v, 1, &b), ERR_NOTFOUND);
	assert_int_equal(set_remove(dir, 2, NULL), OK);
}

static void
names(void **state)
{
	static const struct {
		const char *a, *b;
		enum err want;
	} cases[] = {
		{ "a", "b", OK },
		{ "a/b", "a/c", OK },
		{ "a-b", "a/c", OK },
		{ "a", "a", ERR_INVAL },
		{ "a", "a/b", ERR_INVAL },
		{ "a/b/c", "a/b", ERR_INVAL },
		{ "../a", "b", ERR_INVAL },
		{ "/a", "b", ERR_INVAL },
		{ "a//b", "c", ERR_INVAL },
		{ "a b", "c", ERR_INVAL },
		{ "", "c", ERR_INVAL },
		{ "a/./b", "c", ERR_INVAL },
	};
	struct set_build b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct set_file v[2] = { file_of(cases[i].a, "work/n1", "1"),
			file_of(cases[i].b, "work/n2", "2") };

		assert_int_equal(build(20 + i, v, 2, &b), cases[i].want);
		assert_int_equal(set_remove(dir, 20 + i, NULL), OK);
	}
}

static struct set_file
pack_of(const char *path, const char *out, struct pack_member *m, size_t count)
{
	struct set_file t = { .path = path, .source = in_dir(out), .pack = true };
	struct buf b;

	assert_int_equal(pack_write(t.source, m, count, NULL), OK);
	buf_init(&b, 1 << 20);
	assert_int_equal(file_read(t.source, &b, NULL), OK);
	t.size = b.len;
	hash_once(HASH_SHA256, b.data, b.len, t.sha256);
	buf_free(&b);
	return t;
}

static void
packs_are_unpacked(void **state)
{
	struct pack_member m[2] = { { "x.yar", in_dir("work/x") },
		{ "sub/y.yar", in_dir("work/y") } };
	struct set_file v[2];
	struct set_build b;
	char path[256];

	(void)state;
	(void)file_of("", "work/x", "rule x\n");
	(void)file_of("", "work/y", "rule y\n");
	v[0] = pack_of("feed.pack", "work/p1", m, 2);
	v[1] = file_of("marker.hsb", "work/m", "marker\n");
	assert_int_equal(build(50, v, 2, &b), OK);
	assert_int_equal(b.members, 3);
	assert_int_equal(set_check(dir, 50, NULL), OK);
	assert_true(file_exists(in_dir("sets/50/sub/y.yar")));
	assert_false(file_exists(in_dir("sets/50/feed.pack"))); /* content, not the pack */
	/* the pack stays as base of its deltas */
	assert_int_equal(set_find(dir, v[0].sha256, v[0].size, path, sizeof path, NULL), OK);
	(void)file_of("", "work/y", "rule y2\n");
	m[0] = (struct pack_member){ "x.yar", in_dir("work/x") };
	m[1] = (struct pack_member){ "sub/y.yar", in_dir("work/y") };
	v[0] = pack_of("feed.pack", "work/p2", m, 2);
	assert_int_equal(build(51, v, 2, &b), OK);
	assert_int_equal(b.linked, 2);
	assert_int_equal(inode("sets/50/x.yar"), inode("sets/51/x.yar"));
	assert_int_not_equal(inode("sets/50/sub/y.yar"), inode("sets/51/sub/y.yar"));
	/* below a folder, and against another target's name */
	v[0].path = "deep/feed.pack";
	v[1] = file_of("deep/x.yar", "work/m", "marker\n");
	assert_int_equal(build(52, v, 2, &b), ERR_INVAL);
	assert_int_equal(build(52, v, 1, &b), OK);
	assert_true(file_exists(in_dir("sets/52/deep/sub/y.yar")));
	/* what only calls itself a pack */
	v[0] = file_of("feed.pack", "work/z", "no pack");
	v[0].pack = true;
	assert_int_equal(build(53, v, 1, &b), ERR_PARSE);
}

static void
spoil(unsigned how)
{
	(void)unlink(in_dir("sets/80/sub/y.yar"));
	if (how ==
	    0) /* flipped, one shorter, one away, one that nobody named, an unreadable list */
		assert_int_equal(
		    file_replace(in_dir("sets/80/x.yar"), "rule X\n", 7, 0644, NULL), OK);
	if (how == 1)
		assert_int_equal(truncate(in_dir("sets/80/x.yar"), 3), 0);
	if (how == 2)
		assert_int_equal(file_replace(in_dir("sets/80/extra"), "x", 1, 0644, NULL), OK);
	if (how == 3)
		assert_int_equal(
		    file_replace(in_dir("sets/80.meta/manifest"), "\0\0", 2, 0644, NULL), OK);
	if (how == 4) { /* a folder for a file, a file for a folder */
		assert_int_equal(unlink(in_dir("sets/80/x.yar")), 0);
		assert_int_equal(mkdir(in_dir("sets/80/x.yar"), 0755), 0);
		assert_int_equal(file_replace(in_dir("sets/80/x.yar/in"), "x", 1, 0644, NULL), OK);
		assert_int_equal(rmdir(in_dir("sets/80/sub")), 0);
		assert_int_equal(file_replace(in_dir("sets/80/sub"), "x", 1, 0644, NULL), OK);
	}
	if (how == 5) {
		assert_int_equal(unlink(in_dir("sets/80/x.yar")), 0);
		assert_int_equal(symlink("/etc/hostname", in_dir("sets/80/x.yar")), 0);
	}
}

static void
a_damaged_set_is_mended_where_it_lies(void **state)
{
	struct set_build b;
	struct set_file v[2];
	uint8_t before[SET_SHA], after[SET_SHA];
	ino_t folder;

	(void)file_of("", "work/x", "rule x\n");
	(void)file_of("", "work/y", "rule y\n");
	for (unsigned how = 0; how < 6; how++)
		for (unsigned active = 0; active < 2; active++) {
			struct pack_member m[2] = { { "x.yar", in_dir("work/x") },
				{ "sub/y.yar", in_dir("work/y") } };

			if (how + active > 0)
				assert_int_equal(set_activate(dir, active ? 80 : 62, NULL), OK);
			v[0] = pack_of("feed.pack", "work/p8", m, 2);
			v[1] = file_of("marker.hsb", "work/m8", "marker\n");
			assert_int_equal(build(80, v, 2, &b), OK);
			assert_int_equal(set_identity(dir, 80, before, NULL), OK);
			folder = inode("sets/80");
			spoil(how);
			assert_int_equal(
			    set_check(dir, 80, NULL), how == 3 ? ERR_PARSE : ERR_VERIFY);
			assert_int_equal(build(80, v, 2, &b), OK);
			assert_int_equal(set_check(dir, 80, NULL), OK);
			assert_int_equal(set_identity(dir, 80, after, NULL), OK);
			assert_memory_equal(before, after, SET_SHA);
			assert_int_equal(inode("sets/80"), folder); /* `current` always had one */
			assert_false(file_exists(in_dir("sets/80.tmp")) ||
				     file_exists(in_dir("sets/80.meta.tmp")));
		}
	assert_int_equal(set_activate(dir, 62, NULL), OK);
	assert_int_equal(set_remove(dir, 80, NULL), OK);
}

static void
pruning(void **state)
{
	struct set_file v = file_of("a", "work/pr", "prune\n");
	uint64_t list[8], protect = 61;
	struct set_build b;
	size_t n, i;

	(void)state;
	for (i = 60; i < 66; i++)
		assert_int_equal(build(i, &v, 1, &b), OK);
	assert_int_equal(set_activate(dir, 62, NULL), OK);
	assert_int_equal(set_prune(dir, 0, &protect, 1, NULL), OK);
	assert_int_equal(set_list(dir, list, 8, &n, NULL), OK);
	assert_int_equal(n, 3); /* protected, active, newest */
	assert_int_equal(list[2], 65);
	assert_int_equal(list[0], 61);
	assert_int_equal(list[1], 62);
	assert_int_equal(set_check(dir, 62, NULL), OK);
	assert_int_equal(set_activate(dir, 63, NULL), ERR_NOTFOUND);
	/* leftovers of a killed run */
	assert_int_equal(mkdir(in_dir("sets/70.tmp"), 0755), 0);
	assert_int_equal(mkdir(in_dir("sets/70.meta"), 0755), 0);
	assert_int_equal(mkdir(in_dir("sets/71.rm"), 0755), 0);
	assert_int_equal(symlink("sets/99", in_dir("current.tmp")), 0);
	assert_int_equal(set_clean(dir, NULL), OK);
	assert_false(file_exists(in_dir("sets/70.tmp")) || file_exists(in_dir("sets/70.meta")) ||
		     file_exists(in_dir("sets/71.rm")));
	assert_int_equal(set_list(dir, list, 8, &n, NULL), OK);
	assert_int_equal(n, 3);
}

static void
links_of_every_kind(void **state)
{
	static const char *const wrong[] = { "sets/62/", "sets/", "/sets/62", "sets/062", "sets/99",
		"sets/-1", "../sets/62" };
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(unlink(in_dir("current")), 0);
		assert_int_equal(symlink(wrong[i], in_dir("current")), 0);
		assert_int_equal(set_current(dir, &v, NULL), ERR_NOTFOUND);
	}
	assert_int_equal(set_activate(dir, 62, NULL), OK);
	assert_int_equal(set_current(dir, &v, NULL), OK);
}

static void
manifests(void **state)
{
#define H "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	static const struct {
		const char *text;
		enum err want;
	} cases[] = {
		{ "", OK },
		{ "target " H " 0 a\nfile " H " 0 a\n", OK },
		{ "target " H " 0 a\npack " H " 0 p\nfile " H " 0 a\nfile " H " 0 a/b\n",
		    ERR_PARSE },
		{ "file " H " 0 a\nfile " H " 0 a\n", ERR_PARSE },
		{ "file " H " 0 b\nfile " H " 0 a\n", ERR_PARSE },
		{ "file " H " 0 a\ntarget " H " 0 a\n", ERR_PARSE },
		{ "file " H " 0 a", ERR_PARSE },
		{ "file " H " 00 a\n", ERR_PARSE },
		{ "file " H " -1 a\n", ERR_PARSE },
		{ "file " H " 0 ../a\n", ERR_PARSE },
		{ "file " H " 0 \n", ERR_PARSE },
		{ "link " H " 0 a\n", ERR_PARSE },
		{ "file abcd 0 a\n", ERR_PARSE },
		{ "file " H "  0 a\n", ERR_PARSE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct set_manifest m = { 0 };
		size_t n = strlen(cases[i].text);
		char *copy = test_copy(cases[i].text, n);

		assert_int_equal(set_manifest_parse(&m, copy, n, NULL), cases[i].want);
		set_manifest_free(&m);
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unchanged_files_are_linked),
		cmocka_unit_test(another_set_of_one_version),
		cmocka_unit_test(wrong_content_is_refused),
		cmocka_unit_test(names),
		cmocka_unit_test(packs_are_unpacked),
		cmocka_unit_test(pruning),
		cmocka_unit_test(links_of_every_kind),
		cmocka_unit_test(a_damaged_set_is_mended_where_it_lies),
		cmocka_unit_test(manifests),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
