/** From the registry in the data folder into an empty shared one, so that nobody is locked out by the change. */
import type { Logger } from "../base/mod.ts";
import type { RegistryStore } from "../registry/mod.ts";

const PAGE = 1_000;

/** All in one transaction of the new store; the old one stays as it is. Does nothing where the new one holds anything. */
export function moveRegistry(from: RegistryStore, to: RegistryStore, logger: Logger): void {
  if (!isEmpty(to) || isEmpty(from)) return;
  let [things, certificates] = [0, 0];
  to.transaction(() => {
    for (const policy of pages(
      (after: string | null) => from.policies({ after, limit: PAGE }),
      (one) => one.policyName,
    )) {
      to.savePolicy(policy);
    }
    for (const thing of pages(
      (after: string | null) => from.things({}, { after, limit: PAGE }),
      (one) => one.thingName,
    )) {
      to.saveThing(thing);
      things++;
    }
    const after = (key: CertificateKey | null): ReturnType<typeof from.certificates> =>
      from.certificates({ after: key, limit: PAGE });
    for (const { certificateId: id } of pages(after, (one) => ({ createdAt: one.createdAt, id: one.certificateId }))) {
      const certificate = from.certificate(id);
      if (certificate === undefined) continue;
      to.saveCertificate(certificate);
      for (const attachment of from.thingsOf(id)) to.attachThing(attachment);
      for (const { policyName } of from.policiesOf(id)) to.attachPolicy(policyName, id);
      certificates++;
    }
  });
  logger.info("The registry was copied from the data folder into PostgreSQL", { audit: true, things, certificates });
}

interface CertificateKey {
  readonly createdAt: number;
  readonly id: string;
}

function* pages<T, K>(read: (after: K | null) => readonly T[], keyOf: (one: T) => K): Generator<T> {
  for (let after: K | null = null; ;) {
    const page = read(after);
    yield* page;
    if (page.length < PAGE) return;
    after = keyOf(page.at(-1)!);
  }
}

function isEmpty(store: RegistryStore): boolean {
  const one = { after: null, limit: 1 };
  return store.countThings({}) + store.certificates(one).length + store.policies(one).length === 0;
}
