/* fuzz_ftp_server.c - the FTP server as a whole: the input says what two control connections send,
 * who comes to the data connection and what happens on it, how time passes and when the server
 * closes. Whatever happens: no control byte is echoed, every reply begins with its code, and
 * closing gives everything back, the drop box without a half file. */
#include "ftp_conn.h"
#include "fuzz_steps.h"

#include "base/json.h"
#include "os/file.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONTROLS 2
#define DATAS 2
#define STEPS_MAX 300
#define UPLOAD_BYTES 9000

struct play {
	uv_loop_t loop;
	struct options options;
	struct conf *conf;
	struct files *files;
	struct dropbox *box;
	struct ftp_server *server;
	struct sockaddr_in address;
	int control[CONTROLS], data[DATAS];
	bool fresh[CONTROLS]; /* the next byte begins a line */
	uint16_t passive;     /* port of the last 227 or 229 */
	bool closing, closed;
};

static char dir[64];

/* The server's deadlines ask the loop; here time is a step. */
uint64_t
uv_now(const uv_loop_t *loop)
{
	(void)loop;
	return steps_ms;
}

/* --- the tree --- */

static void
remove_dir(void)
{
	(void)!file_remove_tree(AT_FDCWD, dir, NULL);
}

static const char *
at(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void
make_tree(void)
{
	static const char text[60000] = "hello";

	if (dir[0] == '\0') {
		(void)snprintf(dir, sizeof dir, "/dev/shm/fuzz_ftp.XXXXXX");
		MUST(mkdtemp(dir) != NULL);
		(void)atexit(remove_dir);
		MUST(mkdir(at("root"), 0755) == 0 && mkdir(at("root/d"), 0755) == 0);
		MUST(file_replace(at("root/a.txt"), "a\nb\r\n", 5, 0644, NULL) == OK);
		MUST(file_replace(at("root/d/b"), text, sizeof text, 0644, NULL) == OK);
	}
	MUST(mkdir(at("box"), 0700) == 0);
}

static void
check_box(void)
{
	DIR *d = opendir(at("box"));
	struct dirent *e;

	MUST(d != NULL);
	while ((e = readdir(d)) != NULL)
		MUST(strncmp(e->d_name, ".part-", 6) != 0);
	(void)closedir(d);
	MUST(file_remove_tree(AT_FDCWD, at("box"), NULL) == OK);
}

static void
read_options(struct play *p)
{
	cJSON *o = cJSON_CreateObject();
	struct fault f = { OK, "" };
	const struct {
		const char *name, *value;
	} texts[] = { { "listen", "127.0.0.1" }, { "ftp_port", "0" }, { "version_port", "0" },
		{ "passive_first", "0" }, { "max_sessions", "2" }, { "dropbox_file_size", "8000" },
		{ "dropbox_files", "5" }, { "dropbox_floor", "0" } };

	MUST(o != NULL && json_add_string(o, "root", at("root")) == OK);
	MUST(json_add_string(o, "dropbox", at("box")) == OK);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		MUST(json_add_string(o, texts[i].name, texts[i].value) == OK);
	if (options_from_json(&p->options, &p->conf, o, &f) != OK)
		must_hold(false, f.text);
	cJSON_Delete(o);
}

static void
open_play(struct play *p)
{
	struct fault f = { OK, "" };
	uint16_t port;

	make_tree();
	steps_begin();
	for (unsigned i = 0; i < CONTROLS; i++)
		p->control[i] = -1;
	for (unsigned i = 0; i < DATAS; i++)
		p->data[i] = -1;
	read_options(p);
	MUST(uv_loop_init(&p->loop) == 0);
	MUST(files_open_root(&p->files, at("root"), true, NULL) == OK);
	MUST(dropbox_open(&p->box, &p->loop, &p->options, NULL) == OK);
	MUST(ftp_server_new(&p->server, &p->loop, &p->options, p->files, p->box, NULL) == OK);
	if (ftp_server_listen(p->server, "127.0.0.1", 0, &port, &f) != OK)
		must_hold(false, f.text);
	p->address.sin_family = AF_INET;
	p->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->address.sin_port = htons(port);
}

/* --- what clients see --- */

/* "...,p1,p2)." of a 227, "|||port|)" of a 229. */
static void
find_passive(struct play *p, const char *text)
{
	const char *plain = strstr(text, "(127,0,0,1,"), *extended = strstr(text, "(|||");
	char *end;
	unsigned long high;

	if (plain != NULL) {
		high = strtoul(plain + strlen("(127,0,0,1,"), &end, 10);
		p->passive = (uint16_t)(high * 256 + strtoul(end + (*end == ','), NULL, 10));
	}
	if (extended != NULL)
		p->passive = (uint16_t)strtoul(extended + strlen("(|||"), NULL, 10);
}

static void
check_replies(bool *fresh, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		MUST(c >= 0x20 || c == '\r' || c == '\n');
		MUST(c != 0x7f);
		if (*fresh) /* a code, or a line within a reply of many, of STAT's listing too */
			MUST((c >= '1' && c <= '5') || c == ' ' || c == '-' || c == 'd');
		*fresh = c == '\n';
	}
}

static void
receive(struct play *p, unsigned i)
{
	static char room[65537];
	ssize_t n;

	while (p->control[i] >= 0 && (n = recv(p->control[i], room, sizeof room - 1, 0)) > 0) {
		room[n] = '\0';
		check_replies(&p->fresh[i], room, (size_t)n);
		find_passive(p, room);
	}
}

