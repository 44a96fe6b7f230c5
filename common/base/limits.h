/* limits.h - every limit of the project, each with its reason. Sizes in bytes, times in
 * milliseconds unless the name says otherwise. */
#ifndef ATALAIA_BASE_LIMITS_H
#define ATALAIA_BASE_LIMITS_H

/* TUF metadata: DESIGN section 4; far above real files, far below what hurts. */
#define LIMIT_TUF_ROOT 512000
#define LIMIT_TUF_TIMESTAMP 16384
#define LIMIT_TUF_SNAPSHOT 2000000
#define LIMIT_TUF_TARGETS 5000000
#define LIMIT_TUF_ROOT_ROTATIONS 1024 /* roots followed in one refresh */
#define LIMIT_TUF_DELEGATIONS                                                                      \
	64		     /* roles visited for one target: stops a maze, TUF section 5.6.7      \
			      */
#define LIMIT_TUF_ROLES 4096 /* delegations in one document; their names are compared pairwise */
#define LIMIT_TUF_ROLES_LOADED 256 /* delegated documents held at once by one client */
#define LIMIT_TUF_KEYS 256	   /* keys in one role's document */
#define LIMIT_TUF_SIGNATURES 256
#define LIMIT_TARGET_BYTES                                                                         \
	(4ull << 30)		   /* one target file; the largest real set seen is 0.4 GiB        \
				    */
#define LIMIT_SET_FILES 65536	   /* files in one set, packs unpacked */
#define LIMIT_SETS_KEPT 64	   /* sets looked at as sources: far above `keep` */
#define LIMIT_MANIFEST (32u << 20) /* text of LIMIT_SET_FILES entries with long names */
#define LIMIT_PACK_BYTES (1ull << 30)

/* Deltas: DESIGN section 7. */
#define LIMIT_DELTA_WINDOW_LOG 23 /* zstd window 8 MiB: the applier stays under 16 MiB */
#define LIMIT_DELTA_CHAIN 30
#define LIMIT_DELTA_CONTROL (1u << 20) /* decompressed control, held while a delta is decoded */
#define LIMIT_DELTA_PIECES 131072      /* records of one delta, or of a composed chain: 2 MiB */
#define LIMIT_DELTA_PREFIX 524288      /* old text that literals are compressed against */
#define LIMIT_DELTA_CHUNK 262144       /* packed hexadecimal held while it is expanded */

/* childctl: one JSON line between the agent and its children. */
#define LIMIT_CHILD_LINE 65536

/* HTTP servers: requests we accept are small; uploads are chunked by their handlers. */
#define LIMIT_HTTP_HEAD 16384	    /* request line + headers */
#define LIMIT_HTTP_FIELDS 64	    /* header fields of one request; browsers send about 20 */
#define LIMIT_HTTP_QUERY 32	    /* query items of one request */
#define LIMIT_HTTP_CONNECTIONS 1024 /* one listener, unless it says otherwise (3333 does) */
#define LIMIT_HTTP_ANSWER                                                                          \
	(16u << 20)		   /* an answer held in memory; larger ones are files or streams */
#define LIMIT_PEERS 65536	   /* source addresses counted apart; an entry is about 64 bytes */
#define LIMIT_TLS_PLAIN (1u << 20) /* encrypted bytes waiting for the socket on one connection */
#define LIMIT_PEM 65536		   /* certificate chain, CA list or key as text */
#define LIMIT_CHAIN 8		   /* certificates in a peer's chain; ours are two */
#define LIMIT_HTTP_BODY 262144	   /* event batch, task envelope, CSR */
#define LIMIT_HTTP_PIPELINE 16	   /* requests answered before the socket is read again */
#define LIMIT_TASK_CONNECTIONS 32  /* DESIGN section 8 */
#define LIMIT_WAITERS 12000	   /* 10,000 long-polls and room for polls */
#define LIMIT_WAIT_SECONDS 300

/* FTP: DESIGN section 12. */
#define LIMIT_FTP_LINE 4096
#define LIMIT_FTP_REPLY 16384  /* replies not yet taken by the client */
#define LIMIT_FTP_QUEUE 16384  /* commands sent ahead while one runs; then we stop reading */
#define LIMIT_FTP_FOLDER 65536 /* names in one listed folder, as LIMIT_SET_FILES */
#define LIMIT_FTP_LISTING                                                                          \
	(16u << 20)	      /* text of one listing: 65536 names of 255 bytes never come          \
			       */
#define LIMIT_FTP_STALL 16384 /* bytes a transfer must move in stall_timeout: 273 B/s at 60 s */
#define LIMIT_FTP_PIECE                                                                            \
	(8u << 20)	 /* one sendfile: about a millisecond; fewer calls keep sockets full */
