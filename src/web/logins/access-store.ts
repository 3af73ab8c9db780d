/** Changes to what lets one thing in. */
import { signal } from "@preact/signals";
import type { ApiError, MadePassword } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";

export class AccessStore {
  readonly error = signal<ApiError | null>(null);
  /** A password that was made just now: nobody can see it again. */
  readonly made = signal<string | null>(null);
  readonly busy = signal(false);
  readonly #path: string;
  readonly #reload: () => Promise<void>;

  constructor(thing: string, reload: () => Promise<void>) {
    this.#path = `api/things/${encodeURIComponent(thing)}/password`;
    this.#reload = reload;
  }

  change(certificateId: string, status: string): Promise<void> {
    return this.#change(() => call<unknown>(`certificates/${certificateId}?newStatus=${status}`, { method: "PUT" }));
  }

  givePassword(): Promise<void> {
    return this.#change(async () => {
      const { password } = await call<MadePassword>(this.#path, { method: "PUT", body: {} });
      this.made.value = password;
    });
  }

  removePassword(): Promise<void> {
    return this.#change(async () => {
      await call<unknown>(this.#path, { method: "DELETE" });
      this.made.value = null;
    });
  }

  async #change(work: () => Promise<unknown>): Promise<void> {
    if (this.busy.peek()) return;
    this.busy.value = true;
    try {
      await work();
      this.error.value = null;
      await this.#reload();
    } catch (thrown) {
      this.error.value = apiErrorOf(thrown);
    } finally {
      this.busy.value = false;
    }
  }
}
