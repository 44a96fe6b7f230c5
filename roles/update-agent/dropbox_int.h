/* dropbox_int.h - the inside of the drop box, shared by the folder (dropbox.c) and the uploads into
 * it (dropbox_upload.c). */
#ifndef ATALAIA_UA_DROPBOX_INT_H
#define ATALAIA_UA_DROPBOX_INT_H

#include "dropbox.h"
#include "tickets.h"

#include "proto/ticket.h"

#define DROPBOX_PART ".part-"	/* and a random word: nobody can go on with it */
#define DROPBOX_OPEN ".open-"	/* and a ticket: waits for its rest */
#define DROPBOX_RESCAN_MS 30000 /* the agent takes files away without telling us */

struct sender {
	struct addr who; /* family ADDR_NONE: a free slot */
	uint64_t bytes;
	uint32_t files;
};

struct dropbox {
	uv_loop_t *loop;
	const struct options *o;
	int dir;
	uint64_t bytes, files; /* in the folder, running uploads counted */
	uint64_t received;
	uint64_t scanned_ms;
	int64_t day;
	size_t sender_count;
	struct sender *senders; /* open addressing, LIMIT_DROPBOX_PEERS slots */
	struct tickets tickets;
	struct upload *ticketed; /* uploads and questions that have one, newest first */
};

/* Blocking. first_look: before any upload of this run. */
MUST_CHECK enum err dropbox_count(int dir, uint64_t *bytes, uint64_t *files, bool first_look);
/* NULL: too many senders today. Valid until the loop turns at midnight: keep it for one upload. */
struct sender *dropbox_sender(struct dropbox *b, const struct addr *peer);
MUST_CHECK enum err dropbox_quota(const struct dropbox *b, const struct sender *s);

#endif
