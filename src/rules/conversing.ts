/**
 * Between deliveries and senders: what a notification replaces or answers is looked up when it goes, because the message
 * before it may have waited in the same queue; and its picture is made then, because a delivery may wait for hours.
 */
import { seconds } from "../base/mod.ts";
import type { Cancel, Clock, EpochMs, Millis, Scheduler } from "../base/mod.ts";
import { CARRIERS } from "./actions/registry.ts";
import { placeIn } from "./alerts/conversations.ts";
import type { Conversations, Place } from "./alerts/conversations.ts";
import { DONE, targetFails } from "./delivery/sender.ts";
import type { Parcel, Receiver, Sender, Senders, Verdict } from "./delivery/sender.ts";

/** Pictures of alerts. */
export interface AlertPictures {
  /** PNG, with what was known then; null where there is nothing to show. May reject, and may take its time. */
  png(alert: string, at: EpochMs): Promise<Uint8Array | null>;
  /** Where the same may be fetched without a login, for some days; null where there is none. `dashboard`: without a slash at its end. */
  link(dashboard: string, alert: string, at: EpochMs): string | null;
}

export interface ConversingOptions {
  readonly senders: Senders;
  readonly conversations: () => Conversations;
  readonly pictures: AlertPictures | null;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** What a notification may wait for its picture; then it goes without. */
const PICTURE_TIMEOUT: Millis = seconds(3);
/** After a picture that was late, so long none is waited for. */
const PICTURE_PAUSE: Millis = seconds(60);

export function conversingSenders(options: ConversingOptions): Senders {
  const pictures = new PunctualPictures(options);
  return {
    open(receiver: Receiver): Sender {
      const sender = options.senders.open(receiver);
      if (CARRIERS.get(receiver.carrier)?.converses !== true) return sender;
      return new ConversingSender(sender, options, pictures);
    },
  };
}

class ConversingSender implements Sender {
  readonly #sender: Sender;
  readonly #o: ConversingOptions;
  readonly #pictures: PunctualPictures;

  constructor(sender: Sender, options: ConversingOptions, pictures: PunctualPictures) {
    this.#sender = sender;
    this.#o = options;
    this.#pictures = pictures;
  }

  async send(batch: readonly Parcel[], timeout: Millis): Promise<readonly Verdict[]> {
    if (batch.every(({ fields }) => placeIn(fields) === null)) return this.#sender.send(batch, timeout);
    const until = this.#o.clock.monotonic() + timeout;
    const verdicts: Verdict[] = [];
    for (const parcel of batch) verdicts.push(await this.#sendOne(parcel, until));
    return verdicts;
  }

  close(): Promise<void> {
    return this.#sender.close();
  }

  async #sendOne(parcel: Parcel, until: Millis): Promise<Verdict> {
    const { conversation, form, aloud, isLast, picture } = placeIn(parcel.fields) ?? NOWHERE;
    const conversations = this.#o.conversations();
    if (conversation !== null && aloud !== null && conversations.isBegunBy(conversation, aloud)) {
      if (isLast) conversations.close(conversation);
      return DONE;
    }
    const png = picture === null ? null : await this.#pictures.of(picture, parcel.createdAt);
    const reference = conversation === null ? null : conversations.reference(conversation);
    const replaces = form === "edit" ? reference : null;
    const about = { replaces, answers: form === "reply" ? reference : null, picture: png };
    const left = Math.max(1, until - this.#o.clock.monotonic());
    const [verdict = targetFails("the sender gave no answer")] = await this.#sender.send([{ ...parcel, about }], left);
    if (verdict.type === "done") this.#note(parcel, replaces, verdict.reference ?? null);
    return verdict;
  }

  /** Before anything is saved that says that the delivery is done: then both are, or neither. */
  #note({ id, fields }: Parcel, replaced: string | null, reference: string | null): void {
    const { conversation, form, isLast, thing } = placeIn(fields) ?? NOWHERE;
    if (conversation === null) return;
    const conversations = this.#o.conversations();
    const isNew = replaced === null || (reference !== null && reference !== replaced);
    if (isLast) conversations.close(conversation);
    else if (isNew && form !== "reply") conversations.begin(conversation, { reference, begunBy: id, thing });
  }
}

const NOWHERE: Place = {
  conversation: null,
  form: "message",
  aloud: null,
  isLast: false,
  thing: null,
  picture: null,
};

/** What is late is not waited for, and not asked for again so soon. */
class PunctualPictures {
  readonly #o: ConversingOptions;
  #pausedUntil: Millis = -Infinity;

  constructor(options: ConversingOptions) {
    this.#o = options;
  }

  async of(alert: string, at: EpochMs): Promise<Uint8Array | null> {
    const { pictures, clock, scheduler } = this.#o;
    if (pictures === null || clock.monotonic() < this.#pausedUntil) return null;
    let cancel: Cancel = () => {};
    const late = new Promise<null>((resolve) => {
      cancel = scheduler.after(PICTURE_TIMEOUT, () => {
        this.#pausedUntil = clock.monotonic() + PICTURE_PAUSE;
        resolve(null);
      });
    });
    try {
      return await Promise.race([pictures.png(alert, at), late]);
    } catch {
      return null; // whoever makes them says why
    } finally {
      cancel();
    }
  }
}
