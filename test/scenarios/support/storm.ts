/**
 * Twenty rules send every event to twenty receivers, ten of which fail in ten ways, while the platform is killed again and
 * again. A ledger says what became of every event that was acknowledged.
 */
import type { MqttClient } from "mqtt";
import { join } from "node:path";
import { SimRandom } from "../../../sim/world.ts";
import { addDevice, openDevice } from "./device.ts";
import { healthyReceivers, spooled } from "./healthy-receivers.ts";
import { IllReceivers } from "./ill-receivers.ts";
import { PlatformProcess, until } from "./platform-process.ts";
import type { StormReceiver } from "./storm-receipts.ts";

export interface StormOptions {
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface ReceiverReport {
  readonly name: string;
  readonly taken: number;
  readonly repeated: number;
  /** Of `taken`: they were dead letters before. */
  readonly died: number;
}

export interface StormReport {
  readonly kills: number;
  /** Of these: before the platform was ready. */
  readonly killedStarting: number;
  readonly acknowledged: number;
  readonly receivers: readonly ReceiverReport[];
  /** Events that the ten healthy ones had, each of them, while the ill ones took nothing: before the kills and after them. */
  readonly undelayed: number;
  /** Of that time: exchanges that ill ones held without an answer when the healthy had everything. */
  readonly held: number;
  /** Servers that this machine has not. */
  readonly leftOut: readonly string[];
  readonly wrong: readonly string[];
}

const THING = "storm-1";
const TOPIC = `telemetry/${THING}/storm`;
/** Published with all ill ones ill, and no kill. */
const CALM_EVENTS = 25;
const UNFINISHED_MAX = 40;
/** A life that the publisher does not find its way back into is ended all the same. */
const LIFE_MS_MAX = 5_000;
/** Receivers that get one batch behind the other, and keep the order. */
const IN_ORDER = new Set(["redis", "nats", "postgresql", "program"]);
/** What they carry tells nothing of the event, or (mail) a hash of it. */
const WITHOUT_IDS = new Set(["influxdb", "spool_lines", "spool_message", "email"]);
const WRONGS_MAX = 40;
/** Receivers are asked again soon once they are healed: the test waits for that. */
const PATIENCE = ["retryDelayMax=2s", "retryAfterMax=2s"].flatMap((limit) => ["--limit", `rules.${limit}`]);

export async function runStorm(options: StormOptions): Promise<StormReport> {
  // Each its own: what the receivers draw, and how often, is the machine's doing.
  const [random, illness, load] = [0, 1, 2].map((n) => new SimRandom(options.seed * 3 + n)) as [
    SimRandom,
    SimRandom,
    SimRandom,
  ];
  const begun = performance.now();
  const at = (what: string): void => options.say?.(`${((performance.now() - begun) / 1000).toFixed(1)} s: ${what}`);
  const ill = await IllReceivers.open(illness);
  const { all: healthy, leftOut } = await healthyReceivers(options.folder);
  const storm = await Storm.start(options, healthy, ill);
  at("all receivers and rules are there");
  try {
    await storm.publishAll(CALM_EVENTS);
    await storm.healthyHaveAll("before the first kill");
    at("the healthy have everything, the ill nothing");
    ill.set("storm");
    storm.publishOn(load);
    let killedStarting = 0;
    for (let kill = 1; kill <= options.kills; kill++) {
      if (await storm.liveAndDie(random)) killedStarting++;
      if (kill % 20 === 0) options.say?.(`${kill} kills, ${storm.acknowledged.size} acknowledged`);
    }
    at("the last kill");
    ill.set("calm");
    await storm.publishedAll();
    await storm.healthyHaveAll("after the last kill");
    at("the healthy have everything again; the ill are healed");
    ill.set("healed");
    await storm.illGetAll();
    return storm.report(killedStarting, leftOut);
  } finally {
    await storm.close();
    for (const one of healthy) await one.close();
    await ill.close();
  }
}

class Storm {
  readonly acknowledged = new Set<number>();
  readonly #options: StormOptions;
  readonly #healthy: readonly StormReceiver[];
  readonly #ill: IllReceivers;
  readonly #client: MqttClient;
  readonly #ports: readonly string[];
  readonly #wrongs: string[] = [];
  /** Of the receiver that refuses for good: ids of what it refused. */
  readonly #died = new Set<string>();
  #platform: { readonly ready: Promise<PlatformProcess>; kill(): Promise<void> };
  #startMs = 3_000;
  #number = 0;
  #unfinished = 0;
  #publishing: NodeJS.Timeout | null = null;
  #undelayed = 0;
  #held = 0;

