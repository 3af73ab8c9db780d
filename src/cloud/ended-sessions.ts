/** Logged-out dashboard sessions on disk: a restart must not revive them. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { Logger } from "../base/mod.ts";
import { reasonOf } from "../base/mod.ts";
import type { EndedSessions } from "./api/session.ts";

const Entries = z.array(z.tuple([z.string(), z.number()]));

export function endedSessionsFile(path: string, logger: Logger): EndedSessions {
  return {
    load() {
      try {
        return Entries.parse(JSON.parse(readFileSync(path, "utf8")));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
        logger.warn(
          "The list of logged-out sessions cannot be read; sessions ended earlier may work until they expire.",
          {
            path,
            reason: reasonOf(error),
          },
        );
        return [];
      }
    },
    save(entries) {
      try {
        writeFileSync(`${path}.new`, JSON.stringify(entries), { mode: 0o600, flush: true });
        renameSync(`${path}.new`, path);
      } catch (error) {
        // Logged out it is, as long as this process lives; a full disk must not keep anybody from it.
        logger.error("A logged-out session cannot be saved; a restart would take it again until it expires.", {
          path,
          reason: reasonOf(error),
        });
      }
    },
  };
}
