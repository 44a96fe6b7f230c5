/* Files that survive, names that stay beneath, and confinement seen from inside libuv's pool. */
#include "base/text.h"
#include "os/beneath.h"
#include "os/confine.h"
#include "os/file.h"
#include "os/peer.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

static char dir[] = "/tmp/atalaia-os-XXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL;
}

static int
remove_dir(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK || file_exists(dir);
}

static const char *
in_dir(const char *name)
{
	static char path[2][200];
	static int turn;

	turn = !turn;
	assert_int_equal(file_join(path[turn], sizeof path[turn], dir, name), OK);
	return path[turn];
}

static void
replaces_whole_files(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(file_read(in_dir("none"), &b, NULL), ERR_NOTFOUND);
	assert_int_equal(file_replace(in_dir("f"), "0123456789", 10, 0600, NULL), OK);
	assert_int_equal(file_read(in_dir("f"), &b, NULL), OK);
	assert_string_equal(buf_text(&b), "0123456789");
	assert_int_equal(file_replace(in_dir("f"), "01234567890", 11, 0600, NULL), OK);
	buf_reset(&b);
	assert_int_equal(file_read(in_dir("f"), &b, NULL), ERR_TOOBIG);
	buf_free(&b);
}

static void
a_failed_write_leaves_the_old_file(void **state)
{
	struct fault f = { OK, "" };
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(file_replace(in_dir("g"), "old", 3, 0600, NULL), OK);
	assert_int_equal(setenv("ATALAIA_INJECT", "file.write", 1), 0);
	assert_int_equal(file_replace(in_dir("g"), "new", 3, 0600, &f), ERR_NOSPACE);
	assert_int_equal(setenv("ATALAIA_INJECT", "file.fsync", 1), 0);
	assert_int_equal(file_replace(in_dir("g"), "new", 3, 0600, NULL), ERR_IO);
	assert_int_equal(unsetenv("ATALAIA_INJECT"), 0);
	assert_int_equal(file_read(in_dir("g"), &b, NULL), OK);
	assert_string_equal(buf_text(&b), "old");
	assert_true(f.text[0] != '\0');
	buf_free(&b);
}

static void
names_stay_beneath(void **state)
{
	static const char *const refused[] = { "/etc/passwd", "../x", "sub/../../x", "link/passwd",
		"hard/../../../etc/passwd" };
	int root, fd;
	size_t i;

	(void)state;
	assert_int_equal(file_make_dirs(in_dir("root/sub"), 0755, NULL), OK);
	assert_int_equal(symlink("/etc", in_dir("root/link")), 0);
	assert_int_equal(file_replace(in_dir("root/sub/f"), "x", 1, 0644, NULL), OK);
	root = open(in_dir("root"), O_RDONLY | O_DIRECTORY);
	assert_true(root >= 0);
	assert_int_equal(beneath_open(root, "sub/f", O_RDONLY, 0, &fd), OK);
	(void)close(fd);
	assert_int_equal(beneath_open(root, "sub/none", O_RDONLY, 0, &fd), ERR_NOTFOUND);
	for (i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_true(beneath_open(root, refused[i], O_RDONLY, 0, &fd) != OK);
	(void)close(root);
}

static void
a_lock_excludes_another_process(void **state)
{
	int fd, other, status;
	pid_t child;

	(void)state;
	assert_int_equal(file_lock(in_dir("lock"), &fd, NULL), OK);
	child = fork();
	if (child == 0)
		_exit(file_lock(in_dir("lock"), &other, NULL) == ERR_BUSY ? 0 : 1);
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
	(void)close(fd);
	assert_int_equal(file_lock(in_dir("lock"), &fd, NULL), OK);
	(void)close(fd);
}

static void
the_sender_uid_is_found(void **state)
{
	static const char table[] =
	    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
	    "   0: 0100007F:08B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0     "
	    "   0\n"
	    "   1: 0100007F:C350 0100007F:08B3 01 00000000:00000000 00:00000000 00000000  1000     "
	    "   0\n";
	struct sockaddr_in ours = { .sin_family = AF_INET, .sin_port = htons(2227) };
	struct sockaddr_in theirs = { .sin_family = AF_INET, .sin_port = htons(50000) };
	uint32_t uid;

	(void)state;
	ours.sin_addr.s_addr = theirs.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(peer_parse_proc(table, strlen(table), (struct sockaddr *)&ours,
			     (struct sockaddr *)&theirs, &uid),
	    OK);
	assert_int_equal(uid, 1000);
	theirs.sin_port = htons(50001);
	assert_int_equal(peer_parse_proc(table, strlen(table), (struct sockaddr *)&ours,
			     (struct sockaddr *)&theirs, &uid),
	    ERR_NOTFOUND);
}

/* What a confined process can still do, as seen by a thread of libuv's pool: one letter each. */
static char seen[8];

static void
try_everything(uv_work_t *req)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd, s = socket(AF_INET, SOCK_STREAM, 0);
	char *at = seen;

	(void)req;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = open("/etc/passwd", O_RDONLY)) >= 0)
		*at++ = 'r';
	if ((fd = open("f", O_RDONLY)) < 0)
		*at++ = 'o'; /* our own folder must stay readable */
	if ((fd = open("/tmp/atalaia-outside", O_WRONLY | O_CREAT, 0600)) >= 0)
		*at++ = 'w';
	if (connect(s, (struct sockaddr *)&to, sizeof to) == 0 || errno != EPERM)
		*at++ = 'c';
	if (kill(getppid(), 0) == 0)
		*at++ = 'k';
	if (execl("/bin/true", "true", (char *)NULL) == -1 && errno != EPERM && errno != EACCES)
		*at++ = 'x';
	(void)close(s);
	(void)fd;
}

static void
after(uv_work_t *req, int status)
{
	(void)req;
	(void)status;
}

/* 0: as wanted; 77: this kernel has no Landlock or seccomp. */
static int
confined_child(void)
{
	struct confine_path paths[] = { { ".", CONFINE_READ } };
	struct confine_spec spec = { .paths = paths, .path_count = 1 };
	struct confine_report report;
	uv_work_t work;
	enum err e;

	if (chdir(dir) != 0)
		return 1;
	e = confine_apply(&spec, &report, NULL);
	if (e == ERR_UNSUPPORTED)
		return 77;
	if (e != OK || uv_queue_work(uv_default_loop(), &work, try_everything, after) != 0)
		return 2;
	(void)uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	if (seen[0] != '\0')
		(void)fprintf(stderr, "a confined thread could still: %s\n", seen);
	return seen[0] != '\0' ? 3 : uv_loop_close(uv_default_loop()) == 0 ? 0 : 4;
}

static void
confinement_holds_in_the_thread_pool(void **state)
{
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0)
		_exit(confined_child());
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaces_whole_files),
		cmocka_unit_test(a_failed_write_leaves_the_old_file),
		cmocka_unit_test(names_stay_beneath),
		cmocka_unit_test(a_lock_excludes_another_process),
		cmocka_unit_test(the_sender_uid_is_found),
		cmocka_unit_test(confinement_holds_in_the_thread_pool),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
