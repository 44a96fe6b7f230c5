#include "ftp_passive.h"

#include "os/descriptors.h"
#include "os/rand.h"
#include "os/sock.h"

#include <string.h>

#define DYNAMIC_FIRST 49152
#define DYNAMIC_COUNT 16384
#define DYNAMIC_TRIES 32
#define BACKLOG 8 /* strangers in front must not keep the rightful client out */

static bool
reserved(const struct options *o, uint16_t port)
{
	size_t i;

	for (i = 0; i < o->reserved_count; i++) {
		if (o->reserved[i] == port)
			return true;
	}
	return false;
}

static enum err
listen_at(const struct addr *local, uint16_t port, int *fd)
{
	struct sockaddr_storage ss;
	struct addr a = *local;
	socklen_t len;
	enum err e;

	a.port = port;
	e = addr_to_sockaddr(&a, &ss, &len);
	if (e == OK)
		e = sock_listen((struct sockaddr *)&ss, len, BACKLOG, fd);
	if (e == OK && descriptors_tight(*fd)) {
		sock_close(*fd);
		e = ERR_NOMEM;
	}
	return e;
}

/* The kernel's own search for a free port takes milliseconds when thousands of connections are in
 * TIME_WAIT; a port of the dynamic range (RFC 6335) named by us costs nothing, and is as random. */
static enum err
listen_anywhere(const struct options *o, const struct addr *local, int *fd, uint16_t *port)
{
	enum err e;
	int i;

	for (i = 0; i < DYNAMIC_TRIES; i++) {
		*port = (uint16_t)(DYNAMIC_FIRST + rand_below(DYNAMIC_COUNT));
		e = reserved(o, *port) ? ERR_BUSY : listen_at(local, *port, fd);
		if (e != ERR_BUSY && e != ERR_DENIED)
			return e;
	}
	for (i = 0; i < RESERVED_MAX; i++) {
		e = listen_at(local, 0, fd);
		if (e == OK)
			e = sock_port(*fd, port);
		if (e != OK || !reserved(o, *port))
			return e;
		sock_close(*fd);
	}
	return ERR_BUSY;
}

enum err
passive_listen(const struct options *o, const struct addr *local, int *fd, uint16_t *port)
{
	uint32_t i, begin;
	enum err e;

	if (o->passive_first == 0)
		return listen_anywhere(o, local, fd, port);
	begin = rand_below(o->passive_count);
	for (i = 0; i < o->passive_count; i++) {
		*port = (uint16_t)(o->passive_first + (begin + i) % o->passive_count);
		if (reserved(o, *port))
			continue;
		e = listen_at(local, *port, fd);
		/* A port that is not ours to take is like one in use; anything else ends the
		 * search. */
		if (e != ERR_BUSY && e != ERR_DENIED)
			return e;
	}
	return ERR_BUSY;
}

enum err
passive_address(
    const struct options *o, const struct addr *local, const struct addr *peer, uint8_t out[4])
{
	const struct addr *a = local;

	if (local->family != ADDR_V4)
		return ERR_UNSUPPORTED;
	if (o->has_passive_address && !cidr_list_match(&o->local_networks, peer))
		a = &o->passive_address;
	memcpy(out, a->ip, 4);
	return OK;
}

bool
passive_peer_ok(enum data_peer rule, const struct addr *control, const struct addr *data)
{
	size_t prefix = control->family == ADDR_V4 ? 3 : 8;

	if (rule == DATA_PEER_ANY)
		return true;
	if (addr_same_ip(control, data))
		return true;
	return rule == DATA_PEER_SUBNET && control->family == data->family &&
	       memcmp(control->ip, data->ip, prefix) == 0;
}
