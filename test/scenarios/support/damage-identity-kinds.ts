/** Who is who: people, provisioning, renewals, the audit log, and the fleet's index. */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openAuditFolder } from "../../../src/adapters/files/audit-log.ts";
import { openPeopleFile } from "../../../src/adapters/sqlite/people-store.ts";
import type { OpenPeopleFile } from "../../../src/adapters/sqlite/people-store.ts";
import { openProvisioningFile } from "../../../src/adapters/sqlite/provisioning-store.ts";
import type { OpenProvisioningFile } from "../../../src/adapters/sqlite/provisioning-store.ts";
import { SqliteSearchIndex } from "../../../src/adapters/sqlite/search-index.ts";
import { openRenewalsFile } from "../../../src/adapters/sqlite/succession-store.ts";
import type { OpenRenewalsFile } from "../../../src/adapters/sqlite/succession-store.ts";
import { systemScheduler } from "../../../src/adapters/system.ts";
import { checkpointVerifier } from "../../../src/adapters/pki/mod.ts";
import { AuditTrail, parseAnchor, parseCheckpoint, searchAudit, verifyAudit } from "../../../src/audit/mod.ts";
import type { AuditAnchor, CheckpointSigner } from "../../../src/audit/mod.ts";
import { LIMITS, kib } from "../../../src/base/mod.ts";
import type { Logger } from "../../../src/base/mod.ts";
import { SimClock, SimLogger, SimMetrics } from "../../../sim/world.ts";
import { NOW, crashed, range } from "./damage-kind.ts";
import type { Kind } from "./damage-kind.ts";

function fillPeople(path: string): OpenPeopleFile {
  const file = openPeopleFile({ path });
  const { people: store } = file;
  for (const n of range(40)) {
    store.putUser({
      name: `user-${n}`,
      role: n % 2 === 0 ? "operator" : "viewer",
      disabled: n % 5 === 0,
      password: `$argon2id$${"p".repeat(80)}${n}`,
      passwordChangedAt: NOW,
      invitation: n % 3 === 0 ? { hash: String(n).padStart(64, "a"), expiresAt: NOW + n } : null,
      createdAt: NOW,
      lastLoginAt: null,
    });
    store.putKey({
      id: `key-${n}`,
      kind: "api",
      name: `a key ${n}`,
      owner: `user-${n}`,
      permissions: ["fleet:read"],
      things: n % 2 === 0 ? ["pump-*"] : null,
      policies: [],
      secret: String(n).padStart(64, "b"),
      createdAt: NOW,
      expiresAt: null,
      lastUsedAt: NOW + n,
      lastUsedFrom: "127.0.0.1",
    });
  }
  for (const n of range(40)) {
    store.putSession({
      id: `s-${n}`,
      hash: `h-${n}`,
      user: `user-${n}`,
      createdAt: NOW,
      lastSeenAt: NOW,
      endsAt: NOW + n,
      address: "127.0.0.1",
      agent: "a browser",
    });
  }
  file.revokedToken.write("c".repeat(64));
  file.auditAnchor.write(`7 ${"d".repeat(64)}`);
  return file;
}

const people: Kind = {
  name: "people.db",
  make: (folder) => Promise.resolve(fillPeople(join(folder, "people.db")).close()),
  ask(folder, logger) {
    const file = openPeopleFile({ path: join(folder, "people.db"), logger });
    try {
      const [revokedToken, anchor] = [file.revokedToken.read(), file.auditAnchor.read()];
      return Promise.resolve({ ...file.people.load(), revokedToken, anchor });
    } finally {
      file.close();
    }
  },
};

function fillProvisioning(path: string): OpenProvisioningFile {
  const file = openProvisioningFile({ path });
  const { store } = file;
  const template = {
    type: "FLEET_PROVISIONING",
    description: "pumps",
    enabled: true,
    hook: null,
    roleArn: null,
    defaultVersion: 1,
    createdAt: NOW,
    updatedAt: NOW,
  } as const;
  for (const n of range(10)) {
    const body = JSON.stringify({ Resources: { thing: { Properties: { ThingName: `t-${n}` } } } });
    store.saveTemplate({ name: `template-${n}`, ...template }, { version: 1, body, createdAt: NOW });
  }
  const hashOf = (n: number): string => String(n).padStart(64, "e");
  for (const n of range(60)) {
    const expiresAt = NOW + n;
    store.saveToken({
      tokenHash: hashOf(n),
      certificateId: hashOf(n),
      claimId: "claim",
      clientId: `c-${n}`,
      expiresAt,
    });
    store.saveClaim({ certificateId: hashOf(n), template: "template-1", expiresAt });
    store.saveJoinCode({
      secretHash: hashOf(n),
      offer: { kind: "thing", thing: `t-${n}` },
      usesLeft: 1,
      createdAt: NOW,
      expiresAt,
      joined: [],
    });
    store.saveRetirement({ thing: `t-${n}`, eraseData: true, blockName: n % 2 === 0, startedAt: NOW });
    store.blockName(`blocked-${n}`, NOW);
  }
  return file;
}

