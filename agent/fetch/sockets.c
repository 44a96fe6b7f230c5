/* sockets.c - see sockets.h */
#include "sockets.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKETS_MAX 64 /* control and data connection of each parallel transfer, and HTTP's cache */

struct sockets {
	pthread_mutex_t lock;
	int open[SOCKETS_MAX];
	uint64_t owner[SOCKETS_MAX];
	size_t count;
	int receive_buffer;
	bool shut;
};

struct sockets *
sockets_new(size_t receive_buffer)
{
	struct sockets *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->receive_buffer = (int)(receive_buffer > 1 << 20 ? 1 << 20 : receive_buffer);
	if (pthread_mutex_init(&s->lock, NULL) == 0)
		return s;
	free(s);
	return NULL;
}

void
sockets_free(struct sockets *s)
{
	if (s == NULL)
		return;
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct sockets_owner *owner = arg;
	struct sockets *s = owner->sockets;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	bool refuse;

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (s->receive_buffer != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &s->receive_buffer,
		    sizeof s->receive_buffer);
	(void)pthread_mutex_lock(&s->lock);
	refuse = s->shut || s->count == SOCKETS_MAX;
	if (!refuse) {
		s->owner[s->count] = owner->id;
		s->open[s->count++] = fd;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (!refuse)
		return fd;
	(void)close(fd);
	return CURL_SOCKET_BAD;
}

static int
on_close(void *arg, curl_socket_t fd)
{
	struct sockets *s = arg;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++)
		if (s->open[i] == fd) {
			s->open[i] = s->open[--s->count];
			s->owner[i] = s->owner[s->count];
			break;
		}
	/* Inside the lock: sockets_shut must not meet a number that is somebody else's already. */
	(void)close(fd);
	(void)pthread_mutex_unlock(&s->lock);
	return 0;
}

bool
sockets_watch(struct sockets_owner *owner, CURL *easy)
{
	return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
	    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, owner) == CURLE_OK &&
	    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) == CURLE_OK &&
	    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, owner->sockets) == CURLE_OK;
}

void
sockets_hush(struct sockets_owner *owner)
{
	struct sockets *s = owner->sockets;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++)
		if (s->owner[i] == owner->id)
			(void)shutdown(s->open[i], SHUT_RD);
	(void)pthread_mutex_unlock(&s->lock);
}

void
sockets_shut(struct sockets *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->shut = true;
	for (size_t i = 0; i < s->count; i++)
		(void)shutdown(s->open[i], SHUT_RDWR);
	(void)pthread_mutex_unlock(&s->lock);
}
