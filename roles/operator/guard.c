#include "guard.h"

#include "os/confine.h"

enum err
guard_doctor(struct fault *f)
{
	/* /proc: is freshclam running? */
	static const struct confine_path readable[] = { { "/etc/resolv.conf", CONFINE_READ },
		{ "/etc/nsswitch.conf", CONFINE_READ }, { "/etc/hosts", CONFINE_READ },
		{ "/etc/host.conf", CONFINE_READ }, { "/etc/gai.conf", CONFINE_READ },
		{ "/etc/services", CONFINE_READ }, { "/etc/ssl", CONFINE_READ },
		{ "/usr/lib", CONFINE_READ }, { "/lib", CONFINE_READ },
		{ "/usr/share/zoneinfo", CONFINE_READ }, { "/dev/urandom", CONFINE_READ },
		{ "/dev/null", CONFINE_READ }, { "/proc", CONFINE_READ } };
	const struct confine_spec spec = { .paths = readable,
		.path_count = sizeof readable / sizeof readable[0],
		.may_connect = true };
	struct confine_report report;
	enum err e = confine_apply(&spec, &report, f);

	return e == ERR_UNSUPPORTED ? OK : e;
}
