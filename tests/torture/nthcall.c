/* nthcall.c - counts the system calls of a program with all its threads, and at the n-th kills it
 * or makes the call fail. Exact where strace's injection is not: that counts each thread for
 * itself.
 *
 *   nthcall [-u FOLDER] [-s FILE] [-k change|all] -o LOG count|N:kill|N:ERRNO -- PROGRAM
 * ARGUMENT...
 *
 *   -u FOLDER  only calls on files beneath it (of sockets none); may be given twice
 *   -s FILE    only calls while FILE exists
 *   -k change  only calls that change a file or send something: between two of them a kill leaves
 *              the same state wherever it comes; all: every call that does something outside the
 *              process but waiting
 *   LOG        count: one line "N NAME PATH" for each; else one such line when the point was
 * reached
 *
 * The program keeps this process id, so that its parent sees its end; who traces is a grandchild.
 * Processes that the program starts are not followed, threads are. x86-64. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum where { FD_FIRST, PATH_FIRST, PATH_AT, PATH_LAST_AT };
enum does { READS, CHANGES, TALKS };

static const struct call {
	long nr;
	const char *name;
	enum where where;
	enum does does;
} calls[] = {
	{ SYS_write, "write", FD_FIRST, CHANGES },
	{ SYS_writev, "writev", FD_FIRST, CHANGES },
	{ SYS_pwrite64, "pwrite64", FD_FIRST, CHANGES },
	{ SYS_pwritev, "pwritev", FD_FIRST, CHANGES },
	{ SYS_fsync, "fsync", FD_FIRST, CHANGES },
	{ SYS_fdatasync, "fdatasync", FD_FIRST, CHANGES },
	{ SYS_ftruncate, "ftruncate", FD_FIRST, CHANGES },
	{ SYS_fallocate, "fallocate", FD_FIRST, CHANGES },
	{ SYS_fchmod, "fchmod", FD_FIRST, CHANGES },
	{ SYS_copy_file_range, "copy_file_range", FD_FIRST, CHANGES },
	{ SYS_open, "open", PATH_FIRST, CHANGES },
	{ SYS_openat, "openat", PATH_AT, CHANGES },
	{ SYS_openat2, "openat2", PATH_AT, CHANGES },
	{ SYS_mkdir, "mkdir", PATH_FIRST, CHANGES },
	{ SYS_mkdirat, "mkdirat", PATH_AT, CHANGES },
	{ SYS_rename, "rename", PATH_FIRST, CHANGES },
	{ SYS_renameat, "renameat", PATH_AT, CHANGES },
	{ SYS_renameat2, "renameat2", PATH_AT, CHANGES },
	{ SYS_link, "link", PATH_FIRST, CHANGES },
	{ SYS_linkat, "linkat", PATH_AT, CHANGES },
	{ SYS_symlink, "symlink", PATH_FIRST, CHANGES },
	{ SYS_symlinkat, "symlinkat", PATH_LAST_AT, CHANGES },
	{ SYS_unlink, "unlink", PATH_FIRST, CHANGES },
	{ SYS_unlinkat, "unlinkat", PATH_AT, CHANGES },
	{ SYS_rmdir, "rmdir", PATH_FIRST, CHANGES },
	{ SYS_close, "close", FD_FIRST, READS },
	{ SYS_read, "read", FD_FIRST, READS },
	{ SYS_readv, "readv", FD_FIRST, READS },
	{ SYS_pread64, "pread64", FD_FIRST, READS },
	{ SYS_getdents64, "getdents64", FD_FIRST, READS },
	{ SYS_flock, "flock", FD_FIRST, READS },
	{ SYS_fcntl, "fcntl", FD_FIRST, READS },
	{ SYS_fstat, "fstat", FD_FIRST, READS },
	{ SYS_stat, "stat", PATH_FIRST, READS },
	{ SYS_lstat, "lstat", PATH_FIRST, READS },
	{ SYS_access, "access", PATH_FIRST, READS },
	{ SYS_readlink, "readlink", PATH_FIRST, READS },
	{ SYS_newfstatat, "newfstatat", PATH_AT, READS },
	{ SYS_statx, "statx", PATH_AT, READS },
	{ SYS_faccessat, "faccessat", PATH_AT, READS },
	{ SYS_faccessat2, "faccessat2", PATH_AT, READS },
	{ SYS_readlinkat, "readlinkat", PATH_AT, READS },
	{ SYS_sendto, "sendto", FD_FIRST, TALKS },
	{ SYS_sendmsg, "sendmsg", FD_FIRST, TALKS },
	{ SYS_sendfile, "sendfile", FD_FIRST, TALKS },
	{ SYS_connect, "connect", FD_FIRST, TALKS },
};

static const struct {
	const char *name;
	int value;
} errors[] = { { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EINTR", EINTR }, { "ENOMEM", ENOMEM },
	{ "EMFILE", EMFILE }, { "EACCES", EACCES } };

#define MAX_UNDER 4
#define MAX_THREADS 256

static struct {
	const char *under[MAX_UNDER], *while_file;
	size_t n_under;
	bool change_only;
	long at, n;
	int error; /* 0: kill */
	FILE *log;
} o;

