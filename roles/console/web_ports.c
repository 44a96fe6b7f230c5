/* web_ports.c - the port table of this very installation, each port of the server with the outcome
 * of a real connection to the address that others use. What lies on PCs is listed without one:
 * `atalaia doctor` there tests both directions. */
#include "base/clock.h"
#include "base/text.h"
#include "net/addr.h"
#include "web_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MS 4000
#define PORTS 9
/* The role's default; what the mirror really has its own `doctor` says. */
#define PASSIVE_FIRST 3400
#define PASSIVE_LAST 3999

struct port {
	const char *name, *program, *from, *purpose, *host;
	uint16_t number, last; /* last: of a range, which is not probed */
	bool local, elsewhere; /* loopback only; on PCs */
	bool done, good;
	char text[160], at[CLOCK_TEXT];
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_getaddrinfo_t names;
	struct check *check;
};

struct check {
	struct http_req *req; /* NULL: the client went away */
	struct console *c;
	struct port ports[PORTS];
	size_t n, open; /* handles that still have to close */
	unsigned left;
	uv_timer_t timer;
	bool over;
};

static void
add(struct check *x, const char *name, uint16_t number, const char *program, const char *from,
    const char *purpose)
{
	struct port *p = &x->ports[x->n];

	if (x->n == PORTS || number == 0)
		return;
	p->name = name;
	p->number = number;
	p->program = program;
	p->from = from;
	p->purpose = purpose;
	p->check = x;
	p->host = x->c->o->host;
	x->n++;
}

static void
fill(struct check *x)
{
	const struct options *o = x->c->o;

	add(x, "agents", x->c->agent_port, "atalaia-console", "every PC",
	    "enrolment, events, tasks");
	add(x, "web", x->c->web->port, "atalaia-console", "administrators", "this web console");
	add(x, "admin", x->c->admin_port, "atalaia-console", "this server only",
	    "administrator's programs");
	x->ports[x->n - 1].local = true;
	x->ports[x->n - 1].host = o->admin_listen;
	add(x, "mirror-version", o->source_version, "atalaia-update-agent", "every PC",
	    "which version is the newest");
	add(x, "mirror-ftp", o->source_ftp, "atalaia-update-agent", "every PC",
	    "sets over FTP, with the passive range");
	if (o->source_ftp != 0) {
		add(x, "mirror-passive", PASSIVE_FIRST, "atalaia-update-agent", "every PC",
		    "passive range of FTP, unless configured otherwise");
		x->ports[x->n - 1].last = PASSIVE_LAST;
	}
	add(x, "mirror-http", o->source_http, "atalaia-update-agent", "every PC", "sets over HTTP");
	for (size_t i = 3; i < x->n; i++)
		x->ports[i].host = o->source_host;
	add(x, "tasks", 2222, "atalaia-agent", "this server", "tasks, on every PC");
	add(x, "self-events", 2227, "atalaia-agent", "that PC only", "events, on every PC");
	x->ports[x->n - 1].local = true;
	x->ports[x->n - 1].elsewhere = x->ports[x->n - 2].elsewhere = true;
}

static bool
is_probed(const struct port *p)
{
	return !p->elsewhere && p->last == 0;
}

/* ---- the answer ---- */

static enum err
add_port(cJSON *list, const struct port *p, bool checked)
{
	cJSON *o = cJSON_CreateObject(), *c;
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "name", p->name);

	if (e == OK)
		e = json_add_u64(o, "port", p->number);
	if (e == OK && p->last != 0)
		e = json_add_u64(o, "to_port", p->last);
	if (e == OK)
		e = json_add_string(o, "protocol", "tcp");
	if (e == OK)
		e = json_add_string(o, "program", p->program);
	if (e == OK)
		e = json_add_string(o, "from", p->from);
	if (e == OK)
		e = json_add_string(o, "purpose", p->purpose);
	if (e == OK && !p->elsewhere)
		e = json_add_string(o, "address", p->host);
	if (e == OK && checked && is_probed(p)) {
		e = json_add_bool(o, "listening", p->good);
		if (e == OK)
			e = json_add_object(o, "check", &c);
		if (e == OK)
			e = json_add_bool(c, "good", p->good);
		if (e == OK)
			e = json_add_string(c, "text", p->text);
		if (e == OK)
			e = json_add_string(c, "at", p->at);
	}
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

/* What must be open towards this server, for the three usual firewalls. */
static enum err
add_rules(cJSON *o, const struct check *x)
{
	struct buf nft, firewalld, ufw;
	const char *comma = "";
	char range[8];
	cJSON *rules;
	enum err e = json_add_object(o, "rules", &rules);

	buf_init(&nft, 2048);
	buf_init(&firewalld, 4096);
	buf_init(&ufw, 4096);
	if (e == OK)
		e = buf_puts(&nft, "nft add rule inet filter input tcp dport { ");
	for (size_t i = 0; e == OK && i < x->n; i++) {
		const struct port *p = &x->ports[i];

		if (p->local || p->elsewhere)
			continue;
		(void)snprintf(range, sizeof(range), p->last != 0 ? "-%u" : "", p->last);
		e = buf_printf(&nft, "%s%u%s", comma, p->number, range);
		if (e == OK)
			e = buf_printf(&firewalld, "firewall-cmd --permanent --add-port=%u%s/tcp\n",
			    p->number, range);
		range[0] = range[0] != '\0' ? ':' : '\0'; /* ufw's way to write it */
		if (e == OK)
			e = buf_printf(&ufw, "ufw allow %u%s/tcp\n", p->number, range);
		comma = ", ";
	}
	if (e == OK)
		e = buf_puts(&nft, " } accept");
	if (e == OK)
		e = buf_puts(&firewalld, "firewall-cmd --reload");
	if (e == OK)
		e = json_add_string(rules, "nft", buf_text(&nft));
	if (e == OK)
		e = json_add_string(rules, "firewalld", buf_text(&firewalld));
	if (e == OK)
		e = json_add_string(rules, "ufw", buf_text(&ufw));
	buf_free(&nft);
	buf_free(&firewalld);
	buf_free(&ufw);
	return e;
}

