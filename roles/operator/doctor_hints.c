/* doctor_hints.c - the rules that would open what was found closed, for three firewalls. */
#include "doctor.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define RULE_TEXT 512

void
doctor_hint(struct doctor *d, bool in, const char *host, unsigned first, unsigned last)
{
	struct hint h = { .in = in, .first = (uint16_t)first, .last = (uint16_t)last };

	(void)snprintf(h.host, sizeof h.host, "%s", host);
	for (size_t i = 0; i < d->n_hints; i++)
		if (d->hints[i].in == in && d->hints[i].first == h.first &&
		    d->hints[i].last == h.last && strcmp(d->hints[i].host, h.host) == 0)
			return;
	if (d->n_hints < LIMIT_HINTS && first > 0)
		d->hints[d->n_hints++] = h;
}

/* Names go into no rule: a firewall resolves them once, or not at all. */
static bool
is_address(const char *host)
{
	return host[0] != '\0' && strspn(host, "0123456789abcdefABCDEF.:") == strlen(host);
}

static void
ports(char dst[32], const struct hint *h, char dash)
{
	if (h->first == h->last)
		(void)snprintf(dst, 32, "%u", h->first);
	else
		(void)snprintf(dst, 32, "%u%c%u", h->first, dash, h->last);
}

static void
nft(char dst[RULE_TEXT], const struct hint *h)
{
	const char *family = strchr(h->host, ':') != NULL ? "ip6" : "ip";
	char range[32], peer[300] = "";

	ports(range, h, '-');
	if (is_address(h->host))
		(void)snprintf(
		    peer, sizeof peer, "%s %s %s ", family, h->in ? "saddr" : "daddr", h->host);
	(void)snprintf(dst, RULE_TEXT, "nft add rule inet filter %s %stcp dport %s accept",
	    h->in ? "input" : "output", peer, range);
}

/* firewalld filters what comes in; its rule for the way out is a direct one. */
static void
firewalld(char dst[RULE_TEXT], const struct hint *h)
{
	bool six = strchr(h->host, ':') != NULL;
	char range[32];

	ports(range, h, h->in ? '-' : ':');
	if (h->in && is_address(h->host))
		(void)snprintf(dst, RULE_TEXT,
		    "firewall-cmd --permanent --add-rich-rule='rule family=\"%s\" source "
		    "address=\"%s\" port port=\"%s\" protocol=\"tcp\" accept'",
		    six ? "ipv6" : "ipv4", h->host, range);
	else if (h->in)
		(void)snprintf(dst, RULE_TEXT, "firewall-cmd --permanent --add-port=%s/tcp", range);
	else
		(void)snprintf(dst, RULE_TEXT,
		    "firewall-cmd --permanent --direct --add-rule %s filter OUTPUT 0 -p tcp%s%s "
		    "--dport %s -j ACCEPT",
		    six ? "ipv6" : "ipv4", is_address(h->host) ? " -d " : "",
		    is_address(h->host) ? h->host : "", range);
}

static void
ufw(char dst[RULE_TEXT], const struct hint *h)
{
	const char *peer = is_address(h->host) ? h->host : "any";
	char range[32];

	ports(range, h, ':');
	if (h->in)
		(void)snprintf(
		    dst, RULE_TEXT, "ufw allow proto tcp from %s to any port %s", peer, range);
	else
		(void)snprintf(
		    dst, RULE_TEXT, "ufw allow out proto tcp from any to %s port %s", peer, range);
}

static const struct {
	const char *name;
	void (*rule)(char dst[RULE_TEXT], const struct hint *h);
} firewalls[] = { { "nft", nft }, { "firewalld", firewalld }, { "ufw", ufw } };

void
doctor_print_hints(const struct doctor *d)
{
	char rule[RULE_TEXT];

	if (d->n_hints == 0)
		(void)printf("No port was found closed: no rule is needed.\n");
	for (size_t k = 0; d->n_hints > 0 && k < sizeof firewalls / sizeof firewalls[0]; k++) {
		(void)printf("# %s\n", firewalls[k].name);
		for (size_t i = 0; i < d->n_hints; i++) {
			firewalls[k].rule(rule, &d->hints[i]);
			(void)printf("%s\n", rule);
		}
	}
}

bool
doctor_hints_json(const struct doctor *d, cJSON *o)
{
	char rule[RULE_TEXT];
	cJSON *rules, *list;

	if (json_add_object(o, "rules", &rules) != OK)
		return false;
	for (size_t k = 0; k < sizeof firewalls / sizeof firewalls[0]; k++) {
		if (json_add_array(rules, firewalls[k].name, &list) != OK)
			return false;
		for (size_t i = 0; i < d->n_hints; i++) {
			firewalls[k].rule(rule, &d->hints[i]);
			if (json_append_string(list, rule) != OK)
				return false;
		}
	}
	return true;
}
