#include "os/peer.h"

#include "base/buf.h"
#include "base/text.h"
#include "os/file.h"
#include "os/peer_diag.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROC_MAX (8u << 20) /* 50,000 sockets of 150 bytes */

enum err
peer_unix(int fd, struct peer_id *out)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	char link[64];
	ssize_t n;

	*out = (struct peer_id){ .pid = -1 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return ERR_IO;
	out->uid = cred.uid;
	out->pid = cred.pid;
	(void)snprintf(link, sizeof link, "/proc/%d/exe", (int)cred.pid);
	n = readlink(link, out->exe, sizeof out->exe - 1);
	out->exe[n > 0 ? n : 0] = '\0';
	return OK;
}

/* "0100007F:1F90" (or 32 digits) as /proc/net/tcp prints an address: words in host order. */
static void
proc_address(char out[48], const struct sockaddr *sa)
{
	uint32_t w[4];

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		(void)snprintf(out, 48, "%08X:%04X", in->sin_addr.s_addr, ntohs(in->sin_port));
		return;
	}
	memcpy(w, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, sizeof w);
	(void)snprintf(out, 48, "%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3],
	    ntohs(((const struct sockaddr_in6 *)(const void *)sa)->sin6_port));
}

/* Fields of a line of /proc/net/tcp, by spaces: sl local rem st tx:rx tr:when retr uid ... */
static bool
line_matches(const char *p, size_t n, const char *theirs, const char *ours, uint32_t *uid)
{
	const char *field[8];
	size_t len[8], count = 0, i = 0;

	while (i < n && count < 8) {
		while (i < n && p[i] == ' ')
			i++;
		field[count] = p + i;
		while (i < n && p[i] != ' ')
			i++;
		len[count] = (size_t)(p + i - field[count]);
		count++;
	}
	return count == 8 && text_eq(field[1], len[1], theirs) && text_eq(field[2], len[2], ours) &&
	    text_u32(field[7], len[7], UINT32_MAX, uid) == OK;
}

enum err
peer_parse_proc(const char *text, size_t n, const struct sockaddr *local,
    const struct sockaddr *remote, uint32_t *uid)
{
	char ours[48], theirs[48];
	size_t i = 0;

	proc_address(ours, local);
	proc_address(theirs, remote);
	while (i < n) {
		const char *nl = memchr(text + i, '\n', n - i);
		size_t len = nl != NULL ? (size_t)(nl - (text + i)) : n - i;

		if (line_matches(text + i, len, theirs, ours, uid))
			return OK;
		i += len + 1;
	}
	return ERR_NOTFOUND;
}

enum err
peer_tcp(const struct sockaddr *local, const struct sockaddr *remote, struct peer_id *out)
{
	bool six = local->sa_family == AF_INET6;
	struct buf text;
	enum err e;

	*out = (struct peer_id){ .pid = -1 };
	e = peer_diag_uid(local, remote, &out->uid);
	if (e != ERR_UNSUPPORTED)
		return e;
	buf_init(&text, PROC_MAX);
	e = file_read(six ? "/proc/net/tcp6" : "/proc/net/tcp", &text, NULL);
	if (e == OK)
		e = peer_parse_proc(buf_text(&text), text.len, local, remote, &out->uid);
	buf_free(&text);
	return e;
}
