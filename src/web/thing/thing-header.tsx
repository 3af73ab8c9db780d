/** Who this thing is and how it is doing. */
import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { days } from "../../base/mod.ts";
import type { LatestValue, ThingDetail } from "../../cloud/api/contract.ts";
import { formatAge, formatRemaining, formatTime } from "../format/time.ts";
import { formatDuration } from "../format/units.ts";
import { serverNow } from "../live/live.ts";
import { PresenceTag, disconnectWords } from "../shell/presence.tsx";
import { IconWarning } from "../shell/icons.tsx";

/** Certificates renew themselves well before; one that comes so close did not. */
const EXPIRES_SOON = days(14);

export interface ThingHeaderProps {
  readonly thing: string;
  /** Null until it is known. */
  readonly detail: ThingDetail | null;
  /** It comes at any moment: its place is kept. */
  readonly waits: boolean;
  readonly latest: ReadonlySignal<ReadonlyMap<string, LatestValue>>;
}

export function ThingHeader({ thing, detail, waits, latest }: ThingHeaderProps) {
  return (
    <header class="thing-head">
      <nav class="crumbs" aria-label="Breadcrumb">
        <a href="#/">Fleet</a>
        <span aria-hidden="true">/</span>
        <span aria-current="page">{thing}</span>
      </nav>
      <div class="thing-title">
        <h1>{thing}</h1>
        {detail !== null && <PresenceTag presence={detail.presence} />}
      </div>
      {detail !== null && <Facts detail={detail} latest={latest} />}
      {waits && <div class="facts is-loading" aria-hidden="true" />}
    </header>
  );
}

function Facts({ detail, latest }: { readonly detail: ThingDetail; readonly latest: ThingHeaderProps["latest"] }) {
  const { presence } = detail;
  const attributes = Object.entries(detail.attributes);
  return (
    <dl class="facts">
      <Fact label="Last seen">
        <LastSeen detail={detail} latest={latest} />
      </Fact>
      {presence.state === "offline" && presence.disconnectReason !== null && (
        <Fact label="Why offline">{disconnectWords(presence.disconnectReason)}</Fact>
      )}
      <Uptime latest={latest} online={presence.state === "online"} />
      <Fact label="Certificate">
        <Certificate detail={detail} />
      </Fact>
      {presence.remoteAddress !== null && <Fact label="Address">{presence.remoteAddress}</Fact>}
      {detail.thingTypeName !== null && <Fact label="Type">{detail.thingTypeName}</Fact>}
      <Fact label="Registered">
        <time dateTime={new Date(detail.createdAt).toISOString()} title={formatTime(detail.createdAt)}>
          {formatTime(detail.createdAt, "date")}
        </time>
      </Fact>
      {attributes.map(([name, value]) => (
        <Fact label={name} key={name}>
          {value}
        </Fact>
      ))}
    </dl>
  );
}

function Fact({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Presence tells connects and disconnects; between them the newest reading is the proof of life. */
function LastSeen({ detail, latest }: { readonly detail: ThingDetail; readonly latest: ThingHeaderProps["latest"] }) {
  const { lastSeenAt, state } = detail.presence;
  if (lastSeenAt === null) return <>never</>;
  const now = serverNow.value;
  const times = state === "online" ? [...latest.value.values()].map((value) => Math.min(value.time, now)) : [];
  const at = Math.max(lastSeenAt, ...times);
  return (
    <time dateTime={new Date(at).toISOString()} title={formatTime(at)}>
      {formatAge(now - at)}
    </time>
  );
}

function Uptime({ latest, online }: { readonly latest: ThingHeaderProps["latest"]; readonly online: boolean }) {
  const uptime = [...latest.value.values()].find((value) => value.field === "uptime.seconds");
  if (!online || typeof uptime?.value !== "number") return null;
  return <Fact label="Up for">{formatDuration(uptime.value * 1000)}</Fact>;
}

function Certificate({ detail }: { readonly detail: ThingDetail }) {
  const active = detail.certificates.filter((certificate) => certificate.status === "ACTIVE");
  const last = Math.max(...active.map((certificate) => certificate.expiresAt));
  if (active.length === 0 && detail.password !== null) return <>none, but a password</>;
  if (active.length === 0) {
    return (
      <span class="fact-warning">
        <IconWarning />
        none is active
      </span>
    );
  }
  const remaining = last - serverNow.value;
  const text = remaining < 0 ? `expired ${formatRemaining(remaining)}` : `expires ${formatRemaining(remaining)}`;
  return (
    <span class={remaining < EXPIRES_SOON ? "fact-warning" : undefined} title={formatTime(last)}>
      {remaining < EXPIRES_SOON && <IconWarning />}
      {text}
    </span>
  );
}