/* Threads that are inside a call that was taken from them: their answer is set when they leave it.
 */
static pid_t robbed[MAX_THREADS];

static const struct call *
known(uint64_t nr)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if ((uint64_t)calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

static void
read_text(pid_t tid, uint64_t address, char *out, size_t size)
{
	size_t have = 0;

	while (have + sizeof(long) < size) {
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, tid, (void *)(uintptr_t)(address + have), NULL);
		if (errno != 0)
			break;
		memcpy(out + have, &word, sizeof word);
		if (memchr(out + have, '\0', sizeof word) != NULL)
			return;
		have += sizeof word;
	}
	out[have] = '\0';
}

static void
fd_path(pid_t tid, int fd, char *out, size_t size)
{
	char link[64];
	ssize_t n;

	if (fd == AT_FDCWD)
		(void)snprintf(link, sizeof link, "/proc/%d/cwd", (int)tid);
	else
		(void)snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)tid, fd);
	n = readlink(link, out, size - 1);
	out[n < 0 ? 0 : n] = '\0';
}

/* What the call is about: a path, or "socket:[...]" and the like. */
static void
subject(pid_t tid, const struct call *c, const uint64_t *args, char *out, size_t size)
{
	char name[2048], dir[2048];
	uint64_t text = c->where == PATH_AT	   ? args[1]
			: c->where == PATH_LAST_AT ? args[2]
						   : args[0];

	if (c->where == FD_FIRST) {
		fd_path(tid, (int)args[0], out, size);
		return;
	}
	read_text(tid, text, name, sizeof name);
	if (name[0] == '/') {
		(void)snprintf(out, size, "%s", name);
		return;
	}
	fd_path(tid,
	    c->where == PATH_FIRST     ? AT_FDCWD
	    : c->where == PATH_LAST_AT ? (int)args[1]
				       : (int)args[0],
	    dir, sizeof dir);
	(void)snprintf(out, size, "%s/%s", dir, name);
}

static bool
is_under(const char *path)
{
	for (size_t i = 0; i < o.n_under; i++) {
		size_t n = strlen(o.under[i]);

		if (strncmp(path, o.under[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
			return true;
	}
	return o.n_under == 0;
}

/* An open that makes or empties a file changes it; another only reads. */
static bool
changes(pid_t tid, const struct call *c, const uint64_t *args)
{
	uint64_t flags;

	if (c->nr == SYS_open)
		flags = args[1];
	else if (c->nr == SYS_openat)
		flags = args[2];
	else if (c->nr == SYS_openat2)
		flags = (uint64_t)ptrace(PTRACE_PEEKDATA, tid, (void *)(uintptr_t)args[2], NULL);
	else
		return c->does != READS;
	return (flags & (O_CREAT | O_TRUNC)) != 0;
}

static bool
counts(pid_t tid, const struct call *c, const uint64_t *args, char *path, size_t size)
{
	if (c == NULL || (o.change_only && !changes(tid, c, args)))
		return false;
	subject(tid, c, args, path, size);
	if (path[0] == '/' ? !is_under(path) : o.n_under > 0)
		return false;
	return o.while_file == NULL || access(o.while_file, F_OK) == 0;
}

/* The call is replaced by one that does not exist; its answer is put in when the thread leaves it.
 */
static void
take_away(pid_t tid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) != 0)
		return;
	regs.orig_rax = (unsigned long long)-1;
	(void)ptrace(PTRACE_SETREGS, tid, NULL, &regs);
	for (size_t i = 0; i < MAX_THREADS; i++)
		if (robbed[i] == 0) {
			robbed[i] = tid;
			return;
		}
}

static void
give_answer(pid_t tid)
{
	struct user_regs_struct regs;

	for (size_t i = 0; i < MAX_THREADS; i++) {
		if (robbed[i] != tid)
			continue;
		robbed[i] = 0;
		if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) != 0)
			return;
		regs.rax = (unsigned long long)-(long long)o.error;
		(void)ptrace(PTRACE_SETREGS, tid, NULL, &regs);
	}
}

