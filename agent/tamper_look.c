/* tamper_look.c - see tamper_look.h. */
#include "tamper_look.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "os/resolve.h"
#include "update/hash.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_WATCHED_FILE (1u << 20)
#define LIMIT_HOSTS_FILE (16u << 20) /* block lists have some 200,000 lines */
#define LIMIT_UNIT_PARTS 32	     /* a unit and its drop-ins */

/* --- configuration --- */

static enum err
hash_file(const char *path, char out[HASH_SHA256_TEXT])
{
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_WATCHED_FILE);
	e = file_read(path, &b, NULL);
	if (e == OK)
		hash_sha256_text(b.data, b.len, out);
	buf_free(&b);
	return e;
}

static enum err
look_at_file(struct tamper_facts *out, const char *path)
{
	char hash[HASH_SHA256_TEXT];
	enum err e = hash_file(path, hash);

	if (e == ERR_NOMEM)
		return e;
	return tamper_facts_add(out, "config", path,
	    e == OK		? hash
	    : e == ERR_NOTFOUND ? "missing"
				: "unreadable");
}

static enum err
look_at_roots(struct tamper_facts *out, const char *folder)
{
	char path[LIMIT_STATE_PATH + 300];
	DIR *d = opendir(folder);
	const struct dirent *i;
	enum err e = OK;

	if (d == NULL)
		return OK;
	while (e == OK && (i = readdir(d)) != NULL)
		if (text_ends(i->d_name, ".root.json") &&
		    file_join(path, sizeof path, folder, i->d_name) == OK)
			e = look_at_file(out, path);
	(void)closedir(d);
	return e;
}

/* --- units --- */

struct unit {
	const char *name;
	bool present, masked, enabled;
	struct hash sum;
	unsigned parts;
};

static void
take_part(struct unit *u, const char *path)
{
	char text[HASH_SHA256_TEXT];

	if (u->parts == LIMIT_UNIT_PARTS || hash_file(path, text) != OK)
		return;
	u->parts++;
	hash_update(&u->sum, path, strlen(path) + 1);
	hash_update(&u->sum, text, sizeof text);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Drop-ins can change what a unit starts as well as the unit can. In the order of their names, so
 * that the sum does not depend on the folder's. */
static void
take_drop_ins(struct unit *u, const char *folder)
{
	char path[700], *names[LIMIT_UNIT_PARTS];
	const struct dirent *i;
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof path, "%s/%s.d", folder, u->name);
	d = opendir(path);
	if (d == NULL)
		return;
	while ((i = readdir(d)) != NULL && n < LIMIT_UNIT_PARTS)
		if (text_ends(i->d_name, ".conf") && (names[n] = strdup(i->d_name)) != NULL)
			n++;
	(void)closedir(d);
	qsort(names, n, sizeof names[0], by_name);
	for (size_t k = 0; k < n; k++) {
		(void)snprintf(path, sizeof path, "%s/%s.d/%s", folder, u->name, names[k]);
		take_part(u, path);
		free(names[k]);
	}
}

static void
take_folder(struct unit *u, const char *folder)
{
	char path[700], target[64];
	struct stat st;
	ssize_t n;

	(void)snprintf(path, sizeof path, "%s/%s", folder, u->name);
	n = readlink(path, target, sizeof target);
	if (n == 9 && memcmp(target, "/dev/null", 9) == 0)
		u->masked = true;
	else if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		u->present = true;
		take_part(u, path);
	}
	take_drop_ins(u, folder);
	(void)snprintf(path, sizeof path, "%s/multi-user.target.wants/%s", folder, u->name);
	if (lstat(path, &st) == 0)
		u->enabled = true;
}

static const char *
next_item(const char **list, char *item, size_t size)
{
	size_t n;

	do {
		*list += strspn(*list, ", \t");
		n = strcspn(*list, ", \t");
		if (n == 0)
			return NULL;
		*list += n;
	} while (text_copy(item, size, *list - n, n) != OK);
	return item;
}

static enum err
look_at_unit(struct tamper_facts *out, const char *name, const char *folders)
{
	struct unit u = { .name = name };
	char folder[300], state[96], hex[HASH_SHA256_TEXT];
	uint8_t sum[HASH_SHA256_LEN];

	hash_init(&u.sum, HASH_SHA256);
	while (next_item(&folders, folder, sizeof folder) != NULL)
		take_folder(&u, folder);
	hash_final(&u.sum, sum);
	text_hex(hex, sum, sizeof sum);
	if (u.masked)
		return tamper_facts_add(out, "unit", name, "masked");
	if (!u.present)
		return tamper_facts_add(out, "unit", name, "missing");
	(void)snprintf(state, sizeof state, "%s:%s", u.enabled ? "present" : "disabled", hex);
	return tamper_facts_add(out, "unit", name, state);
}

/* --- names --- */

static bool
holds(const struct tamper_addresses *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->text[i], text) == 0)
			return true;
	return false;
}

