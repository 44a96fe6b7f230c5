// Downloads /signatures of the mirror at argv[2]:argv[3] into the folder argv[4], as npm's FTP client does it.
import { createRequire } from "node:module";
const { Client } = createRequire(process.cwd() + "/")("basic-ftp");
const [host, port, folder] = process.argv.slice(2);
const client = new Client(10000);
await client.access({ host, port: +port });
await client.downloadToDir(folder, "/signatures");
client.close();