static void
on_entry(pid_t tid, const struct __ptrace_syscall_info *info)
{
	const struct call *c = known(info->entry.nr);
	uint64_t args[6];
	char path[4200];

	for (int i = 0; i < 6; i++)
		args[i] = info->entry.args[i];
	if (!counts(tid, c, args, path, sizeof path))
		return;
	o.n++;
	if (o.at != 0 && o.n != o.at)
		return;
	(void)fprintf(o.log, "%ld %s %s\n", o.n, c->name, path);
	if (o.at == 0)
		return;
	(void)fflush(o.log);
	if (o.error != 0)
		take_away(tid);
	else
		(void)kill(tid, SIGKILL);
}

static void
follow(pid_t program)
{
	struct __ptrace_syscall_info info;
	int status, deliver;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (tid == program)
				return;
			continue;
		}
		deliver = 0;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) > 0) {
				if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
					on_entry(tid, &info);
				else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
					give_answer(tid);
			}
		} else if (status >> 16 == 0) {
			deliver = WSTOPSIG(status);
		}
		(void)ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)deliver);
	}
}

/* In the grandchild; says so over fd when the program may begin. */
static void
trace(pid_t program, int fd)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	if (ptrace(PTRACE_SEIZE, program, NULL, (void *)options) != 0 ||
	    ptrace(PTRACE_INTERRUPT, program, NULL, NULL) != 0) {
		perror("nthcall: ptrace");
		_exit(1);
	}
	(void)dup2(
	    nothing, 0); /* who waits for the end of the program's pipes must not wait for us */
	(void)dup2(nothing, 1);
	(void)dup2(nothing, 2);
	if (write(fd, "x", 1) != 1)
		_exit(1);
	(void)close(fd);
	follow(program);
	(void)fclose(o.log);
	_exit(0);
}

static int
usage(void)
{
	(void)fprintf(stderr, "usage: nthcall [-u FOLDER]... [-s FILE] [-k change|all] -o LOG "
			      "count|N:kill|N:ERRNO -- PROGRAM ARGUMENT...\n");
	return 2;
}

static bool
set_point(const char *word)
{
	char *action;

	if (strcmp(word, "count") == 0)
		return true;
	o.at = strtol(word, &action, 10);
	if (o.at <= 0 || *action != ':')
		return false;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strcmp(action + 1, errors[i].name) == 0)
			o.error = errors[i].value;
	return o.error != 0 || strcmp(action + 1, "kill") == 0;
}

static bool
options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+u:s:k:o:")) != -1) {
		if (c == 'u' && o.n_under < MAX_UNDER)
			o.under[o.n_under++] = optarg;
		else if (c == 's')
			o.while_file = optarg;
		else if (c == 'k')
			o.change_only = strcmp(optarg, "change") == 0;
		else if (c == 'o')
			o.log = fopen(optarg, "we");
		else
			return false;
	}
	return o.log != NULL && argc - optind >= 3 && set_point(argv[optind]) &&
	       strcmp(argv[optind + 1], "--") == 0;
}

int
main(int argc, char **argv)
{
	pid_t program = getpid(), child;
	int go[2];
	char byte;

	if (!options(argc, argv))
		return usage();
	if (pipe2(go, O_CLOEXEC) != 0 || (child = fork()) < 0) {
		perror("nthcall");
		return 1;
	}
	if (child == 0) {
		(void)close(go[0]);
		if (fork() == 0)
			trace(program, go[1]);
		_exit(0);
	}
	(void)close(go[1]);
	(void)waitpid(child, NULL, 0);
	if (read(go[0], &byte, 1) != 1)
		return 1;
	(void)close(go[0]);
	(void)fclose(o.log);
	(void)execvp(argv[optind + 2], argv + optind + 2);
	perror(argv[optind + 2]);
	return 127;
}
