/* upload.h - how an agent brings the files of a `collect` task to port 2225: in pieces, resumable,
 * stored once. Only names and numbers here; both sides build on net/http*.
 *
 *   PUT /v1/tasks/{id}/files/{name}?offset=N&total=T&sha256=HEX     agent certificate
 *
 * Body: bytes [N, N + length) of the file, at most UPLOAD_PIECE, application/octet-stream. {name}
 * is one of UPLOAD_NAMES; the task must be one of this agent. An empty body asks how far we are.
 *   200 {"have":M}            the piece is stored (not yet the end): go on at M
 *   201 {"have":T}            the file is complete and its SHA-256 is right; also for any later PUT
 *                             of the same file (stored once)
 *   409 problem + "have":M    offset is not where the file ends: go on at M
 *   422 problem               the complete file has another SHA-256: it was removed, begin at 0
 *   404 problem               no such task of this agent, or a console without uploads */
#ifndef ATALAIA_PROTO_UPLOAD_H
#define ATALAIA_PROTO_UPLOAD_H

#define UPLOAD_PIECE 131072 /* below LIMIT_HTTP_BODY; a quarter of a second at 4 Mbit/s */
#define LIMIT_UPLOAD_BYTES (64u << 20) /* mwav.log is rotated below it */
#define UPLOAD_SYSTEM "system.json"
#define UPLOAD_LOG "mwav.log"

#endif
