/** The shadows of one thing, as they are now. */
import { signal } from "@preact/signals";
import type { JsonObject } from "../../base/mod.ts";
import type { ApiError, ThingShadow, ThingShadows } from "../../cloud/api/contract.ts";
import { apiErrorOf, call, withQuery } from "../api/client.ts";
import type { LiveSocket } from "../live/live-socket.ts";

/** A device that reports ten times a second is looked at twice. */
const PAUSE_MS = 500;

export class ShadowStore {
  /** Null until they are known. */
  readonly shadows = signal<readonly ThingShadow[] | null>(null);
  readonly error = signal<ApiError | null>(null);
  readonly #thing: string;
  readonly #stop: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #again = false;
  #stopped = false;

  constructor(thing: string, live: LiveSocket) {
    this.#thing = thing;
    this.#stop = live.watchThing(thing, ({ type }) => {
      if (type === "watching" || type === "shadow") this.#loadSoon();
    });
    void this.load();
  }

  stop(): void {
    this.#stopped = true;
    this.#stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async load(): Promise<void> {
    try {
      const { shadows } = await call<ThingShadows>(`api/things/${encodeURIComponent(this.#thing)}/shadows`);
      if (this.#stopped) return;
      this.shadows.value = shadows;
      this.error.value = null;
    } catch (thrown) {
      if (!this.#stopped) this.error.value = apiErrorOf(thrown);
    }
  }

  /** Changes `desired` of the shadow that has this version; 0: there is none yet. Throws `ApiFailure`. */
  async change(name: string, desired: JsonObject, version: number): Promise<void> {
    const path = withQuery(`things/${encodeURIComponent(this.#thing)}/shadow`, { name });
    const expected = version === 0 ? {} : { version };
    await call<unknown>(path, { method: "POST", body: { state: { desired }, ...expected } });
    await this.load();
  }

  #loadSoon(): void {
    this.#again = true;
    if (this.#timer !== null) return;
    const look = (): void => {
      this.#timer = null;
      if (!this.#again || this.#stopped) return;
      this.#again = false;
      this.#timer = setTimeout(look, PAUSE_MS);
      void this.load();
    };
    look();
  }
}
