/** Certificates of devices, and of the authorities that have signed some of them. */
import type {
  ByCreation,
  CaCertificate,
  CaCertificateStore,
  Certificate,
  CertificateFacts,
  CertificateFilter,
  CertificateMode,
  CertificateRecord,
  CertificateStatus,
  CertificateStore,
  DistinguishedName,
  RegistrationConfig,
} from "../../registry/mod.ts";
import { textOrNull } from "./sql.ts";
import type { Row, Sql, Value } from "./sql.ts";

const COMMON =
  "id, status, serial, subject, issuer, not_before, not_after, created_at, updated_at, mode, version, generation";
const REGISTRATION_CODE = "registration code";

export class CertificateTable implements CertificateStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(certificateId: string): Certificate | undefined {
    const text = `SELECT ${COMMON}, authority, pem FROM certificates WHERE tenant = $1 AND id = $2`;
    const [row] = this.#sql.rows(text, [certificateId]);
    return row === undefined ? undefined : { ...certificateOf(row), pem: String(row.at(-1)) };
  }

  save(certificate: Certificate): void {
    const { certificateId, caCertificateId, pem } = certificate;
    this.#sql.change(
      `INSERT INTO certificates (tenant, ${COMMON}, authority, pem)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
       ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, version = excluded.version,
       updated_at = excluded.updated_at`,
      [...commonValues(certificate), caCertificateId, pem],
      [["certificate", certificateId, "updated"]],
    );
  }

  remove(certificateId: string): void {
    this.#sql.change(
      "DELETE FROM certificates WHERE tenant = $1 AND id = $2",
      [certificateId],
      [["certificate", certificateId, "deleted"]],
    );
  }

  list({ caCertificateId }: CertificateFilter, slice: ByCreation): readonly CertificateRecord[] {
    const { order, values } = byCreation(slice);
    const where = caCertificateId === undefined ? "" : "AND authority = $5";
    const text = `SELECT ${COMMON}, authority FROM certificates WHERE tenant = $1 ${where} ${order}`;
    return this.#sql
      .rows(text, caCertificateId === undefined ? values : [...values, caCertificateId])
      .map(certificateOf);
  }
}

export class AuthorityTable implements CaCertificateStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(certificateId: string): CaCertificate | undefined {
    const text = `SELECT ${COMMON}, auto_registration, registration, pem FROM authorities
      WHERE tenant = $1 AND id = $2`;
    return this.#sql.rows(text, [certificateId]).map(authorityOf)[0];
  }

  save(certificate: CaCertificate): void {
    const { certificateId, autoRegistration, registrationConfig, pem } = certificate;
    this.#sql.change(
      `INSERT INTO authorities (tenant, ${COMMON}, auto_registration, registration, pem)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
       ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, version = excluded.version,
       updated_at = excluded.updated_at, auto_registration = excluded.auto_registration,
       registration = excluded.registration`,
      [
        ...commonValues(certificate),
        autoRegistration ? 1 : 0,
        registrationConfig === null ? null : JSON.stringify(registrationConfig),
        pem,
      ],
      [["authority", certificateId, "updated"]],
    );
  }

  remove(certificateId: string): void {
    this.#sql.change(
      "DELETE FROM authorities WHERE tenant = $1 AND id = $2",
      [certificateId],
      [["authority", certificateId, "deleted"]],
    );
  }

  list(slice: ByCreation): readonly CaCertificate[] {
    const { order, values } = byCreation(slice);
    const text = `SELECT ${COMMON}, auto_registration, registration, pem FROM authorities WHERE tenant = $1 ${order}`;
    return this.#sql.rows(text, values).map(authorityOf);
  }

  registrationCode(): string | undefined {
    const text = "SELECT value FROM registry_values WHERE tenant = $1 AND name = $2";
    return this.#sql.rows(text, [REGISTRATION_CODE]).map(([value]) => String(value))[0];
  }

  saveRegistrationCode(code: string | null): void {
    this.#sql.change("DELETE FROM registry_values WHERE tenant = $1 AND name = $2", [REGISTRATION_CODE]);
    if (code === null) return;
    this.#sql.change("INSERT INTO registry_values VALUES ($1, $2, $3)", [REGISTRATION_CODE, code]);
  }
}

type Common = CertificateFacts & {
  readonly status: string;
  readonly certificateMode: CertificateMode;
  readonly version: number;
  readonly generationId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
};

/** In the order of `COMMON`. */
function commonValues(certificate: Common): readonly Value[] {
  return [
    certificate.certificateId,
    certificate.status,
    certificate.serialNumber,
    JSON.stringify(certificate.subject),
    JSON.stringify(certificate.issuer),
    certificate.notBefore,
    certificate.notAfter,
    certificate.createdAt,
    certificate.updatedAt,
    certificate.certificateMode,
    certificate.version,
    certificate.generationId,
  ];
}

function commonOf(row: Row): Omit<Common, "status"> {
  const [id, , serial, subject, issuer, notBefore, notAfter, createdAt, updatedAt, mode, version, generation] = row;
  return {
    certificateId: String(id),
    serialNumber: String(serial),
    subject: JSON.parse(String(subject)) as DistinguishedName,
    issuer: JSON.parse(String(issuer)) as DistinguishedName,
    notBefore: Number(notBefore),
    notAfter: Number(notAfter),
    certificateMode: String(mode) as CertificateMode,
    version: Number(version),
    generationId: String(generation),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}

/** Columns of `COMMON`, then the authority. */
function certificateOf(row: Row): CertificateRecord {
  return { ...commonOf(row), status: String(row[1]) as CertificateStatus, caCertificateId: textOrNull(row[12]) };
}

/** Columns of `COMMON`, then auto_registration, registration, pem. */
function authorityOf(row: Row): CaCertificate {
  const [autoRegistration, registration, pem] = row.slice(12);
  const config = textOrNull(registration);
  return {
    ...commonOf(row),
    status: String(row[1]) as CaCertificate["status"],
    autoRegistration: Number(autoRegistration) === 1,
    registrationConfig: config === null ? null : (JSON.parse(config) as RegistrationConfig),
    pem: String(pem),
  };
}

function byCreation(slice: ByCreation): { readonly order: string; readonly values: readonly Value[] } {
  const { createdAt, id } = slice.after ?? { createdAt: slice.descending ? Number.MAX_SAFE_INTEGER : -1, id: "" };
  const [beyond, order] = slice.descending ? ["<", "DESC"] : [">", "ASC"];
  return {
    order: `AND (created_at, id) ${beyond} ($2, $3) ORDER BY created_at ${order}, id ${order} LIMIT $4`,
    values: [createdAt, id, slice.limit],
  };
}
