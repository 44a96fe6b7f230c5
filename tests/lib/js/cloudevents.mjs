// Reads a batch as our agent posts it and prints id, type and source of each event as npm's cloudevents
// understands them; ends with 1 when one is refused.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { HTTP } = createRequire(process.cwd() + '/')('cloudevents');

const body = readFileSync(process.argv[2], 'utf8');
const headers = { 'content-type': process.argv[3] ?? 'application/cloudevents-batch+json' };
const events = HTTP.toEvent({ headers, body });
for (const e of [events].flat()) {
  e.validate();
  console.log(JSON.stringify({ id: e.id, type: e.type, source: e.source, time: e.time,
                               seq: e.atalaiaseq, data: e.data }));
}