const provisioning: Kind = {
  name: "provisioning.db",
  make: (folder) => Promise.resolve(fillProvisioning(join(folder, "provisioning.db")).close()),
  ask(folder, logger) {
    const file = openProvisioningFile({ path: join(folder, "provisioning.db"), logger });
    const { store } = file;
    try {
      const templates = store.templates(null, 100);
      return Promise.resolve({
        templates,
        versions: templates.map(({ name }) => store.versions(name)),
        tokens: store.expiredTokens(NOW + 1_000, 1_000),
        claims: store.expiredClaims(NOW + 1_000, 1_000),
        codes: store.joinCodes(1_000),
        retirements: store.retirements(),
        blocked: range(60).map((n) => store.isBlocked(`blocked-${n}`)),
      });
    } finally {
      file.close();
    }
  },
};

function fillRenewals(path: string): OpenRenewalsFile {
  const file = openRenewalsFile(path);
  const { successions: store } = file;
  const idOf = (n: number): string => n.toString(16).padStart(64, "f");
  for (const n of range(80)) {
    const confirmedAt = n % 2 === 0 ? NOW : null;
    store.save({ predecessor: idOf(n), successor: idOf(n + 1_000), issuedAt: NOW, confirmedAt });
    store.allow(idOf(n), NOW + n);
  }
  return file;
}

const renewals: Kind = {
  name: "renewals.db",
  make: (folder) => Promise.resolve(fillRenewals(join(folder, "renewals.db")).close()),
  ask(folder, logger) {
    const file = openRenewalsFile(join(folder, "renewals.db"), logger);
    const { successions: store } = file;
    try {
      const successions = store.load();
      const allowances = successions.map(({ predecessor }) => store.allowance(predecessor));
      return Promise.resolve({ successions, allowances });
    } finally {
      file.close();
    }
  },
};

function fillSearch(path: string): SqliteSearchIndex {
  const index = new SqliteSearchIndex({ path });
  index.put(
    range(150).map((n) => ({
      thing: `thing-${n}`,
      part: "registry",
      body: {
        thingId: `id-${n}`,
        thingTypeName: "pump",
        billingGroupName: null,
        thingGroupNames: [`group-${n % 5}`],
        attributes: { site: `s-${n % 10}`, floor: String(n % 7) },
        version: 1,
      },
    })),
  );
  index.complete = true;
  return index;
}

/** What the index's thread is refused with makes it begin anew: it is a view. */
const search: Kind = {
  name: "search.db",
  make: (folder) => Promise.resolve(fillSearch(join(folder, "search.db")).close()),
  ask(folder, logger) {
    const index = new SqliteSearchIndex({ path: join(folder, "search.db"), logger });
    try {
      const names = index.names("", 1_000);
      return Promise.resolve({
        names,
        complete: index.complete,
        fields: index.fields(),
        documents: index.documents(names, "all"),
        bySite: range(10).map((n) => index.things({ by: "word", field: "attributes.site", word: `s-${n}` })),
        byFloor: index.things({ by: "numbers", field: "attributes.floor", from: 2, to: 4 }),
      });
    } finally {
      index.close();
    }
  },
};

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** In the people's database, which is no part of this kind. */
function noteIn(folder: string, name: string): AuditAnchor {
  const path = join(folder, `${name}.left-out`);
  return {
    read: () => (existsSync(path) ? readFileSync(path, "utf8") : null),
    write: (text) => writeFileSync(path, text),
  };
}

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const PUBLIC_KEY = String(publicKey.export({ type: "spki", format: "pem" }));
const SIGNER: CheckpointSigner = {
  key: createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex"),
  publicKey: PUBLIC_KEY,
  isNew: true,
  sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64"),
};

function openTrail(folder: string, logger: Logger): AuditTrail {
  return new AuditTrail({
    files: openAuditFolder(join(folder, "audit")),
    anchor: noteIn(folder, "anchor"),
    checkpointNote: noteIn(folder, "checkpoint"),
    sha256,
    clock: new SimClock(),
    scheduler: systemScheduler,
    logger,
    metrics: new SimMetrics(),
    limits: { ...LIMITS.audit, fileBytesMax: kib(4) },
  });
}

const audit: Kind = {
  name: "audit log",
  async make(folder) {
    const trail = openTrail(folder, new SimLogger());
    await trail.signWith(SIGNER);
    for (const n of range(60)) {
      const actor = { kind: "user", name: `user-${n % 3}` };
      await trail.commit({ actor, address: "127.0.0.1", action: "thing.create", target: `t-${n}`, outcome: "ok" });
    }
    await trail.close();
  },
  async ask(folder, logger) {
    const noted = parseAnchor(noteIn(folder, "anchor").read())!;
    const signed = parseCheckpoint(JSON.parse(noteIn(folder, "checkpoint").read()!))!;
    const trail = openTrail(folder, logger);
    await trail.signWith({ ...SIGNER, isNew: false });
    await trail.close();
    const files = openAuditFolder(join(folder, "audit"));
    // What `tidewire audit verify` does.
    const verify = checkpointVerifier([{ name: "audit.pub", pem: PUBLIC_KEY }]);
    const { fault } = await verifyAudit(files, [noted], sha256, { verify, checkpoints: [signed] });
    if (fault !== null) logger.error("the audit log is not whole", { fault });
    const { entries } = await searchAudit(files, { limit: 100 });
    await files.close();
    return entries.filter(({ action }) => action === "thing.create");
  },
};

export const IDENTITY_KINDS: readonly Kind[] = [
  people,
  crashed(people, "people.db", fillPeople),
  provisioning,
  crashed(provisioning, "provisioning.db", fillProvisioning),
  renewals,
  crashed(renewals, "renewals.db", fillRenewals),
  search,
  audit,
];
