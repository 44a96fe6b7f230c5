#include "os/peer_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MS 500 /* the kernel answers within the call; this only bounds a surprise */

struct request {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

static void
put_address(const struct sockaddr *sa, __be32 ip[4], __be16 *port)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		ip[0] = in->sin_addr.s_addr;
		*port = in->sin_port;
		return;
	}
	memcpy(ip, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	*port = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_port;
}

/* Exactly one socket: the one whose own end is our remote end. */
static struct request
make_request(const struct sockaddr *local, const struct sockaddr *remote)
{
	struct request r = { .head = { .nlmsg_len = sizeof r,
				 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				 .nlmsg_flags = NLM_F_REQUEST } };

	r.body.sdiag_family = (uint8_t)local->sa_family;
	r.body.sdiag_protocol = IPPROTO_TCP;
	r.body.idiag_states = ~0u;
	put_address(remote, r.body.id.idiag_src, &r.body.id.idiag_sport);
	put_address(local, r.body.id.idiag_dst, &r.body.id.idiag_dport);
	r.body.id.idiag_cookie[0] = r.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return r;
}

static enum err
read_answer(const void *p, size_t n, const struct request *r, uint32_t *uid)
{
	const struct nlmsghdr *head = p;
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	const struct nlmsgerr *error = NLMSG_DATA(head);

	if (n < sizeof *head || head->nlmsg_len > n)
		return ERR_UNSUPPORTED;
	if (head->nlmsg_type == NLMSG_ERROR)
		return n >= NLMSG_LENGTH(sizeof *error) && error->error == -ENOENT
		    ? ERR_NOTFOUND
		    : ERR_UNSUPPORTED;
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || n < NLMSG_LENGTH(sizeof *m))
		return ERR_UNSUPPORTED;
	/* The kernel falls back to a listening socket of that port: not what was asked for. */
	if (m->id.idiag_sport != r->body.id.idiag_sport ||
	    m->id.idiag_dport != r->body.id.idiag_dport)
		return ERR_NOTFOUND;
	*uid = m->idiag_uid;
	return OK;
}

enum err
peer_diag_uid(const struct sockaddr *local, const struct sockaddr *remote, uint32_t *uid)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const struct timeval limit = { .tv_usec = ANSWER_MS * 1000 };
	struct request r = make_request(local, remote);
	_Alignas(struct nlmsghdr) char answer[4096];
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	enum err e = ERR_UNSUPPORTED;
	ssize_t n;

	if (fd < 0)
		return ERR_UNSUPPORTED;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
	    sendto(fd, &r, sizeof r, 0, (struct sockaddr *)&kernel, sizeof kernel) == sizeof r) {
		n = recv(fd, answer, sizeof answer, 0);
		if (n > 0)
			e = read_answer(answer, (size_t)n, &r, uid);
	}
	(void)close(fd);
	return e;
}
