/** "At the door": devices that did not get what they asked for, why, and the command that would allow it. */
import { useEffect, useId, useMemo } from "preact/hooks";
import type { Refusal } from "../../cloud/api/contract.ts";
import { session } from "../api/session.ts";
import { plural } from "../format/labels.ts";
import { formatAge, formatRecent, formatTime } from "../format/time.ts";
import { isLive, live, serverNow } from "../live/live.ts";
import { useJoins } from "../live/use-joins.ts";
import { IconCheckCircle } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { Command } from "../shell/states.tsx";
import { RefusalStore } from "./refusal-store.ts";
import { asSentence, deviceName, isNameUnproved, refusalKey, wishOf } from "./refusal-words.ts";

export interface AtTheDoorProps {
  /** Null: of the whole fleet, strangers as well. */
  readonly thing: string | null;
}

/** Nothing at all where nobody was refused. */
export function AtTheDoor({ thing }: AtTheDoorProps) {
  const current = session.value;
  // Strangers belong to no thing, so who sees only some things does not see them.
  if (thing === null && current.kind === "active" && current.info.things !== null) return null;
  return <RefusalSection key={thing} thing={thing} />;
}

function RefusalSection({ thing }: AtTheDoorProps) {
  const store = useMemo(() => new RefusalStore(thing), [thing]);
  useEffect(() => {
    // Somebody who copied a command was in a terminal meanwhile.
    const onFocus = (): void => void store.load();
    addEventListener("focus", onFocus);
    const stop = live.watchFleet((event) => store.receive(event));
    void store.load();
    return () => {
      removeEventListener("focus", onFocus);
      stop();
      store.stop();
    };
  }, [store]);
  useJoins(() => void store.load());
  const heading = useId();
  const refusals = store.refusals.value;
  if (refusals.length === 0) return null;
  return (
    <section class="door" aria-labelledby={heading}>
      <h2 id={heading}>At the door</h2>
      <p class="muted">
        {thing === null
          ? "Devices that did not get what they asked for."
          : "What was asked for in its name and not given."}
      </p>
      <ul class="door-list">
        {refusals.map((refusal) => (
          <Entry key={refusalKey(refusal)} refusal={refusal} thing={thing} />
        ))}
      </ul>
      {store.hasMore.value && (
        <button type="button" class="button" onClick={() => store.showMore()}>
          Show more
        </button>
      )}
    </section>
  );
}

function Entry({ refusal, thing }: AtTheDoorProps & { readonly refusal: Refusal }) {
  // On the page of a thing stand also strangers that use its name as their client id.
  const isIts = thing !== null && refusal.thing === thing;
  return (
    <li class={refusal.allowedNow ? "door-entry is-allowed" : "door-entry"}>
      <p class="door-device">
        {isIts ? "It" : <Device refusal={refusal} />} {wishOf(refusal)}
        {refusal.resource !== null && (
          <>
            {" "}
            <code>{refusal.resource}</code>
          </>
        )}
      </p>
      <Facts refusal={refusal} />
      <p class="door-reason">{asSentence(refusal.sentence)}</p>
      {refusal.allowedNow ? <AllowedNow /> : <Remedy refusal={refusal} />}
    </li>
  );
}

function Device({ refusal }: { readonly refusal: Refusal }) {
  const { thing } = refusal;
  if (thing === null) return <strong>{deviceName(refusal)}</strong>;
  return (
    <a class="link" href={hrefOf({ page: "thing", thing, range: null })}>
      <strong>{thing}</strong>
    </a>
  );
}

function Facts({ refusal }: { readonly refusal: Refusal }) {
  const { firstAt, lastAt, count, remoteAddress, clientId } = refusal;
  const now = serverNow.value;
  return (
    <p class="alert-facts">
      <span>
        {count === 1 ? "once, " : `${plural(count, "time")}, last `}
        <time dateTime={new Date(lastAt).toISOString()} title={formatTime(lastAt)}>
          {formatAge(now - lastAt)}
        </time>
      </span>
      {count > 1 && (
        <span>
          first{" "}
          <time dateTime={new Date(firstAt).toISOString()} title={formatTime(firstAt)}>
            {formatRecent(firstAt, now)}
          </time>
        </span>
      )}
      <span>from {remoteAddress}</span>
      {clientId !== null && clientId !== deviceName(refusal) && <span>client id {clientId}</span>}
      {isNameUnproved(refusal) && <span>name not proved</span>}
    </p>
  );
}

function AllowedNow() {
  return (
    <p class={isLive.value ? "door-allowed" : "door-allowed is-stale"}>
      <IconCheckCircle />
      {isLive.value ? "Allowed now: its next attempt passes." : "Was allowed when the connection was lost."}
    </p>
  );
}

function Remedy({ refusal: { fix, command } }: { readonly refusal: Refusal }) {
  if (command === null) return <p>{asSentence(fix)}</p>;
  return (
    <>
      <p>{asSentence(fix, ":")}</p>
      <Command text={command} />
    </>
  );
}
