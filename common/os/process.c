/* process.c - see process.h. */
#include "os/process.h"

#include "base/buf.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static int
is_named(const char *pid, const char *name)
{
	char path[64];
	struct buf text;
	int same;

	buf_init(&text, 64);
	(void)snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
	same = file_read(path, &text, NULL) == OK && text.len > 1 &&
	       text_eq((const char *)text.data, text.len - 1, name);
	buf_free(&text);
	return same;
}

long
process_find(const char *name)
{
	DIR *d = opendir("/proc");
	const struct dirent *entry;
	uint32_t pid = 0, found = 0;

	while (d != NULL && found == 0 && (entry = readdir(d)) != NULL)
		if (text_u32(entry->d_name, strlen(entry->d_name), 4194304, &pid) == OK &&
		    is_named(entry->d_name, name))
			found = pid;
	if (d != NULL)
		(void)closedir(d);
	return (long)found;
}
