/** Ten receivers of webhooks that fail in ten ways, byte by byte on a socket, until they are healed. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Random } from "../../../src/base/mod.ts";
import { Receipts } from "./storm-receipts.ts";
import type { StormReceiver } from "./storm-receipts.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** Of an address of loopback that nobody else listens on: the port must stay its own while it is closed. */
const HOST = "127.0.0.77";
/** How often one that is ill in a storm is well all the same. */
const WELL = 0.2;
const DOOR_MS_MAX = 600;

type Illness = (socket: Socket) => void;

const answering =
  (status: string, ...headers: readonly string[]): Illness =>
  (socket) =>
    socket.write([`HTTP/1.1 ${status}`, ...headers, "Content-Length: 0", "", ""].join("\r\n"));

/** What the request that has arrived is answered with. */
function illnesses(trap: () => string): Readonly<Record<string, Illness>> {
  let redirects = 0;
  return {
    hangs: () => {},
    trickles: (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
      const drip = setInterval(() => socket.write("."), 1_000);
      socket.on("close", () => clearInterval(drip));
    },
    "closes-early": (socket) => socket.end(),
    resets: (socket) => socket.resetAndDestroy(),
    "429": answering("429 Too Many Requests", "Retry-After: 3600"),
    "500": answering("500 Internal Server Error"),
    "400": answering("400 Bad Request"),
    redirects: (socket) => {
      const to = redirects++ % 2 === 0 ? "http://169.254.169.254/latest/meta-data/" : trap();
      answering("302 Found", `Location: ${to}`)(socket);
    },
    garbage: (socket) => socket.write(Buffer.from("\x16\x03\x01\x00\x05HTTP/9 lorem ipsum\r\n\r\n", "latin1")),
    // Its door, see below.
    "closed-half-the-time": (socket) => socket.write(OK),
  };
}

export class IllReceivers {
  readonly all: readonly IllSocket[];
  readonly #trap: Server;
  /** Connections that a followed redirect has made. */
  trapped = 0;

  private constructor(trap: Server, random: Random) {
    this.#trap = trap;
    trap.on("connection", (socket) => {
      this.trapped++;
      socket.destroy();
    });
    const at = illnesses(() => `http://127.0.0.1:${(trap.address() as AddressInfo).port}/trap`);
    this.all = Object.entries(at).map(([name, illness]) => new IllSocket(name, illness, random));
  }

  static async open(random: Random): Promise<IllReceivers> {
    const trap = createServer().listen(0, "127.0.0.1");
    await once(trap, "listening");
    const receivers = new IllReceivers(trap, random);
    for (const one of receivers.all) await one.open();
    return receivers;
  }

  set(state: "calm" | "storm" | "healed"): void {
    for (const one of this.all) one.set(state);
  }

  async close(): Promise<void> {
    for (const one of this.all) await one.close();
    this.#trap.close();
  }
}

class IllSocket implements StormReceiver {
  readonly name: string;
  readonly illness: string;
  readonly receipts = new Receipts();
  /** Requests that it had. */
  asked = 0;
  #answered = 0;
  readonly #ail: Illness;
  readonly #random: Random;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #port = 0;
  #state: "calm" | "storm" | "healed" = "calm";
  #door: NodeJS.Timeout | null = null;

  constructor(illness: string, ail: Illness, random: Random) {
    this.name = `ill_${illness.replaceAll("-", "_")}`;
    this.illness = illness;
    this.#ail = ail;
    this.#random = random;
  }

  get action(): object {
    return { webhook: { url: `http://${HOST}:${this.#port}/` } };
  }

  /** Requests that are held without an answer. */
  get unanswered(): number {
    return this.asked - this.#answered;
  }

  async look(): Promise<void> {}

  async open(): Promise<void> {
    this.#listen();
    await once(this.#server!, "listening");
    this.#port = (this.#server!.address() as AddressInfo).port;
    this.set("calm");
  }

  /** `calm`: always ill. `storm`: ill most of the time. `healed`: never. */
  set(state: "calm" | "storm" | "healed"): void {
    this.#state = state;
    if (this.illness === "closed-half-the-time") this.#moveDoor();
    // What it held without an answer ends here: nobody waits out the time of an exchange for it.
    if (state === "healed") for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    if (this.#door !== null) clearTimeout(this.#door);
    this.#shut();
  }

  #moveDoor(): void {
    if (this.#door !== null) clearTimeout(this.#door);
    this.#door = null;
    if (this.#state === "calm") return this.#shut();
    if (this.#server === null) this.#listen();
    else if (this.#state === "storm") this.#shut();
    if (this.#state === "storm") this.#door = setTimeout(() => this.#moveDoor(), this.#random.next() * DOOR_MS_MAX);
    return undefined;
  }

  #listen(): void {
    this.#server = createServer((socket) => this.#serve(socket)).listen(this.#port, HOST);
  }

  #shut(): void {
    this.#server?.close();
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const head = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (head < 0 || text.length < head + 4 + length) return;
      const key = /webhook-id: (\S+)/i.exec(text)![1]!;
      const { n } = JSON.parse(text.slice(head + 4)) as { n: number };
      text = "";
      this.#answer(socket, n, key);
    });
  }

  #answer(socket: Socket, n: number, key: string): void {
    this.asked++;
    const well =
      this.#state === "healed" ||
      (this.#state === "storm" && (this.illness === "closed-half-the-time" || this.#random.next() < WELL));
    if (!well) {
      if (this.illness !== "hangs" && this.illness !== "trickles") this.#answered++;
      return this.#ail(socket);
    }
    this.#answered++;
    // Taken only if the answer has a chance to leave: a receiver that has it may still be asked again, never the other way round.
    this.receipts.take(n, key);
    socket.write(OK);
    return undefined;
  }
}
