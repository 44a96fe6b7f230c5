/* events_target.c - the option events.target: "console", or [FORMAT ]URL[ token_file=PATH]. */
#include "events_internal.h"

#include "base/text.h"
#include "net/addr.h"
#include "os/file.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_MAX 1000

struct target {
	enum uplink_format format;
	char url[1400], token_file[1100];
};

static enum err
take_word(struct target *t, const char *word, size_t n, struct fault *f)
{
	static const char token[] = "token_file=";
	enum err e;

	if (uplink_format_parse(word, n, &t->format) == OK)
		return OK;
	if (n > sizeof token - 1 && memcmp(word, token, sizeof token - 1) == 0)
		e = text_copy(t->token_file, sizeof t->token_file, word + sizeof token - 1,
		    n - sizeof token + 1);
	else
		e = text_copy(t->url, sizeof t->url, word, n);
	return e == OK ? OK
		       : fault_set(f, ERR_INVAL, "[events] target: '%.60s...' is too long", word);
}

static enum err
parse(struct target *t, const char *text, struct fault *f)
{
	struct fault why = { OK, "" };
	struct url url;
	enum err e = OK;

	*t = (struct target){ .format = UPLINK_CLOUDEVENTS };
	while (e == OK && *(text += strspn(text, " \t")) != '\0') {
		size_t n = strcspn(text, " \t");

		e = take_word(t, text, n, f);
		text += n;
	}
	if (e != OK)
		return e;
	if (url_parse(&url, t->url, strlen(t->url), &why) != OK)
		return fault_set(f, ERR_INVAL,
		    "[events] target: '%.100s' is no URL (%s); write console, or "
		    "for example: ndjson http://collector:8080/events",
		    t->url, fault_text(&why));
	if (strcmp(url.scheme, "http") != 0)
		return fault_set(f, ERR_INVAL,
		    "[events] target: collectors are reached by http only; put a "
		    "TLS proxy on this PC in front of %s",
		    url.host);
	return OK;
}

static enum err
read_token(const struct target *t, char *auth, size_t size, struct fault *f)
{
	struct buf b;
	enum err e;

	auth[0] = '\0';
	if (t->token_file[0] == '\0')
		return OK;
	buf_init(&b, TOKEN_MAX);
	e = file_read(t->token_file, &b, f);
	while (e == OK && b.len > 0 && strchr(" \t\r\n", b.data[b.len - 1]) != NULL)
		b.data[--b.len] = '\0';
	if (e == OK && (b.len == 0 || strpbrk(buf_text(&b), "\r\n") != NULL))
		e = fault_set(f, ERR_INVAL, "%s must hold one line, the token", t->token_file);
	if (e == OK)
		(void)snprintf(
		    auth, size, "%s%s", t->format == UPLINK_SPLUNK ? "Splunk " : "", buf_text(&b));
	buf_wipe(&b);
	return e;
}

/* A collector may be there before an organisation is: until enrolment the host's name must do. */
static enum err
host_source(struct events *ev)
{
	char host[UV_MAXHOSTNAMESIZE];
	size_t size = sizeof host;
	struct buf b;
	enum err e;

	if (uv_os_gethostname(host, &size) != 0)
		(void)snprintf(host, sizeof host, "unknown");
	buf_init(&b, 512);
	e = event_source(&b, "unenrolled", host);
	if (e == OK)
		e = uplink_source(ev->uplink, buf_text(&b));
	buf_free(&b);
	return e;
}

enum err
events_set_target(struct events *ev, struct httpc *plain, const char *target, struct fault *f)
{
	char auth[TOKEN_MAX + 16];
	struct target t;
	enum err e;

	if (target == NULL || target[0] == '\0' || strcmp(target, "console") == 0)
		return OK;
	ev->collector = true;
	e = parse(&t, target, f);
	if (e == OK)
		e = read_token(&t, auth, sizeof auth, f);
	if (e == OK && host_source(ev) != OK)
		e = fault_set(f, ERR_NOMEM, "memory ran out");
	if (e == OK &&
	    uplink_target(ev->uplink, plain, t.format, t.url, auth[0] != '\0' ? auth : NULL) != OK)
		e = fault_set(f, ERR_NOMEM, "memory ran out");
	explicit_bzero(auth, sizeof auth);
	return e;
}
