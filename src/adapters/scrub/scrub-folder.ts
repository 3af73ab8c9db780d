/** Everything in a data folder that has checksums and is not compared by the store process; the platform may be running. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { verifyAudit } from "../../audit/mod.ts";
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import type { Bytes, Clock, Limits, Scheduler } from "../../base/mod.ts";
import { verify } from "../../log/mod.ts";
import type { Finding, LogDirectory } from "../../log/mod.ts";
import { readAuditFolder } from "../files/audit-log.ts";
import { fileCrc32, isManifestWhole, openLogDirectory } from "../files/mod.ts";
import { damagedSecrets } from "../secrets/mod.ts";
import { scrubPages } from "../sqlite/page-scrub.ts";
import type { PageDamage } from "../sqlite/page-scrub.ts";
import { PoliteReading } from "./pace.ts";
import type { PaceOptions } from "./pace.ts";

export interface ScrubFinding {
  /** Below the data folder. */
  readonly file: string;
  /** `page 17`, `byte 4711`; empty: the whole file. */
  readonly place: string;
  readonly reason: string;
  /** What to do next. */
  readonly fix: string;
  /** Nothing is lost by it: it is what other files are verified with, or a copy for a bad day. */
  readonly spare: boolean;
}

export interface ScrubReport {
  readonly files: number;
  readonly bytes: Bytes;
  readonly findings: readonly ScrubFinding[];
  /** Further findings, which are not named. */
  readonly more: number;
  /** Databases whose page checksums could not be kept; they are made anew at the next start. */
  readonly unverified: readonly string[];
}

export interface ScrubOptions {
  readonly data: string;
  readonly bytesPerSecondMax: PaceOptions["bytesPerSecondMax"];
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly limits?: Limits["scrub"];
}

const LOOKS = 3;
/** Beside the platform's dozen there may be an outbox of each agent on this machine. */
const DATABASES_AT_ONCE = 16;
const PAGES_NAMED = 5;

const RESTORE =
  "Stop the platform and restore the newest whole backup (`tidewire backup verify`, `tidewire restore`); until then, what is read there may be wrong.";
const RESTORE_FILE =
  "The platform goes on with what it has in memory; restore this file from a backup before it is started again.";
/** Databases that their owner makes anew, and what becomes of that. */
const MADE_ANEW: Readonly<Record<string, string>> = {
  "search.db": "Start the platform again: the index is made anew from what it is a view of.",
  "outbox.db":
    "Start this agent again: it puts the file aside and begins a new one; readings in it that were not sent are lost.",
};
const CHECKSUMS_ANEW =
  "Start the platform again: they are made anew. Until then nothing in the file beside them can be verified.";
const LOG =
  "What is lost is skipped and told. `tidewire log verify` shows all of it; where it is needed, restore a backup. The segment leaves with the log's retention.";
const AUDIT = "`tidewire audit verify` shows the place; restore the file from a backup to have it back.";

/** Rejects with the system's error where something cannot be read. */
export function scrubFolder(options: ScrubOptions): Promise<ScrubReport> {
  return new Scrub(options, options.limits ?? LIMITS.scrub).run();
}

class Scrub {
  readonly #data: string;
  readonly #pace: PoliteReading;
  readonly #findingsMax: number;
  readonly #findings: ScrubFinding[] = [];
  readonly #unverified: string[] = [];
  #more = 0;

  constructor(options: ScrubOptions, { secondLookAfter, findingsMax }: Limits["scrub"]) {
    this.#data = options.data;
    this.#findingsMax = findingsMax;
    this.#pace = new PoliteReading({ ...options, secondLookAfter });
  }