  private constructor(
    options: StormOptions,
    platform: PlatformProcess,
    client: MqttClient,
    healthy: readonly StormReceiver[],
    ill: IllReceivers,
  ) {
    this.#options = options;
    this.#healthy = healthy;
    this.#ill = ill;
    this.#client = client;
    this.#ports = platform.samePorts();
    this.#platform = { ready: Promise.resolve(platform), kill: () => platform.kill() };
  }

  static async start(options: StormOptions, healthy: readonly StormReceiver[], ill: IllReceivers): Promise<Storm> {
    const platform = await PlatformProcess.start(options.folder, PATIENCE);
    const device = await addDevice(platform, options.folder, THING);
    for (const { name, action } of [...healthy, ...ill.all]) {
      const errorAction = name === "ill_400" ? { errorAction: { spool: { folder: "errors" } } } : {};
      await platform.api("POST", `/rules/${name}`, {
        sql: `SELECT * FROM '${TOPIC}'`,
        actions: [action],
        ...errorAction,
      });
    }
    const client = openDevice(platform, device, {
      clean: false,
      properties: { sessionExpiryInterval: 86_400 },
      reconnectPeriod: 60,
      connectTimeout: 3_000,
    });
    client.on("error", () => {}); // it comes back by itself
    return new Storm(options, platform, client, healthy, ill);
  }

  async publishAll(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.#publish();
    await this.publishedAll();
  }

  publishOn(random: SimRandom): void {
    this.#publishing = setInterval(() => {
      for (let burst = random.below(4); burst > 0; burst--) if (this.#unfinished < UNFINISHED_MAX) this.#publish();
    }, 40);
  }

