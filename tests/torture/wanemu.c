/* wanemu.c - a bad line between two interfaces of one namespace, for kernels without sch_netem.
 *
 *   wanemu IF_A IF_B RATE_KBIT DELAY_MS LOSS_PERMILLE [SEED]
 *
 * Frames read from one interface leave at the other: serialised at the rate, delayed one way, lost
 * at random (seeded), dropped at the tail of a 64 KiB queue. SIGUSR1 cuts the line or mends it;
 * SIGTERM prints the counts and ends. Needs CAP_NET_RAW in its namespace. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_BYTES (64 * 1024) /* what a cheap router holds */
#define FRAME_MAX 65600
#define BURST 256 /* frames taken from one side before the other is looked at */

struct frame {
	struct frame *next;
	uint64_t due; /* ns */
	size_t len;
	uint8_t bytes[];
};

struct side {
	const char *name;
	int fd;
	struct frame *first, *last; /* read here, not yet sent at the other side */
	uint64_t busy_until;	    /* when the wire in this direction is free */
	uint64_t in, lost, tail, out;
};

static volatile sig_atomic_t cut, stop;

static void
on_signal(int sig)
{
	if (sig == SIGUSR1)
		cut = !cut;
	else
		stop = 1;
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 20);
}

static int
open_side(struct side *s)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct packet_mreq all = { .mr_type = PACKET_MR_PROMISC };
	int size = 4 << 20;

	a.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(s->name);
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (s->fd < 0 || a.sll_ifindex == 0 || bind(s->fd, (struct sockaddr *)&a, sizeof a) != 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0) {
		perror(s->name);
		return 1;
	}
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	return 0;
}

struct line {
	uint64_t ns_per_byte_x1000, delay_ns;
	uint32_t loss_permille;
	uint64_t random;
};

/* Puts a frame on the wire, or loses it. */
static void
send_into(struct side *s, struct line *l, const uint8_t *p, size_t n, uint64_t now)
{
	uint64_t wire = (uint64_t)n * l->ns_per_byte_x1000 / 1000;
	uint64_t waiting = s->busy_until > now ? s->busy_until - now : 0;
	struct frame *f;

	s->in++;
	if (cut || next_random(&l->random) % 1000 < l->loss_permille) {
		s->lost++;
		return;
	}
	if (l->ns_per_byte_x1000 > 0 && waiting * 1000 / l->ns_per_byte_x1000 > QUEUE_BYTES) {
		s->tail++;
		return;
	}
	f = malloc(sizeof *f + n);
	if (f == NULL)
		return;
	s->busy_until = (s->busy_until < now ? now : s->busy_until) + wire;
	f->next = NULL;
	f->due = s->busy_until + l->delay_ns;
	f->len = n;
	memcpy(f->bytes, p, n);
	if (s->last != NULL)
		s->last->next = f;
	else
		s->first = f;
	s->last = f;
}

static void
take_frames(struct side *s, struct line *l)
{
	static uint8_t frame[FRAME_MAX];
	int k;

	for (k = 0; k < BURST; k++) {
		struct sockaddr_ll from;
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(s->fd, frame, sizeof frame, 0, (struct sockaddr *)&from, &len);

		if (n <= 0)
			return;
		if (from.sll_pkttype != PACKET_OUTGOING)
			send_into(s, l, frame, (size_t)n, now_ns());
	}
}

static void
deliver(struct side *from, const struct side *to, uint64_t now)
{
	while (from->first != NULL && from->first->due <= now) {
		struct frame *f = from->first;

		from->first = f->next;
		if (from->first == NULL)
			from->last = NULL;
		if (send(to->fd, f->bytes, f->len, 0) > 0)
			from->out++;
		free(f);
	}
}

/* Waits for a frame or until the next one is due, a second at most. */
static void
wait_for_work(const struct side side[2])
{
	struct pollfd p[2] = { { side[0].fd, POLLIN, 0 }, { side[1].fd, POLLIN, 0 } };
	uint64_t now = now_ns(), until = now + 1000000000u;
	struct timespec t;
	int i;

	for (i = 0; i < 2; i++)
		if (side[i].first != NULL && side[i].first->due < until)
			until = side[i].first->due;
	t.tv_sec = until > now ? (time_t)((until - now) / 1000000000u) : 0;
	t.tv_nsec = until > now ? (long)((until - now) % 1000000000u) : 0;
	(void)ppoll(p, 2, &t, NULL);
}

static int
number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return errno != 0 || *end != '\0' || end == text || *out > max;
}

int
main(int argc, char **argv)
{
	struct side side[2] = { { .fd = -1 }, { .fd = -1 } };
	struct sigaction on = { .sa_handler = on_signal };
	unsigned long kbit, delay, loss, seed = 1;
	struct line l;
	int i;

	if (argc < 6 || number(argv[3], 10000000, &kbit) || number(argv[4], 10000, &delay) ||
	    number(argv[5], 1000, &loss) || (argc > 6 && number(argv[6], 1u << 30, &seed))) {
		(void)fprintf(
		    stderr, "usage: wanemu IF_A IF_B RATE_KBIT DELAY_MS LOSS_PERMILLE [SEED]\n");
		return 2;
	}
	l = (struct line){ .ns_per_byte_x1000 = kbit > 0 ? 8000000000u / kbit : 0,
		.delay_ns = delay * 1000000u,
		.loss_permille = (uint32_t)loss,
		.random = seed * 2654435761u + 1 };
	side[0].name = argv[1];
	side[1].name = argv[2];
	if (open_side(&side[0]) != 0 || open_side(&side[1]) != 0)
		return 1;
	(void)sigaction(SIGUSR1, &on, NULL);
	(void)sigaction(SIGTERM, &on, NULL);
	(void)sigaction(SIGINT, &on, NULL);
	while (!stop) {
		wait_for_work(side);
		for (i = 0; i < 2; i++)
			take_frames(&side[i], &l);
		for (i = 0; i < 2; i++)
			deliver(&side[i], &side[!i], now_ns());
	}
	for (i = 0; i < 2; i++)
		(void)fprintf(stderr, "wanemu %s in=%llu lost=%llu tail=%llu out=%llu\n",
		    side[i].name, (unsigned long long)side[i].in, (unsigned long long)side[i].lost,
		    (unsigned long long)side[i].tail, (unsigned long long)side[i].out);
	return 0;
}
