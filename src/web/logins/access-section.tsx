/** What lets a thing in: its certificates and its password; whoever may changes them. */
import { useEffect, useId, useMemo } from "preact/hooks";
import type { EpochMs } from "../../base/mod.ts";
import type { DevicePassword, ThingDetail } from "../../cloud/api/contract.ts";
import { may } from "../api/session.ts";
import { formatRecent, formatTime } from "../format/time.ts";
import { live, serverNow } from "../live/live.ts";
import { Confirm, Once } from "../people/parts.tsx";
import { IconCheck, IconWarning } from "../shell/icons.tsx";
import { AccessStore } from "./access-store.ts";
import { changesFrom, endOf, shortId, standingOf } from "./access-words.ts";

const WORD_OF = { ACTIVE: "Activate", INACTIVE: "Deactivate", REVOKED: "Revoke" } as const;

export interface AccessProps {
  readonly detail: ThingDetail;
  readonly reload: () => Promise<void>;
}

export function Access({ detail, reload }: AccessProps) {
  return may("certificates:read") ? <AccessSection key={detail.thingName} detail={detail} reload={reload} /> : null;
}

function AccessSection({ detail, reload }: AccessProps) {
  const { thingName, certificates, password } = detail;
  const store = useMemo(() => new AccessStore(thingName, reload), [thingName]);
  // It comes with a new certificate, or is cut because one was revoked.
  useEffect(
    () =>
      live.watchFleet((event) => {
        if (event.type === "presence" && event.thing === thingName) void reload();
      }),
    [thingName],
  );
  const heading = useId();
  const error = store.error.value;
  return (
    <section class="values access" aria-labelledby={heading}>
      <h2 id={heading}>What lets it in</h2>
      {error !== null && (
        <p class="inline-error" role="alert">
          {error.message} {error.fix}
        </p>
      )}
      <CertificateList certificates={certificates} store={store} />
      <PasswordCard thing={thingName} password={password} store={store} />
    </section>
  );
}

interface CertificateListProps {
  readonly certificates: ThingDetail["certificates"];
  readonly store: AccessStore;
}

function CertificateList({ certificates, store }: CertificateListProps) {
  const now = serverNow.value;
  return (
    <article class="access-part" aria-label="Certificates">
      <h3>Certificates</h3>
      {certificates.length === 0 && <p class="muted">It has none.</p>}
      <ul class="access-list">
        {certificates.map(({ certificateId, status, expiresAt }) => {
          const { word, tone } = standingOf(status, expiresAt, now);
          return (
            <li key={certificateId} class="access-entry">
              <code title={certificateId}>{shortId(certificateId)}</code>
              <span class={`access-standing is-${tone}`}>
                {tone === "good" && <IconCheck />}
                {tone === "warning" && <IconWarning />}
                {word}
              </span>
              {tone !== "off" && (
                <span class="muted" title={formatTime(expiresAt)}>
                  {endOf(expiresAt, now)}
                </span>
              )}
              {may("certificates:write") && (
                <span class="access-actions">
                  {changesFrom(status).map((next) => (
                    <Confirm
                      key={next}
                      label={WORD_OF[next]}
                      sure={`${WORD_OF[next]} now`}
                      about={`certificate ${shortId(certificateId)}`}
                      onConfirm={() => void store.change(certificateId, next)}
                    />
                  ))}
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </article>
  );
}

interface PasswordCardProps {
  readonly thing: string;
  readonly password: DevicePassword | null;
  readonly store: AccessStore;
}

function PasswordCard({ thing, password, store }: PasswordCardProps) {
  const made = store.made.value;
  return (
    <article class="access-part" aria-label="Password">
      <h3>Password</h3>
      {made !== null && (
        <Once
          title={`The password of ${thing}, shown once; its user name is ${thing}:`}
          text={made}
          onDone={() => (store.made.value = null)}
        />
      )}
      <div class="access-entry">
        {password === null ? (
          <span class="muted">It has none. One is for devices that cannot hold a certificate.</span>
        ) : (
          <PasswordFacts password={password} />
        )}
        {may("certificates:write") && <PasswordActions thing={thing} store={store} has={password !== null} />}
      </div>
    </article>
  );
}

function PasswordFacts({ password }: { readonly password: DevicePassword }) {
  const { createdAt, changedAt, usedAt, policies } = password;
  return (
    <p class="access-facts">
      <span class="access-standing is-good">
        <IconCheck />
        may log in
      </span>
      <span>
        since <Moment at={createdAt} />
      </span>
      {changedAt !== createdAt && (
        <span>
          changed <Moment at={changedAt} />
        </span>
      )}
      {usedAt === null ? (
        <span title="Neither since it was set nor since the platform started">not used lately</span>
      ) : (
        <span>
          last used <Moment at={usedAt} />
        </span>
      )}
      <span>{policies.length === 0 ? "no policy of its own" : `may do what ${policies.join(", ")} allows`}</span>
    </p>
  );
}

function Moment({ at }: { readonly at: EpochMs }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={formatTime(at)}>
      {formatRecent(at, serverNow.value)}
    </time>
  );
}

interface PasswordActionsProps {
  readonly thing: string;
  readonly store: AccessStore;
  readonly has: boolean;
}

function PasswordActions({ thing, store, has }: PasswordActionsProps) {
  if (!has) {
    return (
      <span class="access-actions">
        <button type="button" class="button" aria-disabled={store.busy.value} onClick={() => void store.givePassword()}>
          Give it a password
        </button>
      </span>
    );
  }
  const about = `the password of ${thing}`;
  return (
    <span class="access-actions">
      <Confirm
        label="Renew"
        sure="Renew now: the old one ends"
        about={about}
        onConfirm={() => void store.givePassword()}
      />
      <Confirm label="Remove" sure="Remove now" about={about} onConfirm={() => void store.removePassword()} />
    </span>
  );
}