  async publishedAll(): Promise<void> {
    if (this.#publishing !== null) clearInterval(this.#publishing);
    await until("all acknowledgements", async () => this.#unfinished === 0);
  }

  /** Runs for a while, or does not even get to that, and is killed; true where it had not been ready. */
  async liveAndDie(random: SimRandom): Promise<boolean> {
    const platform = this.#platform;
    const starting = random.chance(0.25);
    const [share, events] = [random.next(), 1 + random.below(100)];
    if (starting) await Promise.race([platform.ready.catch(() => {}), after(share * this.#startMs)]);
    else {
      await platform.ready;
      const enough = this.acknowledged.size + events;
      const end = performance.now() + LIFE_MS_MAX;
      while (this.acknowledged.size < enough && performance.now() < end) await after(5);
    }
    await platform.kill();
    const startedAt = performance.now();
    this.#platform = PlatformProcess.begin(this.#options.folder, [...this.#ports, ...PATIENCE]);
    void this.#platform.ready.then(
      () => (this.#startMs = performance.now() - startedAt),
      () => {},
    );
    return starting;
  }

  /** Nothing else happens: all ill ones are ill, and take nothing. Whoever waited for one of them would wait for ever. */
  async healthyHaveAll(when: string): Promise<void> {
    const took = this.#illTook();
    await this.#settled(`the healthy to have everything ${when}`, this.#healthy, 1200);
    if (this.#illTook() !== took) this.#wrong(`ill receivers took something ${when}: the test proves nothing`);
    this.#undelayed = this.acknowledged.size;
    this.#held = this.#ill.all.reduce((sum, one) => sum + one.unanswered, 0);
  }

  /** All of it, but for what one of them has refused for good: that is among the dead letters, and told; sent again, it arrives. */
  async illGetAll(): Promise<void> {
    const platform = await this.#platform.ready;
    const refuser = this.#ill.all.find(({ illness }) => illness === "400")!;
    await this.#settled(
      "the healed to have everything",
      this.#ill.all.filter((one) => one !== refuser),
      900,
    );
    await until("what was not refused to arrive", async () => {
      const dead = await this.#deadIds(platform, refuser);
      return this.#idsOf(this.#healthy[0]!).every((id) => refuser.receipts.keys.has(`ill_400-${id}`) || dead.has(id));
    }).catch((error: unknown) => this.#wrong(String(error)));
    for (const id of await this.#deadIds(platform, refuser)) this.#died.add(id);
    await until("the error action to tell of them", async () => this.#untold().length === 0).catch(() =>
      this.#wrong(`the error action did not tell of ${this.#untold().slice(0, 5).join()}`),
    );
    for (let more = true; more;) {
      ({ more } = await platform.api<{ more: boolean }>("POST", "/api/dead-letters/replay", { rule: refuser.name }));
    }
    await this.#settled("the dead letters to be delivered", [refuser], 600);
    // An event that was published twice has two places in the log, and both are to be everywhere.
    await until("the same everywhere", async () => {
      for (const receiver of this.#healthy) await receiver.look();
      return this.#differences().length === 0;
    }).catch(() => {}); // told by the report
    for (const reason of ["too-large", "store-full"]) {
      const dropped = await platform.metric(`tidewire_deliveries_dropped_total{reason="${reason}"}`);
      if (dropped > 0) this.#wrong(`${dropped} deliveries were dropped: ${reason}`);
    }
  }

  report(killedStarting: number, leftOut: readonly string[]): StormReport {
    const all = [...this.#healthy, ...this.#ill.all];
    for (const difference of this.#differences()) this.#wrong(difference);
    for (const receiver of all) {
      if (IN_ORDER.has(receiver.name)) {
        for (const key of this.#disordered(receiver)) this.#wrong(`${receiver.name} got ${key} too late`);
      }
      for (const confused of receiver.receipts.confused) this.#wrong(`${receiver.name}: ${confused}`);
    }
    if (this.#ill.trapped > 0) this.#wrong(`${this.#ill.trapped} redirects were followed`);
    const receivers = all.map(({ name, receipts }) => ({
      name,
      taken: receipts.times.size,
      repeated: receipts.repeated,
      died: name === "ill_400" ? this.#died.size : 0,
    }));
    const { acknowledged } = this;
    return {
      kills: this.#options.kills,
      killedStarting,
      acknowledged: acknowledged.size,
      receivers,
      undelayed: this.#undelayed,
      held: this.#held,
      leftOut,
      wrong: this.#wrongs,
    };
  }

  async close(): Promise<void> {
    if (this.#publishing !== null) clearInterval(this.#publishing);
    this.#client.end(true);
    await this.#platform.kill();
  }

  #publish(): void {
    const n = ++this.#number;
    this.#unfinished++;
    this.#client.publish(TOPIC, JSON.stringify({ n }), { qos: 1 }, (error) => {
      this.#unfinished--;
      if (error === undefined || error === null) this.acknowledged.add(n);
    });
  }

  async #settled(what: string, receivers: readonly StormReceiver[], tries: number): Promise<void> {
    await until(
      what,
      async () => {
        const missing = receivers.flatMap((receiver) => this.#missing(receiver).slice(0, 3));
        if (missing.length > 0) for (const receiver of receivers) await receiver.look();
        return missing.length === 0;
      },
      tries,
    ).catch(() => {
      for (const receiver of receivers) {
        const missing = this.#missing(receiver);
        if (missing.length > 0)
          this.#wrong(`${what}: ${receiver.name} lacks ${missing.length}: ${missing.slice(0, 5).join()}`);
      }
    });
  }

  #missing({ receipts }: StormReceiver): number[] {
    return [...this.acknowledged].filter((n) => !receipts.times.has(n));
  }

  /** Between what receivers have, as far as their protocol tells by which event it came. */
  #differences(): string[] {
    const events = new Set(this.#idsOf(this.#healthy[0]!));
    return [...this.#healthy, ...this.#ill.all].flatMap((receiver) => {
      if (WITHOUT_IDS.has(receiver.name)) return [];
      const ids = new Set(this.#idsOf(receiver));
      const never = [...events].filter((id) => !ids.has(id)).map((id) => `${receiver.name} never got event ${id}`);
      const only = [...ids].filter((id) => !events.has(id)).map((id) => `only ${receiver.name} got event ${id}`);
      return never.concat(only);
    });
  }

  /** Which of the events that a receiver keeps in its order came first behind one that is younger. */
  #disordered({ name, receipts }: StormReceiver): string[] {
    let highest = -1;
    return [...receipts.keys.keys()].filter((key) => {
      const place = Number(key.replace(`${name}-`, ""));
      highest = Math.max(highest, place);
      return place < highest;
    });
  }

  /** The events by their place in the log: a delivery's id is its rule's name and that. */
  #idsOf({ name, receipts }: StormReceiver): string[] {
    return [...receipts.keys.keys()].map((key) => key.replace(`${name}-`, ""));
  }

  async #deadIds(platform: PlatformProcess, { name }: StormReceiver): Promise<Set<string>> {
    const ids = new Set<string>();
    for (let before: number | null = null; ;) {
      const query: string = `rule=${name}&limit=100${before === null ? "" : `&before=${before}`}`;
      const page = await platform.api<DeadPage>("GET", `/api/dead-letters?${query}`);
      for (const { id } of page.letters) ids.add(id.replace(`${name}-`, ""));
      if (page.next === null) return ids;
      before = page.next;
    }
  }

  /** Dead letters that were not told, in AWS's document, with the message that they were made of. */
  #untold(): string[] {
    const told = new Map<string, number>();
    for (const line of spooled(join(this.#options.folder, "spool", "errors"))) {
      const { cloudwatchTraceId, base64OriginalPayload } = JSON.parse(line) as Record<string, string>;
      const { n } = JSON.parse(Buffer.from(base64OriginalPayload!, "base64").toString()) as { n: number };
      told.set(cloudwatchTraceId!, n);
    }
    const { keys } = this.#healthy[0]!.receipts;
    return [...this.#died].filter((id) => told.get(id) !== keys.get(`${this.#healthy[0]!.name}-${id}`));
  }

  #illTook(): number {
    return this.#ill.all.reduce((sum, { receipts }) => sum + receipts.times.size + receipts.repeated, 0);
  }

  #wrong(what: string): void {
    if (this.#wrongs.length < WRONGS_MAX) this.#wrongs.push(what);
  }
}

interface DeadPage {
  readonly letters: readonly { readonly id: string }[];
  readonly next: number | null;
}

function after(delay: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delay));
}

/** The report for people. */
export function ledgerLines(report: StormReport): string[] {
  const { kills, killedStarting, acknowledged, undelayed, held, leftOut, wrong } = report;
  const rows = report.receivers.map(
    ({ name, taken, repeated, died }) =>
      `${name.padEnd(26)} ${String(taken).padStart(8)} ${String(repeated).padStart(8)} ${String(died).padStart(8)}`,
  );
  return [
    `${kills} kills, ${killedStarting} of them while it started; ${acknowledged} events acknowledged`,
    `${undelayed} were at all healthy receivers while the ill ones took nothing and held ${held} exchanges`,
    `${"receiver".padEnd(26)} ${"events".padStart(8)} ${"repeated".padStart(8)} ${"was dead".padStart(8)}`,
    ...rows,
    ...leftOut.map((reason) => `left out: ${reason}`),
    ...wrong.map((what) => `wrong: ${what}`),
  ];
}
