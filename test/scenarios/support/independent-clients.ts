/** Clients that we did not write, on one platform: MQTT.js, and Mosquitto's command line. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { IClientOptions, IConnackPacket, IDisconnectPacket, IPublishPacket, MqttClient, Packet } from "mqtt";
import { openDevice } from "./device.ts";
import type { Device } from "./device.ts";
import { until } from "./platform-process.ts";
import type { PlatformProcess } from "./platform-process.ts";

const TRANSIENT = { clean: true } as const;

/** A client of MQTT.js, and everything that it was sent. */
export class Peer {
  readonly client: MqttClient;
  readonly packets: Packet[] = [];

  constructor(client: MqttClient) {
    this.client = client;
    client.on("error", () => {}); // a test looks at what the broker said
    client.on("packetreceive", (packet) => this.packets.push(packet));
  }

  get publishes(): readonly IPublishPacket[] {
    return this.packets.filter((packet) => packet.cmd === "publish");
  }

  get texts(): readonly string[] {
    return this.publishes.map(({ payload }) => payload.toString());
  }

  get connack(): IConnackPacket | undefined {
    return this.packets.find((packet) => packet.cmd === "connack");
  }

  get farewell(): IDisconnectPacket | undefined {
    return this.packets.find((packet) => packet.cmd === "disconnect");
  }

  /** Its messages, once it has that many. */
  async got(count: number): Promise<readonly IPublishPacket[]> {
    await until(`${count} messages`, async () => this.publishes.length >= count);
    return this.publishes;
  }

  /** What `reason` tells, once it was sent off. */
  async sentOff(): Promise<IDisconnectPacket> {
    return until("its DISCONNECT", async () => this.farewell);
  }

  leave(): Promise<void> {
    return this.client.endAsync();
  }

  /** Without a word. */
  vanish(): void {
    this.client.stream.destroy();
    this.client.end(true);
  }
}

export class Clients {
  readonly platform: PlatformProcess;
  readonly device: Device;
  readonly #peers: Peer[] = [];
  readonly #processes: ChildProcess[] = [];
  #made = 0;

  constructor(platform: PlatformProcess, device: Device) {
    this.platform = platform;
    this.device = device;
  }

  /** A topic of its own for each test. */
  topic(): string {
    return `it/${++this.#made}`;
  }

  /** Connected, with a client identifier of its own unless one is given. */
  async connect(options: IClientOptions = {}): Promise<Peer> {
    const peer = this.open(options);
    await until("CONNACK", async () => peer.connack);
    return peer;
  }

  open(options: IClientOptions = {}): Peer {
    const clientId = `peer-${++this.#made}`;
    const peer = new Peer(openDevice(this.platform, this.device, { clientId, ...TRANSIENT, ...options }));
    this.#peers.push(peer);
    return peer;
  }

  /** `mosquitto_pub`, to its end. */
  async publish(...options: readonly string[]): Promise<void> {
    const child = this.#mosquitto("mosquitto_pub", options);
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}`);
  }

  /** `mosquitto_sub`, subscribed; resolves with a function that waits for that many lines. */
  async subscribe(...options: readonly string[]): Promise<(count: number) => Promise<readonly string[]>> {
    const child = this.#mosquitto("mosquitto_sub", ["-d", ...options]);
    const lines: string[] = [];
    createInterface(child.stdout!).on("line", (line) => lines.push(line));
    await until("mosquitto_sub to subscribe", async () => lines.some((line) => line.startsWith("Subscribed")));
    // With -d it says what it does, too: messages are the lines that we mark.
    const messages = (): string[] => lines.filter((line) => line.startsWith("> ")).map((line) => line.slice(2));
    return async (count) => {
      await until(`${count} lines of mosquitto_sub`, async () => messages().length >= count);
      return messages();
    };
  }

  async close(): Promise<void> {
    for (const peer of this.#peers.splice(0)) peer.client.end(true);
    for (const child of this.#processes.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const closed = once(child, "close");
      child.kill();
      await closed;
    }
  }

  #mosquitto(program: string, options: readonly string[]): ChildProcess {
    const { folder } = this.device;
    const file = (name: string): string => join(folder, name);
    const tls = ["--cafile", file("ca.pem"), "--cert", file("certificate.pem"), "--key", file("private-key.pem")];
    const where = ["-h", "127.0.0.1", "-p", `${this.platform.mqttsPort}`, "-i", `mosquitto-${++this.#made}`];
    // Line by line: into a pipe it would else print when it has much to say.
    const command = ["-oL", program, ...where, ...tls, ...options];
    const child = spawn("stdbuf", command, { stdio: ["ignore", "pipe", "inherit"] });
    this.#processes.push(child);
    return child;
  }
}
