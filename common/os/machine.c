/* machine.c - Linux: os-release, DMI, dpkg's status file, /proc. */
#include "os/machine.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
trim(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == ' ' || s[n - 1] == '"'))
		s[--n] = '\0';
}

static void
first_line(const char *path, char *dst, size_t size)
{
	FILE *f = fopen(path, "re");

	dst[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(dst, (int)size, f) == NULL)
		dst[0] = '\0';
	(void)fclose(f);
	trim(dst);
}

void
machine_os_name(char *dst, size_t size)
{
	static const char key[] = "PRETTY_NAME=";
	FILE *f = fopen("/etc/os-release", "re");
	char line[512];

	dst[0] = '\0';
	if (f == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL) {
		const char *v = line + sizeof key - 1;

		if (strncmp(line, key, sizeof key - 1) != 0)
			continue;
		trim(line);
		(void)snprintf(dst, size, "%s", v[0] == '"' ? v + 1 : v);
		break;
	}
	(void)fclose(f);
}

enum err
machine_id(char *dst, size_t size)
{
	first_line("/etc/machine-id", dst, size);
	if (dst[0] == '\0')
		first_line("/var/lib/dbus/machine-id", dst, size);
	return dst[0] == '\0' ? ERR_NOTFOUND : OK;
}

void
machine_model(char *dst, size_t size)
{
	char maker[128], product[128];

	first_line("/sys/class/dmi/id/sys_vendor", maker, sizeof maker);
	first_line("/sys/class/dmi/id/product_name", product, sizeof product);
	(void)snprintf(
	    dst, size, "%s%s%s", maker, maker[0] != '\0' && product[0] != '\0' ? " " : "", product);
}

uint64_t
machine_packages(void)
{
	FILE *f = fopen("/var/lib/dpkg/status", "re");
	char line[1024];
	uint64_t n = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL)
		n += strcmp(line, "Status: install ok installed\n") == 0;
	(void)fclose(f);
	return n;
}

uint64_t
machine_memory_available(void)
{
	static const char key[] = "MemAvailable:";
	FILE *f = fopen("/proc/meminfo", "re");
	char line[256];
	uint64_t kib = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL) {
		const char *p = line + sizeof key - 1;

		if (strncmp(line, key, sizeof key - 1) != 0)
			continue;
		p += strspn(p, " \t");
		if (text_u64(p, strspn(p, "0123456789"), UINT64_MAX / 1024, &kib) != OK)
			kib = 0;
		break;
	}
	(void)fclose(f);
	return kib * 1024;
}

uint64_t
machine_own_memory(void)
{
	char line[256];
	const char *p;
	uint64_t pages = 0;
	long page = sysconf(_SC_PAGESIZE);

	first_line("/proc/self/statm", line, sizeof line);
	p = strchr(line, ' ');
	if (p == NULL || page <= 0)
		return 0;
	p++;
	if (text_u64(p, strspn(p, "0123456789"), UINT64_MAX / (uint64_t)page, &pages) != OK)
		return 0;
	return pages * (uint64_t)page;
}
