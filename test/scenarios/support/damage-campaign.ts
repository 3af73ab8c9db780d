/** Bits flipped and ends cut off in every kind of file of a data folder: each is noticed, or changes no answer. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { scrubFolder } from "../../../src/adapters/scrub/mod.ts";
import { systemClock, systemScheduler } from "../../../src/adapters/system.ts";
import { LIMITS, isTidewireError, reasonOf } from "../../../src/base/mod.ts";
import { SimLogger, SimRandom } from "../../../sim/world.ts";
import { KINDS } from "./damage-kinds.ts";
import type { Kind } from "./damage-kind.ts";

export type Outcome =
  /** The answers are those of the undamaged file. */
  | "harmless"
  /** A sentence with a code; nothing is served. */
  | "refused"
  /** Served, without what was lost, and told in the log at warning or error. */
  | "told"
  /** A person's own text, which reads as another text. */
  | "another text"
  /** Other answers, and nobody was told; or an error without a sentence. */
  | "SILENT"
  | "UNEXPLAINED"
  /** A page of a database, which `tidewire scrub` had to find. */
  | "MISSED BY SCRUB";

export interface Report {
  /** By kind of file. */
  readonly counts: ReadonlyMap<string, ReadonlyMap<Outcome, number>>;
  /** By kind of file: how often `tidewire scrub` found it before anybody asked. */
  readonly foundByScrub: ReadonlyMap<string, number>;
  /** Cases that must not be, each with what is needed to see it again. */
  readonly wrong: readonly string[];
}

interface Prepared {
  readonly kind: Kind;
  readonly folder: string;
  readonly files: readonly string[];
  readonly answer: unknown;
}

/** `only`: the kinds whose name begins so. */
export async function damageCampaign(count: number, seed: number, only = ""): Promise<Report> {
  const root = mkdtempSync(join(tmpdir(), "tidewire-damage-"));
  const umask = process.umask(0o077); // copies are as private as what they are copies of
  const counts = new Map<string, Map<Outcome, number>>();
  const foundByScrub = new Map<string, number>();
  const wrong: string[] = [];
  try {
    const prepared: Prepared[] = [];
    for (const [index, kind] of KINDS.entries())
      if (kind.name.startsWith(only)) prepared.push(await prepare(kind, join(root, String(index))));
    for (let at = 0; at < count; at++) {
      const random = new SimRandom(seed + at);
      const one = pick(prepared, random);
      const { file, harm, outcome, says, found } = await playCase(one, join(root, "case"), random);
      const name = `${one.kind.name}: ${file}`;
      const of = counts.get(name) ?? new Map<Outcome, number>();
      counts.set(name, of.set(outcome, (of.get(outcome) ?? 0) + 1));
      if (found) foundByScrub.set(name, (foundByScrub.get(name) ?? 0) + 1);
      if (outcome === "SILENT" || outcome === "UNEXPLAINED" || outcome === "MISSED BY SCRUB") {
        wrong.push(
          `seed ${seed + at}, ${one.kind.name}, ${file}, ${harm}: ${outcome}${says === "" ? "" : ` (${says})`}`,
        );
      }
    }
  } finally {
    for (const kind of KINDS) kind.close?.();
    process.umask(umask);
    rmSync(root, { recursive: true, force: true });
  }
  return { counts, foundByScrub, wrong };
}

async function isFoundByScrub(data: string): Promise<boolean> {
  const limits = { ...LIMITS.scrub, secondLookAfter: 0 };
  const ports = { clock: systemClock, scheduler: systemScheduler, bytesPerSecondMax: null };
  return (await scrubFolder({ data, limits, ...ports })).findings.length > 0;
}

function pick(prepared: readonly Prepared[], random: SimRandom): Prepared {
  for (;;) {
    const one = random.pick(prepared);
    if (random.below(one.kind.oneIn ?? 1) === 0) return one;
  }
}

async function prepare(kind: Kind, folder: string): Promise<Prepared> {
  mkdirSync(folder);
  await kind.make(folder);
  rmSync(join(folder, "gone"), { recursive: true, force: true });
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".left-out"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((file) => statSync(join(folder, file)).size > 0)
    .sort();
  if (await isFoundByScrub(folder)) throw new Error(`${kind.name}: scrub finds damage where there is none`);
  const copy = `${folder}-asked`;
  cpSync(folder, copy, { recursive: true });
  const logger = new SimLogger();
  const answer = await kind.ask(copy, logger);
  rmSync(copy, { recursive: true });
  const told = logger.lines.filter(({ level }) => level === "warn" || level === "error");
  if (told.length > 0) throw new Error(`${kind.name}: the undamaged files are complained about: ${told[0]!.message}`);
  return { kind, folder, files, answer };
}

async function playCase(
  { kind, folder, files, answer }: Prepared,
  copy: string,
  random: SimRandom,
): Promise<{
  readonly file: string;
  readonly harm: string;
  readonly outcome: Outcome;
  readonly says: string;
  readonly found: boolean;
}> {
  rmSync(copy, { recursive: true, force: true });
  cpSync(folder, copy, { recursive: true });
  const file = random.pick(files);
  const harm = damage(join(copy, file), random);
  const logger = new SimLogger();
  const found = await isFoundByScrub(copy);
  const result = (outcome: Outcome, says = ""): Awaited<ReturnType<typeof playCase>> => ({
    file: file.replace(/\d{20}\.seg/, "*.seg"),
    harm,
    outcome,
    says,
    found,
  });
  // Where there is a write-ahead log, a page may be read from there.
  if (file.endsWith(".db") && !files.includes(`${file}-wal`) && !found) return result("MISSED BY SCRUB");
  try {
    const given = await kind.ask(copy, logger);
    if (isDeepStrictEqual(given, answer)) return result("harmless");
    if (kind.text === true) return result("another text");
    return result(logger.lines.some(({ level }) => level === "warn" || level === "error") ? "told" : "SILENT");
  } catch (error) {
    return isTidewireError(error) ? result("refused") : result("UNEXPLAINED", reasonOf(error));
  }
}

/** Mostly one bit; the other times the end is cut off. */
function damage(path: string, random: SimRandom): string {
  const { size } = statSync(path);
  if (random.chance(0.2)) {
    const length = random.below(size);
    truncateSync(path, length);
    return `cut from ${size} to ${length} bytes`;
  }
  const bytes = readFileSync(path);
  const at = random.below(size);
  const bit = random.below(8);
  bytes[at]! ^= 1 << bit;
  writeFileSync(path, bytes);
  return `bit ${bit} of byte ${at} of ${size}`;
}