#define LIMIT_FTP_COLD 4 /* workers that may wait for the disk for transfers at a time */
#define LIMIT_DROPPED_FILES 10000 /* at the console, of one mirror: its own box holds as many */
#define LIMIT_DROPPED_BYTES (4ull << 30)
#define LIMIT_DROPPED_FLOOR (1ull << 30) /* free bytes that uploads leave to the console */
#define LIMIT_DROPBOX_PEERS 4096    /* slots for addresses with uploads today; half may be in use */
#define LIMIT_DROPBOX_TICKETS 16384 /* uploads with a ticket that a box knows again: 2 MB */
#define LIMIT_DROPBOX_OPEN_MS (86400000ll) /* how long a cut upload waits for its rest */

/* Paths: sockaddr_un holds 108 bytes, so the run folder leaves room for a name; a state path leaves
 * room for ours below PATH_MAX. */
#define LIMIT_RUN_PATH 90
#define LIMIT_STATE_PATH 1024

/* atalaia-fetch: downloads. */
#define LIMIT_FETCH_SOURCES 64 /* both forms of 20 update agents and the server, and room */
#define LIMIT_FETCH_URL 1024   /* base and a target's name with its hash */
#define LIMIT_FETCH_PARALLEL 4 /* hides round trips of small files; a branch line needs no more */
#define LIMIT_FETCH_SLOW 64    /* bytes/s: slower for LIMIT_FETCH_STALL_MS is no transfer */
#define LIMIT_FETCH_STALL_MS 30000
#define LIMIT_FETCH_CONNECT_MS                                                                     \
	10000 /* name, connection and TLS: a dead source must not hold the next one */
#define LIMIT_FETCH_FLOOR                                                                          \
	(4ull << 30) /* a mirror is a guest on somebody's PC: DESIGN section 5                     \
		      */
#define LIMIT_FETCH_ATTEMPTS                                                                       \
	16 /* resumes at one source in one run, while each brings something                        \
	    */

/* Tasks and events. */
#define LIMIT_TASK_BYTES 65536
#define LIMIT_TASK_LIFE_S (7 * 86400)
#define LIMIT_EVENT_BYTES 65536	   /* one event; CloudEvents asks intermediaries for 64 KiB */
#define LIMIT_EVENT_MEMBERS 64	   /* attributes of one event; ten are usual */
#define LIMIT_EVENT_NAME 32	   /* an attribute's name; the specification asks for 20 */
#define LIMIT_EVENT_ATTRIBUTE 4096 /* an attribute's value; content belongs into data */
#define LIMIT_BATCH_EVENTS 500
#define LIMIT_BATCH_BYTES 262144
#define LIMIT_BUNDLE_BATCHES 1024 /* of one file of events; the rest goes with the next one */
#define LIMIT_BUNDLE_BYTES (256ull << 20) /* as many full batches; more than the default quotas */
#define LIMIT_SEALED 524288 /* a signed list of that many batches is 160 KiB, and receipts */

#define LIMIT_SPOOL_GROUP_BYTES 1048576 /* bodies in one commit: bounds the WAL */
#define LIMIT_SPOOL_QUOTA_MIN 1048576	/* of a class: a batch under way must fit */
#define LIMIT_SPOOL_MEMORY (8u << 20)	/* bodies that wait for the disk */
#define LIMIT_INTAKE_UIDS 32		/* user ids that may post detections */
#define LIMIT_INTAKE_SENDERS 64		/* user ids whose rate is remembered */
#define LIMIT_EMIT_MEMORY 1048576	/* own events that wait for a disk that fails */
#define LIMIT_CLAMD_REPLY 8192		/* one reply: a path and a name */
#define LIMIT_CAPTURE 262144		/* output of a program that is kept */
#define LIMIT_SAMPLE_BYTES 1048576	/* one canary or clean sample */
#define LIMIT_SCAN_DEPTH 128		/* folders within each other: descriptors held at once */
#define LIMIT_SCAN_PATH 16384		/* bytes of one path; deeper trees are told, not followed */
#define LIMIT_SCAN_FILE                                                                            \
	(2ull << 30)		   /* larger files are told, not scanned: clamd stops there too    \
				    */
#define LIMIT_QUARANTINE_LIST 1000 /* items told at once */
#define LIMIT_MWAVLOG 1048576	   /* then mwav.log begins anew; one old file is kept */
#define LIMIT_RETRY_AFTER_S 3600   /* a receiver may ask for no longer silence */

/* The agent. */
#define LIMIT_PEM_BYTES 65536	      /* a key, a certificate, or two CAs during a rotation */
#define LIMIT_ENROLMENT_BYTES 1048576 /* sources and feeds of one PC */
#define LIMIT_JOURNAL_ROWS 10000 /* tasks of seven days; a console that sends more is refused */
#define LIMIT_TASK_PATH 4000	 /* below PATH_MAX: a path or a setting in a task */
#define LIMIT_SCAN_PATHS 64
#define LIMIT_ROLE_SETTINGS 32
#define LIMIT_TASK_RESULT 49152		   /* one stored outcome; its report stays under 64 KiB */
#define LIMIT_TASK_WATCHERS 32		   /* progress streams, one for each connection of 2222 */
#define LIMIT_METRICS 1048576		   /* /metrics: 32 feeds and some counters are 20 KiB */
#define LIMIT_PIN_MS (90ll * 86400 * 1000) /* update.pin: a quarter of a year, never for ever */

#endif
