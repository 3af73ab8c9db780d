/** The webhook's receiver, one process: `node bench/latency-receiver.ts` prints its port, and at SIGTERM what it saw. */
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** Sequence and latency of each request, by arrival, and how much of that it was late when it was sent; milliseconds. */
export type Seen = readonly [n: number, latency: number, late: number];

const latencies: Seen[] = [];

/** The machine's monotonic clock, the same in every process. */
const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

async function receive(request: IncomingMessage): Promise<void> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  const at = nowMs();
  const { t, sent, n } = JSON.parse(body) as { t: number; sent: number; n: number };
  latencies.push([n, at - t, sent - t]);
}

const server = createServer((request, response) => {
  void receive(request).then(() => response.writeHead(204).end());
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.on("SIGTERM", () => process.stdout.write(`${JSON.stringify(latencies)}\n`, () => process.exit(0)));