static void
drain(int fd, size_t most)
{
	static char room[65536];

	while (fd >= 0 && most > 0) {
		ssize_t n = recv(fd, room, most < sizeof room ? most : sizeof room, 0);

		if (n <= 0)
			return;
		most -= (size_t)n;
	}
}

/* --- steps --- */

static const char *const lines[] = { "USER ftp\r\nPASS x\r\n", "PASV\r\n", "EPSV\r\n",
	"RETR a.txt\r\n", "RETR d/b\r\n", "LIST\r\n", "NLST d\r\n", "MLSD\r\n",
	"STOR incoming/x\r\n", "CWD d\r\nPWD\r\n", "REST 3\r\n", "TYPE A\r\n", "ABOR\r\n",
	"STAT\r\nSTAT d\r\n", "QUIT\r\n", "ALLO 20\r\nSIZE d/b\r\nMDTM a.txt\r\n",
	"TYPE I\r\nFEAT\r\nMLST a.txt\r\nHELP\r\n", "USER ftp\r\nPASS x\r\nPASV\r\nRETR d/b\r\n",
	"EPSV\r\nSTOR incoming/mwav.log\r\n", "STOR y" };

static void
pass(struct play *p, uint64_t ms)
{
	steps_pass(&p->loop, p->closed ? NULL : &p->server->tick, ms);
}

/* Time for a worker: a little of the real one. */
static void
wait_for_worker(struct play *p)
{
	(void)usleep(300);
	steps_turn(&p->loop, 2);
}

static void
on_closed(void *ctx)
{
	((struct play *)ctx)->closed = true;
}

static void
close_server(struct play *p, uint64_t drain_ms)
{
	if (!p->closing)
		ftp_server_close(p->server, drain_ms, on_closed, p);
	p->closing = true;
}

static void
connect_control(struct play *p, unsigned i)
{
	if (p->control[i] >= 0)
		return;
	p->control[i] = client_open((const struct sockaddr *)&p->address, sizeof p->address);
	p->fresh[i] = true;
}

static void
connect_data(struct play *p, unsigned i)
{
	struct sockaddr_in a = p->address;

	for (unsigned k = 0; k < CONTROLS; k++)
		receive(p, k);
	if (p->passive == 0)
		return;
	client_close(&p->data[i]);
	a.sin_port = htons(p->passive);
	p->data[i] = client_open((const struct sockaddr *)&a, sizeof a);
}

static void
control_step(struct play *p, struct steps *s, uint8_t op, unsigned i)
{
	const uint8_t *bytes;
	const char *line;
	size_t n;

	switch (op) {
	case 0:
	case 1:
		connect_control(p, i);
		line = lines[step_byte(s) % (sizeof lines / sizeof lines[0])];
		client_send(p->control[i], line, strlen(line));
		break;
	case 2:
		connect_control(p, i);
		bytes = step_bytes(s, &n);
		client_send(p->control[i], bytes, n);
		break;
	case 3:
		if (p->control[i] >= 0)
			(void)shutdown(p->control[i], SHUT_WR);
		break;
	case 4:
		client_close(&p->control[i]);
		break;
	default:
		receive(p, i);
		break;
	}
	steps_turn(&p->loop, 2);
}

static void
data_step(struct play *p, struct steps *s, uint8_t op, unsigned i)
{
	static const char upload[UPLOAD_BYTES];

	switch (op) {
	case 6:
	case 7:
		connect_data(p, i);
		break;
	case 8:
		client_send(p->data[i], upload, (size_t)step_byte(s) * UPLOAD_BYTES / 255);
		break;
	case 9:
		drain(p->data[i], (size_t)step_byte(s) * 300);
		break;
	case 10:
		if (p->data[i] >= 0)
			(void)shutdown(p->data[i], SHUT_WR);
		break;
	default:
		client_close(&p->data[i]);
		break;
	}
	steps_turn(&p->loop, 2);
}

static void
step(struct play *p, struct steps *s)
{
	uint8_t op = step_byte(s);
	unsigned which = op >> 4 & 1;

	op &= 15;
	if (op < 6)
		control_step(p, s, op, which);
	else if (op < 12)
		data_step(p, s, op, which);
	else if (op == 12)
		pass(p, (uint64_t)step_byte(s) * 300);
	else if (op == 13 && step_byte(s) < 40)
		close_server(p, (uint64_t)step_byte(s) * 20);
	else
		wait_for_worker(p);
}

static void
end_play(struct play *p)
{
	uint64_t since = uv_hrtime();

	close_server(p, 500);
	while (!p->closed && steps_patience(since)) {
		pass(p, 400);
		for (unsigned i = 0; i < CONTROLS; i++)
			receive(p, i);
		for (unsigned i = 0; i < DATAS; i++)
			drain(p->data[i], 1u << 20);
	}
	MUST(p->closed);
	for (unsigned i = 0; i < CONTROLS; i++)
		client_close(&p->control[i]);
	for (unsigned i = 0; i < DATAS; i++)
		client_close(&p->data[i]);
	while (uv_loop_alive(&p->loop) && steps_patience(since)) /* an upload that was dropped */
		steps_turn(&p->loop, 1);
	dropbox_close(p->box);
	files_close(p->files);
	options_free(&p->options, p->conf);
	MUST(uv_loop_close(&p->loop) == 0);
	check_box();
	clock_replace(NULL, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play p = { .closed = false };
	struct steps s = { data, size };

	open_play(&p);
	for (unsigned i = 0; i < STEPS_MAX && s.n > 0 && !p.closed; i++)
		step(&p, &s);
	end_play(&p);
	return 0;
}
