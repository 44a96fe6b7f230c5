/* The vault: what goes in, what comes back, and what a crash may leave. */
#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "quarantine.h"
#include "quarantine_files.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *
at(const char *name)
{
	static char path[8][256];
	static unsigned i;

	i = (i + 1) % 8;
	(void)snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
	return path[i];
}

static void
put(const char *name, const char *text, unsigned mode)
{
	assert_int_equal(file_replace(at(name), text, strlen(text), mode, NULL), OK);
	assert_int_equal(chmod(at(name), mode), 0);
}

static void
holds(const char *path, const char *text)
{
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(file_read(path, &b, NULL), OK);
	assert_string_equal(buf_text(&b), text);
	buf_free(&b);
}

static struct quarantine *
open_vault(void)
{
	struct fault f = { OK, "" };
	struct quarantine *q;

	if (quarantine_open(&q, dir, &f) != OK)
		fail_msg("%s", f.text);
	return q;
}

static enum err
take(struct quarantine *q, const char *path, char id[UUID_TEXT], struct fault *f)
{
	const struct quarantine_request r = { .path = path, .signature = "Test", .task = "t1" };

	*f = (struct fault){ OK, "" };
	return quarantine_take(q, &r, id, f);
}

static void
a_file_goes_in_and_comes_back(void **state)
{
	struct quarantine *q = open_vault();
	char id[UUID_TEXT], inside[160];
	struct fault f;
	struct stat st;
	cJSON *list;

	(void)state;
	put("bad.exe", "evil", 04755);
	assert_int_equal(take(q, at("bad.exe"), id, &f), OK);
	assert_int_equal(access(at("bad.exe"), F_OK), -1);
	(void)snprintf(inside, sizeof inside, "%s/quarantine/%s/file", dir, id);
	holds(inside, "evil");
	assert_int_equal(stat(inside, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(at("quarantine"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(quarantine_list(q, &list, &f), OK);
	assert_int_equal(cJSON_GetArraySize(list), 1);
	assert_string_equal(json_get(list->child, "path")->valuestring, at("bad.exe"));
	assert_string_equal(json_get(list->child, "signature")->valuestring, "Test");
	cJSON_Delete(list);
	put("bad.exe", "other", 0644);
	assert_int_equal(quarantine_restore(q, id, &f), ERR_EXISTS);
	holds(at("bad.exe"), "other");
	assert_int_equal(unlink(at("bad.exe")), 0);
	f = (struct fault){ OK, "" };
	assert_int_equal(quarantine_restore(q, id, &f), OK);
	holds(at("bad.exe"), "evil");
	assert_int_equal(stat(at("bad.exe"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(quarantine_restore(q, id, &f), ERR_NOTFOUND);
	assert_int_equal(quarantine_restore(q, "../bad", &f), ERR_NOTFOUND);
	quarantine_close(q);
}

static void
only_the_file_that_was_seen(void **state)
{
	struct quarantine *q = open_vault();
	struct quarantine_request r = {
		.path = at("seen"), .signature = "Test", .dev = 1, .ino = 1
	};
	char id[UUID_TEXT];
	struct fault f = { OK, "" };

	(void)state;
	put("seen", "x", 0644);
	assert_int_equal(quarantine_take(q, &r, id, &f), ERR_STATE);
	assert_int_equal(symlink(at("seen"), at("soft")), 0);
	assert_int_equal(take(q, at("soft"), id, &f), ERR_STATE);
	assert_int_equal(mkdir(at("real"), 0755), 0);
	put("real/file", "x", 0644);
	assert_int_equal(symlink(at("real"), at("folder")), 0);
	assert_int_equal(take(q, at("folder/file"), id, &f), ERR_DENIED); /* a link on the way */
	assert_int_equal(link(at("seen"), at("second")), 0);
	assert_int_equal(take(q, at("seen"), id, &f), ERR_STATE);
	assert_non_null(strstr(f.text, "2 names"));
	assert_int_equal(take(q, at("real"), id, &f), ERR_STATE);
	assert_int_equal(mkfifo(at("pipe"), 0644), 0);
	assert_int_equal(take(q, at("pipe"), id, &f), ERR_STATE);
	assert_int_equal(take(q, at("absent"), id, &f), ERR_NOTFOUND);
	assert_int_equal(take(q, "relative", id, &f), ERR_INVAL);
	holds(at("real/file"), "x");
	holds(at("seen"), "x");
	quarantine_close(q);
}

static void
another_file_system_means_a_copy(void **state)
{
	struct quarantine *q;
	char id[UUID_TEXT];
	struct fault f;

	(void)state;
	assert_int_equal(mkdir(at("other"), 0755), 0);
	if (mount("none", at("other"), "tmpfs", 0, "size=1m") != 0)
		skip();
	q = open_vault();
	put("other/bad", "evil", 0640);
	assert_int_equal(take(q, at("other/bad"), id, &f), OK);
	assert_int_equal(access(at("other/bad"), F_OK), -1);
	if (quarantine_restore(q, id, &f) != OK)
		print_message("%s\n", f.text);
	holds(at("other/bad"), "evil");
	quarantine_close(q);
	assert_int_equal(umount(at("other")), 0);
}

/* Folders as a kill would leave them; opening the vault settles each. */
static void
a_crash_leaves_the_file_somewhere(void **state)
{
	static const char id[] = "0191c0de-0000-7000-8000-000000000001";
	char meta[1000], item[200];
	struct quarantine *q;
	struct stat st;
	struct fault f = { OK, "" };

	(void)state;
	put("original", "evil", 0644);
	assert_int_equal(stat(at("original"), &st), 0);
	q = open_vault();
	quarantine_close(q);
	for (int how = 0; how < 4; how++) {
		/* 0 before the rename, 1 after it, 2 after a copy, 3 after a copy and the removal
		 */
		bool copied = how >= 2, inside = how >= 1, outside = how == 0 || how == 2;
		struct buf b64;

		(void)snprintf(item, sizeof item, "quarantine/%s.new", id);
		assert_int_equal(mkdir(at(item), 0700), 0);
		buf_init(&b64, 400);
		assert_int_equal(
		    text_b64(&b64, (const uint8_t *)at("original"), strlen(at("original"))), OK);
		(void)snprintf(meta, sizeof meta,
		    "{\"id\":\"%s\",\"how\":\"%s\",\"path_b64\":\"%s\",\"mode\":420,"
		    "\"uid\":0,\"gid\":0,\"dev\":%lu,\"ino\":%lu}",
		    id, copied ? "copy" : "rename", buf_text(&b64), (unsigned long)st.st_dev,
		    (unsigned long)st.st_ino);
		buf_free(&b64);
		(void)snprintf(item, sizeof item, "quarantine/%s.new/meta.json", id);
		put(item, meta, 0600);
		(void)snprintf(item, sizeof item, "quarantine/%s.new/file", id);
		if (inside)
			put(item, "evil", 0600);
		if (!outside)
			assert_int_equal(rename(at("original"), at("parked")), 0);
		q = open_vault();
		(void)snprintf(item, sizeof item, "quarantine/%s/file", id);
		assert_int_equal(access(at(item), F_OK) == 0, !outside);
		if (!outside) {
			assert_int_equal(quarantine_restore(q, id, &f), OK);
			holds(at("original"), "evil");
			assert_int_equal(rename(at("parked"), at("original")), 0);
		}
		quarantine_close(q);
		(void)snprintf(item, sizeof item, "quarantine/%s.new", id);
		assert_int_equal(access(at(item), F_OK), -1);
	}
}

/* The file has its old name again, and the power went before the vault forgot it. */
static void
a_restore_that_was_cut_is_finished(void **state)
{
	struct quarantine *q = open_vault();
	char id[UUID_TEXT], inside[160];
	struct fault f = { OK, "" };
	struct stat st;

	(void)state;
	put("bad", "evil", 0640);
	assert_int_equal(take(q, at("bad"), id, &f), OK);
	(void)snprintf(inside, sizeof inside, "quarantine/%s/file", id);
	assert_int_equal(link(at(inside), at("bad")), 0);
	quarantine_close(q);
	q = open_vault();
	assert_int_equal(quarantine_restore(q, id, &f), OK);
	holds(at("bad"), "evil");
	assert_int_equal(stat(at("bad"), &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(quarantine_restore(q, id, &f), ERR_NOTFOUND);
	quarantine_close(q);
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-vault-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_goes_in_and_comes_back),
		TEST(only_the_file_that_was_seen),
		TEST(another_file_system_means_a_copy),
		TEST(a_crash_leaves_the_file_somewhere),
		TEST(a_restore_that_was_cut_is_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
