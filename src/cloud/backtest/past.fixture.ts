/** A data folder with a log and the archive of it. */
import { join } from "node:path";
import { SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { fileCrc32, openLogDirectory } from "../../adapters/files/mod.ts";
import { systemScheduler } from "../../adapters/system.ts";
import { LIMITS } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { Log, LogReader } from "../../log/mod.ts";
import { messageRecordBytes, writeMessageRecord } from "../../wire/record/mod.ts";
import { ArchiveWorld } from "../store/archive.fixture.ts";

export class Past {
  static readonly all: Past[] = [];
  readonly world: ArchiveWorld;
  readonly log: Log;

  private constructor(world: ArchiveWorld, log: Log) {
    this.world = world;
    this.log = log;
    Past.all.push(this);
  }

  static async make(): Promise<Past> {
    const world = await ArchiveWorld.make();
    const directory = await openLogDirectory(join(world.root, "log"));
    const ports = { directory, crc32: fileCrc32, logger: new SimLogger(), metrics: new SimMetrics() };
    const more = { clock: world.clock, scheduler: systemScheduler, random: new SimRandom(1), limits: LIMITS.log };
    const log = await Log.open({ ...ports, ...more });
    world.log.id = (await (await LogReader.open(ports)).identity())!;
    await world.open();
    return new Past(world, log);
  }

  async publish(messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      const bytes = new Uint8Array(messageRecordBytes(message));
      writeMessageRecord(bytes, 0, message);
      this.log.append(bytes);
      this.world.log.append(message);
    }
    await this.log.flush();
  }

  async end(): Promise<void> {
    await this.log.close();
    await this.world.end();
  }
}