static void
answer(struct check *x, bool checked)
{
	cJSON *o = cJSON_CreateObject(), *list;
	enum err e = o == NULL ? ERR_NOMEM : json_add_array(o, "ports", &list);

	for (size_t i = 0; e == OK && i < x->n; i++)
		e = add_port(list, &x->ports[i], checked);
	if (e == OK)
		e = add_rules(o, x);
	if (e == OK)
		http_reply_json(x->req, 200, o);
	else
		http_problem(x->req, 503, "busy", "memory ran out");
	cJSON_Delete(o);
}

void
web_ports(struct http_req *req, void *ctx)
{
	struct check *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		http_problem(req, 503, "busy", "memory ran out");
		return;
	}
	x->c = ctx;
	x->req = req;
	fill(x);
	answer(x, false);
	free(x);
}

/* ---- connecting ---- */

static void
part_gone(struct check *x)
{
	if (--x->open > 0)
		return;
	if (x->req != NULL) {
		http_on_cancel(x->req, NULL, NULL);
		answer(x, true);
	}
	free(x);
}

static void
on_closed(uv_handle_t *h)
{
	part_gone(h->data);
}

static void
end(struct check *x)
{
	if (x->over)
		return;
	x->over = true;
	uv_close((uv_handle_t *)&x->timer, on_closed);
}

static void
settle(struct port *p, bool good, const char *text)
{
	struct check *x = p->check;

	if (p->done)
		return;
	p->done = true;
	p->good = good;
	(void)snprintf(p->text, sizeof(p->text), "%s", text);
	clock_format(p->at, clock_wall_ms());
	uv_close((uv_handle_t *)&p->tcp, on_closed);
	if (--x->left == 0)
		end(x);
}

static void
on_connect(uv_connect_t *c, int status)
{
	struct port *p = c->data;

	if (status != UV_ECANCELED)
		settle(p, status == 0, status == 0 ? "a connection was made" : uv_strerror(status));
}

static void
on_timer(uv_timer_t *t)
{
	struct check *x = t->data;

	for (size_t i = 0; i < x->n; i++)
		if (x->ports[i].check != NULL && is_probed(&x->ports[i]))
			settle(
			    &x->ports[i], false, "no answer in four seconds: a firewall drops it");
}

static void
on_cancel(struct http_req *req, void *ctx)
{
	struct check *x = ctx;

	(void)req;
	x->req = NULL;
}

static void
connect_to(struct port *p, const struct sockaddr *sa)
{
	int rc = uv_tcp_connect(&p->connect, &p->tcp, sa, on_connect);

	if (rc != 0)
		settle(p, false, uv_strerror(rc));
}

static void
on_names(uv_getaddrinfo_t *r, int status, struct addrinfo *found)
{
	struct port *p = r->data;
	struct check *x = p->check;
	struct sockaddr_storage sa;
	struct addr a;
	socklen_t n;

	if (p->done) {
		; /* too late */
	} else if (status != 0 || addr_from_sockaddr(&a, found->ai_addr) != OK) {
		settle(p, false, "the host name cannot be resolved");
	} else {
		a.port = p->number;
		if (addr_to_sockaddr(&a, &sa, &n) == OK)
			connect_to(p, (const struct sockaddr *)&sa);
	}
	uv_freeaddrinfo(found);
	part_gone(x);
}

static void
start_port(struct check *x, struct port *p)
{
	struct sockaddr_storage sa;
	struct addr a;
	socklen_t n;

	p->tcp.data = x;
	p->connect.data = p;
	x->left++;
	x->open++;
	(void)uv_tcp_init(x->c->loop, &p->tcp);
	if (addr_parse_ip(&a, p->host, strlen(p->host)) == OK) {
		a.port = p->number;
		if (addr_to_sockaddr(&a, &sa, &n) == OK)
			connect_to(p, (const struct sockaddr *)&sa);
		return;
	}
	p->names.data = p;
	x->open++;
	if (uv_getaddrinfo(x->c->loop, &p->names, on_names, p->host, NULL, NULL) != 0) {
		x->open--;
		settle(p, false, "the host name cannot be resolved");
	}
}

void
web_ports_check(struct http_req *req, void *ctx)
{
	struct check *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		http_problem(req, 503, "busy", "memory ran out");
		return;
	}
	x->c = ctx;
	x->req = req;
	fill(x);
	http_on_cancel(req, on_cancel, x);
	(void)uv_timer_init(x->c->loop, &x->timer);
	x->timer.data = x;
	x->open = 1;
	x->left = 1; /* until all have been started */
	(void)uv_timer_start(&x->timer, on_timer, CHECK_MS, 0);
	for (size_t i = 0; i < x->n; i++)
		if (is_probed(&x->ports[i]))
			start_port(x, &x->ports[i]);
	if (--x->left == 0)
		end(x);
}