static bool
from_policy(const struct tamper_name *name, const char *address)
{
	for (size_t i = 0; i < name->n_addresses; i++)
		if (strcmp(name->address[i], address) == 0)
			return true;
	return false;
}

/* An address at which only this PC answers, or nobody. */
static bool
leads_nowhere(const char *text)
{
	struct addr a;

	return addr_parse_ip(&a, text, strlen(text)) != OK || addr_is_loopback(&a) ||
	       addr_is_any(&a);
}

const char *
tamper_detour(const struct tamper_name *name, const struct tamper_addresses *listed,
    const struct tamper_addresses *found)
{
	bool usable = false;

	if (name->n_addresses == 0)
		return "";
	for (size_t i = 0; i < listed->n; i++)
		if (!from_policy(name, listed->text[i]))
			return name->address[0]; /* somebody on this PC knows better than policy */
	for (size_t i = 0; i < found->n; i++)
		if (!leads_nowhere(found->text[i]) || from_policy(name, found->text[i]))
			usable = true;
	return usable ? "" : name->address[0];
}

static void
listed_addresses(struct tamper_addresses *out, const struct tamper_facts *facts, const char *host)
{
	size_t n = strlen(host);

	out->n = 0;
	for (size_t i = 0; i < facts->n && out->n < 8; i++) {
		const struct tamper_fact *f = &facts->item[i];

		if (strcmp(f->kind, "hosts") == 0 && strncmp(f->name, host, n) == 0 &&
		    f->name[n] == ' ')
			(void)snprintf(out->text[out->n++], ADDR_TEXT, "%s", f->name + n + 1);
	}
}

static void
found_addresses(struct tamper_addresses *out, const char *host)
{
	struct sockaddr_storage list[8];
	size_t n;

	out->n = 0;
	if (resolve_host(host, list, 8, &n) != OK)
		return;
	for (size_t i = 0; i < n; i++) {
		struct addr a;

		if (addr_from_sockaddr(&a, (const struct sockaddr *)&list[i]) == OK &&
		    !holds(out, addr_format_ip(out->text[out->n], &a)))
			out->n++;
	}
}

static enum err
look_at_name(struct tamper_facts *out, struct tamper_name *name)
{
	struct tamper_addresses listed, found;
	bool nowhere = true;

	listed_addresses(&listed, out, name->host);
	found_addresses(&found, name->host);
	(void)snprintf(name->detour, sizeof name->detour, "%s",
	    name->own ? "" : tamper_detour(name, &listed, &found));
	for (size_t i = 0; i < found.n; i++)
		if (!leads_nowhere(found.text[i]) || from_policy(name, found.text[i]))
			nowhere = false;
	/* Without an address a PC is usually offline; an entry of the hosts file is told as one. */
	if (name->own || !nowhere || found.n == 0 || listed.n > 0)
		return OK;
	return tamper_facts_add(out, "name", name->host, found.text[0]);
}

/* An entry that says what policy says is as it should be. */
static bool
as_policy_says(const struct tamper_plan *p, const char *fact)
{
	for (size_t i = 0; i < p->n_names; i++) {
		size_t n = strlen(p->name[i].host);

		if (strncmp(fact, p->name[i].host, n) == 0 && fact[n] == ' ')
			return from_policy(&p->name[i], fact + n + 1);
	}
	return false;
}

static enum err
look_at_hosts(struct tamper_facts *out, const struct tamper_plan *p)
{
	const char *names[TAMPER_NAMES];
	struct tamper_facts all = { 0 };
	size_t n = 0;
	struct buf b;
	enum err e;

	for (size_t i = 0; i < p->n_names; i++)
		if (!p->name[i].own)
			names[n++] = p->name[i].host;
	buf_init(&b, LIMIT_HOSTS_FILE);
	e = file_read(p->hosts, &b, NULL);
	if (e == OK)
		e = tamper_facts_hosts(&all, buf_text(&b), b.len, names, n);
	else if (e != ERR_NOTFOUND)
		log_warn("tamper.hosts", "file=%s error=%s", log_q(p->hosts), err_word(e));
	buf_free(&b);
	for (size_t i = 0; e != ERR_NOMEM && i < all.n; i++)
		if (!as_policy_says(p, all.item[i].name))
			e = tamper_facts_add(out, "hosts", all.item[i].name, all.item[i].state);
	tamper_facts_free(&all);
	return e == ERR_NOMEM ? e : OK;
}

enum err
tamper_look(struct tamper_plan *p, struct tamper_facts *out)
{
	const char *units = p->units;
	char unit[200];
	enum err e = p->config != NULL ? look_at_file(out, p->config) : OK;

	if (e == OK)
		e = look_at_roots(out, p->roots);
	while (e == OK && next_item(&units, unit, sizeof unit) != NULL)
		e = look_at_unit(out, unit, p->unit_folders);
	if (e == OK)
		e = look_at_hosts(out, p);
	for (size_t i = 0; e == OK && i < p->n_names; i++)
		e = atomic_load(&p->stop) ? ERR_CANCELED : look_at_name(out, &p->name[i]);
	return e == ERR_TOOBIG ? OK : e;
}
