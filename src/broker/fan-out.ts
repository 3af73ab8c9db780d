/**
 * Messages at QoS 0 that come directly behind each other on one topic and have many subscribers: the first is delivered as it
 * comes, and shows who gets it in which form; those behind it are only encoded, and at their end each subscriber is looked at
 * once for all of them. With a hundred subscribers that look is most of what a message costs.
 *
 * A run ends with the next message that is no part of it, with any other packet, and with what was read; so nothing that
 * changes who gets what comes between its messages, and nothing of it waits for a later turn.
 */
import type { PublishView } from "../wire/mqtt/mod.ts";
import type { Core } from "./core.ts";
import { handOut } from "./delivery.ts";
import { PublishForms } from "./publish-forms.ts";
import type { EncodedPublish } from "./publish-forms.ts";
import type { Route, Target } from "./routes.ts";
import type { Session } from "./session.ts";

/** A run is no longer: whether a subscriber has room is asked once for it. */
const RUN_BYTES_MAX = 16 * 1024;

export class FanOut {
  readonly forms = new PublishForms();
  /** All who get the message that is being delivered get it in one of the forms. */
  isPlain = false;
  readonly #core: Core;
  readonly #bytesMax: number;
  /** Whose messages may follow; null: none. */
  #route: Route | null = null;
  #targets: readonly Target[] = [];
  #from: Session | null = null;
  readonly #inUse: EncodedPublish[] = [];
  #messages = 0;
  #payloadBytes = 0;
  #bytes = 0;

  constructor(core: Core) {
    this.#core = core;
    this.#bytesMax = Math.min(RUN_BYTES_MAX, core.crowdedBytes / 8);
  }

  /** A message for many is about to be delivered. */
  begin(view: PublishView): void {
    this.isPlain = true;
    this.forms.begin(view);
  }

  /** It has been, to `MANY` or more; `follow` may take those behind it. `from`: its publisher's session. */
  open(route: Route, { qos, retain }: PublishView, from: Session | null): void {
    if (!this.isPlain || qos !== 0 || retain) return;
    if (route.groups.length > 0 || route.isServed) return;
    this.#inUse.length = 0;
    for (const version of [4, 5] as const) {
      const form = this.forms.asked(version, 0, false);
      if (form === null) continue;
      form.next();
      this.#inUse.push(form);
    }
    if (this.#inUse.length === 0) return; // nobody was there
    this.#route = route;
    this.#targets = route.targets;
    this.#from = from;
  }

  /** HOT. True where the message goes out with those before it. */
  follow(route: Route, view: PublishView, from: Session | null): boolean {
    if (this.#route !== route || this.#from !== from || view.qos !== 0 || view.retain) return false;
    if (this.#targets !== route.targets) return false;
    const bytes = this.#bytes + view.end - view.start;
    if (bytes > this.#bytesMax) return false;
    const forms = this.#inUse;
    for (let i = 0; i < forms.length; i++) if (!forms[i]!.hasRoom(view)) return false;
    for (let i = 0; i < forms.length; i++) forms[i]!.add(view);
    this.#messages++;
    this.#payloadBytes += view.payloadEnd - view.payloadStart;
    this.#bytes = bytes;
    return true;
  }

  /** HOT. Hands out what there is, and ends the run. */
  settle(): void {
    const route = this.#route;
    if (route === null) return;
    this.#route = null;
    if (this.#messages === 0) return;
    handOut(this.#core, route, this.#targets, this.#from, {
      messages: this.#messages,
      payloadBytes: this.#payloadBytes,
    });
    this.#messages = this.#payloadBytes = this.#bytes = 0;
  }
}