  async run(): Promise<ScrubReport> {
    // Side by side: where much is damaged, one second look after the other took half a minute.
    const found = await Promise.all([
      this.#databases(),
      this.#whatStays(() => this.#secrets()),
      this.#whatStays(() => this.#manifests()),
      this.#whatStays(() => this.#log()),
      this.#whatStays(() => this.#audit()),
    ]);
    for (const finding of found.flat()) this.#put(finding);
    const { files, bytes } = this.#pace;
    return { files, bytes, findings: this.#findings, more: this.#more, unverified: this.#unverified.toSorted() };
  }

  async #databases(): Promise<readonly ScrubFinding[]> {
    const files = databasesOf(this.#data);
    const found = files.map((): readonly ScrubFinding[] => []);
    const waiting = files.entries();
    const lane = async (): Promise<void> => {
      for (const [i, file] of waiting) found[i] = await this.#database(file);
    };
    await Promise.all(Array.from({ length: DATABASES_AT_ONCE }, lane));
    return found.flat();
  }

  async #database(file: string): Promise<readonly ScrubFinding[]> {
    try {
      const { verified, damage } = await scrubPages(join(this.#data, file), this.#pace);
      if (!verified) this.#unverified.push(file);
      return damage.map((one) => findingOf(file, one));
    } catch (error) {
      if (!isGone(error)) throw error; // a view that is just made anew
      return [];
    }
  }

  /** What is found each time, of what others may be writing. */
  async #whatStays(look: () => Promise<readonly ScrubFinding[]>): Promise<readonly ScrubFinding[]> {
    let found = await look();
    for (let looks = 1; looks < LOOKS && found.length > 0; looks++) {
      await this.#pace.secondLook();
      const again = new Set((await look()).map(({ file, place }) => `${file} ${place}`));
      found = found.filter(({ file, place }) => again.has(`${file} ${place}`));
    }
    return found;
  }

  #put(finding: ScrubFinding): void {
    if (this.#findings.length < this.#findingsMax) this.#findings.push(finding);
    else this.#more++;
  }

  async #secrets(): Promise<readonly ScrubFinding[]> {
    this.#pace.count();
    return damagedSecrets(join(this.#data, "secrets")).map((name) => ({
      file: `secrets/${name}`,
      place: "",
      reason: "it is not as it was written",
      fix: name === "checksums" ? CHECKSUMS_ANEW : RESTORE_FILE,
      spare: name === "checksums",
    }));
  }

  async #manifests(): Promise<readonly ScrubFinding[]> {
    const found: ScrubFinding[] = [];
    for (const file of manifestsOf(this.#data)) {
      this.#pace.count();
      if (await isManifestWhole(join(this.#data, file))) continue;
      const spare = file.endsWith(".previous");
      const fix = spare
        ? "It is replaced by the next change; until then a start has no way back, so keep a backup."
        : "A start takes the one before it (`.previous`); back up, and start the platform again soon.";
      found.push({ file, place: "", reason: "it is not as it was written", fix, spare });
    }
    if (!isFormatWhole(join(this.#data, "format.json")))
      found.push({ file: "format.json", place: "", reason: "it cannot be read", fix: RESTORE_FILE, spare: false });
    return found;
  }

  async #log(): Promise<readonly ScrubFinding[]> {
    const folder = join(this.#data, "log");
    if (!existsSync(folder)) return [];
    const directory = this.#paced(await openLogDirectory(folder));
    const found: ScrubFinding[] = [];
    try {
      for await (const finding of verify({ directory, crc32: fileCrc32 })) {
        if (finding.kind === "segment") this.#pace.count();
        const damage = logFindingOf(finding);
        if (damage !== null) found.push(damage);
      }
    } catch (error) {
      // Retention has removed a segment that was still to be read; what comes behind it is looked at tomorrow.
      if (!isGone(error)) throw error;
    }
    return found;
  }

  #paced(directory: LogDirectory): LogDirectory {
    const pace = this.#pace;
    return {
      ...directory,
      open: async (name, mode) => {
        const file = await directory.open(name, mode);
        const read = async (into: Uint8Array, position: number): Promise<number> => {
          const bytes = await file.read(into, position);
          await pace.spent(bytes);
          return bytes;
        };
        return { ...file, read };
      },
    };
  }

  async #audit(): Promise<readonly ScrubFinding[]> {
    const folder = join(this.#data, "audit");
    if (!existsSync(folder)) return [];
    const files = readAuditFolder(folder);
    const pace = this.#pace;
    const lines = async function* (number: number): AsyncGenerator<string> {
      for await (const line of files.lines(number)) {
        await pace.spent(line.length);
        yield line;
      }
    };
    const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
    try {
      const verdict = await verifyAudit({ list: () => files.list(), lines }, [], sha256);
      for (let n = 0; n < verdict.files; n++) pace.count();
      return verdict.fault === null
        ? []
        : [{ file: "audit", place: verdict.fault, reason: "its chain is broken", fix: AUDIT, spare: false }];
    } catch (error) {
      if (!isGone(error)) throw error; // its time was up
      return [];
    }
  }
}

/** Those of the platform, and the outboxes of agents whose folders lie here. */
function databasesOf(data: string): readonly string[] {
  const own = readdirSync(data);
  const devices = join(data, "devices");
  const outboxes = existsSync(devices) ? readdirSync(devices, { recursive: true, encoding: "utf8" }) : [];
  return [...own, ...outboxes.map((name) => join("devices", name))]
    .filter((name) => name.endsWith(".db"))
    .map((name) => name.replaceAll(sep, "/"))
    .sort();
}

function manifestsOf(data: string): readonly string[] {
  const exports = join(data, "exports");
  const names = ["forgotten.json", "backup-schedule.json", "telemetry/manifest.json", "archive/manifest.json"].flatMap(
    (name) => [name, `${name}.previous`],
  );
  const exported = existsSync(exports)
    ? readdirSync(exports).filter((name) => /\.json(?:\.previous)?$/.test(name))
    : [];
  return [...names, ...exported.map((name) => `exports/${name}`)];
}

/** It has no checksum; a start reads these two values. */
function isFormatWhole(path: string): boolean {
  try {
    const { format, version } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    return typeof format === "number" && typeof version === "string";
  } catch (error) {
    return isGone(error);
  }
}

function findingOf(file: string, damage: PageDamage): ScrubFinding {
  const fix = MADE_ANEW[basename(file)] ?? RESTORE;
  if (damage.in === "pages") {
    const { pages } = damage;
    const named = pages.slice(0, PAGES_NAMED).join(", ");
    const others = pages.length > PAGES_NAMED ? ` and ${pages.length - PAGES_NAMED} others` : "";
    const place = `${pages.length === 1 ? "page" : "pages"} ${named}${others}`;
    return { file, place, reason: "not as written", fix, spare: false };
  }
  if (damage.in === "write-ahead log") {
    const reason = "commits in it are damaged; the next start would read only what stands before them";
    return { file: `${file}-wal`, place: "", reason, fix, spare: false };
  }
  const reason = "the checksums are damaged themselves";
  return { file: `${file}-pages`, place: "", reason, fix: CHECKSUMS_ANEW, spare: true };
}

/** Null where it is no damage. */
function logFindingOf(finding: Finding): ScrubFinding | null {
  switch (finding.kind) {
    case "damage": {
      const { segment, position, reason, from, below } = finding;
      return {
        file: `log/${segment}`,
        place: `byte ${position}, offsets ${from} to ${below - 1}`,
        reason,
        fix: LOG,
        spare: false,
      };
    }
    case "header damaged": {
      const reason = "it is damaged; what follows is read all the same";
      return { file: `log/${finding.segment}`, place: "its header", reason, fix: LOG, spare: false };
    }
    case "segment missing": {
      const place = `between ${finding.before} and ${finding.after}`;
      return { file: "log", place, reason: "a segment is missing", fix: LOG, spare: false };
    }
    case "unusable":
      return { file: "log", place: "", reason: finding.message, fix: finding.fix, spare: false };
    case "segment":
    case "unfinished end":
    case "foreign file":
    case "quarantined":
      return null;
  }
}

function isGone(error: unknown): boolean {
  if (isTidewireError(error)) return false;
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
