/* confine.c - Landlock (linux/landlock.h, ABI 1..7) for files, seccomp for system calls. */
#include "os/confine.h"

#include "base/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights that newer headers than Debian 12's name. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                   \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                         \
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define FS_FILE_ONLY                                                                               \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define FS_ALL_V1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

static uint64_t
handled_rights(int abi)
{
	uint64_t all = FS_ALL_V1;

	if (abi >= 2)
		all |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		all |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return all;
}

static enum err
add_path(int ruleset, uint64_t handled, const struct confine_path *p, struct fault *f)
{
	struct landlock_path_beneath_attr rule = { 0 };
	struct stat st;
	long k;

	if ((p->rights & CONFINE_READ) != 0)
		rule.allowed_access |= FS_READ;
	if ((p->rights & CONFINE_EXEC) != 0)
		rule.allowed_access |= LANDLOCK_ACCESS_FS_EXECUTE;
	if ((p->rights & CONFINE_WRITE) != 0)
		rule.allowed_access |=
		    FS_WRITE | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE;
	rule.allowed_access &= handled;
	rule.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? OK : fault_sys(f, errno, "cannot confine to %s", p->path);
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_FILE_ONLY;
	k = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	(void)close(rule.parent_fd);
	return k == 0 ? OK : fault_sys(f, errno, "cannot confine to %s", p->path);
}

static enum err
apply_landlock(const struct confine_spec *spec, struct confine_report *out, struct fault *f)
{
	struct landlock_ruleset_attr attr = { 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	enum err e = OK;
	size_t i;
	int fd;

	if (abi < 1 ||
	    inject("confine.landlock")) /* a kernel before 5.13, or one that has it off */
		return ERR_UNSUPPORTED;
	out->landlock_abi = (int)abi;
	attr.handled_access_fs = handled_rights((int)abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (fd < 0)
		return fault_sys(f, errno, "landlock refused a ruleset");
	for (i = 0; e == OK && i < spec->path_count; i++)
		e = add_path(fd, attr.handled_access_fs, &spec->paths[i], f);
	if (e == OK && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		e = fault_sys(f, errno, "landlock refused to restrict this program");
	(void)close(fd);
	out->landlock = e == OK;
	return e;
}

/* What no confined program of ours ever needs; a name that this kernel lacks is skipped. */
static const char *const never[] = {
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"tkill",
	"pidfd_send_signal",
	"pidfd_open",
	"pidfd_getfd",
	"kcmp",
	"mount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"pivot_root",
	"chroot",
	"setns",
	"unshare",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"keyctl",
	"add_key",
	"request_key",
	"reboot",
	"swapon",
	"swapoff",
	"settimeofday",
	"clock_settime",
	"adjtimex",
	"clock_adjtime",
	"sethostname",
	"setdomainname",
	"acct",
	"quotactl",
	"iopl",
	"ioperm",
	"open_by_handle_at",
	"name_to_handle_at",
	"personality",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setgroups",
	"mknod",
	"mknodat",
	"process_madvise",
	"modify_ldt",
	"syslog",
	"vhangup",
};
static const char *const no_exec[] = { "execve", "execveat", "fork", "vfork", "kill" };
static const char *const no_connect[] = { "connect" };
static const char *const no_listen[] = { "bind", "listen" };

static enum err
deny(scmp_filter_ctx ctx, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr != __NR_SCMP_ERROR &&
		    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0) != 0)
			return ERR_UNSUPPORTED;
	}
	return OK;
}

#define DENY(ctx, list) deny(ctx, list, sizeof list / sizeof *list)

/* Ways out that do without connect(2): TCP Fast Open sends to an unconnected socket, and so does
 * every datagram. */
static enum err
deny_sending_out(scmp_filter_ctx ctx)
{
	static const uint64_t kinds[] = { SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET,
		SOCK_PACKET };
	uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
	int r = 0;
	size_t i;

	for (i = 0; r == 0 && i < sizeof kinds / sizeof *kinds; i++)
		r = seccomp_rule_add(
		    ctx, refuse, SCMP_SYS(socket), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, kinds[i]));
	if (r == 0)
		r = seccomp_rule_add(ctx, refuse, SCMP_SYS(sendto), 1,
		    SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN));
	if (r == 0)
		r = seccomp_rule_add(ctx, refuse, SCMP_SYS(sendmsg), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN));
	if (r == 0)
		r = seccomp_rule_add(ctx, refuse, SCMP_SYS(sendmmsg), 0);
	return r == 0 ? OK : ERR_UNSUPPORTED;
}

/* libuv's threads signal nothing; abort() needs tgkill, so that one is left. */
static enum err
apply_seccomp(const struct confine_spec *spec, struct confine_report *out)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	enum err e;

	if (ctx == NULL)
		return ERR_UNSUPPORTED;
	e = DENY(ctx, never);
	if (e == OK && !spec->may_exec)
		e = DENY(ctx, no_exec);
	if (e == OK && !spec->may_connect)
		e = DENY(ctx, no_connect);
	if (e == OK && !spec->may_connect)
		e = deny_sending_out(ctx);
	if (e == OK && !spec->may_listen)
		e = DENY(ctx, no_listen);
	if (e == OK && spec->unix_only &&
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
		SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0)) != 0)
		e = ERR_UNSUPPORTED;
	if (e == OK && seccomp_load(ctx) != 0)
		e = ERR_UNSUPPORTED;
	seccomp_release(ctx);
	out->seccomp = e == OK;
	return e;
}

enum err
confine_apply(const struct confine_spec *spec, struct confine_report *out, struct fault *f)
{
	enum err files, calls;

	*out = (struct confine_report){ 0 };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fault_sys(f, errno, "cannot give up new privileges");
	out->no_new_privs = true;
	files = apply_landlock(spec, out, f);
	if (files != OK && files != ERR_UNSUPPORTED)
		return files;
	calls = apply_seccomp(spec, out);
	(void)snprintf(out->text, sizeof out->text, "landlock=%d seccomp=%s no_new_privs=yes",
	    out->landlock_abi, out->seccomp ? "yes" : "no");
	if (files == OK && calls == OK)
		return OK;
	return fault_set(f, ERR_UNSUPPORTED,
	    "this kernel has no %s%s%s; the program runs less confined",
	    files != OK ? "Landlock" : "", files != OK && calls != OK ? " and no " : "",
	    calls != OK ? "seccomp" : "");
}

/* A closed descriptor 0, 1 or 2 would be taken by the next open and written to by mistake. */
static enum err
standard_descriptors(struct fault *f)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return fault_sys(f, errno, "cannot open /dev/null");
	} while (fd <= 2);
	(void)close(fd);
	return OK;
}

enum err
confine_basics(bool keep_privs, struct fault *f)
{
	struct rlimit none = { 0, 0 };
	enum err e = standard_descriptors(f);

	if (e != OK)
		return e;
	if (!keep_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fault_sys(f, errno, "cannot give up new privileges");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return fault_sys(f, errno, "cannot switch off core dumps");
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return fault_sys(f, errno, "cannot ignore SIGPIPE");
	(void)umask(027);
	return OK;
}
